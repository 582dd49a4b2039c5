/* fcgi/client/login.c - Legacy API / Login: log in and out. */
#include <string.h>

#include "core/base/conf.h"
#include "core/room/names.h"
#include "core/user/login.h"
#include "fcgi/client/client.h"
#include "fcgi/client/login.h"

#define STATIC_LOGIN "/_matrix/static/client/login/"

/* GET /_matrix/client/v3/login */
enum err
cl_get_login_flows(struct req *r)
{
	json_obj(&r->out, NULL);
	json_arr(&r->out, "flows");
	json_obj(&r->out, NULL);
	json_str(&r->out, "type", "m.login.password");
	json_end(&r->out);
	json_end(&r->out);
	json_end(&r->out);
	return M_OK;
}

/* device_id and initial_device_display_name, as login and register take them. An empty id counts as none. */
enum err
body_device(struct req *r, const char **device_id, const char **name)
{
	enum err e;

	if ((e = body_opt_esc(r, "device_id", device_id)) != M_OK ||
	    (e = body_opt_esc(r, "initial_device_display_name", name)) != M_OK)
		return e;
	if (*device_id != NULL && **device_id == '\0')
		*device_id = NULL;
	if (*device_id != NULL && !name_fits(*device_id))
		return fail(&r->cx, M_INVALID_PARAM, "device_id is longer than 255 bytes");
	if (*name != NULL && !name_fits(*name))
		return fail(&r->cx, M_INVALID_PARAM, "the display name of a device is longer than 255 bytes");
	return M_OK;
}

/* `home_server` is deprecated, but the client-server guide and old clients know no other. */
enum err
reply_session(struct req *r, const struct session *s)
{
	json_obj(&r->out, NULL);
	if (s->token != NULL) {
		json_str(&r->out, "access_token", s->token);
		json_esc(&r->out, "device_id", s->device_id);
	}
	json_str(&r->out, "home_server", r->cx.conf->server_name);
	json_esc(&r->out, "user_id", s->user);
	json_end(&r->out);
	return M_OK;
}

/* POST /_matrix/client/v3/login */
enum err
cl_login(struct req *r)
{
	struct login l;
	struct session s;
	const char *type;
	enum err e;

	if ((e = body_need_str(r, "type", &type)) != M_OK)
		return e;
	if (strcmp(type, "m.login.password") != 0)
		return fail(&r->cx, E_BAD_REQUEST, "unknown type of login");
	if ((e = body_device(r, &l.device_id, &l.device_name)) != M_OK ||
	    (e = credentials_read(&r->cx, r->body, &l.who)) != M_OK || (e = login_password(&r->cx, &l, &s)) != M_OK)
		return e;
	return reply_session(r, &s);
}

/* GET /_matrix/client/v3/login/fallback: the name by which the client-server guide knows the static page. */
enum err
cl_login_fallback(struct req *r)
{
	return reply_redirect(r, STATIC_LOGIN);
}

/* POST /_matrix/client/v3/logout */
enum err
cl_logout(struct req *r)
{
	enum err e = session_close(&r->cx);

	return e == M_OK ? reply_empty(r) : e;
}

/* POST /_matrix/client/v3/logout/all */
enum err
cl_logout_all(struct req *r)
{
	enum err e = session_close_all(&r->cx, r->cx.user_nid, 0);

	return e == M_OK ? reply_empty(r) : e;
}
