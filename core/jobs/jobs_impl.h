/* core/jobs/jobs_impl.h - what the loop and the kinds of jobs share. */
#ifndef HEARTH_JOBS_IMPL_H
#define HEARTH_JOBS_IMPL_H

#include "core/ctx.h"

struct job {
	int64_t nid, gen;
	const char *kind, *key, *args;
	int attempts;		/* this one included */
	int64_t again_ts;	/* set by run(): not done, go on at this time with args; 0: done */
};

struct cleanup;
struct job_kind {
	const char *name;
	/* In a transaction (TX_RW), which the loop commits, with the removal of the row. NULL: cleanup tells what to do. */
	enum err (*run)(struct ctx *cx, struct job *j);
	int64_t every;		/* ms: it comes back by itself; 0: only when added */
	const struct cleanup *cleanup;
};
extern const struct job_kind job_kinds[];
extern const size_t njob_kinds;

/* The loop's half of jobs.c. 1: a job was run, *ok tells how; 0: none is due; -1: the database does not answer. */
int jobs_run_next(struct ctx *cx, bool *ok);
int64_t jobs_next_due(struct ctx *cx);	/* ms since 1970; INT64_MAX: nothing, as far as is known */
/* What a run needs of the database: the key, and the rows of the recurring kinds. False: it does not answer. */
bool jobs_prepare(struct ctx *cx);

enum err profile_refresh_run(struct ctx *cx, struct job *j);
enum err guests_leave_run(struct ctx *cx, struct job *j);	/* key: room nid */
enum err guests_cleanup_run(struct ctx *cx, struct job *j);
enum err deactivate_run(struct ctx *cx, struct job *j);
enum err to_device_purge_run(struct ctx *cx, struct job *j);	/* key: device nid */
enum err purge_history_run(struct ctx *cx, struct job *j);	/* keys: purge_room.c */
enum err purge_room_run(struct ctx *cx, struct job *j);
enum err hole_learn_run(struct ctx *cx, struct job *j);	/* key: hole_learn.c */
enum err mail_run(struct ctx *cx, struct job *j);		/* key: sid of an email_session */
enum err backup_purge_run(struct ctx *cx, struct job *j);	/* key: user nid */

#endif
