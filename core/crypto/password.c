/*
 * core/crypto/password.c - password hashes by libxcrypt; see crypto.h.
 *
 * libxcrypt refuses passphrases above 511 bytes, bcrypt silently ends at 72. So
 * a long password is first made short: its SHA-256 in base64. Hashes of other
 * systems (bcrypt by an administrator in psql, SHA-crypt of an import) are of the plain
 * password: a short one is always given as it is.
 */
#include "core/crypto/crypto.h"

#include <crypt.h>
#include "core/base/b64.h"

#define PLAIN_MAX 256

static const char *
shortened(struct arena *a, const char *password)
{
	size_t n = strlen(password);
	unsigned char digest[SHA256_LEN];

	if (n <= PLAIN_MAX)
		return password;
	sha256(password, n, digest);
	return b64_encode(a, digest, sizeof(digest));
}

const char *
password_hash(struct arena *a, const char *password, enum conf_cost cost)
{
	struct crypt_data *d = arena_zalloc(a, sizeof(*d));
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	const char *hash;

	/* 5 is libxcrypt's own default for yescrypt, 1 its lowest. */
	if (crypt_gensalt_rn("$y$", cost == COST_LOW ? 1 : 5, NULL, 0, setting, sizeof(setting)) == NULL)
		abort();
	hash = crypt_r(shortened(a, password), setting, d);
	if (hash == NULL || hash[0] == '*')
		abort();
	return arena_strdup(a, hash);
}

bool
password_check(const char *password, const char *hash)
{
	struct arena *a = arena_new();
	struct crypt_data *d = arena_zalloc(a, sizeof(*d));
	const char *got = crypt_r(shortened(a, password), hash, d);
	size_t n = strlen(hash);
	bool ok = got != NULL && got[0] != '*' && strlen(got) == n && ct_equal(got, hash, n);

	arena_free(a);
	return ok;
}

bool
password_wants_rehash(const char *hash)
{
	return strncmp(hash, "$y$", 3) != 0;
}
