/* core/e2ee/device_keys.c - see device_keys.h. */
#include "core/e2ee/device_keys.h"

#include <string.h>

#include "core/base/conf.h"
#include "core/base/id.h"
#include "core/e2ee/device_list.h"
#include "core/e2ee/one_time.h"
#include "core/e2ee/sig.h"
#include "core/room/names.h"

/*
 * Publishes. When another object was there before, what belonged to it goes: signatures of it, and, if its keys
 * are others, the one-time keys that they had signed. Rows (rooms that see it) only if something changed. Bodies are
 * canonical, so that equal keys are equal text.
 */
STMT(device_keys_put,
    "WITH old AS (SELECT (as_json(body)->'keys')::text AS keys FROM device_key WHERE device = $1),"
    " up AS (INSERT INTO device_key AS k (device, body) VALUES ($1, $2) ON CONFLICT (device) DO UPDATE"
    "	SET body = excluded.body WHERE k.body <> excluded.body RETURNING device, xmax <> 0 AS other),"
    " rekeyed AS (SELECT device FROM up, old WHERE old.keys <> (as_json($2)->'keys')::text),"
    " gone AS (DELETE FROM one_time_key WHERE device IN (SELECT device FROM rekeyed)),"
    " fell AS (DELETE FROM fallback_key WHERE device IN (SELECT device FROM rekeyed)),"
    " sigs AS (DELETE FROM key_signature WHERE usr = $3 AND key = $4 AND EXISTS (SELECT FROM up WHERE other)),"
    " note AS (" DEVICE_CHANGE_NOTE("SELECT $3::bigint, 0 FROM up") ")"
    " SELECT m.room FROM up JOIN local_member m ON m.usr = $3 AND m.membership = 2");
STMT(device_keys_sign,
    "INSERT INTO key_signature AS s (usr, key, signer, signer_key, signature)"
    " SELECT $1, $2, $1, * FROM unnest($3::text[], $4::text[]) ON CONFLICT (usr, key, signer, signer_key)"
    " DO UPDATE SET signature = excluded.signature WHERE s.signature <> excluded.signature");

STMT(one_time_put,
    "INSERT INTO one_time_key (device, algorithm, key_id, body) SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[])"
    " ON CONFLICT (device, algorithm, key_id) DO NOTHING");
/*
 * An upload whose answer was lost is sent again, and some of its keys may have been claimed in between: those are not
 * given out a second time. A statement of its own, for the one above may have waited for a claim.
 */
STMT(one_time_claimed,
    "DELETE FROM one_time_key k USING unnest($2::text[], $3::text[], $4::text[]) AS u(algorithm, key_id, body), key_used c"
    " WHERE k.device = $1 AND k.algorithm = u.algorithm AND k.key_id = u.key_id"
    " AND c.device = $1 AND c.key = " ONE_TIME_KEY_HASH("u"));
STMT(one_time_other,
    "SELECT u.algorithm, u.key_id FROM unnest($2::text[], $3::text[], $4::text[]) AS u(algorithm, key_id, body)"
    " JOIN one_time_key k ON k.device = $1 AND k.algorithm = u.algorithm AND k.key_id = u.key_id"
    " WHERE k.body <> u.body LIMIT 1");
/* The same key again is as used as before. */
STMT(fallback_put,
    "INSERT INTO fallback_key AS f (device, algorithm, key_id, body) SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[])"
    " ON CONFLICT (device, algorithm) DO UPDATE SET key_id = excluded.key_id, body = excluded.body, used = false"
    " WHERE (f.key_id, f.body) <> (excluded.key_id, excluded.body)");
STMT(one_time_counts,
    "SELECT string_agg('\"' || algorithm || '\":' || n, ',' ORDER BY algorithm), sum(n)::bigint,"
    " (SELECT count(*) FROM fallback_key WHERE device = $1)"
    " FROM (SELECT algorithm, count(*) AS n FROM one_time_key WHERE device = $1 GROUP BY algorithm) c");

/*
 * Sections: 0 devices (with a row without key for each account, so that it is in the answer),
 * 1 master, 2 self-signing, 3 user-signing keys. Signatures come as the inside of a JSON object.
 */
#define SIGNATURES(of)										\
	"(SELECT string_agg('\"' || signer_key || '\":\"' || signature || '\"', ',' ORDER BY signer_key) FROM key_signature"	\
	" WHERE usr = k.usr AND key = k.key AND signer = " of ")"
STMT(keys_query_all,
    "WITH q AS MATERIALIZED (SELECT n.nid AS usr, n.body AS user_id, u.device"
    "	FROM (SELECT DISTINCT usr, device FROM unnest($1::text[], $2::text[]) AS v(usr, device)) u"
    "	CROSS JOIN LATERAL (SELECT nid, body FROM name WHERE body = u.usr OFFSET 0) n),"
    " p AS MATERIALIZED (SELECT DISTINCT usr, user_id FROM q),"
    " k AS MATERIALIZED ("
    "	SELECT 0 AS section, q.usr, q.user_id, d.device_id AS key, x.body, d.display_name FROM q"
    "	CROSS JOIN LATERAL (SELECT nid, device_id, display_name FROM device WHERE usr = q.usr"
    "		AND (q.device IS NULL OR device_id = q.device) OFFSET 0) d"
    "	CROSS JOIN LATERAL (SELECT body FROM device_key WHERE device = d.nid OFFSET 0) x"
    "	UNION ALL SELECT 0, p.usr, p.user_id, NULL, NULL, NULL FROM p WHERE EXISTS (SELECT FROM account WHERE usr = p.usr)"
    "	UNION ALL SELECT c.usage, p.usr, p.user_id, c.public, c.body, NULL FROM p"
    "	CROSS JOIN LATERAL (SELECT * FROM cross_signing_key WHERE usr = p.usr AND (usage < 3 OR usr = $3) OFFSET 0) c)"
    " SELECT k.section, k.user_id, k.key, k.body, k.display_name, " SIGNATURES("k.usr") ","
    " CASE WHEN k.usr <> $3 THEN " SIGNATURES("$3") " END FROM k ORDER BY 1, 2, 3");

/* ---- uploading */

struct key_set {
	const char **algorithm, **key_id, **body;
	size_t n;
};

/* {"<algorithm>:<key id>": string or object} */
static enum err
read_keys(struct ctx *cx, const struct json *keys, struct key_set *s)
{
	size_t i, n = keys ? keys->u.obj.n : 0, len;

	s->algorithm = arena_calloc(cx->a, n + 1, sizeof *s->algorithm);
	s->key_id = arena_calloc(cx->a, n + 1, sizeof *s->key_id);
	s->body = arena_calloc(cx->a, n + 1, sizeof *s->body);
	for (i = 0; i < n; i++) {
		const struct json_member *m = &keys->u.obj.v[i];
		const char *colon = memchr(m->key, ':', m->key_n);

		if (colon == NULL || colon == m->key || m->key_n > ID_MAX)
			return fail(cx, M_INVALID_PARAM, "the name of a key is <algorithm>:<key id>, at most 255 bytes");
		if (!json_is(m->value, JSON_STR) && !json_is(m->value, JSON_OBJ))
			return fail(cx, M_BAD_JSON, "a key is a string or an object");
		s->algorithm[i] = esc_from_raw(cx->a, m->key, (size_t)(colon - m->key));
		s->key_id[i] = esc_from_raw(cx->a, colon + 1, m->key_n - (size_t)(colon + 1 - m->key));
		s->body[i] = json_canonical_str(cx->a, m->value, &len);
		if (len > ONE_TIME_KEY_MAX)
			return fail(cx, M_TOO_LARGE, "a key has at most %d bytes", ONE_TIME_KEY_MAX);
	}
	s->n = n;
	return M_OK;
}

static bool
strings_only(const struct json *v)
{
	size_t i;

	for (i = 0; v->type == JSON_OBJ && i < v->u.obj.n; i++)
		if (!json_is(v->u.obj.v[i].value, JSON_STR))
			return false;
	for (i = 0; v->type == JSON_ARR && i < v->u.arr.n; i++)
		if (!json_is(v->u.arr.v[i], JSON_STR))
			return false;
	return true;
}

static enum err
check_form(struct ctx *cx, const struct json *keys)
{
	const struct json *user = json_get(keys, "user_id"), *device = json_get(keys, "device_id");
	const struct json *algorithms = json_get(keys, "algorithms"), *pubs = json_get(keys, "keys");

	if (!json_is(user, JSON_STR) || !json_is(device, JSON_STR) || !json_is(algorithms, JSON_ARR) ||
	    !json_is(pubs, JSON_OBJ) || !json_is(json_get(keys, "signatures"), JSON_OBJ))
		return fail(cx, M_BAD_JSON, "device_keys needs user_id, device_id, algorithms, keys and signatures");
	if (!strings_only(algorithms) || !strings_only(pubs))
		return fail(cx, M_BAD_JSON, "algorithms and keys are strings");
	if (!esc_equals_raw(cx->user, user->u.str.s, user->u.str.n) ||
	    !esc_equals_raw(cx->device_id, device->u.str.s, device->u.str.n))
		return fail(cx, M_INVALID_PARAM, "these are the keys of another user or device");
	return M_OK;
}

/* Those that the device itself made; others come by /keys/signatures/upload, where they are verified. *len: their bytes. */
static size_t
own_signatures(struct ctx *cx, const struct json *sigs, const char **key, const char **sig, size_t *len)
{
	size_t i, n = 0;

	*len = 0;
	for (i = 0; sigs != NULL && i < sigs->u.obj.n; i++) {
		const struct json_member *m = &sigs->u.obj.v[i];
		const char *colon = memchr(m->key, ':', m->key_n);

		if (colon == NULL || m->key_n > ID_MAX || !json_is(m->value, JSON_STR) ||
		    !esc_equals_raw(cx->device_id, colon + 1, m->key_n - (size_t)(colon + 1 - m->key)))
			continue;
		key[n] = esc_from_raw(cx->a, m->key, m->key_n);
		sig[n] = json_esc_of(cx->a, m->value);
		*len += strlen(key[n]) + strlen(sig[n]);
		n++;
	}
	return n;
}

static enum err
put_device_keys(struct ctx *cx, const struct json *keys, struct rows *rooms)
{
	const struct json *sigs = signatures_of(keys, cx->user);
	size_t n = sigs ? sigs->u.obj.n : 0, len;
	const char *body, **key, **sig;
	enum err e;

	if ((e = check_form(cx, keys)) != M_OK)
		return e;
	body = signed_body(cx->a, keys);
	key = arena_calloc(cx->a, n + 1, sizeof *key);
	sig = arena_calloc(cx->a, n + 1, sizeof *sig);
	n = own_signatures(cx, sigs, key, sig, &len);
	if (strlen(body) + len > DEVICE_KEYS_MAX)
		return fail(cx, M_TOO_LARGE, "the keys of a device have at most %d bytes", DEVICE_KEYS_MAX);
	db_queue(cx, rooms, DB_ANY, &device_keys_put, P_I64(cx->device), P_TEXT(body), P_I64(cx->user_nid), P_TEXT(cx->device_id));
	if (n > 0)
		db_queue(cx, NULL, DB_NONE, &device_keys_sign, P_I64(cx->user_nid), P_TEXT(cx->device_id), P_TEXTS(key, n),
		    P_TEXTS(sig, n));
	return M_OK;
}

static enum err
check_fallback(struct ctx *cx, const struct key_set *s)
{
	size_t i, k;

	if (s->n > FALLBACK_KEYS_MAX)
		return fail(cx, M_TOO_LARGE, "a device has at most %d fallback keys", FALLBACK_KEYS_MAX);
	for (i = 0; i < s->n; i++)
		for (k = 0; k < i; k++)
			if (strcmp(s->algorithm[i], s->algorithm[k]) == 0)
				return fail(cx, M_INVALID_PARAM, "there is one fallback key for each algorithm");
	return M_OK;
}

#define P_KEYS(s) P_TEXTS((s)->algorithm, (s)->n), P_TEXTS((s)->key_id, (s)->n), P_TEXTS((s)->body, (s)->n)

/* The limits are judged on what would be there; refused, the transaction is rolled back. */
static enum err
upload_result(struct ctx *cx, struct rows *other, struct rows *counts, struct rows *rooms, struct json_out *o)
{
	if (other->n > 0)
		return fail(cx, M_INVALID_PARAM, "the one-time key %s:%s exists with other content", db_text(other, 0),
		    db_text(other, 1));
	if (db_i64(counts, 1) > ONE_TIME_KEYS_MAX)
		return fail(cx, M_TOO_LARGE, "a device has at most %d one-time keys", ONE_TIME_KEYS_MAX);
	if (db_i64(counts, 2) > FALLBACK_KEYS_MAX)
		return fail(cx, M_TOO_LARGE, "a device has at most %d fallback keys", FALLBACK_KEYS_MAX);
	if (rooms->n > 0)
		device_change_wake(cx, rooms);
	json_raw(o, "one_time_key_counts", key_counts_object(cx->a, db_text(counts, 0)));
	return M_OK;
}

enum err
keys_upload(struct ctx *cx, const struct json *device_keys, const struct json *one_time, const struct json *fallback,
    struct json_out *o)
{
	struct rows other = { 0 }, counts, rooms = { 0 };
	struct key_set otk, fb;
	enum err e;

	if ((e = read_keys(cx, one_time, &otk)) != M_OK || (e = read_keys(cx, fallback, &fb)) != M_OK ||
	    (e = check_fallback(cx, &fb)) != M_OK)
		return e;
	if (otk.n > ONE_TIME_KEYS_MAX)
		return fail(cx, M_TOO_LARGE, "a device has at most %d one-time keys", ONE_TIME_KEYS_MAX);
	if (device_keys != NULL && (e = put_device_keys(cx, device_keys, &rooms)) != M_OK)
		return e;
	touch_user(cx, cx->user_nid);	/* a waiting sync carries the counts for its time-out */
	if (otk.n > 0) {
		db_queue(cx, NULL, DB_NONE, &one_time_put, P_I64(cx->device), P_KEYS(&otk));
		db_queue(cx, NULL, DB_NONE, &one_time_claimed, P_I64(cx->device), P_KEYS(&otk));
		db_queue(cx, &other, DB_MAYBE, &one_time_other, P_I64(cx->device), P_KEYS(&otk));
	}
	if (fb.n > 0)
		db_queue(cx, NULL, DB_NONE, &fallback_put, P_I64(cx->device), P_KEYS(&fb));
	db_queue(cx, &counts, DB_ONE, &one_time_counts, P_I64(cx->device));
	if ((e = db_run(cx)) != M_OK)
		return e;
	return upload_result(cx, &other, &counts, &rooms, o);
}

/* ---- asking */

/* Pairs of user and device; device NULL: all of them. */
static enum err
read_query(struct ctx *cx, const struct json *wanted, const char ***usr, const char ***device, size_t *n)
{
	size_t i, k, max = 0;

	for (i = 0; i < wanted->u.obj.n; i++) {
		if (!json_is(wanted->u.obj.v[i].value, JSON_ARR) || !strings_only(wanted->u.obj.v[i].value))
			return fail(cx, M_BAD_JSON, "device_keys holds lists of device ids");
		max += wanted->u.obj.v[i].value->u.arr.n + 1;
	}
	*usr = arena_calloc(cx->a, max + 1, sizeof **usr);
	*device = arena_calloc(cx->a, max + 1, sizeof **device);
	for (*n = i = 0; i < wanted->u.obj.n; i++) {
		const struct json_member *m = &wanted->u.obj.v[i];
		const char *id = esc_from_raw(cx->a, m->key, m->key_n);

		for (k = 0; k < m->value->u.arr.n || k == 0; k++) {
			(*usr)[*n] = id;
			(*device)[(*n)++] = m->value->u.arr.n ? json_esc_of(cx->a, m->value->u.arr.v[k]) : NULL;
		}
	}
	return M_OK;
}

/* The stored text, with what is not signed put in before its closing brace. */
static void
write_key(struct ctx *cx, struct rows *r, struct json_out *o, bool device)
{
	const char *body = db_text(r, 3), *own = db_text(r, 5), *mine = db_text(r, 6);
	struct buf b;

	buf_init(&b, cx->a);
	buf_add(&b, body, strlen(body) - 1);
	if (device || own != NULL || mine != NULL)
		buf_puts(&b, ",\"signatures\":{");
	if (own != NULL)
		buf_addf(&b, "\"%s\":{%s}", db_text(r, 1), own);
	if (mine != NULL)
		buf_addf(&b, "%s\"%s\":{%s}", own ? "," : "", cx->user, mine);
	if (device || own != NULL || mine != NULL)
		buf_putc(&b, '}');
	if (device && !db_null(r, 4))
		buf_addf(&b, ",\"unsigned\":{\"device_display_name\":\"%s\"}", db_text(r, 4));
	else if (device)
		buf_puts(&b, ",\"unsigned\":{}");
	buf_putc(&b, '}');
	json_rawn(o, NULL, b.s, b.n);
}

static void
write_devices(struct ctx *cx, struct rows *r, struct json_out *o, bool *row)
{
	const char *user = NULL;

	json_obj(o, "device_keys");
	for (; *row && db_i64(r, 0) == 0; *row = db_next(r)) {
		if (user == NULL || strcmp(user, db_text(r, 1)) != 0) {
			if (user != NULL)
				json_end(o);
			user = db_text(r, 1);
			json_key_esc(o, user);
			json_obj(o, NULL);
		}
		if (db_null(r, 2))
			continue;
		json_key_esc(o, db_text(r, 2));
		write_key(cx, r, o, true);
	}
	if (user != NULL)
		json_end(o);
	json_end(o);
}

enum err
keys_query(struct ctx *cx, const struct json *wanted, struct json_out *o)
{
	static const char *const names[] = { "master_keys", "self_signing_keys", "user_signing_keys" };
	const char **usr = NULL, **device = NULL;
	struct rows r;
	size_t n = 0;
	bool row;
	enum err e;

	if ((e = read_query(cx, wanted, &usr, &device, &n)) != M_OK ||
	    (e = db_query(cx, &r, &keys_query_all, P_TEXTS(usr, n), P_TEXTS(device, n), P_I64(cx->user_nid))) != M_OK)
		return e;
	row = db_next(&r);
	write_devices(cx, &r, o, &row);
	for (int section = 1; section <= 3; section++) {
		json_obj(o, names[section - 1]);
		for (; row && db_i64(&r, 0) == section; row = db_next(&r)) {
			json_key_esc(o, db_text(&r, 1));
			write_key(cx, &r, o, false);
		}
		json_end(o);
	}
	return M_OK;
}

void
keys_failures(struct ctx *cx, const struct json *users, struct json_out *o)
{
	struct json *seen = json_new_obj(cx->a);
	size_t i;

	for (i = 0; i < users->u.obj.n; i++) {
		const char *id = esc_from_raw(cx->a, users->u.obj.v[i].key, users->u.obj.v[i].key_n);

		if (id_is_user(id) && strcmp(id_server(id), cx->conf->server_name) != 0)
			json_set_esc(cx->a, seen, id_server(id), json_new_obj(cx->a));
	}
	json_value(o, "failures", seen);
}
