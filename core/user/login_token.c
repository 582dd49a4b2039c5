/* core/user/login_token.c - see login_token.h. */
#include "core/user/login_token.h"

#include <string.h>

#include "core/base/conf.h"
#include "core/crypto/crypto.h"
#include "core/db/db.h"

/* The device may be logged out at this moment, and with it all tokens of the account. */
STMT(login_token_put,
    "INSERT INTO login_token (hash, usr, expires_ts) SELECT $1, usr, $3 FROM device WHERE nid = $2 FOR KEY SHARE");
STMT(login_token_delete, "DELETE FROM login_token WHERE hash = $1 RETURNING usr, expires_ts > $2");
/* The account before the token, as whoever ends all sessions has it: else two might wait for each other. */
STMT(login_token_account,
    "SELECT n.body, a.locked, a.deactivated_ts IS NOT NULL FROM account a JOIN name n ON n.nid = a.usr"
    " WHERE a.usr = (SELECT usr FROM login_token WHERE hash = $1) FOR SHARE OF a");

bool
login_token_offered(const struct ctx *cx)
{
	return cx->conf->login_token_lifetime_s > 0;
}

enum err
login_token_make(struct ctx *cx, const struct uia *u, const char **token, int64_t *ms)
{
	unsigned char hash[SHA256_LEN];
	int64_t n;
	enum err e;

	*token = random_token(cx->a, 32);
	*ms = cx->conf->login_token_lifetime_s * 1000;
	sha256(*token, strlen(*token), hash);
	db_begin(cx, TX_RW);
	if ((e = uia_finish(cx, u, "")) == M_OK &&
	    (e = db_exec(cx, &n, &login_token_put, P_BYTES(hash, sizeof hash), P_I64(cx->device), P_I64(cx->now + *ms))) == M_OK && n == 0)
		e = fail(cx, M_UNKNOWN_TOKEN, "unknown access token");
	if (e == M_OK)
		e = db_commit(cx);
	if (e != M_OK)
		db_rollback(cx);
	return e;
}

enum err
login_token_take(struct ctx *cx, const char *token, int64_t *usr, const char **user)
{
	unsigned char hash[SHA256_LEN];
	struct rows r, acc;
	enum err e;

	sha256(token, strlen(token), hash);
	db_queue(cx, &acc, DB_MAYBE, &login_token_account, P_BYTES(hash, sizeof hash));
	db_queue(cx, &r, DB_MAYBE, &login_token_delete, P_BYTES(hash, sizeof hash), P_I64(cx->now));
	if ((e = db_run(cx)) != M_OK)
		return e;
	if (acc.n == 0 || r.n == 0 || !db_bool(&r, 1))
		return fail(cx, M_FORBIDDEN, "this login token is unknown, has been used or is too old");
	*usr = db_i64(&r, 0);
	*user = db_text(&acc, 0);
	if (db_bool(&acc, 2))
		return fail(cx, M_USER_DEACTIVATED, "this account has been deactivated");
	if (db_bool(&acc, 1)) {
		cx->err_extra = "\"soft_logout\":true";
		return fail(cx, M_USER_LOCKED, "this account is locked");
	}
	return M_OK;
}
