/*
 * core/base/buf.h - a growing byte string in an arena.
 *
 * Always NUL-terminated after the first write (the NUL is not counted in n), so
 * b->s can be given to C functions. A struct buf is set up by buf_init(); there
 * is nothing to release.
 */
#ifndef HEARTH_BUF_H
#define HEARTH_BUF_H

#include <stdint.h>
#include "core/base/arena.h"

struct buf {
	char *s;
	size_t n, cap;
	struct arena *a;
};

void buf_init(struct buf *b, struct arena *a);	/* b->s is "" until something is added */
void buf_add(struct buf *b, const void *p, size_t n);
void buf_puts(struct buf *b, const char *s);
void buf_putc(struct buf *b, char c);
void buf_i64(struct buf *b, int64_t v);
#define I64_DIGITS 20		/* with the sign */
size_t i64_digits(char out[I64_DIGITS], int64_t v);	/* no NUL; their number */
void buf_addf(struct buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void buf_reserve(struct buf *b, size_t more);

#endif
