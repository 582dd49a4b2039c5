/* core/base/sorted.h - looking into ascending arrays of numbers: nids, stream positions. */
#ifndef HEARTH_SORTED_H
#define HEARTH_SORTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The place of x: of the first element that is not smaller; n when all are. */
static inline size_t
i64_place(const int64_t *v, size_t n, int64_t x)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (v[mid] < x)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static inline bool
i64_in(const int64_t *v, size_t n, int64_t x)
{
	size_t i = i64_place(v, n, x);

	return i < n && v[i] == x;
}

#endif
