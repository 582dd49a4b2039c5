/*
 * core/sync/load.c - what a sync reads, set-based: one statement per kind for all rooms.
 *
 * The statements are written so that they have one possible plan, index look-ups
 * per room and row: a LATERAL with OFFSET 0 or LIMIT is not merged into joins
 * over whole tables, whatever the planner believes about array sizes.
 */
#include "core/room/names.h"
#include "core/sync/impl.h"

#define ROOM_COLS "nid, id, version, state_ver, last_room_pos, full_state_pos, joined, invited, purged_pos, public"
STMT(sync_rooms, "SELECT " ROOM_COLS " FROM room WHERE nid = ANY($1)");
STMT_WARM(sync_rooms, "sync");
/* Has it a name or a canonical alias (types 7, 10)? */
#define SAYS(room, type_, what)									\
	"(SELECT content LIKE '%\"" what "\":\"%' AND content NOT LIKE '%\"" what "\":\"\"%' FROM event WHERE nid ="	\
	" (SELECT event FROM current_state WHERE room = " room " AND type = " type_ " AND key = 0)) IS TRUE"
#define NAMED(room) "(" SAYS(room, "7", "name") " OR " SAYS(room, "10", "alias") ")"
STMT(sync_rooms_bare,
    "SELECT " ROOM_COLS ", " NAMED("r.nid") ", (SELECT since FROM current_state WHERE room = r.nid AND type = 2 AND key = $2 AND membership = 2)"
    " FROM room r WHERE nid = ANY($1)");

#define CONTENT_MAX 65536	/* octets of an event at most */
#define LONG "8192"		/* octets of a content that is not loaded before it is known to be shown */
/* Whether the reader ($6) may see the event may hang on its content: core/room/visibility.h. */
#define JUDGED(e) e ".type = 5 OR " e ".type = 2 AND " e ".state_key = $6"
_Static_assert(T_MEMBER == 2 && T_HISTORY_VISIBILITY == 5, "the numbers above");

/*
 * The newest events of each room. The inner scan looks at `lim` rows; only what may be new
 * for someone (pos >= lo) is fetched whole. New events are a suffix of room_pos.
 */
/*
 * A state event that state resolution has overruled: what its key is now is not newer in the room's order. Who computes the state from
 * the timeline must not be shown it.
 */
#define LOST												\
	"CASE WHEN e.state_key IS NOT NULL THEN coalesce((SELECT s.event IS DISTINCT FROM e.nid"	\
	"	AND coalesce((SELECT x.room_pos FROM event x WHERE x.nid = s.event), -9223372036854775808) < e.room_pos"	\
	"	FROM current_state s WHERE s.room = e.room AND s.type = e.type AND s.key = e.state_key), true) END"
#define NEWEST(extra) "(SELECT v.*" extra " FROM event v WHERE v.room = q.room AND v.room_pos <= q.top ORDER BY v.room_pos DESC LIMIT q.lim)"
#define TIMELINE(cols, txn, from_txn)									\
	"SELECT " cols ", " txn ", e.push_class, " LOST ", NULL::boolean, NULL::int"			\
	" FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS q(room, lo, top, lim)"	\
	" CROSS JOIN LATERAL " NEWEST("") " e" from_txn " WHERE e.pos >= q.lo"
/*
 * Whole, for light requests; bare for the pieces of one alone, where load_names() and load_rest_queue() ask for what it leaves
 * out, long contents among it.
 */
STMT(sync_timeline, TIMELINE(ROOM_EVENT_COLS, "t.device, t.txn_id",
    " LEFT JOIN LATERAL (SELECT device, txn_id FROM txn WHERE event = e.nid LIMIT 1) t ON true"));
STMT_WARM(sync_timeline, "sync");
STMT(sync_timeline_bare, TIMELINE(ROOM_EVENT_COLS_BARE("$5", "octet_length(e.content) <= " LONG " OR " JUDGED("e")), "NULL::bigint, NULL::text", ""));
/*
 * Thin: where most may be hidden from the reader, who is $6, or much is asked for. Content comes only if whether he sees the event hangs
 * on it: his membership, history visibility, or if $7 says that the filter is about `url`. It is 64 KB at most each, so of a room
 * no more than q.bytes; the row that would be more has the last column but one true, and those after it are not there. What comes with
 * content is left out in any case: sync_bodies has it. The last column is the content's size, and tells this statement from the others.
 */
STMT(sync_timeline_thin,
    "SELECT " ROOM_EVENT_COLS_THIN("e.judged AND e.read <= q.bytes") ", NULL::bigint, NULL::text, e.push_class, " LOST
    ", e.judged AND e.read > q.bytes, octet_length(e.content)"
    " FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) AS q(room, lo, top, lim, bytes)"
    " CROSS JOIN LATERAL (SELECT v.*, coalesce(sum(CASE WHEN judged THEN octet_length(content) END) OVER (ORDER BY room_pos DESC), 0) AS read"
    "	FROM " NEWEST(", (" JUDGED("v") " OR $7 AND strpos(v.content, '\"url\":') > 0) AS judged") " v) e"
    " WHERE e.pos >= q.lo AND (e.read <= q.bytes OR e.judged AND e.read - octet_length(e.content) <= q.bytes)");
STMT(sync_bodies, "SELECT " ROOM_EVENT_COLS_BARE("$2", "true") " FROM unnest($1::bigint[]) q(nid) CROSS JOIN LATERAL (SELECT * FROM event"
    " WHERE nid = q.nid OFFSET 0) e");
/* Of events: which this device sent, and under which transaction id; to which others relate in a way that is bundled. */
STMT(sync_txns, "SELECT event, txn_id FROM txn WHERE event = ANY($1) AND device = $2");
STMT(sync_related, "SELECT DISTINCT target FROM event_relation WHERE target = ANY($1) AND rel_type IN (26, 27, 28)");

/* Behind it, until: where the row ceases to hold. */
#define STATE_COLS(cols) cols ", s.room, s.since, s.pos, s.type, s.key"
#define VER_END "9223372036854775807"
/* ANY for its plan: a plain "=" gets a Memoize, which copies every event whole into a cache for a second look-up that never comes. */
#define EVENT_OF(nid) " JOIN event e ON e.nid = ANY(ARRAY[" nid "])"

/* What changed in the resolved state. A key that became absent has no event and cannot be shown. */
STMT(sync_delta,
    "SELECT " STATE_COLS(ROOM_EVENT_COLS) ", coalesce((SELECT min(since) FROM state WHERE room = s.room AND line = 0 AND type = s.type"
    "	AND key = s.key AND since > s.since), " VER_END ") FROM unnest($1::bigint[], $2::bigint[]) AS q(room, lo)"
    " CROSS JOIN LATERAL (SELECT * FROM state WHERE room = q.room AND line = 0 AND pos >= q.lo AND event IS NOT NULL OFFSET 0) s"
    EVENT_OF("s.event"));
STMT_WARM(sync_delta, "sync");

/* The member rows, from the oldest event on, of whoever sent an event that sync_timeline finds. */
STMT(sync_senders,
    "WITH t AS MATERIALIZED (SELECT v.room, v.sender, v.at_ver"
    "	FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS q(room, lo, lim)"
    "	CROSS JOIN LATERAL (SELECT room, sender, at_ver, pos FROM event WHERE room = q.room AND room_pos IS NOT NULL"
    "		ORDER BY room_pos DESC LIMIT q.lim) v WHERE v.pos >= q.lo)"
    " SELECT " STATE_COLS(ROOM_EVENT_COLS) ", s.until FROM (SELECT DISTINCT room, sender, min(at_ver) OVER (PARTITION BY room) AS ver FROM t) u"
    " CROSS JOIN LATERAL (SELECT v.*, coalesce(lead(since) OVER (ORDER BY since), " VER_END ") AS until FROM ("
    "	(SELECT * FROM state WHERE room = u.room AND line = 0 AND type = 2 AND key = u.sender AND since <= u.ver ORDER BY since DESC LIMIT 1)"
    "	UNION ALL (SELECT * FROM state WHERE room = u.room AND line = 0 AND type = 2 AND key = u.sender AND since > u.ver)) v) s"
    EVENT_OF("s.event"));
STMT_WARM(sync_senders, "sync");

/*
 * Heroes: Client-Server API, "Syncing", RoomSummary. Only where something that names the room changed
 * (types 2, 7, 10: members, name, canonical alias), and only for rooms without a name. Scalar sub-selects, for EXISTS is joined:
 * it has read the state of all rooms. In a large room the first are those whom this server met first, so that not all have to be sorted.
 */
#define LO_ALL "(-9223372036854775807 - 1)"	/* INT64_MIN; the number itself is read as a numeric's negation */
STMT(sync_heroes,
    "SELECT " ROOM_EVENT_COLS ", q.room FROM unnest($1::bigint[], $2::bigint[]) AS q(room, lo)"
    " CROSS JOIN LATERAL (SELECT joined + invited AS n FROM room WHERE nid = q.room"
    "	AND NOT " NAMED("q.room")
    "	AND (q.lo = " LO_ALL " OR (SELECT true FROM state WHERE room = q.room AND line = 0 AND pos >= q.lo AND type IN (2, 7, 10) LIMIT 1))"
    "	OFFSET 0) r"
    " CROSS JOIN LATERAL ("
    "	(SELECT event FROM current_state WHERE r.n <= 200 AND room = q.room AND type = 2 AND membership IN (1, 2) ORDER BY since LIMIT 6)"
    "	UNION ALL (SELECT event FROM current_state WHERE r.n > 200 AND room = q.room AND type = 2 AND membership IN (1, 2) ORDER BY key LIMIT 6)"
    "	UNION ALL (SELECT event FROM current_state WHERE r.n <= 1 AND room = q.room AND type = 2 AND membership IN (4, 5)"
    "		ORDER BY since LIMIT 5)) h"
    EVENT_OF("h.event"));
STMT_WARM(sync_heroes, "sync");

/* The state at ver, and what holds at last instead of it: between the two, resolution may change what no event of the timeline tells. */
#define FROM_VERSION(which)									\
	"SELECT event, since FROM state_of_room(q.room, q.ver) WHERE " which " UNION ALL"	\
	" SELECT event, since FROM state_of_room(q.room, q.last) WHERE q.last > q.ver AND since > q.ver AND " which
#define FULL "SELECT " ROOM_EVENT_COLS_BARE("$3", "true") ", q.job, s.since > q.ver FROM unnest($1::bigint[], $2::bigint[], $4::bigint[], $5::bigint[]) AS q(job, room, ver, last)"
STMT(sync_full_then, FULL " CROSS JOIN LATERAL (" FROM_VERSION("true") " OFFSET 0) s" EVENT_OF("s.event"));
/* By the primary key, around the members: a room may have ten thousand. Member is type 2, create 1, all others are above. */
STMT(sync_full_lazy_then,
    FULL " CROSS JOIN LATERAL (" FROM_VERSION("type < 2") " UNION ALL " FROM_VERSION("type > 2") " OFFSET 0) s" EVENT_OF("s.event"));
/* The same, now. */
#define FULL_NOW "SELECT " ROOM_EVENT_COLS_BARE("$3", "true") ", q.job, false FROM unnest($1::bigint[], $2::bigint[]) AS q(job, room)"
#define FROM_NOW(which) "SELECT event FROM current_state WHERE room = q.room AND event IS NOT NULL AND " which
STMT(sync_full, FULL_NOW " CROSS JOIN LATERAL (" FROM_NOW("true") " OFFSET 0) s" EVENT_OF("s.event"));
STMT(sync_full_lazy,
    FULL_NOW " CROSS JOIN LATERAL (" FROM_NOW("type < 2") " UNION ALL " FROM_NOW("type > 2") " OFFSET 0) s" EVENT_OF("s.event"));

/* Asked at one version: how much longer the rows hold is not looked up. */
STMT(sync_members_at,
    "SELECT " STATE_COLS(ROOM_EVENT_COLS_BARE("$4", "true")) ", q.ver + 1 FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS q(room, usr, ver)"
    " CROSS JOIN LATERAL (SELECT * FROM state WHERE room = q.room AND line = 0 AND type = 2 AND key = q.usr AND since <= q.ver"
    "	ORDER BY since DESC LIMIT 1) s"
    EVENT_OF("s.event"));

/* "Stripped state": create, join rules, name, topic, avatar, canonical alias, encryption as of the invitation, and itself. */
STMT(sync_stripped,
    "SELECT " ROOM_EVENT_COLS ", q.job, false FROM unnest($1::bigint[], $2::bigint[]) AS q(job, invite)"
    " CROSS JOIN LATERAL (SELECT room, coalesce(at_ver + 1, (SELECT state_ver FROM room WHERE nid = event.room)) AS ver FROM event"
    "	WHERE nid = q.invite OFFSET 0) i"
    " CROSS JOIN LATERAL (SELECT event FROM state_of_room(i.room, i.ver) WHERE type IN (1, 4, 7, 8, 9, 10, 11) AND key = 0 UNION ALL SELECT q.invite OFFSET 0) s"
    EVENT_OF("s.event"));

/* ---- rooms */

struct sync_room *
room_find(struct sync_room *rooms, size_t n, int64_t nid)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (rooms[mid].nid < nid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < n && rooms[lo].nid == nid ? &rooms[lo] : NULL;
}

/* A bigint[] parameter out of n things, the i-th of which is expr. */
#define COLUMN(a, n, expr)						\
	__extension__({							\
		int64_t *v_ = arena_alloc(a, ((n) + 1) * sizeof *v_);	\
		for (size_t i = 0; i < (n); i++)			\
			v_[i] = (expr);					\
		P_I64S(v_, n);						\
	})

static void
queue_heroes(struct ctx *cx, struct load *l, const struct sync_room **v, size_t n)
{
	if (n > 0)
		db_queue(cx, &l->heroes, DB_ANY, &sync_heroes, COLUMN(cx->a, n, v[i]->nid), COLUMN(cx->a, n, v[i]->heroes_lo));
}

/* Is much of the timelines hidden from the reader, or much of them asked for? */
static bool
load_thin(const struct sync_req *q)
{
	return !q->f->timeline.any || q->nignored > 0 || q->f->timeline.limit > WHOLE_MAX;
}

/* For one reader alone: more_below, rooms (that have events) are read on from their oldest event. */
static void
queue_timelines(struct ctx *cx, struct rows *r, const struct sync_req *q, struct sync_room **some, size_t n, bool more_below)
{
	int64_t *top = arena_alloc(cx->a, (n + 1) * sizeof *top);

	for (size_t i = 0; i < n; i++)
		top[i] = more_below ? some[i]->tl[some[i]->ntl - 1]->ev.room_pos - 1 : some[i]->top;
	if (!more_below && !load_thin(q))
		db_queue(cx, r, DB_ANY, &sync_timeline_bare, COLUMN(cx->a, n, some[i]->nid), COLUMN(cx->a, n, some[i]->lo),
		    P_I64S(top, n), COLUMN(cx->a, n, some[i]->lim), P_BOOL(q->f->federation), P_I64(q->w->user_nid));
	else
		db_queue(cx, r, DB_ANY, &sync_timeline_thin, COLUMN(cx->a, n, some[i]->nid), COLUMN(cx->a, n, some[i]->lo),
		    P_I64S(top, n), COLUMN(cx->a, n, more_below ? SCAN_STEP : some[i]->lim),
		    COLUMN(cx->a, n, some[i]->judged < SCAN_BYTES ? SCAN_BYTES - some[i]->judged : 0), P_I64(q->w->user_nid), P_BOOL(q->f->timeline.contains_url >= 0));
}

void
load_queue(struct ctx *cx, struct load *l, struct sync_room *rooms, size_t n, const struct sync_req *alone)
{
	size_t nstate = 0, nlazy = 0, nheroes = 0, k;
	const struct sync_room **st = arena_calloc(cx->a, n + 1, sizeof *st), **lazy = arena_calloc(cx->a, n + 1, sizeof *lazy),
	    **hero = arena_calloc(cx->a, n + 1, sizeof *hero);
	struct sync_room **all = arena_calloc(cx->a, n + 1, sizeof *all);

	*l = (struct load){ .rooms = rooms, .n = n, .alone = alone };
	if (n == 0)
		return;
	for (k = 0; k < n; k++) {
		if (rooms[k].want_state)
			st[nstate++] = &rooms[k];
		if (rooms[k].want_heroes && !alone)
			hero[nheroes++] = &rooms[k];
		if (rooms[k].want_lazy)
			lazy[nlazy++] = &rooms[k];
	}
	for (k = 0; k < n; k++)
		all[k] = &rooms[k];
	if (alone)
		db_queue(cx, &l->room, DB_ANY, &sync_rooms_bare, COLUMN(cx->a, n, rooms[i].nid), P_I64(alone->w->user_nid));
	else
		db_queue(cx, &l->room, DB_ANY, &sync_rooms, COLUMN(cx->a, n, rooms[i].nid));
	if (alone)
		queue_timelines(cx, &l->tl, alone, all, n, false);
	else
		db_queue(cx, &l->tl, DB_ANY, &sync_timeline, COLUMN(cx->a, n, rooms[i].nid), COLUMN(cx->a, n, rooms[i].lo),
		    COLUMN(cx->a, n, rooms[i].top), COLUMN(cx->a, n, rooms[i].lim));
	if (nstate > 0)
		db_queue(cx, &l->delta, DB_ANY, &sync_delta, COLUMN(cx->a, nstate, st[i]->nid), COLUMN(cx->a, nstate, st[i]->lo));
	queue_heroes(cx, l, hero, nheroes);
	if (nlazy > 0)
		db_queue(cx, &l->members, DB_ANY, &sync_senders, COLUMN(cx->a, nlazy, lazy[i]->nid),
		    COLUMN(cx->a, nlazy, lazy[i]->lo), COLUMN(cx->a, nlazy, lazy[i]->lim));
}

/* ---- taking */

/* Room for one more: 8, then doubling. */
static void *
grown(struct arena *a, void *v, size_t n, size_t size)
{
	if (n == 0)
		return arena_alloc(a, 8 * size);
	return n >= 8 && (n & (n - 1)) == 0 ? arena_realloc(a, v, n * size, 2 * n * size) : v;
}

static void
add_event(struct arena *a, struct sync_event ***v, size_t *n, struct sync_event *e)
{
	*v = grown(a, *v, *n, sizeof **v);
	(*v)[(*n)++] = e;
}

static struct sync_event *
take_event(struct load *l, const struct rows *r)
{
	struct sync_event *e = arena_zalloc(r->a, sizeof *e);

	room_event_read(r, &e->ev);
	if (!e->ev.sender)
		add_event(r->a, &l->unnamed, &l->nunnamed, e);
	return e;
}

static void
add_state(struct load *l, struct sync_state **v, size_t *n, const struct rows *r)
{
	*v = grown(r->a, *v, *n, sizeof **v);
	(*v)[(*n)++] = (struct sync_state){ .event = take_event(l, r), .since = db_i64(r, ROOM_EVENT_NCOLS + 1),
	    .pos = db_i64(r, ROOM_EVENT_NCOLS + 2), .type = db_i64(r, ROOM_EVENT_NCOLS + 3), .key = db_i64(r, ROOM_EVENT_NCOLS + 4),
	    .until = db_i64(r, ROOM_EVENT_NCOLS + 5) };
}

static void
take_rooms(struct load *l)
{
	struct rows *r = &l->room;

	while (db_next(r)) {
		struct sync_room *m = room_find(l->rooms, l->n, db_i64(r, 0));

		if (!m)
			continue;
		m->id = db_text(r, 1);
		m->rv = room_version_get(db_text(r, 2));
		m->state_ver = db_i64(r, 3);
		m->last_room_pos = db_i64(r, 4);
		m->full_state_pos = db_i64(r, 5);
		m->joined = db_i64(r, 6);
		m->invited = db_i64(r, 7);
		m->purged_pos = db_i64(r, 8);
		m->public = db_bool(r, 9);
		if (l->alone) {
			m->named = db_bool(r, 10);
			m->member_since = db_i64(r, 11);
		}
	}
}

static int
newest_first(const void *a, const void *b)
{
	const struct sync_event *x = *(struct sync_event *const *)a, *y = *(struct sync_event *const *)b;

	return (x->ev.room_pos < y->ev.room_pos) - (x->ev.room_pos > y->ev.room_pos);
}

static void
take_timeline(struct load *l, struct rows *r)
{
	size_t i;

	while (db_next(r)) {
		struct sync_event *e = take_event(l, r);
		struct sync_room *m = room_find(l->rooms, l->n, e->ev.room);

		if (!m)
			continue;
		e->txn_device = db_i64(r, ROOM_EVENT_NCOLS);
		e->txn_id = db_text(r, ROOM_EVENT_NCOLS + 1);
		e->push_class = (int)db_i64(r, ROOM_EVENT_NCOLS + 2);
		e->lost = db_bool(r, ROOM_EVENT_NCOLS + 3);
		e->size = db_null(r, ROOM_EVENT_NCOLS + 5) ? CONTENT_MAX : (size_t)db_i64(r, ROOM_EVENT_NCOLS + 5);
		e->thin = !e->ev.content || !db_null(r, ROOM_EVENT_NCOLS + 5);
		if (db_bool(r, ROOM_EVENT_NCOLS + 4)) {
			m->cut = true;
			continue;
		}
		if (e->ev.content && l->alone)
			m->judged += (int64_t)strlen(e->ev.content);
		add_event(r->a, &m->tl, &m->ntl, e);
	}
	for (i = 0; i < l->n; i++)
		if (l->rooms[i].ntl > 1)
			qsort(l->rooms[i].tl, l->rooms[i].ntl, sizeof *l->rooms[i].tl, newest_first);
}

static void
take_states(struct load *l, struct rows *r, bool members)
{
	while (db_next(r)) {
		struct sync_room *m = room_find(l->rooms, l->n, db_i64(r, ROOM_EVENT_NCOLS));

		if (m && members)
			add_state(l, &m->members, &m->nmembers, r);
		else if (m)
			add_state(l, &m->delta, &m->ndelta, r);
	}
}

void
load_take(struct ctx *cx, struct load *l)
{
	size_t i;

	if (l->n == 0)
		return;
	take_rooms(l);
	take_timeline(l, &l->tl);
	for (i = 0; i < l->n; i++)
		l->rooms[i].whole = (int64_t)l->rooms[i].ntl < l->rooms[i].lim && !l->rooms[i].cut;
	take_states(l, &l->delta, false);
	take_states(l, &l->members, true);
	load_heroes_take(cx, l);
}

void
load_heroes_queue(struct ctx *cx, struct load *l)
{
	const struct sync_room **v = arena_calloc(cx->a, l->n + 1, sizeof *v);
	size_t i, n = 0;

	for (i = 0; i < l->n; i++)
		if (l->rooms[i].want_heroes && !l->rooms[i].named)
			v[n++] = &l->rooms[i];
	queue_heroes(cx, l, v, n);
}

void
load_heroes_take(struct ctx *cx, struct load *l)
{
	while (l->heroes.res && db_next(&l->heroes)) {
		struct sync_room *m = room_find(l->rooms, l->n, db_i64(&l->heroes, ROOM_EVENT_NCOLS));

		if (m)
			add_event(cx->a, &m->heroes, &m->nheroes, take_event(l, &l->heroes));
	}
}

enum err
load_names(struct ctx *cx, struct load *l)
{
	struct room_event **v = arena_alloc(cx->a, (l->nunnamed + 1) * sizeof *v);
	size_t i, n = l->nunnamed;

	for (i = 0; i < n; i++)
		v[i] = &l->unnamed[i]->ev;
	l->nunnamed = 0;
	l->unnamed = NULL;
	return room_event_name_all(cx, v, n);
}

enum err
load_older(struct ctx *cx, struct load *l, struct sync_room **some, size_t n)
{
	size_t *had = arena_calloc(cx->a, n + 1, sizeof *had), k;
	struct rows r;
	enum err e;

	for (k = 0; k < n; k++)
		had[k] = some[k]->ntl;
	queue_timelines(cx, &r, l->alone, some, n, true);
	if ((e = db_run(cx)) != M_OK)
		return e;
	take_timeline(l, &r);
	for (k = 0; k < n; k++)
		some[k]->whole = some[k]->ntl - had[k] < SCAN_STEP && !some[k]->cut;
	return load_names(cx, l);
}

/* ---- state at a version, of jobs */

void
load_full_queue(struct ctx *cx, const struct load *l, struct full_load *f, struct sync_job **jobs, size_t n, bool lazy)
{
	struct sync_job **v;
	size_t k;

	*f = (struct full_load){ .now = arena_alloc(cx->a, (n + 1) * sizeof *v), .then = arena_alloc(cx->a, (n + 1) * sizeof *v) };
	for (k = 0; k < n; k++)
		if (jobs[k]->vs >= jobs[k]->room->state_ver)
			f->now[f->nnow++] = jobs[k];
		else
			f->then[f->nthen++] = jobs[k];
	v = f->now;
	if (f->nnow > 0)
		db_queue(cx, &f->rnow, DB_ANY, lazy ? &sync_full_lazy : &sync_full, COLUMN(cx->a, f->nnow, (int64_t)i),
		    COLUMN(cx->a, f->nnow, v[i]->room->nid), P_BOOL(l->alone->f->federation));
	v = f->then;
	if (f->nthen > 0)
		db_queue(cx, &f->rthen, DB_ANY, lazy ? &sync_full_lazy_then : &sync_full_then, COLUMN(cx->a, f->nthen, (int64_t)i),
		    COLUMN(cx->a, f->nthen, v[i]->room->nid), P_BOOL(l->alone->f->federation), COLUMN(cx->a, f->nthen, v[i]->vs),
		    COLUMN(cx->a, f->nthen, v[i]->v1));
}

void
load_stripped_queue(struct ctx *cx, struct rows *r, struct sync_job **jobs, size_t n)
{
	*r = (struct rows){ 0 };
	if (n > 0)
		db_queue(cx, r, DB_ANY, &sync_stripped, COLUMN(cx->a, n, (int64_t)i), COLUMN(cx->a, n, jobs[i]->member->event));
}

void
load_jobs_take(struct load *l, struct rows *r, struct sync_job **jobs, size_t n)
{
	while (n > 0 && db_next(r)) {
		struct sync_job *j = jobs[db_i64(r, ROOM_EVENT_NCOLS)];

		add_event(r->a, &j->state, &j->nstate, take_event(l, r));
		j->state[j->nstate - 1]->late = db_bool(r, ROOM_EVENT_NCOLS + 1);
	}
}

void
load_full_take(struct load *l, struct full_load *f)
{
	load_jobs_take(l, &f->rnow, f->now, f->nnow);
	load_jobs_take(l, &f->rthen, f->then, f->nthen);
}

void
load_members_queue(struct ctx *cx, const struct load *l, struct rows *r, const struct member_at *v, size_t n)
{
	*r = (struct rows){ 0 };
	if (n > 0)
		db_queue(cx, r, DB_ANY, &sync_members_at, COLUMN(cx->a, n, v[i].room), COLUMN(cx->a, n, v[i].usr),
		    COLUMN(cx->a, n, v[i].ver), P_BOOL(l->alone->f->federation));
}

void
load_members_take(struct load *l, struct rows *r)
{
	if (r->res)
		take_states(l, r, true);
}

/* ---- what the bare rows leave out */

static int
by_nid(const void *a, const void *b)
{
	const struct sync_event *x = *(struct sync_event *const *)a, *y = *(struct sync_event *const *)b;

	return (x->ev.nid > y->ev.nid) - (x->ev.nid < y->ev.nid);
}

static struct sync_event *
event_find(struct sync_event **v, size_t n, int64_t nid)
{
	struct sync_event key = { .ev = { .nid = nid } }, *k = &key, **found = n > 0 ? bsearch(&k, v, n, sizeof *v, by_nid) : NULL;

	return found ? *found : NULL;
}

void
load_rest_queue(struct ctx *cx, struct load_rest *l, const struct sync_req *q)
{
	l->txn = l->relation = l->body = (struct rows){ 0 };
	if (l->nthin > 0)
		db_queue(cx, &l->body, DB_ANY, &sync_bodies, COLUMN(cx->a, l->nthin, l->thin[i]->ev.nid), P_BOOL(q->f->federation));
	if (l->nown > 0)
		db_queue(cx, &l->txn, DB_ANY, &sync_txns, COLUMN(cx->a, l->nown, l->own[i]->ev.nid), P_I64(q->w->device));
	if (l->nshown > 0)
		db_queue(cx, &l->relation, DB_ANY, &sync_related, COLUMN(cx->a, l->nshown, l->shown[i]->ev.nid));
}

/* The row again, now whole; the sender is known. */
static void
take_bodies(struct load_rest *l)
{
	struct sync_event *e;

	qsort(l->thin, l->nthin, sizeof *l->thin, by_nid);
	while (db_next(&l->body))
		if ((e = event_find(l->thin, l->nthin, db_i64(&l->body, 0))) != NULL) {
			const char *sender = e->ev.sender;

			room_event_read(&l->body, &e->ev);
			room_event_name(&e->ev, sender);
		}
}

void
load_rest_take(struct load_rest *l, int64_t device)
{
	struct sync_event *e;

	if (l->nthin > 0)
		take_bodies(l);
	if (l->txn.n > 0)
		qsort(l->own, l->nown, sizeof *l->own, by_nid);
	if (l->relation.n > 0)
		qsort(l->shown, l->nshown, sizeof *l->shown, by_nid);
	while (l->txn.res && db_next(&l->txn))
		if ((e = event_find(l->own, l->nown, db_i64(&l->txn, 0))) != NULL) {
			e->txn_device = device;
			e->txn_id = db_text(&l->txn, 1);
		}
	while (l->relation.res && db_next(&l->relation))
		if ((e = event_find(l->shown, l->nshown, db_i64(&l->relation, 0))) != NULL)
			e->ev.related = true;
}
