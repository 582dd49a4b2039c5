/* core/user/login_token.c - see login_token.h. */
#include "core/user/login_token.h"

#include <string.h>

#include "core/base/conf.h"
#include "core/crypto/crypto.h"
#include "core/db/db.h"

STMT(login_token_put, "INSERT INTO login_token (hash, usr, expires_ts) VALUES ($1, $2, $3)");
STMT(login_token_delete, "DELETE FROM login_token WHERE hash = $1 RETURNING usr, expires_ts > $2");
STMT(login_token_account,
    "SELECT n.body, a.locked, a.deactivated_ts IS NOT NULL FROM account a JOIN name n ON n.nid = a.usr WHERE a.usr = $1 FOR SHARE OF a");

bool
login_token_offered(const struct ctx *cx)
{
	return cx->conf->login_token_lifetime_s > 0;
}

enum err
login_token_make(struct ctx *cx, const struct uia *u, const char **token, int64_t *ms)
{
	unsigned char hash[SHA256_LEN];
	enum err e;

	*token = random_token(cx->a, 32);
	*ms = cx->conf->login_token_lifetime_s * 1000;
	sha256(*token, strlen(*token), hash);
	db_begin(cx, TX_RW);
	db_queue(cx, NULL, DB_NONE, &login_token_put, P_BYTES(hash, sizeof hash), P_I64(cx->user_nid), P_I64(cx->now + *ms));
	if ((e = uia_finish(cx, u, "")) == M_OK)
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
	if ((e = db_maybe(cx, &r, &login_token_delete, P_BYTES(hash, sizeof hash), P_I64(cx->now))) != M_OK)
		return e;
	if (r.n == 0 || !db_bool(&r, 1))
		return fail(cx, M_FORBIDDEN, "this login token is unknown, has been used or is too old");
	*usr = db_i64(&r, 0);
	if ((e = db_row(cx, &acc, &login_token_account, P_I64(*usr))) != M_OK)
		return e;
	*user = db_text(&acc, 0);
	if (db_bool(&acc, 2))
		return fail(cx, M_USER_DEACTIVATED, "this account has been deactivated");
	if (db_bool(&acc, 1)) {
		cx->err_extra = "\"soft_logout\":true";
		return fail(cx, M_USER_LOCKED, "this account is locked");
	}
	return M_OK;
}
