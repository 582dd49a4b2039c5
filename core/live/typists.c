/* core/live/typists.c - who types now; see typists.h. A binary heap by time; the rows of one's own are few, so they are searched. */
#include "core/live/typists.h"

#include "core/base/arena.h"

struct typist {
	int64_t room, usr, until;
};
struct typists {
	struct arena *a;
	struct typist *v;	/* v[0] ends first */
	size_t n, cap;
};

struct typists *
typists_new(void)
{
	struct arena *a = arena_new();
	struct typists *t = arena_zalloc(a, sizeof *t);

	t->a = a;
	return t;
}

void
typists_free(struct typists *t)
{
	if (t)
		arena_free(t->a);
}

static void
swap(struct typists *t, size_t i, size_t k)
{
	struct typist x = t->v[i];

	t->v[i] = t->v[k];
	t->v[k] = x;
}

/* Puts the i-th where it belongs. */
static void
settle(struct typists *t, size_t i)
{
	for (; i > 0 && t->v[i].until < t->v[(i - 1) / 2].until; i = (i - 1) / 2)
		swap(t, i, (i - 1) / 2);
	for (size_t k; (k = 2 * i + 1) < t->n; i = k) {
		if (k + 1 < t->n && t->v[k + 1].until < t->v[k].until)
			k++;
		if (t->v[i].until <= t->v[k].until)
			return;
		swap(t, i, k);
	}
}

static void
drop(struct typists *t, size_t i)
{
	if (i != --t->n) {
		t->v[i] = t->v[t->n];
		settle(t, i);
	}
}

void
typists_put(struct typists *t, int64_t room, int64_t usr, int64_t until, int64_t now)
{
	size_t i = 0;

	while (i < t->n && (t->v[i].room != room || t->v[i].usr != usr))
		i++;
	if (until <= now) {
		if (i < t->n)
			drop(t, i);
		return;
	}
	if (i == t->cap) {
		size_t cap = t->cap ? 2 * t->cap : 64;

		t->v = arena_realloc(t->a, t->v, t->cap * sizeof *t->v, cap * sizeof *t->v);
		t->cap = cap;
	}
	if (i == t->n)
		t->n++;
	t->v[i] = (struct typist){ room, usr, until };
	settle(t, i);
}

int64_t
typists_next(const struct typists *t)
{
	return t->n > 0 ? t->v[0].until : INT64_MAX;
}

int
typists_ended(struct typists *t, int64_t now, int64_t *room, int64_t *until)
{
	if (t->n == 0 || t->v[0].until > now)
		return 0;
	*room = t->v[0].room;
	*until = t->v[0].until;
	drop(t, 0);
	return 1;
}
