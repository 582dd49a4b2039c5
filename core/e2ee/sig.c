/* core/e2ee/sig.c - see sig.h. */
#include "core/e2ee/sig.h"

#include <string.h>

#include "core/base/b64.h"

const char *
signed_body(struct arena *a, const struct json *obj)
{
	struct json *rest = json_copy(a, obj);

	json_del(rest, "signatures");
	json_del(rest, "unsigned");
	return json_canonical_str(a, rest, NULL);
}

const struct json *
signatures_of(const struct json *obj, const char *user)
{
	const struct json *v = json_get_by_esc(json_get(obj, "signatures"), user);

	return json_is(v, JSON_OBJ) ? v : NULL;
}

bool
ed25519_read(struct arena *a, const char *text, size_t n, unsigned char pub[ED25519_PUB])
{
	size_t len;
	const void *p = b64_decode(a, text, n, &len);
	const char *again = p == NULL || len != ED25519_PUB ? NULL : b64_encode(a, p, len);

	if (again == NULL || strlen(again) != n || memcmp(again, text, n) != 0)
		return false;
	memcpy(pub, p, ED25519_PUB);
	return true;
}

bool
body_verify(struct arena *a, const char *body, const struct json *sig, const unsigned char pub[ED25519_PUB])
{
	const unsigned char *bytes;
	size_t n;

	if (!json_is(sig, JSON_STR) || (bytes = b64_decode(a, sig->u.str.s, sig->u.str.n, &n)) == NULL || n != ED25519_SIG)
		return false;
	return ed25519_verify(pub, body, strlen(body), bytes);
}

static const char **
grown(struct arena *a, const char **v, size_t cap)
{
	return arena_realloc(a, v, cap * sizeof *v, (2 * cap + 8) * sizeof *v);
}

void
key_sigs_add(struct arena *a, struct key_sigs *v, const char *usr, const char *key, const char *signer,
    const char *signer_key, const struct json *signature)
{
	if (v->n == v->cap) {
		v->usr = grown(a, v->usr, v->cap);
		v->key = grown(a, v->key, v->cap);
		v->signer = grown(a, v->signer, v->cap);
		v->signer_key = grown(a, v->signer_key, v->cap);
		v->signature = grown(a, v->signature, v->cap);
		v->cap = 2 * v->cap + 8;
	}
	v->usr[v->n] = usr;
	v->key[v->n] = key;
	v->signer[v->n] = signer;
	v->signer_key[v->n] = signer_key;
	v->signature[v->n++] = json_esc_of(a, signature);
}
