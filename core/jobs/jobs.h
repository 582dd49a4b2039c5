/*
 * core/jobs/jobs.h - work that follows a COMMIT: rows of the table job, and the loop of role `jobs`, which runs them and
 * delivers pushes.
 *
 * A job is (kind, key, args). There is at most one waiting job per (kind, key):
 * adding it again while it waits moves it ahead at most, so bursts melt together;
 * adding it while it runs makes it run once more. A job must therefore read what is
 * true when it runs. Every run is one transaction that also removes (or reschedules)
 * the row. A failure is tried again later, with growing pauses, up to 1 hour.
 *
 * THE LOOP (loop.c) does in turn: one job that is due, a look at the streams for what is to be pushed (core/push/feed.h),
 * deliveries (core/push/deliver.h), waiting. It LISTENs for wake-ups, so what is added is begun at once; a wake-up that was
 * lost is made up for by looking every few seconds. Any number of workers may run it. Calls to
 * gateways go on beside each other, and while a job waits for the network (cx->meanwhile); while one works in the database they stand
 * still: with long jobs, give it several workers.
 */
#ifndef HEARTH_JOBS_H
#define HEARTH_JOBS_H

#include <signal.h>
#include "core/base/conf.h"
#include "core/ctx.h"

/* Queues a job (db_queue: it travels with the next statement or the COMMIT), and touches the workers. args: a JSON object or NULL. run_ts 0: at once. */
void job_add(struct ctx *cx, const char *kind, const char *key, const char *args, int64_t run_ts);

/*
 * Role `jobs`: runs until *stop; the job in hand is finished first, calls under way are given a moment. counters: of pushes, or
 * NULL. *turned: when its loop turned last (CLOCK_MONOTONIC ms), for whoever asks whether it is alive. Returns the exit status.
 */
struct push_counters;
int jobs_main(const struct conf *conf, volatile sig_atomic_t *stop, struct push_counters *counters, _Atomic int64_t *turned);

/* Runs what is due now, one after the other; how many succeeded, -1 when the database does not answer. */
int jobs_run_due(struct ctx *cx);

#endif
