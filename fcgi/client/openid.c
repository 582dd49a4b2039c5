/* fcgi/client/openid.c - OpenID: proof towards third parties of who somebody is; made here, shown at the federation's userinfo. */
#include <string.h>

#include "core/base/conf.h"
#include "core/user/openid.h"
#include "fcgi/client/client.h"
#include "fcgi/federation/federation.h"

/* POST /_matrix/client/v3/user/{userId}/openid/request_token */
enum err
cl_request_open_id_token(struct req *r)
{
	const char *token;
	int64_t seconds;
	enum err e;

	if (strcmp(req_param(r, "userId"), r->cx.user) != 0)
		return fail(&r->cx, M_FORBIDDEN, "tokens are given for yourself alone");
	if ((e = openid_token_make(&r->cx, &token, &seconds)) != M_OK)
		return e;
	json_obj(&r->out, NULL);
	json_str(&r->out, "access_token", token);
	json_int(&r->out, "expires_in", seconds);
	json_str(&r->out, "matrix_server_name", r->cx.conf->server_name);
	json_str(&r->out, "token_type", "Bearer");
	json_end(&r->out);
	return M_OK;
}

/* GET /_matrix/federation/v1/openid/userinfo: asked by anybody, unsigned. */
enum err
fed_exchange_open_id_token(struct req *r)
{
	const char *token = req_query(r, "access_token"), *user;
	enum err e;

	if (token == NULL || *token == '\0')
		return fail(&r->cx, M_MISSING_TOKEN, "an OpenID token is needed");
	if ((e = openid_token_find(&r->cx, token, &user)) != M_OK)
		return e;
	json_obj(&r->out, NULL);
	json_esc(&r->out, "sub", user);
	json_end(&r->out);
	return M_OK;
}
