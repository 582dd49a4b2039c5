/*
 * tests/db/cluster.h - PostgreSQL clusters that a test may crash, copy and throw away.
 *
 * Each lives in a folder of its own, listens on a unix socket there, and dies with the
 * test's process. Functions fail the test themselves.
 */
#ifndef HEARTH_TESTS_DB_CLUSTER_H
#define HEARTH_TESTS_DB_CLUSTER_H

#include <stdbool.h>
#include <sys/types.h>

struct cluster {
	char dir[80];		/* dir/data, dir/copy; the socket lies in dir */
	pid_t pid;		/* 0: not running */
	char url[160];		/* superuser, database `hearth` */
};

enum stop { STOP_CLEAN, STOP_CRASH };

/* Made, started, with a migrated database `hearth`. */
void cluster_init(struct cluster *c);		/* all of them have one system identifier */
void cluster_init_new(struct cluster *c);	/* one of its own */
/* Made of another's files: a base backup taken while that one runs. Not started. */
void cluster_init_backup(struct cluster *c, const struct cluster *of, bool standby);
void cluster_start(struct cluster *c);
void cluster_stop(struct cluster *c, enum stop how);
void cluster_free(struct cluster *c);

void cluster_keep_copy(struct cluster *c);	/* of the files as they are; stopped */
void cluster_put_back(struct cluster *c);	/* the copy; stopped */

/* A shell command with the cluster's programs first in PATH, PGHOST and PGUSER set, as the user who owns the files. */
void cluster_shell(struct cluster *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
