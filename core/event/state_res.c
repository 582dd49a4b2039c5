/*
 * core/event/state_res.c - state resolution: what all versions share.
 *
 * Comparing the states, loading events and their auth chains, judging an event by
 * a state that is being built, and the result. The algorithms: state_res_v1.c, state_res_v2.c.
 */
#include "core/event/state_res_impl.h"

#include <string.h>

/* Events */

uint32_t
res_node(struct res *r, const char *id)
{
	uint32_t n = res_names_add(&r->ids, id, ""), cap = r->cap ? 2 * r->cap : 64;

	if (n == r->cap) {
		r->nodes = arena_realloc(r->cx->a, r->nodes, r->cap * sizeof(*r->nodes), cap * sizeof(*r->nodes));
		while (r->cap < cap)
			r->nodes[r->cap++] = (struct node){ .key = NONE };
	}
	return n;
}

/* Only a state event of this room can be part of a state or of an auth chain; what is none counts as unknown. */
static void
node_set(struct res *r, uint32_t n, const struct state_event *got)
{
	const struct event *ev = got->ev;
	uint32_t *auth, key;

	if (!ev || !ev->state_key || strcmp(ev->room, r->room) != 0)
		return;
	auth = arena_calloc(r->cx->a, ev->nauth, sizeof(*auth));
	for (size_t i = 0; i < ev->nauth; i++)
		auth[i] = res_node(r, ev->auth_ids[i]);
	key = res_names_add(&r->keys, ev->type, ev->state_key);
	r->nodes[n].ev = ev;
	r->nodes[n].key = key;
	r->nodes[n].auth = auth;
	r->nodes[n].nauth = (uint32_t)ev->nauth;
	if (got->order)
		r->nodes[n].order = got->order;
}

void
res_load(struct res *r, const uint32_t *nodes, uint32_t n)
{
	struct res_list want = { .a = r->cx->a };
	struct state_event *got;
	const char **ids;

	for (uint32_t i = 0; i < n; i++)
		if (!r->nodes[nodes[i]].loaded) {
			r->nodes[nodes[i]].loaded = true;
			res_push(&want, nodes[i]);
		}
	if (!want.n)
		return;
	ids = arena_calloc(r->cx->a, want.n, sizeof(*ids));
	got = arena_calloc(r->cx->a, want.n, sizeof(*got));
	for (uint32_t i = 0; i < want.n; i++)
		ids[i] = r->ids.v[want.v[i]].x;
	r->src->load(r->src->arg, ids, want.n, got);
	for (uint32_t i = 0; i < want.n; i++)
		node_set(r, want.v[i], &got[i]);
}

/* The types of which the rules read more than the columns. */
static bool
is_read(const struct event *ev)
{
	static const char *const types[] = { "m.room.create", "m.room.member", "m.room.power_levels", "m.room.join_rules",
		"m.room.third_party_invite", "m.room.redaction" };

	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (strcmp(ev->type, types[i]) == 0)
			return true;
	return false;
}

void
res_fill(struct res *r, const uint32_t *nodes, uint32_t n)
{
	const char **ids = arena_calloc(r->cx->a, n, sizeof(*ids));
	size_t k = 0;

	for (uint32_t i = 0; i < n; i++) {
		struct node *node = &r->nodes[nodes[i]];

		if (node->filled || !node->ev)
			continue;
		node->filled = true;
		if (is_read(node->ev))
			ids[k++] = node->ev->id;
	}
	if (k && r->src->fill)
		r->src->fill(r->src->arg, ids, k);
}

void
res_fill_judged(struct res *r, const uint32_t *nodes, uint32_t n)
{
	struct res_list all = { .a = r->cx->a };

	for (uint32_t i = 0; i < n; i++) {
		res_push(&all, nodes[i]);
		for (uint32_t k = 0; k < r->nodes[nodes[i]].nauth; k++)
			res_push(&all, r->nodes[nodes[i]].auth[k]);
	}
	res_fill(r, all.v, all.n);
}

static void
push_unchained(struct res *r, struct res_list *l, const uint32_t *nodes, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (!r->nodes[nodes[i]].chained) {
			r->nodes[nodes[i]].chained = true;
			res_push(l, nodes[i]);
		}
}

void
res_load_chains(struct res *r, const uint32_t *nodes, uint32_t n)
{
	struct res_list all = { .a = r->cx->a };
	uint32_t done = 0, end;

	push_unchained(r, &all, nodes, n);
	while (done < all.n) {
		res_load(r, all.v + done, all.n - done);
		for (end = all.n; done < end; done++)
			push_unchained(r, &all, r->nodes[all.v[done]].auth, r->nodes[all.v[done]].nauth);
	}
}

int
res_id_cmp(const char *x, const char *y)
{
	size_t nx = 1, ny = 1;

	for (; *x && *y; x += nx, y += ny) {
		char cx, cy;

		nx = esc_step(x, &cx);
		ny = esc_step(y, &cy);
		if (!nx || !ny)		/* no esc string; still some order */
			return strcmp(x, y);
		if (cx != cy)
			return (unsigned char)cx < (unsigned char)cy ? -1 : 1;
	}
	return *x ? 1 : *y ? -1 : 0;
}

/* The states compared */

static void
read_sets(struct res *r, const struct state_set *sets)
{
	r->pairs = arena_calloc(r->cx->a, r->nsets, sizeof(struct res_pair *));
	r->npairs = arena_calloc(r->cx->a, r->nsets, sizeof(*r->npairs));
	for (uint32_t s = 0; s < r->nsets; s++) {
		r->npairs[s] = (uint32_t)sets[s].n;
		r->pairs[s] = arena_calloc(r->cx->a, sets[s].n, sizeof(struct res_pair));
		for (uint32_t i = 0; i < r->npairs[s]; i++) {
			const struct state_item *it = &sets[s].v[i];
			struct res_pair *p = &r->pairs[s][i];

			p->key = res_names_add(&r->keys, it->type, it->key);
			p->node = res_node(r, it->id);
			if (it->order)
				r->nodes[p->node].order = it->order;
		}
	}
}

/*
 * Room v2 §Definitions, "Unconflicted state map": in every state, with one value.
 * Room v1 §State resolution: no two states with different values; a key that one
 * state does not have is no conflict there.
 */
static void
find_agreed(struct res *r)
{
	uint32_t *seen = arena_calloc(r->cx->a, r->keys.n, sizeof(*seen));

	r->nagreed = r->keys.n;
	r->agreed = arena_calloc(r->cx->a, r->nagreed, sizeof(*r->agreed));
	for (uint32_t s = 0; s < r->nsets; s++)
		for (uint32_t i = 0; i < r->npairs[s]; i++) {
			const struct res_pair *p = &r->pairs[s][i];

			if (seen[p->key]++ == 0)
				r->agreed[p->key] = p->node;
			else if (r->agreed[p->key] != p->node)
				r->agreed[p->key] = NONE;
		}
	for (uint32_t k = 0; k < r->nagreed; k++) {
		if (r->rv->state_res != RES_V1 && seen[k] < r->nsets)
			r->agreed[k] = NONE;
		if (r->agreed[k] == NONE)
			r->conflict = true;
	}
	for (uint32_t s = 0; s < r->nsets; s++)
		for (uint32_t i = 0; i < r->npairs[s]; i++)
			if (r->agreed[r->pairs[s][i].key] == NONE)
				r->nodes[r->pairs[s][i].node].conflicted = true;
}

uint32_t
res_agreed(const struct res *r, uint32_t key)
{
	return key < r->nagreed ? r->agreed[key] : NONE;
}

/* The state that is being built, and judging by it */

void
res_state_init(struct res *r, bool with_agreed)
{
	r->nstate = r->keys.n;
	r->state = arena_calloc(r->cx->a, r->nstate, sizeof(*r->state));
	for (uint32_t k = 0; k < r->nstate; k++)
		r->state[k] = with_agreed ? res_agreed(r, k) : NONE;
}

void
res_load_judges(struct res *r, const uint32_t *nodes, uint32_t n)
{
	struct res_list want = { .a = r->cx->a };
	struct arena_mark m = arena_mark(r->judge.a);
	struct state_key keys[AUTH_KEYS_MAX];

	for (uint32_t i = 0; i < n; i++) {
		const struct event *ev = r->nodes[nodes[i]].ev;
		size_t nkeys = !ev ? 0
		    : auth_event_keys(&r->judge, r->rv, ev->type, ev->sender, ev->state_key, ev->content, keys);

		for (size_t k = 0; k < nkeys; k++) {
			uint32_t node = res_agreed(r, res_names_find(&r->keys, keys[k].type, keys[k].key));

			if (node != NONE)
				res_push(&want, node);
		}
		arena_rewind(r->judge.a, m);
	}
	res_load(r, want.v, want.n);
	res_fill(r, want.v, want.n);
}

struct judged {
	struct res *r;
	uint32_t node;
};

/* A rejected event that has become state authorizes like any other (Room v2 §Rejected events). */
static const struct event *
as_state(struct res *r, uint32_t n)
{
	struct event *copy;

	res_load(r, &n, 1);
	res_fill(r, &n, 1);
	if (!r->nodes[n].as_state && r->nodes[n].ev && r->nodes[n].ev->rejected) {
		copy = arena_alloc(r->cx->a, sizeof(*copy));
		*copy = *r->nodes[n].ev;
		copy->rejected = false;
		r->nodes[n].as_state = copy;
	}
	return r->nodes[n].as_state ? r->nodes[n].as_state : r->nodes[n].ev;
}

/*
 * Room v2 §Definitions, "Iterative auth checks": from the state, else from the event's
 * auth_events unless rejected; event_auth() looks at no rejected event.
 */
static const struct event *
judge_get(void *arg, const char *type, const char *key)
{
	const struct judged *j = arg;
	struct res *r = j->r;
	uint32_t k = res_names_find(&r->keys, type, key);
	const struct event *ev;
	const struct node *n;

	if (k == NONE)
		return NULL;
	if (k < r->nstate && r->state[k] != NONE && (ev = as_state(r, r->state[k])))
		return ev;
	n = &r->nodes[j->node];
	for (uint32_t i = 0; r->cite && i < n->nauth; i++)
		if (r->nodes[n->auth[i]].key == k && r->nodes[n->auth[i]].ev)
			return r->nodes[n->auth[i]].ev;
	return NULL;
}

static bool
was_signed(void *arg, const struct event *ev, const char *server)
{
	(void)arg, (void)ev, (void)server;
	return true;	/* or it would not have come this far */
}

bool
res_allows(struct res *r, uint32_t node)
{
	struct judged j = { r, node };
	struct auth_state st = { .get = judge_get, .arg = &j, .create = r->create, .signed_by = was_signed };
	struct arena_mark m = arena_mark(r->judge.a);
	bool ok = event_auth(&r->judge, r->nodes[node].ev, &st) == M_OK;

	arena_rewind(r->judge.a, m);
	return ok;
}

/* From beginning to end */

/* Room v12 §Event format: the room's id is the create event's, with another sigil. */
static enum err
find_create(struct res *r)
{
	const struct event *ev;
	uint32_t n;

	if (!r->rv->no_create_in_auth)
		return M_OK;
	n = res_node(r, arena_printf(r->cx->a, "$%s", r->room[0] ? r->room + 1 : ""));
	res_load(r, &n, 1);
	res_fill(r, &n, 1);
	ev = r->nodes[n].ev;
	if (!ev || strcmp(ev->type, "m.room.create") != 0)
		return fail(r->cx, M_NOT_FOUND, "the create event of the room is not known");
	r->create = ev;
	return M_OK;
}

static enum err
resolve(struct res *r)
{
	enum err e;

	if (!r->conflict)
		return M_OK;
	if ((e = find_create(r)) != M_OK)
		return e;
	if (r->rv->state_res == RES_V1)
		resolve_v1(r);
	else
		resolve_v2(r);
	return M_OK;
}

/* Room v2 §Algorithm, 5: what was agreed on stands, whatever the resolution came to. */
static void
write_result(struct res *r, struct state_set *out)
{
	uint32_t nkeys = r->nstate > r->nagreed ? r->nstate : r->nagreed;
	struct state_item *v = arena_calloc(r->cx->a, nkeys, sizeof(*v));
	size_t n = 0;

	for (uint32_t k = 0; k < nkeys; k++) {
		uint32_t node = res_agreed(r, k);

		if (node == NONE && k < r->nstate)
			node = r->state[k];
		if (node != NONE)
			v[n++] = (struct state_item){ r->keys.v[k].x, r->keys.v[k].y, r->ids.v[node].x,
				r->nodes[node].order };
	}
	*out = (struct state_set){ v, n };
}

enum err
state_resolve(struct ctx *cx, const struct room_version *rv, const char *room, const struct state_set *sets,
    size_t nsets, const struct state_source *src, struct state_set *out)
{
	struct res r = { .cx = cx, .judge = *cx, .rv = rv, .room = room, .src = src, .nsets = (uint32_t)nsets };
	enum err e;

	r.judge.a = arena_new();
	res_names_init(&r.keys, cx->a);
	res_names_init(&r.ids, cx->a);
	read_sets(&r, sets);
	find_agreed(&r);
	if ((e = resolve(&r)) == M_OK)
		write_result(&r, out);
	arena_free(r.judge.a);
	return e;
}
