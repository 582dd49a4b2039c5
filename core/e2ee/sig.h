/*
 * core/e2ee/sig.h - signed JSON objects of clients: device keys and cross-signing keys (Appendices, "Signing JSON").
 *
 * What is stored is the signed text (canonical, without `signatures` and `unsigned`);
 * signatures lie beside it, one row each. So "the same key" is "the same text".
 */
#ifndef HEARTH_E2EE_SIG_H
#define HEARTH_E2EE_SIG_H

#include "core/base/json.h"
#include "core/crypto/crypto.h"

const char *signed_body(struct arena *a, const struct json *obj);

/* The signatures of user (esc) on obj: an object, or NULL. */
const struct json *signatures_of(const struct json *obj, const char *user);

/* Is it an ed25519 public key in unpadded base64, in its one right form? Then pub is filled. */
bool ed25519_read(struct arena *a, const char *text, size_t n, unsigned char pub[ED25519_PUB]);

/* Is sig (a JSON string) the signature of body by pub? */
bool body_verify(struct arena *a, const char *body, const struct json *sig, const unsigned char pub[ED25519_PUB]);

/* Rows for table key_signature. All texts esc. */
struct key_sigs {
	const char **usr, **key, **signer, **signer_key, **signature;
	size_t n, cap;
};
void key_sigs_add(struct arena *a, struct key_sigs *v, const char *usr, const char *key, const char *signer,
    const char *signer_key, const struct json *signature);

#endif
