/*
 * core/jobs/jobs.c - jobs: adding them, and running those that are due.
 *
 * A job is claimed by a lease: one short transaction moves its run_ts ahead
 * (SKIP LOCKED, so several workers share the table), a second one does the work
 * and removes the row, if nobody added the job again meanwhile (gen). A worker
 * that dies leaves the lease, which ends. Nobody who adds a job ever waits for
 * one that runs.
 */
#include "core/jobs/jobs.h"

#include <string.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/db/db.h"
#include "core/db/server_key.h"
#include "core/jobs/cleanup.h"
#include "core/jobs/jobs_impl.h"
#include "core/sync/wake.h"

#define LEASE_MS	(120 * 1000)
#define AGAIN_MS	1000		/* after E_RETRY and the like */
#define PAUSE_MIN_MS	5000
#define PAUSE_MAX_MS	(3600 * 1000)

STMT(job_insert,
    "INSERT INTO job (kind, key, args, run_ts) VALUES ($1, $2, coalesce($3, '{}'), $4)"
    " ON CONFLICT (kind, key) DO UPDATE SET args = excluded.args, run_ts = least(job.run_ts, excluded.run_ts),"
    " gen = job.gen + 1, attempts = 0");
STMT(job_insert_recurring, "INSERT INTO job (kind) SELECT unnest($1::text[]) ON CONFLICT (kind, key) DO NOTHING");
STMT(job_claim,
    "UPDATE job SET run_ts = $2, attempts = attempts + 1 WHERE nid = (SELECT nid FROM job"
    "  WHERE run_ts <= $1 AND kind = ANY ($3) ORDER BY run_ts LIMIT 1 FOR UPDATE SKIP LOCKED)"
    " RETURNING nid, gen, kind, key, args, attempts");
STMT(job_done, "DELETE FROM job WHERE nid = $1 AND gen = $2");
STMT(job_again,
    "UPDATE job SET run_ts = $3, args = $4, attempts = 0, error = NULL WHERE nid = $1 AND gen = $2");
STMT(job_failed, "UPDATE job SET run_ts = $3, error = $4 WHERE nid = $1 AND gen = $2");
STMT(job_next, "SELECT min(run_ts) FROM job WHERE kind = ANY ($1)");

void
job_add(struct ctx *cx, const char *kind, const char *key, const char *args, int64_t run_ts)
{
	db_queue(cx, NULL, DB_NONE, &job_insert, P_TEXT(kind), P_TEXT(key), P_TEXT(args), P_I64(run_ts));
	touch_user(cx, WAKE_NID(WAKE_JOBS));
}

/* ---- one job */

static const struct job_kind *
kind_find(const char *name)
{
	for (size_t i = 0; i < njob_kinds; i++)
		if (strcmp(job_kinds[i].name, name) == 0)
			return &job_kinds[i];
	return NULL;
}

static const char **
kind_names(struct ctx *cx, bool recurring, size_t *n)
{
	const char **v = arena_alloc(cx->a, njob_kinds * sizeof *v);

	*n = 0;
	for (size_t i = 0; i < njob_kinds; i++)
		if (!recurring || job_kinds[i].every)
			v[(*n)++] = job_kinds[i].name;
	return v;
}

/* E_RETRY and the like are tried again by the next round, not here: nobody waits for a job. */
static enum err
job_do(struct ctx *cx, const struct job_kind *k, struct job *j)
{
	enum err e;

	db_begin(cx, TX_RW);
	if ((e = k->run ? k->run(cx, j) : cleanup_run(cx, k->cleanup, j)) != M_OK)
		return e;
	if (j->again_ts == 0 && k->every != 0)
		j->again_ts = cx->now + k->every;
	if (j->again_ts != 0)
		db_queue(cx, NULL, DB_NONE, &job_again, P_I64(j->nid), P_I64(j->gen), P_I64(j->again_ts), P_TEXT(j->args));
	else
		db_queue(cx, NULL, DB_NONE, &job_done, P_I64(j->nid), P_I64(j->gen));
	return db_commit(cx);
}

static void
job_put_off(struct ctx *cx, const struct job *j, enum err why)
{
	int64_t pause = j->attempts > 10 ? PAUSE_MAX_MS : (int64_t)PAUSE_MIN_MS << (j->attempts - 1);

	if (why == E_RETRY || why == E_UNAVAILABLE)
		pause = AGAIN_MS;
	else
		log_warn(cx, "job_failed", LS("kind", j->kind), LI("attempts", j->attempts), LS("errcode", err_code(why)));
	if (pause > PAUSE_MAX_MS)
		pause = PAUSE_MAX_MS;
	(void)db_exec(cx, NULL, &job_failed, P_I64(j->nid), P_I64(j->gen), P_I64(clock_ms() + pause), P_TEXT(err_code(why)));
}

/* 1: a job was run, *ok tells how; 0: none is due; -1: the database does not answer. */
static int
job_run_one(struct ctx *cx, bool *ok)
{
	struct job j = { 0 };
	struct rows r;
	size_t n;
	const char **known = kind_names(cx, false, &n);
	enum err e;

	cx->now = clock_ms();
	e = db_maybe(cx, &r, &job_claim, P_I64(cx->now), P_I64(cx->now + LEASE_MS), P_TEXTS(known, n));
	if (e != M_OK)
		return -1;
	if (r.n == 0)
		return 0;
	j.nid = db_i64(&r, 0);
	j.gen = db_i64(&r, 1);
	j.kind = db_text(&r, 2);
	j.key = db_text(&r, 3);
	j.args = db_text(&r, 4);
	j.attempts = (int)db_i64(&r, 5);
	e = job_do(cx, kind_find(j.kind), &j);
	if (e != M_OK) {
		db_rollback(cx);
		job_put_off(cx, &j, e);
	}
	*ok = e == M_OK;
	return 1;
}

int
jobs_run_next(struct ctx *cx, bool *ok)
{
	struct arena_mark m = arena_mark(cx->a);
	int done;

	*ok = false;
	memset(&cx->touched, 0, sizeof cx->touched);
	cx->err_text = cx->err_extra = NULL;
	cx->user = NULL;
	done = job_run_one(cx, ok);
	if (*ok)
		wake_send(&cx->touched);
	arena_rewind(cx->a, m);
	return done;
}

int
jobs_run_due(struct ctx *cx)
{
	int n = 0, done;
	bool ok;

	while ((done = jobs_run_next(cx, &ok)) > 0)
		n += ok;
	return done < 0 ? -1 : n;
}

int64_t
jobs_next_due(struct ctx *cx)
{
	struct arena_mark m = arena_mark(cx->a);
	int64_t at = INT64_MAX;
	struct rows r;
	size_t n;
	const char **known = kind_names(cx, false, &n);

	if (db_row(cx, &r, &job_next, P_TEXTS(known, n)) == M_OK && !db_null(&r, 0))
		at = db_i64(&r, 0);
	arena_rewind(cx->a, m);
	return at;
}

/* The rows of the recurring kinds; they may have been deleted by hand, or be new with this release. */
static enum err
jobs_ensure_recurring(struct ctx *cx)
{
	size_t n;
	const char **names = kind_names(cx, true, &n);

	return db_exec(cx, NULL, &job_insert_recurring, P_TEXTS(names, n));
}

bool
jobs_prepare(struct ctx *cx)
{
	static struct signing_key *key;		/* of the process; a further try, after the database failed half way, finds it */
	struct arena_mark m = arena_mark(cx->a);
	bool ok = (key != NULL || server_key_load(cx, &key) == M_OK) && jobs_ensure_recurring(cx) == M_OK;

	if (ok)
		cx->key = key;
	arena_rewind(cx->a, m);
	return ok;
}
