/*
 * fcgi/waiters.c - requests that may wait, in the hands of a worker.
 *
 * A batch is computed in one snapshot; then each is answered or goes (back) to park.
 * While the database is away nobody is refused who has waited already: such
 * requests go back and are tried again.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "core/base/clock.h"
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/db/db.h"
#include "core/sync/wake.h"
#include "fcgi/dispatch.h"
#include "fcgi/routes.h"
#include "fcgi/worker.h"

#define TRIES 3

/* The route that waiting requests are counted under, by kind of sync_wait. */
static size_t
wait_route(int kind)
{
	static const char *const op[] = { "sync", "getEvents" };
	static size_t found[2];		/* index + 1 */

	if (found[kind] == 0) {
		found[kind] = METRIC_ROUTES;
		for (size_t i = 0; i < nroutes; i++)
			if (strcmp(routes[i].op, op[kind]) == 0)
				found[kind] = i + 1;
	}
	return found[kind] - 1;
}

void
waiter_log(const struct env *env, const struct waiter *v, struct db_stats st, int status)
{
	size_t route = wait_route(v->wait->kind != 0);
	struct ctx cx = { .conf = env->conf, .user = v->wait->user, .route = route < nroutes ? routes[route].path : NULL };
	char id[33];

	for (int i = 0; i < 16; i++)
		snprintf(id + 2 * i, 3, "%02x", v->head.req_id[i]);
	cx.req_id = id;
	access_log(env, &cx, st, route, status, v->head.started);
}

static void
answer(struct worker *w, const struct waiter *v, const struct reply *rp)
{
	reply_send(w->a, v->fd, v->head.fcgi_id, rp);
	close(v->fd);
	waiter_log(w->env, v, db_stats(w->db), rp->status);
}

static void
answer_body(struct worker *w, const struct waiter *v, const char *body, size_t n)
{
	answer(w, v, &(struct reply){ .status = 200, .content_type = "application/json", .body = body, .body_n = n });
}

static void
answer_empty(struct worker *w, const struct waiter *v)
{
	size_t n;
	const char *body = sync_empty_body(w->a, v->wait, &n);

	answer_body(w, v, body, n);
}

static void
answer_error(struct worker *w, const struct waiter *v, struct ctx *cx, enum err e)
{
	struct req *r = arena_zalloc(w->a, sizeof(*r));
	struct reply rp;

	r->cx = *cx;
	dispatch_error(r, e, &rp);
	answer(w, v, &rp);
}

/* False when it must be answered now. */
static bool
park(struct worker *w, struct waiter *v, enum park_why why)
{
	v->head.why = (uint8_t)why;
	if (atomic_load(&w->env->sh->stopping) || (why != PARK_HEAVY && v->wait->deadline <= clock_mono_ms()) ||
	    !park_pack(w->a, v) || park_message_send(w->env->fd[FD_PARK_W], v, 1, 0) != 0)
		return false;
	close(v->fd);
	return true;
}

/* Hands it to park; where that cannot be, an empty answer makes the client come again. */
static void
park_or_answer(struct worker *w, struct waiter *v, enum park_why why)
{
	if (!park(w, v, why))
		answer_empty(w, v);
}

static enum err
compute(struct ctx *cx, struct waiter *v, size_t n, const char **body, size_t *body_n, enum err *err)
{
	struct sync_wait *wait[WAITERS_MAX];
	enum err e = E_RETRY;

	for (size_t i = 0; i < n; i++)
		wait[i] = v[i].wait;
	for (int try = 0; try < TRIES && e == E_RETRY; try++)
		if ((e = sync_compute(cx, wait, n, body, body_n, err)) != M_OK)
			db_rollback(cx);
	return e;
}

/* Nothing could be computed: who came from park goes back there, who is fresh is told. */
static void
failed(struct worker *w, struct ctx *cx, struct waiter *v, size_t n, bool back, enum err e)
{
	for (size_t i = 0; i < n; i++)
		if (back && (e == E_UNAVAILABLE || e == E_RETRY) && (v[i].wait->next || v[i].wait->since))
			park_or_answer(w, &v[i], PARK_RETRY);
		else
			answer_error(w, &v[i], cx, e);
}

static void
run(struct worker *w, struct waiter *v, size_t n, bool back)
{
	struct ctx cx = worker_ctx(w);
	const char *body[WAITERS_MAX] = { 0 };
	size_t body_n[WAITERS_MAX] = { 0 };
	enum err err[WAITERS_MAX] = { 0 }, e;

	if ((e = compute(&cx, v, n, body, body_n, err)) != M_OK) {
		failed(w, &cx, v, n, back, e);
		return;
	}
	for (size_t i = 0; i < n; i++)
		if (err[i] == M_OK)
			answer_body(w, &v[i], body[i], body_n[i]);
		else if (err[i] == E_PARK)
			park_or_answer(w, &v[i], PARK_WAIT);
		else
			answer_error(w, &v[i], &cx, err[i]);
	wake_send(&cx.touched);
}

/* An initial sync or a long catch-up: at most half the pool at a time, the others wait their turn in park. */
static void
run_heavy(struct worker *w, struct waiter *v, bool back)
{
	struct shared *sh = w->env->sh;

	if (!heavy_enter(sh) && park(w, v, PARK_HEAVY))
		return;
	failpoint("sync.heavy");
	run(w, v, 1, back);
	heavy_leave(sh, getpid());
}

static bool
is_heavy(struct worker *w, const struct waiter *v, bool back)
{
	return back ? v->head.why == PARK_HEAVY : sync_wait_heavy(w->a, v->wait);
}

void
waiters_run(struct worker *w, struct waiter *v, size_t n, bool back)
{
	struct waiter light[WAITERS_MAX], heavy[WAITERS_MAX];
	size_t nlight = 0, nheavy = 0;

	for (size_t i = 0; i < n; i++) {
		if (!v[i].wait)
			close(v[i].fd);		/* of another release: nginx asks again */
		else if (!back && v[i].wait->next)
			park_or_answer(w, &v[i], PARK_WAIT);	/* its handler has computed it */
		else if (is_heavy(w, &v[i], back))
			heavy[nheavy++] = v[i];
		else
			light[nlight++] = v[i];
	}
	if (nlight > 0)
		run(w, light, nlight, back);
	for (size_t i = 0; i < nheavy; i++)	/* nobody waits behind them */
		run_heavy(w, &heavy[i], back);
}
