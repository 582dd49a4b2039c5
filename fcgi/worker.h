/*
 * fcgi/worker.h - the roles web, sync and login: one process, one request at a time.
 *
 *	worker_main	the loop: listener, returned batches, signals, half-sent requests
 *	serve.c		one connection: parse, dispatch, answer, wake
 *	waiters.c	requests that may wait: compute a batch, answer or park each
 */
#ifndef HEARTH_WORKER_H
#define HEARTH_WORKER_H

#include "core/ctx.h"
#include "core/db/db.h"
#include "fcgi/park.h"
#include "fcgi/req.h"
#include "fcgi/shared.h"

struct worker {
	const struct env *env;
	struct arena *a;		/* rewound after every request */
	struct db *db;
	struct known_rooms *known;
	struct known_sessions *sessions;
	struct signing_key *key;	/* loaded when the database first answers */
};

int worker_main(const struct env *env);

/* A fresh context for one request or batch, on the worker's arena. Its key is NULL until the database could be asked for it. */
struct ctx worker_ctx(struct worker *w);

/* Serves the request that waits in fd, and closes it (or hands it to park). */
void serve(struct worker *w, int fd);

/* Computes up to WAITERS_MAX waiters, heavy ones last; answers each or parks it; closes their fds. back: they come from park. */
void waiters_run(struct worker *w, struct waiter *v, size_t n, bool back);

/* The access line and the counters. */
void access_log(const struct env *env, const struct ctx *cx, struct db_stats st, size_t route, int status, int64_t started_us);
size_t route_index(const struct route *rt);	/* NULL: where nothing matched */
/* The same for a request that may have waited. */
void waiter_log(const struct env *env, const struct waiter *v, struct db_stats st, int status);

#endif
