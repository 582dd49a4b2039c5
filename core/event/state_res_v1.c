/*
 * core/event/state_res_v1.c - state resolution of room version 1 (Room v1 §State resolution).
 *
 * Kept as it is for the rooms that there are: it lets state fall back to older
 * values, which version 2 was made to mend.
 */
#include "core/event/state_res_impl.h"

#include <stdlib.h>
#include <string.h>

/* One event in conflict. The lists are sorted by key, then by ascending depth, then by descending sha1(event_id). */
struct rival {
	uint32_t key, node;
	int64_t depth;
	unsigned char sha1[SHA1_LEN];
};

static int
by_depth(const void *a, const void *b)
{
	const struct rival *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	if (x->depth != y->depth)
		return x->depth < y->depth ? -1 : 1;
	return memcmp(y->sha1, x->sha1, SHA1_LEN);
}

static struct rival
rival_of(struct res *r, uint32_t node)
{
	const struct event *ev = r->nodes[node].ev;
	struct rival v = { r->nodes[node].key, node, ev->depth, { 0 } };
	struct arena_mark m = arena_mark(r->judge.a);
	size_t len = strlen(ev->id);
	const char *raw = esc_to_raw(r->judge.a, ev->id, &len);

	sha1(raw ? raw : ev->id, len, v.sha1);
	arena_rewind(r->judge.a, m);
	return v;
}

/* Power levels, join rules, members: the oldest stands, and each that follows must be allowed by the one before it. */
static uint32_t
latest_allowed(struct res *r, const struct rival *v, size_t n)
{
	uint32_t winner = v[0].node, before = r->state[v[0].key];

	for (size_t i = 1; i < n; i++) {
		r->state[v[0].key] = winner;
		if (!res_allows(r, v[i].node))
			break;
		winner = v[i].node;
	}
	r->state[v[0].key] = before;
	return winner;
}

/*
 * All else: the newest that is allowed. The specification does not say what is state
 * when none is; Synapse and Dendrite take the oldest, and the servers of a room must agree.
 */
static uint32_t
newest_allowed(struct res *r, const struct rival *v, size_t n)
{
	for (size_t i = n; i-- > 1;)
		if (res_allows(r, v[i].node))
			return v[i].node;
	return v[0].node;
}

/*
 * The conflicts of one type; NULL: of all types but those of the other passes. All are
 * decided by the state as it was before the pass: their order, which no
 * rule fixes, has no influence.
 */
static const char *const passes[] = { "m.room.power_levels", "m.room.join_rules", "m.room.member", NULL };
#define NPASSES (sizeof(passes) / sizeof(passes[0]))

static bool
is_of_pass(const char *type, size_t pass)
{
	for (size_t p = 0; p < NPASSES - 1; p++)
		if (strcmp(passes[p], type) == 0)
			return p == pass;
	return pass == NPASSES - 1;
}

static void
run_pass(struct res *r, const struct rival *v, size_t n, size_t pass)
{
	uint32_t *winners = arena_calloc(r->cx->a, n, sizeof(*winners));
	size_t end;

	for (size_t i = 0; i < n; i = end) {
		for (end = i + 1; end < n && v[end].key == v[i].key;)
			end++;
		winners[i] = NONE;
		if (is_of_pass(r->keys.v[v[i].key].x, pass))
			winners[i] = (passes[pass] ? latest_allowed : newest_allowed)(r, v + i, end - i);
		for (size_t k = i + 1; k < end; k++)
			winners[k] = NONE;
	}
	for (size_t i = 0; i < n; i++)
		if (winners[i] != NONE)
			r->state[v[i].key] = winners[i];
}

void
resolve_v1(struct res *r)
{
	struct res_list in_conflict = { .a = r->cx->a };
	struct rival *v;
	size_t n = 0;

	for (uint32_t i = 0; i < r->ids.n; i++)
		if (r->nodes[i].conflicted)
			res_push(&in_conflict, i);
	res_load(r, in_conflict.v, in_conflict.n);
	res_fill(r, in_conflict.v, in_conflict.n);
	res_load_judges(r, in_conflict.v, in_conflict.n);
	res_state_init(r, true);
	v = arena_calloc(r->cx->a, in_conflict.n, sizeof(*v));
	for (uint32_t i = 0; i < in_conflict.n; i++)
		if (r->nodes[in_conflict.v[i]].ev)
			v[n++] = rival_of(r, in_conflict.v[i]);
	qsort(v, n, sizeof(*v), by_depth);
	for (size_t pass = 0; pass < NPASSES; pass++)
		run_pass(r, v, n, pass);
}
