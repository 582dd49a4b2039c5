/*
 * tests/fuzz/signed.c - signed objects of clients. The input is a public key in base64, a newline, and an object. What is signed
 * depends on neither signatures nor unsigned; a right signature holds, and no longer once a byte of it or of the object differs.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/b64.h"
#include "core/e2ee/sig.h"

#define MUST(x) do { if (!(x)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct json *
signature(struct arena *a, const struct signing_key *k, const char *body, size_t broken)
{
	unsigned char sig[ED25519_SIG];

	ed25519_sign(k, body, strlen(body), sig);
	if (broken < 8 * sizeof sig)
		sig[broken / 8] ^= (unsigned char)(1 << broken % 8);
	return json_new_esc(a, b64_encode(a, sig, sizeof sig));
}

static void
object(struct arena *a, struct json *v)
{
	static const unsigned char seed[ED25519_SEED] = { 1, 2, 3 };
	const char *body = signed_body(a, v);
	static struct signing_key *k;	/* they live as long as the process */
	const struct json *of = signatures_of(v, "@a:x");

	MUST(of == NULL || json_is(of, JSON_OBJ));
	if (k == NULL)
		k = signing_key_new("ed25519:1", seed);
	MUST(body_verify(a, body, signature(a, k, body, SIZE_MAX), k->pub));
	MUST(!body_verify(a, body, signature(a, k, body, strlen(body) % (8 * ED25519_SIG)), k->pub));
	MUST(!body_verify(a, arena_printf(a, "%s ", body), signature(a, k, body, SIZE_MAX), k->pub));
	for (size_t i = 0; json_is(v, JSON_OBJ) && i < v->u.obj.n; i++)
		body_verify(a, body, v->u.obj.v[i].value, k->pub);
	if (json_is(v, JSON_OBJ)) {
		json_set(a, v, "unsigned", json_new_int(a, 1));
		json_set(a, v, "signatures", json_new_obj(a));
		MUST(strcmp(signed_body(a, v), body) == 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	const char *text = arena_strndup(a, (const char *)data, size), *rest = strchr(text, '\n');
	unsigned char pub[ED25519_PUB];
	struct json *v;

	if (rest != NULL) {
		size_t n = (size_t)(rest - text);

		if (ed25519_read(a, text, n, pub))
			MUST(strlen(b64_encode(a, pub, sizeof pub)) == n && memcmp(b64_encode(a, pub, sizeof pub), text, n) == 0);
		if (json_parse(a, rest + 1, strlen(rest + 1), &v) == JSON_OK && json_is(v, JSON_OBJ))
			object(a, v);
	}
	arena_free(a);
	return 0;
}
