/* tests/unit/base/utf8.c */
#include <criterion/criterion.h>
#include <stdint.h>

#include "core/base/utf8.h"

/* The definition, written the slow way: decode, and encode again to the same bytes. */
static bool
is_code_point(const unsigned char *s, size_t n)
{
	uint32_t c;

	if (n == 1)
		return s[0] < 0x80;
	for (size_t i = 1; i < n; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return false;
	if (n == 2)
		return s[0] >= 0xc0 && s[0] < 0xe0 && ((s[0] & 31u) << 6 | (s[1] & 63u)) >= 0x80;
	if (n == 3)
		return s[0] >= 0xe0 && s[0] < 0xf0 && (c = (s[0] & 15u) << 12 | (s[1] & 63u) << 6 | (s[2] & 63u)) >= 0x800 &&
		    (c < 0xd800 || c > 0xdfff);
	return s[0] >= 0xf0 && s[0] < 0xf8 &&
	    (c = (s[0] & 7u) << 18 | (s[1] & 63u) << 12 | (s[2] & 63u) << 6 | (s[3] & 63u)) >= 0x10000 && c <= 0x10ffff;
}

Test(utf8, every_sequence_of_up_to_three_bytes)
{
	for (unsigned int i = 0x80; i < 0x100; i++) {
		unsigned char s[3] = { (unsigned char)i, 0, 0 };

		cr_assert_not(utf8_valid((char *)s, 1));
		for (unsigned int j = 0x80; j < 0x100; j++) {
			s[1] = (unsigned char)j;
			cr_assert_eq(utf8_valid((char *)s, 2), is_code_point(s, 2), "%02x %02x", i, j);
			for (unsigned int k = 0x80; k < 0x100; k++) {
				s[2] = (unsigned char)k;
				if (utf8_valid((char *)s, 3) != is_code_point(s, 3))
					cr_assert_fail("%02x %02x %02x", i, j, k);
			}
		}
	}
}

Test(utf8, four_bytes)
{
	for (unsigned int i = 0xf0; i < 0x100; i++)
		for (unsigned int j = 0x7f; j < 0xc1; j++)
			for (unsigned int k = 0x7f; k < 0xc1; k++) {
				unsigned char s[4] = { (unsigned char)i, (unsigned char)j, (unsigned char)k, 0x80 };

				if (utf8_valid((char *)s, 4) != is_code_point(s, 4))
					cr_assert_fail("%02x %02x %02x", i, j, k);
			}
}

/* The bad byte at every place of what is looked at eight bytes at a step. */
Test(utf8, a_bad_byte_is_found_anywhere)
{
	for (size_t n = 1; n < 40; n++)
		for (size_t at = 0; at < n; at++) {
			char s[40];

			memset(s, 'a', sizeof(s));
			cr_assert(utf8_valid(s, n));
			s[at] = (char)0x80;
			cr_assert_not(utf8_valid(s, n));
		}
}

Test(utf8, lengths)
{
	cr_assert_eq(utf8_length("", 0), 0);
	cr_assert_eq(utf8_length("aé日😀", strlen("aé日😀")), 4);
	cr_assert(utf8_valid("a\0b", 3));
}
