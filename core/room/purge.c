/* core/room/purge.c - asking for purges, and the steps of deleting a whole room; see purge.h. */
#include "core/room/purge.h"
#include "core/db/db.h"
#include "core/jobs/jobs.h"
#include "core/room/member.h"

#define LEAVES 20		/* the room is locked until COMMIT */
#define ROWS 1000

STMT(purge_before_event,
    "SELECT r.nid, e.room_pos - 1 FROM room r JOIN event e ON e.room = r.nid WHERE r.id = $1 AND e.id = $2 AND e.room_pos IS NOT NULL");
/* Clocks of other servers may say anything: not what is old by its clock goes, but what is before all that is not. */
STMT(purge_before_time,
    "SELECT r.nid, coalesce((SELECT min(e.room_pos) FROM event e WHERE e.room = r.nid AND e.ts >= $2 AND e.room_pos IS NOT NULL),"
    " r.last_room_pos + 1) - 1 FROM room r WHERE r.id = $1");
STMT(purge_room_mark,
    "UPDATE room SET purged = true, public = false, blocked = blocked OR $2 WHERE id = $1 RETURNING nid");
STMT(purge_room_aliases, "DELETE FROM alias WHERE room = $1");

STMT(purge_room_get, "SELECT id, purged, blocked FROM room WHERE nid = $1 FOR NO KEY UPDATE");
/* 1 invite, 2 join, 3 knock */
STMT(purge_room_members,
    "SELECT m.usr, (SELECT body FROM name WHERE nid = m.usr) FROM local_member m WHERE m.room = $1 AND m.membership IN (1, 2, 3) LIMIT $2");
STMT(purge_room_put_out, "UPDATE local_member SET membership = 4 WHERE room = $1 AND usr = $2 AND membership IN (1, 2, 3)");
STMT(purge_room_receipts,
    "DELETE FROM receipt WHERE ctid = ANY (ARRAY(SELECT ctid FROM receipt WHERE room = $1 LIMIT $2))");
STMT(purge_room_typing, "DELETE FROM typing WHERE ctid = ANY (ARRAY(SELECT ctid FROM typing WHERE room = $1 LIMIT $2))");
STMT(purge_room_events, "SELECT nid FROM event WHERE room = $1 LIMIT $2");
STMT(purge_room_relations, "DELETE FROM event_relation WHERE event = ANY ($1)");
STMT(purge_room_thread_users, "DELETE FROM thread_user WHERE root = ANY ($1)");
STMT(purge_room_threads, "DELETE FROM thread WHERE root = ANY ($1)");
STMT(purge_room_thread_counts, "DELETE FROM thread_count WHERE root = ANY ($1)");
STMT(purge_room_mentions, "DELETE FROM mention WHERE event = ANY ($1)");
STMT(purge_room_txns, "DELETE FROM txn WHERE event = ANY ($1)");
STMT(purge_room_event_rows, "DELETE FROM event WHERE nid = ANY ($1)");
STMT(purge_room_state, "DELETE FROM state WHERE ctid = ANY (ARRAY(SELECT ctid FROM state WHERE room = $1 LIMIT $2))");
STMT(purge_room_state_now,
    "DELETE FROM current_state WHERE ctid = ANY (ARRAY(SELECT ctid FROM current_state WHERE room = $1 LIMIT $2))");
STMT(purge_room_lines, "DELETE FROM line WHERE room = $1");
STMT(purge_room_holes, "DELETE FROM hole WHERE room = $1");
/* What remains of a member: the news that he is not in the room. joined_pos NULL: nor ever was, so he sees nothing of it. */
STMT(purge_room_strip,
    "WITH m AS (UPDATE local_member SET event = NULL, oob_pdu = NULL, stripped = NULL, sender = NULL, joined_pos = NULL, membership = 4"
    "	WHERE ctid = ANY (ARRAY(SELECT ctid FROM local_member WHERE room = $1 AND (event IS NOT NULL OR oob_pdu IS NOT NULL"
    "	OR joined_pos IS NOT NULL OR stripped IS NOT NULL) LIMIT $2)) RETURNING usr),"
    " d AS (DELETE FROM account_data WHERE room = $1 AND usr = ANY (ARRAY(SELECT usr FROM m))),"
    " u AS (DELETE FROM read_up_to WHERE room = $1 AND usr = ANY (ARRAY(SELECT usr FROM m)))"
    " SELECT usr FROM m");
STMT(purge_room_empty, "UPDATE room SET extremities = '{}', cut_ver = NULL, joined = 0, invited = 0, purged_pos = NULL,"
    " n_a = 0, n_b = 0, n_c = 0, n_d = 0, n_e = 0 WHERE nid = $1");
STMT(purge_room_forget, "DELETE FROM local_member WHERE ctid = ANY (ARRAY(SELECT ctid FROM local_member WHERE room = $1 LIMIT $2))");
STMT(purge_room_row, "DELETE FROM room WHERE nid = $1 AND NOT blocked");

/* ---- asking */

enum err
purge_history(struct ctx *cx, const char *room, const char *before_event, int64_t before_ts, bool keep_local)
{
	struct rows r;
	enum err e;

	if (before_event != NULL)
		e = db_maybe(cx, &r, &purge_before_event, P_TEXT(room), P_TEXT(before_event));
	else
		e = db_maybe(cx, &r, &purge_before_time, P_TEXT(room), P_I64(before_ts));
	if (e != M_OK)
		return e;
	if (r.n == 0)
		return fail(cx, M_NOT_FOUND, "there is no such room, or no such event in its timeline");
	/* One job per wish: two wishes for one room may differ in what they keep. */
	job_add(cx, "purge_history", arena_printf(cx->a, "%lld:%lld:%s", (long long)db_i64(&r, 0), (long long)db_i64(&r, 1),
	    keep_local ? "keep" : "all"), NULL, 0);
	return db_run(cx);
}

enum err
purge_room(struct ctx *cx, const char *room, bool block)
{
	struct rows r;
	enum err e;

	if ((e = db_maybe(cx, &r, &purge_room_mark, P_TEXT(room), P_BOOL(block))) != M_OK)
		return e;
	if (r.n == 0)
		return fail(cx, M_NOT_FOUND, "there is no such room");
	db_queue(cx, NULL, DB_NONE, &purge_room_aliases, P_I64(db_i64(&r, 0)));
	job_add(cx, "purge_room", arena_printf(cx->a, "%lld", (long long)db_i64(&r, 0)), NULL, 0);
	return db_run(cx);
}

/* ---- the steps of a whole room, in their order; each tells whether it did anything */

static enum err
leave_some(struct ctx *cx, int64_t room, const char *id, bool *did)
{
	struct rows r;
	enum err e;

	if ((e = db_query(cx, &r, &purge_room_members, P_I64(room), P_I64(LEAVES))) != M_OK)
		return e;
	while (db_next(&r)) {
		cx->user_nid = db_i64(&r, 0);
		cx->user = db_text(&r, 1);
		*did = true;
		e = member_change(cx, MEMBER_LEAVE, id, NULL, NULL);
		if (e != M_OK && e != M_FORBIDDEN && e != M_UNKNOWN)
			return e;
		/* Whatever the room's rules say, and where nothing is left of its state: nobody is in it. */
		if ((e = db_exec(cx, NULL, &purge_room_put_out, P_I64(room), P_I64(cx->user_nid))) != M_OK)
			return e;
		touch_user(cx, cx->user_nid);
	}
	return M_OK;
}

static enum err
delete_some(struct ctx *cx, const struct stmt *st, int64_t room, bool *did)
{
	int64_t n = 0;
	enum err e = db_exec(cx, &n, st, P_I64(room), P_I64(ROWS));

	*did = n > 0;
	return e;
}

static enum err
delete_some_events(struct ctx *cx, int64_t room, bool *did)
{
	static const struct stmt *const before[] = { &purge_room_relations, &purge_room_thread_users, &purge_room_threads, &purge_room_txns,
		&purge_room_thread_counts, &purge_room_mentions, &purge_room_event_rows };
	struct rows r;
	int64_t *nids;
	size_t n = 0;
	enum err e;

	if ((e = db_query(cx, &r, &purge_room_events, P_I64(room), P_I64(ROWS))) != M_OK || r.n == 0)
		return e;
	*did = true;
	nids = arena_alloc(cx->a, (size_t)r.n * sizeof *nids);
	while (db_next(&r))
		nids[n++] = db_i64(&r, 0);
	for (size_t i = 0; i < sizeof before / sizeof *before; i++)
		db_queue(cx, NULL, DB_NONE, before[i], P_I64S(nids, n));
	return db_run(cx);
}

static enum err
strip_some(struct ctx *cx, int64_t room, bool *did)
{
	struct rows r;
	enum err e;

	if ((e = db_query(cx, &r, &purge_room_strip, P_I64(room), P_I64(ROWS))) != M_OK)
		return e;
	*did = r.n > 0;
	while (db_next(&r))
		touch_user(cx, db_i64(&r, 0));
	return M_OK;
}

/* After all of the above. */
static enum err
delete_rest(struct ctx *cx, int64_t room)
{
	db_queue(cx, NULL, DB_NONE, &purge_room_lines, P_I64(room));
	db_queue(cx, NULL, DB_NONE, &purge_room_holes, P_I64(room));
	db_queue(cx, NULL, DB_NONE, &purge_room_empty, P_I64(room));
	return db_run(cx);
}

enum err
purge_room_step(struct ctx *cx, int64_t room, bool gone, bool *more, bool *rest)
{
	struct rows r;
	enum err e;

	*more = *rest = false;
	if ((e = db_maybe(cx, &r, &purge_room_get, P_I64(room))) != M_OK || r.n == 0 || !db_bool(&r, 1))
		return e;
	if (gone) {
		if ((e = delete_some(cx, &purge_room_forget, room, more)) != M_OK || *more)
			return e;
		return db_exec(cx, NULL, &purge_room_row, P_I64(room));
	}
	if ((e = leave_some(cx, room, db_text(&r, 0), more)) != M_OK || *more ||
	    (e = delete_some(cx, &purge_room_receipts, room, more)) != M_OK || *more ||
	    (e = delete_some(cx, &purge_room_typing, room, more)) != M_OK || *more ||
	    (e = delete_some_events(cx, room, more)) != M_OK || *more ||
	    (e = delete_some(cx, &purge_room_state, room, more)) != M_OK || *more ||
	    (e = delete_some(cx, &purge_room_state_now, room, more)) != M_OK || *more ||
	    (e = strip_some(cx, room, more)) != M_OK || *more)
		return e;
	*rest = true;
	return delete_rest(cx, room);
}
