/* tests/db/db/migrate.c - `hearth migrate`: twice, at once, refusals, changed functions; what the roles may do. */
#include <libpq-fe.h>
#include <pthread.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/db/migrate.h"
#include "core/db/server_key.h"
#include "tests/db/harness.h"

static char dir[] = "/tmp/hearth-sql-XXXXXX";

/* A copy of sql/ that a test may change. */
static void
setup(void)
{
	char q[400];

	log_level_set(LOG_ERROR_ + 1);
	cr_assert_not_null(mkdtemp(dir));
	snprintf(q, sizeof(q), "cp -R '%s/.' %s", getenv("HEARTH_SQL_DIR"), dir);
	cr_assert_eq(system(q), 0);
}

static void
teardown(void)
{
	char q[100];

	snprintf(q, sizeof(q), "rm -rf %s", dir);
	cr_assert_eq(system(q), 0);
}

TestSuite(migrate, .init = setup, .fini = teardown);

static void
write_file(const char *name, const char *mode, const char *text)
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, mode);
	cr_assert_not_null(f);
	fputs(text, f);
	fclose(f);
}

/* An empty database beside the test's own, which a superuser or its owner migrates. */
static const char *
empty_database(const char *owner)
{
	static char name[80];

	snprintf(name, sizeof(name), "%s_e", test_dbname());
	sql("DROP DATABASE IF EXISTS %s", name);
	sql("CREATE DATABASE %s OWNER %s", name, owner);
	return test_url_of(owner, name);
}

static void
drop_empty_database(void)
{
	sql("DROP DATABASE %s_e WITH (FORCE)", test_dbname());
}

#define DENIED "42501"

static const char *
as(const char *role, const char *q)
{
	const char *state;

	sql("SET ROLE %s", role);
	state = sql_error("%s", q);
	sql("RESET ROLE");
	return state;
}

static long long
count_applied(void)
{
	return sql_int("SELECT count(*) FROM schema_migration WHERE name LIKE 'migrations/%%'");
}

Test(migrate, again_changes_nothing)
{
	const char *before = sql("SELECT string_agg(s::text, '' ORDER BY name) FROM schema_migration s");
	const char *key = sql("SELECT key_id FROM signing_key");

	cr_assert(migrate(test_url("postgres"), dir, "localhost"));
	cr_assert_str_eq(sql("SELECT string_agg(s::text, '' ORDER BY name) FROM schema_migration s"), before);
	cr_assert_str_eq(sql("SELECT key_id FROM signing_key"), key);
}

static void *
migrate_thread(void *url)
{
	return migrate(url, dir, "localhost") ? url : NULL;
}

Test(migrate, several_at_once)
{
	char *url = strdup(empty_database("postgres"));
	pthread_t t[4];
	PGconn *c;
	PGresult *res;
	int i;

	for (i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, migrate_thread, url);
	for (i = 0; i < 4; i++) {
		void *ok;

		pthread_join(t[i], &ok);
		cr_expect_not_null(ok);
	}
	c = PQconnectdb(url);
	res = PQexec(c, "SELECT (SELECT count(*) FROM hearth.signing_key), (SELECT count(*) FROM hearth.server)");
	cr_assert_str_eq(PQgetvalue(res, 0, 0), "1");
	cr_assert_str_eq(PQgetvalue(res, 0, 1), "1");
	PQclear(res);
	PQfinish(c);
	drop_empty_database();
}

Test(migrate, another_name_is_refused)
{
	cr_assert_not(migrate(test_url("postgres"), dir, "example.org"));
	cr_assert_str_eq(sql("SELECT server_name FROM server"), "localhost");
}

Test(migrate, a_new_migration_is_applied_whole_or_not_at_all)
{
	long long n = count_applied();

	write_file("migrations/9998_good.sql", "w", "CREATE TABLE good (x int); INSERT INTO good VALUES (1);");
	write_file("migrations/9999_bad.sql", "w", "CREATE TABLE bad (x int); SELECT 1/0;");
	cr_assert_not(migrate(test_url("postgres"), dir, "localhost"));
	cr_assert_eq(count_applied(), n + 1);
	cr_assert_eq(sql_int("SELECT x FROM good"), 1);
	cr_assert_str_eq(sql("SELECT coalesce(to_regclass('bad')::text, 'none')"), "none");
	write_file("migrations/9999_bad.sql", "w", "CREATE TABLE bad (x int);");
	cr_assert(migrate(test_url("postgres"), dir, "localhost"));
	cr_assert_eq(count_applied(), n + 2);
	/* and a running worker may use it at once */
	cr_assert_str_eq(sql("SELECT has_table_privilege('hearth_worker', 'bad', 'INSERT')"), "t");
	cr_assert_str_eq(sql("SELECT tableowner FROM pg_tables WHERE tablename = 'bad'"), "hearth_owner");
}

/* admin.rooms reads the tables that go, as every database of before has it. A view of somebody else is never dropped. */
Test(migrate, views_make_way)
{
	const char *rights = "SELECT count(*) FROM information_schema.table_privileges WHERE grantee = 'hearth_admin' AND table_schema = 'admin'";
	long long n = count_applied(), granted = sql_int("%s", rights), views = sql_int("SELECT count(*) FROM pg_views WHERE schemaname = 'admin'");

	write_file("migrations/9998_views.sql", "w", "ALTER TABLE current_state RENAME TO old; CREATE TABLE current_state (LIKE old INCLUDING ALL); DROP TABLE old;");
	write_file("migrations/9999_more.sql", "w", "CREATE TABLE more ();");
	sql("CREATE VIEW public.mine AS SELECT * FROM admin.rooms");
	cr_assert_not(migrate(test_url("postgres"), dir, "localhost"));
	cr_assert_eq(count_applied(), n);
	cr_assert_eq(sql_int("SELECT count(*) FROM public.mine"), 0);
	sql("DROP VIEW public.mine");
	cr_assert(migrate(test_url("postgres"), dir, "localhost"));
	cr_assert_eq(count_applied(), n + 2);
	cr_assert_eq(sql_int("SELECT count(*) FROM admin.rooms"), 0);
	cr_assert_eq(sql_int("SELECT count(*) FROM pg_views WHERE schemaname = 'admin'"), views);
	cr_assert_eq(sql_int("%s", rights), granted);
}

Test(migrate, an_edited_migration_is_refused)
{
	write_file("migrations/0002_rooms.sql", "a", "\n-- edited\n");
	cr_assert_not(migrate(test_url("postgres"), dir, "localhost"));
}

Test(migrate, a_newer_schema_is_refused_untouched)
{
	sql("INSERT INTO schema_migration VALUES ('migrations/9999_future.sql', '')");
	write_file("migrations/9000_ours.sql", "w", "CREATE TABLE ours ();");
	cr_assert_not(migrate(test_url("postgres"), dir, "localhost"));
	cr_assert_str_eq(sql("SELECT coalesce(to_regclass('ours')::text, 'none')"), "none");
}

Test(migrate, functions_come_again_when_they_change)
{
	write_file("functions/zz_test.sql", "w", "CREATE OR REPLACE FUNCTION zz() RETURNS int LANGUAGE sql RETURN 1;");
	write_file("admin/zz_test.sql", "w", "CREATE OR REPLACE FUNCTION admin.zz() RETURNS int LANGUAGE sql RETURN 10;");
	cr_assert(migrate(test_url("postgres"), dir, "localhost"));
	cr_assert_eq(sql_int("SELECT zz() + admin.zz()"), 11);
	write_file("functions/zz_test.sql", "w", "CREATE OR REPLACE FUNCTION zz() RETURNS int LANGUAGE sql RETURN 2;");
	cr_assert(migrate(test_url("postgres"), dir, "localhost"));
	cr_assert_eq(sql_int("SELECT zz() + admin.zz()"), 12);
	/* one that fails takes the others of its folder back with it */
	write_file("functions/zz_test.sql", "w", "CREATE OR REPLACE FUNCTION zz() RETURNS int LANGUAGE sql RETURN 3;");
	write_file("functions/zzz_test.sql", "w", "CREATE FUNCTION nonsense");
	cr_assert_not(migrate(test_url("postgres"), dir, "localhost"));
	cr_assert_eq(sql_int("SELECT zz()"), 2);
}

Test(migrate, waits_for_a_busy_table)
{
	pthread_t t;
	void *ok;

	write_file("migrations/9999_alter.sql", "w", "ALTER TABLE profile ADD busy int;");
	sql("BEGIN; LOCK TABLE profile IN SHARE MODE");
	pthread_create(&t, NULL, migrate_thread, strdup(test_url("postgres")));
	cr_assert(EVENTUALLY(sql_int("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'profile'::regclass") > 0));
	sql("COMMIT");
	pthread_join(t, &ok);
	cr_assert_not_null(ok);
	cr_assert_str_eq(sql("SELECT attname FROM pg_attribute WHERE attrelid = 'profile'::regclass AND attname = 'busy'"), "busy");
}

Test(migrate, one_ordinary_role_that_owns_everything)
{
	struct ctx *cx;
	struct signing_key *key;
	const char *url;

	sql("DO $$ BEGIN CREATE ROLE hearth_plain LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$");
	url = empty_database("hearth_plain");
	cr_assert(migrate(url, dir, "localhost"));
	cr_assert(migrate(url, dir, "localhost"));
	cx = session_on(url);
	cr_assert_eq(server_key_load(cx, &key), M_OK);
	session_end(cx);
	drop_empty_database();
}

Test(migrate, the_key_is_there_and_only_for_this_name)
{
	struct ctx *cx = session();
	struct conf other = *cx->conf;
	struct signing_key *a, *b;

	cr_assert_eq(server_key_load(cx, &a), M_OK);
	cr_assert_eq(server_key_load(cx, &b), M_OK);
	cr_assert_eq(strncmp(a->id, "ed25519:", 8), 0);
	cr_assert_arr_eq(a->pub, b->pub, ED25519_PUB);
	sql("INSERT INTO signing_key VALUES ('ed25519:newer', decode(repeat('01', 32), 'hex'), 1 + (SELECT max(created_ts) FROM signing_key))");
	cr_assert_eq(server_key_load(cx, &b), M_OK);
	cr_assert_str_eq(b->id, "ed25519:newer");
	sql("UPDATE signing_key SET expired_ts = 1 WHERE key_id = 'ed25519:newer'");
	cr_assert_eq(server_key_load(cx, &b), M_OK);
	cr_assert_str_eq(b->id, a->id);
	other.server_name = "example.org";
	cx->conf = &other;
	cr_assert_eq(server_key_load(cx, &b), M_UNKNOWN);
}

Test(migrate, a_worker_may_start_when_there_is_nothing_to_do)
{
	cr_assert(migrate(test_url("hearth_worker"), dir, "localhost"));
	cr_assert_not(migrate(test_url("hearth_worker"), dir, "example.org"));
	write_file("migrations/9999_new.sql", "w", "CREATE TABLE x ();");
	cr_assert_not(migrate(test_url("hearth_worker"), dir, "localhost"));
}

/* As after a dump that was restored where the roles had not been made yet. */
Test(migrate, rights_that_got_lost_come_back)
{
	sql("REVOKE ALL ON ALL TABLES IN SCHEMA hearth FROM hearth_worker; REVOKE ALL ON SCHEMA hearth FROM hearth_worker");
	cr_assert(migrate(test_url("postgres"), dir, "localhost"));
	cr_assert_str_eq(as("hearth_worker", "INSERT INTO hearth.profile VALUES (0, 'a', '1')"), "");
}

Test(migrate, nowhere_to_migrate)
{
	cr_assert_not(migrate(test_url_of("nobody_at_all", "postgres"), dir, "localhost"));
	cr_assert_not(migrate(test_url("postgres"), "/nonexistent", "localhost"));
}

/* ---- rights */

Test(migrate, worker_has_data_and_nothing_else)
{
	static const char *const denied[] = { "CREATE TABLE hearth.x ()", "CREATE TABLE public.x ()", "CREATE SCHEMA x",
		"DROP TABLE hearth.profile", "ALTER TABLE hearth.profile ADD x int", "TRUNCATE hearth.profile",
		"UPDATE hearth.stream_epoch SET tag = 0", "DELETE FROM hearth.stream_life", "UPDATE hearth.server SET server_name = 'x'",
		"DELETE FROM hearth.signing_key", "INSERT INTO hearth.schema_migration VALUES ('x', 'x')", "CREATE ROLE x",
		"COPY hearth.profile TO '/tmp/x'" };
	size_t i;

	for (i = 0; i < sizeof(denied) / sizeof(*denied); i++)
		cr_expect_str_eq(as("hearth_worker", denied[i]), DENIED, "%s", denied[i]);
	cr_expect_str_eq(as("hearth_worker", "SELECT admin.users()"), DENIED);
	cr_expect_str_eq(sql("SELECT pg_has_role('hearth_worker', 'hearth_owner', 'MEMBER')"), "f");
	cr_expect_str_eq(as("hearth_worker", "INSERT INTO hearth.profile VALUES (0, 'a', '1')"), "");
	cr_expect_str_eq(as("hearth_worker", "DELETE FROM hearth.profile"), "");
	cr_expect_str_eq(as("hearth_worker", "SELECT seed FROM hearth.signing_key"), "");
}

Test(migrate, admin_may_call_and_not_touch)
{
	static const char *const denied[] = { "SELECT * FROM hearth.profile", "SELECT seed FROM hearth.signing_key",
		"CREATE TABLE admin.x ()", "CREATE FUNCTION admin.x() RETURNS int LANGUAGE sql RETURN 1" };
	size_t i;

	for (i = 0; i < sizeof(denied) / sizeof(*denied); i++)
		cr_expect_str_eq(as("hearth_admin", denied[i]), DENIED, "%s", denied[i]);
	write_file("admin/zz_test.sql", "w", "CREATE FUNCTION admin.zz() RETURNS bigint LANGUAGE sql SECURITY DEFINER"
	    " SET search_path = hearth, pg_temp RETURN (SELECT count(*) FROM hearth.profile);");
	cr_assert(migrate(test_url("postgres"), dir, "localhost"));
	cr_expect_str_eq(as("hearth_admin", "SELECT admin.zz()"), "");
}

/* Every function that acts with its owner's rights must not be led astray by the caller's search_path. */
Test(migrate, definers_fix_their_search_path)
{
	cr_assert_str_eq(sql("SELECT string_agg(oid::regprocedure::text, ', ') FROM pg_proc WHERE prosecdef"
	    " AND pronamespace IN ('hearth'::regnamespace, 'admin'::regnamespace)"
	    " AND NOT coalesce(array_to_string(proconfig, ' ') LIKE '%%search_path=%%', false)"), "");
}
