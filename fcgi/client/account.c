/* fcgi/client/account.c - one's own account: who am I, password, devices, capabilities. */
#include <string.h>

#include "core/event/event.h"
#include "core/base/conf.h"
#include "core/mail/smtp.h"
#include "core/room/names.h"
#include "core/user/account.h"
#include "core/user/deactivate.h"
#include "core/user/device.h"
#include "core/user/login.h"
#include "core/user/login_token.h"
#include "core/user/uia.h"
#include "fcgi/client/client.h"

static const struct uia_flow password_flow[] = { { { "m.login.password" } } };
static const struct uia_flow email_flow[] = { { { EMAIL_STAGE } } };

/* GET /_matrix/client/v3/account/whoami */
enum err
cl_get_token_owner(struct req *r)
{
	json_obj(&r->out, NULL);
	json_esc(&r->out, "user_id", r->cx.user);
	json_esc(&r->out, "device_id", r->cx.device_id);
	json_bool(&r->out, "is_guest", r->cx.guest);
	json_end(&r->out);
	return M_OK;
}

/* POST /_matrix/client/v3/account/password. Without a token it is a reset by e-mail. */
enum err
cl_change_password(struct req *r)
{
	struct uia u = { .endpoint = "changePassword", .flows = password_flow, .nflows = 1, .body = r->body };
	const char *password;
	bool logout_devices;
	enum err e;

	if (r->cx.user == NULL && !smtp_enabled(r->cx.conf))
		return fail(&r->cx, M_MISSING_TOKEN, "an access token is needed");
	if (r->cx.user == NULL) {
		u.flows = email_flow;
		u.email = EMAIL_RESET;
	}
	if (r->cx.guest)
		return fail(&r->cx, M_GUEST_ACCESS_FORBIDDEN, "guests have no password");
	u.usr = r->cx.user_nid;
	if ((e = body_opt_bool(r, "logout_devices", true, &logout_devices)) != M_OK ||
	    (e = body_need_str(r, "new_password", &password)) != M_OK ||
	    (e = account_password_ok(&r->cx, password)) != M_OK || (e = uia_check(&r->cx, &u)) != M_OK ||
	    (e = (r->cx.user != NULL ? password_change : password_reset)(&r->cx, &u, password, logout_devices)) != M_OK)
		return e;
	return reply_empty(r);
}

/*
 * POST /_matrix/client/v3/account/deactivate. Only with a token. No third-party identifier was bound at an identity server
 * from here, so none is left bound.
 */
enum err
cl_deactivate_account(struct req *r)
{
	struct uia u = { .endpoint = "deactivateAccount", .flows = password_flow, .nflows = 1, .body = r->body };
	bool erase;
	enum err e;

	if (r->cx.user == NULL)
		return fail(&r->cx, M_MISSING_TOKEN, "an access token is needed");
	if (r->cx.guest)
		return fail(&r->cx, M_GUEST_ACCESS_FORBIDDEN, "guests have no password");
	u.usr = r->cx.user_nid;
	if ((e = body_opt_bool(r, "erase", false, &erase)) != M_OK || (e = uia_check(&r->cx, &u)) != M_OK ||
	    (e = account_deactivate(&r->cx, &u, erase)) != M_OK)
		return e;
	json_obj(&r->out, NULL);
	json_str(&r->out, "id_server_unbind_result", "success");
	json_end(&r->out);
	return M_OK;
}

/* GET /_matrix/client/v3/devices */
enum err
cl_get_devices(struct req *r)
{
	enum err e;

	json_obj(&r->out, NULL);
	if ((e = device_list(&r->cx, &r->out)) != M_OK)
		return e;
	json_end(&r->out);
	return M_OK;
}

/* GET /_matrix/client/v3/devices/{deviceId} */
enum err
cl_get_device(struct req *r)
{
	enum err e;

	json_obj(&r->out, NULL);
	if ((e = device_show(&r->cx, req_param(r, "deviceId"), &r->out)) != M_OK)
		return e;
	json_end(&r->out);
	return M_OK;
}

/* PUT /_matrix/client/v3/devices/{deviceId} */
enum err
cl_update_device(struct req *r)
{
	const char *name;
	enum err e;

	if ((e = body_opt_esc(r, "display_name", &name)) != M_OK)
		return e;
	if (name != NULL && !name_fits(name))
		return fail(&r->cx, M_INVALID_PARAM, "the display name of a device is longer than 255 bytes");
	if ((e = device_rename(&r->cx, req_param(r, "deviceId"), name)) != M_OK)
		return e;
	return reply_empty(r);
}

/* The UIA of both ways to delete: a session is good for the devices that it was asked for. */
static enum err
delete_authorized(struct req *r, const char *endpoint, const char *const *ids, size_t n)
{
	struct uia u = { .endpoint = endpoint, .flows = password_flow, .nflows = 1, .body = r->body, .usr = r->cx.user_nid };
	enum err e;

	if ((e = uia_check(&r->cx, &u)) != M_OK)
		return e;
	db_begin(&r->cx, TX_RW);
	if ((e = uia_finish(&r->cx, &u, "")) == M_OK && (e = device_delete(&r->cx, ids, n)) == M_OK)
		e = db_commit(&r->cx);
	if (e != M_OK) {
		db_rollback(&r->cx);
		return e;
	}
	return reply_empty(r);
}

/* DELETE /_matrix/client/v3/devices/{deviceId} */
enum err
cl_delete_device(struct req *r)
{
	const char *id = req_param(r, "deviceId");

	return delete_authorized(r, arena_printf(r->cx.a, "deleteDevice %s", id), &id, 1);
}

/* POST /_matrix/client/v3/delete_devices */
enum err
cl_delete_devices(struct req *r)
{
	struct json *devices;
	const char **ids;
	enum err e;

	if ((e = body_opt_arr(r, "devices", &devices)) != M_OK)
		return e;
	if (devices == NULL)
		return fail(&r->cx, M_MISSING_PARAM, "devices is missing");
	ids = arena_calloc(r->cx.a, devices->u.arr.n, sizeof *ids);
	for (size_t i = 0; i < devices->u.arr.n; i++)
		if (!json_is(devices->u.arr.v[i], JSON_STR))
			return fail(&r->cx, M_BAD_JSON, "devices is a list of device ids");
		else
			ids[i] = json_esc_of(r->cx.a, devices->u.arr.v[i]);
	return delete_authorized(r, "deleteDevices", ids, devices->u.arr.n);
}

static void
capability(struct json_out *o, const char *name, bool enabled)
{
	json_obj(o, name);
	json_bool(o, "enabled", enabled);
	json_end(o);
}

/* GET /_matrix/client/v3/capabilities */
enum err
cl_get_capabilities(struct req *r)
{
	struct json_out *o = &r->out;
	const struct room_version *const *v;
	size_t n;

	json_obj(o, NULL);
	json_obj(o, "capabilities");
	capability(o, "m.3pid_changes", smtp_enabled(r->cx.conf));
	if (r->cx.admin) {
		json_obj(o, "m.account_moderation");
		json_bool(o, "lock", true);
		json_bool(o, "suspend", true);
		json_end(o);
	}
	capability(o, "m.change_password", true);
	capability(o, "m.get_login_token", login_token_offered(&r->cx));
	capability(o, "m.profile_fields", !r->cx.suspended);
	json_obj(o, "m.room_versions");
	json_str(o, "default", r->cx.conf->default_room_version);
	json_obj(o, "available");
	v = room_versions(&n);
	for (size_t i = 0; i < n; i++)
		json_str(o, v[i]->id, "stable");
	json_end(o);
	json_end(o);
	capability(o, "m.set_avatar_url", !r->cx.suspended);
	capability(o, "m.set_displayname", !r->cx.suspended);
	json_end(o);
	json_end(o);
	return M_OK;
}
