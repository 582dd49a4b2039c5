/*
 * fcgi/client/admin_register.c - registration by shared secret, as Synapse has it: tools and test suites make users this way.
 *
 * GET gives a nonce; POST brings it back with the account and a mac over both
 * (core/user/register.h), which proves knowledge of the setting registration_shared_secret.
 */
#include <string.h>

#include "core/user/register.h"
#include "fcgi/client/client.h"
#include "fcgi/client/login.h"

/* GET /_synapse/admin/v1/register */
enum err
synapse_register_nonce(struct req *r)
{
	const char *nonce;
	enum err e;

	if ((e = register_nonce_new(&r->cx, &nonce)) != M_OK)
		return e;
	json_obj(&r->out, NULL);
	json_str(&r->out, "nonce", nonce);
	json_end(&r->out);
	return M_OK;
}

/* POST /_synapse/admin/v1/register */
enum err
synapse_register(struct req *r)
{
	struct registration reg = { .privileged = true };
	struct shared_secret secret;
	struct session s;
	enum err e;

	if ((e = body_need_str(r, "nonce", &secret.nonce)) != M_OK || (e = body_need_str(r, "mac", &secret.mac)) != M_OK ||
	    (e = body_opt_str(r, "user_type", &secret.user_type)) != M_OK ||
	    (e = body_need_str(r, "username", &reg.username)) != M_OK ||
	    (e = body_need_str(r, "password", &reg.password)) != M_OK ||
	    (e = body_opt_str(r, "displayname", &reg.displayname)) != M_OK ||
	    (e = body_opt_bool(r, "admin", false, &reg.admin)) != M_OK ||
	    (e = body_opt_bool(r, "inhibit_login", false, &reg.inhibit_login)) != M_OK ||
	    (e = register_by_secret(&r->cx, &reg, &secret, &s)) != M_OK)
		return e;
	return reply_session(r, &s);
}
