/* core/base/buf.c - see buf.h. */
#include "core/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char empty[1];	/* what s points at before the first write; never written */

void
buf_init(struct buf *b, struct arena *a)
{
	*b = (struct buf){ .s = empty, .a = a };
}

void
buf_reserve(struct buf *b, size_t more)
{
	size_t need = b->n + more + 1, cap = b->cap ? b->cap : 64;

	if (need <= b->cap)
		return;
	while (cap < need)
		cap *= 2;
	b->s = arena_realloc(b->a, b->cap ? b->s : NULL, b->cap, cap);
	b->cap = cap;
	b->s[b->n] = '\0';
}

void
buf_add(struct buf *b, const void *p, size_t n)
{
	buf_reserve(b, n);
	if (n)
		memcpy(b->s + b->n, p, n);
	b->n += n;
	b->s[b->n] = '\0';
}

void
buf_puts(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void
buf_putc(struct buf *b, char c)
{
	buf_reserve(b, 1);
	b->s[b->n++] = c;
	b->s[b->n] = '\0';
}

size_t
i64_digits(char out[I64_DIGITS], int64_t v)
{
	char digits[I64_DIGITS], *p = digits + sizeof(digits);
	uint64_t u = v < 0 ? -(uint64_t)v : (uint64_t)v;
	size_t n;

	do
		*--p = (char)('0' + u % 10);
	while (u /= 10);
	if (v < 0)
		*--p = '-';
	n = (size_t)(digits + sizeof(digits) - p);
	memcpy(out, p, n);
	return n;
}

void
buf_i64(struct buf *b, int64_t v)
{
	char digits[I64_DIGITS];
	size_t n = i64_digits(digits, v);

	buf_add(b, digits, n);
}

void
buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	buf_reserve(b, 128);
	va_start(ap, fmt);
	n = vsnprintf(b->s + b->n, b->cap - b->n, fmt, ap);
	va_end(ap);
	if (n < 0)
		abort();
	if ((size_t)n >= b->cap - b->n) {
		buf_reserve(b, (size_t)n);
		va_start(ap, fmt);
		vsnprintf(b->s + b->n, b->cap - b->n, fmt, ap);
		va_end(ap);
	}
	b->n += (size_t)n;
}
