/*
 * fcgi/metrics.h - counters that all processes of a container share, and health.
 *
 * One anonymous shared mapping, made by the master before it forks. Counters
 * only grow, with relaxed atomics: a reader may see one a moment early.
 */
#ifndef HEARTH_METRICS_H
#define HEARTH_METRICS_H

#include "fcgi/req.h"

/* GET /_hearth/health: 200 when the database answers, else 503. */
handler_fn hearth_health;

#endif
