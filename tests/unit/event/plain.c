/*
 * tests/unit/event/plain.c - state resolution v2 and v2.1 once more, sentence by
 * sentence as Room v2 and Room v12 §State resolution have them, with sets as arrays
 * of bool and no thought for time. What core/event does with marks and early ends must come to the same.
 */
#include "tests/unit/event/dag.h"

#include <criterion/criterion.h>
#include <string.h>

struct plain {
	struct dag *d;
	size_t n, nsets;
	const struct state_set *sets;
	bool *chain;		/* chain[x * n + y]: y is in the auth chain of x */
	bool *conflicted, *full, *x;
	size_t *list, nlist;
	struct { const char *type, *key; size_t at; } *state;
	size_t nstate;
};

static const struct event *
event(const struct plain *p, size_t i)
{
	return &p->d->v[i].ev;
}

static bool
known(const struct plain *p, size_t i)
{
	return i != SIZE_MAX && !p->d->v[i].unknown;
}

static bool *
none(const struct plain *p)
{
	return arena_calloc(p->d->cx.a, p->n, sizeof(bool));
}

static void
find_chains(struct plain *p)
{
	p->chain = arena_calloc(p->d->cx.a, p->n * p->n, sizeof(bool));
	for (size_t x = 0; x < p->n; x++)
		for (size_t i = 0; known(p, x) && i < event(p, x)->nauth; i++) {
			size_t a = p->d->v[x].auth[i];

			if (a == SIZE_MAX)
				continue;
			cr_assert_lt(a, x);
			p->chain[x * p->n + a] = true;
			for (size_t y = 0; y < p->n; y++)
				p->chain[x * p->n + y] |= p->chain[a * p->n + y];
		}
}

static bool
agreed(const struct plain *p, const struct state_item *it)
{
	for (size_t s = 0; s < p->nsets; s++) {
		const char *id = dag_value(p->sets[s], it->type, it->key);

		if (!id || strcmp(id, it->id) != 0)
			return false;
	}
	return true;
}

/* Full auth chains of the states, with the states' own events (see state_res_v2.c); what is in some but not in all. */
static void
add_auth_difference(struct plain *p)
{
	size_t *in = arena_calloc(p->d->cx.a, p->n, sizeof(*in));

	for (size_t s = 0; s < p->nsets; s++) {
		bool *c = none(p);

		for (size_t i = 0; i < p->sets[s].n; i++) {
			size_t x = dag_find(p->d, p->sets[s].v[i].id);

			c[x] = true;
			for (size_t y = 0; y < p->n; y++)
				c[y] |= p->chain[x * p->n + y];
		}
		for (size_t y = 0; y < p->n; y++)
			in[y] += c[y];
	}
	for (size_t y = 0; y < p->n; y++)
		if (in[y] && in[y] < p->nsets)
			p->full[y] = true;
}

static void
add_subgraph(struct plain *p)
{
	for (size_t from = 0; from < p->n; from++)
		for (size_t to = 0; p->conflicted[from] && to < p->n; to++)
			for (size_t x = 0; p->conflicted[to] && known(p, to) && x < p->n; x++)
				if (p->chain[from * p->n + x] && p->chain[x * p->n + to])
					p->full[x] = true;
}

static void
find_full(struct plain *p)
{
	p->conflicted = none(p);
	p->full = none(p);
	for (size_t s = 0; s < p->nsets; s++)
		for (size_t i = 0; i < p->sets[s].n; i++)
			if (!agreed(p, &p->sets[s].v[i]))
				p->conflicted[dag_find(p->d, p->sets[s].v[i].id)] = true;
	memcpy(p->full, p->conflicted, p->n * sizeof(bool));
	add_auth_difference(p);
	if (p->d->rv->state_res == RES_V21)
		add_subgraph(p);
	for (size_t i = 0; i < p->n; i++)
		p->full[i] &= known(p, i);
}

/* The state while it is built */

static void
put(struct plain *p, const char *type, const char *key, size_t at)
{
	size_t i;

	for (i = 0; i < p->nstate; i++)
		if (strcmp(p->state[i].type, type) == 0 && strcmp(p->state[i].key, key) == 0)
			break;
	p->state[i].type = type;
	p->state[i].key = key;
	p->state[i].at = at;
	p->nstate += i == p->nstate;
}

struct asked {
	struct plain *p;
	size_t x;
	bool state;	/* else the auth events alone */
};

static const struct event *
get(void *arg, const char *type, const char *key)
{
	const struct asked *q = arg;
	struct plain *p = q->p;

	for (size_t i = 0; q->state && i < p->nstate; i++)
		if (strcmp(p->state[i].type, type) == 0 && strcmp(p->state[i].key, key) == 0 &&
		    known(p, p->state[i].at)) {
			struct event *ev = arena_alloc(p->d->cx.a, sizeof(*ev));

			*ev = *event(p, p->state[i].at);
			ev->rejected = false;
			return ev;
		}
	for (size_t i = 0; i < event(p, q->x)->nauth; i++) {
		size_t a = p->d->v[q->x].auth[i];

		if (known(p, a) && strcmp(event(p, a)->type, type) == 0 && strcmp(event(p, a)->state_key, key) == 0)
			return event(p, a);
	}
	return NULL;
}

static bool
is_signed(void *arg, const struct event *ev, const char *server)
{
	(void)arg, (void)ev, (void)server;
	return true;
}

static struct auth_state
auth_state(struct plain *p, struct asked *q)
{
	struct auth_state st = { get, q, NULL, is_signed };

	if (p->d->rv->no_create_in_auth)
		st.create = &dag_at(p->d, "create")->ev;
	return st;
}

static void
play(struct plain *p)
{
	for (size_t i = 0; i < p->nlist; i++) {
		size_t x = p->list[i];
		struct asked q = { p, x, true };
		struct auth_state st = auth_state(p, &q);

		if (event_auth(&p->d->cx, event(p, x), &st) == M_OK)
			put(p, event(p, x)->type, event(p, x)->state_key, x);
	}
}

/* Orders */

static int
by_age(struct plain *p, size_t x, size_t y)
{
	size_t nx, ny;
	const char *rx = esc_to_raw(p->d->cx.a, event(p, x)->id, &nx);
	const char *ry = esc_to_raw(p->d->cx.a, event(p, y)->id, &ny);
	int c = memcmp(rx, ry, nx < ny ? nx : ny);

	if (event(p, x)->ts != event(p, y)->ts)
		return event(p, x)->ts < event(p, y)->ts ? -1 : 1;
	return c ? c : nx < ny ? -1 : nx > ny;
}

static bool
is_power_event(const struct event *ev)
{
	const char *m = json_get_str(ev->content, "membership");

	if (strcmp(ev->type, LEVELS) == 0 || strcmp(ev->type, RULES) == 0)
		return true;
	return strcmp(ev->type, MEMBER) == 0 && m && (strcmp(m, "leave") == 0 || strcmp(m, "ban") == 0) &&
	    strcmp(ev->sender, ev->state_key) != 0;
}

static int64_t
power(struct plain *p, size_t x)
{
	struct asked q = { p, x, false };
	struct auth_state st = auth_state(p, &q);

	return power_of_user(&st, p->d->rv, event(p, x)->sender);
}

static void
pick_power_events(struct plain *p)
{
	bool more = true;

	p->x = none(p);
	for (size_t i = 0; i < p->n; i++)
		p->x[i] = p->full[i] && is_power_event(event(p, i));
	while (more) {
		more = false;
		for (size_t i = 0; i < p->n; i++)
			for (size_t k = 0; p->x[i] && k < event(p, i)->nauth; k++) {
				size_t a = p->d->v[i].auth[k];

				if (known(p, a) && p->full[a] && !p->x[a])
					p->x[a] = more = true;
			}
	}
}

static bool
waits(const struct plain *p, size_t x, const bool *left)
{
	for (size_t k = 0; k < event(p, x)->nauth; k++)
		if (known(p, p->d->v[x].auth[k]) && left[p->d->v[x].auth[k]])
			return true;
	return false;
}

static void
order_by_power(struct plain *p)
{
	bool *left = none(p);

	memcpy(left, p->x, p->n * sizeof(bool));
	for (p->nlist = 0;;) {
		size_t best = SIZE_MAX;

		for (size_t i = 0; i < p->n; i++)
			if (left[i] && !waits(p, i, left) && (best == SIZE_MAX || power(p, i) > power(p, best) ||
			    (power(p, i) == power(p, best) && by_age(p, i, best) < 0)))
				best = i;
		if (best == SIZE_MAX)
			return;
		left[best] = false;
		p->list[p->nlist++] = best;
	}
}

static size_t
levels_of(const struct plain *p, size_t x)
{
	for (size_t k = 0; k < event(p, x)->nauth; k++) {
		size_t a = p->d->v[x].auth[k];

		if (known(p, a) && strcmp(event(p, a)->type, LEVELS) == 0 && !event(p, a)->state_key[0])
			return a;
	}
	return SIZE_MAX;
}

static size_t
position(const struct plain *p, size_t from, size_t x)
{
	for (size_t e = levels_of(p, x); e != SIZE_MAX; e = levels_of(p, e)) {
		size_t i = 0;

		for (size_t m = from; m != SIZE_MAX; m = levels_of(p, m), i++)
			if (m == e)
				return i;
	}
	return SIZE_MAX;
}

static bool
is_before(struct plain *p, size_t from, size_t x, size_t y)
{
	size_t px = position(p, from, x), py = position(p, from, y);

	return px != py ? px > py : by_age(p, x, y) < 0;
}

static void
order_by_mainline(struct plain *p)
{
	bool *left = none(p);
	size_t from = SIZE_MAX;

	for (size_t i = 0; i < p->nstate; i++)
		if (strcmp(p->state[i].type, LEVELS) == 0 && !p->state[i].key[0] && known(p, p->state[i].at))
			from = p->state[i].at;
	for (size_t i = 0; i < p->n; i++)
		left[i] = p->full[i] && !p->x[i];
	for (p->nlist = 0;;) {
		size_t best = SIZE_MAX;

		for (size_t i = 0; i < p->n; i++)
			if (left[i] && (best == SIZE_MAX || is_before(p, from, i, best)))
				best = i;
		if (best == SIZE_MAX)
			return;
		left[best] = false;
		p->list[p->nlist++] = best;
	}
}

static void
put_agreed(struct plain *p)
{
	for (size_t i = 0; p->nsets && i < p->sets[0].n; i++)
		if (agreed(p, &p->sets[0].v[i]))
			put(p, p->sets[0].v[i].type, p->sets[0].v[i].key, dag_find(p->d, p->sets[0].v[i].id));
}

struct state_set
plain_resolve(struct dag *d, const struct state_set *sets, size_t n)
{
	struct plain p = { .d = d, .n = d->n, .nsets = n, .sets = sets };
	struct state_item *out;

	p.list = arena_calloc(d->cx.a, d->n, sizeof(*p.list));
	p.state = arena_calloc(d->cx.a, d->n + 1, sizeof(*p.state));
	find_chains(&p);
	find_full(&p);
	pick_power_events(&p);
	if (d->rv->state_res == RES_V2)
		put_agreed(&p);
	order_by_power(&p);
	play(&p);
	order_by_mainline(&p);
	play(&p);
	put_agreed(&p);
	out = arena_calloc(d->cx.a, p.nstate, sizeof(*out));
	for (size_t i = 0; i < p.nstate; i++)
		out[i] = (struct state_item){ p.state[i].type, p.state[i].key, event(&p, p.state[i].at)->id, 0 };
	return (struct state_set){ out, p.nstate };
}
