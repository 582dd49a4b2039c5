/* tests/unit/crypto/password.c */
#include <criterion/criterion.h>

#include "core/crypto/crypto.h"

Test(password, there_and_back)
{
	struct arena *a = arena_new();
	const char *h = password_hash(a, "correct horse", COST_LOW);

	cr_assert_eq(strncmp(h, "$y$", 3), 0);
	cr_assert(password_check("correct horse", h));
	cr_assert_not(password_check("correct hors", h));
	cr_assert_not(password_check("", h));
	cr_assert_str_neq(h, password_hash(a, "correct horse", COST_LOW), "salted");
	cr_assert_not(password_wants_rehash(h));
	arena_free(a);
}

Test(password, normal_cost_is_yescrypt_too)
{
	struct arena *a = arena_new();
	const char *h = password_hash(a, "x", COST_NORMAL);

	cr_assert_eq(strncmp(h, "$y$j9T$", 7), 0);
	cr_assert(password_check("x", h));
	arena_free(a);
}

/* Beyond libxcrypt's 511 bytes every byte still counts. */
Test(password, long_ones)
{
	struct arena *a = arena_new();
	char p[5001];

	memset(p, 'p', sizeof(p));
	for (size_t n = 250; n < sizeof(p); n = n < 260 ? n + 1 : 2 * n) {
		const char *h;

		p[n] = '\0';
		h = password_hash(a, p, COST_LOW);
		cr_assert(password_check(p, h), "%zu", n);
		p[n - 1] = 'q';
		cr_assert_not(password_check(p, h), "%zu", n);
		p[n - 1] = p[n] = 'p';
	}
	arena_free(a);
}

/* What administrators and imports bring: bcrypt ("U*U", from crypt_blowfish), SHA-512 (from Drepper's document). */
Test(password, hashes_of_other_systems)
{
	static const char bcrypt[] = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
	static const char sha512[] = "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";

	cr_assert(password_check("U*U", bcrypt));
	cr_assert_not(password_check("U*V", bcrypt));
	cr_assert(password_wants_rehash(bcrypt));
	cr_assert(password_check("Hello world!", sha512));
	cr_assert_not(password_check("Hello world", sha512));
	cr_assert(password_wants_rehash(sha512));
}

/* Longer than what our own hashes take as it is, still the password itself to others. */
Test(password, long_ones_against_hashes_of_other_systems)
{
	static const char hash[] = "$6$saltstring$mClVxpmgh5.U.QSKBNTMuE5rSGemq8pDkjG0Dq/Cc54LDknjMNymSgGp4htQOHvpGVDsTbu3zpSHJ3OOHDP4X1";
	char p[601];

	memset(p, 'p', sizeof(p));
	p[300] = '\0';
	cr_assert(password_check(p, hash));
	p[300] = 'p';
	p[600] = '\0';
	cr_assert_not(password_check(p, hash));
}

Test(password, what_is_no_hash_matches_nothing)
{
	static const char *const bad[] = { "", "*", "*0", "x", "plain", "$", "$y$", "$y$j9T$", "$2a$05$", "$99$salt$hash", "!$6$a$b" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		cr_expect_not(password_check(bad[i], bad[i]), "%s", bad[i]);
		cr_expect_not(password_check("", bad[i]), "%s", bad[i]);
	}
}
