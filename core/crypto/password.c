/*
 * core/crypto/password.c - password hashes by libxcrypt; see crypto.h.
 *
 * libxcrypt refuses more than 511 bytes, so in our own hashes a long password
 * stands as its SHA-256. Hashes of other systems (bcrypt by admin.reset_password,
 * SHA-crypt of an import) are of the password as it is; bcrypt looks at its
 * first 72 bytes only, here as there.
 */
#include "core/crypto/crypto.h"

#include <crypt.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/b64.h"

#define PLAIN_MAX 256
#define OURS "$y$"

static bool
is_ours(const char *hash)
{
	return strncmp(hash, OURS, strlen(OURS)) == 0;
}

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

/* NULL when the setting is of no known kind or the password too long for it. */
static const char *
run_crypt(struct arena *a, const char *password, const char *setting)
{
	struct crypt_data *d = arena_zalloc(a, sizeof(*d));
	const char *got = crypt_r(password, setting, d), *hash = NULL;

	if (got && got[0] != '*')
		hash = arena_strdup(a, got);
	explicit_bzero(d, sizeof(*d));	/* holds the password */
	return hash;
}

const char *
password_hash(struct arena *a, const char *password, enum conf_cost cost)
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	const char *hash;

	/* 5 is libxcrypt's own default for yescrypt, 1 its lowest. */
	if (!crypt_gensalt_rn(OURS, cost == COST_LOW ? 1 : 5, NULL, 0, setting, sizeof(setting)) ||
	    !(hash = run_crypt(a, shortened(a, password), setting)))
		abort();
	return hash;
}

bool
password_check(const char *password, const char *hash)
{
	struct arena *a = arena_new();
	const char *given = is_ours(hash) ? shortened(a, password) : password;
	const char *got = run_crypt(a, given, hash);
	size_t n = strlen(hash);
	bool ok = got && strlen(got) == n && ct_equal(got, hash, n);

	arena_free(a);
	return ok;
}

bool
password_wants_rehash(const char *hash)
{
	return !is_ours(hash);
}
