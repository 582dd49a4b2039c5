/* tests/unit/event/redact.c - the redaction tables of every version, by tests/vectors/redaction.json. */
#include <criterion/criterion.h>

#include "tests/unit/event/room.h"

static const struct json *
kept_in(const struct json *c, int version)
{
	const struct json *kept = json_get(c, "kept");

	for (size_t i = 0; i < kept->u.obj.n; i++) {
		char *end;
		long first = strtol(kept->u.obj.v[i].key, &end, 10), last = strtol(end + 1, NULL, 10);

		if (first <= version && version <= last)
			return kept->u.obj.v[i].value;
	}
	cr_assert(false, "no expectation for v%d", version);
	return NULL;
}

Test(event_redact, content_of_every_type_and_version)
{
	size_t n;
	const struct room_version *const *all = room_versions(&n);
	struct ctx cx;
	struct json *cases, *pdu, *redacted;

	ctx_open(&cx);
	cases = js_file(&cx, "tests/vectors/redaction.json");
	for (size_t i = 0; i < cases->u.arr.n; i++)
		for (size_t v = 0; v < n; v++) {
			const struct json *c = cases->u.arr.v[i];
			const char *before = canonical(&cx, c);

			pdu = json_new_obj(cx.a);
			json_set(cx.a, pdu, "type", json_get(c, "type"));
			json_set(cx.a, pdu, "content", json_get(c, "content"));
			redacted = event_redact(cx.a, all[v], pdu);
			cr_expect(json_equal(json_get(redacted, "content"), kept_in(c, (int)v + 1)),
			    "case %zu, v%s: %s", i, all[v]->id, canonical(&cx, redacted));
			cr_expect(json_equal(event_redact(cx.a, all[v], redacted), redacted), "again: case %zu, v%s", i,
			    all[v]->id);
			cr_expect_str_eq(canonical(&cx, c), before, "the original is as it was");
		}
	ctx_close(&cx);
}

Test(event_redact, top_level_keys)
{
	static const char all_keys[] =
	    "{\"event_id\":1,\"type\":\"x\",\"room_id\":2,\"sender\":3,\"state_key\":4,\"content\":{},"
	    "\"hashes\":5,\"signatures\":6,\"depth\":7,\"prev_events\":8,\"prev_state\":9,\"auth_events\":10,"
	    "\"origin\":11,"
	    "\"origin_server_ts\":12,\"membership\":13,\"unsigned\":14,\"redacts\":15,\"age_ts\":16,\"type\\u0000\":"
	    "17}";
	static const char before_v11[] =
	    "{\"auth_events\":10,\"content\":{},\"depth\":7,\"event_id\":1,\"hashes\":5,"
	    "\"membership\":13,\"origin\":11,\"origin_server_ts\":12,\"prev_events\":8,\"prev_state\":9,\"room_id\":2,"
	    "\"sender\":3,\"signatures\":6,\"state_key\":4,\"type\":\"x\"}";
	static const char from_v11[] = "{\"auth_events\":10,\"content\":{},\"depth\":7,\"event_id\":1,\"hashes\":5,"
				       "\"origin_server_ts\":12,\"prev_events\":8,\"room_id\":2,\"sender\":3,"
				       "\"signatures\":6,\"state_key\":4,\"type\":\"x\"}";
	size_t n;
	const struct room_version *const *all = room_versions(&n);
	struct ctx cx;

	ctx_open(&cx);
	for (size_t v = 0; v < n; v++)
		cr_expect_str_eq(canonical(&cx, event_redact(cx.a, all[v], js(&cx, all_keys))),
		    v < 10 ? before_v11 : from_v11, "v%s", all[v]->id);
	ctx_close(&cx);
}

/* What is no event at all must not crash it: it runs on what other servers send. */
Test(event_redact, odd_shapes)
{
	struct ctx cx;
	const struct room_version *rv = room_version_get("11");

	ctx_open(&cx);
	cr_expect_str_eq(canonical(&cx, event_redact(cx.a, rv, js(&cx, "{}"))), "{}");
	cr_expect_str_eq(canonical(&cx, event_redact(cx.a, rv, js(&cx, "{\"type\":1,\"content\":2}"))),
	    "{\"content\":2,\"type\":1}");
	cr_expect_str_eq(
	    canonical(&cx, event_redact(cx.a, rv, js(&cx, "{\"content\":{\"a\":1}}"))), "{\"content\":{}}");
	ctx_close(&cx);
}
