/*
 * core/sync/ephemeral.c - receipts, typing and presence in an answer (Client-Server API, "Receipts", "Typing Notifications", "Presence").
 *
 * Receipts are deltas. Typing is the list of all who type now, told when it is another
 * one than at the token: someone began since, or his row has ended since. Presence
 * is told of users who share a room with the reader, when it changed or when they began to share one.
 */
#include "core/live/receipt.h"
#include "core/sync/impl.h"

#define CLOCK_SLACK_MS 60000	/* by which the clocks of two containers may differ at most */

/* What only its user may see of others' receipts is left out here already: $3 are the readers. */
STMT(sync_receipts,
    "SELECT t.room, t.usr, t.thread, t.kind, t.ts, t.pos, (SELECT body FROM name WHERE nid = t.usr),"
    " (SELECT id FROM event WHERE nid = t.event), (SELECT id FROM event WHERE nid = t.thread)"
    " FROM unnest($1::bigint[], $2::bigint[]) AS q(room, lo)"
    " CROSS JOIN LATERAL (SELECT * FROM receipt WHERE room = q.room AND pos >= q.lo AND (kind = 1 OR usr = ANY($3)) OFFSET 0) t"
    " ORDER BY t.room, t.thread, t.event, t.kind, t.usr");
STMT_WARM(sync_receipts, "sync");
STMT(sync_typing,
    "SELECT t.room, t.usr, t.until, t.pos, t.start, (SELECT body FROM name WHERE nid = t.usr)"
    " FROM unnest($1::bigint[], $2::bigint[]) AS q(room, clock)"
    " CROSS JOIN LATERAL (SELECT * FROM typing WHERE room = q.room AND until > q.clock OFFSET 0) t ORDER BY t.room, t.usr");
STMT_WARM(sync_typing, "sync");

/* Joined rooms with news, for a token that the ring does not cover. */
STMT(sync_my_live_new,
    "SELECT q.room FROM unnest(ARRAY(SELECT room FROM local_member WHERE usr = $1 AND membership = 2)) AS q(room)"
    " CROSS JOIN LATERAL ("
    "	(SELECT 1 FROM receipt WHERE room = q.room AND (pos >= $2 OR pos = ANY($3)) AND (kind = 1 OR usr = $1) LIMIT 1)"
    "	UNION ALL (SELECT 1 FROM typing WHERE room = q.room AND until > $4 LIMIT 1)) n");

/* ---- loading */

static int64_t
min64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

void
live_want(struct sync_room *m, const struct sync_req *q, bool fresh)
{
	m->want_live = true;
	m->clock = min64(m->clock, fresh ? INT64_MAX : q->since.clock - CLOCK_SLACK_MS);
}

void
live_queue(struct ctx *cx, struct live_load *l, const struct sync_room *rooms, size_t n, const int64_t *users, size_t nusers)
{
	int64_t *nid = arena_alloc(cx->a, (n + 1) * sizeof *nid), *lo = arena_alloc(cx->a, (n + 1) * sizeof *lo),
	    *clock = arena_alloc(cx->a, (n + 1) * sizeof *clock);
	size_t i, k = 0;

	*l = (struct live_load){ 0 };
	for (i = 0; i < n; i++)
		if (rooms[i].want_live) {
			nid[k] = rooms[i].nid;
			lo[k] = rooms[i].lo;
			clock[k++] = min64(rooms[i].clock, cx->now);
		}
	if (k == 0)
		return;
	db_queue(cx, &l->receipts, DB_ANY, &sync_receipts, P_I64S(nid, k), P_I64S(lo, k), P_I64S(users, nusers));
	db_queue(cx, &l->typing, DB_ANY, &sync_typing, P_I64S(nid, k), P_I64S(clock, k));
}

/* The rows come in the order of their rooms: each room takes its stretch. */
void
live_take(struct ctx *cx, struct live_load *l, struct sync_room *rooms, size_t n)
{
	struct sync_receipt *rc = arena_alloc(cx->a, ((size_t)l->receipts.n + 1) * sizeof *rc);
	struct sync_typist *ty = arena_alloc(cx->a, ((size_t)l->typing.n + 1) * sizeof *ty);
	struct sync_room *m;

	for (struct rows *r = &l->receipts; r->res && db_next(r); rc++) {
		*rc = (struct sync_receipt){ .usr = db_i64(r, 1), .thread = db_i64(r, 2), .kind = (int)db_i64(r, 3), .ts = db_i64(r, 4),
		    .pos = db_i64(r, 5), .user = db_text(r, 6), .event = db_text(r, 7), .root = db_text(r, 8) };
		if ((m = room_find(rooms, n, db_i64(r, 0))) != NULL && m->nreceipts++ == 0)
			m->receipts = rc;
	}
	for (struct rows *r = &l->typing; r->res && db_next(r); ty++) {
		*ty = (struct sync_typist){ .usr = db_i64(r, 1), .until = db_i64(r, 2), .pos = db_i64(r, 3), .start = db_i64(r, 4),
		    .user = db_text(r, 5) };
		if ((m = room_find(rooms, n, db_i64(r, 0))) != NULL && m->ntypists++ == 0)
			m->typists = ty;
	}
}

void
live_rooms_queue(struct ctx *cx, struct rows *r, const struct sync_req *q)
{
	db_queue(cx, r, DB_ANY, &sync_my_live_new, P_I64(q->w->user_nid), P_POSITION(&q->since), P_I64(q->since.clock - CLOCK_SLACK_MS));
}

/* ---- what a reader is told of a room */

static bool
is_new(const struct sync_req *q, const struct sync_job *j, int64_t pos)
{
	return j->fresh || q->initial || position_new(&q->since, pos);
}

static bool
shows_receipt(const struct sync_req *q, const struct sync_job *j, const struct sync_receipt *rc)
{
	return is_new(q, j, rc->pos) && rc->event && rc->user && (rc->thread <= 0 || rc->root) &&
	    (rc->kind == RECEIPT_READ || rc->usr == q->w->user_nid) &&
	    !ignores(q, rc->user);
}

static bool
typing_news(const struct sync_run *run, const struct sync_req *q, const struct sync_job *j)
{
	const struct sync_room *m = j->room;

	for (size_t i = 0; i < m->ntypists; i++) {
		const struct sync_typist *t = &m->typists[i];

		if (t->user && ignores(q, t->user))
			continue;
		if (t->until > run->now.clock ? is_new(q, j, t->start) :
		    !j->fresh && !q->initial && (position_new(&q->since, t->pos) || t->until > q->since.clock))
			return true;
	}
	return false;
}

/* The old stream of events (/events) tells the room in each. */
static void
open_event(struct sync_req *q, const struct sync_room *m, const char *type)
{
	json_obj(&q->o, NULL);
	json_str(&q->o, "type", type);
	if (q->w->kind != 0)
		json_esc(&q->o, "room_id", m->id);
}

static void
write_typing(const struct sync_run *run, struct sync_req *q, const struct sync_room *m)
{
	open_event(q, m, "m.typing");
	json_obj(&q->o, "content");
	json_arr(&q->o, "user_ids");
	for (size_t i = 0; i < m->ntypists; i++)
		if (m->typists[i].until > run->now.clock && m->typists[i].user && !ignores(q, m->typists[i].user))
			json_esc(&q->o, NULL, m->typists[i].user);
	json_end(&q->o);
	json_end(&q->o);
	json_end(&q->o);
}

static void
write_receipt(struct sync_req *q, const struct sync_receipt *rc)
{
	json_key_esc(&q->o, rc->user);
	json_obj(&q->o, NULL);
	json_int(&q->o, "ts", rc->ts);
	if (rc->thread == RECEIPT_MAIN)
		json_str(&q->o, "thread_id", "main");
	else if (rc->thread != RECEIPT_UNTHREADED)
		json_esc(&q->o, "thread_id", rc->root);
	json_end(&q->o);
}

/*
 * One event per thread ("Server behaviour" of receipts): {event: {type: {user: …}}}. They are in the
 * order of thread, event, type; what differs from the one before is closed and opened anew.
 */
static void
write_receipts(struct sync_req *q, const struct sync_job *j)
{
	const struct sync_receipt *last = NULL;

	for (size_t i = 0; i < j->room->nreceipts; i++) {
		const struct sync_receipt *rc = &j->room->receipts[i];
		bool thread, event, kind;

		if (!shows_receipt(q, j, rc))
			continue;
		thread = !last || last->thread != rc->thread;
		event = thread || strcmp(last->event, rc->event) != 0;
		kind = event || last->kind != rc->kind;
		for (int k = last ? kind + event + 2 * thread : 0; k > 0; k--)
			json_end(&q->o);
		if (thread) {
			open_event(q, j->room, "m.receipt");
			json_obj(&q->o, "content");
		}
		if (event) {
			json_key_esc(&q->o, rc->event);
			json_obj(&q->o, NULL);
		}
		if (kind)
			json_obj(&q->o, rc->kind == RECEIPT_READ ? "m.read" : "m.read.private");
		write_receipt(q, rc);
		last = rc;
	}
	for (int k = last ? 4 : 0; k > 0; k--)
		json_end(&q->o);
}

static bool
wants(const struct sync_req *q, const struct sync_job *j, const char *type)
{
	return filter_event(&q->f->ephemeral, j->room->id, type, NULL, "{}");
}

enum { HAS_RECEIPTS = 1, HAS_TYPING = 2 };

int
live_news(const struct sync_run *run, const struct sync_req *q, const struct sync_job *j)
{
	int has = 0;

	if (j->section != SECT_JOIN || !j->room->want_live)
		return 0;
	for (size_t i = 0; i < j->room->nreceipts && !has; i++)
		if (shows_receipt(q, j, &j->room->receipts[i]))
			has = HAS_RECEIPTS;
	if (has && !wants(q, j, "m.receipt"))
		has = 0;
	if (typing_news(run, q, j) && wants(q, j, "m.typing"))
		has |= HAS_TYPING;
	return has;
}

void
live_events(const struct sync_run *run, struct sync_req *q, const struct sync_job *j, int has)
{
	if (has & HAS_TYPING)
		write_typing(run, q, j->room);
	if (has & HAS_RECEIPTS)
		write_receipts(q, j);
}

void
live_write(const struct sync_run *run, struct sync_req *q, const struct sync_job *j, int has)
{
	json_obj(&q->o, "ephemeral");
	json_arr(&q->o, "events");
	live_events(run, q, j, has);
	json_end(&q->o);
	json_end(&q->o);
}
