/* core/e2ee/one_time.c - see one_time.h. */
#include "core/e2ee/one_time.h"

#include <string.h>

/*
 * SKIP LOCKED: who is claiming the same device at the same moment takes the next key. A
 * key that another transaction has just taken for good is seen to be gone
 * when it is locked, and the next one is tried. key_used is only inserted into, so claims never wait for each other
 * but for the first use of a fallback key.
 */
STMT(keys_claim_all,
    "WITH q AS MATERIALIZED (SELECT d.usr, n.body AS user_id, d.nid AS device, d.device_id, u.algorithm"
    "	FROM unnest($1::text[], $2::text[], $3::text[]) AS u(usr, device, algorithm)"
    "	CROSS JOIN LATERAL (SELECT nid, body FROM name WHERE body = u.usr OFFSET 0) n"
    "	CROSS JOIN LATERAL (SELECT usr, nid, device_id FROM device WHERE usr = n.nid AND device_id = u.device OFFSET 0) d),"
    " picked AS MATERIALIZED (SELECT q.device, q.algorithm, k.nid FROM q CROSS JOIN LATERAL (SELECT nid FROM one_time_key"
    "	WHERE device = q.device AND algorithm = q.algorithm ORDER BY nid LIMIT 1 FOR UPDATE SKIP LOCKED) k),"
    " gone AS (DELETE FROM one_time_key WHERE nid = ANY(ARRAY(SELECT nid FROM picked))"
    "	RETURNING device, algorithm, key_id, body),"
    " fell AS MATERIALIZED (SELECT f.* FROM q CROSS JOIN LATERAL (SELECT * FROM fallback_key"
    "	WHERE device = q.device AND algorithm = q.algorithm OFFSET 0) f"
    "	WHERE NOT EXISTS (SELECT FROM picked p WHERE p.device = q.device AND p.algorithm = q.algorithm)),"
    " marked AS (UPDATE fallback_key k SET used = true FROM fell f"
    "	WHERE k.device = f.device AND k.algorithm = f.algorithm AND NOT f.used RETURNING k.device),"
    " told AS (INSERT INTO key_used (usr, device, ts, key) SELECT q.usr, q.device, $4::bigint, u.key"
    "	FROM (SELECT DISTINCT usr, device FROM q) q JOIN (SELECT device, " ONE_TIME_KEY_HASH("gone") " AS key FROM gone"
    "		UNION ALL SELECT device, NULL FROM marked) u USING (device))"
    " SELECT q.user_id, q.device_id, k.algorithm, k.key_id, k.body, q.usr FROM q JOIN ("
    "	SELECT device, algorithm, key_id, body FROM gone UNION ALL SELECT device, algorithm, key_id, body FROM fell) k"
    "	ON k.device = q.device AND k.algorithm = q.algorithm ORDER BY 1, 2");

STMT(keys_counts,
    "SELECT q.i, (SELECT string_agg('\"' || algorithm || '\":' || n, ',') FROM (SELECT algorithm, count(*) AS n"
    "	FROM one_time_key WHERE device = q.device GROUP BY algorithm) c),"
    " (SELECT string_agg('\"' || algorithm || '\"', ',') FROM fallback_key WHERE device = q.device AND NOT used),"
    " EXISTS (SELECT FROM key_used WHERE device = q.device AND (pos >= q.xmax OR pos = ANY(q.xip)))"
    " FROM (SELECT device, xmax, xip::bigint[] AS xip, i FROM unnest($1::bigint[], $2::bigint[], $3::text[])"
    "	WITH ORDINALITY AS u(device, xmax, xip, i) OFFSET 0) q");
STMT_WARM(keys_counts, "sync");

/* ---- claiming */

static enum err
read_wanted(struct ctx *cx, const struct json *wanted, const char **usr, const char **device, const char **alg, size_t *n)
{
	size_t i, k;

	for (*n = i = 0; i < wanted->u.obj.n; i++) {
		const struct json_member *m = &wanted->u.obj.v[i];

		if (!json_is(m->value, JSON_OBJ))
			return fail(cx, M_BAD_JSON, "one_time_keys holds objects of devices");
		for (k = 0; k < m->value->u.obj.n; k++, (*n)++) {
			const struct json_member *d = &m->value->u.obj.v[k];

			if (!json_is(d->value, JSON_STR))
				return fail(cx, M_BAD_JSON, "the algorithm of a device is a string");
			usr[*n] = esc_from_raw(cx->a, m->key, m->key_n);
			device[*n] = esc_from_raw(cx->a, d->key, d->key_n);
			alg[*n] = json_esc_of(cx->a, d->value);
		}
	}
	return M_OK;
}

static void
write_claimed(struct ctx *cx, struct rows *r, struct json_out *o)
{
	const char *user = NULL;

	json_obj(o, "one_time_keys");
	while (db_next(r)) {
		if (user == NULL || strcmp(user, db_text(r, 0)) != 0) {
			if (user != NULL)
				json_end(o);
			user = db_text(r, 0);
			json_key_esc(o, user);
			json_obj(o, NULL);
			touch_user(cx, db_i64(r, 5));
		}
		json_key_esc(o, db_text(r, 1));
		json_obj(o, NULL);
		json_key_esc(o, arena_printf(cx->a, "%s:%s", db_text(r, 2), db_text(r, 3)));
		json_raw(o, NULL, db_text(r, 4));
		json_end(o);
	}
	if (user != NULL)
		json_end(o);
	json_end(o);
}

enum err
keys_claim(struct ctx *cx, const struct json *wanted, struct json_out *o)
{
	const char **usr, **device, **alg;
	size_t i, n = 0;
	struct rows r;
	enum err e;

	for (i = 0; i < wanted->u.obj.n; i++)
		n += json_is(wanted->u.obj.v[i].value, JSON_OBJ) ? wanted->u.obj.v[i].value->u.obj.n : 0;
	usr = arena_calloc(cx->a, n + 1, sizeof *usr);
	device = arena_calloc(cx->a, n + 1, sizeof *device);
	alg = arena_calloc(cx->a, n + 1, sizeof *alg);
	if ((e = read_wanted(cx, wanted, usr, device, alg, &n)) != M_OK ||
	    (e = db_query(cx, &r, &keys_claim_all, P_TEXTS(usr, n), P_TEXTS(device, n), P_TEXTS(alg, n), P_I64(cx->now))) != M_OK)
		return e;
	write_claimed(cx, &r, o);
	return M_OK;
}

/* ---- counts */

struct param
position_xips(struct arena *a, const struct position *const *p, size_t n)
{
	const char **v = arena_calloc(a, n + 1, sizeof *v);
	size_t i, k;

	for (i = 0; i < n; i++) {
		struct buf b;

		v[i] = "{}";
		if (p[i] == NULL || p[i]->nxip == 0)
			continue;
		buf_init(&b, a);
		for (k = 0; k < p[i]->nxip; k++) {
			buf_putc(&b, k ? ',' : '{');
			buf_i64(&b, p[i]->xip[k]);
		}
		buf_putc(&b, '}');
		v[i] = b.s;
	}
	return P_TEXTS(v, n);
}

const char *
key_counts_object(struct arena *a, const char *parts)
{
	if (parts == NULL)
		return "{\"signed_curve25519\":0}";
	if (strstr(parts, "\"signed_curve25519\":") == NULL)
		return arena_printf(a, "{%s,\"signed_curve25519\":0}", parts);
	return arena_printf(a, "{%s}", parts);
}

void
key_counts_queue(struct ctx *cx, struct rows *r, const struct key_counts *v, size_t n)
{
	int64_t *device = arena_calloc(cx->a, n + 1, sizeof *device), *xmax = arena_calloc(cx->a, n + 1, sizeof *xmax);
	const struct position **p = arena_calloc(cx->a, n + 1, sizeof *p);
	size_t i;

	*r = (struct rows){ 0 };
	for (i = 0; i < n; i++) {
		device[i] = v[i].device;
		xmax[i] = v[i].since ? v[i].since->xmax : INT64_MAX;
		p[i] = v[i].since;
	}
	if (n > 0)
		db_queue(cx, r, DB_ANY, &keys_counts, P_I64S(device, n), P_I64S(xmax, n), position_xips(cx->a, p, n));
}

void
key_counts_take(struct ctx *cx, struct rows *r, struct key_counts *v)
{
	while (r->res && db_next(r)) {
		struct key_counts *c = &v[db_i64(r, 0) - 1];

		c->counts = key_counts_object(cx->a, db_text(r, 1));
		c->unused = db_null(r, 2) ? "[]" : arena_printf(cx->a, "[%s]", db_text(r, 2));
		c->news = db_bool(r, 3) || (c->since && c->since->clock < cx->now - KEYS_USED_KEPT_MS / 2);
	}
}
