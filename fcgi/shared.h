/*
 * fcgi/shared.h - what the processes of one container share.
 *
 * Descriptors: made by the master before it forks, handed on when it executes
 * itself anew (SIGHUP). Memory: one shared mapping of counters and flags, with
 * atomics and no locks, so a killed process leaves nothing held.
 */
#ifndef HEARTH_SHARED_H
#define HEARTH_SHARED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "core/push/deliver.h"

/* X(index, name in HEARTH_INHERIT) */
#define SHARED_FDS(X)							\
	X(FD_WEB, "web")		/* listeners; -1: none */	\
	X(FD_SYNC, "sync")						\
	X(FD_LOGIN, "login")						\
	X(FD_METRICS, "metrics")					\
	X(FD_SHARED, "shared")		/* the memory */		\
	X(FD_PARK_R, "park_r")		/* workers -> park: requests that wait */ \
	X(FD_PARK_W, "park_w")						\
	X(FD_BACK_R, "back_r")		/* park -> sync workers: batches */ \
	X(FD_BACK_W, "back_w")						\
	X(FD_WAKE_R, "wake_r")		/* all -> park: what was touched */ \
	X(FD_WAKE_W, "wake_w")						\
	X(FD_BATON_R, "baton_r")	/* held by the park process in charge */ \
	X(FD_BATON_W, "baton_w")					\
	X(FD_READY_R, "ready_r")	/* children -> master: struct child_note */ \
	X(FD_READY_W, "ready_w")
enum shared_fd {
#define X(index, name) index,
	SHARED_FDS(X)
#undef X
	FD_COUNT
};

#define HEAVY_MAX 64
#define METRIC_ROUTES 512

struct route_metrics {
	_Atomic uint64_t count[6];	/* by status / 100 */
	_Atomic uint64_t us, db_us;
};
struct shared {
	uint64_t layout;		/* size and number of routes: another binary's differs */
	_Atomic int stopping;		/* nothing may wait any more */
	/* Sync workers that compute an initial or long sync: their pids. At most heavy_limit of them. */
	_Atomic int heavy_limit;
	_Atomic pid_t heavy[HEAVY_MAX];

	_Atomic uint64_t restarts;
	_Atomic uint64_t parked, woken, timed_out, gone, batches, tail_found;
	struct push_counters push;
	_Atomic int64_t waiting, waiting_heavy, tail_us, listen_up;
	/* CLOCK_MONOTONIC ms: when the loops of these roles turned last; 0: never. Each does so every few seconds, whatever happens. */
	_Atomic int64_t park_turn, jobs_turn;
	struct route_metrics routes[METRIC_ROUTES];
};

struct child_note {
	pid_t pid;
	enum { NOTE_READY, NOTE_PARK_IN_CHARGE } what;
};

struct conf;
/* What every role gets. */
struct env {
	const struct conf *conf;
	struct shared *sh;
	int fd[FD_COUNT];
	const char *role;
};

/* Makes the memory behind *fd, or maps the one that *fd is, unless another binary laid it out. */
struct shared *shared_map(int *fd);
void child_note(const struct env *env, int what);

/* A place among those who compute something heavy; false when all are taken. */
bool heavy_enter(struct shared *sh);
void heavy_leave(struct shared *sh, pid_t pid);	/* also by the master, for a dead one */
int heavy_free(const struct shared *sh);

#endif
