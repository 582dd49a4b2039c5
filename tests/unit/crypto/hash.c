/* tests/unit/crypto/hash.c - digests and randomness */
#include <criterion/criterion.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/crypto/crypto.h"

static const char *
hex(struct arena *a, const unsigned char *p, size_t n)
{
	char *s = arena_alloc(a, 2 * n + 1);

	for (size_t i = 0; i < n; i++)
		snprintf(s + 2 * i, 3, "%02x", p[i]);
	return s;
}

/* FIPS 180-4 examples */
Test(hash, sha256)
{
	struct arena *a = arena_new();
	unsigned char d[SHA256_LEN];

	sha256("", 0, d);
	cr_assert_str_eq(hex(a, d, sizeof(d)), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	sha256("abc", 3, d);
	cr_assert_str_eq(hex(a, d, sizeof(d)), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	arena_free(a);
}

/* FIPS 180-4 example */
Test(hash, sha1)
{
	struct arena *a = arena_new();
	unsigned char d[SHA1_LEN];

	sha1("abc", 3, d);
	cr_assert_str_eq(hex(a, d, sizeof(d)), "a9993e364706816aba3e25717850c26c9cd0d89d");
	arena_free(a);
}

/* RFC 2202, test cases 2 and 1 */
Test(hash, hmac_sha1)
{
	struct arena *a = arena_new();

	cr_assert_str_eq(hmac_sha1_hex(a, "Jefe", "what do ya want for nothing?", 28), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
	cr_assert_str_eq(hmac_sha1_hex(a, "\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b", "Hi There", 8),
	    "b617318655057264e28bc0b6fb378c8ef146be00");
	arena_free(a);
}

Test(hash, equal_in_constant_time)
{
	cr_assert(ct_equal("abc", "abc", 3));
	cr_assert_not(ct_equal("abc", "abd", 3));
	cr_assert(ct_equal("abc", "abd", 2));
	cr_assert(ct_equal("", "", 0));
}

Test(random, tokens_and_letters)
{
	struct arena *a = arena_new();
	const char *t = random_token(a, 32), *l = random_letters(a, 200);

	cr_assert_eq(strlen(t), 43);
	cr_assert_str_neq(t, random_token(a, 32));
	cr_assert_eq(strlen(l), 200);
	cr_assert_eq(strspn(l, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"), 200);
	cr_assert_str_neq(l, random_letters(a, 200));
	cr_assert_str_eq(random_letters(a, 0), "");
	arena_free(a);
}

/* Workers are forked from a process that may have drawn already. */
Test(random, children_draw_differently)
{
	unsigned char mine[32], theirs[32];
	int fd[2];
	pid_t pid;

	random_bytes(mine, sizeof(mine));
	cr_assert_eq(pipe(fd), 0);
	if ((pid = fork()) == 0) {
		random_bytes(theirs, sizeof(theirs));
		_exit(write(fd[1], theirs, sizeof(theirs)) != sizeof(theirs));
	}
	waitpid(pid, NULL, 0);
	random_bytes(mine, sizeof(mine));
	cr_assert_eq(read(fd[0], theirs, sizeof(theirs)), sizeof(theirs));
	cr_assert_arr_neq(mine, theirs, sizeof(mine));
}
