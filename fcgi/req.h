/*
 * fcgi/req.h - one HTTP request, as a handler sees it.
 *
 * The dispatcher (dispatch.c) has already, from the row of routes.c: matched
 * the raw path, refused wrong methods, found the user of the access token,
 * counted the rate, read and parsed the body, and opened the transaction. A
 * handler writes its answer with the json_ functions into r->out and returns
 * M_OK; or returns what fail() gave. The dispatcher commits (on M_OK and E_REPLY_READY), then
 * answers: so a handler has no effect outside the database, and may be run again (E_RETRY).
 */
#ifndef HEARTH_REQ_H
#define HEARTH_REQ_H

#include "core/base/json.h"
#include "core/ctx.h"
#include "core/db/db.h"
#include "fcgi/reply.h"

enum http_method { HTTP_GET, HTTP_PUT, HTTP_POST, HTTP_DELETE, HTTP_OTHER };

/* Who may ask (the row's `who`). */
enum access {
	ANYONE,		/* no token looked at */
	MAYBE_USER,	/* a token is looked at if given; a bad one is an error */
	USER,		/* a user who is no guest */
	GUEST,		/* a user or a guest */
	LOCKED_USER,	/* a user, even one whose account is locked: logout */
};
enum rate { R_FREE, R_READ, R_WRITE, R_LOGIN, R_REGISTER };	/* rate classes, see core/user/ratelimit.h */
#define BODY_FORM 0x10000	/* or'ed to a row's body_max: an HTML form, read with form_value(); else JSON, an object (empty counts as {}) */

struct req;
typedef enum err handler_fn(struct req *r);

struct route {
	enum http_method method;
	const char *path;	/* "/_matrix/client/v3/rooms/{roomId}/join" */
	enum access who;
	enum rate rate;
	enum tx_mode tx;	/* db.h: TX_NONE, TX_RO, TX_RW */
	int body_max;		/* KB; 0: no body is read; | BODY_FORM */
	handler_fn *handler;	/* cl_ + operationId in snake case */
	const char *op;		/* the spec's operationId, "" where the spec has none */
};

#define REQ_PARAMS_MAX 6
struct req {
	struct ctx cx;		/* core's half: arena, db, user */
	const struct route *route;
	enum http_method method;
	const char *remote_addr;
	const char *user_agent;
	const char *token;	/* the access token as given, or NULL; never logged */
	const char *txn_path;	/* what scopes a transaction id: method, the row's path, the decoded parameters; the same for r0 and v3 */

	struct { const char *name, *value; } params[REQ_PARAMS_MAX];	/* values: esc strings, decoded once */
	int nparams;
	const char *query;	/* raw */
	struct json *body;	/* the object; never NULL when the route reads a body */
	const char *body_raw;
	size_t body_n;

	int status;		/* 200 unless a handler sets it */
	struct json_out out;
	const char *content_type;	/* default application/json */
	struct reply_header headers[8];	/* further headers of the answer */
	int nheaders;

	/*
	 * E_PARK: what park must remember (core/sync/sync.h, fcgi/park.h). With wait->next
	 * NULL it was not computed yet: the front computes it (sync_compute) when it is its turn, and answers or parks
	 * it then. So a handler of /sync checks its input, fills wait and returns E_PARK. A deadline that
	 * is past (timeout=0) is answered at once.
	 */
	struct sync_wait *wait;
	enum err body_fault;	/* the dispatcher's: why the body cannot be used; told after the token was judged */
};

const char *req_param(const struct req *r, const char *name);	/* of the path; never NULL for names in it */
/* Query parameters, decoded; NULL when absent. The last of equal names wins. Invalid UTF-8: as absent. */
const char *req_query(struct req *r, const char *name);	/* esc string */
size_t req_query_all(struct req *r, const char *name, const char ***values);
/* *out = dflt when absent; M_INVALID_PARAM when it is not an integer in [min, max] */
enum err req_query_int(struct req *r, const char *name, int64_t min, int64_t max, int64_t dflt, int64_t *out);
enum err req_query_bool(struct req *r, const char *name, bool dflt, bool *out);

/* Members of the body. need: M_MISSING_PARAM when absent; a wrong type: M_BAD_JSON. opt: *out = NULL/dflt when absent or null. */
enum err body_need_str(struct req *r, const char *key, const char **out);	/* raw; U+0000: M_BAD_JSON */
enum err body_opt_str(struct req *r, const char *key, const char **out);
enum err body_need_esc(struct req *r, const char *key, const char **out);	/* esc string: for identifiers */
enum err body_opt_esc(struct req *r, const char *key, const char **out);
enum err body_opt_obj(struct req *r, const char *key, struct json **out);
enum err body_opt_arr(struct req *r, const char *key, struct json **out);
enum err body_opt_bool(struct req *r, const char *key, bool dflt, bool *out);
enum err body_opt_int(struct req *r, const char *key, int64_t dflt, int64_t *out);

/* A field of the form in the body (BODY_FORM), decoded, raw; NULL when it is absent or no UTF-8. */
const char *form_value(struct req *r, const char *name);

enum err reply_empty(struct req *r);	/* {} */
enum err reply_redirect(struct req *r, const char *location);	/* 302 */
enum err reply_raw(struct req *r, const char *content_type, const void *p, size_t n);
void reply_header(struct req *r, const char *name, const char *value);

#endif
