/* core/user/registration_token.c - tokens that let people register. */
#include "core/user/registration_token.h"

#include "core/db/db.h"

#define VALID "(expires_ts IS NULL OR expires_ts > $2) AND (uses_allowed IS NULL OR used < uses_allowed)"

STMT(registration_token_select, "SELECT 1 FROM registration_token WHERE token = $1 AND " VALID);
STMT(registration_token_count, "UPDATE registration_token SET used = used + 1 WHERE token = $1 AND " VALID);

enum err
registration_token_valid(struct ctx *cx, const char *token, bool *valid)
{
	struct rows r;
	enum err e = db_maybe(cx, &r, &registration_token_select, P_TEXT(token), P_I64(cx->now));

	*valid = e == M_OK && r.n > 0;
	return e;
}

enum err
registration_token_stage(struct ctx *cx, struct uia *u, const struct json *auth)
{
	const char *token = json_get_esc(cx->a, auth, "token");
	bool valid;
	enum err e;

	if (token == NULL)
		return fail(cx, M_MISSING_PARAM, "token is missing");
	if ((e = registration_token_valid(cx, token, &valid)) != M_OK)
		return e;
	if (!valid)
		return fail(cx, M_FORBIDDEN, "this registration token is not valid");
	u->proof.token = token;
	return M_OK;
}

enum err
registration_token_use(struct ctx *cx, const struct uia *u)
{
	int64_t n;
	enum err e = db_exec(cx, &n, &registration_token_count, P_TEXT(u->proof.token), P_I64(cx->now));

	if (e != M_OK)
		return e;
	return n > 0 ? M_OK : fail(cx, M_FORBIDDEN, "this registration token is not valid any more");
}
