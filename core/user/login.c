/* core/user/login.c - logging in by password or token, changing the password. */
#include "core/user/login.h"

#include <string.h>

#include "core/base/log.h"
#include "core/crypto/crypto.h"
#include "core/db/db.h"
#include "core/user/hash_gate.h"
#include "core/user/login_token.h"

/*
 * The hash was checked outside of any transaction; by now an administrator may have reset the password, locked or
 * deactivated the account. These look again, holding the row: whoever comes later ends this session too.
 */
STMT(login_confirm,
    "SELECT usr FROM account WHERE usr = $1 AND password_hash = $2 AND NOT locked AND deactivated_ts IS NULL FOR SHARE");
STMT(login_rehash,
    "UPDATE account SET password_hash = $3"
    " WHERE usr = $1 AND password_hash = $2 AND NOT locked AND deactivated_ts IS NULL RETURNING usr");

STMT(login_reset_whose,
    "SELECT t.usr FROM threepid t JOIN account a ON a.usr = t.usr"
    " WHERE t.medium = 'email' AND t.address = $1 AND t.can_reset AND a.deactivated_ts IS NULL FOR UPDATE");

static enum err
login_commit(struct ctx *cx, const struct account *acc, const char *rehashed, const struct login *l, struct session *out)
{
	struct rows r;
	enum err e;

	db_begin(cx, TX_RW);
	if (rehashed)
		db_queue(cx, &r, DB_MAYBE, &login_rehash, P_I64(acc->nid), P_TEXT(acc->password_hash), P_TEXT(rehashed));
	else
		db_queue(cx, &r, DB_MAYBE, &login_confirm, P_I64(acc->nid), P_TEXT(acc->password_hash));
	if ((e = session_open(cx, out, &l->device)) == M_OK && r.n == 0)
		e = E_RETRY;
	if (e == M_OK)
		e = db_commit(cx);
	if (e != M_OK)
		db_rollback(cx);
	return e;
}

enum err
login_password(struct ctx *cx, const struct login *l, struct session *out)
{
	const char *rehashed = NULL;
	struct account acc;
	enum err e;

	if ((e = credentials_check(cx, &l->who, &acc)) != M_OK) {
		if (e == M_FORBIDDEN)
			log_info(cx, "login_refused");
		return e;
	}
	if (acc.deactivated)
		return fail(cx, M_USER_DEACTIVATED, "this account has been deactivated");
	if (acc.locked) {
		cx->err_extra = "\"soft_logout\":true";
		return fail(cx, M_USER_LOCKED, "this account is locked");
	}
	if (password_wants_rehash(acc.password_hash))
		rehashed = gated_password_hash(cx, l->who.password);
	*out = (struct session){ .user = acc.user, .user_nid = acc.nid };
	if ((e = login_commit(cx, &acc, rehashed, l, out)) == M_OK)
		log_info(cx, "login_ok", LS("account", out->user), LS("device", out->device_id));
	return e;
}

/* A refusal is committed too: what was shown once is no secret any more. */
enum err
login_by_token(struct ctx *cx, const char *token, const struct session_wish *device, struct session *out)
{
	enum err e, refused;

	*out = (struct session){ 0 };
	db_begin(cx, TX_RW);
	refused = e = login_token_take(cx, token, &out->user_nid, &out->user);
	if (refused == M_FORBIDDEN || refused == M_USER_LOCKED || refused == M_USER_DEACTIVATED)
		e = M_OK;
	else if (e == M_OK)
		e = session_open(cx, out, device);
	if (e == M_OK)
		e = db_commit(cx);
	if (e != M_OK) {
		db_rollback(cx);
		return e;
	}
	if (refused == M_OK)
		log_info(cx, "login_ok", LS("account", out->user), LS("device", out->device_id));
	return refused;
}

enum err
password_change(struct ctx *cx, const struct uia *u, const char *password, bool logout_devices)
{
	const char *hash = gated_password_hash(cx, password);
	enum err e;

	db_begin(cx, TX_RW);
	if ((e = uia_finish(cx, u, "")) == M_OK &&
	    (e = account_set_password(cx, cx->user_nid, hash)) == M_OK && logout_devices)
		e = session_close_all(cx, cx->user_nid, cx->device);
	if (e == M_OK)
		e = db_commit(cx);
	if (e != M_OK)
		db_rollback(cx);
	return e;
}

/* Inside the transaction of a reset. */
static enum err
reset(struct ctx *cx, const struct uia *u, const char *hash, bool logout_devices)
{
	struct email_proof proof;
	struct rows r;
	int64_t usr;
	enum err e;

	if ((e = uia_finish(cx, u, "")) != M_OK || (e = email_session_use(cx, EMAIL_RESET, u->proof.email_sid, 0, &proof)) != M_OK)
		return e;
	if (proof.again)
		return fail(cx, M_THREEPID_AUTH_FAILED, "this was used already: ask for another mail");
	if ((e = db_maybe(cx, &r, &login_reset_whose, P_TEXT(proof.address))) != M_OK)
		return e;
	if (r.n == 0)
		return fail(cx, M_THREEPID_NOT_FOUND, "no account has this address");
	usr = db_i64(&r, 0);
	if ((e = account_set_password(cx, usr, hash)) != M_OK)
		return e;
	log_info(cx, "password_reset", LI("account", usr));
	return logout_devices ? session_close_all(cx, usr, 0) : M_OK;
}

enum err
password_reset(struct ctx *cx, const struct uia *u, const char *password, bool logout_devices)
{
	const char *hash = gated_password_hash(cx, password);
	enum err e;

	db_begin(cx, TX_RW);
	if ((e = reset(cx, u, hash, logout_devices)) == M_OK)
		e = db_commit(cx);
	if (e != M_OK)
		db_rollback(cx);
	return e;
}
