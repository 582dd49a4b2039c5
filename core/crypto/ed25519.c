/* core/crypto/ed25519.c - signatures by OpenSSL's EVP (RFC 8032); see crypto.h. */
#include "core/crypto/crypto.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

struct signing_key *
signing_key_new(const char *id, const unsigned char seed[ED25519_SEED])
{
	struct signing_key *k = calloc(1, sizeof(*k));
	size_t n = ED25519_PUB;

	if (k == NULL || (k->id = strdup(id)) == NULL)
		abort();
	memcpy(k->seed, seed, ED25519_SEED);
	k->pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, ED25519_SEED);
	if (k->pkey == NULL || EVP_PKEY_get_raw_public_key(k->pkey, k->pub, &n) != 1)
		abort();
	return k;
}

void
ed25519_sign(const struct signing_key *k, const void *p, size_t n, unsigned char sig[ED25519_SIG])
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	size_t len = ED25519_SIG;

	if (c == NULL || EVP_DigestSignInit(c, NULL, NULL, NULL, k->pkey) != 1 || EVP_DigestSign(c, sig, &len, p, n) != 1)
		abort();
	EVP_MD_CTX_free(c);
}

bool
ed25519_verify(const unsigned char pub[ED25519_PUB], const void *p, size_t n, const unsigned char sig[ED25519_SIG])
{
	EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, pub, ED25519_PUB);
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool ok = key != NULL && c != NULL && EVP_DigestVerifyInit(c, NULL, NULL, NULL, key) == 1 &&
	    EVP_DigestVerify(c, sig, ED25519_SIG, p, n) == 1;

	EVP_MD_CTX_free(c);
	EVP_PKEY_free(key);
	return ok;
}
