/* core/user/moderation.c - see moderation.h. */
#include "core/user/moderation.h"

#include <string.h>

#include "core/base/conf.h"
#include "core/base/id.h"
#include "core/base/log.h"
#include "core/db/db.h"

STMT(moderation_select,
    "SELECT a.usr, a.admin, a.locked, a.suspended, a.deactivated_ts IS NOT NULL FROM account a JOIN name n ON n.nid = a.usr WHERE n.body = $1");
STMT(moderation_lock, "UPDATE account SET locked = $2 WHERE usr = $1");
STMT(moderation_suspend, "UPDATE account SET suspended = $2 WHERE usr = $1");

static enum err
find(struct ctx *cx, const char *user, struct rows *r)
{
	enum err e;

	if (!id_is_user(user) || strcmp(id_server(user), cx->conf->server_name) != 0)
		return fail(cx, M_INVALID_PARAM, "this is no user of this server");
	if ((e = db_maybe(cx, r, &moderation_select, P_TEXT(user))) != M_OK)
		return e;
	return r->n > 0 ? M_OK : fail(cx, M_NOT_FOUND, "no such user");
}

static enum err
open_for_admin(struct ctx *cx, const char *user, struct rows *r)
{
	enum err e;

	if (!cx->admin)
		return fail(cx, M_FORBIDDEN, "this is for administrators of the server");
	if ((e = find(cx, user, r)) != M_OK)
		return e;
	if (db_bool(r, 4))
		return fail(cx, M_NOT_FOUND, "this account has been deactivated");
	if (db_bool(r, 1) && db_i64(r, 0) != cx->user_nid)
		return fail(cx, M_FORBIDDEN, "this is another administrator");
	return M_OK;
}

enum err
moderation_get(struct ctx *cx, enum moderation what, const char *user, bool *on)
{
	struct rows r;
	enum err e = open_for_admin(cx, user, &r);

	if (e == M_OK)
		*on = db_bool(&r, what == MODERATE_LOCK ? 2 : 3);
	return e;
}

enum err
moderation_set(struct ctx *cx, enum moderation what, const char *user, bool on)
{
	struct rows r;
	int64_t usr;
	enum err e = open_for_admin(cx, user, &r);

	if (e != M_OK)
		return e;
	if ((usr = db_i64(&r, 0)) == cx->user_nid)
		return fail(cx, M_FORBIDDEN, "administrators do not lock themselves out");
	db_queue(cx, NULL, DB_NONE, what == MODERATE_LOCK ? &moderation_lock : &moderation_suspend, P_I64(usr), P_BOOL(on));
	touch_user(cx, usr);
	log_info(cx, what == MODERATE_LOCK ? "account_locked" : "account_suspended", LS("account", user), LI("on", on));
	return M_OK;
}

enum err
moderation_whois(struct ctx *cx, const char *user, int64_t *usr)
{
	struct rows r;
	enum err e;

	*usr = cx->user_nid;
	if (strcmp(user, cx->user) == 0)
		return M_OK;
	if (!cx->admin)
		return fail(cx, M_FORBIDDEN, "this is for administrators of the server, and for yourself");
	if ((e = find(cx, user, &r)) == M_OK)
		*usr = db_i64(&r, 0);
	return e;
}
