/*
 * core/sync/piece.c - the jobs of a request alone, loaded and written out.
 *
 * Rooms go through in pieces, of PIECE rooms or about PIECE_EVENTS events, each with
 * memory of its own, so that a client of 5,000 rooms, or of fifty with ten thousand
 * members, costs a worker no more than its answer and one piece.
 */
#include "core/room/erased.h"
#include "core/room/relation.h"
#include "core/sync/impl.h"

#define PIECE 50
#define PIECE_EVENTS 20000
#define LIM_FILTERED 50		/* events looked at first when some may be hidden */

struct piece {
	struct sync_run *run;	/* with the piece's memory */
	struct sync_req *q;
	struct sync_job *jobs;
	size_t n;
	struct load l;
	struct live_load live;
	struct unread_load unread;
	struct sync_room *rooms;
	struct sync_job **some;	/* scratch: n jobs */
};

static bool
has_timeline(const struct sync_job *j)
{
	return j->section == SECT_JOIN || j->section == SECT_LEAVE;
}

/* Never been in it (an invitation refused or withdrawn), or forgotten it. Nothing of the room is shown but the end. */
static bool
never_in(const struct sync_job *j)
{
	return j->section == SECT_LEAVE && (j->member->joined_pos == 0 || j->member->forgotten);
}

static void
want_room(const struct sync_req *q, const struct sync_job *j, struct sync_room *m)
{
	int64_t lo = j->fresh || q->initial ? INT64_MIN : position_lo(&q->since);
	bool hides = !q->f->timeline.any || q->nignored > 0;

	*m = (struct sync_room){ .nid = j->room_nid, .lo = lo, .top = INT64_MAX, .heroes_lo = j->full ? INT64_MIN : lo,
	    .clock = INT64_MAX };
	if (j->section == SECT_JOIN && q->w->kind != SYNC_PEEK)
		live_want(m, q, j->fresh || q->initial);
	if (!has_timeline(j))
		return;
	m->lim = q->f->timeline.limit + 1;
	if (hides && m->lim < LIM_FILTERED)
		m->lim = LIM_FILTERED;
	m->want_state = !j->full;
	m->want_heroes = j->section == SECT_JOIN;
	if (j->section == SECT_LEAVE)
		m->top = j->member->room_pos;
	if (never_in(j)) {
		m->lim = 1;
		m->want_state = false;
	}
}

static int
by_nid(const void *a, const void *b)
{
	const struct sync_room *x = a, *y = b;

	return (x->nid > y->nid) - (x->nid < y->nid);
}

static enum err
piece_load(struct piece *p)
{
	struct ctx *cx = p->run->cx;
	struct sync_req *q = p->q;
	int64_t *users = arena_alloc(cx->a, p->n * sizeof *users), *vrooms = arena_alloc(cx->a, p->n * sizeof *vrooms);
	struct visibility *vis = arena_alloc(cx->a, p->n * sizeof *vis);
	struct rows rvis = { 0 };
	size_t i, nvis = 0;
	enum err e;

	for (i = 0; i < p->n; i++) {
		want_room(q, &p->jobs[i], &p->rooms[i]);
		if (has_timeline(&p->jobs[i]) && (p->jobs[i].fresh || q->w->kind == SYNC_PEEK || p->jobs[i].section == SECT_LEAVE)) {
			p->some[nvis] = &p->jobs[i];
			users[nvis] = q->w->user_nid;
			vrooms[nvis++] = p->jobs[i].room_nid;
		}
	}
	qsort(p->rooms, p->n, sizeof *p->rooms, by_nid);
	load_queue(cx, &p->l, p->rooms, p->n);
	live_queue(cx, &p->live, p->rooms, p->n, &q->w->user_nid, 1);
	counts_piece_queue(p->run, &p->unread, q, p->jobs, p->n);
	if (nvis > 0)
		visibility_queue(cx, &rvis, users, vrooms, nvis);
	if ((e = db_run(cx)) != M_OK)
		return e;
	load_take(cx, &p->l);
	live_take(cx, &p->live, p->rooms, p->n);
	unread_take(cx, &p->unread);
	if (nvis > 0)
		visibility_take(cx, &rvis, users, nvis, vis);
	for (i = 0; i < nvis; i++)
		p->some[i]->vis = &vis[i];
	return M_OK;
}

/* Finds each job's room; those that are gone or that the filter does not want drop out. */
static void
piece_join(struct piece *p)
{
	size_t i, n = 0;

	for (i = 0; i < p->n; i++) {
		struct sync_job *j = &p->jobs[i];

		j->room = room_find(p->rooms, p->l.n, j->room_nid);
		if (!j->room->id || !filter_room(p->q->f, j->room->id))
			continue;
		if (never_in(j))
			j->room->whole = true;
		if (j->section == SECT_JOIN && !p->q->initial && position_new(&p->q->since, j->room->full_state_pos))
			j->full = true;		/* the whole state was replaced */
		p->jobs[n++] = *j;
	}
	p->n = n;
}

/* Picks all timelines, fetching older events as long as one of them could be filled further. */
static enum err
piece_timelines(struct piece *p)
{
	struct ctx *cx = p->run->cx;
	struct sync_room **older = arena_alloc(cx->a, (p->n + 1) * sizeof *older);
	size_t i, n;
	enum err e;

	for (i = 0; i < p->n; i++)
		p->some[i] = has_timeline(&p->jobs[i]) ? &p->jobs[i] : NULL;
	do {
		for (i = n = 0; i < p->n; i++) {
			if (!p->some[i])
				continue;
			if (timeline_pick(cx->a, p->q, p->some[i]))
				p->some[i] = NULL;
			else
				older[n++] = p->some[i]->room;
		}
		if (n > 0 && (e = load_older(cx, &p->l, older, n)) != M_OK)
			return e;
	} while (n > 0);
	return M_OK;
}

/* Whose member events a lazy-loading client needs with this answer. */
static size_t
lazy_members(const struct piece *p, struct member_at *v)
{
	bool after = p->q->w->use_state_after;
	size_t i, k, h, n = 0;

	for (i = 0; i < p->n; i++) {
		const struct sync_job *j = &p->jobs[i];
		int64_t ver = after ? j->v1 : j->v0;
		size_t first = n;

		if (!has_timeline(j))
			continue;
		if (j->full)
			v[n++] = (struct member_at){ j->room->nid, p->q->w->user_nid, ver };
		for (k = 0; k < j->nshown; k++) {
			int64_t sender = j->shown[k]->ev.sender_nid;

			for (h = first; h < n && v[h].usr != sender;)
				h++;
			if (h == n)
				v[n++] = (struct member_at){ j->room->nid, sender, ver };
		}
	}
	return n;
}

/* The second load: full state at the versions that the timelines begin with, members, invitations. */
static enum err
piece_complete(struct piece *p)
{
	struct ctx *cx = p->run->cx;
	struct sync_job **full = arena_alloc(cx->a, (p->n + 1) * sizeof *full), **inv = arena_alloc(cx->a, (p->n + 1) * sizeof *inv);
	struct member_at *at = arena_alloc(cx->a, p->n * (FILTER_LIMIT_MAX + 1) * sizeof *at + 1);
	bool lazy = p->q->f->state.lazy_members;
	struct rows rfull, rinv, rmem;
	size_t i, nfull = 0, ninv = 0, nat;
	enum err e;

	for (i = 0; i < p->n; i++) {
		struct sync_job *j = &p->jobs[i];

		if (has_timeline(j) && j->full)
			full[nfull++] = j;
		else if (!has_timeline(j) && (!j->member->stripped || p->q->w->kind != 0) && j->member->event)
			inv[ninv++] = j;
	}
	nat = lazy ? lazy_members(p, at) : 0;
	if (nfull + ninv + nat == 0)
		return M_OK;
	load_full_queue(cx, &rfull, full, nfull, lazy);
	load_stripped_queue(cx, &rinv, inv, ninv);
	load_members_queue(cx, &rmem, at, nat);
	if ((e = db_run(cx)) != M_OK)
		return e;
	load_jobs_take(cx, &rfull, full, nfull);
	load_jobs_take(cx, &rinv, inv, ninv);
	load_members_take(cx, &rmem, &p->l);
	return M_OK;
}

/* What is bundled with the events of timelines that are limited or new to the client ("Aggregations of child events"). */
static enum err
piece_bundle(struct piece *p)
{
	const struct ignored ignored = { p->q->ignored, p->q->nignored };
	struct relation_ask *v;
	size_t i, k, n = 0;

	for (i = 0; i < p->n; i++)
		n += p->jobs[i].nshown;
	v = arena_alloc(p->run->cx->a, (n + 1) * sizeof *v);
	for (i = n = 0; i < p->n; i++) {
		const struct sync_job *j = &p->jobs[i];

		for (k = 0; (j->limited || j->full) && k < j->nshown; k++)
			v[n++] = (struct relation_ask){ &j->shown[k]->ev, j->room->top, j->vis, NULL, j->room->rv };
	}
	return relation_bundle(p->run->cx, p->q->w->user_nid, &ignored, v, n);
}

/* What users who wished to be forgotten said before the reader came (erased.h). */
static enum err
piece_erased(struct piece *p)
{
	struct erased_ask *v;
	size_t i, k, n = 0;

	for (i = 0; i < p->n; i++)
		n += p->jobs[i].vis ? p->jobs[i].nshown : 0;
	v = arena_alloc(p->run->cx->a, (n + 1) * sizeof *v);
	for (i = n = 0; i < p->n; i++)
		for (k = 0; p->jobs[i].vis && k < p->jobs[i].nshown; k++)
			v[n++] = (struct erased_ask){ &p->jobs[i].shown[k]->ev, p->jobs[i].vis, p->jobs[i].room->rv };
	return erased_hide(p->run->cx, v, n);
}

static enum err
piece_run(struct piece *p)
{
	struct ctx *cx = p->run->cx;
	size_t i;
	enum err e;

	p->rooms = arena_calloc(cx->a, p->n, sizeof *p->rooms);
	p->some = arena_calloc(cx->a, p->n, sizeof *p->some);
	if ((e = piece_load(p)) != M_OK)
		return e;
	piece_join(p);
	if ((e = piece_timelines(p)) != M_OK || (e = piece_erased(p)) != M_OK || (e = piece_bundle(p)) != M_OK || (e = piece_complete(p)) != M_OK)
		return e;
	for (i = 0; i < p->n; i++)
		answer_job(p->run, cx->a, p->q, &p->jobs[i]);
	return M_OK;
}

static size_t
piece_size(const struct sync_req *q, size_t from)
{
	int64_t weight = q->jobs[from].weight;
	size_t n = 1;

	while (from + n < q->njobs && n < PIECE && weight + q->jobs[from + n].weight <= PIECE_EVENTS)
		weight += q->jobs[from + n++].weight;
	return n;
}

enum err
pieces_run(struct sync_run *run, struct sync_req *q)
{
	size_t i, n;
	enum err e = M_OK;

	for (i = 0; i < q->njobs && e == M_OK; i += n) {
		struct ctx cx = *run->cx;
		struct sync_run part = *run;
		struct piece p = { .run = &part, .q = q, .jobs = q->jobs + i };

		p.n = n = piece_size(q, i);
		cx.a = arena_new();
		part.cx = &cx;
		e = piece_run(&p);
		arena_free(cx.a);
	}
	return e;
}
