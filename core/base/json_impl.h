/* core/base/json_impl.h - what the json_*.c files share; nobody else includes it. */
#ifndef HEARTH_JSON_IMPL_H
#define HEARTH_JSON_IMPL_H

#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"

/*
 * Containers have room for the power of two at or above n elements. So the room
 * needs no field: when n is a power of two, the next element needs more.
 */
static inline size_t
json_capacity(size_t n)
{
	size_t cap = 1;

	while (cap < n)
		cap *= 2;
	return cap;
}

static inline bool
json_same_key(const struct json_member *a, const struct json_member *b)
{
	return a->key_n == b->key_n && memcmp(a->key, b->key, a->key_n) == 0;
}

/* By bytes, which for UTF-8 is by code point. */
static inline int
json_key_cmp(const struct json_member *a, const struct json_member *b)
{
	int c = memcmp(a->key, b->key, a->key_n < b->key_n ? a->key_n : b->key_n);

	return c ? c : a->key_n < b->key_n ? -1 : a->key_n > b->key_n;
}

#endif
