/*
 * core/sync/piece.c - the jobs of a request alone, loaded and written out.
 *
 * Rooms go through in pieces of PIECE_MAX rooms, the last ones smaller, each with memory of its own. A piece is loaded twice: first what is new, from which the
 * timelines are picked, then the state that they begin with and what else depends on them. A few pieces are under
 * way at once, so that PostgreSQL reads the next ones while this process writes one out:
 *
 *	started: first load		picked: second load		written
 *
 * All that are under way have about PIECE_EVENTS events at most (one room may have more), so a client of 5,000 rooms, or of fifty with
 * ten thousand members, costs a worker no more than its answer and those. Long contents of timelines are loaded with the second load,
 * when it is known that they are shown (sync_timeline_thin), and of an answer's timelines they are no more than ANSWER_BYTES (timeline_pick()).
 */
#include "core/room/erased.h"
#include "core/room/names.h"
#include "core/room/relation.h"
#include "core/sync/impl.h"

#define PIECE_MAX 100		/* a statement costs as much to begin as a few rooms to read */
#define PIECE_MIN 25		/* the last is written when nothing is left to read beside it */
#define PIECES 3
#define PIECE_EVENTS 20000
#define LIM_FILTERED 50		/* events looked at first when some may be hidden */

struct piece {
	struct ctx cx;		/* with the piece's memory */
	struct sync_run run;	/* with this ctx */
	struct buf scratch;
	struct sync_req *q;
	struct sync_job *jobs;
	size_t n;
	int64_t weight;
	uint64_t sent;		/* its last load: db_await() */
	/* the first load */
	struct sync_room *rooms;
	struct load l;
	struct live_load live;
	struct unread_load unread;
	struct sync_job **blind;	/* those for which it is read what their user may see */
	size_t nblind;
	struct rows rvis, rerased;
	/* the second */
	struct sync_job **some, **stripped;	/* some: scratch; each has room for all jobs */
	size_t nstripped;
	struct full_load full;
	struct rows rstripped, rmembers;
	struct load_rest rest;
};

/* ---- the first load */

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

/* May what the reader may see of the room be another thing than all of it? */
static bool
asks_visibility(const struct sync_req *q, const struct sync_job *j)
{
	return has_timeline(j) && (j->fresh || q->w->kind == SYNC_PEEK || j->section == SECT_LEAVE);
}

/* Was he in the room, by the stay that goes on, before all that is loaded of its timeline? */
static bool
member_throughout(const struct piece *p, struct sync_job *j)
{
	const struct sync_room *m = j->room;

	if (m->member_since == 0 || p->rerased.n > 0)
		return false;
	while (j->nmember < m->ntl && visibility_member_before(m->member_since, &m->tl[j->nmember]->ev))
		j->nmember++;
	return j->nmember == m->ntl;
}

static int64_t *
readers_of(const struct piece *p)
{
	int64_t *v = arena_alloc(p->cx.a, (p->nblind + 1) * sizeof *v);
	size_t i;

	for (i = 0; i < p->nblind; i++)
		v[i] = p->q->w->user_nid;
	return v;
}

static void
blind_queue(struct piece *p)
{
	int64_t *rooms = arena_alloc(p->cx.a, (p->nblind + 1) * sizeof *rooms);
	size_t i;

	for (i = 0; i < p->nblind; i++)
		rooms[i] = p->blind[i]->room_nid;
	if (p->nblind > 0)
		visibility_queue(&p->cx, &p->rvis, readers_of(p), rooms, p->nblind);
}

static void
blind_take(struct piece *p)
{
	struct visibility *v = arena_calloc(p->cx.a, p->nblind + 1, sizeof *v);
	size_t i;

	if (p->nblind > 0)
		visibility_take(&p->cx, &p->rvis, readers_of(p), p->nblind, v);
	for (i = 0; i < p->nblind; i++)
		p->blind[i]->vis = &v[i];
}

/*
 * What the reader may see is read with the first load where it must be asked, and where his stay is so young that the timeline may reach
 * behind its beginning. For the others the timeline tells: mostly nothing is asked.
 */
static enum err
piece_visibility(struct piece *p)
{
	size_t i;
	enum err e;

	for (i = p->nblind = 0; i < p->n; i++) {
		struct sync_job *j = &p->jobs[i];

		if (asks_visibility(p->q, j) && !j->vis && !member_throughout(p, j))
			p->blind[p->nblind++] = j;
	}
	if (p->nblind == 0)
		return M_OK;
	blind_queue(p);
	if ((e = db_run(&p->cx)) == M_OK)
		blind_take(p);
	return e;
}

static void
piece_start(struct piece *p)
{
	struct arena *a = p->cx.a;
	struct sync_req *q = p->q;
	bool asks = false;
	size_t i;

	p->rooms = arena_calloc(a, p->n, sizeof *p->rooms);
	p->some = arena_calloc(a, p->n, sizeof *p->some);
	p->blind = arena_calloc(a, p->n, sizeof *p->blind);
	for (i = 0; i < p->n; i++) {
		struct sync_job *j = &p->jobs[i];

		want_room(q, j, &p->rooms[i]);
		if (!asks_visibility(q, j))
			continue;
		asks = true;
		if (!j->settled)
			p->blind[p->nblind++] = j;
	}
	qsort(p->rooms, p->n, sizeof *p->rooms, by_nid);
	load_queue(&p->cx, &p->l, p->rooms, p->n, q);
	live_queue(&p->cx, &p->live, p->rooms, p->n, &q->w->user_nid, 1);
	counts_piece_queue(&p->run, &p->unread, q, p->jobs, p->n);
	blind_queue(p);
	if (asks)
		erased_queue(&p->cx, &p->rerased);
	p->sent = db_start(&p->cx);
}

static enum err
piece_take(struct piece *p)
{
	struct ctx *cx = &p->cx;
	enum err e;

	if ((e = db_await(cx, p->sent)) != M_OK)
		return e;
	load_take(cx, &p->l);
	live_take(cx, &p->live, p->rooms, p->n);
	unread_take(cx, &p->unread);
	blind_take(p);
	return load_names(cx, &p->l);
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
	struct ctx *cx = &p->cx;
	struct sync_room **older = arena_alloc(cx->a, (p->n + 1) * sizeof *older);
	size_t i, n;
	enum err e;

	for (i = 0; i < p->n; i++)
		p->some[i] = has_timeline(&p->jobs[i]) ? &p->jobs[i] : NULL;
	do {
		if ((e = piece_visibility(p)) != M_OK)
			return e;
		for (i = n = 0; i < p->n; i++) {
			if (!p->some[i])
				continue;
			if (timeline_pick(cx->a, p->q, p->some[i])) {
				p->q->told += p->some[i]->bytes;
				p->some[i] = NULL;
			} else {
				older[n++] = p->some[i]->room;
			}
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

/* ---- the second load */

/*
 * To which of the events shown may others relate? An event of this server is known by its id to nobody before it is in the room's
 * order, so what relates to it comes later: it is in the part of the timeline that was loaded. Of the others that is not certain.
 */
static size_t
related_among(const struct ctx *cx, const struct sync_job *j, struct sync_event **out)
{
	bool some = false;
	size_t i, n = 0;

	for (i = 0; i < j->room->ntl && !some; i++) {
		const struct room_event *ev = &j->room->tl[i]->ev;

		some = (ev->flags & EV_VERBATIM) != 0 || !ev->content || strstr(ev->content, "\"m.relates_to\"") != NULL;
	}
	for (i = 0; i < j->nshown; i++) {
		const struct room_event *ev = &j->shown[i]->ev;

		if (!ev->state_key && (some || !name_is_local(cx, ev->sender)))
			out[n++] = j->shown[i];
	}
	return n;
}

/* Of the events of timelines: whose transaction ids are asked for, to which others may relate that are bundled with them, the rest of whose rows. */
static void
piece_rest(struct piece *p)
{
	struct load_rest *r = &p->rest;
	size_t i, k, n = 0;

	for (i = 0; i < p->n; i++)
		n += p->jobs[i].room->ntl + p->jobs[i].nshown;
	r->own = arena_calloc(p->cx.a, n + 1, sizeof *r->own);
	r->shown = arena_calloc(p->cx.a, n + 1, sizeof *r->shown);
	r->thin = arena_calloc(p->cx.a, n + 1, sizeof *r->thin);
	for (i = 0; i < p->n; i++) {
		const struct sync_job *j = &p->jobs[i];

		for (k = 0; k < j->room->ntl; k++)
			if (j->room->tl[k]->ev.sender_nid == p->q->w->user_nid)
				r->own[r->nown++] = j->room->tl[k];
		if (j->limited || j->full)
			r->nshown += related_among(&p->cx, j, r->shown + r->nshown);
		for (k = 0; k < j->nshown; k++)
			if (j->shown[k]->thin)
				r->thin[r->nthin++] = j->shown[k];
	}
	load_rest_queue(&p->cx, r, p->q);
}

/* Full state at the versions that the timelines begin with, members, invitations, and what the timelines' events lack. */
static void
piece_complete(struct piece *p)
{
	struct ctx *cx = &p->cx;
	struct member_at *at = arena_alloc(cx->a, p->n * (FILTER_LIMIT_MAX + 1) * sizeof *at + 1);
	struct sync_job **full = arena_calloc(cx->a, p->n + 1, sizeof *full);
	bool lazy = p->q->f->state.lazy_members;
	size_t i, nfull = 0;

	p->stripped = arena_calloc(cx->a, p->n + 1, sizeof *p->stripped);
	for (i = 0; i < p->n; i++) {
		struct sync_job *j = &p->jobs[i];

		if (has_timeline(j) && j->full)
			full[nfull++] = j;
		else if (!has_timeline(j) && (!j->member->stripped || p->q->w->kind != 0) && j->member->event)
			p->stripped[p->nstripped++] = j;
	}
	load_full_queue(cx, &p->l, &p->full, full, nfull, lazy);
	load_heroes_queue(cx, &p->l);
	load_stripped_queue(cx, &p->rstripped, p->stripped, p->nstripped);
	load_members_queue(cx, &p->l, &p->rmembers, at, lazy ? lazy_members(p, at) : 0);
	piece_rest(p);
	p->sent = db_start(cx);
}

static enum err
piece_take_rest(struct piece *p)
{
	enum err e;

	if ((e = db_await(&p->cx, p->sent)) != M_OK)
		return e;
	load_full_take(&p->l, &p->full);
	load_heroes_take(&p->cx, &p->l);
	load_jobs_take(&p->l, &p->rstripped, p->stripped, p->nstripped);
	load_members_take(&p->l, &p->rmembers);
	load_rest_take(&p->rest, p->q->w->device);
	return load_names(&p->cx, &p->l);
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
	v = arena_alloc(p->cx.a, (n + 1) * sizeof *v);
	for (i = n = 0; i < p->n; i++) {
		const struct sync_job *j = &p->jobs[i];

		for (k = 0; (j->limited || j->full) && k < j->nshown; k++)
			v[n++] = (struct relation_ask){ &j->shown[k]->ev, j->room->top, j->vis, NULL, j->room->rv };
	}
	return relation_bundle(&p->cx, p->q->w->user_nid, &ignored, v, n);
}

static size_t
add_events(struct room_event **v, size_t n, struct sync_event *const *ev, size_t nev)
{
	size_t i;

	for (i = 0; i < nev; i++)
		v[n++] = &ev[i]->ev;
	return n;
}

static size_t
add_states(struct room_event **v, size_t n, const struct sync_state *s, size_t ns)
{
	size_t i;

	for (i = 0; i < ns; i++)
		v[n++] = &s[i].event->ev;
	return n;
}

/* What users who wished to be forgotten said before the reader came (erased.h), in the timeline and in the state. */
static enum err
piece_erased(struct piece *p)
{
	struct room_event **v;
	size_t *end = arena_calloc(p->cx.a, p->n + 1, sizeof *end), i, k, n = 0;
	enum err e;

	if (p->rerased.n == 0)
		return M_OK;
	for (i = 0; i < p->n; i++) {
		const struct sync_job *j = &p->jobs[i];

		n += j->vis ? j->nshown + j->nstate + j->room->ndelta + j->room->nmembers : 0;
	}
	v = arena_alloc(p->cx.a, (n + 1) * sizeof *v);
	for (i = n = 0; i < p->n; i++) {
		const struct sync_job *j = &p->jobs[i];

		if (j->vis) {
			n = add_events(v, n, j->shown, j->nshown);
			n = add_events(v, n, j->state, j->nstate);
			n = add_states(v, n, j->room->delta, j->room->ndelta);
			n = add_states(v, n, j->room->members, j->room->nmembers);
		}
		end[i] = n;
	}
	if ((e = erased_mark(&p->cx, v, n)) != M_OK)
		return e;
	for (i = k = 0; i < p->n; i++)
		for (; k < end[i]; k++)
			erased_hide(p->cx.a, p->jobs[i].room->rv, p->jobs[i].vis, v[k]);
	return M_OK;
}

/* ---- all of them */

static enum err
piece_pick(struct piece *p)
{
	enum err e;

	if ((e = piece_take(p)) != M_OK)
		return e;
	piece_join(p);
	if ((e = piece_timelines(p)) != M_OK)
		return e;
	piece_complete(p);
	return M_OK;
}

static enum err
piece_write(struct piece *p)
{
	size_t i;
	enum err e;

	if ((e = piece_take_rest(p)) != M_OK || (e = piece_erased(p)) != M_OK || (e = piece_bundle(p)) != M_OK)
		return e;
	for (i = 0; i < p->n; i++) {
		answer_job(&p->run, p->cx.a, p->q, &p->jobs[i]);
		db_turn(&p->cx);
	}
	return M_OK;
}

/* How many jobs are the next piece, and their weight, which is at most max unless it is a single job. */
static size_t
piece_size(const struct sync_req *q, size_t from, int64_t max, int64_t *weight)
{
	size_t n = 0, most = (q->njobs - from) / 4;

	most = most > PIECE_MAX ? PIECE_MAX : most < PIECE_MIN ? PIECE_MIN : most;
	for (*weight = 0; from + n < q->njobs && n < most && (n == 0 || *weight + q->jobs[from + n].weight <= max); n++)
		*weight += q->jobs[from + n].weight;
	return n;
}

/* The pieces that are under way, the oldest first. */
struct pieces {
	struct piece *v[PIECES];
	size_t n, picked;	/* started, and of these picked */
	size_t next;		/* the next job */
	int64_t weight;
};

/* Starts the next pieces, as long as there is room for them. */
static void
pieces_start(struct pieces *ps, struct sync_run *run, struct sync_req *q)
{
	while (ps->n < PIECES && ps->next < q->njobs) {
		struct piece *p;
		int64_t weight;
		size_t n = piece_size(q, ps->next, PIECE_EVENTS / PIECES, &weight);
		struct arena *a;

		if (ps->n > 0 && ps->weight + weight > PIECE_EVENTS)
			return;
		a = arena_new();
		p = arena_zalloc(a, sizeof *p);
		*p = (struct piece){ .cx = *run->cx, .run = *run, .q = q, .jobs = q->jobs + ps->next, .n = n, .weight = weight };
		p->cx.a = a;
		p->run.cx = &p->cx;
		buf_init(&p->scratch, a);
		p->run.scratch = &p->scratch;
		piece_start(p);
		ps->v[ps->n++] = p;
		ps->weight += weight;
		ps->next += n;
	}
}

static void
pieces_drop(struct pieces *ps)
{
	struct piece *p = ps->v[0];

	ps->weight -= p->weight;
	ps->n--;
	ps->picked -= ps->picked > 0;
	memmove(ps->v, ps->v + 1, ps->n * sizeof *ps->v);
	arena_free(p->cx.a);
}

/*
 * One piece is written while the second load of the next and the first of the one after it are under way.
 */
enum err
pieces_run(struct sync_run *run, struct sync_req *q)
{
	struct pieces ps = { 0 };
	enum err e = M_OK;

	for (pieces_start(&ps, run, q); ps.n > 0 && e == M_OK; pieces_start(&ps, run, q)) {
		if (ps.picked < ps.n && (e = piece_pick(ps.v[ps.picked++])) != M_OK)
			break;
		if (ps.picked == 1 && ps.n > 1)
			continue;
		if ((e = piece_write(ps.v[0])) == M_OK)
			pieces_drop(&ps);
	}
	if (e != M_OK)
		db_disown(run->cx);
	while (ps.n > 0)
		pieces_drop(&ps);
	return e;
}
