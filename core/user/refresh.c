/* core/user/refresh.c - see refresh.h. */
#include "core/user/refresh.h"

#include <string.h>

#include "core/base/conf.h"
#include "core/base/log.h"
#include "core/crypto/crypto.h"
#include "core/db/db.h"

#define GRACE_MS (60 * 1000)
#define PENDING_MAX "16"		/* answers that may be lost one after the other */
#define KEPT_MS (3600 * 1000LL)	/* expired access tokens, until the device gets another one */

STMT(refresh_lock_device, "SELECT 1 FROM device WHERE nid = $1 FOR NO KEY UPDATE");
STMT(refresh_lock_family,
    "SELECT 1 FROM device WHERE nid = (SELECT device FROM refresh_token WHERE family = $1 LIMIT 1) FOR NO KEY UPDATE");
/* After the lock, in a statement of its own: what another one did meanwhile is seen. */
STMT(refresh_state,
    "SELECT r.device, d.device_id, d.usr, n.body, a.locked, bool_or(r.revoked), bool_or(r.hash = $2 AND NOT r.revoked),"
    " max(r.since_ts) FILTER (WHERE NOT r.pending)"
    " FROM refresh_token r JOIN device d ON d.nid = r.device JOIN account a ON a.usr = d.usr JOIN name n ON n.nid = a.usr"
    " WHERE r.family = $1 AND a.deactivated_ts IS NULL GROUP BY r.device, d.device_id, d.usr, n.body, a.locked");
/* A pending pair is put in force. $2: its refresh token. Nothing happens when it is no longer, or not, pending. */
STMT(refresh_settle,
    "WITH me AS (UPDATE refresh_token SET pending = false, since_ts = $3 WHERE hash = $2 AND pending RETURNING device, hash),"
    " t AS (UPDATE access_token t SET expires_ts = least(t.expires_ts, $3) FROM me"
    "  WHERE t.device = me.device AND t.pair IS DISTINCT FROM me.hash AND (t.expires_ts IS NULL OR t.expires_ts > $3)),"
    " r AS (DELETE FROM refresh_token r USING me WHERE r.device = me.device AND r.hash <> me.hash)"
    " SELECT 1 FROM me WHERE me.device = $1");
STMT(refresh_pair_of, "SELECT pair FROM access_token WHERE hash = $1");
STMT(refresh_put, "INSERT INTO refresh_token (hash, family, device, pending, since_ts) VALUES ($1, $2, $3, true, $4)");
STMT(refresh_token_put,
    "INSERT INTO access_token (hash, device, usr, created_ts, expires_ts, pair) VALUES ($1, $2, $3, $4, $5, $6)");
/* What is given up expires, so that its late use is a soft logout too. */
STMT(refresh_trim,
    "WITH r AS (DELETE FROM refresh_token WHERE hash IN (SELECT hash FROM refresh_token WHERE device = $1 AND pending"
    "  ORDER BY since_ts DESC OFFSET " PENDING_MAX ") RETURNING hash),"
    " t AS (DELETE FROM access_token WHERE device = $1 AND expires_ts < $2)"
    " UPDATE access_token t SET expires_ts = least(t.expires_ts, $3) FROM r WHERE t.device = $1 AND t.pair = r.hash");
STMT(refresh_revoke,
    "WITH r AS (UPDATE refresh_token SET revoked = true WHERE device = $1)"
    " UPDATE access_token SET expires_ts = least(expires_ts, $2) WHERE device = $1");

struct family {
	int64_t device, usr, in_force;	/* in_force: since when the present pair is */
	const char *device_id, *user;
	bool locked, revoked, live;	/* live: the token that was shown is good */
};

static void
family_hash(const char *token, unsigned char out[SHA256_LEN])
{
	sha256(token, strcspn(token, "."), out);
}

void
refresh_make(struct ctx *cx, const char *family, struct refresh_pair *out)
{
	const char *first = family != NULL ? arena_strndup(cx->a, family, strcspn(family, ".")) : random_token(cx->a, 18);

	out->token = arena_printf(cx->a, "%s.%s", first, random_token(cx->a, 24));
	sha256(out->token, strlen(out->token), out->hash);
	family_hash(out->token, out->family);
}

int64_t
access_token_lifetime(const struct ctx *cx, bool refreshable)
{
	return (refreshable ? cx->conf->access_token_lifetime_s : cx->conf->session_lifetime_s) * 1000;
}

static enum err
soft_logout(struct ctx *cx)
{
	cx->err_extra = "\"soft_logout\":true";
	return fail(cx, M_UNKNOWN_TOKEN, "this refresh token has been used up");
}

/* Locks the device; f->device is 0 when the family is unknown. */
static enum err
family_open(struct ctx *cx, const unsigned char *family, const unsigned char *hash, struct family *f)
{
	struct rows lock, r;
	enum err e;

	*f = (struct family){ 0 };
	db_queue(cx, &lock, DB_MAYBE, &refresh_lock_family, P_BYTES(family, SHA256_LEN));
	db_queue(cx, &r, DB_MAYBE, &refresh_state, P_BYTES(family, SHA256_LEN), P_BYTES(hash, SHA256_LEN));
	if ((e = db_run(cx)) != M_OK || r.n == 0)
		return e;
	*f = (struct family){ .device = db_i64(&r, 0), .device_id = db_text(&r, 1), .usr = db_i64(&r, 2), .user = db_text(&r, 3),
		.locked = db_bool(&r, 4), .revoked = db_bool(&r, 5), .live = db_bool(&r, 6), .in_force = db_i64(&r, 7) };
	return M_OK;
}

/* A used-up token: whose family is revoked by it, must be committed although the request is refused. */
static enum err
replayed(struct ctx *cx, const struct family *f)
{
	enum err e;

	if (f->revoked || cx->now - f->in_force <= GRACE_MS)
		return soft_logout(cx);
	db_queue(cx, NULL, DB_NONE, &refresh_revoke, P_I64(f->device), P_I64(cx->now));
	touch_user(cx, f->usr);		/* a sync may be waiting with what was stolen */
	if ((e = db_commit(cx)) != M_OK)
		return e;
	log_warn(cx, "refresh_token_replayed", LS("account", f->user), LS("device", f->device_id));
	return soft_logout(cx);
}

static enum err
exchange(struct ctx *cx, const struct family *f, const char *token, const unsigned char *hash, struct session *out)
{
	unsigned char access[SHA256_LEN];
	struct refresh_pair p;
	int64_t ms = access_token_lifetime(cx, true);

	refresh_make(cx, token, &p);
	*out = (struct session){ .user = f->user, .user_nid = f->usr, .device = f->device, .device_id = f->device_id,
		.token = random_token(cx->a, 32), .refresh = p.token, .expires_in = ms };
	sha256(out->token, strlen(out->token), access);
	db_queue(cx, NULL, DB_NONE, &refresh_settle, P_I64(f->device), P_BYTES(hash, SHA256_LEN), P_I64(cx->now));
	db_queue(cx, NULL, DB_NONE, &refresh_put, P_BYTES(p.hash, SHA256_LEN), P_BYTES(p.family, SHA256_LEN), P_I64(f->device),
	    P_I64(cx->now));
	db_queue(cx, NULL, DB_NONE, &refresh_token_put, P_BYTES(access, SHA256_LEN), P_I64(f->device), P_I64(f->usr), P_I64(cx->now),
	    P_I64_OR_NULL(ms ? cx->now + ms : 0, 0), P_BYTES(p.hash, SHA256_LEN));
	db_queue(cx, NULL, DB_NONE, &refresh_trim, P_I64(f->device), P_I64(cx->now - KEPT_MS), P_I64(cx->now));
	return db_commit(cx);
}

enum err
session_refresh(struct ctx *cx, const char *token, struct session *out)
{
	unsigned char hash[SHA256_LEN], family[SHA256_LEN];
	struct family f;
	enum err e;

	sha256(token, strlen(token), hash);
	family_hash(token, family);
	db_begin(cx, TX_RW);
	if ((e = family_open(cx, family, hash, &f)) == M_OK) {
		if (f.device == 0) {
			e = fail(cx, M_UNKNOWN_TOKEN, "unknown refresh token");
		} else if (f.locked) {
			cx->err_extra = "\"soft_logout\":true";
			e = fail(cx, M_USER_LOCKED, "this account is locked");
		} else {
			e = f.live ? exchange(cx, &f, token, hash, out) : replayed(cx, &f);
		}
	}
	if (e != M_OK)
		db_rollback(cx);
	return e;
}

enum err
session_first_use(struct ctx *cx, const char *token)
{
	unsigned char hash[SHA256_LEN];
	const void *pair = NULL;
	struct rows lock, p, r;
	size_t n;
	enum err e;

	sha256(token, strlen(token), hash);
	db_begin(cx, TX_RW);
	db_queue(cx, &lock, DB_MAYBE, &refresh_lock_device, P_I64(cx->device));
	db_queue(cx, &p, DB_MAYBE, &refresh_pair_of, P_BYTES(hash, sizeof hash));
	if ((e = db_run(cx)) == M_OK && (p.n == 0 || (pair = db_bytes(&p, 0, &n)) == NULL))
		e = E_RETRY;
	if (e == M_OK)
		e = db_maybe(cx, &r, &refresh_settle, P_I64(cx->device), P_BYTES(pair, n), P_I64(cx->now));
	if (e == M_OK && r.n == 0)
		e = E_RETRY;
	if (e == M_OK)
		e = db_commit(cx);
	if (e != M_OK)
		db_rollback(cx);
	return e;
}
