/* core/room/at_time.c - see at_time.h. */
#include "core/room/at_time.h"
#include "core/room/access.h"

#define STEP 100
#define STEPS_MAX 20	/* so many events that the reader may not see are passed over at most */

STMT(at_time_forth,
    "SELECT " ROOM_EVENT_COLS " FROM event e WHERE e.room = $1 AND (e.ts, e.room_pos) > ($2, $3) AND e.room_pos IS NOT NULL"
    " AND e.room_pos <= $4 ORDER BY e.ts, e.room_pos LIMIT $5");
STMT(at_time_back,
    "SELECT " ROOM_EVENT_COLS " FROM event e WHERE e.room = $1 AND (e.ts, e.room_pos) < ($2, $3) AND e.room_pos IS NOT NULL"
    " AND e.room_pos <= $4 ORDER BY e.ts DESC, e.room_pos DESC LIMIT $5");

enum err
at_time_find(struct ctx *cx, const char *room, int64_t ts, bool back, struct json_out *o)
{
	int64_t room_pos = back ? INT64_MAX : INT64_MIN;
	struct room_access acc;
	struct visibility vis;
	struct room_event ev;
	struct rows r, spans;
	enum err e;

	if ((e = access_open(cx, room, &acc)) != M_OK)
		return e;
	visibility_queue(cx, &spans, &cx->user_nid, &acc.room, 1);
	for (int i = 0; i < STEPS_MAX; i++) {
		if ((e = db_query(cx, &r, back ? &at_time_back : &at_time_forth, P_I64(acc.room), P_I64(ts), P_I64(room_pos), P_I64(acc.top),
		    P_I64(i == 0 ? 1 : STEP))) != M_OK)
			return e;
		if (i == 0)
			visibility_take(cx, &spans, &cx->user_nid, 1, &vis);
		while (db_next(&r)) {
			room_event_read(&r, &ev);
			if (visibility_allows(cx->a, &vis, &ev)) {
				json_obj(o, NULL);
				json_esc(o, "event_id", ev.id);
				json_int(o, "origin_server_ts", ev.ts);
				json_end(o);
				return M_OK;
			}
			ts = ev.ts;
			room_pos = ev.room_pos;
		}
		if (r.n == 0)
			break;
	}
	return fail(cx, M_NOT_FOUND, "there is no event in that direction");
}
