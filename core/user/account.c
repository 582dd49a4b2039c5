/* core/user/account.c - accounts: names, creation, passwords. */
#include "core/user/account.h"

#include <ctype.h>
#include <string.h>

#include "core/base/conf.h"
#include "core/base/email.h"
#include "core/base/id.h"
#include "core/base/json.h"
#include "core/crypto/crypto.h"
#include "core/db/db.h"
#include "core/user/hash_gate.h"
#include "core/user/ratelimit.h"

#define PASSWORD_MAX 512

#define ACCOUNT_COLUMNS \
    "a.usr, n.body, a.localpart, a.password_hash, a.admin, a.kind = 'guest', a.deactivated_ts IS NOT NULL, a.locked"
STMT(account_select, "SELECT " ACCOUNT_COLUMNS " FROM account a JOIN name n ON n.nid = a.usr WHERE a.localpart = $1");
STMT(account_select_by_email,
    "SELECT " ACCOUNT_COLUMNS " FROM threepid t JOIN account a ON a.usr = t.usr JOIN name n ON n.nid = a.usr"
    " WHERE t.medium = 'email' AND t.address = $1");

/*
 * The name may be known already (rooms mention users before they register), hence DO UPDATE, which returns the row
 * in either case. The unique key of account.localpart decides between two at once.
 */
STMT(account_insert,
    "WITH n AS (INSERT INTO name (body) VALUES ($1) ON CONFLICT (body) DO UPDATE SET body = excluded.body RETURNING nid),"
    " a AS (INSERT INTO account (usr, localpart, password_hash, admin, created_ts, kind)"
    "  SELECT nid, $2, $3, $4, $5, CASE WHEN $7 THEN 'guest' ELSE 'user' END FROM n RETURNING usr),"
    " p AS (INSERT INTO profile (usr, key, value) SELECT usr, 'displayname', $6 FROM a)"
    " SELECT usr FROM a");

STMT(account_upgrade_update,
    "UPDATE account SET kind = 'user', password_hash = $2 WHERE usr = $1"
    " AND CASE WHEN kind = 'guest' THEN deactivated_ts IS NULL AND NOT locked END");
/* What the old password, or a mail, has authorized and nobody has done yet must not outlive it. */
STMT(account_password_update, "UPDATE account SET password_hash = $2 WHERE usr = $1");
STMT(account_uia_drop, "DELETE FROM uia_session WHERE usr = $1 AND result IS NULL");
STMT(account_login_token_drop, "DELETE FROM login_token WHERE usr = $1");
STMT(account_reset_drop,
    "DELETE FROM email_session WHERE purpose = 'reset' AND used_by IS NULL"
    " AND address IN (SELECT address FROM threepid WHERE usr = $1 AND medium = 'email')");

/* The localpart that a typed name means, or NULL: a full id of another server, or no name at all. */
static const char *
localpart_of(struct ctx *cx, const char *name)
{
	const char *server;
	char *s;

	if (*name == '@') {
		server = id_server(name);
		if (server == NULL || strcmp(server, cx->conf->server_name) != 0)
			return NULL;
		name = id_localpart(cx->a, name);
	}
	s = arena_strdup(cx->a, name);
	for (char *p = s; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return *s ? s : NULL;
}

/* With the account found or, as out->user NULL, not. */
static void
account_take(const struct rows *r, struct account *out)
{
	memset(out, 0, sizeof *out);
	if (r->n == 0)
		return;
	out->nid = db_i64(r, 0);
	out->user = db_text(r, 1);
	out->localpart = db_text(r, 2);
	out->password_hash = db_text(r, 3);
	out->admin = db_bool(r, 4);
	out->guest = db_bool(r, 5);
	out->deactivated = db_bool(r, 6);
	out->locked = db_bool(r, 7);
}

enum err
account_find(struct ctx *cx, const char *name, struct account *out)
{
	const char *localpart = localpart_of(cx, name);
	struct rows r = { 0 };
	enum err e;

	if (localpart != NULL && (e = db_maybe(cx, &r, &account_select, P_TEXT(localpart))) != M_OK)
		return e;
	account_take(&r, out);
	return out->user != NULL ? M_OK : fail(cx, M_NOT_FOUND, "no such user");
}

enum err
account_name_check(struct ctx *cx, const char *username, bool privileged, const char **localpart)
{
	char *s = arena_strdup(cx->a, username);

	for (char *p = s; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	if (!localpart_is_new(s))
		return fail(cx, M_INVALID_USERNAME, "a user name is made of a-z, 0-9 and . _ = - / +");
	if (strlen(s) + strlen(cx->conf->server_name) + 2 > ID_MAX)
		return fail(cx, M_INVALID_USERNAME, "the user name is too long");
	if (!privileged && *s == '_')
		return fail(cx, M_INVALID_USERNAME, "names that begin with _ are reserved");
	if (!privileged && s[strspn(s, "0123456789")] == '\0')
		return fail(cx, M_INVALID_USERNAME, "names made of digits only are reserved");
	*localpart = s;
	return M_OK;
}

enum err
account_name_free(struct ctx *cx, const char *localpart)
{
	struct rows r;
	enum err e;

	if ((e = db_maybe(cx, &r, &account_select, P_TEXT(localpart))) != M_OK)
		return e;
	return r.n ? fail(cx, M_USER_IN_USE, "this user name is taken") : M_OK;
}

const char *
account_name_random(struct ctx *cx)
{
	const char *unused;
	char *s = arena_strdup(cx->a, random_letters(cx->a, 14));

	for (char *p = s; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return account_name_check(cx, s, false, &unused) == M_OK ? s : NULL;
}

const char *
account_name_guest(struct ctx *cx)
{
	uint64_t x;

	random_bytes(&x, sizeof x);
	return arena_printf(cx->a, "%llu", (unsigned long long)(x % 9000000000 + 1000000000));
}

enum err
account_password_ok(struct ctx *cx, const char *password)
{
	size_t n = strlen(password);

	if (n == 0)
		return fail(cx, M_WEAK_PASSWORD, "the password is empty");
	if (n > PASSWORD_MAX)
		return fail(cx, M_INVALID_PARAM, "the password is longer than %d bytes", PASSWORD_MAX);
	return M_OK;
}

enum err
account_create(struct ctx *cx, const struct account_new *n, struct account *out)
{
	struct json_out name;
	struct rows r;
	enum err e;

	memset(out, 0, sizeof *out);
	out->localpart = n->localpart;
	out->user = arena_printf(cx->a, "@%s:%s", n->localpart, cx->conf->server_name);
	out->admin = n->admin;
	json_out_init(&name, cx->a);
	json_str(&name, NULL, n->displayname ? n->displayname : n->localpart);
	e = db_row(cx, &r, &account_insert, P_TEXT(out->user), P_TEXT(n->localpart), P_TEXT(n->password_hash),
	    P_BOOL(n->admin), P_I64(cx->now), P_TEXT(name.b.s), P_BOOL(n->guest));
	if (e == E_CONFLICT)
		return fail(cx, M_USER_IN_USE, "this user name is taken");
	if (e != M_OK)
		return e;
	out->nid = db_i64(&r, 0);
	return M_OK;
}

enum err
account_upgrade(struct ctx *cx, int64_t usr, const char *hash)
{
	int64_t n;
	enum err e;

	if ((e = db_exec(cx, &n, &account_upgrade_update, P_I64(usr), P_TEXT(hash))) != M_OK)
		return e;
	return n ? M_OK : fail(cx, M_USER_IN_USE, "this account is no guest's any more");
}

enum err
account_set_password(struct ctx *cx, int64_t usr, const char *hash)
{
	/* The account first: whoever acts on the old password holds it (uia_finish), and is done or too late. */
	db_queue(cx, NULL, DB_NONE, &account_password_update, P_I64(usr), P_TEXT(hash));
	db_queue(cx, NULL, DB_NONE, &account_uia_drop, P_I64(usr));
	db_queue(cx, NULL, DB_NONE, &account_login_token_drop, P_I64(usr));
	db_queue(cx, NULL, DB_NONE, &account_reset_drop, P_I64(usr));
	return db_run(cx);
}

/* ---- credentials */

/* Where `medium` and `address` stand: an e-mail address may be somebody's, a phone number nobody's here. */
static enum err
third_party_read(struct ctx *cx, const struct json *in, struct credentials *out)
{
	const char *medium = json_get_str(in, "medium"), *address = json_get_str(in, "address");

	out->third_party = true;
	if (medium != NULL && strcmp(medium, "msisdn") == 0)
		return fail(cx, M_THREEPID_MEDIUM_NOT_SUPPORTED, "nobody has a phone number here");
	if (medium != NULL && address != NULL && strcmp(medium, "email") == 0)
		out->email = email_canonical(cx->a, address);
	return M_OK;
}

/* Third-party identifiers must be told from a missing user (403, not 400), also those that nobody can have here. */
enum err
credentials_read(struct ctx *cx, const struct json *body, struct credentials *out)
{
	struct json *id = json_get(body, "identifier");
	const struct json *named_in = NULL;	/* the object whose `user` it is */
	const char *type;
	enum err e = M_OK;

	memset(out, 0, sizeof *out);
	if (id != NULL && id->type != JSON_NULL) {
		if ((type = json_get_str(id, "type")) == NULL)
			return fail(cx, M_BAD_JSON, "identifier has no type");
		if (strcmp(type, "m.id.user") == 0)
			named_in = id;
		else if (strcmp(type, "m.id.thirdparty") == 0)
			e = third_party_read(cx, id, out);
		else if (strcmp(type, "m.id.phone") == 0)
			return fail(cx, M_THREEPID_MEDIUM_NOT_SUPPORTED, "nobody has a phone number here");
		else
			return fail(cx, E_BAD_REQUEST, "unknown type of identifier");
	} else if (json_get(body, "medium") != NULL && json_get(body, "address") != NULL) {
		e = third_party_read(cx, body, out);
	} else {
		named_in = body;
	}
	if (e != M_OK)
		return e;
	if (!out->third_party && json_get(named_in, "user") == NULL)
		return fail(cx, M_MISSING_PARAM, "who? `identifier` with a user is missing");
	if (!out->third_party && (out->name = json_get_esc(cx->a, named_in, "user")) == NULL)
		return fail(cx, M_BAD_JSON, "user is no string");
	if (json_get(body, "password") == NULL)
		return fail(cx, M_MISSING_PARAM, "password is missing");
	if ((out->password = json_get_str(body, "password")) == NULL)
		return fail(cx, M_BAD_JSON, "password is no string");
	return M_OK;
}

enum err
credentials_check(struct ctx *cx, const struct credentials *c, struct account *out)
{
	const char *who = c->third_party ? c->email : localpart_of(cx, c->name);
	struct rows limit = { 0 }, r = { 0 };
	enum err e;

	if (who != NULL) {
		ratelimit_password_queue(cx, who, &limit);
		db_queue(cx, &r, DB_MAYBE, c->third_party ? &account_select_by_email : &account_select, P_TEXT(who));
		if ((e = db_run(cx)) != M_OK || (e = ratelimit_password_taken(cx, &limit)) != M_OK)
			return e;
	}
	account_take(&r, out);
	if (strlen(c->password) > PASSWORD_MAX || !gated_password_check(cx, c->password, out->password_hash))
		return fail(cx, M_FORBIDDEN, "wrong user name or password");
	return ratelimit_password_right(cx, who, &limit);
}
