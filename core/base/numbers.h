/*
 * core/base/numbers.h - lists of whole numbers as text: what tokens of pages consist of. They come back from clients, so what is
 * read may be anything.
 */
#ifndef HEARTH_NUMBERS_H
#define HEARTH_NUMBERS_H

#include <stdint.h>
#include "core/base/buf.h"

/* "12_-3_0" with mark '_'. */
void numbers_write(struct buf *b, char mark, const int64_t *v, size_t n);
/*
 * The reverse: how many there are, 0 when s is not such a list of at most max, to its end. Taken is only what numbers_write()
 * writes: no blanks, no leading zeros, no plus, nothing out of the range of int64_t.
 */
size_t numbers_read(const char *s, char mark, int64_t *v, size_t max);

#endif
