/* fcgi/client/login.c - Legacy API / Login: log in and out. */
#include <string.h>

#include "core/base/conf.h"
#include "core/room/names.h"
#include "core/user/login.h"
#include "core/user/login_token.h"
#include "core/user/refresh.h"
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
	if (login_token_offered(&r->cx)) {
		json_obj(&r->out, NULL);
		json_bool(&r->out, "get_login_token", true);
		json_str(&r->out, "type", "m.login.token");
		json_end(&r->out);
	}
	json_end(&r->out);
	json_end(&r->out);
	return M_OK;
}

/* device_id, initial_device_display_name, refresh_token, as login and register take them. An empty id counts as none. */
enum err
body_device(struct req *r, struct session_wish *w)
{
	enum err e;

	if ((e = body_opt_esc(r, "device_id", &w->device_id)) != M_OK ||
	    (e = body_opt_esc(r, "initial_device_display_name", &w->name)) != M_OK ||
	    (e = body_opt_bool(r, "refresh_token", false, &w->refresh)) != M_OK)
		return e;
	if (w->device_id != NULL && *w->device_id == '\0')
		w->device_id = NULL;
	if (w->device_id != NULL && !name_fits(w->device_id))
		return fail(&r->cx, M_INVALID_PARAM, "device_id is longer than 255 bytes");
	if (w->name != NULL && !name_fits(w->name))
		return fail(&r->cx, M_INVALID_PARAM, "the display name of a device is longer than 255 bytes");
	return M_OK;
}

static void
write_tokens(struct json_out *o, const struct session *s)
{
	json_str(o, "access_token", s->token);
	if (s->expires_in > 0)
		json_int(o, "expires_in_ms", s->expires_in);
	if (s->refresh != NULL)
		json_str(o, "refresh_token", s->refresh);
}

/* `home_server` is deprecated, but the client-server guide and old clients know no other. */
enum err
reply_session(struct req *r, const struct session *s)
{
	json_obj(&r->out, NULL);
	if (s->token != NULL) {
		write_tokens(&r->out, s);
		json_esc(&r->out, "device_id", s->device_id);
	}
	json_str(&r->out, "home_server", r->cx.conf->server_name);
	json_esc(&r->out, "user_id", s->user);
	json_end(&r->out);
	return M_OK;
}

static enum err
by_password(struct req *r, const struct session_wish *w, struct session *s)
{
	struct login l = { .device = *w };
	enum err e;

	if ((e = credentials_read(&r->cx, r->body, &l.who)) != M_OK)
		return e;
	return login_password(&r->cx, &l, s);
}

static enum err
by_token(struct req *r, const struct session_wish *w, struct session *s)
{
	const char *token;
	enum err e;

	if ((e = body_need_str(r, "token", &token)) != M_OK)
		return e;
	return login_by_token(&r->cx, token, w, s);
}

/* POST /_matrix/client/v3/login */
enum err
cl_login(struct req *r)
{
	struct session_wish w;
	struct session s;
	const char *type;
	enum err e;

	if ((e = body_need_str(r, "type", &type)) != M_OK || (e = body_device(r, &w)) != M_OK)
		return e;
	if (strcmp(type, "m.login.password") == 0)
		e = by_password(r, &w, &s);
	else if (strcmp(type, "m.login.token") == 0 && login_token_offered(&r->cx))
		e = by_token(r, &w, &s);
	else
		e = fail(&r->cx, E_BAD_REQUEST, "unknown type of login");
	return e == M_OK ? reply_session(r, &s) : e;
}

/* POST /_matrix/client/v3/refresh. Who shows a refresh token needs no access token. */
enum err
cl_refresh(struct req *r)
{
	const char *token;
	struct session s;
	enum err e;

	if ((e = body_need_str(r, "refresh_token", &token)) != M_OK || (e = session_refresh(&r->cx, token, &s)) != M_OK)
		return e;
	json_obj(&r->out, NULL);
	write_tokens(&r->out, &s);
	json_end(&r->out);
	return M_OK;
}

static const struct uia_flow password_flow[] = { { { "m.login.password" } } };

/* POST /_matrix/client/v1/login/get_token */
enum err
cl_generate_login_token(struct req *r)
{
	struct uia u = { .endpoint = "generateLoginToken", .flows = password_flow, .nflows = 1, .body = r->body, .usr = r->cx.user_nid };
	const char *token;
	int64_t ms;
	enum err e;

	if (!login_token_offered(&r->cx))
		return fail(&r->cx, M_UNRECOGNIZED, "this server gives no login tokens");
	if ((e = uia_check(&r->cx, &u)) != M_OK || (e = login_token_make(&r->cx, &u, &token, &ms)) != M_OK)
		return e;
	json_obj(&r->out, NULL);
	json_int(&r->out, "expires_in_ms", ms);
	json_str(&r->out, "login_token", token);
	json_end(&r->out);
	return M_OK;
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
