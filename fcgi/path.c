/* fcgi/path.c - URLs as they came; see path.h. */
#include "fcgi/path.h"

#include <string.h>
#include "core/base/utf8.h"

int
path_split(const char *raw, size_t n, struct slice seg[PATH_SEGMENTS_MAX])
{
	const char *end = raw + n;
	int count = 0;

	if (n == 0 || *raw != '/')
		return -1;
	for (const char *p = raw; p < end;) {
		const char *s = p + 1, *slash = memchr(s, '/', (size_t)(end - s));

		if (count == PATH_SEGMENTS_MAX)
			return -1;
		p = slash ? slash : end;
		seg[count++] = (struct slice){ s, (size_t)(p - s) };
	}
	return count;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
url_decode(struct arena *a, struct slice in, bool plus, struct slice *out)
{
	char *d = arena_alloc(a, in.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < in.n; i++) {
		char c = in.s[i];

		if (c == '+' && plus) {
			c = ' ';
		} else if (c == '%') {
			int hi, lo;

			if (in.n - i < 3 || (hi = hex_digit(in.s[i + 1])) < 0 || (lo = hex_digit(in.s[i + 2])) < 0)
				return false;
			c = (char)(hi << 4 | lo);
			i += 2;
		}
		if (c == '\0')
			return false;
		d[n++] = c;
	}
	d[n] = '\0';
	*out = (struct slice){ d, n };
	return utf8_valid(d, n);
}

bool
query_next(const char **pos, struct slice *name, struct slice *value)
{
	const char *p = *pos;

	while (*p == '&')
		p++;
	if (*p == '\0')
		return false;
	name->s = p;
	name->n = strcspn(p, "=&");
	p += name->n;
	if (*p == '=')
		p++;
	value->s = p;
	value->n = strcspn(p, "&");
	*pos = p + value->n;
	return true;
}
