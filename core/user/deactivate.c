/* core/user/deactivate.c - the end of an account. */
#include "core/user/deactivate.h"

#include "core/base/log.h"
#include "core/db/db.h"
#include "core/jobs/jobs.h"
#include "core/user/session.h"
#include "core/user/threepid.h"

/* A log-in at this moment holds the row (login_confirm): its session is there to be ended, or it sees the account's end. */
STMT(deactivate_account,
    "UPDATE account SET deactivated_ts = $2, erased = $3 WHERE usr = $1 AND deactivated_ts IS NULL");
STMT(deactivate_profile, "DELETE FROM profile WHERE usr = $1");

enum err
account_deactivate(struct ctx *cx, const struct uia *u, bool erase)
{
	enum err e;

	db_begin(cx, TX_RW);
	db_queue(cx, NULL, DB_NONE, &deactivate_account, P_I64(cx->user_nid), P_I64(cx->now), P_BOOL(erase));
	db_queue(cx, NULL, DB_NONE, &deactivate_profile, P_I64(cx->user_nid));
	threepid_delete_all(cx, cx->user_nid);
	job_add(cx, "deactivate", arena_printf(cx->a, "%lld", (long long)cx->user_nid), NULL, 0);
	if ((e = uia_finish(cx, u, "")) == M_OK && (e = session_close_all(cx, cx->user_nid, 0)) == M_OK)
		e = db_commit(cx);
	if (e != M_OK) {
		db_rollback(cx);
		return e;
	}
	log_info(cx, "account_deactivated", LS("account", cx->user));
	return M_OK;
}
