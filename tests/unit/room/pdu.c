/* tests/unit/room/pdu.c - columns and texts put together again are the canonical PDU, or the whole is kept. */
#include <criterion/criterion.h>

#include "core/room/pdu.h"
#include "core/room/render.h"
#include "tests/unit/event/room.h"

#define REST "\"auth_events\":[],\"depth\":3,\"hashes\":{\"sha256\":\"x\"},\"prev_events\":[],\"signatures\":{}"

static struct pdu_columns
split(struct ctx *cx, const char *version, const char *text, struct event *ev)
{
	struct pdu_columns c;

	cr_assert_eq(event_read(cx, room_version_get(version), js(cx, text), ev), M_OK, "%s: %s", text, cx->err_text);
	event_columns(cx->a, ev, &c);
	return c;
}

static void
expect_round_trip(const char *version, const char *text, int flags)
{
	struct ctx cx = { .a = arena_new() };
	struct event ev, back;
	struct pdu_columns c = split(&cx, version, text, &ev);
	const char *whole = json_canonical_str(cx.a, ev.json, NULL);
	struct buf b;

	buf_init(&b, cx.a);
	event_assemble(&cx, &b, ev.rv, &c);
	cr_expect_str_eq(b.s, whole);
	cr_expect_eq(c.flags, flags, "flags of %s", text);
	cr_assert_eq(event_load(&cx, ev.rv, &c, &back), M_OK);
	cr_expect_str_eq(json_canonical_str(cx.a, back.json, NULL), whole, "loaded");
	arena_free(cx.a);
}

Test(room_pdu, round_trip)
{
	expect_round_trip("11", "{" REST ",\"content\":{},\"origin_server_ts\":1,\"room_id\":\"!r:x\",\"sender\":\"@a:x\",\"type\":\"t\"}", 0);
	expect_round_trip("11", "{" REST ",\"content\":{},\"origin_server_ts\":1,\"room_id\":\"!r:x\",\"sender\":\"@a:x\",\"state_key\":\"\",\"type\":\"t\"}", 0);
	/* keys before, between and after the columns */
	expect_round_trip("11", "{\"a\":1,\"contenu\":2,\"s\":{\"}\":\"]\\\"\"},\"sendes\":[[]],\"zz\":null," REST
	    ",\"content\":{\"k\":\"\\u0000\"},\"origin_server_ts\":1,\"room_id\":\"!r:x\",\"sender\":\"@a:x\",\"state_key\":\"k\",\"type\":\"t\"}", 0);
	/* keys whose order is that of their raw bytes, not of their escapes */
	expect_round_trip("11", "{\"\\u0000\":1,\"\\\"\":2,\"\\\\\":3,\"content\\u0000\":4,\"\xc3\xa9\":5," REST
	    ",\"content\":{},\"origin_server_ts\":1,\"room_id\":\"!r:x\",\"sender\":\"@a:x\",\"type\":\"t\"}", 0);
	/* v1 names the event in the PDU; v3 may have the key, which says nothing there */
	expect_round_trip("1", "{\"event_id\":\"$e:x\"," REST ",\"content\":{\"f\":1.0},\"origin_server_ts\":1,\"room_id\":\"!r:x\",\"sender\":\"@a:x\",\"type\":\"t\"}", 0);
	expect_round_trip("3", "{\"event_id\":\"$other\"," REST ",\"content\":{\"f\":1e3},\"origin_server_ts\":1,\"room_id\":\"!r:x\",\"sender\":\"@a:x\",\"type\":\"t\"}", 0);
	/* the create event of version 12 has no room id */
	expect_round_trip("12", "{" REST ",\"content\":{},\"origin_server_ts\":1,\"sender\":\"@a:x\",\"state_key\":\"\",\"type\":\"m.room.create\"}", 0);
}

/* unsigned belongs to whoever shows the event; it is not stored. */
Test(room_pdu, unsigned_is_left_out)
{
	struct ctx cx = { .a = arena_new() };
	struct event ev;
	struct pdu_columns c = split(&cx, "11", "{" REST ",\"content\":{},\"origin_server_ts\":1,\"room_id\":\"!r:x\",\"sender\":\"@a:x\","
	    "\"type\":\"t\",\"unsigned\":{\"age\":1}}", &ev);

	cr_expect_eq(c.flags, 0);
	cr_expect_null(strstr(c.pdu, "unsigned"));
	arena_free(cx.a);
}

/* What the columns cannot say is kept whole. */
Test(room_pdu, kept_verbatim)
{
	struct ctx cx = { .a = arena_new() };
	struct event ev, back;
	struct pdu_columns c;
	struct buf b;

	/* A text that its columns contradict, as odd PDUs of early versions may be. */
	split(&cx, "3", "{" REST ",\"content\":{},\"origin_server_ts\":1,\"room_id\":\"!r:x\",\"sender\":\"@a:x\",\"type\":\"t\"}", &ev);
	ev.ts = 2;
	event_columns(cx.a, &ev, &c);
	cr_expect_eq(c.flags, EV_VERBATIM);
	cr_expect_str_eq(c.pdu, "{}");
	buf_init(&b, cx.a);
	event_assemble(&cx, &b, ev.rv, &c);
	cr_expect_str_eq(b.s, json_canonical_str(cx.a, ev.json, NULL));
	cr_assert_eq(event_load(&cx, ev.rv, &c, &back), M_OK);
	cr_expect_eq(back.ts, 1);
	arena_free(cx.a);
}

Test(room_pdu, unreadable)
{
	struct ctx cx = { .a = arena_new() };
	struct pdu_columns c = { "$e", "!r:x", "t", "@a:x", NULL, 1, "{}", "[]", 0, NULL, 0 };
	struct event ev;

	cr_expect_eq(event_load(&cx, room_version_get("11"), &c, &ev), M_UNKNOWN);
	c.pdu = "{}";
	c.content = "{";
	c.flags = EV_VERBATIM;
	cr_expect_eq(event_load(&cx, room_version_get("11"), &c, &ev), M_UNKNOWN);
	arena_free(cx.a);
}

/* Content may be as deep as JSON_MAX_DEPTH, and the PDU around it one deeper. */
Test(room_pdu, own_and_deep)
{
	struct ctx cx;
	char text[600] = "{\"k\":";
	struct event ev, back;
	struct pdu_columns c;
	struct buf b;

	ctx_open(&cx);
	size_t n = strlen(text);
	memset(text + n, '[', JSON_MAX_DEPTH - 1);
	memset(text + n + JSON_MAX_DEPTH - 1, ']', JSON_MAX_DEPTH - 1);
	text[n + 2 * (JSON_MAX_DEPTH - 1)] = '}';
	struct event_draft d = { .rv = room_version_get("11"), .room = "!r:a", .type = "t", .sender = "@u:a", .content = js(&cx, text), .ts = 1, .depth = 2 };
	cr_assert_eq(event_build(&cx, &d, &ev), M_OK, "%s", cx.err_text);
	event_columns(cx.a, &ev, &c);
	cr_assert_not_null(c.cites);
	buf_init(&b, cx.a);
	event_assemble(&cx, &b, d.rv, &c);
	event_complete(&cx, &ev);
	cr_expect_str_eq(b.s, json_canonical_str(cx.a, ev.json, NULL));
	cr_expect_not_null(strstr(b.s, "\"hashes\""));
	cr_assert_eq(event_load(&cx, d.rv, &c, &back), M_OK);
	event_complete(&cx, &back);
	cr_expect(event_verify_sig(cx.a, d.rv, back.json, "a", cx.key->id, cx.key->pub));
	ctx_close(&cx);
}
