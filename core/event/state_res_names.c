/* core/event/state_res_names.c - numbers for names: a hash table with open addressing. */
#include "core/event/state_res_impl.h"

#include <string.h>

void
res_push(struct res_list *l, uint32_t x)
{
	uint32_t cap = l->cap ? 2 * l->cap : 16;

	if (l->n == l->cap) {
		l->v = arena_realloc(l->a, l->v, l->cap * sizeof(*l->v), cap * sizeof(*l->v));
		l->cap = cap;
	}
	l->v[l->n++] = x;
}

/*
 * FNV-1a. Ids and state keys are chosen by others: the seed keeps them from choosing
 * such that all fall into one place.
 */
static uint64_t
hash_one(uint64_t h, const char *s)
{
	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
	return (h ^ 0xff) * UINT64_C(0x100000001b3);	/* no string has this byte: ("a", "b") is not ("ab", "") */
}

static uint64_t
hash(const struct res_names *t, const char *x, const char *y)
{
	uint64_t h = hash_one(hash_one(t->seed, x), y);

	return h ^ h >> 32;
}

void
res_names_init(struct res_names *t, struct arena *a)
{
	*t = (struct res_names){ .a = a, .nslots = 64 };
	random_bytes(&t->seed, sizeof(t->seed));
	t->slots = arena_calloc(a, t->nslots, sizeof(*t->slots));
}

/* The slot where it is, or where it would go. */
static uint32_t *
slot_of(const struct res_names *t, uint64_t h, const char *x, const char *y)
{
	for (uint32_t i = (uint32_t)h;; i++) {
		uint32_t *slot = &t->slots[i & (t->nslots - 1)];
		const struct res_name *name = *slot ? &t->v[*slot - 1] : NULL;

		if (!name || (name->hash == h && strcmp(name->x, x) == 0 && strcmp(name->y, y) == 0))
			return slot;
	}
}

static void
grow(struct res_names *t)
{
	t->nslots *= 2;
	t->slots = arena_calloc(t->a, t->nslots, sizeof(*t->slots));
	for (uint32_t n = 0; n < t->n; n++)
		*slot_of(t, t->v[n].hash, t->v[n].x, t->v[n].y) = n + 1;
}

uint32_t
res_names_find(const struct res_names *t, const char *x, const char *y)
{
	uint32_t slot = *slot_of(t, hash(t, x, y), x, y);

	return slot ? slot - 1 : NONE;
}

uint32_t
res_names_add(struct res_names *t, const char *x, const char *y)
{
	uint64_t h = hash(t, x, y);
	uint32_t *slot = slot_of(t, h, x, y), cap = t->cap ? 2 * t->cap : 32;

	if (*slot)
		return *slot - 1;
	if (t->n == t->cap) {
		t->v = arena_realloc(t->a, t->v, t->cap * sizeof(*t->v), cap * sizeof(*t->v));
		t->cap = cap;
	}
	t->v[t->n] = (struct res_name){ x, y, h };
	*slot = ++t->n;
	if (2 * t->n > t->nslots)
		grow(t);
	return t->n - 1;
}
