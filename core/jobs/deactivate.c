/*
 * core/jobs/deactivate.c - a deactivated user leaves his rooms, and refuses what he was invited to or knocked at.
 *
 * Key: the user's nid. A batch of rooms per run, in the order of their nids; args remember the last one. A request
 * that was under way when the account ended may still bring him into a room: so all is gone through again after a minute.
 */
#include <string.h>

#include "core/base/json.h"
#include "core/db/db.h"
#include "core/jobs/jobs_impl.h"
#include "core/room/member.h"

#define ROOMS 20
#define AGAIN_MS (60 * 1000)

STMT(deactivate_user,
    "SELECT n.body FROM account a JOIN name n ON n.nid = a.usr WHERE a.usr = $1 AND a.deactivated_ts IS NOT NULL");
/* 1 invite, 2 join, 3 knock */
STMT(deactivate_rooms,
    "SELECT r.nid, r.id FROM local_member m JOIN room r ON r.nid = m.room"
    " WHERE m.usr = $1 AND m.room > $2 AND m.membership IN (1, 2, 3) ORDER BY m.room LIMIT $3");

/* *last: where to go on, 0 when all are left. A room that does not let him go (a broken one) holds up nothing. */
static enum err
leave_some(struct ctx *cx, int64_t after, int64_t *last)
{
	struct rows r;
	enum err e;

	*last = 0;
	if ((e = db_query(cx, &r, &deactivate_rooms, P_I64(cx->user_nid), P_I64(after), P_I64(ROOMS))) != M_OK)
		return e;
	while (db_next(&r)) {
		if ((e = member_change(cx, MEMBER_LEAVE, db_text(&r, 1), NULL, NULL)) != M_OK && e != M_FORBIDDEN)
			return e;
		if (r.n == ROOMS)
			*last = db_i64(&r, 0);
	}
	return M_OK;
}

enum err
deactivate_run(struct ctx *cx, struct job *j)
{
	struct json *args = NULL;
	struct rows r;
	int64_t last, pass;
	enum err e;

	cx->user_nid = strtoll(j->key, NULL, 10);
	if ((e = db_maybe(cx, &r, &deactivate_user, P_I64(cx->user_nid))) != M_OK || r.n == 0)
		return e;
	cx->user = db_text(&r, 0);
	(void)json_parse(cx->a, j->args, strlen(j->args), &args);	/* unreadable: from the start */
	pass = json_get_int(args, "pass", 0);
	if ((e = leave_some(cx, json_get_int(args, "after", 0), &last)) != M_OK)
		return e;
	if (last == 0 && pass > 0)
		return M_OK;
	j->again_ts = last != 0 ? cx->now : cx->now + AGAIN_MS;
	j->args = arena_printf(cx->a, "{\"after\":%lld,\"pass\":%lld}", (long long)last, (long long)(last != 0 ? pass : pass + 1));
	return M_OK;
}
