/* fcgi/client/admin.c - Server administration: who is where, locking and suspending accounts. */
#include "core/user/moderation.h"
#include "core/user/seen.h"
#include "fcgi/client/client.h"

/* GET /_matrix/client/v3/admin/whois/{userId} */
enum err
cl_get_who_is(struct req *r)
{
	const char *user = req_param(r, "userId");
	int64_t usr;
	enum err e;

	if ((e = moderation_whois(&r->cx, user, &usr)) != M_OK)
		return e;
	json_obj(&r->out, NULL);
	if ((e = seen_write(&r->cx, usr, &r->out)) != M_OK)
		return e;
	json_esc(&r->out, "user_id", user);
	json_end(&r->out);
	return M_OK;
}

static enum err
reply_state(struct req *r, const char *key, bool on)
{
	json_obj(&r->out, NULL);
	json_bool(&r->out, key, on);
	json_end(&r->out);
	return M_OK;
}

static enum err
show(struct req *r, enum moderation what, const char *key)
{
	bool on;
	enum err e = moderation_get(&r->cx, what, req_param(r, "userId"), &on);

	return e == M_OK ? reply_state(r, key, on) : e;
}

/* Who may not do it is told so whatever the body says. */
static enum err
change(struct req *r, enum moderation what, const char *key)
{
	bool on;
	enum err e;

	if (!r->cx.admin)
		return fail(&r->cx, M_FORBIDDEN, "this is for administrators of the server");
	if (json_get(r->body, key) == NULL)
		return fail(&r->cx, M_MISSING_PARAM, "%s is missing", key);
	if ((e = body_opt_bool(r, key, false, &on)) != M_OK || (e = moderation_set(&r->cx, what, req_param(r, "userId"), on)) != M_OK)
		return e;
	return reply_state(r, key, on);
}

/* GET /_matrix/client/v1/admin/lock/{userId} */
enum err
cl_get_admin_lock_user(struct req *r)
{
	return show(r, MODERATE_LOCK, "locked");
}

/* PUT /_matrix/client/v1/admin/lock/{userId} */
enum err
cl_set_admin_lock_user(struct req *r)
{
	return change(r, MODERATE_LOCK, "locked");
}

/* GET /_matrix/client/v1/admin/suspend/{userId} */
enum err
cl_get_admin_suspend_user(struct req *r)
{
	return show(r, MODERATE_SUSPEND, "suspended");
}

/* PUT /_matrix/client/v1/admin/suspend/{userId} */
enum err
cl_set_admin_suspend_user(struct req *r)
{
	return change(r, MODERATE_SUSPEND, "suspended");
}
