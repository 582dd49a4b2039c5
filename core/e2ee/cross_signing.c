/* core/e2ee/cross_signing.c - uploading cross-signing keys; see cross_signing.h. */
#include "core/e2ee/cross_signing.h"

#include <string.h>

#include "core/db/db.h"
#include "core/e2ee/device_keys.h"
#include "core/e2ee/device_list.h"

/* FOR UPDATE: also against new devices, whose foreign key reads this row (migration 0010). */
STMT(cross_lock, "SELECT 1 FROM account WHERE usr = $1 FOR UPDATE");
/* The keys there are, and (usage 0) the devices that have keys or whose ids are among the new public keys. */
STMT(cross_select,
    "SELECT usage, public, body FROM cross_signing_key WHERE usr = $1"
    " UNION ALL SELECT 0, d.device_id, k.body FROM device d LEFT JOIN device_key k ON k.device = d.nid"
    " WHERE d.usr = $1 AND (k.body IS NOT NULL OR d.device_id = ANY($2))");

/*
 * Replaces keys. Signatures of what was replaced go, and those that it had made; a new
 * master key also ends the keys that the old one had signed, unless they come anew with it.
 */
STMT(cross_drop,
    "WITH gone AS (DELETE FROM cross_signing_key WHERE usr = $1 AND (usage = ANY($2::bigint[])) RETURNING public)"
    " DELETE FROM key_signature s USING gone g WHERE (s.usr = $1 AND s.key = g.public)"
    " OR (s.signer = $1 AND s.signer_key = 'ed25519:' || g.public)");
STMT(cross_insert,
    "INSERT INTO cross_signing_key (usr, usage, public, body) SELECT $1, * FROM unnest($2::bigint[], $3::text[], $4::text[])");
STMT(cross_sign,
    "INSERT INTO key_signature AS s (usr, key, signer, signer_key, signature) SELECT $1, u.key, $1, u.signer_key, u.signature"
    " FROM unnest($2::text[], $3::text[], $4::text[]) AS u(key, signer_key, signature)"
    " ON CONFLICT (usr, key, signer, signer_key) DO UPDATE SET signature = excluded.signature"
    " WHERE s.signature <> excluded.signature");
/* A user-signing key is seen by its owner alone. */
STMT(cross_note,
    "WITH note AS (" DEVICE_CHANGE_NOTE("SELECT $1::bigint, CASE WHEN $2 THEN 0 ELSE $1::bigint END") ")"
    " SELECT room FROM local_member WHERE usr = $1 AND membership = 2 AND $2");

static const char *const usage_name[KEY_USAGES] = { NULL, "master", "self_signing", "user_signing" };
static const char *const member_name[KEY_USAGES] = { NULL, "master_key", "self_signing_key", "user_signing_key" };

/* ---- reading */

static bool
has_usage(const struct json *key, const char *usage)
{
	const struct json *v = json_get(key, "usage");
	size_t i;

	for (i = 0; json_is(v, JSON_ARR) && i < v->u.arr.n; i++)
		if (json_str_eq(v->u.arr.v[i], usage))
			return true;
	return false;
}

static enum err
read_key(struct ctx *cx, const struct json *key, enum key_usage usage, struct cross_key *k)
{
	const struct json *user = json_get(key, "user_id"), *keys = json_get(key, "keys"), *sigs = json_get(key, "signatures");
	const struct json_member *m;

	if (!json_is(key, JSON_OBJ) || !json_is(user, JSON_STR) || !json_is(keys, JSON_OBJ) || (sigs && !json_is(sigs, JSON_OBJ)))
		return fail(cx, M_BAD_JSON, "%s needs user_id, usage and keys", member_name[usage]);
	if (!esc_equals_raw(cx->user, user->u.str.s, user->u.str.n))
		return fail(cx, M_INVALID_PARAM, "%s is of another user", member_name[usage]);
	if (!has_usage(key, usage_name[usage]))
		return fail(cx, M_INVALID_PARAM, "the usage of %s is %s", member_name[usage], usage_name[usage]);
	m = keys->u.obj.v;
	if (keys->u.obj.n != 1 || !json_is(m->value, JSON_STR) || strncmp(m->key, "ed25519:", 8) != 0 ||
	    m->key_n != m->value->u.str.n + 8 || memcmp(m->key + 8, m->value->u.str.s, m->value->u.str.n) != 0 ||
	    !ed25519_read(cx->a, m->value->u.str.s, m->value->u.str.n, k->pub))
		return fail(cx, M_INVALID_PARAM, "%s has one key, named ed25519:<the key in unpadded base64>", member_name[usage]);
	k->public = m->value->u.str.s;
	k->body = signed_body(cx->a, key);
	if (strlen(k->body) > DEVICE_KEYS_MAX)
		return fail(cx, M_TOO_LARGE, "a key has at most %d bytes", DEVICE_KEYS_MAX);
	k->signatures = signatures_of(key, cx->user);
	return M_OK;
}

enum err
cross_signing_read(struct ctx *cx, const struct json *body, struct cross_upload *u)
{
	bool any = false;
	int i, k;

	*u = (struct cross_upload){ 0 };
	for (i = KEY_MASTER; i < KEY_USAGES; i++) {
		const struct json *v = json_get(body, member_name[i]);
		enum err e;

		if (v == NULL || v->type == JSON_NULL)
			continue;
		if ((e = read_key(cx, v, (enum key_usage)i, &u->key[i])) != M_OK)
			return e;
		for (k = KEY_MASTER; k < i; k++)
			if (u->key[k].body && strcmp(u->key[k].public, u->key[i].public) == 0)
				return fail(cx, M_INVALID_PARAM, "each usage has a key of its own");
		any = true;
	}
	return any ? M_OK : fail(cx, M_MISSING_PARAM, "there is no key");
}

/* ---- what is there */

struct present {
	const char *body[KEY_USAGES], *public[KEY_USAGES];
	struct rows rows;	/* the devices among them: usage 0 */
};

static enum err
load_present(struct ctx *cx, const struct cross_upload *u, struct present *p)
{
	const char *pubs[KEY_USAGES];
	size_t n = 0;
	int i;
	enum err e;

	*p = (struct present){ 0 };
	for (i = KEY_MASTER; i < KEY_USAGES; i++)
		if (u->key[i].body)
			pubs[n++] = u->key[i].public;
	db_queue(cx, NULL, DB_NONE, &cross_lock, P_I64(cx->user_nid));
	db_queue(cx, &p->rows, DB_ANY, &cross_select, P_I64(cx->user_nid), P_TEXTS(pubs, n));
	if ((e = db_run(cx)) != M_OK)
		return e;
	for (p->rows.i = -1; db_next(&p->rows);) {
		int64_t usage = db_i64(&p->rows, 0);

		for (i = KEY_MASTER; usage == 0 && i < KEY_USAGES; i++)
			if (u->key[i].body && strcmp(u->key[i].public, db_text(&p->rows, 1)) == 0)
				return fail(cx, M_FORBIDDEN, "a device has this key as its id");
		if (usage > 0) {
			p->public[usage] = db_text(&p->rows, 1);
			p->body[usage] = db_text(&p->rows, 2);
		}
	}
	return M_OK;
}

static bool
same(const struct cross_upload *u, const struct present *p, int usage)
{
	return u->key[usage].body && p->body[usage] && strcmp(u->key[usage].body, p->body[usage]) == 0;
}

/* "User-Interactive Authentication MUST be performed …, except …" (POST /keys/device_signing/upload). */
static bool
needs_auth(const struct cross_upload *u, const struct present *p)
{
	int i;

	if (!p->body[KEY_MASTER])
		return false;
	if (!same(u, p, KEY_MASTER))
		return true;
	for (i = KEY_SELF_SIGNING; i < KEY_USAGES; i++)
		if (u->key[i].body && !same(u, p, i))
			return true;
	return false;
}

/* ---- signatures that come along */

/* The ed25519 key that a device with this id published. */
static bool
device_pub(struct ctx *cx, struct rows *r, const char *device_id, unsigned char pub[ED25519_PUB])
{
	for (r->i = -1; db_next(r);) {
		const struct json *key;
		struct json *v;

		if (db_i64(r, 0) != 0 || db_null(r, 2) || strcmp(db_text(r, 1), device_id) != 0)
			continue;
		if (json_parse(cx->a, db_text(r, 2), strlen(db_text(r, 2)), &v) != JSON_OK)
			return false;
		key = json_get_by_esc(json_get(v, "keys"), arena_printf(cx->a, "ed25519:%s", device_id));
		return json_is(key, JSON_STR) && ed25519_read(cx->a, key->u.str.s, key->u.str.n, pub);
	}
	return false;
}

/* The master key may be signed by devices: those that are known must be right, others are left out. */
static enum err
check_master(struct ctx *cx, const struct cross_key *k, struct present *p, struct key_sigs *sigs)
{
	unsigned char pub[ED25519_PUB];
	size_t i;

	for (i = 0; k->signatures && i < k->signatures->u.obj.n; i++) {
		const struct json_member *m = &k->signatures->u.obj.v[i];
		const char *id = esc_from_raw(cx->a, m->key, m->key_n);

		if (strncmp(id, "ed25519:", 8) != 0 || !device_pub(cx, &p->rows, id + 8, pub))
			continue;
		if (!body_verify(cx->a, k->body, m->value, pub))
			return fail(cx, M_INVALID_SIGNATURE, "a device's signature of the master key is wrong");
		key_sigs_add(cx->a, sigs, cx->user, k->public, cx->user, id, m->value);
	}
	return M_OK;
}

static enum err
check_signatures(struct ctx *cx, const struct cross_upload *u, struct present *p, struct key_sigs *sigs)
{
	const struct cross_key *master = &u->key[KEY_MASTER];
	const char *public = master->body ? master->public : p->public[KEY_MASTER];
	unsigned char pub[ED25519_PUB];
	const char *id;
	int i;

	if (public == NULL || !ed25519_read(cx->a, public, strlen(public), pub))
		return fail(cx, M_MISSING_PARAM, "there is no master key");
	id = arena_printf(cx->a, "ed25519:%s", public);
	for (i = KEY_SELF_SIGNING; i < KEY_USAGES; i++) {
		const struct json *sig = u->key[i].body ? json_get_by_esc(u->key[i].signatures, id) : NULL;

		if (!u->key[i].body)
			continue;
		if (!body_verify(cx->a, u->key[i].body, sig, pub))
			return fail(cx, M_INVALID_SIGNATURE, "%s is not signed by the master key", member_name[i]);
		key_sigs_add(cx->a, sigs, cx->user, u->key[i].public, cx->user, id, sig);
	}
	return master->body ? check_master(cx, master, p, sigs) : M_OK;
}

/* ---- writing */

static void
queue_keys(struct ctx *cx, const struct cross_upload *u, const struct present *p, bool *public_change)
{
	int64_t drop[KEY_USAGES], usage[KEY_USAGES];
	const char *public[KEY_USAGES], *body[KEY_USAGES];
	bool new_master = u->key[KEY_MASTER].body && !same(u, p, KEY_MASTER);
	size_t ndrop = 0, n = 0;
	int i;

	for (i = KEY_MASTER; i < KEY_USAGES; i++) {
		bool fresh = u->key[i].body && !same(u, p, i);

		if (p->body[i] && (fresh || (new_master && !u->key[i].body)))
			drop[ndrop++] = i;
		if (!fresh)
			continue;
		usage[n] = i;
		public[n] = u->key[i].public;
		body[n++] = u->key[i].body;
		*public_change |= i != KEY_USER_SIGNING;
	}
	if (ndrop > 0)
		db_queue(cx, NULL, DB_NONE, &cross_drop, P_I64(cx->user_nid), P_I64S(drop, ndrop));
	if (n > 0)
		db_queue(cx, NULL, DB_NONE, &cross_insert, P_I64(cx->user_nid), P_I64S(usage, n), P_TEXTS(public, n),
		    P_TEXTS(body, n));
}

enum err
cross_signing_put(struct ctx *cx, const struct cross_upload *u, bool authorized)
{
	struct key_sigs sigs = { 0 };
	bool public_change = false;
	struct present p;
	struct rows rooms;
	enum err e;

	if ((e = load_present(cx, u, &p)) != M_OK)
		return e;
	if ((e = check_signatures(cx, u, &p, &sigs)) != M_OK)
		return e;
	if (!authorized && needs_auth(u, &p))
		return M_UNAUTHORIZED;
	queue_keys(cx, u, &p, &public_change);
	if (sigs.n > 0)
		db_queue(cx, NULL, DB_NONE, &cross_sign, P_I64(cx->user_nid), P_TEXTS(sigs.key, sigs.n),
		    P_TEXTS(sigs.signer_key, sigs.n), P_TEXTS(sigs.signature, sigs.n));
	if (!needs_auth(u, &p) && p.body[KEY_MASTER])
		return db_run(cx);	/* the same keys again: no news */
	db_queue(cx, &rooms, DB_ANY, &cross_note, P_I64(cx->user_nid), P_BOOL(public_change));
	if ((e = db_run(cx)) == M_OK)
		device_change_wake(cx, &rooms);
	return e;
}
