/*
 * core/jobs/cleanup.c - rows that have served their time.
 *
 * A clean-up is one statement that removes at most BATCH rows, the oldest first,
 * so that no transaction lasts; a full batch comes back at once.
 */
#include "core/jobs/cleanup.h"

#include "core/db/db.h"
#include "core/e2ee/one_time.h"
#include "core/jobs/jobs_impl.h"
#include "core/push/gateway.h"
#include "core/user/seen.h"

#define BATCH "1000"
#define BATCH_ROWS 1000
#define HOUR (3600 * 1000LL)
#define DAY (24 * HOUR)

/* Client-Server API, "Transaction identifiers": a client may repeat a request; nobody does so after a day. */
STMT(cleanup_txn,
    "DELETE FROM txn WHERE ctid = ANY (ARRAY(SELECT ctid FROM txn WHERE ts < $1 ORDER BY ts LIMIT " BATCH "))");
STMT(cleanup_uia,
    "DELETE FROM uia_session WHERE ctid = ANY (ARRAY("
    " SELECT ctid FROM uia_session WHERE created_ts < $1 ORDER BY created_ts LIMIT " BATCH "))");
STMT(cleanup_nonce,
    "DELETE FROM register_nonce WHERE ctid = ANY (ARRAY("
    " SELECT ctid FROM register_nonce WHERE expires_ts < $1 ORDER BY expires_ts LIMIT " BATCH "))");
STMT(cleanup_login_token,
    "DELETE FROM login_token WHERE ctid = ANY (ARRAY("
    " SELECT ctid FROM login_token WHERE expires_ts < $1 ORDER BY expires_ts LIMIT " BATCH "))");
STMT(cleanup_openid_token,
    "DELETE FROM openid_token WHERE ctid = ANY (ARRAY("
    " SELECT ctid FROM openid_token WHERE expires_ts < $1 ORDER BY expires_ts LIMIT " BATCH "))");
/* A day longer than they are good: a lost answer may be asked for again, and a send_attempt is not forgotten at once. */
STMT(cleanup_email,
    "DELETE FROM email_session WHERE ctid = ANY (ARRAY("
    " SELECT ctid FROM email_session WHERE expires_ts < $1 ORDER BY expires_ts LIMIT " BATCH "))");
/* What was redacted is kept for moderators, by the time of the redaction. */
STMT(cleanup_redacted,
    "UPDATE event SET redacted_original = NULL WHERE nid = ANY (ARRAY("
    " SELECT e.nid FROM event e CROSS JOIN LATERAL (SELECT nid, ts FROM event WHERE nid = e.redacted_by OFFSET 0) r"
    " WHERE e.redacted_original IS NOT NULL AND r.ts < $1 ORDER BY r.nid LIMIT " BATCH "))");
/*
 * The row of a room that ended last stays: whoever still shows one of the others typing, from however long ago, is told
 * by it that they all have ended.
 */
STMT(cleanup_typing,
    "DELETE FROM typing WHERE ctid = ANY (ARRAY(SELECT ctid FROM typing t WHERE until < $1 AND (SELECT true FROM typing l"
    " WHERE l.room = t.room AND l.until >= t.until AND (l.until, l.usr) > (t.until, t.usr) LIMIT 1) ORDER BY until LIMIT " BATCH "))");
STMT(cleanup_presence,
    "DELETE FROM presence_device WHERE ctid = ANY (ARRAY("
    " SELECT ctid FROM presence_device WHERE until < $1 ORDER BY until LIMIT " BATCH "))");

STMT(cleanup_connection,
    "DELETE FROM connection WHERE ctid = ANY (ARRAY(SELECT ctid FROM connection WHERE seen_ts < $1 ORDER BY seen_ts LIMIT " BATCH "))");

/* By then every bucket is full, which is the same as none. */
STMT(cleanup_ratelimit,
    "DELETE FROM ratelimit WHERE ctid = ANY (ARRAY(SELECT ctid FROM ratelimit WHERE ts < $1 ORDER BY ts LIMIT " BATCH "))");
/* Who has an older token is told anyway (core/e2ee/one_time.h). */
STMT(cleanup_key_used,
    "DELETE FROM key_used WHERE ctid = ANY (ARRAY(SELECT ctid FROM key_used WHERE ts < $1 ORDER BY ts LIMIT " BATCH "))");

/* What was told of a gateway that could not be reached: it is back, or nobody wants to tell it anything any more. */
STMT(cleanup_gateway,
    "DELETE FROM push_gateway WHERE ctid = ANY (ARRAY(SELECT ctid FROM push_gateway WHERE due_ts < $1 ORDER BY due_ts LIMIT " BATCH "))");

const struct cleanup cleanup_of_txn = { &cleanup_txn, DAY };
const struct cleanup cleanup_of_uia = { &cleanup_uia, DAY };
const struct cleanup cleanup_of_email = { &cleanup_email, DAY };
const struct cleanup cleanup_of_nonce = { &cleanup_nonce, 0 };
const struct cleanup cleanup_of_login_token = { &cleanup_login_token, 0 };
const struct cleanup cleanup_of_openid_token = { &cleanup_openid_token, 0 };
const struct cleanup cleanup_of_redacted = { &cleanup_redacted, 7 * DAY };
const struct cleanup cleanup_of_typing = { &cleanup_typing, 7 * DAY };
const struct cleanup cleanup_of_presence = { &cleanup_presence, DAY };
const struct cleanup cleanup_of_connection = { &cleanup_connection, SEEN_KEPT_MS };
const struct cleanup cleanup_of_ratelimit = { &cleanup_ratelimit, DAY };
const struct cleanup cleanup_of_key_used = { &cleanup_key_used, KEYS_USED_KEPT_MS };
const struct cleanup cleanup_of_gateway = { &cleanup_gateway, PUSH_GATEWAY_KEPT_MS };

enum err
cleanup_run(struct ctx *cx, const struct cleanup *c, struct job *j)
{
	int64_t n;
	enum err e;

	if ((e = db_exec(cx, &n, c->stmt, P_I64(cx->now - c->age))) != M_OK)
		return e;
	if (n >= BATCH_ROWS)
		j->again_ts = cx->now;
	return M_OK;
}
