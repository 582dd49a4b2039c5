/* core/user/session.c - devices and access tokens. */
#include "core/user/session.h"

#include <string.h>

#include "core/crypto/crypto.h"
#include "core/db/db.h"
#include "core/user/refresh.h"

STMT(session_select,
    "SELECT n.body, t.usr, t.device, d.device_id, a.kind, a.admin, a.locked,"
    " coalesce(t.expires_ts <= $2, false), coalesce(p.pending, false), a.suspended"
    " FROM access_token t JOIN device d ON d.nid = t.device JOIN account a ON a.usr = t.usr JOIN name n ON n.nid = t.usr"
    " LEFT JOIN refresh_token p ON p.hash = t.pair"
    " WHERE t.hash = $1 AND a.deactivated_ts IS NULL");
STMT_WARM(session_select, "web sync");
/* Is all still as it is remembered? A token that was used once is never pending again. */
STMT(session_check,
    "SELECT 1 FROM access_token t JOIN account a ON a.usr = t.usr WHERE t.hash = $1 AND t.device = $3 AND t.usr = $4"
    " AND (t.expires_ts > $2) IS NOT FALSE AND a.kind = $5 AND a.admin = $6 AND a.suspended = $7 AND NOT a.locked AND a.deactivated_ts IS NULL");
STMT_WARM(session_check, "web");

STMT(session_device_put,
    "INSERT INTO device (usr, device_id, display_name, created_ts, last_seen_ts) VALUES ($1, $2, $3, $4, $4)"
    " ON CONFLICT (usr, device_id) DO UPDATE SET last_seen_ts = excluded.last_seen_ts RETURNING nid");
STMT(session_token_drop,
    "WITH d AS (SELECT nid FROM device WHERE usr = $1 AND device_id = $2),"
    " r AS (DELETE FROM refresh_token WHERE device = (SELECT nid FROM d))"
    " DELETE FROM access_token WHERE device = (SELECT nid FROM d)");
STMT(session_token_put,
    "INSERT INTO access_token (hash, device, usr, created_ts, expires_ts, pair)"
    " SELECT $3, nid, $1, $4, $5, $6 FROM device WHERE usr = $1 AND device_id = $2");
STMT(session_refresh_put,
    "INSERT INTO refresh_token (hash, family, device, pending, since_ts)"
    " SELECT $3, $4, nid, false, $5 FROM device WHERE usr = $1 AND device_id = $2");
STMT(session_device_trim,
    "DELETE FROM device WHERE nid IN (SELECT nid FROM device WHERE usr = $1"
    " ORDER BY coalesce(last_seen_ts, created_ts) DESC, nid DESC OFFSET $2)");

/* Tokens, transaction ids and what else hangs on a device go with it (ON DELETE CASCADE). */
STMT(session_device_delete, "DELETE FROM device WHERE nid = $1");
STMT(session_login_token_delete, "DELETE FROM login_token WHERE usr = $1");
STMT(session_device_delete_all, "DELETE FROM device WHERE usr = $1 AND nid <> $2");

/* ---- whose token is it? */

#define BUCKETS 1024

struct known_session {
	struct known_session *next;
	unsigned char hash[SHA256_LEN];
	const char *user, *device_id, *kind;
	int64_t user_nid, device, connection;
	bool admin, suspended;
};
struct generation {
	struct arena *a;
	struct known_session *bucket[BUCKETS];
	size_t n;
};
struct known_sessions {
	struct arena *a;
	struct generation gen[2];	/* 0: the younger */
};

struct known_sessions *
sessions_new(void)
{
	struct arena *a = arena_new();
	struct known_sessions *m = arena_zalloc(a, sizeof *m);

	m->a = a;
	for (int i = 0; i < 2; i++)
		m->gen[i].a = arena_new();
	return m;
}

void
sessions_free(struct known_sessions *m)
{
	for (int i = 0; i < 2; i++)
		arena_free(m->gen[i].a);
	arena_free(m->a);
}

static struct known_session **
bucket_of(struct generation *g, const unsigned char *hash)
{
	return &g->bucket[(hash[0] << 8 | hash[1]) % BUCKETS];
}

static struct known_session *
known_session(struct generation *g, const unsigned char *hash)
{
	struct known_session *s = *bucket_of(g, hash);

	while (s != NULL && memcmp(s->hash, hash, sizeof s->hash) != 0)
		s = s->next;
	return s;
}

/* A token is found again and again (where no transaction is begun for it, with each request): what is known is not copied anew. */
static void
keep(struct arena *a, const char **to, const char *s)
{
	if (*to == NULL || strcmp(*to, s) != 0)
		*to = arena_strdup(a, s);
}

/* As cx has it. */
static void
remember(struct ctx *cx, const unsigned char *hash, const char *kind)
{
	struct generation *g = cx->sessions->gen;
	struct known_session *s = known_session(g, hash);

	if (s == NULL && g->n == SESSIONS_MAX) {
		arena_free(g[1].a);
		g[1] = g[0];
		g[0] = (struct generation){ .a = arena_new() };
	}
	if (s == NULL) {
		struct known_session **bucket = bucket_of(g, hash);

		s = arena_zalloc(g->a, sizeof *s);
		memcpy(s->hash, hash, sizeof s->hash);
		s->next = *bucket;
		*bucket = s;
		g->n++;
	}
	keep(g->a, &s->user, cx->user);
	keep(g->a, &s->device_id, cx->device_id);
	s->kind = strcmp(kind, "guest") == 0 ? "guest" : strcmp(kind, "appservice") == 0 ? "appservice" : "user";
	s->user_nid = cx->user_nid;
	s->device = cx->device;
	s->connection = db_connection(cx->db);
	s->admin = cx->admin;
	s->suspended = cx->suspended;
}

static void
forget(struct ctx *cx, const unsigned char *hash)
{
	struct known_session *s;

	for (int i = 0; i < 2; i++)
		if (cx->sessions != NULL && (s = known_session(&cx->sessions->gen[i], hash)) != NULL)
			s->connection = 0;	/* the first is 1 */
}

static void
fill(struct ctx *cx, const unsigned char *hash, const char *kind)
{
	cx->token = memcpy(arena_alloc(cx->a, SHA256_LEN), hash, SHA256_LEN);
	cx->guest = strcmp(kind, "guest") == 0;
	cx->unlimited = cx->admin || strcmp(kind, "appservice") == 0;
}

enum err
session_find(struct ctx *cx, const char *token)
{
	unsigned char hash[SHA256_LEN];
	struct rows r;
	enum err e;

	sha256(token, strlen(token), hash);
	if ((e = db_maybe(cx, &r, &session_select, P_BYTES(hash, sizeof hash), P_I64(cx->now))) != M_OK)
		return e;
	forget(cx, hash);
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
	cx->admin = db_bool(&r, 5);
	cx->token_unused = db_bool(&r, 8);
	cx->suspended = db_bool(&r, 9);
	fill(cx, hash, db_text(&r, 4));
	if (db_bool(&r, 6)) {
		cx->err_extra = "\"soft_logout\":true";
		return fail(cx, M_USER_LOCKED, "this account is locked");
	}
	if (cx->sessions != NULL && !cx->token_unused)
		remember(cx, hash, db_text(&r, 4));
	return M_OK;
}

bool
session_assume(struct ctx *cx, const char *token)
{
	unsigned char hash[SHA256_LEN];
	const struct known_session *s = NULL;

	if (cx->sessions == NULL)
		return false;
	sha256(token, strlen(token), hash);
	for (int i = 0; i < 2 && s == NULL; i++)
		s = known_session(&cx->sessions->gen[i], hash);
	/* On another connection it may be another database: one that was restored. */
	if (s == NULL || s->connection != db_connection(cx->db))
		return false;
	cx->user = arena_strdup(cx->a, s->user);
	cx->device_id = arena_strdup(cx->a, s->device_id);
	cx->user_nid = s->user_nid;
	cx->device = s->device;
	cx->admin = s->admin;
	cx->suspended = s->suspended;
	fill(cx, hash, s->kind);
	db_guard(cx, &session_check, P_BYTES(hash, sizeof hash), P_I64(cx->now), P_I64(s->device), P_I64(s->user_nid), P_TEXT(s->kind),
	    P_BOOL(s->admin), P_BOOL(s->suspended));
	return true;
}

/* ---- sessions */

/*
 * The row of the device is the lock: it is written first, so of two logins on
 * one device the second sees, and ends, the tokens of the first.
 */
enum err
session_open(struct ctx *cx, struct session *s, const struct session_wish *w)
{
	unsigned char hash[SHA256_LEN];
	struct refresh_pair pair;
	struct rows r;
	enum err e;

	s->device_id = w->device_id ? w->device_id : random_letters(cx->a, 10);
	s->token = random_token(cx->a, 32);
	s->expires_in = access_token_lifetime(cx, w->refresh);
	sha256(s->token, strlen(s->token), hash);
	if (w->refresh) {
		refresh_make(cx, NULL, &pair);
		s->refresh = pair.token;
	}
	db_queue(cx, &r, DB_ONE, &session_device_put, P_I64(s->user_nid), P_TEXT(s->device_id), P_TEXT(w->name), P_I64(cx->now));
	db_queue(cx, NULL, DB_NONE, &session_token_drop, P_I64(s->user_nid), P_TEXT(s->device_id));
	db_queue(cx, NULL, DB_NONE, &session_token_put, P_I64(s->user_nid), P_TEXT(s->device_id),
	    P_BYTES(hash, sizeof hash), P_I64(cx->now), P_I64_OR_NULL(s->expires_in ? cx->now + s->expires_in : 0, 0),
	    w->refresh ? P_BYTES(pair.hash, SHA256_LEN) : P_NULL);
	if (w->refresh)
		db_queue(cx, NULL, DB_NONE, &session_refresh_put, P_I64(s->user_nid), P_TEXT(s->device_id),
		    P_BYTES(pair.hash, SHA256_LEN), P_BYTES(pair.family, SHA256_LEN), P_I64(cx->now));
	db_queue(cx, NULL, DB_NONE, &session_device_trim, P_I64(s->user_nid), P_I64(DEVICES_MAX));
	if ((e = db_run(cx)) == E_CONFLICT)
		return fail(cx, M_FORBIDDEN, "this device id is one of your cross-signing keys");	/* migration 0010 */
	if (e != M_OK)
		return e;
	s->device = db_i64(&r, 0);
	if (w->device_id != NULL)
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
	/* Then the login tokens: whoever makes one holds his device (login_token_make), so it is seen or was refused. */
	db_queue(cx, NULL, DB_NONE, &session_device_delete_all, P_I64(user_nid), P_I64(except_device));
	return db_exec(cx, NULL, &session_login_token_delete, P_I64(user_nid));
}
