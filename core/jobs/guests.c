/*
 * core/jobs/guests.c - guests leave rooms that no longer want them, and the server when nobody uses them.
 *
 * guests_leave: key is the room's nid; a batch of guests per run, args remember the last one.
 * guests_cleanup: a guest not seen for guest_idle_days is deactivated, by which his rooms are left; one who is in no
 * room, and never was, is forgotten a day later.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/conf.h"
#include "core/base/json.h"
#include "core/db/db.h"
#include "core/jobs/jobs_impl.h"
#include "core/room/guest.h"

#define DAY (24 * 3600 * 1000LL)
#define BATCH 100

/* Whom somebody makes a user at this moment, or who joins a room, is held: he waits for the next round. */
STMT(guests_idle,
    "SELECT a.usr FROM account a WHERE a.kind = 'guest' AND a.deactivated_ts IS NULL AND a.created_ts < $1"
    " AND NOT EXISTS (SELECT FROM device d WHERE d.usr = a.usr AND coalesce(d.last_seen_ts, d.created_ts) >= $1)"
    " ORDER BY a.created_ts LIMIT $2 FOR UPDATE OF a SKIP LOCKED");
STMT(guests_end,
    "WITH a AS (UPDATE account SET deactivated_ts = $2 WHERE usr = ANY ($1)), p AS (DELETE FROM profile WHERE usr = ANY ($1)),"
    " j AS (INSERT INTO job (kind, key) SELECT 'deactivate', u::text FROM unnest($1::bigint[]) u ON CONFLICT DO NOTHING)"
    " DELETE FROM device WHERE usr = ANY ($1)");
STMT(guests_forget,
    "DELETE FROM account WHERE usr = ANY (ARRAY(SELECT a.usr FROM account a WHERE a.kind = 'guest' AND a.deactivated_ts < $1"
    " AND NOT EXISTS (SELECT FROM local_member m WHERE m.usr = a.usr) ORDER BY a.deactivated_ts LIMIT $2))");

enum err
guests_leave_run(struct ctx *cx, struct job *j)
{
	struct json *args = NULL;
	int64_t last;
	enum err e;

	(void)json_parse(cx->a, j->args, strlen(j->args), &args);	/* unreadable: from the start */
	if ((e = guests_leave(cx, strtoll(j->key, NULL, 10), json_get_int(args, "after", 0), &last)) != M_OK)
		return e;
	if (last != 0) {
		j->again_ts = cx->now;
		j->args = arena_printf(cx->a, "{\"after\":%lld}", (long long)last);
	}
	return M_OK;
}

enum err
guests_cleanup_run(struct ctx *cx, struct job *j)
{
	int64_t *usr, forgotten, idle_since = cx->now - cx->conf->guest_idle_days * DAY;
	struct rows r;
	size_t n = 0;
	enum err e;

	if ((e = db_query(cx, &r, &guests_idle, P_I64(idle_since), P_I64(BATCH))) != M_OK)
		return e;
	usr = arena_alloc(cx->a, ((size_t)r.n + 1) * sizeof *usr);
	while (db_next(&r)) {
		usr[n++] = db_i64(&r, 0);
		touch_user(cx, usr[n - 1]);
	}
	if (n > 0 && (e = db_exec(cx, NULL, &guests_end, P_I64S(usr, n), P_I64(cx->now))) != M_OK)
		return e;
	if ((e = db_exec(cx, &forgotten, &guests_forget, P_I64(cx->now - DAY), P_I64(BATCH))) != M_OK)
		return e;
	if (n == BATCH || forgotten == BATCH)
		j->again_ts = cx->now;
	return M_OK;
}
