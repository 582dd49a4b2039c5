/* core/crypto/hash.c - digests, comparison and randomness; see crypto.h. */
#include "core/crypto/crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/b64.h"

/* Looked up once: with EVP_sha256() OpenSSL searches its providers at every digest, which takes as long as the digest of a small event. */
static EVP_MD *md_sha256;

static void
fetch(void)
{
	if ((md_sha256 = EVP_MD_fetch(NULL, "SHA256", NULL)) == NULL)
		abort();
}

void
sha256(const void *p, size_t n, unsigned char out[SHA256_LEN])
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, fetch);
	if (EVP_Digest(p, n, out, NULL, md_sha256, NULL) != 1)
		abort();	/* out of memory */
}

void
sha1(const void *p, size_t n, unsigned char out[SHA1_LEN])
{
	if (EVP_Digest(p, n, out, NULL, EVP_sha1(), NULL) != 1)
		abort();	/* out of memory */
}

void
hmac_sha1(const char *key, const void *p, size_t n, unsigned char out[SHA1_LEN])
{
	if (HMAC(EVP_sha1(), key, (int)strlen(key), p, n, out, NULL) == NULL)
		abort();
}

const char *
hmac_sha1_hex(struct arena *a, const char *key, const void *p, size_t n)
{
	unsigned char mac[SHA1_LEN];

	hmac_sha1(key, p, n, mac);
	return hex_encode(a, mac, sizeof(mac));
}

bool
ct_equal(const void *a, const void *b, size_t n)
{
	return CRYPTO_memcmp(a, b, n) == 0;
}

void
random_bytes(void *p, size_t n)
{
	if (RAND_bytes(p, (int)n) != 1)
		abort();
}

const char *
random_token(struct arena *a, size_t bytes)
{
	unsigned char *p = arena_alloc(a, bytes);

	random_bytes(p, bytes);
	return b64url_encode(a, p, bytes);
}

const char *
random_letters(struct arena *a, size_t n)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	char *s = arena_alloc(a, n + 1);

	for (size_t i = 0; i < n;) {
		unsigned char r;

		random_bytes(&r, 1);
		if (r < 52 * 4)		/* the rest would favour the first letters */
			s[i++] = letters[r % 52];
	}
	s[n] = '\0';
	return s;
}
