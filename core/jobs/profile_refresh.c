/*
 * core/jobs/profile_refresh.c - a changed profile goes into the member events of the user's rooms.
 *
 * Key: the user's nid. A batch of rooms per run, in the order of their nids;
 * args remember the last one. A further change meanwhile begins from the start
 * (job_add() resets args), and rooms that are up to date get no event.
 */
#include <string.h>

#include "core/base/json.h"
#include "core/db/db.h"
#include "core/jobs/jobs_impl.h"
#include "core/room/member.h"

STMT(profile_refresh_user,
    "SELECT n.body FROM account a JOIN name n ON n.nid = a.usr WHERE a.usr = $1 AND a.deactivated_ts IS NULL");

enum err
profile_refresh_run(struct ctx *cx, struct job *j)
{
	struct json *args = NULL;
	struct rows r;
	int64_t last;
	enum err e;

	cx->user_nid = strtoll(j->key, NULL, 10);
	if ((e = db_maybe(cx, &r, &profile_refresh_user, P_I64(cx->user_nid))) != M_OK || r.n == 0)
		return e;
	cx->user = db_text(&r, 0);
	(void)json_parse(cx->a, j->args, strlen(j->args), &args);	/* unreadable: from the start */
	if ((e = member_refresh(cx, json_get_int(args, "after", 0), &last)) != M_OK)
		return e;
	if (last != 0) {
		j->again_ts = cx->now;
		j->args = arena_printf(cx->a, "{\"after\":%lld}", (long long)last);
	}
	return M_OK;
}
