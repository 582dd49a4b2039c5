/* tests/unit/base/b64.c */
#include <criterion/criterion.h>

#include "core/base/b64.h"

/* Appendices, "Unpadded Base64", Examples */
Test(b64, examples_of_the_specification)
{
	static const char *const want[] = { "", "Zg", "Zm8", "Zm9v", "Zm9vYg", "Zm9vYmE", "Zm9vYmFy" };
	struct arena *a = arena_new();
	size_t n;

	for (size_t i = 0; i <= 6; i++) {
		cr_assert_str_eq(b64_encode(a, "foobar", i), want[i]);
		cr_assert_arr_eq(b64_decode(a, want[i], strlen(want[i]), &n), "foobar", i);
		cr_assert_eq(n, i);
	}
	arena_free(a);
}

Test(b64, both_alphabets_and_every_byte)
{
	struct arena *a = arena_new();
	unsigned char all[256];
	const char *s, *u;
	size_t n;

	for (int i = 0; i < 256; i++)
		all[i] = (unsigned char)i;
	s = b64_encode(a, all, sizeof(all));
	u = b64url_encode(a, all, sizeof(all));
	cr_assert(strchr(s, '+') && strchr(s, '/') && !strchr(s, '-') && !strchr(s, '_'));
	cr_assert(strchr(u, '-') && strchr(u, '_') && !strchr(u, '+') && !strchr(u, '/'));
	cr_assert_arr_eq(b64_decode(a, s, strlen(s), &n), all, sizeof(all));
	cr_assert_eq(n, sizeof(all));
	cr_assert_arr_eq(b64_decode(a, u, strlen(u), &n), all, sizeof(all));
	arena_free(a);
}

Test(b64, padding_may_be_there)
{
	static const char *const padded[] = { "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=" };
	struct arena *a = arena_new();
	size_t n;

	for (size_t i = 0; i < sizeof(padded) / sizeof(*padded); i++) {
		cr_assert_not_null(b64_decode(a, padded[i], strlen(padded[i]), &n));
		cr_assert_eq(n, i);
	}
	arena_free(a);
}

Test(b64, what_is_no_base64)
{
	static const char *const bad[] = { "Z", "Zm9vY", "Zg=", "Zg===", "=", "==", "====", "Z=g=", "Zg==Zg==", "Zm 9", "Zm9v\n", "Zm\xc3\xa9",
		"+-AA", "/_AA", "Zm9.", "Zm9v=" };
	struct arena *a = arena_new();
	size_t n;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		cr_expect_null(b64_decode(a, bad[i], strlen(bad[i]), &n), "%s", bad[i]);
	cr_expect_null(b64_decode(a, "Zm\0v", 4, &n));
	arena_free(a);
}
