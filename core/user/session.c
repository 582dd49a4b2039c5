/* core/user/session.c - devices and access tokens. */
#include "core/user/session.h"

#include <string.h>

#include "core/crypto/crypto.h"
#include "core/db/db.h"

STMT(session_select,
    "SELECT n.body, t.usr, t.device, d.device_id, a.kind = 'guest', a.admin, a.locked,"
    " coalesce(t.expires_ts <= $2, false), a.kind = 'appservice'"
    " FROM access_token t JOIN device d ON d.nid = t.device JOIN account a ON a.usr = t.usr JOIN name n ON n.nid = t.usr"
    " WHERE t.hash = $1 AND a.deactivated_ts IS NULL");

STMT(session_device_put,
    "INSERT INTO device (usr, device_id, display_name, created_ts, last_seen_ts) VALUES ($1, $2, $3, $4, $4)"
    " ON CONFLICT (usr, device_id) DO UPDATE SET last_seen_ts = excluded.last_seen_ts RETURNING nid");
STMT(session_token_drop,
    "DELETE FROM access_token WHERE device = (SELECT nid FROM device WHERE usr = $1 AND device_id = $2)");
STMT(session_token_put,
    "INSERT INTO access_token (hash, device, usr, created_ts)"
    " SELECT $3, nid, $1, $4 FROM device WHERE usr = $1 AND device_id = $2");

/* Tokens, transaction ids and what else hangs on a device go with it (ON DELETE CASCADE). */
STMT(session_device_delete, "DELETE FROM device WHERE nid = $1");
STMT(session_device_delete_all, "DELETE FROM device WHERE usr = $1 AND nid <> $2");

enum err
session_find(struct ctx *cx, const char *token)
{
	unsigned char hash[SHA256_LEN];
	struct rows r;
	enum err e;

	sha256(token, strlen(token), hash);
	if ((e = db_maybe(cx, &r, &session_select, P_BYTES(hash, sizeof hash), P_I64(cx->now))) != M_OK)
		return e;
	if (r.n == 0)
		return fail(cx, M_UNKNOWN_TOKEN, "unknown access token");
	if (db_bool(&r, 7)) {
		cx->err_extra = "\"soft_logout\":true";
		return fail(cx, M_UNKNOWN_TOKEN, "the access token has expired");
	}
	cx->user = db_text(&r, 0);
	cx->user_nid = db_i64(&r, 1);
	cx->device = db_i64(&r, 2);
	cx->device_id = db_text(&r, 3);
	cx->guest = db_bool(&r, 4);
	cx->admin = db_bool(&r, 5);
	cx->unlimited = cx->admin || db_bool(&r, 8);
	if (db_bool(&r, 6)) {
		cx->err_extra = "\"soft_logout\":true";
		return fail(cx, M_USER_LOCKED, "this account is locked");
	}
	return M_OK;
}

/*
 * The row of the device is the lock: it is written first, so of two logins on
 * one device the second sees, and ends, the token of the first.
 */
enum err
session_open(struct ctx *cx, struct session *s, const char *device_id, const char *name)
{
	unsigned char hash[SHA256_LEN];
	struct rows r;
	enum err e;

	s->device_id = device_id ? device_id : random_letters(cx->a, 10);
	s->token = random_token(cx->a, 32);
	sha256(s->token, strlen(s->token), hash);
	db_queue(cx, &r, DB_ONE, &session_device_put, P_I64(s->user_nid), P_TEXT(s->device_id), P_TEXT(name), P_I64(cx->now));
	db_queue(cx, NULL, DB_NONE, &session_token_drop, P_I64(s->user_nid), P_TEXT(s->device_id));
	db_queue(cx, NULL, DB_NONE, &session_token_put, P_I64(s->user_nid), P_TEXT(s->device_id),
	    P_BYTES(hash, sizeof hash), P_I64(cx->now));
	if ((e = db_run(cx)) == E_CONFLICT)
		return fail(cx, M_FORBIDDEN, "this device id is one of your cross-signing keys");	/* migration 0010 */
	if (e != M_OK)
		return e;
	s->device = db_i64(&r, 0);
	if (device_id != NULL)
		touch_user(cx, s->user_nid);	/* a sync may be waiting with the old token */
	return M_OK;
}

enum err
session_close(struct ctx *cx)
{
	touch_user(cx, cx->user_nid);
	return db_exec(cx, NULL, &session_device_delete, P_I64(cx->device));
}

enum err
session_close_all(struct ctx *cx, int64_t user_nid, int64_t except_device)
{
	touch_user(cx, user_nid);
	return db_exec(cx, NULL, &session_device_delete_all, P_I64(user_nid), P_I64(except_device));
}
