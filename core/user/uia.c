/* core/user/uia.c - user-interactive authentication: one table of stages, one row per session. */
#include "core/user/uia.h"

#include <string.h>

#include "core/crypto/crypto.h"
#include "core/db/db.h"
#include "core/user/account.h"
#include "core/user/registration_token.h"

#define SESSION_MS (24LL * 3600 * 1000)
/* A lost answer is asked for again within minutes; whoever learns of an old session must get nothing by it. */
#define REPLAY_MS (15LL * 60 * 1000)

STMT(uia_insert,
    "INSERT INTO uia_session (id, endpoint, usr, params, completed, created_ts) VALUES ($1, $2, $3, $4, $5, $6)");
STMT(uia_select,
    "SELECT params, completed FROM uia_session"
    " WHERE id = $1 AND endpoint = $2 AND coalesce(usr, 0) = $3 AND result IS NULL AND created_ts > $4");
STMT(uia_complete,
    "UPDATE uia_session SET completed = array_append(completed, $2), params = $3"
    " WHERE id = $1 AND NOT $2 = ANY (completed) AND (completed = '{}' OR params = $3)");
STMT(uia_done, "UPDATE uia_session SET result = $2 WHERE id = $1 AND result IS NULL");
STMT(uia_result,
    "SELECT result FROM uia_session WHERE id = $1 AND endpoint = $2 AND coalesce(usr, 0) = $3 AND params = $4"
    " AND result IS NOT NULL AND created_ts > $5");

struct progress {
	const char *id;		/* NULL: no row yet */
	const char *completed[UIA_STAGES_MAX];
	size_t n;
	unsigned char params[SHA256_LEN];
};

/* ---- stages */

static enum err
stage_dummy(struct ctx *cx, const struct uia *u, const struct json *auth)
{
	return M_OK;
}

static enum err
stage_password(struct ctx *cx, const struct uia *u, const struct json *auth)
{
	struct credentials c;
	struct account acc;
	enum err e;

	if ((e = credentials_read(cx, auth, &c)) != M_OK || (e = credentials_check(cx, &c, &acc)) != M_OK)
		return e;
	if (acc.nid != u->usr)
		return fail(cx, M_FORBIDDEN, "this is another account");
	return M_OK;
}

static const struct {
	const char *type;
	/* M_FORBIDDEN: not passed, may be tried again */
	enum err (*run)(struct ctx *, const struct uia *, const struct json *auth);
} stages[] = {
	{ "m.login.dummy", stage_dummy },
	{ "m.login.password", stage_password },
	{ REGISTRATION_TOKEN_STAGE, registration_token_stage },
};

static enum err
stage_run(struct ctx *cx, const struct uia *u, const char *type, const struct json *auth)
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

static enum err
session_new(struct ctx *cx, const struct uia *u, struct progress *p)
{
	p->id = random_token(cx->a, 18);
	return db_exec(cx, NULL, &uia_insert, P_TEXT(p->id), P_TEXT(u->endpoint), P_I64_OR_NULL(u->usr, 0),
	    P_BYTES(p->params, sizeof p->params), P_TEXTS(p->completed, p->n), P_I64(cx->now));
}

/* p->id stays NULL when there is no such session (ended, of another endpoint or user). */
static enum err
session_load(struct ctx *cx, const struct uia *u, const char *id, struct progress *p)
{
	const char **done;
	const void *params;
	struct rows r;
	size_t n;
	enum err e;

	if ((e = db_maybe(cx, &r, &uia_select, P_TEXT(id), P_TEXT(u->endpoint), P_I64(u->usr),
	    P_I64(cx->now - SESSION_MS))) != M_OK || r.n == 0)
		return e;
	done = db_texts(&r, 1, &n);
	for (p->n = 0; p->n < n && p->n < UIA_STAGES_MAX; p->n++)
		p->completed[p->n] = done[p->n];
	params = db_bytes(&r, 0, &n);
	if (p->n > 0 && (n != sizeof p->params || memcmp(params, p->params, n) != 0))
		return fail(cx, M_FORBIDDEN, "the request has changed since it was authenticated");
	p->id = id;
	return M_OK;
}

static enum err
stage_passed(struct ctx *cx, const char *type, struct progress *p)
{
	p->completed[p->n++] = type;
	if (p->id == NULL)
		return M_OK;
	return db_exec(cx, NULL, &uia_complete, P_TEXT(p->id), P_TEXT(type), P_BYTES(p->params, sizeof p->params));
}

/* The 401 with flows and session; when the last attempt failed with errcode, error and completed (which clients look for then). */
static enum err
ask(struct ctx *cx, const struct uia *u, struct progress *p, const char *error)
{
	struct json_out o;
	enum err e;

	if (p->id == NULL && (e = session_new(cx, u, p)) != M_OK)
		return e;
	json_out_init(&o, cx->a);
	json_obj(&o, NULL);
	if (error != NULL) {
		json_str(&o, "errcode", err_code(M_FORBIDDEN));
		json_str(&o, "error", error);
	}
	if (p->n > 0 || error != NULL) {
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
	json_obj(&o, "params");
	json_end(&o);
	json_str(&o, "session", p->id);
	json_end(&o);
	cx->err_body = o.b.s;
	return E_REPLY_READY;
}

enum err
uia_check(struct ctx *cx, struct uia *u)
{
	struct json *auth = json_get(u->body, "auth");
	struct progress p = { 0 };
	const char *type, *id;
	enum err e;

	u->session = NULL;
	params_hash(cx, u->body, p.params);
	if (auth == NULL || auth->type == JSON_NULL)
		return ask(cx, u, &p, NULL);
	if (auth->type != JSON_OBJ)
		return fail(cx, M_BAD_JSON, "auth is no object");
	type = json_get_str(auth, "type");
	if ((id = json_get_str(auth, "session")) != NULL) {
		if ((e = session_load(cx, u, id, &p)) != M_OK)
			return e;
		if (p.id == NULL)
			return ask(cx, u, &p, "this session is unknown or has ended");
	}
	if (type != NULL && !is_completed(&p, type)) {
		if (!is_next(u, &p, type))
			return ask(cx, u, &p, "this is not the next stage");
		if ((e = stage_run(cx, u, type, auth)) == M_FORBIDDEN)
			return ask(cx, u, &p, cx->err_text);
		if (e != M_OK || (e = stage_passed(cx, type, &p)) != M_OK)
			return e;
	}
	if (!is_finished(u, &p))
		return ask(cx, u, &p, NULL);
	u->session = p.id;
	return M_OK;
}

enum err
uia_finish(struct ctx *cx, const struct uia *u, const char *result)
{
	int64_t n;
	enum err e;

	if (u->session == NULL)
		return M_OK;
	if ((e = db_exec(cx, &n, &uia_done, P_TEXT(u->session), P_TEXT(result))) != M_OK)
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
