/* core/base/numbers.c - see numbers.h. */
#include "core/base/numbers.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

void
numbers_write(struct buf *b, char mark, const int64_t *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_putc(b, mark);
		buf_addf(b, "%lld", (long long)v[i]);
	}
}

/* strtoll() alone takes blanks, '+' and leading zeros. */
static bool
read_one(const char **s, int64_t *v)
{
	const char *digits = *s + (**s == '-');
	char *end;

	if (*digits < '0' || *digits > '9' || (*digits == '0' && (digits != *s || (digits[1] >= '0' && digits[1] <= '9'))))
		return false;
	errno = 0;
	*v = strtoll(*s, &end, 10);
	*s = end;
	return errno == 0;
}

size_t
numbers_read(const char *s, char mark, int64_t *v, size_t max)
{
	size_t n = 0;

	do {
		if (n == max || !read_one(&s, &v[n]))
			return 0;
		n++;
	} while (*s++ == mark);
	return s[-1] == '\0' ? n : 0;
}
