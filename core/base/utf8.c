/* core/base/utf8.c - see utf8.h. */
#include "core/base/utf8.h"

#include <stdint.h>

/* The length of the sequence that starts at p, 0 when it is no UTF-8 (Unicode, table 3-7). */
static size_t
sequence(const unsigned char *p, size_t n)
{
	unsigned char lo = 0x80, hi = 0xbf;
	size_t len;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (p[0] == 0xe0)
		lo = 0xa0;
	else if (p[0] == 0xed)
		hi = 0x9f;
	else if (p[0] == 0xf0)
		lo = 0x90;
	else if (p[0] == 0xf4)
		hi = 0x8f;
	if (n < len || p[1] < lo || p[1] > hi)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

bool
utf8_valid(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;

	while (n) {
		uint64_t eight;
		size_t len;

		/* Most text is ASCII: eight bytes at a step. */
		if (n >= sizeof(eight)) {
			__builtin_memcpy(&eight, p, sizeof(eight));
			if (!(eight & UINT64_C(0x8080808080808080))) {
				p += sizeof(eight);
				n -= sizeof(eight);
				continue;
			}
		}
		if (!(len = sequence(p, n)))
			return false;
		p += len;
		n -= len;
	}
	return true;
}

size_t
utf8_length(const char *s, size_t n)
{
	size_t points = 0;

	for (size_t i = 0; i < n; i++)
		points += ((unsigned char)s[i] & 0xc0) != 0x80;
	return points;
}
