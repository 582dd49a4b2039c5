/* tests/unit/event/build.c - events of this server: each must pass every check that others make. */
#include <criterion/criterion.h>

#include "core/event/impl.h"
#include "tests/unit/event/room.h"

static const char *auth_ids[] = { "$c", "$p" }, *prev_ids[] = { "$x/+", "$y-_", "$z" };
static const char *hashes[] = { "aGFzaDE", "aGFzaDI", "aGFzaDM" };

static struct event_draft
draft(struct ctx *cx, const struct room_version *rv, const char *type, const char *content)
{
	return (struct event_draft){
		.rv = rv,
		.room = rv->room_id_is_create_hash ? "!Nhcu5BS-UMnFX7hBVfVSoXiD7OgH6iRT-xyIuqDnpYQ" : "!r:a",
		.type = type,
		.sender = "@u:a",
		.content = js(cx, content),
		.auth_ids = auth_ids,
		.prev_ids = prev_ids,
		.auth_hashes = hashes,
		.prev_hashes = hashes,
		.nauth = 2,
		.nprev = 3,
		.depth = 7,
		.ts = 1700000000000,
	};
}

/* What any other server would find. */
static void
check(struct ctx *cx, const struct event *ev)
{
	struct event other;
	const char *v = ev->rv->id;

	/* Read from its bytes, not from our tree. */
	cr_assert_eq(event_read(cx, ev->rv, js(cx, canonical(cx, ev->json)), &other), M_OK, "v%s: %s", v, cx->err_text);
	cr_expect(event_hash_ok(cx->a, &other), "v%s: content hash", v);
	cr_expect(event_verify_sig(cx->a, ev->rv, other.json, "a", "ed25519:1", cx->key->pub), "v%s: signature", v);
	cr_expect_str_eq(other.id, ev->id, "v%s: id", v);
	cr_expect_str_eq(other.room, ev->room);
	cr_expect_str_eq(other.type, ev->type);
	cr_expect_str_eq(other.sender, ev->sender);
	cr_expect_eq(!other.state_key, !ev->state_key);
	cr_expect_eq(other.ts, ev->ts);
	cr_expect_eq(other.depth, ev->depth);
	cr_assert_eq(other.nauth, ev->nauth);
	cr_assert_eq(other.nprev, ev->nprev);
	for (size_t i = 0; i < ev->nprev; i++)
		cr_expect_str_eq(other.prev_ids[i], ev->prev_ids[i]);
	json_del(other.json, "hashes");		/* they follow from the rest, and are not stored */
	json_del(other.json, "signatures");
	if (ev->cites != NULL) {
		struct event cited;
		cr_assert(cites_unpack(cx->a, ev->rv, ev->cites, ev->ncites, &cited));
		cr_expect_eq(cited.depth, ev->depth);
		cr_assert_eq(cited.nauth, ev->nauth);
		cr_assert_eq(cited.nprev, ev->nprev);
		for (size_t i = 0; i < ev->nauth; i++)
			cr_expect_str_eq(cited.auth_ids[i], ev->auth_ids[i]);
		for (size_t i = 0; i < ev->nprev; i++)
			cr_expect_str_eq(cited.prev_ids[i], ev->prev_ids[i]);
		json_del(other.json, "auth_events");
		json_del(other.json, "depth");
		json_del(other.json, "prev_events");
	}
	event_texts(cx->a, &other);
	cr_expect_str_eq(other.content_text, ev->content_text, "v%s", v);
	cr_expect_str_eq(other.rest_text, ev->rest_text, "v%s", v);
	cr_expect(json_equal(other.content, ev->content));
}

static void
build(struct ctx *cx, const struct event_draft *d, struct event *ev)
{
	cr_assert_eq(event_build(cx, d, ev), M_OK, "v%s: %s", d->rv->id, cx->err_text);
	event_complete(cx, ev);
	check(cx, ev);
}

Test(event_build, every_version_and_kind)
{
	struct event_draft d;
	struct event ev;
	struct ctx cx;

	ctx_open(&cx);
	EACH_VERSION(rv)
	{
		d = draft(&cx, rv, "m.room.message", "{\"msgtype\":\"m.text\",\"body\":\"\\u0000 ü \\\"\"}");
		build(&cx, &d, &ev);
		cr_expect_null(ev.state_key);

		d = draft(&cx, rv, "m.room.member",
		    "{\"membership\":\"join\",\"displayname\":\"U\",\"join_authorised_via_users_server\":"
		    "\"@x:a\",\"third_party_invite\":{\"signed\":{},\"x\":1}}");
		d.state_key = "@u:a";
		build(&cx, &d, &ev);
		cr_expect_str_eq(ev.state_key, "@u:a");

		d = draft(
		    &cx, rv, "m.room.power_levels", "{\"users\":{\"@u:a\":100},\"invite\":5,\"notifications\":{}}");
		d.state_key = "";
		build(&cx, &d, &ev);

		d = draft(&cx, rv, "odd\\\"\\\\\\u0000", "{}");
		d.state_key = "\\n\\u001fü";
		build(&cx, &d, &ev);
		cr_expect_str_eq(ev.state_key, "\\n\\u001fü");
	}
	ctx_close(&cx);
}

/* Ids that are hashes are packed, any other id leaves all as text. */
Test(event_build, what_is_cited)
{
	struct event_draft d;
	struct event ev, odd;
	struct ctx cx;

	ctx_open(&cx);
	EACH_VERSION(rv)
	{
		const char *ids[3];
		unsigned char hash[SHA256_LEN];
		for (int i = 0; i < 3; i++) {
			memset(hash, 0xf8 + i, sizeof hash);
			ids[i] = event_id_from_hash(cx.a, rv, hash);
		}
		d = draft(&cx, rv, "m.room.message", "{}");
		d.auth_ids = d.prev_ids = ids;
		d.depth = rv->strict_canonical ? 9007199254740991 : INT64_MAX;
		build(&cx, &d, &ev);
		cr_expect_eq(ev.cites == NULL, rv->event_id_format == 1, "v%s", rv->id);
		if (ev.cites == NULL)
			continue;
		cr_expect_eq(ev.ncites, 9 + 5 * SHA256_LEN);
		cr_expect_str_eq(ev.rest_text, "{}");
		cr_expect_not(cites_unpack(cx.a, rv, ev.cites, ev.ncites - 1, &odd));
		cr_expect_not(cites_unpack(cx.a, rv, ev.cites, 8, &odd));
		cr_expect_not(cites_unpack(cx.a, rv, ev.cites, 9 + SHA256_LEN, &odd), "fewer ids than auth events");
		ids[2] = arena_printf(cx.a, "%.42s=", ids[2]);	/* the same bytes, another id */
		build(&cx, &d, &ev);
		cr_expect_null(ev.cites);
	}
	ctx_close(&cx);
}

Test(event_build, create)
{
	struct event_draft d;
	struct event ev;
	struct ctx cx;

	ctx_open(&cx);
	EACH_VERSION(rv)
	{
		d = draft(
		    &cx, rv, "m.room.create", "{\"creator\":\"@u:a\",\"room_version\":\"x\",\"m.federate\":true}");
		d.state_key = "";
		d.nauth = d.nprev = 0;
		d.depth = 1;
		d.auth_hashes = d.prev_hashes = NULL;
		if (rv->room_id_is_create_hash)
			d.room = NULL;
		build(&cx, &d, &ev);
		if (rv->room_id_is_create_hash) {
			cr_expect_null(json_get(ev.json, "room_id"));
			cr_expect_str_eq(ev.room + 1, ev.id + 1);
		}
	}
	ctx_close(&cx);
}

Test(event_build, redaction)
{
	struct event_draft d;
	struct event ev;
	struct ctx cx;

	ctx_open(&cx);
	EACH_VERSION(rv)
	{
		d = draft(&cx, rv, "m.room.redaction", "{\"reason\":\"spam\"}");
		d.redacts = "$x/+";
		build(&cx, &d, &ev);
		cr_expect_str_eq(event_redacts(cx.a, &ev), "$x/+");
		cr_expect_eq(!json_get(ev.json, "redacts"), rv->redacts_in_content, "v%s", rv->id);
		cr_expect_eq(!json_get(ev.content, "redacts"), !rv->redacts_in_content, "v%s", rv->id);
		cr_expect_null(json_get(d.content, "redacts"), "the draft's content is as it was");
	}
	ctx_close(&cx);
}

Test(event_build, ids)
{
	struct event_draft d;
	struct event ev, again;
	struct ctx cx;

	ctx_open(&cx);
	EACH_VERSION(rv)
	{
		d = draft(&cx, rv, "t", "{}");
		build(&cx, &d, &ev);
		build(&cx, &d, &again);
		if (rv->event_id_format == 1) {
			cr_expect_str_neq(ev.id, again.id, "random");
			cr_expect_str_eq(strchr(ev.id, ':'), ":a");
		} else {
			cr_expect_str_eq(ev.id, again.id, "a hash");
			cr_expect_eq(strlen(ev.id), 44);
		}
	}
	ctx_close(&cx);
}

Test(event_build, reference_hashes_of_v1_and_v2)
{
	struct event_draft d;
	struct event ev;
	struct ctx cx;

	ctx_open(&cx);
	EACH_VERSION(rv)
	{
		d = draft(&cx, rv, "t", "{}");
		build(&cx, &d, &ev);
		cr_expect_str_eq(canonical(&cx, json_get(ev.json, "auth_events")),
		    rv->event_id_format == 1 ? "[[\"$c\",{\"sha256\":\"aGFzaDE\"}],[\"$p\",{\"sha256\":\"aGFzaDI\"}]]"
					     : "[\"$c\",\"$p\"]");
		d.prev_hashes = NULL;
		cr_expect_eq(event_build(&cx, &d, &ev), rv->event_id_format == 1 ? M_UNKNOWN : M_OK);
		d.prev_hashes = hashes;
		d.auth_hashes = NULL;
		cr_expect_eq(event_build(&cx, &d, &ev), rv->event_id_format == 1 ? M_UNKNOWN : M_OK);
	}
	ctx_close(&cx);
}

Test(event_build, depth_ends_at_the_limit)
{
	struct event_draft d;
	struct event ev;
	struct ctx cx;

	ctx_open(&cx);
	EACH_VERSION(rv)
	{
		d = draft(&cx, rv, "t", "{}");
		d.depth = INT64_MAX;
		build(&cx, &d, &ev);
		cr_expect_eq(ev.depth, rv->strict_canonical ? 9007199254740991 : INT64_MAX);
	}
	ctx_close(&cx);
}

Test(event_build, numbers)
{
	static const char *const odd[] = { "{\"x\":1.5}", "{\"x\":[9007199254740992]}",
		"{\"x\":{\"y\":-9007199254740992}}", "{\"x\":1e400}", "{\"x\":99999999999999999999}" };
	struct event_draft d;
	struct event ev;
	struct ctx cx;

	ctx_open(&cx);
	EACH_VERSION(rv)
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		d = draft(&cx, rv, "t", odd[i]);
		if (rv->strict_canonical)
			cr_expect_eq(event_build(&cx, &d, &ev), M_BAD_JSON, "v%s: %s", rv->id, odd[i]);
		else
			build(&cx, &d, &ev);
	}
	ctx_close(&cx);
}

static const char *
repeat(struct ctx *cx, const char *s, size_t n)
{
	struct buf b;

	buf_init(&b, cx->a);
	while (n--)
		buf_puts(&b, s);
	return b.s;
}

Test(event_build, size_of_keys)
{
	struct event_draft d;
	struct event ev;
	struct ctx cx;

	ctx_open(&cx);
	EACH_VERSION(rv)
	{
		d = draft(&cx, rv, repeat(&cx, "x", 255), "{}");
		d.state_key = repeat(&cx, "\\u0000", 255);
		build(&cx, &d, &ev);
		d.state_key = repeat(&cx, "\\u0000", 256);
		cr_expect_eq(event_build(&cx, &d, &ev), M_TOO_LARGE);
		d.state_key = repeat(&cx, "ü", 128);
		cr_expect_eq(event_build(&cx, &d, &ev), M_TOO_LARGE);
		d.state_key = "";
		d.type = repeat(&cx, "x", 256);
		cr_expect_eq(event_build(&cx, &d, &ev), M_TOO_LARGE);
	}
	ctx_close(&cx);
}

/* The limit is exact: the largest event that others take is one that we make. */
Test(event_build, size_of_the_whole)
{
	struct event_draft d;
	struct event ev;
	struct ctx cx;
	size_t n;

	ctx_open(&cx);
	EACH_VERSION(rv)
	{
		d = draft(&cx, rv, "t", "{\"pad\":\"\"}");
		d.redacts = "$x";
		build(&cx, &d, &ev);
		json_canonical_str(cx.a, ev.json, &n);
		json_set(cx.a, d.content, "pad", json_new_str(cx.a, repeat(&cx, "x", 65536 - n)));
		build(&cx, &d, &ev);
		json_canonical_str(cx.a, ev.json, &n);
		cr_expect_eq(n, 65536);
		json_set(cx.a, d.content, "more", json_new_int(cx.a, 1));
		cr_expect_eq(event_build(&cx, &d, &ev), M_TOO_LARGE);
	}
	ctx_close(&cx);
}

Test(event_build, edges_are_bounded)
{
	const char *ids[22];
	struct event_draft d;
	struct event ev;
	struct ctx cx;

	ctx_open(&cx);
	for (size_t i = 0; i < 22; i++)
		ids[i] = "$x";
	d = draft(&cx, room_version_get("11"), "t", "{}");
	d.prev_ids = d.auth_ids = ids;
	d.nprev = 20;
	d.nauth = 10;
	build(&cx, &d, &ev);
	d.nprev = 21;
	cr_expect_eq(event_build(&cx, &d, &ev), M_UNKNOWN);
	d.nprev = 20;
	d.nauth = 11;
	cr_expect_eq(event_build(&cx, &d, &ev), M_UNKNOWN);
	ctx_close(&cx);
}
