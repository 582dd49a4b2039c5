/* core/user/uia.c - user-interactive authentication: one table of stages, one row per session. */
#include "core/user/uia.h"

#include <string.h>

#include "core/crypto/crypto.h"
#include "core/db/db.h"
#include "core/user/account.h"
#include "core/user/hash_gate.h"
#include "core/user/registration_token.h"
#include "core/user/terms.h"
#include "core/user/uia_impl.h"

/* A lost answer is asked for again within minutes; whoever learns of an old session must get nothing by it. */
#define REPLAY_MS (15LL * 60 * 1000)
#define REMEMBERED_MAX 4096

STMT(uia_insert,
    "INSERT INTO uia_session (id, endpoint, usr, params, completed, flows, bound, token, email_sid, terms, created_ts, body,"
    " password_hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)");
STMT(uia_recalled,
    "SELECT body, password_hash FROM uia_session WHERE id = $1 AND endpoint = $2 AND created_ts > $3 AND body IS NOT NULL");
/* A password was given for what was asked then, wherever it was entered. */
STMT(uia_select,
    "SELECT params, completed, bound OR 'm.login.password' = ANY (completed), token, email_sid, terms, endpoint"
    " FROM uia_session WHERE id = $1 AND coalesce(usr, 0) = $2 AND result IS NULL AND created_ts > $3");
/* $6: what was completed before; another request may have gone on meanwhile, perhaps along another flow. */
STMT(uia_complete,
    "UPDATE uia_session SET completed = array_append(completed, $2), params = $3, bound = true, token = coalesce($4, token),"
    " email_sid = coalesce($5, email_sid)"
    " WHERE id = $1 AND result IS NULL AND completed = $6::text[] AND (NOT bound OR params = $3)");
STMT(uia_email_put, "UPDATE uia_session SET email_sid = $2 WHERE id = $1 AND result IS NULL AND completed = $3::text[]");
STMT(uia_done, "UPDATE uia_session SET result = $2, params = $3 WHERE id = $1 AND result IS NULL AND (NOT bound OR params = $3)");
/* The hash was checked outside of this transaction. Nobody changes it before this one ends. */
STMT(uia_password_confirm, "SELECT 1 FROM account WHERE usr = $1 AND password_hash = $2 FOR NO KEY UPDATE");
STMT(uia_result,
    "SELECT result FROM uia_session WHERE id = $1 AND endpoint = $2 AND coalesce(usr, 0) = $3 AND params = $4"
    " AND result IS NOT NULL AND created_ts > $5");

struct progress {
	const char *id;		/* NULL: no row yet */
	const char *completed[UIA_STAGES_MAX];
	size_t n;
	bool bound;		/* the parameters may not change any more */
};

/* ---- stages */

static enum err
stage_dummy(struct ctx *cx, struct uia *u, const struct json *auth)
{
	return M_OK;
}

static enum err
stage_password(struct ctx *cx, struct uia *u, const struct json *auth)
{
	struct credentials c;
	struct account acc;
	enum err e;

	if ((e = credentials_read(cx, auth, &c)) != M_OK || (e = credentials_check(cx, &c, &acc)) != M_OK)
		return e;
	if (acc.nid != u->usr)
		return fail(cx, M_FORBIDDEN, "this is another account");
	u->proof.password_hash = acc.password_hash;
	return M_OK;
}

/* Only what was shown can be accepted, and that is remembered with the session. */
static enum err
stage_terms(struct ctx *cx, struct uia *u, const struct json *auth)
{
	return u->proof.terms != NULL ? M_OK : fail(cx, M_FORBIDDEN, "the policies were not shown yet: use the session of this answer");
}

/*
 * threepid_creds says which session of an address; without it, it is the one that was named before (by a request, or by the
 * fallback page). One that is right but not validated yet is remembered: after the click, the session's id is enough.
 */
static enum err
stage_email(struct ctx *cx, struct uia *u, const struct json *auth)
{
	const struct json *creds = json_get(auth, "threepid_creds");
	const char *sid, *secret;
	bool validated;
	enum err e;

	if (creds == NULL)
		creds = json_get(auth, "threepidCreds");	/* as old clients write it */
	if (creds == NULL && u->proof.email_sid != NULL) {
		if ((e = email_session_validated(cx, u->email, u->proof.email_sid, &validated)) != M_OK)
			return e;
		return validated ? M_OK : fail(cx, M_THREEPID_AUTH_FAILED, "the address is not validated yet: open the link in the mail");
	}
	sid = json_get_str(creds, "sid");
	secret = json_get_str(creds, "client_secret");
	if (sid == NULL || secret == NULL)
		return fail(cx, M_MISSING_PARAM, "threepid_creds with sid and client_secret is missing");
	if ((e = email_creds_check(cx, u->email, sid, secret, &validated)) != M_OK)
		return e;
	u->proof.email_sid = sid;
	return validated ? M_OK : fail(cx, M_THREEPID_AUTH_FAILED, "the address is not validated yet: open the link in the mail");
}

static const struct {
	const char *type;
	/* M_FORBIDDEN, M_THREEPID_AUTH_FAILED: not passed, may be tried again */
	enum err (*run)(struct ctx *, struct uia *, const struct json *auth);
} stages[] = {
	{ "m.login.dummy", stage_dummy },
	{ "m.login.password", stage_password },
	{ REGISTRATION_TOKEN_STAGE, registration_token_stage },
	{ TERMS_STAGE, stage_terms },
	{ EMAIL_STAGE, stage_email },
};

enum err
uia_stage_run(struct ctx *cx, struct uia *u, const char *type, const struct json *auth)
{
	for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
		if (strcmp(stages[i].type, type) == 0)
			return stages[i].run(cx, u, auth);
	return fail(cx, M_FORBIDDEN, "unknown type of authentication");
}

/* ---- flows */

static bool
is_completed(const struct progress *p, const char *type)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->completed[i], type) == 0)
			return true;
	return false;
}

/* Stages go in the order of a flow: how many of f's stages are what has been completed so far? -1: another flow's. */
static int
flow_matched(const struct uia_flow *f, const struct progress *p)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		if (f->stages[i] == NULL || strcmp(f->stages[i], p->completed[i]) != 0)
			return -1;
	return (int)i;
}

static bool
is_next(const struct uia *u, const struct progress *p, const char *type)
{
	for (size_t i = 0; i < u->nflows; i++) {
		int at = flow_matched(&u->flows[i], p);

		if (at >= 0 && u->flows[i].stages[at] != NULL && strcmp(u->flows[i].stages[at], type) == 0)
			return true;
	}
	return false;
}

static bool
is_finished(const struct uia *u, const struct progress *p)
{
	for (size_t i = 0; i < u->nflows; i++) {
		int at = flow_matched(&u->flows[i], p);

		if (at > 0 && u->flows[i].stages[at] == NULL)
			return true;
	}
	return false;
}

/* ---- sessions */

/* Passwords are left out: a plain hash of one must not lie in the database. */
static void
params_hash(struct ctx *cx, const struct json *body, unsigned char out[SHA256_LEN])
{
	struct json *v = json_is(body, JSON_OBJ) ? json_copy(cx->a, body) : json_new_obj(cx->a);
	const char *text;
	size_t n;

	json_del(v, "auth");
	json_del(v, "password");
	json_del(v, "new_password");
	text = json_canonical_str(cx->a, v, &n);
	sha256(text, n, out);
}

/* Each flow as one text, its stages parted by spaces: for the fallback pages. */
static const char **
flow_texts(struct ctx *cx, const struct uia *u)
{
	const char **v = arena_calloc(cx->a, u->nflows, sizeof *v);
	struct buf b;

	for (size_t i = 0; i < u->nflows; i++) {
		buf_init(&b, cx->a);
		for (const char *const *s = u->flows[i].stages; *s; s++)
			buf_addf(&b, "%s%s", b.n > 0 ? " " : "", *s);
		v[i] = b.s;
	}
	return v;
}

static bool
is_offered(const struct uia *u, const char *type)
{
	for (size_t i = 0; i < u->nflows; i++)
		for (const char *const *s = u->flows[i].stages; *s; s++)
			if (strcmp(*s, type) == 0)
				return true;
	return false;
}

/*
 * NULL: nothing to remember. An access token must not lie in the database, so what holds one is not remembered; nor what is so
 * large that nobody's registration holds it.
 */
static const char *
body_to_remember(struct ctx *cx, const struct uia *u, const char **password_hash)
{
	const char *password = json_get_str(u->body, "password"), *text;
	struct json *v;
	size_t n;

	if (!u->remember || !json_is(u->body, JSON_OBJ) || json_get(u->body, "guest_access_token") != NULL)
		return NULL;
	v = json_copy(cx->a, u->body);
	json_del(v, "auth");
	json_del(v, "password");
	text = json_canonical_str(cx->a, v, &n);
	if (n > REMEMBERED_MAX || (v->u.obj.n == 0 && password == NULL))
		return NULL;
	if (password != NULL)
		*password_hash = gated_password_hash(cx, password);
	return text;
}

static enum err
session_new(struct ctx *cx, struct uia *u, struct progress *p)
{
	const char *password_hash = NULL, *body = body_to_remember(cx, u, &password_hash);

	p->id = random_token(cx->a, 18);
	u->proof.terms = is_offered(u, TERMS_STAGE) ? terms_current(cx->conf) : NULL;
	return db_exec(cx, NULL, &uia_insert, P_TEXT(p->id), P_TEXT(u->endpoint), P_I64_OR_NULL(u->usr, 0),
	    P_BYTES(u->params, sizeof u->params), P_TEXTS(p->completed, p->n), P_TEXTS(flow_texts(cx, u), u->nflows), P_BOOL(p->bound),
	    P_TEXT(u->proof.token), P_TEXT(u->proof.email_sid), P_TEXT(u->proof.terms), P_I64(cx->now),
	    P_TEXT(body), P_TEXT(password_hash));
}

/* p->id stays NULL when there is no such session (ended, of another user). */
static enum err
session_load(struct ctx *cx, struct uia *u, const char *id, struct progress *p)
{
	const char **done;
	const void *params;
	struct rows r;
	size_t n;
	enum err e;

	if ((e = db_maybe(cx, &r, &uia_select, P_TEXT(id), P_I64(u->usr), P_I64(cx->now - UIA_SESSION_MS))) != M_OK || r.n == 0)
		return e;
	if (strcmp(db_text(&r, 6), u->endpoint) != 0)
		return fail(cx, M_FORBIDDEN, "this session was begun for something else");
	done = db_texts(&r, 1, &n);
	for (p->n = 0; p->n < n && p->n < UIA_STAGES_MAX; p->n++)
		p->completed[p->n] = done[p->n];
	p->bound = db_bool(&r, 2);
	params = db_bytes(&r, 0, &n);
	if (p->bound && (n != sizeof u->params || memcmp(params, u->params, n) != 0))
		return fail(cx, M_FORBIDDEN, "the request has changed since it was authenticated");
	u->proof = (struct uia_proof){ .token = db_text(&r, 3), .email_sid = db_text(&r, 4), .terms = db_text(&r, 5) };
	p->id = id;
	return M_OK;
}

static enum err
stage_passed(struct ctx *cx, struct uia *u, const char *type, struct progress *p)
{
	int64_t n;
	enum err e;

	if (p->id != NULL) {
		if ((e = db_exec(cx, &n, &uia_complete, P_TEXT(p->id), P_TEXT(type), P_BYTES(u->params, sizeof u->params),
		    P_TEXT(u->proof.token), P_TEXT(u->proof.email_sid), P_TEXTS(p->completed, p->n))) != M_OK)
			return e;
		if (n == 0)
			return E_RETRY;
	}
	p->completed[p->n++] = type;
	p->bound = true;
	return M_OK;
}

/* The documents to accept, as they were shown first in this session. */
static void
put_params(const struct uia *u, struct json_out *o)
{
	json_obj(o, "params");
	if (u->proof.terms != NULL) {
		json_obj(o, TERMS_STAGE);
		json_raw(o, "policies", u->proof.terms);
		json_end(o);
	}
	json_end(o);
}

/* The 401 with flows and session; when the last attempt failed with errcode, error and completed (which clients look for then). */
static enum err
ask(struct ctx *cx, struct uia *u, struct progress *p, enum err why)
{
	const char *error = cx->err_text;
	struct json_out o;
	enum err e;

	if (p->id == NULL && (e = session_new(cx, u, p)) != M_OK)
		return e;
	json_out_init(&o, cx->a);
	json_obj(&o, NULL);
	if (why != M_OK) {
		json_str(&o, "errcode", err_code(why));
		json_str(&o, "error", error);
	}
	if (p->n > 0 || why != M_OK) {
		json_arr(&o, "completed");
		for (size_t i = 0; i < p->n; i++)
			json_str(&o, NULL, p->completed[i]);
		json_end(&o);
	}
	json_arr(&o, "flows");
	for (size_t i = 0; i < u->nflows; i++) {
		json_obj(&o, NULL);
		json_arr(&o, "stages");
		for (const char *const *s = u->flows[i].stages; *s; s++)
			json_str(&o, NULL, *s);
		json_end(&o);
		json_end(&o);
	}
	json_end(&o);
	put_params(u, &o);
	json_str(&o, "session", p->id);
	json_end(&o);
	cx->err_body = o.b.s;
	return E_REPLY_READY;
}

/* One attempt at the stage `type`. M_OK: passed. E_REPLY_READY: the 401 that says why not. */
static enum err
attempt(struct ctx *cx, struct uia *u, struct progress *p, const char *type, const struct json *auth)
{
	const char *sid = u->proof.email_sid;
	enum err e, kept;

	if (!is_next(u, p, type))
		return ask(cx, u, p, fail(cx, M_FORBIDDEN, "this is not the next stage"));
	e = uia_stage_run(cx, u, type, auth);
	if (e == M_OK)
		return stage_passed(cx, u, type, p);
	if (!uia_not_passed(e))
		return e;
	if (p->id != NULL && u->proof.email_sid != sid && (kept = db_exec(cx, NULL, &uia_email_put, P_TEXT(p->id),
	    P_TEXT(u->proof.email_sid), P_TEXTS(p->completed, p->n))) != M_OK)
		return kept;
	return ask(cx, u, p, e);
}

enum err
uia_check(struct ctx *cx, struct uia *u)
{
	struct json *auth = json_get(u->body, "auth");
	struct progress p = { 0 };
	const char *type, *id;
	enum err e;

	u->session = NULL;
	u->proof = (struct uia_proof){ 0 };
	params_hash(cx, u->body, u->params);
	if (auth == NULL || auth->type == JSON_NULL)
		return ask(cx, u, &p, M_OK);
	if (auth->type != JSON_OBJ)
		return fail(cx, M_BAD_JSON, "auth is no object");
	type = json_get_str(auth, "type");
	if ((id = json_get_str(auth, "session")) != NULL) {
		if ((e = session_load(cx, u, id, &p)) != M_OK)
			return e;
		if (p.id == NULL)
			return ask(cx, u, &p, fail(cx, M_FORBIDDEN, "this session is unknown or has ended"));
	}
	/* The link in a mail was opened, perhaps: no type is given then. */
	if (type == NULL && u->proof.email_sid != NULL && is_next(u, &p, EMAIL_STAGE))
		type = EMAIL_STAGE;
	if (type != NULL && !is_completed(&p, type) && (e = attempt(cx, u, &p, type, auth)) != M_OK)
		return e;
	if (!is_finished(u, &p))
		return ask(cx, u, &p, M_OK);
	u->session = p.id;
	for (size_t i = 0; i < p.n; i++)
		u->completed[i] = p.completed[i];
	return M_OK;
}

enum err
uia_recall(struct ctx *cx, const char *endpoint, struct json **body, const char **password_hash)
{
	struct json *auth = json_get(*body, "auth"), *v;
	const char *id = json_get_str(auth, "session");
	struct rows r;
	enum err e;

	if (id == NULL || (*body)->u.obj.n != 1)
		return M_OK;
	if ((e = db_maybe(cx, &r, &uia_recalled, P_TEXT(id), P_TEXT(endpoint), P_I64(cx->now - UIA_SESSION_MS))) != M_OK || r.n == 0)
		return e;
	if (json_parse(cx->a, db_text(&r, 0), strlen(db_text(&r, 0)), &v) != JSON_OK)
		return M_OK;
	json_set(cx->a, v, "auth", auth);
	*body = v;
	*password_hash = db_text(&r, 1);
	return M_OK;
}

bool
uia_passed(const struct uia *u, const char *type)
{
	for (size_t i = 0; i < UIA_STAGES_MAX && u->completed[i] != NULL; i++)
		if (strcmp(u->completed[i], type) == 0)
			return true;
	return false;
}

enum err
uia_finish(struct ctx *cx, const struct uia *u, const char *result)
{
	struct rows r;
	int64_t n;
	enum err e;

	if (u->proof.password_hash != NULL) {
		if ((e = db_maybe(cx, &r, &uia_password_confirm, P_I64(u->usr), P_TEXT(u->proof.password_hash))) != M_OK)
			return e;
		if (r.n == 0)
			return E_RETRY;
	}
	if (u->session == NULL)
		return M_OK;
	if ((e = db_exec(cx, &n, &uia_done, P_TEXT(u->session), P_TEXT(result), P_BYTES(u->params, sizeof u->params))) != M_OK)
		return e;
	return n ? M_OK : E_RETRY;
}

enum err
uia_replay(struct ctx *cx, const struct uia *u, const char **result)
{
	const char *id = json_get_str(json_get(u->body, "auth"), "session");
	unsigned char params[SHA256_LEN];
	struct rows r;
	enum err e;

	*result = NULL;
	if (id == NULL)
		return M_OK;
	params_hash(cx, u->body, params);
	if ((e = db_maybe(cx, &r, &uia_result, P_TEXT(id), P_TEXT(u->endpoint), P_I64(u->usr),
	    P_BYTES(params, sizeof params), P_I64(cx->now - REPLAY_MS))) != M_OK)
		return e;
	if (r.n > 0)
		*result = db_text(&r, 0);
	return M_OK;
}
