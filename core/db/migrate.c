/*
 * core/db/migrate.c - see migrate.h.
 *
 * A connection of its own, with plain blocking calls: nothing else happens in this
 * process. One advisory lock covers all of it, so the second of two processes
 * finds everything done.
 */
#include "core/base/b64.h"
#include "core/db/migrate.h"

#include <dirent.h>
#include <errno.h>
#include <libpq-fe.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/crypto/crypto.h"

#define WAIT_MS		30000	/* for PostgreSQL to start */
#define LOCK_TRIES	20	/* of 3 s: a migration that waits for a table must not hold up everybody behind it for long */
#define PG_VERSION_MIN	150000

struct mig {
	struct arena *a;
	PGconn *pg;
	const char *dir;
	bool changed;
	bool bare;		/* the views of schema admin are out of a migration's way */
};

struct file {
	const char *name;	/* "migrations/0001_streams.sql" */
	const char *text, *sum;
};
struct files {
	struct file *v;
	size_t n;
};

/* ---- statements */

static void
complain(const struct mig *m, const char *what, const PGresult *res)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE), *pos = PQresultErrorField(res, PG_DIAG_STATEMENT_POSITION);
	const char *message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

	/* Schema text is no secret: the whole message helps whoever wrote it. */
	log_error(NULL, "migration_failed", LS("file", what), LS("sqlstate", state), LS("at", pos),
	    LS("message", message != NULL ? message : PQerrorMessage(m->pg)), LS("context", PQresultErrorField(res, PG_DIAG_CONTEXT)));
}

/* What a migration is tried again for. */
static bool
may_go_again(const struct mig *m, const char *sqlstate)
{
	return strcmp(sqlstate, "55P03") == 0 || (strcmp(sqlstate, "2BP01") == 0 && !m->bare);
}

/* Text with any number of statements. sqlstate, if not NULL, gets the code of what went wrong; what may go again is not logged then. */
static bool
run(const struct mig *m, const char *what, const char *text, char sqlstate[6])
{
	PGresult *res = PQexec(m->pg, text);
	ExecStatusType st = PQresultStatus(res);
	bool ok = st == PGRES_COMMAND_OK || st == PGRES_TUPLES_OK || st == PGRES_EMPTY_QUERY;
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);

	if (sqlstate != NULL)
		snprintf(sqlstate, 6, "%s", ok || state == NULL ? "" : state);
	if (!ok && (sqlstate == NULL || !may_go_again(m, sqlstate)))
		complain(m, what, res);
	PQclear(res);
	return ok;
}

static void
clear(void *res)
{
	PQclear(res);
}

/* One statement with text parameters; the result is the arena's. NULL after saying why. */
static PGresult *
ask(const struct mig *m, const char *sql, int n, const char *const *values)
{
	PGresult *res = PQexecParams(m->pg, sql, n, NULL, values, NULL, NULL, 0);
	ExecStatusType st = PQresultStatus(res);

	arena_defer(m->a, clear, res);
	if (st == PGRES_COMMAND_OK || st == PGRES_TUPLES_OK)
		return res;
	complain(m, sql, res);
	return NULL;
}
#define ASK(m, sql, ...) ask(m, sql, (int)(sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *)), (const char *[]){ __VA_ARGS__ })

/* ---- files */

static bool
read_file(const struct mig *m, const char *name, struct file *f)
{
	const char *path = arena_printf(m->a, "%s/%s", m->dir, name);
	unsigned char sum[SHA256_LEN];
	FILE *in = fopen(path, "re");
	size_t n = 0, cap = 16384, got;
	char *s = arena_alloc(m->a, cap);

	if (in == NULL) {
		log_error(NULL, "migration_failed", LS("file", path), LS("message", strerror(errno)));
		return false;
	}
	while ((got = fread(s + n, 1, cap - n - 1, in)) > 0) {
		n += got;
		if (n + 1 == cap) {
			s = arena_realloc(m->a, s, cap, 2 * cap);
			cap *= 2;
		}
	}
	fclose(in);
	s[n] = '\0';
	sha256(s, n, sum);
	*f = (struct file){ arena_strdup(m->a, name), s, hex_encode(m->a, sum, sizeof(sum)) };
	return true;
}

static int
is_sql(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return d->d_name[0] != '.' && n > 4 && strcmp(d->d_name + n - 4, ".sql") == 0;
}

static int
by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* The .sql files of a folder in order; a folder that is not there has none. */
static bool
read_folder(const struct mig *m, const char *folder, struct files *out)
{
	struct dirent **v;
	int n = scandir(arena_printf(m->a, "%s/%s", m->dir, folder), &v, is_sql, by_bytes), i;
	bool ok = true;

	*out = (struct files){ 0 };
	if (n < 0) {
		ok = errno == ENOENT;
		if (!ok)
			log_error(NULL, "migration_failed", LS("file", folder), LS("message", strerror(errno)));
		return ok;
	}
	out->v = arena_calloc(m->a, (size_t)n + 1, sizeof(*out->v));
	for (i = 0; i < n; i++) {
		if (ok)
			ok = read_file(m, arena_printf(m->a, "%s/%s", folder, v[i]->d_name), &out->v[out->n++]);
		free(v[i]);
	}
	free(v);
	return ok;
}

/* ---- applying */

/* The recorded checksum, "" when it was never applied; NULL after an error. */
static const char *
recorded(const struct mig *m, const struct file *f)
{
	PGresult *res = ASK(m, "SELECT checksum FROM hearth.schema_migration WHERE name = $1", f->name);

	if (res == NULL)
		return NULL;
	return PQntuples(res) == 0 ? "" : PQgetvalue(res, 0, 0);
}

static bool
record(const struct mig *m, const struct file *f)
{
	return ASK(m, "INSERT INTO hearth.schema_migration (name, checksum) VALUES ($1, $2)"
	    " ON CONFLICT (name) DO UPDATE SET checksum = excluded.checksum, applied = clock_timestamp()", f->name, f->sum) != NULL;
}

/*
 * A table or column cannot go while a view reads it (2BP01). Those of schema admin come again behind the migrations, for
 * their files count as never run; views of the administrator's own stay, and stay in the way.
 */
#define DROP_VIEWS								\
	"DO $$ DECLARE v text; BEGIN"						\
	" SELECT string_agg(oid::regclass::text, ', ') INTO v FROM pg_class"	\
	"  WHERE relkind = 'v' AND relnamespace = to_regnamespace('admin');"	\
	" IF v IS NOT NULL THEN EXECUTE 'DROP VIEW ' || v; END IF;"		\
	" DELETE FROM hearth.schema_migration WHERE name LIKE 'admin/%'; END $$"

/* One file in its transaction. Busy tables are tried again; whatever fails leaves nothing behind. */
static bool
apply_migration(struct mig *m, const struct file *f)
{
	char state[6] = "";
	int tries;

	for (tries = 0; tries < LOCK_TRIES; tries++) {
		if (!run(m, f->name, "BEGIN; SET LOCAL lock_timeout = '3s'", NULL))
			return false;
		if ((!m->bare || run(m, f->name, DROP_VIEWS, state)) && run(m, f->name, f->text, state) && record(m, f) &&
		    run(m, f->name, "COMMIT", NULL)) {
			log_info(NULL, "migration_applied", LS("file", f->name));
			m->changed = true;
			return true;
		}
		run(m, f->name, "ROLLBACK", NULL);
		if (*state == '\0' || !may_go_again(m, state))
			return false;
		if (strcmp(state, "2BP01") == 0) {
			m->bare = true;
			continue;
		}
		log_warn(NULL, "migration_waits", LS("file", f->name), LS("message", "a table it needs is locked"));
	}
	log_error(NULL, "migration_failed", LS("file", f->name), LS("message", "a table it needs stayed locked"));
	return false;
}

static bool
apply_migrations(struct mig *m, const struct files *fs)
{
	const char *sum;
	size_t i;

	for (i = 0; i < fs->n; i++) {
		const struct file *f = &fs->v[i];

		if ((sum = recorded(m, f)) == NULL)
			return false;
		if (*sum == '\0') {
			if (!apply_migration(m, f))
				return false;
		} else if (strcmp(sum, f->sum) != 0) {
			log_error(NULL, "migration_failed", LS("file", f->name),
			    LS("message", "it was edited after it had been applied to this database"));
			return false;
		}
	}
	return true;
}

/* Functions are taken into use together: a worker sees all of the old ones or all of the new. */
static bool
apply_functions(struct mig *m, const struct files *fs)
{
	const char *sum;
	size_t i;
	bool any = false;

	if (!run(m, "functions", "BEGIN", NULL))
		return false;
	for (i = 0; i < fs->n; i++) {
		const struct file *f = &fs->v[i];

		if ((sum = recorded(m, f)) == NULL)
			return false;
		if (strcmp(sum, f->sum) == 0)
			continue;
		if (!run(m, f->name, f->text, NULL) || !record(m, f))
			return false;
		log_info(NULL, "migration_applied", LS("file", f->name));
		any = m->changed = true;
	}
	return run(m, "functions", any ? "COMMIT" : "ROLLBACK", NULL);
}

/* A migration recorded here that has no file: the database is newer than this release. */
static bool
knows_all(const struct mig *m, const struct files *fs)
{
	PGresult *res = ask(m, "SELECT name FROM hearth.schema_migration WHERE name LIKE 'migrations/%' ORDER BY name", 0, NULL);
	int i;
	size_t k;

	if (res == NULL)
		return false;
	for (i = 0; i < PQntuples(res); i++) {
		for (k = 0; k < fs->n && strcmp(fs->v[k].name, PQgetvalue(res, i, 0)) != 0; k++)
			;
		if (k == fs->n) {
			log_error(NULL, "schema_newer", LS("file", PQgetvalue(res, i, 0)),
			    LS("message", "the database was migrated by a newer release of Hearth"));
			return false;
		}
	}
	return true;
}

/* All that a release brings. */
struct release {
	struct files migrations, functions, admin;
	struct file bootstrap, grants;
};

static bool
read_release(struct mig *m, struct release *r)
{
	if (!read_folder(m, "migrations", &r->migrations) || !read_folder(m, "functions", &r->functions) ||
	    !read_folder(m, "admin", &r->admin) || !read_file(m, "bootstrap.sql", &r->bootstrap) ||
	    !read_file(m, "grants.sql", &r->grants))
		return false;
	if (r->migrations.n == 0) {
		log_error(NULL, "migration_failed", LS("file", m->dir), LS("message", "no migrations there (setting sql_dir)"));
		return false;
	}
	return true;
}

/* Is every file recorded as it is here? */
static bool
all_recorded(const struct files *fs, const PGresult *res)
{
	size_t i;
	int k, n = PQntuples(res);

	for (i = 0; i < fs->n; i++) {
		for (k = 0; k < n && strcmp(PQgetvalue(res, k, 0), fs->v[i].name) != 0; k++)
			;
		if (k == n || strcmp(PQgetvalue(res, k, 1), fs->v[i].sum) != 0)
			return false;
	}
	return true;
}

/*
 * A role that cannot act for the schema's owner, as the workers' own role is, may
 * start a server only when there is nothing to do. Whoever can runs everything again: after
 * a restore roles and rights may be missing though every file is recorded. A failing query only means no.
 */
static bool
is_current(const struct mig *m, const struct release *r, const char *server_name)
{
	PGresult *res;
	bool yes;

	res = PQexec(m->pg, "SELECT name, checksum FROM hearth.schema_migration"
	    " WHERE NOT (SELECT pg_has_role(nspowner, 'MEMBER') FROM pg_namespace WHERE nspname = 'hearth')");
	yes = PQresultStatus(res) == PGRES_TUPLES_OK && all_recorded(&r->migrations, res) && all_recorded(&r->functions, res) &&
	    all_recorded(&r->admin, res);
	PQclear(res);
	if (!yes)
		return false;
	res = PQexecParams(m->pg, "SELECT FROM hearth.server WHERE server_name = $1"
	    " AND EXISTS (SELECT FROM hearth.signing_key WHERE expired_ts IS NULL)", 1, NULL, &server_name, NULL, NULL, 0);
	yes = PQresultStatus(res) == PGRES_TUPLES_OK && PQntuples(res) == 1;
	PQclear(res);
	return yes && knows_all(m, &r->migrations);
}

static bool
apply(struct mig *m, const struct release *r)
{
	return run(m, r->bootstrap.name, r->bootstrap.text, NULL) && knows_all(m, &r->migrations) &&
	    run(m, "search_path", "SET search_path = hearth", NULL) && apply_migrations(m, &r->migrations) &&
	    apply_functions(m, &r->functions) && apply_functions(m, &r->admin) && run(m, r->grants.name, r->grants.text, NULL);
}

/* ---- what every server has once */

static bool
pin_name(const struct mig *m, const char *server_name, const char *now)
{
	PGresult *res;

	if (ASK(m, "INSERT INTO server (server_name, created_ts) VALUES ($1, $2) ON CONFLICT DO NOTHING", server_name, now) == NULL ||
	    (res = ask(m, "SELECT server_name FROM server", 0, NULL)) == NULL)
		return false;
	if (strcmp(PQgetvalue(res, 0, 0), server_name) == 0)
		return true;
	log_error(NULL, "other_server", LS("server_name", server_name), LS("database_of", PQgetvalue(res, 0, 0)),
	    LS("message", "this database belongs to a server of another name; a name cannot be changed later"));
	return false;
}

static bool
make_key(const struct mig *m, const char *now)
{
	unsigned char seed[ED25519_SEED];
	const char *id = arena_printf(m->a, "ed25519:a_%s", random_letters(m->a, 6)), *text;

	random_bytes(seed, sizeof(seed));
	text = arena_printf(m->a, "\\x%s", hex_encode(m->a, seed, sizeof(seed)));
	return ASK(m, "INSERT INTO signing_key (key_id, seed, created_ts) SELECT $1, $2::bytea, $3"
	    " WHERE NOT EXISTS (SELECT FROM signing_key WHERE expired_ts IS NULL)", id, text, now) != NULL;
}

/*
 * What a migration has filled or changed is not known to the planner before the next ANALYZE. An empty table is left alone: once it
 * is known to be empty any plan would do, and workers keep plans; of a table it knows nothing of the planner assumes a few pages.
 */
#define ANALYZE									\
	"DO $$ DECLARE t regclass; filled bool; BEGIN"			\
	" FOR t IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'hearth'::regnamespace LOOP" \
	"  EXECUTE format('SELECT EXISTS (SELECT FROM %s)', t) INTO filled;"	\
	"  IF filled THEN EXECUTE format('ANALYZE %s', t); END IF; END LOOP; END $$"

/* ---- the whole */

static bool
connect_wait(struct mig *m, const char *conninfo)
{
	static const char *const keys[] = { "connect_timeout", "application_name", "dbname", "client_encoding", NULL };
	const char *const values[] = { "5", "hearth migrate", conninfo, "UTF8", NULL };
	int64_t until = clock_mono_ms() + WAIT_MS;

	for (;;) {
		PGPing ping;

		m->pg = PQconnectdbParams(keys, values, 1);
		if (PQstatus(m->pg) == CONNECTION_OK)
			return true;
		ping = PQping(conninfo);
		/* It runs but does not want us (or the settings are nonsense): waiting would not help. */
		if (ping == PQPING_OK || ping == PQPING_NO_ATTEMPT || clock_mono_ms() > until)
			break;
		PQfinish(m->pg);
		usleep(200 * 1000);
	}
	log_error(NULL, "db_away", LS("why", PQerrorMessage(m->pg)));
	return false;
}

static void
no_notice(void *arg, const PGresult *res)
{
}

static bool
prepare(const struct mig *m)
{
	const char *encoding = PQparameterStatus(m->pg, "server_encoding");

	PQsetNoticeReceiver(m->pg, no_notice, NULL);
	if (PQserverVersion(m->pg) < PG_VERSION_MIN) {
		log_error(NULL, "migration_failed", LS("message", "PostgreSQL 15 or newer is needed"), LI("version", PQserverVersion(m->pg)));
		return false;
	}
	if (encoding == NULL || strcmp(encoding, "UTF8") != 0) {
		log_error(NULL, "migration_failed", LS("message", "the database's encoding must be UTF8"), LS("encoding", encoding));
		return false;
	}
	return run(m, "lock", "SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0;"
	    " SET synchronous_commit = on; SELECT pg_advisory_lock(7234881, 0)", NULL);
}

bool
migrate(const char *conninfo, const char *sql_dir, const char *server_name)
{
	struct mig m = { .a = arena_new(), .dir = sql_dir };
	const char *now = arena_printf(m.a, "%lld", (long long)clock_ms());
	struct release r;
	bool ok;

	/* Closing the connection gives the lock back, and rolls back what failed. */
	ok = read_release(&m, &r) && connect_wait(&m, conninfo) && prepare(&m) &&
	    (is_current(&m, &r, server_name) ||
	    (apply(&m, &r) && pin_name(&m, server_name, now) && make_key(&m, now) &&
	    (!m.changed || run(&m, "analyze", ANALYZE, NULL))));
	PQfinish(m.pg);
	arena_free(m.a);
	return ok;
}

int
migrate_main(const struct conf *conf)
{
	if (!migrate(conf->migrate_database_url, conf->sql_dir, conf->server_name))
		return 1;
	log_info(NULL, "migrated");
	return 0;
}
