/* core/room/resolve.c - see resolve.h. */
#include "core/room/resolve.h"
#include "core/event/state_res.h"
#include "core/room/pdu.h"
#include <stdlib.h>

STMT(resolve_diff, "SELECT type, key, events FROM state_diff($1, $2, $3) ORDER BY type, key LIMIT $4");
/*
 * What the states agree on, as far as it can matter (state_res.h, `order`): all that is no member event, members whose event is
 * younger than what is looked for in its auth chain, and the members whom events in question are by, about, or authorised by.
 * A row on a line hides those of the lines below it.
 */
STMT(resolve_agreed,
    "WITH p AS MATERIALIZED (SELECT * FROM state_path($1, $2::int, $3)),"
    " u AS MATERIALIZED (SELECT unnest($5::bigint[]) AS nid UNION SELECT nid FROM name WHERE body = ANY($6))"
    " SELECT s.type, s.key, s.event, (SELECT body FROM name WHERE nid = s.type), (SELECT body FROM name WHERE nid = s.key),"
    " (SELECT id FROM event WHERE nid = s.event) FROM p"
    " CROSS JOIN LATERAL (SELECT type, key, event FROM state_of_line($1, p.line, p.ver)"
    "	WHERE event IS NOT NULL AND (type <> 2 OR event >= $4 OR key IN (SELECT nid FROM u)) OFFSET 0) s"
    " WHERE NOT EXISTS (SELECT 1 FROM p q JOIN LATERAL (SELECT 1 FROM state t WHERE t.room = $1 AND t.line = q.line AND t.type = s.type"
    "	AND t.key = s.key AND t.since <= q.ver LIMIT 1) t ON true WHERE q.step < p.step)");

struct work {
	struct ctx *cx;
	const struct room *room;
	const struct point *states;
	size_t nres;
	struct resolution *out;
	bool *conflict;			/* beside out->v: do the states to be resolved differ? */
	struct stored_map events;
	struct stored **by_nid;		/* the conflicting events, ascending */
	size_t nby_nid;
	size_t bytes;			/* how much of what events say may still be read */
	enum err fault;			/* of load() and fill() */
};

struct resolve_limits resolve_limits = { 100000, 16 << 20 };

static enum err
read_diff(struct work *w, size_t nstates)
{
	struct arena *a = w->cx->a;
	int64_t *lines = arena_alloc(a, nstates * sizeof *lines), *vers = arena_alloc(a, nstates * sizeof *vers);
	struct resolution *out = w->out;
	struct rows r;
	size_t n;
	enum err e;

	for (size_t i = 0; i < nstates; i++) {
		lines[i] = w->states[i].line;
		vers[i] = w->states[i].ver;
	}
	if ((e = db_query(w->cx, &r, &resolve_diff, P_I64(w->room->nid), P_I64S(lines, nstates), P_I64S(vers, nstates), P_I64((int64_t)resolve_limits.events + 1))) != M_OK)
		return e;
	if ((size_t)r.n > resolve_limits.events)
		return fail(w->cx, M_TOO_LARGE, "the branches of this room differ too much to be brought together here");
	*out = (struct resolution){ .nstates = nstates, .v = arena_calloc(a, (size_t)r.n + 1, sizeof *out->v) };
	w->conflict = arena_calloc(a, (size_t)r.n + 1, sizeof *w->conflict);
	while (db_next(&r)) {
		struct resolved_key *k = &out->v[out->n];
		*k = (struct resolved_key){ .type = db_i64(&r, 0), .key = db_i64(&r, 1), .events = db_i64s(&r, 2, &n) };
		k->result = k->events[0];
		for (size_t i = 1; i < w->nres; i++)
			if (k->events[i] != k->events[0])
				w->conflict[out->n] = true;
		out->n++;
	}
	return M_OK;
}

static int
by_number(const void *x, const void *y)
{
	int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;

	return (a > b) - (a < b);
}

static int
by_event_nid(const void *x, const void *y)
{
	int64_t a = (*(struct stored *const *)x)->nid, b = (*(struct stored *const *)y)->nid;

	return (a > b) - (a < b);
}

static struct stored *
event_of(const struct work *w, int64_t nid)
{
	struct stored want = { .nid = nid }, *p = &want, **found = bsearch(&p, w->by_nid, w->nby_nid, sizeof *w->by_nid, by_event_nid);

	return found != NULL ? *found : NULL;
}

/* The events in conflict, with what they are built on where the algorithm looks at that. */
static enum err
load_conflict(struct work *w)
{
	const struct resolution *out = w->out;
	int64_t *nids = arena_alloc(w->cx->a, (out->n * w->nres + 1) * sizeof *nids);
	size_t n = 0, m = 0;
	enum err e;

	for (size_t k = 0; k < out->n; k++)
		for (size_t i = 0; w->conflict[k] && i < w->nres; i++)
			if (out->v[k].events[i] != 0)
				nids[n++] = out->v[k].events[i];
	qsort(nids, n, sizeof *nids, by_number);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || nids[i] != nids[i - 1])
			nids[m++] = nids[i];
	if (w->room->rv->state_res == RES_V1)
		e = stored_bare_nids(w->cx, w->room, &w->events, nids, m, resolve_limits.events);
	else
		e = stored_bare_chains(w->cx, w->room, &w->events, nids, m, resolve_limits.events);
	if (e != M_OK)
		return e;
	w->nby_nid = w->events.n;
	w->by_nid = arena_alloc(w->cx->a, (w->nby_nid + 1) * sizeof *w->by_nid);
	memcpy(w->by_nid, w->events.v, w->nby_nid * sizeof *w->by_nid);
	qsort(w->by_nid, w->nby_nid, sizeof *w->by_nid, by_event_nid);
	for (size_t i = 0; i < m; i++) {
		struct stored *s = event_of(w, nids[i]);
		if (s != NULL)
			s->conflicted = true;
	}
	return M_OK;
}

/* Counts in how many of the states' auth chains each event is, as far as conflicting events lead there. */
static void
count_state(struct work *w, size_t state)
{
	struct stored **todo = arena_alloc(w->cx->a, (w->events.n + w->out->n + 1) * sizeof *todo);
	size_t n = 0;

	for (size_t k = 0; k < w->out->n; k++) {
		struct stored *s = w->conflict[k] ? event_of(w, w->out->v[k].events[state]) : NULL;
		if (s != NULL && s->last != state + 1) {
			s->last = (uint32_t)state + 1;
			todo[n++] = s;
		}
	}
	while (n > 0) {
		struct stored *s = todo[--n];
		s->sets++;
		for (size_t i = 0; i < s->ev.nauth; i++) {
			struct stored *auth = stored_find(&w->events, s->ev.auth_ids[i]);
			if (auth != NULL && auth->last != state + 1) {
				auth->last = (uint32_t)state + 1;
				todo[n++] = auth;
			}
		}
	}
}

/* Whom joins were authorised by. */
static enum err
fill_members(struct work *w, struct stored *const *v, size_t n)
{
	struct stored **members = arena_alloc(w->cx->a, (n + 1) * sizeof *members);
	size_t k = 0;

	for (size_t i = 0; i < n; i++)
		if (v[i]->type_nid == T_MEMBER)
			members[k++] = v[i];
	return stored_fill(w->cx, members, k, &w->bytes);
}

/* The agreed state that the algorithm may ask for. */
static enum err
load_agreed(struct work *w, struct rows *r)
{
	struct arena *a = w->cx->a;
	int64_t low = INT64_MAX, *users = arena_alloc(a, (2 * w->events.n + 1) * sizeof *users);
	const char **names = arena_alloc(a, (w->events.n + 1) * sizeof *names);
	struct stored **apart = arena_alloc(a, (w->events.n + 1) * sizeof *apart);
	size_t nusers = 0, nnames = 0, napart = 0;
	enum err e;

	for (size_t i = 0; i < w->nres; i++)
		count_state(w, i);
	for (size_t i = 0; i < w->events.n; i++)
		if (w->events.v[i]->conflicted || w->events.v[i]->sets != w->nres)
			apart[napart++] = w->events.v[i];
	if ((e = fill_members(w, apart, napart)) != M_OK)
		return e;
	for (size_t i = 0; i < napart; i++) {
		struct stored *s = apart[i];
		if (!s->conflicted && s->nid < low)
			low = s->nid;
		users[nusers++] = s->sender_nid;
		if (s->type_nid == T_MEMBER && s->key_nid >= 0)
			users[nusers++] = s->key_nid;
		const char *via = json_get_esc(a, s->ev.content, "join_authorised_via_users_server");
		if (via != NULL)
			names[nnames++] = via;
	}
	return db_query(w->cx, r, &resolve_agreed, P_I64(w->room->nid), P_I64(w->states[0].line), P_I64(w->states[0].ver), P_I64(low),
	    P_I64S(users, nusers), P_TEXTS(names, nnames));
}

static size_t
key_place(const struct resolution *r, int64_t type, int64_t key)
{
	size_t lo = 0, hi = r->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		const struct resolved_key *k = &r->v[mid];
		if (k->type < type || (k->type == type && k->key < key))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < r->n && r->v[lo].type == type && r->v[lo].key == key ? lo : r->n;
}

static struct state_set *
make_sets(struct work *w, struct rows *agreed)
{
	struct arena *a = w->cx->a;
	struct state_set *sets = arena_calloc(a, w->nres, sizeof *sets);
	struct state_item *common = arena_alloc(a, ((size_t)agreed->n + 1) * sizeof *common);
	size_t ncommon = 0;

	while (db_next(agreed)) {
		size_t k = key_place(w->out, db_i64(agreed, 0), db_i64(agreed, 1));
		if (k == w->out->n || !w->conflict[k])
			common[ncommon++] = (struct state_item){ db_text(agreed, 3), db_text(agreed, 4), db_text(agreed, 5), db_i64(agreed, 2) };
	}
	for (size_t i = 0; i < w->nres; i++) {
		struct state_item *v = arena_alloc(a, (ncommon + w->out->n + 1) * sizeof *v);
		size_t n = ncommon;
		memcpy(v, common, ncommon * sizeof *v);
		for (size_t k = 0; k < w->out->n; k++) {
			const struct stored *s = w->conflict[k] ? event_of(w, w->out->v[k].events[i]) : NULL;
			if (s != NULL)
				v[n++] = (struct state_item){ s->ev.type, s->ev.state_key, s->ev.id, s->nid };
		}
		sets[i] = (struct state_set){ v, n };
	}
	return sets;
}

static void
load(void *arg, const char *const *ids, size_t n, struct state_event *out)
{
	struct work *w = arg;

	if (w->fault == M_OK)
		w->fault = stored_bare(w->cx, w->room, &w->events, ids, n, resolve_limits.events);
	for (size_t i = 0; i < n; i++) {
		const struct stored *s = stored_find(&w->events, ids[i]);
		out[i] = s != NULL && !s->elsewhere ? (struct state_event){ &s->ev, s->nid } : (struct state_event){ NULL, 0 };
	}
}

static void
fill(void *arg, const char *const *ids, size_t n)
{
	struct work *w = arg;
	struct stored **v = arena_alloc(w->cx->a, (n + 1) * sizeof *v);

	for (size_t i = 0; i < n; i++)
		v[i] = stored_find(&w->events, ids[i]);
	if (w->fault == M_OK)
		w->fault = stored_fill(w->cx, v, n, &w->bytes);
}

/* A key that no state had: something between the states that is played again. */
static void
add_key(struct work *w, const struct stored *s)
{
	struct resolution *out = w->out;
	int64_t *none = arena_calloc(w->cx->a, out->nstates, sizeof *none);

	out->v = arena_realloc(w->cx->a, out->v, out->n * sizeof *out->v, (out->n + 1) * sizeof *out->v);
	out->v[out->n++] = (struct resolved_key){ s->type_nid, s->key_nid, none, s->nid };
}

static void
take_result(struct work *w, const struct state_set *result, const struct rows *agreed)
{
	size_t nkeys = w->out->n;

	for (size_t k = 0; k < nkeys; k++)
		if (w->conflict[k])
			w->out->v[k].result = 0;
	for (size_t i = 0; i < result->n; i++) {
		const struct stored *s = stored_find(&w->events, result->v[i].id);
		if (s == NULL)
			continue;	/* agreed on, and nobody asked for it */
		const struct resolution keys = { .v = w->out->v, .n = nkeys };	/* those from the diff, sorted */
		size_t k = key_place(&keys, s->type_nid, s->key_nid);
		if (k < nkeys) {
			if (w->conflict[k])
				w->out->v[k].result = s->nid;
			continue;
		}
		bool known = false;
		struct rows r = *agreed;
		for (r.i = -1; !known && db_next(&r);)
			known = db_i64(&r, 0) == s->type_nid && db_i64(&r, 1) == s->key_nid;
		if (!known)
			add_key(w, s);
	}
}

enum err
resolve_states(struct ctx *cx, const struct room *room, const struct point *states, size_t nres, size_t nstates, struct resolution *out)
{
	struct work w = { .cx = cx, .room = room, .states = states, .nres = nres, .out = out, .bytes = resolve_limits.bytes };
	struct state_source src = { load, fill, &w };
	struct state_set *sets, result;
	struct rows agreed;
	bool any = false;
	enum err e;

	if ((e = read_diff(&w, nstates)) != M_OK)
		return e;
	for (size_t k = 0; k < out->n; k++)
		any = any || w.conflict[k];
	if (!any)
		return M_OK;
	stored_map_init(&w.events, cx->a);
	if ((e = load_conflict(&w)) != M_OK || (e = load_agreed(&w, &agreed)) != M_OK)
		return e;
	sets = make_sets(&w, &agreed);
	e = state_resolve(cx, room->rv, room->id, sets, nres, &src, &result);
	if (w.fault != M_OK || e != M_OK)
		return w.fault != M_OK ? w.fault : e;
	take_result(&w, &result, &agreed);
	return M_OK;
}

void
resolution_changes(struct arena *a, const struct resolution *r, size_t i, struct change **v, size_t *n)
{
	*v = arena_alloc(a, (r->n + 1) * sizeof **v);
	*n = 0;
	for (size_t k = 0; k < r->n; k++)
		if (r->v[k].events[i] != r->v[k].result)
			(*v)[(*n)++] = (struct change){ r->v[k].type, r->v[k].key, r->v[k].result };
}

size_t
resolution_nearest(const struct resolution *r)
{
	size_t best = 0, least = SIZE_MAX;

	for (size_t i = 0; i < r->nstates; i++) {
		size_t n = 0;
		for (size_t k = 0; k < r->n; k++)
			n += r->v[k].events[i] != r->v[k].result;
		if (n < least) {
			least = n;
			best = i;
		}
	}
	return best;
}
