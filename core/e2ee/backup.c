/* core/e2ee/backup.c - see backup.h. */
#include "core/e2ee/backup.h"

#include <string.h>

#include "core/base/conf.h"
#include "core/db/db.h"
#include "core/jobs/jobs.h"
#include "core/room/names.h"

#define PURGE_ROWS 1000

STMT(backup_lock, "SELECT 1 FROM account WHERE usr = $1 FOR NO KEY UPDATE");
STMT(backup_insert,
    "INSERT INTO key_backup (usr, version, algorithm, auth_data)"
    " SELECT $1, coalesce(max(version), 0) + 1, $2, $3 FROM key_backup WHERE usr = $1 RETURNING version");
/* $2 NULL: the newest */
STMT(backup_select,
    "SELECT version, algorithm, auth_data, etag, count FROM key_backup"
    " WHERE usr = $1 AND NOT deleted AND ($2::bigint IS NULL OR version = $2) ORDER BY version DESC LIMIT 1");
STMT(backup_set, "UPDATE key_backup SET auth_data = $3 WHERE usr = $1 AND version = $2");
STMT(backup_mark, "UPDATE key_backup SET deleted = true, auth_data = '{}' WHERE usr = $1 AND version = $2");
/* Is there such a version, deleted or not; and which one may be written to? */
STMT(backup_versions,
    "SELECT bool_or(version = $2 AND NOT deleted), bool_or(version = $2), max(version) FILTER (WHERE NOT deleted)"
    " FROM key_backup WHERE usr = $1");

/* bytes: of the data of its sessions. The account's row is held, so what `old` sees is what is replaced. */
STMT(backup_upsert,
    "WITH u AS MATERIALIZED (SELECT * FROM unnest($3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[])"
    "	AS u(room, session, first, forwarded, verified, data)),"
    " old AS MATERIALIZED (SELECT u.room, u.session, s.n FROM u CROSS JOIN LATERAL (SELECT octet_length(session_data) AS n"
    "	FROM key_backup_session WHERE usr = $1 AND version = $2 AND room = u.room AND session = u.session OFFSET 0) s),"
    " up AS (INSERT INTO key_backup_session AS s (usr, version, room, session, first_message_index, forwarded_count,"
    "	is_verified, session_data) SELECT $1, $2, room, session, first, forwarded, verified = 1, data FROM u"
    "	ON CONFLICT (usr, version, room, session) DO UPDATE SET first_message_index = excluded.first_message_index,"
    "	forwarded_count = excluded.forwarded_count, is_verified = excluded.is_verified, session_data = excluded.session_data"
    "	WHERE (excluded.is_verified::int, -excluded.first_message_index, -excluded.forwarded_count)"
    "	> (s.is_verified::int, -s.first_message_index, -s.forwarded_count)"
    "	RETURNING room, session, octet_length(session_data) AS n),"
    " total AS (SELECT count(*) AS written, count(*) FILTER (WHERE old.n IS NULL) AS fresh,"
    "	coalesce(sum(up.n - coalesce(old.n, 0)), 0)::bigint AS grown FROM up LEFT JOIN old USING (room, session))"
    " UPDATE key_backup SET etag = etag + (written > 0)::int, count = count + fresh, bytes = bytes + grown FROM total"
    " WHERE usr = $1 AND version = $2 RETURNING etag, count, bytes, grown");
#define CHOSEN "usr = $1 AND version = $2 AND ($3::text IS NULL OR room = $3) AND ($4::text IS NULL OR session = $4)"
STMT(backup_remove,
    "WITH gone AS (DELETE FROM key_backup_session WHERE " CHOSEN " RETURNING octet_length(session_data) AS n)"
    " UPDATE key_backup SET etag = etag + (EXISTS (SELECT FROM gone))::int, count = count - (SELECT count(*) FROM gone),"
    "	bytes = bytes - (SELECT coalesce(sum(n), 0)::bigint FROM gone) WHERE usr = $1 AND version = $2 RETURNING etag, count");
STMT(backup_read,
    "SELECT room, session, first_message_index, forwarded_count, is_verified, session_data FROM key_backup_session WHERE " CHOSEN
    " ORDER BY room, session");
STMT(backup_sweep,
    "DELETE FROM key_backup_session WHERE ctid = ANY(ARRAY(SELECT s.ctid FROM key_backup b JOIN key_backup_session s"
    " ON s.usr = b.usr AND s.version = b.version WHERE b.usr = $1 AND b.deleted LIMIT 1000))");

/* ---- versions */

/* A version is digits; any other text names none. */
static int64_t
version_number(const char *s)
{
	int64_t v = 0;
	const char *p;

	for (p = s; *p >= '0' && *p <= '9' && p - s < 18; p++)
		v = v * 10 + (*p - '0');
	return *p != '\0' || p == s || *s == '0' ? 0 : v;
}

static enum err
unknown(struct ctx *cx)
{
	return fail(cx, M_NOT_FOUND, "unknown backup version");
}

enum err
backup_create(struct ctx *cx, const char *algorithm, const struct json *auth_data, const char **version)
{
	struct rows r;
	enum err e;

	if (!name_fits(algorithm))
		return fail(cx, M_INVALID_PARAM, "the algorithm is longer than 255 bytes");
	db_queue(cx, NULL, DB_NONE, &backup_lock, P_I64(cx->user_nid));
	if ((e = db_row(cx, &r, &backup_insert, P_I64(cx->user_nid), P_TEXT(algorithm),
	    P_TEXT(json_canonical_str(cx->a, auth_data, NULL)))) != M_OK)
		return e;
	*version = arena_printf(cx->a, "%lld", (long long)db_i64(&r, 0));
	return M_OK;
}

static void
write_state(struct ctx *cx, struct json_out *o, int64_t etag, int64_t count)
{
	json_str(o, "etag", arena_printf(cx->a, "%lld", (long long)etag));
	json_int(o, "count", count);
}

enum err
backup_show(struct ctx *cx, const char *version, struct json_out *o)
{
	int64_t v = version ? version_number(version) : 0;
	struct rows r;
	enum err e;

	if ((e = db_maybe(cx, &r, &backup_select, P_I64(cx->user_nid), version ? P_I64(v) : P_NULL)) != M_OK)
		return e;
	if (r.n == 0)
		return version ? unknown(cx) : fail(cx, M_NOT_FOUND, "there is no backup");
	json_str(o, "version", arena_printf(cx->a, "%lld", (long long)db_i64(&r, 0)));
	json_esc(o, "algorithm", db_text(&r, 1));
	json_raw(o, "auth_data", db_text(&r, 2));
	write_state(cx, o, db_i64(&r, 3), db_i64(&r, 4));
	return M_OK;
}

enum err
backup_update(struct ctx *cx, const char *version, const char *algorithm, const struct json *auth_data)
{
	int64_t v = version_number(version);
	struct rows r;
	enum err e;

	db_queue(cx, NULL, DB_NONE, &backup_lock, P_I64(cx->user_nid));
	if ((e = db_maybe(cx, &r, &backup_select, P_I64(cx->user_nid), P_I64(v))) != M_OK)
		return e;
	if (r.n == 0)
		return unknown(cx);
	if (strcmp(algorithm, db_text(&r, 1)) != 0)
		return fail(cx, M_INVALID_PARAM, "the algorithm of a backup cannot be changed");
	return db_exec(cx, NULL, &backup_set, P_I64(cx->user_nid), P_I64(v),
	    P_TEXT(json_canonical_str(cx->a, auth_data, NULL)));
}

enum err
backup_delete(struct ctx *cx, const char *version)
{
	int64_t v = version_number(version), n = 0;
	enum err e;

	db_queue(cx, NULL, DB_NONE, &backup_lock, P_I64(cx->user_nid));
	job_add(cx, "backup_purge", arena_printf(cx->a, "%lld", (long long)cx->user_nid), NULL, 0);
	if ((e = db_exec(cx, &n, &backup_mark, P_I64(cx->user_nid), P_I64(v))) != M_OK)
		return e;
	return n ? M_OK : unknown(cx);
}

enum err
backup_purge(struct ctx *cx, int64_t usr, bool *more)
{
	int64_t n = 0;
	enum err e = db_exec(cx, &n, &backup_sweep, P_I64(usr));

	*more = n >= PURGE_ROWS;
	return e;
}

/* ---- storing keys */

struct batch {
	const char **room, **session, **data;
	int64_t *first, *forwarded, *verified;
	size_t n, cap;
};

static void
batch_init(struct arena *a, struct batch *b, size_t cap)
{
	*b = (struct batch){ .cap = cap };
	b->room = arena_calloc(a, cap + 1, sizeof *b->room);
	b->session = arena_calloc(a, cap + 1, sizeof *b->session);
	b->data = arena_calloc(a, cap + 1, sizeof *b->data);
	b->first = arena_calloc(a, cap + 1, sizeof *b->first);
	b->forwarded = arena_calloc(a, cap + 1, sizeof *b->forwarded);
	b->verified = arena_calloc(a, cap + 1, sizeof *b->verified);
}

static enum err
read_session(struct ctx *cx, const char *room, const char *session, const struct json *v, struct batch *b)
{
	const struct json *verified = json_get(v, "is_verified"), *data = json_get(v, "session_data");
	int64_t first = json_get_int(v, "first_message_index", -1), forwarded = json_get_int(v, "forwarded_count", -1);
	size_t len;

	if (!json_is(v, JSON_OBJ) || !json_is(verified, JSON_BOOL) || data == NULL || first < 0 || forwarded < 0 ||
	    first > JSON_INT_MAX || forwarded > JSON_INT_MAX)
		return fail(cx, M_BAD_JSON, "a key needs first_message_index, forwarded_count, is_verified and session_data");
	if (!name_fits(room) || !name_fits(session))
		return fail(cx, M_INVALID_PARAM, "ids of rooms and sessions have at most 255 bytes");
	b->room[b->n] = room;
	b->session[b->n] = session;
	b->first[b->n] = first;
	b->forwarded[b->n] = forwarded;
	b->verified[b->n] = verified->u.b;
	b->data[b->n++] = json_canonical_str(cx->a, data, &len);
	return len <= BACKUP_SESSION_MAX ? M_OK :
	    fail(cx, M_TOO_LARGE, "the data of a session has at most %d bytes", BACKUP_SESSION_MAX);
}

static enum err
read_sessions(struct ctx *cx, const char *room, const struct json *v, struct batch *b)
{
	const struct json *s = json_get(v, "sessions");
	size_t i;
	enum err e;

	for (i = 0; i < s->u.obj.n; i++)
		if ((e = read_session(cx, room, esc_from_raw(cx->a, s->u.obj.v[i].key, s->u.obj.v[i].key_n), s->u.obj.v[i].value,
		    b)) != M_OK)
			return e;
	return M_OK;
}

static enum err
read_rooms(struct ctx *cx, const struct json *v, struct batch *b)
{
	const struct json *rooms = json_get(v, "rooms");
	size_t i, n = 0;
	enum err e;

	if (!json_is(rooms, JSON_OBJ))
		return fail(cx, M_BAD_JSON, "rooms must be an object");
	for (i = 0; i < rooms->u.obj.n; i++) {
		const struct json *s = json_get(rooms->u.obj.v[i].value, "sessions");

		if (!json_is(s, JSON_OBJ))
			return fail(cx, M_BAD_JSON, "sessions must be an object");
		n += s->u.obj.n;
	}
	batch_init(cx->a, b, n);
	for (i = 0; i < rooms->u.obj.n; i++)
		if ((e = read_sessions(cx, esc_from_raw(cx->a, rooms->u.obj.v[i].key, rooms->u.obj.v[i].key_n),
		    rooms->u.obj.v[i].value, b)) != M_OK)
			return e;
	return M_OK;
}

static enum err
read_batch(struct ctx *cx, const char *room, const char *session, const struct json *v, struct batch *b)
{
	if (room == NULL)
		return read_rooms(cx, v, b);
	if (session == NULL) {
		if (!json_is(json_get(v, "sessions"), JSON_OBJ))
			return fail(cx, M_BAD_JSON, "sessions must be an object");
		batch_init(cx->a, b, json_get(v, "sessions")->u.obj.n);
		return read_sessions(cx, room, v, b);
	}
	batch_init(cx->a, b, 1);
	return read_session(cx, room, session, v, b);
}

/* Locks, and sees whether the version may be written to. */
static enum err
writable(struct ctx *cx, int64_t v)
{
	struct rows r;
	enum err e;

	db_queue(cx, NULL, DB_NONE, &backup_lock, P_I64(cx->user_nid));
	if ((e = db_row(cx, &r, &backup_versions, P_I64(cx->user_nid), P_I64(v))) != M_OK)
		return e;
	if (db_null(&r, 2) || !db_bool(&r, 1))
		return unknown(cx);
	if (db_i64(&r, 2) == v)
		return M_OK;
	cx->err_extra = arena_printf(cx->a, "\"current_version\":\"%lld\"", (long long)db_i64(&r, 2));
	return fail(cx, M_WRONG_ROOM_KEYS_VERSION, "this is not the current backup version");
}

enum err
backup_put(struct ctx *cx, const char *version, const char *room, const char *session, const struct json *v, struct json_out *o)
{
	int64_t nr = version_number(version);
	struct batch b;
	struct rows r;
	enum err e;

	if ((e = read_batch(cx, room, session, v, &b)) != M_OK || (e = writable(cx, nr)) != M_OK ||
	    (e = db_row(cx, &r, &backup_upsert, P_I64(cx->user_nid), P_I64(nr), P_TEXTS(b.room, b.n), P_TEXTS(b.session, b.n),
	    P_I64S(b.first, b.n), P_I64S(b.forwarded, b.n), P_I64S(b.verified, b.n), P_TEXTS(b.data, b.n))) != M_OK)
		return e;
	/* Refused, the transaction is rolled back. */
	if (db_i64(&r, 3) > 0 && db_i64(&r, 2) > cx->conf->key_backup_max_mb << 20)
		return fail(cx, M_TOO_LARGE, "the keys of a backup have at most %lld MB", (long long)cx->conf->key_backup_max_mb);
	write_state(cx, o, db_i64(&r, 0), db_i64(&r, 1));
	return M_OK;
}

/* ---- reading and removing keys */

static void
write_session(const struct rows *r, struct json_out *o)
{
	json_int(o, "first_message_index", db_i64(r, 2));
	json_int(o, "forwarded_count", db_i64(r, 3));
	json_bool(o, "is_verified", db_bool(r, 4));
	json_raw(o, "session_data", db_text(r, 5));
}

/* From the current row on, as long as it is of one room. */
static bool
write_sessions(struct rows *r, struct json_out *o, bool row)
{
	const char *room = row ? db_text(r, 0) : NULL;

	json_obj(o, "sessions");
	for (; row && strcmp(db_text(r, 0), room) == 0; row = db_next(r)) {
		json_key_esc(o, db_text(r, 1));
		json_obj(o, NULL);
		write_session(r, o);
		json_end(o);
	}
	json_end(o);
	return row;
}

static void
write_rooms(struct rows *r, struct json_out *o, bool row)
{
	json_obj(o, "rooms");
	while (row) {
		json_key_esc(o, db_text(r, 0));
		json_obj(o, NULL);
		row = write_sessions(r, o, row);
		json_end(o);
	}
	json_end(o);
}

enum err
backup_get(struct ctx *cx, const char *version, const char *room, const char *session, struct json_out *o)
{
	int64_t v = version_number(version);
	struct rows head, r;
	enum err e;

	db_queue(cx, &head, DB_MAYBE, &backup_select, P_I64(cx->user_nid), P_I64(v));
	db_queue(cx, &r, DB_ANY, &backup_read, P_I64(cx->user_nid), P_I64(v), P_TEXT(room), P_TEXT(session));
	if ((e = db_run(cx)) != M_OK)
		return e;
	if (head.n == 0)
		return unknown(cx);
	if (session != NULL && r.n == 0)
		return fail(cx, M_NOT_FOUND, "there is no such key");
	json_obj(o, NULL);
	if (session != NULL && db_next(&r))
		write_session(&r, o);
	else if (room != NULL)
		write_sessions(&r, o, db_next(&r));
	else
		write_rooms(&r, o, db_next(&r));
	json_end(o);
	return M_OK;
}

enum err
backup_forget(struct ctx *cx, const char *version, const char *room, const char *session, struct json_out *o)
{
	int64_t v = version_number(version);
	struct rows head, r;
	enum err e;

	db_queue(cx, NULL, DB_NONE, &backup_lock, P_I64(cx->user_nid));
	if ((e = db_maybe(cx, &head, &backup_select, P_I64(cx->user_nid), P_I64(v))) != M_OK)
		return e;
	if (head.n == 0)
		return unknown(cx);
	if ((e = db_row(cx, &r, &backup_remove, P_I64(cx->user_nid), P_I64(v), P_TEXT(room), P_TEXT(session))) != M_OK)
		return e;
	write_state(cx, o, db_i64(&r, 0), db_i64(&r, 1));
	return M_OK;
}
