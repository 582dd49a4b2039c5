/* core/live/typing.c - who is typing; see typing.h. */
#include "core/live/typing.h"

#include "core/db/db.h"

/*
 * Written without waiting for the disk, so a crash of the database may lose the last moment: who stops and has no row
 * gets one that has ended, as clients may still show him typing.
 */
STMT(typing_relaxed, "SET LOCAL synchronous_commit = off");
#define MINE " FROM room r JOIN local_member m ON m.room = r.nid AND m.usr = $2 AND m.membership = 2 WHERE r.id = $1"
STMT(typing_room, "SELECT r.nid" MINE);
STMT_WARM(typing_room, "web");
STMT(typing_start,
    "INSERT INTO typing (room, usr, until) SELECT r.nid, $2, $4" MINE
    " ON CONFLICT (room, usr) DO UPDATE SET until = excluded.until,"
    " start = CASE WHEN typing.until > $3 THEN typing.start ELSE excluded.start END RETURNING start = pos");
STMT_WARM(typing_start, "web");
STMT(typing_stop,
    "INSERT INTO typing (room, usr, until) SELECT r.nid, $2, $3" MINE
    " ON CONFLICT (room, usr) DO UPDATE SET until = $3 WHERE typing.until > $3 RETURNING true");
STMT_WARM(typing_stop, "web");

enum err
typing_set(struct ctx *cx, const char *room, int64_t timeout_ms)
{
	struct rows at, changed;
	enum err e;

	if (timeout_ms > TYPING_MAX_MS)
		timeout_ms = TYPING_MAX_MS;
	db_queue(cx, NULL, DB_NONE, &typing_relaxed);
	db_queue(cx, &at, DB_MAYBE, &typing_room, P_TEXT(room), P_I64(cx->user_nid));
	if (timeout_ms > 0)
		db_queue(cx, &changed, DB_MAYBE, &typing_start, P_TEXT(room), P_I64(cx->user_nid), P_I64(cx->now),
		    P_I64(cx->now + timeout_ms));
	else
		db_queue(cx, &changed, DB_MAYBE, &typing_stop, P_TEXT(room), P_I64(cx->user_nid), P_I64(cx->now));
	if ((e = db_run(cx)) != M_OK)
		return e;
	if (at.n == 0)
		return fail(cx, M_FORBIDDEN, "you are not in this room");
	if (changed.n > 0 && db_bool(&changed, 0))
		touch_room_soon(cx, db_i64(&at, 0));
	return M_OK;
}
