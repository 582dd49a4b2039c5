/* fcgi/client/register.c - Account registration. */
#include <string.h>

#include "core/room/names.h"
#include "core/user/register.h"
#include "fcgi/client/client.h"
#include "fcgi/client/login.h"

/* All that a guest may say is how his device is called; the rest of the body is not looked at. */
static enum err
as_guest(struct req *r)
{
	const char *name = json_get_esc(r->cx.a, r->body, "initial_device_display_name");
	struct session s;
	enum err e;

	if (name != NULL && !name_fits(name))
		name = NULL;
	if ((e = register_guest(&r->cx, name, &s)) != M_OK)
		return e;
	return reply_session(r, &s);
}

static enum err
as_user(struct req *r, struct registration *reg)
{
	struct session s;
	enum err e;

	if ((e = body_opt_str(r, "username", &reg->username)) != M_OK ||
	    (e = body_opt_str(r, "password", &reg->password)) != M_OK ||
	    (e = body_opt_str(r, "guest_access_token", &reg->guest_token)) != M_OK ||
	    (e = body_device(r, &reg->device)) != M_OK ||
	    (e = body_opt_bool(r, "inhibit_login", false, &reg->inhibit_login)) != M_OK ||
	    (e = register_user(&r->cx, reg, r->body, &s)) != M_OK)
		return e;
	return reply_session(r, &s);
}

/* POST /_matrix/client/v3/register */
enum err
cl_register(struct req *r)
{
	struct registration reg = { 0 };
	const char *kind = req_query(r, "kind");
	struct json *given = r->body;
	enum err e;

	if (kind != NULL && strcmp(kind, "guest") == 0)
		return as_guest(r);
	if (kind != NULL && strcmp(kind, "user") != 0)
		return fail(&r->cx, M_INVALID_PARAM, "kind is user or guest");
	if ((e = register_recall(&r->cx, &r->body, &reg.password_hash)) == M_OK)
		e = as_user(r, &reg);
	r->body = given;	/* what was recalled does not outlive a retry */
	return e;
}

/* GET /_matrix/client/v3/register/available */
enum err
cl_check_username_availability(struct req *r)
{
	const char *username = req_query(r, "username");
	enum err e;

	if (username == NULL)
		return fail(&r->cx, M_MISSING_PARAM, "username is missing");
	if ((e = register_available(&r->cx, username)) != M_OK)
		return e;
	json_obj(&r->out, NULL);
	json_bool(&r->out, "available", true);
	json_end(&r->out);
	return M_OK;
}

/* GET /_matrix/client/v1/register/m.login.registration_token/validity */
enum err
cl_registration_token_validity(struct req *r)
{
	const char *token = req_query(r, "token");
	bool valid;
	enum err e;

	if (token == NULL)
		return fail(&r->cx, M_MISSING_PARAM, "token is missing");
	if ((e = register_token_valid(&r->cx, token, &valid)) != M_OK)
		return e;
	json_obj(&r->out, NULL);
	json_bool(&r->out, "valid", valid);
	json_end(&r->out);
	return M_OK;
}
