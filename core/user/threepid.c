/* core/user/threepid.c - e-mail addresses that stand for an account; see threepid.h. */
#include "core/user/threepid.h"

#include <string.h>

#include "core/base/email.h"
#include "core/base/log.h"
#include "core/db/db.h"
#include "core/user/email_session.h"

STMT(threepid_select,
    "SELECT medium, address, validated_ts, added_ts FROM threepid WHERE usr = $1 ORDER BY added_ts, medium, address");
/* No row comes back when it is another account's. */
STMT(threepid_upsert,
    "INSERT INTO threepid AS t (medium, address, usr, validated_ts, added_ts, can_reset)"
    " SELECT 'email', $2, $1, $3, $4, $5 FROM account WHERE usr = $1 AND deactivated_ts IS NULL FOR SHARE"
    " ON CONFLICT (medium, address) DO UPDATE SET validated_ts = excluded.validated_ts, can_reset = t.can_reset OR excluded.can_reset"
    " WHERE t.usr = excluded.usr RETURNING 1");
STMT(threepid_remove, "DELETE FROM threepid WHERE usr = $1 AND medium = $2 AND address = $3");
STMT(threepid_remove_all, "DELETE FROM threepid WHERE usr = $1");

enum err
threepid_list(struct ctx *cx, struct json_out *o)
{
	struct rows r;
	enum err e;

	if ((e = db_query(cx, &r, &threepid_select, P_I64(cx->user_nid))) != M_OK)
		return e;
	json_arr(o, "threepids");
	while (db_next(&r)) {
		json_obj(o, NULL);
		json_str(o, "medium", db_text(&r, 0));
		json_str(o, "address", db_text(&r, 1));
		json_int(o, "validated_at", db_i64(&r, 2));
		json_int(o, "added_at", db_i64(&r, 3));
		json_end(o);
	}
	json_end(o);
	return M_OK;
}

enum err
threepid_put(struct ctx *cx, int64_t usr, const char *address, int64_t validated_ts, bool can_reset)
{
	struct rows r;
	enum err e;

	if ((e = db_maybe(cx, &r, &threepid_upsert, P_I64(usr), P_TEXT(address), P_I64(validated_ts), P_I64(cx->now),
	    P_BOOL(can_reset))) != M_OK)
		return e;
	return r.n > 0 ? M_OK : fail(cx, M_THREEPID_IN_USE, "another account has this address");
}

/* The transaction of threepid_add(). */
static enum err
add(struct ctx *cx, const struct uia *u, const char *sid)
{
	struct email_proof proof;
	enum err e;

	db_begin(cx, TX_RW);
	if ((u == NULL || (e = uia_finish(cx, u, "")) == M_OK) &&
	    (e = email_session_use(cx, EMAIL_ADD, sid, cx->user_nid, &proof)) == M_OK &&
	    (e = threepid_put(cx, cx->user_nid, proof.address, proof.validated_ts, u != NULL)) == M_OK)
		e = db_commit(cx);
	if (e != M_OK)
		db_rollback(cx);
	return e;
}

enum err
threepid_add(struct ctx *cx, struct uia *u, const char *sid, const char *client_secret)
{
	bool validated;
	enum err e;

	if ((e = email_creds_check(cx, EMAIL_ADD, sid, client_secret, &validated)) != M_OK)
		return e;
	if (!validated)
		return fail(cx, M_THREEPID_AUTH_FAILED, "the address is not validated: open the link in the mail");
	if ((u != NULL && (e = uia_check(cx, u)) != M_OK) || (e = add(cx, u, sid)) != M_OK)
		return e;
	log_info(cx, "threepid_added", LS("account", cx->user));
	return M_OK;
}

enum err
threepid_delete(struct ctx *cx, const char *medium, const char *address)
{
	const char *canonical = strcmp(medium, "email") == 0 ? email_canonical(cx->a, address) : NULL;

	return canonical == NULL ? M_OK :
	    db_exec(cx, NULL, &threepid_remove, P_I64(cx->user_nid), P_TEXT(medium), P_TEXT(canonical));
}

void
threepid_delete_all(struct ctx *cx, int64_t usr)
{
	db_queue(cx, NULL, DB_NONE, &threepid_remove_all, P_I64(usr));
}
