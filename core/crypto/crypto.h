/*
 * core/crypto/crypto.h - OpenSSL and libxcrypt behind small verbs.
 */
#ifndef HEARTH_CRYPTO_H
#define HEARTH_CRYPTO_H

#include <stdbool.h>
#include <stdint.h>
#include "core/base/arena.h"
#include "core/base/conf.h"

#define SHA1_LEN 20
#define SHA256_LEN 32
#define ED25519_SEED 32
#define ED25519_SIG 64
#define ED25519_PUB 32

void sha256(const void *p, size_t n, unsigned char out[SHA256_LEN]);
void sha1(const void *p, size_t n, unsigned char out[SHA1_LEN]);	/* for state resolution of room version 1 alone */
void hmac_sha1(const char *key, const void *p, size_t n, unsigned char out[SHA1_LEN]);
/* lower-case hex of HMAC-SHA1: the shared-secret registration */
const char *hmac_sha1_hex(struct arena *a, const char *key, const void *p, size_t n);
bool ct_equal(const void *a, const void *b, size_t n);	/* constant time */
void random_bytes(void *p, size_t n);	/* ends the process if the system has none */
const char *random_token(struct arena *a, size_t bytes);	/* b64url */
const char *random_letters(struct arena *a, size_t n);	/* A-Za-z */

/* An ed25519 signing key; id is "ed25519:<version>". Process lifetime. */
struct signing_key {
	const char *id;
	unsigned char seed[ED25519_SEED];
	unsigned char pub[ED25519_PUB];
	void *pkey;		/* EVP_PKEY */
};
struct signing_key *signing_key_new(const char *id, const unsigned char seed[ED25519_SEED]);
void ed25519_sign(const struct signing_key *k, const void *p, size_t n, unsigned char sig[ED25519_SIG]);
bool ed25519_verify(const unsigned char pub[ED25519_PUB], const void *p, size_t n, const unsigned char sig[ED25519_SIG]);

/*
 * Passwords: new ones yescrypt (COST_LOW: the cheapest setting, about 2 ms against 35);
 * checks every format libxcrypt reads. Of any length here; bcrypt hashes look at
 * 72 bytes, other foreign ones at 511. What is no hash matches nothing. Slow on
 * purpose: never inside a transaction.
 */
const char *password_hash(struct arena *a, const char *password, enum conf_cost cost);
bool password_check(const char *password, const char *hash);
bool password_wants_rehash(const char *hash);	/* not yescrypt */

#endif
