/*
 * fcgi/metrics.h - is it alive, and how busy is it.
 *
 * The counters lie in struct shared (shared.h). They only grow, with
 * relaxed atomics: a reader may see one a moment before another.
 */
#ifndef HEARTH_METRICS_H
#define HEARTH_METRICS_H

#include "fcgi/req.h"
#include "fcgi/shared.h"

/*
 * GET /_hearth/health, answered by whichever pool is asked: 200 when the database answers, else 503. `status` is "ok", or
 * "degraded" where a process of this container that takes no requests is silent: `park`, or `jobs` ("none": there are none here).
 */
handler_fn hearth_health;
void health_setup(const struct env *env);	/* once, in a process that answers requests */
/* The answer while the database is there; now: CLOCK_MONOTONIC ms. */
void health_write(struct json_out *o, const struct env *env, int64_t now);

/* The counters as Prometheus text ("text/plain; version=0.0.4"). */
void metrics_text(struct buf *b, const struct shared *sh);

/* Role metrics: answers HTTP on metrics_listen, a private address, one scraper at a time. */
int metrics_main(const struct env *env);

#endif
