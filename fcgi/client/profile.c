/* fcgi/client/profile.c - User Data / Profiles. */
#include <string.h>

#include "core/user/profile.h"
#include "fcgi/client/client.h"

/* GET /_matrix/client/v3/profile/{userId} */
enum err
cl_get_user_profile(struct req *r)
{
	const char *all;
	enum err e;

	if ((e = profile_get_all(&r->cx, req_param(r, "userId"), &all)) != M_OK)
		return e;
	json_raw(&r->out, NULL, all);
	return M_OK;
}

/* GET /_matrix/client/v3/profile/{userId}/{keyName} */
enum err
cl_get_profile_field(struct req *r)
{
	const char *key = req_param(r, "keyName"), *value;
	enum err e;

	if ((e = profile_get(&r->cx, req_param(r, "userId"), key, &value)) != M_OK)
		return e;
	json_obj(&r->out, NULL);
	json_key_esc(&r->out, key);
	json_raw(&r->out, NULL, value);
	json_end(&r->out);
	return M_OK;
}

static enum err
own_profile(struct req *r)
{
	if (strcmp(req_param(r, "userId"), r->cx.user) != 0)
		return fail(&r->cx, M_FORBIDDEN, "this is not your profile");
	if (r->cx.guest && strcmp(req_param(r, "keyName"), "displayname") != 0)
		return fail(&r->cx, M_GUEST_ACCESS_FORBIDDEN, "guests have nothing but a display name");
	return M_OK;
}

/* PUT /_matrix/client/v3/profile/{userId}/{keyName} */
enum err
cl_set_profile_field(struct req *r)
{
	const char *key = req_param(r, "keyName");
	const struct json *value;
	enum err e;

	if ((e = own_profile(r)) != M_OK)
		return e;
	if ((value = json_get(r->body, key)) == NULL)
		return fail(&r->cx, M_MISSING_PARAM, "the body must hold the field that the path names");
	if ((e = profile_set(&r->cx, key, value)) != M_OK)
		return e;
	return reply_empty(r);
}

/* DELETE /_matrix/client/v3/profile/{userId}/{keyName} */
enum err
cl_delete_profile_field(struct req *r)
{
	enum err e;

	if ((e = own_profile(r)) != M_OK || (e = profile_set(&r->cx, req_param(r, "keyName"), NULL)) != M_OK)
		return e;
	return reply_empty(r);
}
