/* core/user/registration_token.c - tokens that let people register. */
#include "core/user/registration_token.h"

#include "core/db/db.h"

#define VALID "(expires_ts IS NULL OR expires_ts > $2) AND (uses_allowed IS NULL OR used < uses_allowed)"

STMT(registration_token_select, "SELECT 1 FROM registration_token WHERE token = $1 AND " VALID);
STMT(registration_token_prove,
    "WITH t AS (SELECT token FROM registration_token WHERE token = $1 AND " VALID "),"
    " s AS (UPDATE uia_session SET token = $1 WHERE id = $3 AND completed = '{}' AND EXISTS (SELECT FROM t))"
    " SELECT 1 FROM t");
STMT(registration_token_count,
    "UPDATE registration_token SET used = used + 1"
    " WHERE token = coalesce((SELECT token FROM uia_session WHERE id = $3), $1) AND " VALID);

enum err
registration_token_valid(struct ctx *cx, const char *token, bool *valid)
{
	struct rows r;
	enum err e = db_maybe(cx, &r, &registration_token_select, P_TEXT(token), P_I64(cx->now));

	*valid = e == M_OK && r.n > 0;
	return e;
}

enum err
registration_token_stage(struct ctx *cx, const struct uia *u, const struct json *auth)
{
	const char *token = json_get_esc(cx->a, auth, "token");
	struct rows r;
	enum err e;

	if (token == NULL)
		return fail(cx, M_MISSING_PARAM, "token is missing");
	if ((e = db_maybe(cx, &r, &registration_token_prove, P_TEXT(token), P_I64(cx->now),
	    P_TEXT(json_get_esc(cx->a, auth, "session")))) != M_OK)
		return e;
	return r.n > 0 ? M_OK : fail(cx, M_FORBIDDEN, "this registration token is not valid");
}

enum err
registration_token_use(struct ctx *cx, const struct uia *u)
{
	const char *token = json_get_esc(cx->a, json_get(u->body, "auth"), "token");
	int64_t n;
	enum err e = db_exec(cx, &n, &registration_token_count, P_TEXT(token), P_I64(cx->now), P_TEXT(u->session));

	if (e != M_OK)
		return e;
	return n > 0 ? M_OK : fail(cx, M_FORBIDDEN, "this registration token is not valid any more");
}
