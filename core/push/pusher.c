/* core/push/pusher.c - the pushers of users; see pusher.h. */
#include "core/push/pusher.h"

#include <string.h>

#include "core/crypto/crypto.h"
#include "core/db/db.h"
#include "core/net/http.h"

#define NOTIFY_PATH "/_matrix/push/v1/notify"

STMT(pusher_select_all,
    "SELECT app_id, pushkey, app_display_name, device_display_name, profile_tag, lang, data FROM pusher WHERE usr = $1 ORDER BY nid");
/* Of two who set the same app_id and pushkey at once, the second sees the row of the first, and removes it. */
STMT(pusher_hold, "SELECT pg_advisory_xact_lock($1)");
/* Whoever makes one holds his account: of two at once the second counts the first's. After pusher_hold, always. */
STMT(pusher_hold_account, "SELECT FROM account WHERE usr = $1 FOR NO KEY UPDATE");
STMT(pusher_delete, "DELETE FROM pusher WHERE key = $1 AND usr = $2");
STMT(pusher_delete_others, "DELETE FROM pusher WHERE key = $1 AND usr <> $2");
STMT(pusher_count, "SELECT count(*) FROM pusher WHERE usr = $1 AND key <> $2");
/*
 * Set anew, it is worth a new try at once, and what was told to it before may be gone there. A session that ended a moment
 * ago has no pushers.
 */
STMT(pusher_upsert,
    "INSERT INTO pusher AS p (usr, device, key, app_id, pushkey, app_display_name, device_display_name, profile_tag, lang, data, gateway,"
    "	created_ts, updated_ts) SELECT $1, nid, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12 FROM device WHERE nid = $2 FOR KEY SHARE"
    " ON CONFLICT (key, usr) DO UPDATE SET device = excluded.device, app_display_name = excluded.app_display_name,"
    "	device_display_name = excluded.device_display_name, profile_tag = excluded.profile_tag, lang = excluded.lang,"
    "	data = excluded.data, gateway = excluded.gateway, updated_ts = excluded.updated_ts, failures = 0, failing_ts = NULL,"
    "	error = NULL, unread = NULL, due_ts = CASE WHEN p.due_ts IS NOT NULL THEN excluded.updated_ts END");

enum err
pusher_list(struct ctx *cx, struct json_out *o)
{
	struct rows r;
	enum err e;

	if ((e = db_query(cx, &r, &pusher_select_all, P_I64(cx->user_nid))) != M_OK)
		return e;
	json_arr(o, "pushers");
	while (db_next(&r)) {
		json_obj(o, NULL);
		json_str(o, "kind", "http");
		json_esc(o, "app_id", db_text(&r, 0));
		json_esc(o, "pushkey", db_text(&r, 1));
		json_esc(o, "app_display_name", db_text(&r, 2));
		json_esc(o, "device_display_name", db_text(&r, 3));
		if (!db_null(&r, 4))
			json_esc(o, "profile_tag", db_text(&r, 4));
		json_esc(o, "lang", db_text(&r, 5));
		json_raw(o, "data", db_text(&r, 6));
		json_end(o);
	}
	json_end(o);
	return M_OK;
}

/* ---- reading what a client sent */

struct wanted {
	const char *app_id, *pushkey, *app_display_name, *device_display_name, *profile_tag, *lang;	/* esc */
	const char *data, *gateway;
	unsigned char key[SHA256_LEN];
	bool append;
};

/* A string of at most max bytes; *out NULL when it is absent. */
static enum err
take_str(struct ctx *cx, const struct json *body, const char *name, bool need, size_t max, const char **out)
{
	const struct json *v = json_get(body, name);

	*out = NULL;
	if (v == NULL || (v->type == JSON_NULL && !need))
		return need ? fail(cx, M_MISSING_PARAM, "missing %s", name) : M_OK;
	if (v->type != JSON_STR)
		return fail(cx, M_BAD_JSON, "%s is no string", name);
	if (v->u.str.n > max)
		return fail(cx, M_INVALID_PARAM, "%s is longer than %zu bytes", name, max);
	*out = json_esc_of(cx->a, v);
	return M_OK;
}

static enum err
take_key(struct ctx *cx, const struct json *body, struct wanted *w)
{
	struct buf b;
	enum err e;

	if ((e = take_str(cx, body, "app_id", true, PUSHER_APP_ID_MAX, &w->app_id)) != M_OK ||
	    (e = take_str(cx, body, "pushkey", true, PUSHER_PUSHKEY_MAX, &w->pushkey)) != M_OK)
		return e;
	buf_init(&b, cx->a);
	buf_puts(&b, w->app_id);
	buf_putc(&b, '\0');
	buf_puts(&b, w->pushkey);
	sha256(b.s, b.n, w->key);
	return M_OK;
}

/* "MUST be an HTTPS URL with a path of /_matrix/push/v1/notify" */
static enum err
take_url(struct ctx *cx, const struct json *data, struct wanted *w)
{
	const struct json *v = json_get(data, "url");
	const char *url = json_get_str(data, "url"), *path;

	if (v == NULL)
		return fail(cx, M_MISSING_PARAM, "missing data.url");
	if (url == NULL || !http_url_ok(cx->conf, url) || !http_url_split(cx->a, url, &w->gateway, &path))
		return fail(cx, M_INVALID_PARAM, "data.url is no https URL that this server would call");
	if (strcmp(path, NOTIFY_PATH) != 0)
		return fail(cx, M_INVALID_PARAM, "the path of data.url must be " NOTIFY_PATH);
	return M_OK;
}

static enum err
take_data(struct ctx *cx, const struct json *body, struct wanted *w)
{
	const struct json *data = json_get(body, "data");
	size_t n;
	enum err e;

	if (data == NULL)
		return fail(cx, M_MISSING_PARAM, "missing data");
	if (data->type != JSON_OBJ)
		return fail(cx, M_BAD_JSON, "data is no object");
	if ((e = take_url(cx, data, w)) != M_OK)
		return e;
	w->data = json_canonical_str(cx->a, data, &n);
	return n <= PUSHER_DATA_MAX ? M_OK : fail(cx, M_TOO_LARGE, "data is larger than %d bytes", PUSHER_DATA_MAX);
}

static enum err
take_all(struct ctx *cx, const struct json *body, struct wanted *w)
{
	const struct json *append = json_get(body, "append");
	enum err e;

	if ((e = take_str(cx, body, "app_display_name", true, PUSHER_NAME_MAX, &w->app_display_name)) != M_OK ||
	    (e = take_str(cx, body, "device_display_name", true, PUSHER_NAME_MAX, &w->device_display_name)) != M_OK ||
	    (e = take_str(cx, body, "lang", true, PUSHER_NAME_MAX, &w->lang)) != M_OK ||
	    (e = take_str(cx, body, "profile_tag", false, PUSHER_NAME_MAX, &w->profile_tag)) != M_OK ||
	    (e = take_data(cx, body, w)) != M_OK)
		return e;
	if (append != NULL && append->type != JSON_NULL && append->type != JSON_BOOL)
		return fail(cx, M_BAD_JSON, "append is neither true nor false");
	w->append = json_get_bool(body, "append", false);
	return M_OK;
}

/* ---- changing */

static enum err
put(struct ctx *cx, const struct wanted *w)
{
	struct rows count;
	int64_t lock;
	enum err e;

	memcpy(&lock, w->key, sizeof lock);
	db_queue(cx, NULL, DB_NONE, &pusher_hold, P_I64(lock));
	db_queue(cx, NULL, DB_NONE, &pusher_hold_account, P_I64(cx->user_nid));
	if (!w->append)
		db_queue(cx, NULL, DB_NONE, &pusher_delete_others, P_BYTES(w->key, sizeof w->key), P_I64(cx->user_nid));
	if ((e = db_row(cx, &count, &pusher_count, P_I64(cx->user_nid), P_BYTES(w->key, sizeof w->key))) != M_OK)
		return e;
	if (db_i64(&count, 0) >= PUSHERS_MAX)
		return fail(cx, M_FORBIDDEN, "you have %d pushers already", PUSHERS_MAX);
	db_queue(cx, NULL, DB_NONE, &pusher_upsert, P_I64(cx->user_nid), P_I64(cx->device), P_BYTES(w->key, sizeof w->key),
	    P_TEXT(w->app_id), P_TEXT(w->pushkey), P_TEXT(w->app_display_name), P_TEXT(w->device_display_name), P_TEXT(w->profile_tag),
	    P_TEXT(w->lang), P_TEXT(w->data), P_TEXT(w->gateway), P_I64(cx->now));
	return M_OK;
}

enum err
pusher_set(struct ctx *cx, const struct json *body)
{
	const struct json *kind = json_get(body, "kind");
	struct wanted w = { 0 };
	enum err e;

	if (kind == NULL)
		return fail(cx, M_MISSING_PARAM, "missing kind");
	if ((e = take_key(cx, body, &w)) != M_OK)
		return e;
	if (kind->type == JSON_NULL)
		return db_exec(cx, NULL, &pusher_delete, P_BYTES(w.key, sizeof w.key), P_I64(cx->user_nid));
	if (kind->type != JSON_STR)
		return fail(cx, M_BAD_JSON, "kind is neither a string nor null");
	if (json_str_eq(kind, "email"))
		return fail(cx, M_INVALID_PARAM, "this server sends no notifications by e-mail");
	if (!json_str_eq(kind, "http"))
		return fail(cx, M_INVALID_PARAM, "no such kind of pusher");
	if ((e = take_all(cx, body, &w)) != M_OK)
		return e;
	return put(cx, &w);
}
