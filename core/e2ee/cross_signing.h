/*
 * core/e2ee/cross_signing.h - the keys of users, and what they sign (Client-Server API, "Cross-signing").
 *
 * Three ed25519 keys: the master key signs the two others; the self-signing key signs
 * the user's devices, the user-signing key the master keys of other users. Every
 * signature is verified before it is stored.
 */
#ifndef HEARTH_E2EE_CROSS_SIGNING_H
#define HEARTH_E2EE_CROSS_SIGNING_H

#include "core/base/json.h"
#include "core/ctx.h"
#include "core/e2ee/sig.h"

enum key_usage { KEY_NONE, KEY_MASTER, KEY_SELF_SIGNING, KEY_USER_SIGNING, KEY_USAGES };

/* One key as the client sent it. */
struct cross_key {
	const char *body, *public;	/* NULL: not sent. public: unpadded base64 */
	unsigned char pub[ED25519_PUB];
	const struct json *signatures;	/* by the user himself; may be NULL */
};
struct cross_upload {
	struct cross_key key[KEY_USAGES];
};

/* Reads master_key, self_signing_key and user_signing_key of the body: form, owner, usage. M_BAD_JSON, M_INVALID_PARAM; M_MISSING_PARAM: none is there. */
enum err cross_signing_read(struct ctx *cx, const struct json *body, struct cross_upload *u);

/*
 * POST /keys/device_signing/upload. authorized: has User-Interactive Authentication
 * taken place? If not and it is needed: M_UNAUTHORIZED, and nothing is changed. It is not needed for the first
 * master key, nor when the request brings nothing new. M_INVALID_SIGNATURE; M_MISSING_PARAM: there is
 * no master key; M_FORBIDDEN: a public key is a device id of the user. TX_RW; holds the account's row,
 * so that of two first uploads the second is no first one any more.
 */
enum err cross_signing_put(struct ctx *cx, const struct cross_upload *u, bool authorized);

/*
 * POST /keys/signatures/upload: {user: {device id or public key: signed object}}. Stores
 * what verifies and writes the rest as `failures` into the open object. Takes: signatures of the own self-signing key
 * on own devices; of own devices on the own master key; of the own user-signing key on
 * other users' master keys. TX_RW; one statement loads, one stores, for all.
 */
enum err signatures_upload(struct ctx *cx, const struct json *body, struct json_out *o);

#endif
