/* fcgi/dispatch.c - what is the same for every request; see dispatch.h. */
#include "fcgi/dispatch.h"

#include <string.h>
#include <strings.h>
#include <time.h>
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/crypto/crypto.h"
#include "core/user/ratelimit.h"
#include "core/user/refresh.h"
#include "core/user/session.h"
#include "fcgi/metrics.h"
#include "fcgi/routes.h"

#define TRIES 5			/* of a transaction that PostgreSQL aborts for another's sake */
#define RETRY_AFTER_S "2"	/* of a 503 */

static const struct {
	const char *name;
	enum http_method method;
} methods[] = {
	{ "GET", HTTP_GET }, { "PUT", HTTP_PUT }, { "POST", HTTP_POST }, { "DELETE", HTTP_DELETE },
	{ "HEAD", HTTP_GET },	/* nginx leaves the body out */
};

static enum http_method
method_of(const char *name)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++)
		if (strcmp(methods[i].name, name) == 0)
			return methods[i].method;
	return HTTP_OTHER;
}

/* What a run of the handler may have filled. */
static void
outcome_reset(struct req *r)
{
	r->status = 200;
	r->content_type = "application/json";
	r->nheaders = 0;
	r->wait = NULL;
	json_out_init(&r->out, r->cx.a);
	r->cx.user = r->cx.device_id = NULL;
	r->cx.user_nid = r->cx.device = 0;
	r->cx.guest = r->cx.admin = r->cx.suspended = r->cx.unlimited = r->cx.token_unused = false;
	r->cx.err_text = r->cx.err_extra = r->cx.err_body = NULL;
	r->cx.retry_after_ms = 0;
	r->cx.touched = (struct touched){ 0 };
}

/* Of the header and the query. Both at once is refused, for they may differ ("Using access tokens"). */
static enum err
token_find(struct req *r, const char *authorization)
{
	const char *header = NULL, *query = req_query(r, "access_token");

	if (strncasecmp(authorization, "Bearer ", 7) == 0) {
		header = authorization + 7;
		header += strspn(header, " ");
	}
	if (header && query)
		return fail(&r->cx, M_MISSING_TOKEN, "the access token must be given once, not in header and query");
	r->token = header ? header : query;
	return M_OK;
}

static enum err
check_suspended(struct req *r)
{
	if (r->route->method == HTTP_GET)
		return M_OK;
	for (size_t i = 0; i < nroutes_while_suspended; i++)
		if (strcmp(routes_while_suspended[i], r->route->path) == 0)
			return M_OK;
	return fail(&r->cx, M_USER_SUSPENDED, "this account is suspended: it cannot do that");
}

/* Stays noted whatever becomes of the request: in a transaction of its own, before that of the handler goes on. */
static enum err
first_use(struct req *r)
{
	enum err e;

	if (r->route->tx != TX_NONE)
		db_rollback(&r->cx);
	e = session_first_use(&r->cx, r->token);
	if (e == M_OK && r->route->tx != TX_NONE)
		db_begin(&r->cx, r->route->tx);
	return e;
}

static enum err
authenticate(struct req *r, const char *authorization)
{
	enum access who = r->route->who;
	enum err e;

	if (who == ANYONE)
		return M_OK;
	if ((e = token_find(r, authorization)) != M_OK)
		return e;
	if (!r->token || *r->token == '\0')
		return who == MAYBE_USER ? M_OK : fail(&r->cx, M_MISSING_TOKEN, "an access token is needed");
	/* What a transaction has for its own may turn out wrong; so may who asks, for that long (E_RETRY then, and he is looked up). */
	if (r->route->tx != TX_NONE && r->cx.attempt == 0 && session_assume(&r->cx, r->token))
		e = M_OK;
	else
		e = session_find(&r->cx, r->token);
	if (e == M_USER_LOCKED && who == LOCKED_USER) {
		r->cx.err_text = r->cx.err_extra = NULL;
		return M_OK;
	}
	if (e == M_OK && r->cx.guest && who != GUEST && who != MAYBE_USER)
		return fail(&r->cx, M_GUEST_ACCESS_FORBIDDEN, "guests may not do this");
	if (e == M_OK && r->cx.suspended)
		e = check_suspended(r);
	return e == M_OK && r->cx.token_unused ? first_use(r) : e;
}

/* Once per request, not again when its transaction is. Before the body is judged: nonsense counts too. */
static enum err
rate_check(struct req *r)
{
	static const enum rate_class classes[] = {
		[R_READ] = RATE_READ, [R_WRITE] = RATE_WRITE, [R_LOGIN] = RATE_LOGIN, [R_REGISTER] = RATE_REGISTER,
	};

	if (r->route->rate == R_FREE || r->cx.attempt > 0)
		return M_OK;
	return ratelimit_take(&r->cx, classes[r->route->rate], r->remote_addr);
}

static enum err
body_parse(struct req *r)
{
	switch (json_parse(r->cx.a, r->body_raw, r->body_n, &r->body)) {
	case JSON_OK:
		break;
	case JSON_TOO_DEEP:
		return fail(&r->cx, M_BAD_JSON, "the body is nested too deeply");
	case JSON_TOO_BIG:
		return fail(&r->cx, M_TOO_LARGE, "the body is too large");
	default:
		return fail(&r->cx, M_NOT_JSON, "the body is not valid JSON");
	}
	return json_is(r->body, JSON_OBJ) ? M_OK : fail(&r->cx, M_BAD_JSON, "the body must be an object");
}

/* Reads what the row allows, one byte more to know. An empty body counts as {}. */
static enum err
body_read(struct req *r, const struct raw_request *in)
{
	size_t max = (size_t)(r->route->body_max & ~BODY_FORM) * 1024, n = 0, got, cap = 4096;
	char *p;

	r->body = json_new_obj(r->cx.a);
	r->body_raw = "";
	if (max == 0)
		return M_OK;
	if (max > (size_t)r->cx.conf->max_request_bytes)
		max = (size_t)r->cx.conf->max_request_bytes;
	p = arena_alloc(r->cx.a, cap);
	while ((got = in->body(in->arg, p + n, cap - 1 - n)) > 0) {
		if ((n += got) > max)
			return fail(&r->cx, M_TOO_LARGE, "the body must not be larger than %zu bytes", max);
		if (n == cap - 1) {
			p = arena_realloc(r->cx.a, p, cap, cap * 2);
			cap *= 2;
		}
	}
	p[n] = '\0';
	r->body_raw = p;
	r->body_n = n;
	return (r->route->body_max & BODY_FORM) || strspn(p, " \t\r\n") == n ? M_OK : body_parse(r);
}

static const char *
txn_path(struct req *r)
{
	struct buf b;

	buf_init(&b, r->cx.a);
	buf_addf(&b, "%d %s", (int)r->method, r->route->path);
	for (int i = 0; i < r->nparams; i++)
		buf_addf(&b, "\n%s", r->params[i].value);	/* esc strings hold no newline */
	return b.s;
}

static enum err
prepare(struct req *r, const struct raw_request *in)
{
	size_t path_n = strcspn(in->uri, "?");
	enum err e;

	r->method = method_of(in->method);
	r->remote_addr = in->remote_addr;
	r->user_agent = in->user_agent;
	r->query = in->uri[path_n] == '?' ? in->uri + path_n + 1 : "";
	r->cx.req_id = in->id;
	outcome_reset(r);
	if ((e = route_find(r, in->uri, path_n)) != M_OK)
		return e;
	r->cx.route = r->route->path;
	if (!r->cx.key && r->route->handler != hearth_health)
		return fail(&r->cx, E_UNAVAILABLE, "the database does not answer");
	r->txn_path = txn_path(r);
	r->body_fault = body_read(r, in);
	return M_OK;
}

/* One run of the handler, in a transaction of its own. BEGIN travels with the look-up of the token; that, where it is remembered, with the handler's first trip. */
static enum err
attempt(struct req *r, const char *authorization, const char *body_fault_text)
{
	struct ctx *cx = &r->cx;
	enum err e, guarded;

	if (r->route->tx != TX_NONE)
		db_begin(cx, r->route->tx);
	e = authenticate(r, authorization);
	if (e == M_OK)
		e = rate_check(r);
	if (e == M_OK && r->body_fault != M_OK) {
		cx->err_text = body_fault_text;
		e = r->body_fault;
	}
	if (e == M_OK)
		e = r->route->handler(r);
	if (e == M_OK || e == E_REPLY_READY) {
		enum err committed = r->route->tx == TX_NONE ? M_OK : db_commit(cx);

		if (committed == M_OK)
			return e;
		/* The writes travel with COMMIT: what is wrong with them is told here. Of two with one transaction id the second looks again. */
		e = committed == E_CONFLICT && strcmp(db_constraint(cx), "txn_pkey") == 0 ? E_RETRY : committed;
	} else if (r->route->tx != TX_NONE && (guarded = db_guarded(cx)) != M_OK) {
		e = guarded;	/* he was refused as somebody who he is no more */
	}
	db_rollback(cx);
	return e;
}

/* So that two that met do not meet again: up to 2, 4, 8 … ms. */
static void
pause_before_retry(int try)
{
	uint16_t x;
	struct timespec ts = { 0 };

	random_bytes(&x, sizeof(x));
	ts.tv_nsec = (long)x * (2000000L << try) / 65536;
	nanosleep(&ts, NULL);
}

static enum err
run(struct req *r, const char *authorization)
{
	const char *fault_text = r->cx.err_text;
	struct arena_mark mark = arena_mark(r->cx.a);
	enum err e;

	r->cx.err_text = NULL;
	for (int try = 0; (e = attempt(r, authorization, fault_text)) == E_RETRY && try < TRIES - 1; try++) {
		arena_rewind(r->cx.a, mark);
		outcome_reset(r);
		r->cx.attempt = try + 1;
		pause_before_retry(try);
	}
	return e;
}

static const char *
default_text(enum err e)
{
	switch (e) {
	case M_UNRECOGNIZED:
		return "nothing is here";
	case E_BAD_METHOD:
		return "this is not how it is asked for";
	case E_BAD_REQUEST:
		return "the path is not valid UTF-8 in percent-encoding";
	case E_UNAVAILABLE:
	case E_RETRY:
		return "the server is busy, try again";
	case M_UNKNOWN:
		return "internal error";
	case M_USER_LOCKED:
		return "this account is locked";
	default:
		return err_code(e);
	}
}

void
dispatch_error(struct req *r, enum err e, struct reply *rp)
{
	const char *text = r->cx.err_text ? r->cx.err_text : default_text(e), *extra = r->cx.err_extra;

	if (e == M_USER_LOCKED || e == E_SOFT_LOGOUT)	/* always: a client that misses it throws its keys away ("Account locking") */
		extra = "\"soft_logout\":true";
	/* What the handler had begun to say is dropped; 503 tells when to come again. */
	json_out_init(&r->out, r->cx.a);
	r->content_type = "application/json";
	r->nheaders = 0;
	r->status = err_status(e);
	if (r->status == 503)
		reply_header(r, "Retry-After", RETRY_AFTER_S);
	if (e == M_LIMIT_EXCEEDED && r->cx.retry_after_ms > 0)
		reply_header(r, "Retry-After", arena_printf(r->cx.a, "%lld", (long long)(r->cx.retry_after_ms + 999) / 1000));
	if (e == E_REPLY_READY) {
		buf_puts(&r->out.b, r->cx.err_body);
	} else {
		json_obj(&r->out, NULL);
		json_str(&r->out, "errcode", err_code(e));
		json_str(&r->out, "error", text);
		json_end(&r->out);
		if (extra) {
			r->out.b.n--;	/* the closing brace */
			buf_addf(&r->out.b, ",%s}", extra);
		}
	}
	*rp = (struct reply){ r->status, r->content_type, r->headers, r->nheaders, r->out.b.s, r->out.b.n };
}

enum err
dispatch(struct req *r, const struct raw_request *in, struct reply *rp)
{
	enum err e = prepare(r, in);

	if (strcmp(in->method, "OPTIONS") == 0) {
		*rp = (struct reply){ .status = 204, .content_type = "application/json", .body = "" };
		return M_OK;
	}
	if (e == M_OK)
		e = run(r, in->authorization);
	if (e == M_OK)
		*rp = (struct reply){ r->status, r->content_type, r->headers, r->nheaders, r->out.b.s, r->out.b.n };
	else if (e != E_PARK)
		dispatch_error(r, e, rp);
	return e;
}
