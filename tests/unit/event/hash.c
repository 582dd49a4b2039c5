/*
 * tests/unit/event/hash.c - hashes and event ids. tests/vectors/event_ids.json was computed by
 * a script in another language, from the specification's text and not from this code.
 */
#include <criterion/criterion.h>

#include "tests/unit/event/room.h"

Test(event_hash, vectors)
{
	struct json *cases;
	struct ctx cx;

	ctx_open(&cx);
	cases = js_file(&cx, "tests/vectors/event_ids.json");
	cr_assert_gt(cases->u.arr.n, 50);
	for (size_t i = 0; i < cases->u.arr.n; i++) {
		const struct json *c = cases->u.arr.v[i];
		const struct room_version *rv = room_version_get(json_get_str(c, "version"));
		struct event ev = { .rv = rv, .json = json_get(c, "pdu") };

		cr_expect_str_eq(event_content_hash(cx.a, &ev), json_get_str(c, "content_hash"), "case %zu", i);
		cr_expect(event_hash_ok(cx.a, &ev), "case %zu", i);
		cr_expect_str_eq(
		    event_reference_b64(cx.a, rv, ev.json), json_get_str(c, "reference_hash"), "case %zu", i);
		cr_expect_str_eq(event_id_of(cx.a, rv, ev.json), json_get_str(c, "event_id"), "case %zu", i);
	}
	ctx_close(&cx);
}

static bool
hash_ok(struct ctx *cx, const char *pdu)
{
	struct event ev = { .rv = room_version_get("11"), .json = js(cx, pdu) };

	return event_hash_ok(cx->a, &ev);
}

/* The minimal event of Appendices, "Event Signing". */
#define REST                                                                                                     \
	"\"room_id\":\"!x:domain\",\"sender\":\"@a:domain\",\"origin\":\"domain\",\"origin_server_ts\":1000000," \
	"\"type\":\"X\",\"content\":{},\"prev_events\":[],\"auth_events\":[],\"depth\":3}"

Test(event_hash, what_is_compared)
{
	struct ctx cx;

	ctx_open(&cx);
	cr_expect(hash_ok(&cx, "{\"hashes\":{\"sha256\":\"5jM4wQpv6lnBo7CLIghJuHdW+s2CMBJPUOGOC89ncos\"}," REST));
	cr_expect(
	    hash_ok(&cx, "{\"hashes\":{\"sha256\":\"5jM4wQpv6lnBo7CLIghJuHdW+s2CMBJPUOGOC89ncos=\"}," REST), "padded");
	cr_expect(hash_ok(&cx, "{\"signatures\":1,\"unsigned\":2,\"hashes\":{\"sha256\":"
			       "\"5jM4wQpv6lnBo7CLIghJuHdW+s2CMBJPUOGOC89ncos\",\"md5\":\"x\"}," REST),
	    "what is not covered");
	cr_expect_not(
	    hash_ok(&cx, "{\"more\":1,\"hashes\":{\"sha256\":\"5jM4wQpv6lnBo7CLIghJuHdW+s2CMBJPUOGOC89ncos\"}," REST));
	cr_expect_not(
	    hash_ok(&cx, "{\"hashes\":{\"sha256\":\"5jM4wQpv6lnBo7CLIghJuHdW+s2CMBJPUOGOC89nco\"}," REST), "short");
	cr_expect_not(hash_ok(&cx, "{\"hashes\":{\"sha256\":\"\"}," REST));
	cr_expect_not(hash_ok(&cx, "{\"hashes\":{\"sha256\":\"!\"}," REST), "no base64");
	cr_expect_not(hash_ok(&cx, "{\"hashes\":{\"sha256\":1}," REST));
	cr_expect_not(hash_ok(&cx, "{\"hashes\":{}," REST));
	cr_expect_not(hash_ok(&cx, "{" REST));
	ctx_close(&cx);
}

Test(event_hash, no_event_id)
{
	struct ctx cx;

	ctx_open(&cx);
	cr_expect_null(event_id_of(cx.a, room_version_get("2"), js(&cx, "{}")));
	cr_expect_null(event_id_of(cx.a, room_version_get("2"), js(&cx, "{\"event_id\":1}")));
	ctx_close(&cx);
}
