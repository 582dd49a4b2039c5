/* tests/unit/base/numbers.c - lists of numbers as text. */
#include <criterion/criterion.h>
#include <string.h>

#include "core/base/numbers.h"

static size_t
count(const char *s)
{
	int64_t v[3];

	return numbers_read(s, '_', v, 3);
}

Test(numbers, comes_back_as_it_was)
{
	struct arena *a = arena_new();
	const int64_t v[] = { 0, INT64_MAX, INT64_MIN };
	int64_t w[3];
	struct buf b;

	buf_init(&b, a);
	numbers_write(&b, '.', v, 3);
	cr_assert_str_eq(b.s, "0.9223372036854775807.-9223372036854775808");
	cr_assert_eq(numbers_read(b.s, '.', w, 3), 3);
	cr_assert(memcmp(v, w, sizeof v) == 0);
	cr_assert_eq(numbers_read(b.s, '.', w, 2), 0, "more than there is room for");
	arena_free(a);
}

Test(numbers, nothing_else_is_one)
{
	static const char *const bad[] = {
		"", "_", "1_", "_1", "1__2", "1.2", "x", "1x", " 1", "1 ", "+1", "-", "--1", "-0", "00", "01", "0x1", "1e3", "1.0",
		"9223372036854775808", "-9223372036854775809", "99999999999999999999999", "1_2_3_4", "1_2_3_", "1_-0", "\xef\xbc\x91",
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_assert_eq(count(bad[i]), 0, "\"%s\"", bad[i]);
	cr_assert_eq(count("7"), 1);
	cr_assert_eq(count("-7_0_10"), 3);
}
