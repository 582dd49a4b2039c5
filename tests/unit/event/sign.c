/* tests/unit/event/sign.c - signatures, by the vectors of Appendices, "Cryptographic Test Vectors". */
#include <criterion/criterion.h>

#include "tests/unit/event/room.h"

Test(event_sign, json_vectors)
{
	struct json *cases, *obj;
	struct ctx cx;

	ctx_open(&cx);
	cases = json_get(js_file(&cx, "tests/vectors/signing.json"), "json");
	cr_assert_eq(cases->u.arr.n, 2);
	for (size_t i = 0; i < cases->u.arr.n; i++) {
		obj = json_get(cases->u.arr.v[i], "in");
		json_sign(cx.a, obj, "domain", cx.key);
		cr_expect_str_eq(canonical(&cx, obj), canonical(&cx, json_get(cases->u.arr.v[i], "out")));
		cr_expect(json_verify(cx.a, obj, "domain", "ed25519:1", cx.key->pub));
	}
	ctx_close(&cx);
}

/* These events lack what room versions demand; only their hash and signature are of interest, by the rules of v1. */
Test(event_sign, event_vectors)
{
	const struct room_version *rv = room_version_get("1");
	struct json *cases, *hashes;
	struct ctx cx;

	ctx_open(&cx);
	cases = json_get(js_file(&cx, "tests/vectors/signing.json"), "event");
	cr_assert_eq(cases->u.arr.n, 2);
	for (size_t i = 0; i < cases->u.arr.n; i++) {
		struct event ev = { .rv = rv, .json = json_get(cases->u.arr.v[i], "in") };

		hashes = json_new_obj(cx.a);
		json_set(cx.a, hashes, "sha256", json_new_str(cx.a, event_content_hash(cx.a, &ev)));
		json_set(cx.a, ev.json, "hashes", hashes);
		event_sign(cx.a, rv, ev.json, "domain", cx.key);
		cr_expect_str_eq(canonical(&cx, ev.json), canonical(&cx, json_get(cases->u.arr.v[i], "out")));
		cr_expect(event_verify_sig(cx.a, rv, ev.json, "domain", "ed25519:1", cx.key->pub));
		cr_expect(event_hash_ok(cx.a, &ev));
	}
	ctx_close(&cx);
}

/* "This step should succeed whether we have been sent the full event or a redacted copy." */
Test(event_sign, covers_the_redacted_event)
{
	const struct room_version *rv = room_version_get("11");
	struct json *pdu;
	struct ctx cx;

	ctx_open(&cx);
	pdu = js(&cx, "{\"type\":\"m.room.message\",\"content\":{\"body\":\"x\"},\"sender\":\"@a:a\",\"depth\":1}");
	event_sign(cx.a, rv, pdu, "a", cx.key);
	cr_expect(event_verify_sig(cx.a, rv, event_redact(cx.a, rv, pdu), "a", "ed25519:1", cx.key->pub));
	json_set(cx.a, pdu, "content", js(&cx, "{\"body\":\"y\"}"));
	json_set(cx.a, pdu, "unsigned", js(&cx, "{\"age\":1}"));
	cr_expect(event_verify_sig(cx.a, rv, pdu, "a", "ed25519:1", cx.key->pub));
	json_set(cx.a, pdu, "depth", json_new_int(cx.a, 2));
	cr_expect_not(event_verify_sig(cx.a, rv, pdu, "a", "ed25519:1", cx.key->pub));
	ctx_close(&cx);
}

Test(event_sign, adds_to_what_is_there)
{
	struct json *obj, *shared;
	struct ctx cx;

	ctx_open(&cx);
	shared = js(&cx, "{\"b\":{\"ed25519:x\":\"sig\"},\"a\":{\"ed25519:old\":\"sig\"}}");
	obj = js(&cx, "{\"x\":1,\"unsigned\":{\"y\":2}}");
	json_set(cx.a, obj, "signatures", shared);
	json_sign(cx.a, obj, "a", cx.key);
	cr_expect_str_eq(json_get_str(json_get(json_get(obj, "signatures"), "b"), "ed25519:x"), "sig");
	cr_expect_str_eq(json_get_str(json_get(json_get(obj, "signatures"), "a"), "ed25519:old"), "sig");
	cr_expect_eq(json_get_int(json_get(obj, "unsigned"), "y", 0), 2);
	cr_expect_null(json_get(json_get(shared, "a"), "ed25519:1"), "a tree that others share is not written to");
	cr_expect(json_verify(cx.a, obj, "a", "ed25519:1", cx.key->pub));
	ctx_close(&cx);
}

Test(event_sign, replaces_what_is_no_object)
{
	struct json *obj;
	struct ctx cx;

	ctx_open(&cx);
	obj = js(&cx, "{\"signatures\":[]}");
	json_sign(cx.a, obj, "a", cx.key);
	cr_expect(json_verify(cx.a, obj, "a", "ed25519:1", cx.key->pub));
	ctx_close(&cx);
}

Test(event_sign, verification_fails)
{
	static const unsigned char other[ED25519_PUB] = { 1, 2, 3 };
	struct json *obj;
	struct ctx cx;

	ctx_open(&cx);
	obj = js(&cx, "{\"x\":1}");
	json_sign(cx.a, obj, "a", cx.key);
	cr_assert(json_verify(cx.a, obj, "a", "ed25519:1", cx.key->pub));
	cr_expect_not(json_verify(cx.a, obj, "b", "ed25519:1", cx.key->pub), "no such server");
	cr_expect_not(json_verify(cx.a, obj, "a", "ed25519:2", cx.key->pub), "no such key");
	cr_expect_not(json_verify(cx.a, obj, "a", "ed25519:1", other), "another key");
	json_set(cx.a, json_get(json_get(obj, "signatures"), "a"), "curve:1",
	    json_get(json_get(json_get(obj, "signatures"), "a"), "ed25519:1"));
	cr_expect_not(json_verify(cx.a, obj, "a", "curve:1", cx.key->pub), "another algorithm");
	json_set(cx.a, obj, "x", json_new_int(cx.a, 2));
	cr_expect_not(json_verify(cx.a, obj, "a", "ed25519:1", cx.key->pub), "changed");
	cr_expect_not(json_verify(cx.a, js(&cx, "{}"), "a", "ed25519:1", cx.key->pub));
	cr_expect_not(
	    json_verify(cx.a, js(&cx, "{\"signatures\":{\"a\":{\"ed25519:1\":1}}}"), "a", "ed25519:1", cx.key->pub));
	cr_expect_not(json_verify(
	    cx.a, js(&cx, "{\"signatures\":{\"a\":{\"ed25519:1\":\"!\"}}}"), "a", "ed25519:1", cx.key->pub));
	cr_expect_not(json_verify(
	    cx.a, js(&cx, "{\"signatures\":{\"a\":{\"ed25519:1\":\"Zm9v\"}}}"), "a", "ed25519:1", cx.key->pub));
	ctx_close(&cx);
}
