/*
 * fcgi/serve.c - one connection: parse, dispatch, answer, wake.
 *
 * libfcgi parses, nothing more. It believes to keep the connection (else it
 * would close it, or wait two seconds in shutdown); the answer is written by
 * reply.c, so that any process can write it.
 */
#include <fcgiapp.h>
#include <string.h>
#include <unistd.h>
#include "core/base/clock.h"
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/sync/wake.h"
#include "core/user/seen.h"
#include "fcgi/dispatch.h"
#include "fcgi/routes.h"
#include "fcgi/worker.h"

static const char *
param(const FCGX_Request *f, const char *name)
{
	const char *v = FCGX_GetParam(name, f->envp);

	return v ? v : "";
}

static size_t
stdin_read(void *arg, char *p, size_t n)
{
	FCGX_Request *f = arg;
	int got = n > 0 ? FCGX_GetStr(p, n < INT32_MAX ? (int)n : INT32_MAX, f->in) : 0;

	return got > 0 ? (size_t)got : 0;
}

/* A connection that is closed with bytes unread is reset, and the answer may be lost with it. */
static void
stdin_drain(FCGX_Request *f)
{
	char rest[8192];

	while (FCGX_GetStr(rest, sizeof(rest), f->in) > 0)
		;
}

/* nginx's $request_id: 32 hex digits. Anything else is left out of records. */
static void
req_id_pack(const char *hex, unsigned char out[16])
{
	memset(out, 0, 16);
	if (strlen(hex) != 32)
		return;
	for (int i = 0; i < 16; i++) {
		char pair[3] = { hex[2 * i], hex[2 * i + 1], '\0' };

		out[i] = (unsigned char)strtoul(pair, NULL, 16);
	}
}

static void
wake_after(const struct ctx *cx)
{
	if (cx->touched.nrooms + cx->touched.nusers == 0 || failpoint("after_commit"))
		return;
	wake_send(&cx->touched);
}

static void
respond(struct worker *w, FCGX_Request *f, int64_t started)
{
	struct raw_request in = {
		.method = param(f, "REQUEST_METHOD"), .uri = param(f, "REQUEST_URI"),
		.authorization = param(f, "HTTP_AUTHORIZATION"), .remote_addr = param(f, "REMOTE_ADDR"),
		.user_agent = param(f, "HTTP_USER_AGENT"), .id = param(f, "REQUEST_ID"),
		.body = stdin_read, .arg = f,
	};
	struct req *r = arena_zalloc(w->a, sizeof(*r));
	struct reply rp;
	enum err e;

	r->cx = worker_ctx(w);
	e = dispatch(r, &in, &rp);
	stdin_drain(f);
	if (e == E_PARK) {
		struct waiter v = { .fd = f->ipcFd, .wait = r->wait };

		v.head.fcgi_id = (uint16_t)f->requestId;
		v.head.started = started;
		req_id_pack(in.id, v.head.req_id);
		waiters_run(w, &v, 1, false);
		seen_note(&r->cx, in.remote_addr, in.user_agent);
		return;
	}
	reply_send(w->a, f->ipcFd, f->requestId, &rp);
	close(f->ipcFd);
	wake_after(&r->cx);
	access_log(w->env, &r->cx, db_stats(w->db), route_index(r->route), rp.status, started);
	seen_note(&r->cx, in.remote_addr, in.user_agent);
}

void
serve(struct worker *w, int fd)
{
	struct arena_mark mark = arena_mark(w->a);
	int64_t started = clock_mono_us();
	FCGX_Request f;

	FCGX_InitRequest(&f, -1, 0);
	f.ipcFd = fd;
	f.keepConnection = 1;
	FCGX_Detach(&f);
	if (FCGX_Accept_r(&f) != 0)
		return;		/* no request: libfcgi has closed fd */
	db_stats_reset(w->db);
	respond(w, &f, started);
	FCGX_Free(&f, 0);
	arena_rewind(w->a, mark);
}

size_t
route_index(const struct route *rt)
{
	return rt ? (size_t)(rt - routes) : METRIC_ROUTES - 1;
}

void
access_log(const struct env *env, const struct ctx *cx, struct db_stats st, size_t route, int status, int64_t started_us)
{
	int64_t us = clock_mono_us() - started_us;
	struct route_metrics *m = &env->sh->routes[route];

	m->count[status / 100]++;
	m->us += (uint64_t)us;
	m->db_us += (uint64_t)st.us;
	log_info(cx, "request", LI("status", status), LI("us", us), LI("db_us", st.us), LI("trips", st.trips),
	    LI("rows", st.rows));
}
