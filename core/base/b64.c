/* core/base/b64.c - see b64.h. */
#include "core/base/b64.h"

#include <stdint.h>

static const char std[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static const char *
encode(struct arena *a, const unsigned char *p, size_t n, const char *digits)
{
	char *out = arena_alloc(a, n / 3 * 4 + 5), *o = out;

	for (; n >= 3; n -= 3, p += 3) {
		*o++ = digits[p[0] >> 2];
		*o++ = digits[(p[0] & 3) << 4 | p[1] >> 4];
		*o++ = digits[(p[1] & 15) << 2 | p[2] >> 6];
		*o++ = digits[p[2] & 63];
	}
	if (n > 0) {
		*o++ = digits[p[0] >> 2];
		*o++ = digits[(p[0] & 3) << 4 | (n > 1 ? p[1] >> 4 : 0)];
		if (n > 1)
			*o++ = digits[(p[1] & 15) << 2];
	}
	*o = '\0';
	return out;
}

const char *
b64_encode(struct arena *a, const void *p, size_t n)
{
	return encode(a, p, n, std);
}

const char *
b64url_encode(struct arena *a, const void *p, size_t n)
{
	return encode(a, p, n, url);
}

/* The value of a digit; *alphabet gets 1 (standard) or 2 (URL) where the digit tells. -1: none. */
static int
digit(char c, int *alphabet)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '/') {
		*alphabet |= 1;
		return c == '+' ? 62 : 63;
	}
	if (c == '-' || c == '_') {
		*alphabet |= 2;
		return c == '-' ? 62 : 63;
	}
	return -1;
}

void *
b64_decode(struct arena *a, const char *s, size_t len, size_t *n)
{
	unsigned char *out, *o;
	uint32_t bits = 0;
	int have = 0, alphabet = 0;
	size_t padded = len;

	while (len > 0 && s[len - 1] == '=')
		len--;
	if (padded != len && (padded % 4 != 0 || padded - len > 2))
		return NULL;
	if (len % 4 == 1)
		return NULL;
	o = out = arena_alloc(a, len / 4 * 3 + 4);
	for (size_t i = 0; i < len; i++) {
		int v = digit(s[i], &alphabet);

		if (v < 0 || alphabet == 3)
			return NULL;
		bits = bits << 6 | (uint32_t)v;
		if ((have += 6) >= 8) {
			have -= 8;
			*o++ = (unsigned char)(bits >> have);
		}
	}
	*o = '\0';
	*n = (size_t)(o - out);
	return out;
}

const char *
hex_encode(struct arena *a, const void *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *bytes = p;
	char *out = arena_alloc(a, 2 * n + 1);

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[2 * n] = '\0';
	return out;
}
