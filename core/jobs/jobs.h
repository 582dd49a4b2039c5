/*
 * core/jobs/jobs.h - work that follows a COMMIT: rows of the table job, and the loop of role `jobs` that runs them.
 *
 * A job is (kind, key, args). There is at most one waiting job per (kind, key):
 * adding it again while it waits changes nothing, so bursts melt together; a
 * job must therefore read what is true when it runs, not what was in args.
 * Every run is one transaction that also removes (or reschedules) the row. A
 * failure is tried again later, with growing pauses, up to 1 hour.
 */
#ifndef HEARTH_JOBS_H
#define HEARTH_JOBS_H

#include <signal.h>
#include "core/base/conf.h"
#include "core/ctx.h"

/* Queues a job (db_queue: it travels with the next statement or the COMMIT). args: a JSON object or NULL. run_ts 0: at once. */
void job_add(struct ctx *cx, const char *kind, const char *key, const char *args, int64_t run_ts);

/* Role `jobs`: runs until *stop; the job in hand is finished first. Returns the exit status. */
int jobs_main(const struct conf *conf, volatile sig_atomic_t *stop);

/* Runs what is due now, one after the other; returns how many succeeded. For the loop and for tests. */
int jobs_run_due(struct ctx *cx);

#endif
