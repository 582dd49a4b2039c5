/*
 * core/db/migrate.h - `hearth migrate`: brings a database to this release's schema.
 *
 *	sql/bootstrap.sql	roles and schemas, every time
 *	sql/migrations/NNNN_name.sql	in order, each once, each in a transaction; never edited after a release
 *	sql/functions/X.sql	again when it changed, all of them in one transaction; search_path hearth
 *	sql/admin/X.sql		the same for schema admin; search_path hearth too: write "admin.x"
 *	sql/grants.sql		rights, every time
 *
 * Files of functions and admin run over what an older version of them made:
 * CREATE OR REPLACE, or DROP ... IF EXISTS before it where the form changes.
 * Views of admin that stand in a migration's way are dropped and made anew.
 * Then it pins the server's name, makes the first signing key, and, when something
 * changed, analyses the tables. Any number of processes may do it at once; a
 * database with migrations that this release does not know, or that were edited
 * since, is refused untouched.
 */
#ifndef HEARTH_MIGRATE_H
#define HEARTH_MIGRATE_H

#include "core/base/conf.h"

/* What is wrong is in the log. Waits up to half a minute for a PostgreSQL that is starting. */
bool migrate(const char *conninfo, const char *sql_dir, const char *server_name);
int migrate_main(const struct conf *conf);	/* the role `migrate`: its exit status */

#endif
