/* core/e2ee/signatures.c - POST /keys/signatures/upload; see cross_signing.h. */
#include <string.h>

#include "core/db/db.h"
#include "core/e2ee/cross_signing.h"
#include "core/e2ee/device_list.h"

/* The users that u names; looked up one by one, however the plan was made. */
#define NAMED "CROSS JOIN LATERAL (SELECT nid, body FROM name WHERE body = u.usr OFFSET 0) n"
/*
 * Loads the objects that are signed, and all own keys that may have signed. Rows of
 * (user id, key, usage: 0 a device, body).
 */
STMT(signatures_load,
    "WITH q AS MATERIALIZED (SELECT DISTINCT n.nid AS usr, n.body AS user_id, u.key"
    "	FROM unnest($2::text[], $3::text[]) AS u(usr, key) " NAMED "),"
    " w AS (SELECT usr, user_id, key FROM q UNION SELECT nid, body, NULL FROM name WHERE nid = $1)"
    " SELECT w.user_id, d.device_id, 0, d.body FROM w CROSS JOIN LATERAL (SELECT v.device_id, k.body FROM device v"
    "	JOIN device_key k ON k.device = v.nid WHERE v.usr = w.usr AND w.key IS NULL OFFSET 0) d"
    " UNION ALL SELECT w.user_id, c.public, c.usage, c.body FROM w CROSS JOIN LATERAL (SELECT * FROM cross_signing_key"
    "	WHERE usr = w.usr AND (w.key IS NULL OR (public = w.key AND usage = 1 AND usr <> $1)) OFFSET 0) c");
/* Who sees it: what one signed of oneself, all; what one signed of others, oneself alone. */
STMT(signatures_store,
    "WITH up AS (INSERT INTO key_signature AS s (usr, key, signer, signer_key, signature)"
    "	SELECT n.nid, u.key, $1, u.signer_key, u.signature FROM unnest($2::text[], $3::text[], $4::text[], $5::text[])"
    "	AS u(usr, key, signer_key, signature) " NAMED
    "	ON CONFLICT (usr, key, signer, signer_key) DO UPDATE SET signature = excluded.signature"
    "	WHERE s.signature <> excluded.signature RETURNING usr),"
    " note AS (" DEVICE_CHANGE_NOTE("SELECT DISTINCT usr, CASE WHEN usr = $1 THEN 0 ELSE $1::bigint END FROM up") ")"
    " SELECT room FROM local_member WHERE usr = $1 AND membership = 2 AND EXISTS (SELECT FROM up WHERE usr = $1)");

struct known {
	const char *user, *key, *body;
	enum key_usage usage;	/* KEY_NONE: a device */
};
struct upload {
	struct ctx *cx;
	struct known *v;	/* what was loaded */
	size_t n;
	struct key_sigs sigs;
	struct json *failures;
};

static const struct known *
find_known(const struct upload *u, const char *user, const char *key)
{
	size_t i;

	for (i = 0; i < u->n; i++)
		if (strcmp(u->v[i].key, key) == 0 && strcmp(u->v[i].user, user) == 0)
			return &u->v[i];
	return NULL;
}

/* Could this own key sign that one? */
static bool
may_sign(const struct known *signer, const struct known *target, bool own)
{
	if (!own)
		return signer->usage == KEY_USER_SIGNING && target->usage == KEY_MASTER;
	if (target->usage == KEY_NONE)
		return signer->usage == KEY_SELF_SIGNING;
	return target->usage == KEY_MASTER && signer->usage == KEY_NONE;
}

/* The public ed25519 key of an own device or cross-signing key. */
static bool
signer_pub(struct arena *a, const struct known *k, unsigned char pub[ED25519_PUB])
{
	const struct json *text;
	struct json *v;

	if (k->usage != KEY_NONE)
		return ed25519_read(a, k->key, strlen(k->key), pub);
	if (json_parse(a, k->body, strlen(k->body), &v) != JSON_OK)
		return false;
	text = json_get_by_esc(json_get(v, "keys"), arena_printf(a, "ed25519:%s", k->key));
	return json_is(text, JSON_STR) && ed25519_read(a, text->u.str.s, text->u.str.n, pub);
}

static void
add_failure(struct upload *u, const char *user, const char *key, enum err e, const char *text)
{
	struct arena *a = u->cx->a;
	struct json *of_user = json_get_by_esc(u->failures, user), *fault = json_new_obj(a);

	if (of_user == NULL)
		json_set_esc(a, u->failures, user, of_user = json_new_obj(a));
	json_set(a, fault, "errcode", json_new_str(a, err_code(e)));
	json_set(a, fault, "error", json_new_str(a, text));
	json_set_esc(a, of_user, key, fault);
}

/* All signatures of cx->user on one object; all must be right. What the object had already is there again: it counts as right. */
static enum err
take_object(struct upload *u, const char *user, const char *key, const struct json *obj, const char **why)
{
	const struct known *target = find_known(u, user, key), *signer;
	const struct json *sigs = signatures_of(obj, u->cx->user);
	bool own = strcmp(user, u->cx->user) == 0;
	unsigned char pub[ED25519_PUB];
	size_t i, first = u->sigs.n;

	if (target == NULL) {
		*why = "there is no such key";
		return M_NOT_FOUND;
	}
	if (strcmp(signed_body(u->cx->a, obj), target->body) != 0) {
		*why = "the object is not the key that was uploaded";
		return M_INVALID_PARAM;
	}
	for (i = 0; sigs && i < sigs->u.obj.n; i++) {
		const char *id = esc_from_raw(u->cx->a, sigs->u.obj.v[i].key, sigs->u.obj.v[i].key_n);

		if (strncmp(id, "ed25519:", 8) != 0 || (signer = find_known(u, u->cx->user, id + 8)) == NULL ||
		    !may_sign(signer, target, own))
			continue;
		if (!signer_pub(u->cx->a, signer, pub) || !body_verify(u->cx->a, target->body, sigs->u.obj.v[i].value, pub)) {
			u->sigs.n = first;
			*why = "the signature is wrong";
			return M_INVALID_SIGNATURE;
		}
		key_sigs_add(u->cx->a, &u->sigs, user, key, u->cx->user, id, sigs->u.obj.v[i].value);
	}
	*why = "there is no signature by a key of yours that may sign this";
	return u->sigs.n > first ? M_OK : M_INVALID_SIGNATURE;
}

static enum err
load(struct upload *u, const struct json *body)
{
	struct ctx *cx = u->cx;
	const char **usr, **key;
	size_t i, k, n = 0;
	struct rows r;
	enum err e;

	for (i = 0; i < body->u.obj.n; i++) {
		if (!json_is(body->u.obj.v[i].value, JSON_OBJ))
			return fail(cx, M_BAD_JSON, "users have objects of keys");
		n += body->u.obj.v[i].value->u.obj.n;
	}
	usr = arena_calloc(cx->a, n + 1, sizeof *usr);
	key = arena_calloc(cx->a, n + 1, sizeof *key);
	for (n = i = 0; i < body->u.obj.n; i++) {
		const struct json_member *m = &body->u.obj.v[i];

		for (k = 0; k < m->value->u.obj.n; k++, n++) {
			usr[n] = esc_from_raw(cx->a, m->key, m->key_n);
			key[n] = esc_from_raw(cx->a, m->value->u.obj.v[k].key, m->value->u.obj.v[k].key_n);
			if (!json_is(m->value->u.obj.v[k].value, JSON_OBJ))
				return fail(cx, M_BAD_JSON, "a signed key is an object");
		}
	}
	if ((e = db_query(cx, &r, &signatures_load, P_I64(cx->user_nid), P_TEXTS(usr, n), P_TEXTS(key, n))) != M_OK)
		return e;
	u->v = arena_calloc(cx->a, (size_t)r.n + 1, sizeof *u->v);
	while (db_next(&r))
		u->v[u->n++] = (struct known){ db_text(&r, 0), db_text(&r, 1), db_text(&r, 3), (enum key_usage)db_i64(&r, 2) };
	return M_OK;
}

static enum err
store(struct upload *u)
{
	struct ctx *cx = u->cx;
	struct rows rooms;
	enum err e;

	if (u->sigs.n == 0)
		return M_OK;
	if ((e = db_query(cx, &rooms, &signatures_store, P_I64(cx->user_nid), P_TEXTS(u->sigs.usr, u->sigs.n),
	    P_TEXTS(u->sigs.key, u->sigs.n), P_TEXTS(u->sigs.signer_key, u->sigs.n), P_TEXTS(u->sigs.signature, u->sigs.n))) == M_OK)
		device_change_wake(cx, &rooms);
	return e;
}

enum err
signatures_upload(struct ctx *cx, const struct json *body, struct json_out *o)
{
	struct upload u = { .cx = cx, .failures = json_new_obj(cx->a) };
	size_t i, k;
	enum err e;

	if ((e = load(&u, body)) != M_OK)
		return e;
	for (i = 0; i < body->u.obj.n; i++) {
		const struct json_member *m = &body->u.obj.v[i];
		const char *user = esc_from_raw(cx->a, m->key, m->key_n), *why;

		for (k = 0; k < m->value->u.obj.n; k++) {
			const struct json_member *d = &m->value->u.obj.v[k];
			const char *key = esc_from_raw(cx->a, d->key, d->key_n);

			if ((e = take_object(&u, user, key, d->value, &why)) != M_OK)
				add_failure(&u, user, key, e, why);
		}
	}
	if ((e = store(&u)) != M_OK)
		return e;
	json_value(o, "failures", u.failures);
	return M_OK;
}
