/*
 * core/event/state_res_v2.c - state resolution of room versions 2 to 11 (Room v2 §State
 * resolution) and, as "v2.1", of 12 (Room v12 §State resolution, MSC4297).
 *
 * What is in conflict, with the events that led to it, is played again in an
 * order that all servers compute alike: first what takes rights away (power
 * events, most powerful sender first), then the rest along the line of power
 * levels. v2 plays on top of the agreed state. v2.1 starts with nothing, so that
 * each event is judged by its own auth events where nothing newer was played, and
 * plays also what lies between two conflicting events; so old state that one
 * branch claims resets nothing.
 *
 * In two points the definitions are read as deployed servers read them (Synapse; the
 * second ruma too): a server with another reading would see another room.
 * - An event that is the state of a branch counts as part of that branch's full
 *   auth chain, so what all branches have as their state is in no auth difference.
 * - The auth chain of a power event, for the set X, is followed inside the full
 *   conflicted set, and so are the edges of its ordering.
 */
#include "core/event/state_res_impl.h"

#include <stdlib.h>
#include <string.h>

/* Auth difference (Room v2 §Definitions): ∪ Ci − ∩ Ci. */

/* Counts the state s for all that its conflicting events are built on; and these events. */
static void
count_set(struct res *r, uint32_t s)
{
	struct res_list todo = { .a = r->cx->a };

	for (uint32_t i = 0; i < r->npairs[s]; i++)
		if (r->nodes[r->pairs[s][i].node].conflicted)
			res_push(&todo, r->pairs[s][i].node);
	while (todo.n) {
		struct node *n = &r->nodes[todo.v[--todo.n]];

		if (n->last_set == s + 1)
			continue;
		n->last_set = s + 1;
		n->sets++;
		for (uint32_t i = 0; i < n->nauth; i++)
			res_push(&todo, n->auth[i]);
	}
}

/* Only the agreed state can still put it into every chain. */
static bool
is_open(const struct res *r, uint32_t n)
{
	const struct node *node = &r->nodes[n];

	return node->sets && node->sets < r->nsets && node->ev && !node->conflicted && !node->common;
}

/* The smallest order of an open node: what has none above it cannot have such a node in its chain. 0: not known. */
static int64_t
lowest_open(const struct res *r, uint32_t *nopen)
{
	int64_t low = INT64_MAX;

	*nopen = 0;
	for (uint32_t i = 0; i < r->ids.n; i++)
		if (is_open(r, i)) {
			++*nopen;
			if (r->nodes[i].order < low)
				low = r->nodes[i].order;
		}
	return low;
}

/* Marks what these are built on as common. Below the order low there is nothing to find. */
static void
mark_common(struct res *r, struct res_list *front, int64_t low)
{
	while (front->n) {
		struct res_list next = { .a = r->cx->a };

		res_load(r, front->v, front->n);
		for (uint32_t i = 0; i < front->n; i++) {
			const struct node *n = &r->nodes[front->v[i]];

			if (n->common || (n->order && n->order < low))
				continue;
			r->nodes[front->v[i]].common = true;
			for (uint32_t k = 0; k < n->nauth; k++)
				res_push(&next, n->auth[k]);
		}
		*front = next;
	}
}

/*
 * The auth chains of the agreed state are in all Ci. They can be as large as the room, so
 * they are looked at only as long as something depends on it, and first where it is
 * likely to be found: in the chain of what is now the state instead of it.
 */
static void
close_agreed(struct res *r)
{
	struct res_list front = { .a = r->cx->a }, all = { .a = r->cx->a };
	uint32_t nopen;
	int64_t low = lowest_open(r, &nopen);

	for (uint32_t i = 0; i < r->ids.n; i++)
		if (is_open(r, i) && res_agreed(r, r->nodes[i].key) != NONE)
			res_push(&front, res_agreed(r, r->nodes[i].key));
	mark_common(r, &front, low);
	low = lowest_open(r, &nopen);
	if (!nopen)
		return;
	for (uint32_t k = 0; k < r->nagreed; k++) {
		uint32_t n = r->agreed[k];

		if (n != NONE && (!r->nodes[n].order || r->nodes[n].order >= low))
			res_push(&all, n);
	}
	mark_common(r, &all, low);
}

/* Who names whom in auth_events, the other way round: of node n it is by[start[n]] … by[start[n + 1] - 1]. */
struct citing {
	uint32_t *start, *by;
};

/* The edges between nodes that in() takes. */
static struct citing
find_citing(struct res *r, bool (*in)(const struct node *))
{
	struct citing c = { arena_calloc(r->cx->a, (size_t)r->ids.n + 2, sizeof(uint32_t)), NULL };
	uint32_t *at = c.start + 1;

	for (int pass = 0; pass < 2; pass++) {
		for (uint32_t n = 0; n < r->ids.n; n++)
			for (uint32_t i = 0; in(&r->nodes[n]) && i < r->nodes[n].nauth; i++) {
				uint32_t to = r->nodes[n].auth[i];

				if (!in(&r->nodes[to]))
					continue;
				if (pass == 0)
					at[to + 1]++;
				else
					c.by[at[to]++] = n;
			}
		if (pass == 0) {	/* counts become places; the second pass moves each to the start of the next */
			for (uint32_t n = 1; n <= r->ids.n; n++)
				at[n] += at[n - 1];
			c.by = arena_calloc(r->cx->a, at[r->ids.n], sizeof(uint32_t));
		}
	}
	return c;
}

static bool
is_in_chains(const struct node *n)
{
	return n->sets && n->ev;
}

/*
 * Conflicted state subgraph (Room v12 §Definitions): all on a path between two
 * conflicting events. Each node in the chains is below such an event; here are found those above one.
 */
static void
add_subgraph(struct res *r)
{
	struct citing c = find_citing(r, is_in_chains);
	struct res_list todo = { .a = r->cx->a };

	for (uint32_t n = 0; n < r->ids.n; n++)
		if (r->nodes[n].conflicted && r->nodes[n].ev)
			res_push(&todo, n);
	while (todo.n) {
		uint32_t n = todo.v[--todo.n];

		for (uint32_t i = c.start[n]; i < c.start[n + 1]; i++)
			if (!r->nodes[c.by[i]].above) {
				r->nodes[c.by[i]].above = r->nodes[c.by[i]].full = true;
				res_push(&todo, c.by[i]);
			}
	}
}

static void
find_full_conflicted_set(struct res *r)
{
	struct res_list conflicted = { .a = r->cx->a };

	for (uint32_t n = 0; n < r->ids.n; n++)
		if (r->nodes[n].conflicted)
			res_push(&conflicted, n);
	res_load_chains(r, conflicted.v, conflicted.n);
	for (uint32_t s = 0; s < r->nsets; s++)
		count_set(r, s);
	close_agreed(r);
	for (uint32_t n = 0; n < r->ids.n; n++)
		r->nodes[n].full = r->nodes[n].ev && (r->nodes[n].conflicted || is_open(r, n));
	if (r->rv->state_res == RES_V21)
		add_subgraph(r);
}

/* Step 1: power events and their auth chains, in reverse topological power ordering */

/* Room v2 §Definitions, "Power events" */
static bool
is_power_event(const struct event *ev)
{
	enum membership m;

	if (strcmp(ev->type, "m.room.power_levels") == 0 || strcmp(ev->type, "m.room.join_rules") == 0)
		return true;
	if (strcmp(ev->type, "m.room.member") != 0 || strcmp(ev->sender, ev->state_key) == 0)
		return false;
	m = membership_of(json_get_str(ev->content, "membership"));
	return m == MEM_LEAVE || m == MEM_BAN;
}

static struct res_list
pick_power_events(struct res *r)
{
	struct res_list x = { .a = r->cx->a };

	for (uint32_t n = 0; n < r->ids.n; n++)
		if (r->nodes[n].full && is_power_event(r->nodes[n].ev)) {
			r->nodes[n].picked = true;
			res_push(&x, n);
		}
	for (uint32_t at = 0; at < x.n; at++) {
		const struct node *n = &r->nodes[x.v[at]];

		for (uint32_t i = 0; i < n->nauth; i++) {
			struct node *auth = &r->nodes[n->auth[i]];

			if (auth->full && !auth->picked) {
				auth->picked = true;
				res_push(&x, n->auth[i]);
			}
		}
	}
	return x;
}

/* The state that a node's own auth events are. */
struct own {
	const struct res *r;
	const struct node *node;
};

static const struct event *
own_get(void *arg, const char *type, const char *key)
{
	const struct own *o = arg;
	uint32_t k = res_names_find(&o->r->keys, type, key);

	for (uint32_t i = 0; k != NONE && i < o->node->nauth; i++)
		if (o->r->nodes[o->node->auth[i]].key == k)
			return o->r->nodes[o->node->auth[i]].ev;
	return NULL;
}

static void
set_powers(struct res *r, const struct res_list *x)
{
	for (uint32_t i = 0; i < x->n; i++) {
		struct node *n = &r->nodes[x->v[i]];
		struct own o = { r, n };
		struct auth_state st = { .get = own_get, .arg = &o, .create = r->create };

		n->power = power_of_user(&st, r->rv, n->ev->sender);
	}
}

static int
by_age(const struct event *x, const struct event *y)
{
	if (x->ts != y->ts)
		return x->ts < y->ts ? -1 : 1;
	return res_id_cmp(x->id, y->id);
}

/* Room v2 §Definitions, "Reverse topological power ordering": which of two comes first. */
static int
by_power(const struct node *x, const struct node *y)
{
	if (x->power != y->power)
		return x->power > y->power ? -1 : 1;
	return by_age(x->ev, y->ev);
}

/* A heap of nodes, first by by_power() on top. */

static bool
is_before(const struct res *r, const struct res_list *h, uint32_t i, uint32_t k)
{
	return by_power(&r->nodes[h->v[i]], &r->nodes[h->v[k]]) < 0;
}

static void
swap(struct res_list *h, uint32_t i, uint32_t k)
{
	uint32_t x = h->v[i];

	h->v[i] = h->v[k];
	h->v[k] = x;
}

static void
heap_push(const struct res *r, struct res_list *h, uint32_t node)
{
	uint32_t i = h->n;

	res_push(h, node);
	for (; i > 0 && is_before(r, h, i, (i - 1) / 2); i = (i - 1) / 2)
		swap(h, i, (i - 1) / 2);
}

static uint32_t
heap_pop(const struct res *r, struct res_list *h)
{
	uint32_t top = h->v[0], i = 0, first = 0;

	h->v[0] = h->v[--h->n];
	do {
		swap(h, i, first);
		i = first;
		for (uint32_t k = 2 * i + 1; k <= 2 * i + 2 && k < h->n; k++)
			if (is_before(r, h, k, first))
				first = k;
	} while (first != i);
	return top;
}

static bool
is_picked(const struct node *n)
{
	return n->picked;
}

/*
 * Kahn's algorithm. Events that name each other in a circle (their ids can be made
 * up in v1 and v2) never come to the top: they are not played, and do not become state.
 */
static struct res_list
sort_by_power(struct res *r, const struct res_list *x)
{
	struct citing c = find_citing(r, is_picked);
	struct res_list sorted = { .a = r->cx->a }, heap = { .a = r->cx->a };

	set_powers(r, x);
	for (uint32_t n = 0; n < r->ids.n; n++)
		for (uint32_t i = c.start[n]; i < c.start[n + 1]; i++)
			r->nodes[c.by[i]].waits++;
	for (uint32_t i = 0; i < x->n; i++)
		if (!r->nodes[x->v[i]].waits)
			heap_push(r, &heap, x->v[i]);
	while (heap.n) {
		uint32_t n = heap_pop(r, &heap);

		res_push(&sorted, n);
		for (uint32_t i = c.start[n]; i < c.start[n + 1]; i++)
			if (--r->nodes[c.by[i]].waits == 0)
				heap_push(r, &heap, c.by[i]);
	}
	return sorted;
}

/* Step 3: the rest, in mainline ordering */

/* The m.room.power_levels event that a node names in its auth_events. */
static uint32_t
levels_of(const struct res *r, uint32_t n, uint32_t key)
{
	for (uint32_t i = 0; n != NONE && i < r->nodes[n].nauth; i++)
		if (r->nodes[r->nodes[n].auth[i]].key == key)
			return r->nodes[n].auth[i];
	return NONE;
}

/*
 * Room v2 §Definitions, "Mainline ordering": the place of the first event in this
 * node's line of power levels that is on the mainline; NONE is infinity. What
 * was found stays with the events on the way, so that each step is made once.
 */
static uint32_t
mainline_place(struct res *r, uint32_t node, uint32_t key)
{
	uint32_t from = levels_of(r, node, key), to, n, place;

	for (to = from; to != NONE && !r->nodes[to].placed; to = levels_of(r, to, key)) {
		r->nodes[to].placed = true;	/* for now: a circle ends here too */
		r->nodes[to].place = NONE;
	}
	place = to == NONE ? NONE : r->nodes[to].place;
	for (n = from; n != to; n = levels_of(r, n, key))
		r->nodes[n].place = place;
	return place;
}

static void
mark_mainline(struct res *r, uint32_t key)
{
	uint32_t n = key < r->nstate ? r->state[key] : NONE, place = 0;

	if (n != NONE)
		res_load_chains(r, &n, 1);
	for (; n != NONE && !r->nodes[n].placed; n = levels_of(r, n, key)) {
		r->nodes[n].placed = true;
		r->nodes[n].place = place++;
	}
}

struct late {
	uint32_t node, place;
	const struct event *ev;
};

static int
by_mainline(const void *a, const void *b)
{
	const struct late *x = a, *y = b;

	if (x->place != y->place)
		return x->place > y->place ? -1 : 1;
	return by_age(x->ev, y->ev);
}

static struct res_list
sort_by_mainline(struct res *r)
{
	uint32_t key = res_names_add(&r->keys, "m.room.power_levels", "");
	struct res_list sorted = { .a = r->cx->a };
	struct late *rest;
	size_t n = 0;

	mark_mainline(r, key);
	rest = arena_calloc(r->cx->a, r->ids.n, sizeof(*rest));
	for (uint32_t i = 0; i < r->ids.n; i++)
		if (r->nodes[i].full && !r->nodes[i].picked)
			rest[n++] = (struct late){ i, mainline_place(r, i, key), r->nodes[i].ev };
	qsort(rest, n, sizeof(*rest), by_mainline);
	for (size_t i = 0; i < n; i++)
		res_push(&sorted, rest[i].node);
	return sorted;
}

/* Steps 2 and 4: iterative auth checks (Room v2 §Definitions) */
static void
play(struct res *r, struct res_list list)
{
	for (uint32_t i = 0; i < list.n; i++)
		if (res_allows(r, list.v[i]))
			r->state[r->nodes[list.v[i]].key] = list.v[i];
}

/* Room v2 §Algorithm, Room v12 §Algorithm; step 5 is made where the result is written. */
void
resolve_v2(struct res *r)
{
	bool from_agreed = r->rv->state_res != RES_V21;
	struct res_list x, full = { .a = r->cx->a };

	find_full_conflicted_set(r);
	for (uint32_t n = 0; n < r->ids.n; n++)
		if (r->nodes[n].full)
			res_push(&full, n);
	res_fill_judged(r, full.v, full.n);
	if (from_agreed)
		res_load_judges(r, full.v, full.n);
	res_state_init(r, from_agreed);
	r->cite = true;
	x = pick_power_events(r);
	play(r, sort_by_power(r, &x));
	play(r, sort_by_mainline(r));
}
