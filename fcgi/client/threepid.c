/* fcgi/client/threepid.c - Adding Account Administrative Contact Information; asking for mails that validate an address. */
#include <string.h>

#include "core/base/conf.h"
#include "core/mail/smtp.h"
#include "core/user/email_session.h"
#include "core/user/threepid.h"
#include "core/user/uia.h"
#include "fcgi/client/client.h"

#define SUBMIT_PATH "/_matrix/client/unstable/hearth/email/submit_token"

static const struct uia_flow password_flow[] = { { { "m.login.password" } } };

/* ---- mails */

/* Is this done here at all? */
static enum err
offered(struct req *r, enum email_purpose purpose)
{
	const struct conf *conf = r->cx.conf;

	if (purpose == EMAIL_REGISTER && conf->registration == REG_CLOSED)
		return fail(&r->cx, M_FORBIDDEN, "registration is closed on this server");
	if (smtp_enabled(conf) && (purpose != EMAIL_REGISTER || conf->registration_email != WANT_OFF))
		return M_OK;
	return fail(&r->cx, purpose == EMAIL_ADD ? M_THREEPID_MEDIUM_NOT_SUPPORTED : M_THREEPID_DENIED, "this server takes no e-mail addresses");
}

static enum err
request_token(struct req *r, enum email_purpose purpose)
{
	struct email_request rq = { .purpose = purpose, .remote_addr = r->remote_addr };
	const char *sid, *base = r->cx.conf->public_baseurl;
	size_t n = strlen(base);
	enum err e;

	if ((e = offered(r, purpose)) != M_OK || (e = body_need_str(r, "client_secret", &rq.client_secret)) != M_OK ||
	    (e = body_need_str(r, "email", &rq.address)) != M_OK || (e = body_opt_int(r, "send_attempt", -1, &rq.send_attempt)) != M_OK ||
	    (e = body_opt_str(r, "next_link", &rq.next_link)) != M_OK)
		return e;
	if (rq.send_attempt < 0)
		return fail(&r->cx, json_get(r->body, "send_attempt") != NULL ? M_INVALID_PARAM : M_MISSING_PARAM, "send_attempt is a number from 0 on");
	if ((e = email_request(&r->cx, &rq, &sid)) != M_OK)
		return e;
	while (n > 0 && base[n - 1] == '/')
		n--;
	json_obj(&r->out, NULL);
	json_str(&r->out, "sid", sid);
	json_str(&r->out, "submit_url", arena_printf(r->cx.a, "%.*s" SUBMIT_PATH, (int)n, base));
	json_end(&r->out);
	return M_OK;
}

/* POST /_matrix/client/v3/register/email/requestToken */
enum err
cl_request_token_to_register_email(struct req *r)
{
	return request_token(r, EMAIL_REGISTER);
}

/* POST /_matrix/client/v3/account/3pid/email/requestToken */
enum err
cl_request_token_to_3pid_email(struct req *r)
{
	return request_token(r, EMAIL_ADD);
}

/* POST /_matrix/client/v3/account/password/email/requestToken */
enum err
cl_request_token_to_reset_password_email(struct req *r)
{
	return request_token(r, EMAIL_RESET);
}

/* POST /_matrix/client/v3/register/msisdn/requestToken */
enum err
cl_request_token_to_register_msisdn(struct req *r)
{
	return fail(&r->cx, M_THREEPID_DENIED, "this server takes no phone numbers");
}

/* POST /_matrix/client/v3/account/3pid/msisdn/requestToken */
enum err
cl_request_token_to_3pid_msisdn(struct req *r)
{
	return fail(&r->cx, M_THREEPID_MEDIUM_NOT_SUPPORTED, "this server takes no phone numbers");
}

/* POST /_matrix/client/v3/account/password/msisdn/requestToken */
enum err
cl_request_token_to_reset_password_msisdn(struct req *r)
{
	return fail(&r->cx, M_THREEPID_DENIED, "this server takes no phone numbers");
}

/* POST, at submit_url: as the identity service's /validate/email/submitToken, without an access token. */
enum err
hearth_email_submit_token(struct req *r)
{
	const char *sid, *secret, *token;
	struct email_validation v;
	enum err e;

	if ((e = body_need_str(r, "sid", &sid)) != M_OK || (e = body_need_str(r, "client_secret", &secret)) != M_OK ||
	    (e = body_need_str(r, "token", &token)) != M_OK)
		return e;
	if (!email_secret_ok(sid) || !email_secret_ok(secret))
		return fail(&r->cx, M_INVALID_PARAM, "sid and client_secret are 1 to 255 of 0-9 a-z A-Z . = _ -");
	if ((e = email_token_submit(&r->cx, sid, secret, token, &v)) != M_OK)
		return e;
	json_obj(&r->out, NULL);
	json_bool(&r->out, "success", true);
	json_end(&r->out);
	return M_OK;
}

/* ---- one's own addresses */

/* GET /_matrix/client/v3/account/3pid */
enum err
cl_get_account_3pids(struct req *r)
{
	enum err e;

	json_obj(&r->out, NULL);
	if ((e = threepid_list(&r->cx, &r->out)) != M_OK)
		return e;
	json_end(&r->out);
	return M_OK;
}

/* POST /_matrix/client/v3/account/3pid/add */
enum err
cl_add_3pid(struct req *r)
{
	struct uia u = { .endpoint = "add3PID", .flows = password_flow, .nflows = 1, .body = r->body, .usr = r->cx.user_nid };
	const char *sid, *secret;
	enum err e;

	if ((e = body_need_str(r, "sid", &sid)) != M_OK || (e = body_need_str(r, "client_secret", &secret)) != M_OK ||
	    (e = threepid_add(&r->cx, &u, sid, secret)) != M_OK)
		return e;
	return reply_empty(r);
}

/*
 * POST /_matrix/client/v3/account/3pid: deprecated, and asks for no password. So the address may be logged in with, but resets no
 * password (core/user/threepid.h). An id_server is not asked, as it is here that addresses are validated.
 */
enum err
cl_post_3pids(struct req *r)
{
	struct json *creds;
	const char *sid, *secret;
	enum err e;

	if ((e = body_opt_obj(r, "three_pid_creds", &creds)) != M_OK ||
	    (creds == NULL && (e = body_opt_obj(r, "threePidCreds", &creds)) != M_OK))
		return e;
	sid = json_get_str(creds, "sid");
	secret = json_get_str(creds, "client_secret");
	if (sid == NULL || secret == NULL)
		return fail(&r->cx, M_MISSING_PARAM, "three_pid_creds with sid and client_secret is missing");
	if ((e = threepid_add(&r->cx, NULL, sid, secret)) != M_OK)
		return e;
	return reply_empty(r);
}

/* POST /_matrix/client/v3/account/3pid/bind */
enum err
cl_bind_3pid(struct req *r)
{
	static const char *const needed[] = { "client_secret", "id_server", "id_access_token", "sid" };
	const char *value;
	enum err e;

	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
		if ((e = body_need_str(r, needed[i], &value)) != M_OK)
			return e;
	return fail(&r->cx, M_SERVER_NOT_TRUSTED, "this server uses no identity server");
}

static enum err
medium_and_address(struct req *r, const char **medium, const char **address)
{
	enum err e;

	if ((e = body_need_str(r, "medium", medium)) != M_OK || (e = body_need_str(r, "address", address)) != M_OK)
		return e;
	if (strcmp(*medium, "email") != 0 && strcmp(*medium, "msisdn") != 0)
		return fail(&r->cx, M_INVALID_PARAM, "medium is email or msisdn");
	return M_OK;
}

/* Nothing is bound at identity servers from here, so there is none that is known to be told. */
static enum err
reply_no_support(struct req *r)
{
	json_obj(&r->out, NULL);
	json_str(&r->out, "id_server_unbind_result", "no-support");
	json_end(&r->out);
	return M_OK;
}

/* POST /_matrix/client/v3/account/3pid/delete */
enum err
cl_delete_3pid_from_account(struct req *r)
{
	const char *medium, *address;
	enum err e;

	if ((e = medium_and_address(r, &medium, &address)) != M_OK || (e = threepid_delete(&r->cx, medium, address)) != M_OK)
		return e;
	return reply_no_support(r);
}

/* POST /_matrix/client/v3/account/3pid/unbind */
enum err
cl_unbind_3pid_from_account(struct req *r)
{
	const char *medium, *address;
	enum err e = medium_and_address(r, &medium, &address);

	return e == M_OK ? reply_no_support(r) : e;
}
