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

/* GET /_hearth/health: 200 when the database answers, else 503. */
handler_fn hearth_health;

/* The counters as Prometheus text ("text/plain; version=0.0.4"). */
void metrics_text(struct buf *b, const struct shared *sh);

/* Role metrics: answers HTTP on metrics_listen, a private address, one scraper at a time. */
int metrics_main(const struct env *env);

#endif
