/* tests/unit/event/pdu.c - the format of PDUs: what is read, and every way to be none. */
#include <criterion/criterion.h>

#include "tests/unit/event/room.h"

#define HASH	 "\"hashes\":{\"sha256\":\"aGFzaA\"},\"signatures\":{\"b\":{\"ed25519:1\":\"c2ln\"}}"
#define ROOM_V12 "!Nhcu5BS-UMnFX7hBVfVSoXiD7OgH6iRT-xyIuqDnpYQ"

/* A valid one. */
static struct json *
sample(struct ctx *cx, const struct room_version *rv)
{
	if (rv->event_id_format == 1)
		return js(cx, "{\"event_id\":\"$e:b\",\"room_id\":\"!r:a\",\"type\":\"t\",\"sender\":\"@u:b\",\"state_"
			      "key\":\"k\","
			      "\"content\":{\"x\":1},\"origin_server_ts\":17,\"depth\":3,\"origin\":\"b\",\"unsigned\":"
			      "{\"age\":1},"
			      "\"auth_events\":[[\"$c:a\",{\"sha256\":\"x\"}]],\"prev_events\":[[\"$p:a\",{\"sha256\":"
			      "\"x\"}],[\"$q:a\",{}]]," HASH "}");
	return js(cx,
	    arena_printf(cx->a,
		"{\"room_id\":\"%s\",\"type\":\"t\",\"sender\":\"@u:b\",\"state_key\":\"k\","
		"\"content\":{\"x\":1},\"origin_server_ts\":17,\"depth\":3,\"origin\":\"b\",\"unsigned\":{\"age\":1},"
		"\"auth_events\":[\"$c\"],\"prev_events\":[\"$p\",\"$q\"]," HASH "}",
		rv->room_id_is_create_hash ? ROOM_V12 : "!r:a"));
}

static void
reads(struct ctx *cx, const struct room_version *rv, struct json *pdu, const char *what)
{
	struct event ev;

	cr_expect_eq(event_read(cx, rv, pdu, &ev), M_OK, "v%s, %s: %s", rv->id, what, cx->err_text);
}

static void
refuses(struct ctx *cx, const struct room_version *rv, struct json *pdu, const char *says)
{
	struct event ev;

	cx->err_text = "";
	cr_expect_eq(event_read(cx, rv, pdu, &ev), M_BAD_JSON, "v%s: %s", rv->id, says);
	cr_expect(strstr(cx->err_text, says), "v%s: %s, not %s", rv->id, says, cx->err_text);
}

/* The sample with key set to the JSON text, or without key. */
static struct json *
with(struct ctx *cx, const struct room_version *rv, const char *key, const char *text)
{
	struct json *pdu = sample(cx, rv);

	if (text)
		json_set(cx->a, pdu, key, js(cx, text));
	else
		json_del(pdu, key);
	return pdu;
}

Test(event_pdu, fills_the_event)
{
	struct event ev;
	struct ctx cx;

	ctx_open(&cx);
	EACH_VERSION(rv)
	{
		bool v1 = rv->event_id_format == 1;
		struct json *pdu = sample(&cx, rv);

		cr_assert_eq(event_read(&cx, rv, pdu, &ev), M_OK, "v%s: %s", rv->id, cx.err_text);
		cr_expect_eq(ev.rv, rv);
		cr_expect_eq(ev.json, pdu);
		cr_expect_eq(json_get_int(ev.content, "x", 0), 1);
		cr_expect_str_eq(ev.id, event_id_of(cx.a, rv, pdu));
		cr_expect_str_eq(ev.room, rv->room_id_is_create_hash ? ROOM_V12 : "!r:a");
		cr_expect_str_eq(ev.type, "t");
		cr_expect_str_eq(ev.sender, "@u:b");
		cr_expect_str_eq(ev.state_key, "k");
		cr_expect_eq(ev.ts, 17);
		cr_expect_eq(ev.depth, 3);
		cr_assert_eq(ev.nauth, 1);
		cr_assert_eq(ev.nprev, 2);
		cr_expect_str_eq(ev.auth_ids[0], v1 ? "$c:a" : "$c");
		cr_expect_str_eq(ev.prev_ids[1], v1 ? "$q:a" : "$q");
		cr_expect_not(ev.rejected);
	}
	ctx_close(&cx);
}

Test(event_pdu, members_that_must_be_there)
{
	static const char *const must[] = { "type", "sender", "content", "origin_server_ts", "depth", "hashes",
		"signatures", "auth_events", "prev_events" };
	struct ctx cx;

	ctx_open(&cx);
	EACH_VERSION(rv)
	{
		for (size_t i = 0; i < sizeof(must) / sizeof(must[0]); i++) {
			refuses(&cx, rv, with(&cx, rv, must[i], NULL), must[i]);
			refuses(&cx, rv, with(&cx, rv, must[i], "null"), must[i]);
			refuses(&cx, rv, with(&cx, rv, must[i], "true"), must[i]);
		}
		refuses(&cx, rv, with(&cx, rv, "room_id", NULL), "room_id is missing");
		refuses(&cx, rv, with(&cx, rv, "room_id", "1"), "room_id");
		refuses(&cx, rv, js(&cx, "[]"), "no object");
		refuses(&cx, rv, NULL, "no object");
	}
	ctx_close(&cx);
}

Test(event_pdu, members_that_may_be_there)
{
	struct ctx cx;

	ctx_open(&cx);
	EACH_VERSION(rv)
	{
		reads(&cx, rv, with(&cx, rv, "state_key", NULL), "no state event");
		reads(&cx, rv, with(&cx, rv, "unsigned", NULL), "no unsigned");
		reads(&cx, rv, with(&cx, rv, "state_key", "\"\""), "empty state key");
		reads(&cx, rv, with(&cx, rv, "type", "\"\""), "empty type");
		reads(&cx, rv, with(&cx, rv, "anything", "[1]"), "an unknown member");
		refuses(&cx, rv, with(&cx, rv, "state_key", "null"), "state_key");
		refuses(&cx, rv, with(&cx, rv, "unsigned", "[]"), "unsigned");
		reads(&cx, rv, with(&cx, rv, "redacts", "\"$x\""), "redacts");
		if (rv->redacts_in_content)
			reads(&cx, rv, with(&cx, rv, "redacts", "1"), "redacts means nothing here");
		else
			refuses(&cx, rv, with(&cx, rv, "redacts", "1"), "redacts");
	}
	ctx_close(&cx);
}

Test(event_pdu, ids)
{
	struct ctx cx;

	ctx_open(&cx);
	EACH_VERSION(rv)
	{
		refuses(&cx, rv, with(&cx, rv, "sender", "\"u:b\""), "sender is no user id");
		refuses(&cx, rv, with(&cx, rv, "sender", "\"@u\""), "sender is no user id");
		reads(&cx, rv, with(&cx, rv, "sender", "\"@Ünï \\u0007\\\"\\\\:b\""), "historical user ids");
		refuses(&cx, rv, with(&cx, rv, "room_id", "\"#r:a\""), "room_id");
		refuses(&cx, rv, with(&cx, rv, "room_id", rv->room_id_is_create_hash ? "\"!r:a\"" : "\"" ROOM_V12 "\""),
		    "room_id has");
		if (rv->event_id_format == 1) {
			refuses(&cx, rv, with(&cx, rv, "event_id", NULL), "event_id");
			refuses(&cx, rv, with(&cx, rv, "event_id", "\"e:b\""), "event_id");
			refuses(&cx, rv, with(&cx, rv, "event_id", "\"$e\""), "event_id");
		} else {
			reads(&cx, rv, with(&cx, rv, "event_id", "1"), "event_id means nothing here");
		}
	}
	ctx_close(&cx);
}

/* n copies of c between quotes, after the prefix. */
static const char *
quoted(struct ctx *cx, const char *prefix, char c, size_t n, const char *suffix)
{
	struct buf b;

	buf_init(&b, cx->a);
	buf_addf(&b, "\"%s", prefix);
	while (n--)
		buf_putc(&b, c);
	buf_addf(&b, "%s\"", suffix);
	return b.s;
}

Test(event_pdu, sizes_in_bytes)
{
	struct ctx cx;

	ctx_open(&cx);
	EACH_VERSION(rv)
	{
		reads(&cx, rv, with(&cx, rv, "type", quoted(&cx, "", 'x', 255, "")), "255 bytes");
		refuses(&cx, rv, with(&cx, rv, "type", quoted(&cx, "", 'x', 256, "")), "type is too long");
		refuses(&cx, rv, with(&cx, rv, "type", quoted(&cx, "ü", 'x', 254, "")), "type is too long");
		reads(
		    &cx, rv, with(&cx, rv, "state_key", quoted(&cx, "\\u0000", 'x', 254, "")), "an escape is one byte");
		refuses(&cx, rv, with(&cx, rv, "state_key", quoted(&cx, "", 'x', 256, "")), "state_key is too long");
		reads(&cx, rv, with(&cx, rv, "sender", quoted(&cx, "@", 'x', 252, ":b")), "255 bytes");
		refuses(&cx, rv, with(&cx, rv, "sender", quoted(&cx, "@", 'x', 253, ":b")), "sender is too long");
		refuses(&cx, rv, with(&cx, rv, "room_id", quoted(&cx, "!", 'x', 253, ":b")), "room_id is too long");
		refuses(&cx, rv, with(&cx, rv, "event_id", quoted(&cx, "$", 'x', 253, ":b")), "event_id is too long");
	}
	ctx_close(&cx);
}

/* The sample padded to n bytes of canonical JSON. */
static struct json *
of_size(struct ctx *cx, const struct room_version *rv, size_t n)
{
	struct json *pdu = sample(cx, rv);
	size_t now;

	json_set(cx->a, json_get(pdu, "content"), "pad", json_new_str(cx->a, ""));
	json_canonical_str(cx->a, pdu, &now);
	json_set(cx->a, json_get(pdu, "content"), "pad", js(cx, quoted(cx, "", 'x', n - now, "")));
	return pdu;
}

Test(event_pdu, size_of_the_whole)
{
	struct ctx cx;

	ctx_open(&cx);
	EACH_VERSION(rv)
	{
		reads(&cx, rv, of_size(&cx, rv, 65536), "65536 bytes");
		refuses(&cx, rv, of_size(&cx, rv, 65537), "larger than 65536");
	}
	ctx_close(&cx);
}

static const char *
many(struct ctx *cx, const struct room_version *rv, size_t n)
{
	struct buf b;

	buf_init(&b, cx->a);
	buf_putc(&b, '[');
	for (size_t i = 0; i < n; i++)
		buf_addf(
		    &b, rv->event_id_format == 1 ? "%s[\"$%zu:a\",{\"sha256\":\"x\"}]" : "%s\"$%zu\"", i ? "," : "", i);
	buf_putc(&b, ']');
	return b.s;
}

Test(event_pdu, edges)
{
	static const char *const none[] = { "[1]", "[\"x\"]", "[\"\"]", "[{}]", "[[]]", "[[\"$x:a\"]]",
		"[[\"$x:a\",1]]", "[[1,{}]]", "[[\"x:a\",{}]]", "[[\"$x:a\",{},{}]]", "{}" };
	struct ctx cx;

	ctx_open(&cx);
	EACH_VERSION(rv)
	{
		reads(&cx, rv, with(&cx, rv, "auth_events", "[]"), "none");
		reads(&cx, rv, with(&cx, rv, "auth_events", many(&cx, rv, 10)), "10 auth events");
		refuses(&cx, rv, with(&cx, rv, "auth_events", many(&cx, rv, 11)), "auth_events");
		reads(&cx, rv, with(&cx, rv, "prev_events", many(&cx, rv, 20)), "20 previous events");
		refuses(&cx, rv, with(&cx, rv, "prev_events", many(&cx, rv, 21)), "prev_events");
		for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
			refuses(&cx, rv, with(&cx, rv, "prev_events", none[i]), "prev_events");
		/* The other versions' form. */
		refuses(&cx, rv,
		    with(&cx, rv, "auth_events", rv->event_id_format == 1 ? "[\"$x:a\"]" : "[[\"$x:a\",{}]]"),
		    "auth_events");
		refuses(&cx, rv,
		    with(&cx, rv, "prev_events",
			arena_printf(
			    cx.a, rv->event_id_format == 1 ? "[[%s,{}]]" : "[%s]", quoted(&cx, "$", 'x', 253, ":a"))),
		    "prev_events");
	}
	ctx_close(&cx);
}

Test(event_pdu, hashes_and_signatures)
{
	struct ctx cx;

	ctx_open(&cx);
	EACH_VERSION(rv)
	{
		refuses(&cx, rv, with(&cx, rv, "hashes", "{}"), "sha256");
		refuses(&cx, rv, with(&cx, rv, "hashes", "{\"sha256\":1}"), "sha256");
		reads(&cx, rv, with(&cx, rv, "signatures", "{}"), "no signature");
		refuses(&cx, rv, with(&cx, rv, "signatures", "{\"a\":1}"), "signatures of a server");
		refuses(&cx, rv, with(&cx, rv, "signatures", "{\"a\":{\"ed25519:1\":1}}"), "a signature");
	}
	ctx_close(&cx);
}

Test(event_pdu, numbers)
{
	struct ctx cx;

	ctx_open(&cx);
	EACH_VERSION(rv)
	{
		refuses(&cx, rv, with(&cx, rv, "depth", "-1"), "depth is out of range");
		refuses(&cx, rv, with(&cx, rv, "depth", "1.5"), "depth is no integer");
		refuses(&cx, rv, with(&cx, rv, "depth", "9223372036854775808"), "depth is no integer");
		reads(&cx, rv, with(&cx, rv, "depth", "9007199254740991"), "2^53-1");
		reads(&cx, rv, with(&cx, rv, "origin_server_ts", "-5"), "before 1970");
		if (rv->strict_canonical) {
			refuses(&cx, rv, with(&cx, rv, "depth", "9007199254740992"), "depth is out of range");
			refuses(&cx, rv, with(&cx, rv, "content", "{\"x\":[1.5]}"), "a number");
			refuses(&cx, rv, with(&cx, rv, "content", "{\"x\":9007199254740992}"), "a number");
			refuses(&cx, rv, with(&cx, rv, "content", "{\"x\":-9007199254740992}"), "a number");
			refuses(&cx, rv, with(&cx, rv, "origin_server_ts", "9007199254740992"), "a number");
		} else {
			reads(&cx, rv, with(&cx, rv, "depth", "9223372036854775807"), "2^63-1");
			reads(&cx, rv, with(&cx, rv, "content", "{\"x\":[1.5,1e300,99999999999999999999]}"),
			    "any number");
		}
	}
	ctx_close(&cx);
}

Test(event_pdu, v12_create)
{
	const struct room_version *rv = room_version_get("12");
	struct json *pdu;
	struct event ev;
	struct ctx cx;

	ctx_open(&cx);
	pdu = with(&cx, rv, "room_id", NULL);
	json_set(cx.a, pdu, "type", json_new_str(cx.a, "m.room.create"));
	cr_assert_eq(event_read(&cx, rv, pdu, &ev), M_OK, "%s", cx.err_text);
	cr_expect_eq(ev.room[0], '!');
	cr_expect_eq(strlen(ev.room), 44);
	cr_expect_str_eq(ev.room + 1, ev.id + 1);
	/* With a room_id it is an event all the same; rule 1.2 rejects it. */
	json_set(cx.a, pdu, "room_id", json_new_str(cx.a, "!x:y"));
	cr_assert_eq(event_read(&cx, rv, pdu, &ev), M_OK, "%s", cx.err_text);
	cr_expect_str_eq(ev.room, "!x:y");
	refuses(&cx, room_version_get("11"), with(&cx, rv, "room_id", NULL), "room_id is missing");
	ctx_close(&cx);
}

/* What the table keeps, and back. */
static void
there_and_back(struct ctx *cx, const struct room_version *rv, struct json *pdu)
{
	struct event ev, back;

	cr_assert_eq(event_read(cx, rv, pdu, &ev), M_OK, "v%s: %s", rv->id, cx->err_text);
	cr_expect_null(ev.content_text);
	event_texts(cx->a, &ev);
	cr_expect_null(strstr(ev.rest_text, "origin_server_ts"));
	cr_expect_null(strstr(ev.rest_text, "unsigned"));
	back = (struct event){ .rv = rv,
		.id = ev.id,
		.room = ev.room,
		.type = ev.type,
		.sender = ev.sender,
		.state_key = ev.state_key,
		.ts = ev.ts,
		.content = js(cx, ev.content_text) };
	cr_assert_eq(event_restore(cx, &back, ev.rest_text, strlen(ev.rest_text)), M_OK);
	json_del(pdu, "unsigned");
	cr_expect_str_eq(canonical(cx, back.json), canonical(cx, pdu));
	cr_expect_eq(back.depth, ev.depth);
	cr_assert_eq(back.nprev, ev.nprev);
	for (size_t i = 0; i < ev.nprev; i++)
		cr_expect_str_eq(back.prev_ids[i], ev.prev_ids[i]);
	cr_expect_eq(back.nauth, ev.nauth);
}

Test(event_pdu, texts_and_restore)
{
	struct json *pdu;
	struct ctx cx;

	ctx_open(&cx);
	EACH_VERSION(rv)
	{
		there_and_back(&cx, rv, sample(&cx, rv));
		there_and_back(&cx, rv, with(&cx, rv, "state_key", NULL));
		there_and_back(&cx, rv, with(&cx, rv, "redacts", "\"$x\""));
		pdu = with(&cx, rv, "type\\u0000", NULL);
		there_and_back(
		    &cx, rv, js(&cx, arena_printf(cx.a, "{\"type\\u0000\":1,\"zz\":[{}],%s", canonical(&cx, pdu) + 1)));
		there_and_back(&cx, rv, with(&cx, rv, "sender", "\"@a\\\"b\\u0001:b\""));
		if (rv->event_id_format != 1)
			there_and_back(&cx, rv, with(&cx, rv, "event_id", "\"$stray\""));
		if (!rv->strict_canonical)
			there_and_back(&cx, rv, with(&cx, rv, "content", "{\"x\":1.50}"));
		if (rv->room_id_is_create_hash) {
			there_and_back(&cx, rv, with(&cx, rv, "type", "\"m.room.create\""));
			pdu = with(&cx, rv, "type", "\"m.room.create\"");
			json_del(pdu, "room_id");
			there_and_back(&cx, rv, pdu);
		}
	}
	ctx_close(&cx);
}

Test(event_pdu, restore_refuses_what_is_no_rest)
{
	const struct room_version *rv = room_version_get("11");
	struct event ev = { .rv = rv, .id = "$x", .room = "!r:a", .type = "t", .sender = "@u:b" };
	struct ctx cx;

	ctx_open(&cx);
	ev.content = js(&cx, "{}");
	cr_expect_eq(event_restore(&cx, &ev, "{", 1), M_UNKNOWN);
	cr_expect_eq(event_restore(&cx, &ev, "[]", 2), M_UNKNOWN);
	cr_expect_eq(event_restore(&cx, &ev, "{}", 2), M_UNKNOWN, "without auth_events");
	ctx_close(&cx);
}
