/* core/room/hole.c - see hole.h. */
#include "core/room/hole.h"
#include "core/room/receive_impl.h"
#include <stdlib.h>

STMT(hole_first,
    "SELECT top_pos, next_pos, kind, prev FROM hole WHERE room = $1 AND next_pos <= $2 AND kind <> 3 AND prev <> '{}'"
    " ORDER BY next_pos DESC LIMIT 1");
STMT(hole_insert,
    "INSERT INTO hole (room, top_pos, bottom_pos, next_pos, kind, prev) VALUES ($1, $2, $3, $2::bigint - 1, $4, $5)");
STMT(hole_row,
    "SELECT h.next_pos, h.bottom_pos, h.kind, h.prev, (SELECT nid FROM event WHERE room = $1 AND room_pos = $2) FROM hole h"
    " WHERE h.room = $1 AND h.top_pos = $2 AND h.kind <> 3");
STMT(hole_lower, "UPDATE hole SET next_pos = $3, prev = $4 WHERE room = $1 AND top_pos = $2");
STMT(hole_close, "DELETE FROM hole WHERE room = $1 AND top_pos = $2");
STMT(hole_lift, "UPDATE event SET room_pos = $2 WHERE nid = $1");
STMT(hole_lift_relation, "UPDATE event_relation SET room_pos = $2 WHERE event = $1");
STMT(hole_lift_thread, "UPDATE thread SET latest_pos = $3 WHERE room = $1 AND latest_pos = $2");

enum err
hole_below(struct ctx *cx, int64_t room, int64_t room_pos, struct hole *out)
{
	struct rows r;
	enum err e;

	if ((e = db_maybe(cx, &r, &hole_first, P_I64(room), P_I64(room_pos))) != M_OK)
		return e;
	if (r.n == 0)
		return M_NOT_FOUND;
	*out = (struct hole){ .top_pos = db_i64(&r, 0), .next_pos = db_i64(&r, 1), .kind = (enum hole_kind)db_i64(&r, 2) };
	out->prev = db_texts(&r, 3, &out->nprev);
	return M_OK;
}

void
hole_open(struct ctx *cx, int64_t room, enum hole_kind kind, int64_t top_pos, const int64_t *bottom, const char *const *prev, size_t nprev)
{
	db_queue(cx, NULL, DB_NONE, &hole_insert, P_I64(room), P_I64(top_pos), bottom != NULL ? P_I64(*bottom) : P_NULL, P_I64(kind),
	    P_TEXTS(prev, nprev));
}

/* One event on its way into the hole. */
struct filler {
	const struct incoming *in;
	struct stored *stored;		/* as an outlier, or once it is in */
	struct point before;		/* as the event above it tells, ver -1: it does not */
	size_t waits;			/* for how many events above it that are not in order yet */
	bool reached;
	bool met;			/* by find_lacking() */
	bool lacks;			/* something in its auth chain is missing: it stays out, and what only it leads to */
	int64_t room_pos;
};

struct fill {
	struct receive *rc;
	struct hole hole;
	bool has_bottom;
	struct stored *top;
	struct incoming *in;		/* those of the room, each once */
	struct filler *v;		/* beside in */
	size_t n;
	struct stored_map index;	/* of in, as batch_index() makes it */
	size_t *order, norder;		/* newest first */
	const char **prev;		/* the hole's new lowest ends */
	size_t nprev;
};

static struct filler *
filler_of(const struct fill *f, const char *id)
{
	const struct stored *at = stored_find(&f->index, id);

	return at != NULL ? &f->v[at->nid - 1] : NULL;
}

static bool
is_real(const struct stored *s)
{
	return s != NULL && !s->elsewhere && !(s->flags & EV_OUTLIER);
}

/* Each behind what it names. What is named and not met yet comes later, or stands in a circle with it. */
static void
find_lacking(struct fill *f)
{
	size_t *order = batch_by_chain(f->rc->cx, &f->index, f->in, f->n);

	for (size_t i = 0; i < f->n; i++) {
		struct filler *x = &f->v[order[i]];
		for (size_t k = 0; !x->lacks && k < x->in->ev.nauth; k++) {
			const char *id = x->in->ev.auth_ids[k];
			const struct filler *y = filler_of(f, id);
			x->lacks = stored_find(&f->rc->events, id) == NULL && (y == NULL || !y->met || y->lacks);
		}
		x->met = true;
	}
}

/* Which of the events belong into the hole: from its ends downwards. Counts what stands above each. */
static void
reach(struct fill *f)
{
	struct filler **todo = arena_alloc(f->rc->cx->a, (f->n + 1) * sizeof *todo);
	size_t n = 0;

	for (size_t i = 0; i < f->hole.nprev; i++) {
		struct filler *x = filler_of(f, f->hole.prev[i]);
		if (x != NULL && !x->reached && !x->lacks && !is_real(x->stored)) {
			x->reached = true;
			todo[n++] = x;
		}
	}
	for (size_t at = 0; at < n; at++)
		for (size_t i = 0; i < todo[at]->in->ev.nprev; i++) {
			struct filler *x = filler_of(f, todo[at]->in->ev.prev_ids[i]);
			if (x == NULL || x->lacks || is_real(x->stored))
				continue;
			x->waits++;
			if (!x->reached) {
				x->reached = true;
				todo[n++] = x;
			}
		}
}

static bool
comes_first(const struct filler *x, const struct filler *y)
{
	if (x->in->ev.depth != y->in->ev.depth)
		return x->in->ev.depth > y->in->ev.depth;
	if (x->in->ev.ts != y->in->ev.ts)
		return x->in->ev.ts > y->in->ev.ts;
	return strcmp(x->in->ev.id, y->in->ev.id) > 0;
}

/* A heap, with what comes first on top. */

static void
heap_push(struct filler **h, size_t *n, struct filler *x)
{
	size_t i;

	for (i = (*n)++; i > 0 && comes_first(x, h[(i - 1) / 2]); i = (i - 1) / 2)
		h[i] = h[(i - 1) / 2];
	h[i] = x;
}

static struct filler *
heap_pop(struct filler **h, size_t *n)
{
	struct filler *top = h[0], *last = h[--*n];
	size_t i = 0;

	for (;;) {
		size_t k = 2 * i + 1;
		if (k >= *n)
			break;
		if (k + 1 < *n && comes_first(h[k + 1], h[k]))
			k++;
		if (!comes_first(h[k], last))
			break;
		h[i] = h[k];
		i = k;
	}
	h[i] = last;
	return top;
}

/* Newest first: each below all that cite it. */
static void
sort_down(struct fill *f)
{
	struct filler **heap = arena_alloc(f->rc->cx->a, (f->n + 1) * sizeof *heap);
	size_t n = 0;

	f->order = arena_alloc(f->rc->cx->a, (f->n + 1) * sizeof *f->order);
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i].reached && f->v[i].waits == 0)
			heap_push(heap, &n, &f->v[i]);
	while (n > 0) {
		struct filler *x = heap_pop(heap, &n);

		f->order[f->norder++] = (size_t)(x - f->v);
		for (size_t i = 0; i < x->in->ev.nprev; i++) {
			struct filler *y = filler_of(f, x->in->ev.prev_ids[i]);
			if (y != NULL && y->waits > 0 && --y->waits == 0)
				heap_push(heap, &n, y);
		}
	}
}

/* Where an event is all that the one above it cites, and changes no state, the state before it is that before the one above. */
static void
inherit(struct fill *f, const struct event *above, struct point before)
{
	struct filler *x = above->nprev == 1 ? filler_of(f, above->prev_ids[0]) : NULL;

	if (before.ver >= 0 && x != NULL && x->reached && x->in->ev.state_key == NULL)
		x->before = before;
}

/* The state before it: after what it cites, where that is all known; else as told from above, or by another server. */
static enum err
state_before(struct fill *f, struct filler *x, const struct given_state *given, struct point *out)
{
	const struct event *ev = &x->in->ev;
	struct stored *prev[EVENT_PREV_MAX];
	size_t n = 0;

	*out = (struct point){ 0, 0 };
	if (ev->nprev == 0)	/* the create event: version 0 is empty */
		return M_OK;
	for (size_t i = 0; i < ev->nprev; i++) {
		struct stored *s = stored_find(&f->rc->events, ev->prev_ids[i]);
		if (is_real(s) && s->before.ver >= 0)
			prev[n++] = s;
	}
	if (n == ev->nprev && n > 0) {
		enum err e = receive_meet(f->rc, prev, n, out);
		if (e != M_TOO_LARGE)
			return e;
		*out = (struct point){ 0, -1 };	/* it stays unknown */
		return M_OK;
	}
	*out = x->before;
	if (x->before.ver >= 0 || given == NULL)
		return M_OK;
	return receive_given(f->rc, f->top->before.ver >= 0 ? f->top->before : (struct point){ 0, f->rc->ap.room.state_ver }, given, out);
}

/* Events were refused: those below come up. From above, so that each place is free by then. */
static void
lift(struct fill *f)
{
	struct ctx *cx = f->rc->cx;
	int64_t next = f->hole.next_pos;

	for (size_t i = 0; i < f->norder; i++) {
		struct filler *x = &f->v[f->order[i]];
		if (x->room_pos == INT64_MIN)
			continue;
		if (x->room_pos != next) {
			db_queue(cx, NULL, DB_NONE, &hole_lift, P_I64(x->stored->nid), P_I64(next));
			db_queue(cx, NULL, DB_NONE, &hole_lift_relation, P_I64(x->stored->nid), P_I64(next));
			db_queue(cx, NULL, DB_NONE, &hole_lift_thread, P_I64(f->rc->ap.room.nid), P_I64(x->room_pos), P_I64(next));
			x->stored->room_pos = x->room_pos = next;
		}
		next--;
	}
}

/* The i-th from above. What it names in auth_events is here by now, unless that claims to come later: then it stays out. */
static enum err
fill_one(struct fill *f, size_t i, const struct given_state *given)
{
	struct receive *rc = f->rc;
	struct filler *x = &f->v[f->order[i]];
	const struct event *ev = &x->in->ev;
	struct stored *auth[EVENT_AUTH_MAX], *replaces;
	struct point before;
	const char *why;
	int flags;
	enum err e;

	for (size_t k = 0; k < ev->nauth; k++)
		if ((auth[k] = stored_find(&rc->events, ev->auth_ids[k])) == NULL)
			return M_OK;
	if ((e = state_before(f, x, i + 1 == f->norder ? given : NULL, &before)) != M_OK ||
	    (e = receive_judge(rc, x->in, auth, before, &flags, &why, &replaces)) != M_OK)
		return e;
	if (flags == 0)
		x->room_pos = f->hole.next_pos - (int64_t)i;
	struct place at = { x->room_pos, flags == 0 ? f->top->pos : 0, flags == 0 ? f->top->at_ver : -1 };
	return receive_store(rc, x->in, is_real(x->stored) ? NULL : x->stored, flags, at, before, replaces, flags == 0, &x->stored);
}

static int
by_id(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The ends of what is above the hole now. */
static void
find_ends(struct fill *f)
{
	size_t max = f->hole.nprev, n = 0;
	const char **all;

	for (size_t i = 0; i < f->norder; i++)
		max += f->v[f->order[i]].in->ev.nprev;
	all = arena_alloc(f->rc->cx->a, (max + 1) * sizeof *all);
	for (size_t i = 0; i < f->hole.nprev; i++)
		all[n++] = f->hole.prev[i];
	for (size_t i = 0; i < f->norder; i++) {
		const struct filler *x = &f->v[f->order[i]];
		for (size_t k = 0; is_real(x->stored) && k < x->in->ev.nprev; k++)
			all[n++] = x->in->ev.prev_ids[k];
	}
	qsort(all, n, sizeof *all, by_id);
	f->prev = all;
	for (size_t i = 0; i < n; i++)
		if ((f->nprev == 0 || strcmp(all[i], f->prev[f->nprev - 1]) != 0) && !is_real(stored_find(&f->rc->events, all[i])))
			f->prev[f->nprev++] = all[i];
}

/* What was taken for an end of the room until now may lie below one of these. */
static enum err
take_off_ends(struct fill *f)
{
	struct receive *rc = f->rc;
	struct stored *prev[EVENT_PREV_MAX];
	bool any = false;
	enum err e;

	if ((e = receive_stand(rc)) != M_OK)
		return e;
	for (size_t i = 0; i < f->norder; i++) {
		const struct filler *x = &f->v[f->order[i]];
		size_t n = 0;
		bool one;
		for (size_t k = 0; x->room_pos != INT64_MIN && k < x->in->ev.nprev; k++)
			if ((prev[n] = stored_find(&rc->events, x->in->ev.prev_ids[k])) != NULL)
				n++;
		if ((e = receive_cited(rc, prev, n, &one)) != M_OK)
			return e;
		any = any || one;
	}
	return any ? receive_resolve(rc) : M_OK;
}

static enum err
read_hole(struct fill *f, int64_t top_pos)
{
	struct receive *rc = f->rc;
	struct rows r;
	int64_t nid;
	enum err e;

	if ((e = db_maybe(rc->cx, &r, &hole_row, P_I64(rc->ap.room.nid), P_I64(top_pos))) != M_OK)
		return e;
	if (r.n == 0 || db_null(&r, 4))
		return fail(rc->cx, M_NOT_FOUND, "there is no hole below this event");
	f->hole = (struct hole){ .top_pos = top_pos, .next_pos = db_i64(&r, 0), .kind = (enum hole_kind)db_i64(&r, 2) };
	f->has_bottom = !db_null(&r, 1);
	f->hole.prev = db_texts(&r, 3, &f->hole.nprev);
	nid = db_i64(&r, 4);
	if ((e = stored_load_nids(rc->cx, &rc->ap.room, &rc->events, &nid, 1)) != M_OK)
		return e;
	f->top = stored_of_nid(&rc->events, nid);
	return M_OK;
}

static void
take_events(struct fill *f, const struct incoming *in, size_t n)
{
	struct ctx *cx = f->rc->cx;
	struct filler *v = arena_calloc(cx->a, n + 1, sizeof *v);

	f->in = arena_calloc(cx->a, n + 1, sizeof *f->in);
	f->v = v;
	batch_index(cx, &f->index, NULL, 0);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(in[i].ev.room, f->rc->ap.room.id) != 0 || filler_of(f, in[i].ev.id) != NULL)
			continue;
		f->in[f->n] = in[i];
		v[f->n] = (struct filler){ .in = &f->in[f->n], .stored = stored_find(&f->rc->events, in[i].ev.id), .before = { 0, -1 },
			.room_pos = INT64_MIN };
		batch_add(&f->index, in[i].ev.id, ++f->n);
	}
}

enum err
hole_fill(struct receive *rc, int64_t top_pos, const struct incoming *in, size_t n, const struct given_state *given, size_t *placed)
{
	struct ctx *cx = rc->cx;
	struct fill f = { .rc = rc };
	enum err e;

	*placed = 0;
	if ((e = read_hole(&f, top_pos)) != M_OK || (e = receive_load_cited(rc, in, n)) != M_OK ||
	    (e = stored_load(cx, &rc->ap.room, &rc->events, f.hole.prev, f.hole.nprev)) != M_OK)
		return e;
	take_events(&f, in, n);
	find_lacking(&f);
	reach(&f);
	sort_down(&f);
	inherit(&f, &f.top->ev, f.top->before);
	for (size_t i = 0; i < f.norder; i++)
		inherit(&f, &f.v[f.order[i]].in->ev, f.v[f.order[i]].before);
	for (size_t i = f.norder; i-- > 0;) {
		if ((e = fill_one(&f, i, given)) != M_OK)
			return e;
		*placed += f.v[f.order[i]].room_pos != INT64_MIN;
	}
	if (*placed < f.norder)
		lift(&f);
	find_ends(&f);
	f.hole.next_pos -= (int64_t)*placed;
	if (f.nprev == 0 && !f.has_bottom)
		db_queue(cx, NULL, DB_NONE, &hole_close, P_I64(rc->ap.room.nid), P_I64(top_pos));
	else
		db_queue(cx, NULL, DB_NONE, &hole_lower, P_I64(rc->ap.room.nid), P_I64(top_pos), P_I64(f.hole.next_pos), P_TEXTS(f.prev, f.nprev));
	if (*placed > 0 && (e = hole_learn(rc, f.hole.next_pos + (int64_t)*placed, top_pos)) != M_OK)
		return e;
	return take_off_ends(&f);
}
