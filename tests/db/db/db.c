/* tests/db/db/db.c - core/db against a real server: values, errors, order, transactions, lost connections. */
#include <math.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "tests/db/harness.h"

TestSuite(db);

STMT(t_echo, "SELECT $1::text, $2::bigint, $3::boolean, $4::bytea, $5::bigint[], $6::text[], $7::float8, $8::bigint");
STMT(t_series, "SELECT i FROM generate_series(1, $1::bigint) i");
STMT(t_insert, "INSERT INTO profile (usr, key, value) VALUES (0, $1, $2)");
STMT(t_upsert, "INSERT INTO profile (usr, key, value) VALUES (0, $1, $2) ON CONFLICT (usr, key) DO UPDATE SET value = excluded.value");
STMT(t_select, "SELECT value FROM profile WHERE usr = 0 AND key = $1");
STMT(t_update_all, "UPDATE profile SET value = $1 WHERE usr = 0");
STMT(t_divide, "SELECT 1 / $1::bigint");
STMT(t_lock, "SELECT value FROM profile WHERE usr = 0 AND key = $1 FOR NO KEY UPDATE");
STMT(t_star, "SELECT * FROM profile WHERE usr = 0");
STMT(t_setting, "SELECT current_setting($1)");
STMT(t_set, "SELECT set_config($1, $2, false)");
STMT(t_sleep, "SELECT 1 FROM (SELECT pg_sleep($1::float8)) s");
STMT(t_big, "SELECT repeat('x', $1::int), length($2::text)");
STMT(t_snapshot, "SELECT count(*) FROM profile");

static struct ctx *cx;

static void
setup(void)
{
	cx = session();
}

#define OK(e) cr_assert_eq((e), M_OK)

static const char *
value_of(const char *key)
{
	return sql("SELECT value FROM profile WHERE usr = 0 AND key = '%s'", key);
}

Test(db, values_travel_both_ways, .init = setup)
{
	static const char *const texts[] = { "plain", "with \" and \\ and ,{}", "", NULL, "NULL", "\xc3\xa4 \n" };
	static const int64_t ints[] = { INT64_MIN, -1, 0, INT64_MAX };
	static const unsigned char bytes[] = { 0, 1, 0xff, '\\', 0 };
	struct rows r;
	size_t n, i;
	const char **t;
	int64_t *v;

	OK(db_row(cx, &r, &t_echo, P_TEXT("it's \\ ok"), P_I64(INT64_MIN), P_BOOL(true), P_BYTES(bytes, sizeof(bytes)), P_I64S(ints, 4),
	    P_TEXTS(texts, 6), P_DOUBLE(0.1), P_I64_OR_NULL(7, 7)));
	cr_assert_str_eq(db_text(&r, 0), "it's \\ ok");
	cr_assert_eq(db_i64(&r, 1), INT64_MIN);
	cr_assert(db_bool(&r, 2));
	cr_assert_arr_eq(db_bytes(&r, 3, &n), bytes, sizeof(bytes));
	cr_assert_eq(n, sizeof(bytes));
	v = db_i64s(&r, 4, &n);
	cr_assert_eq(n, 4);
	cr_assert_arr_eq(v, ints, sizeof(ints));
	t = db_texts(&r, 5, &n);
	cr_assert_eq(n, 6);
	for (i = 0; i < n; i++)
		if (texts[i] == NULL)
			cr_assert_null(t[i]);
		else
			cr_assert_str_eq(t[i], texts[i]);
	cr_assert(fabs(strtod(db_text(&r, 6), NULL) - 0.1) < 1e-17);
	cr_assert(db_null(&r, 7));
	cr_assert_null(db_text(&r, 7));
}

Test(db, nulls_and_empty_arrays, .init = setup)
{
	struct rows r;
	size_t n;

	OK(db_row(cx, &r, &t_echo, P_TEXT(NULL), P_NULL, P_NULL, P_BYTES("", 0), P_I64S(NULL, 0), P_TEXTS(NULL, 0), P_NULL, P_NULL));
	cr_assert(db_null(&r, 0));
	cr_assert_eq(db_i64(&r, 1), 0);
	cr_assert_not(db_bool(&r, 2));
	cr_assert_not_null(db_bytes(&r, 3, &n));
	cr_assert_eq(n, 0);
	cr_assert_not_null(db_i64s(&r, 4, &n));
	cr_assert_eq(n, 0);
	cr_assert_not_null(db_texts(&r, 5, &n));
	cr_assert_eq(n, 0);
}

Test(db, expected_rows, .init = setup)
{
	struct rows r;
	int64_t sum = 0, affected;

	cr_assert_eq(db_row(cx, &r, &t_series, P_I64(0)), M_NOT_FOUND);
	OK(db_row(cx, &r, &t_series, P_I64(1)));
	cr_assert_eq(db_row(cx, &r, &t_series, P_I64(2)), M_UNKNOWN, "two rows where one was expected");
	OK(db_maybe(cx, &r, &t_series, P_I64(0)));
	cr_assert_eq(r.n, 0);
	cr_assert_eq(db_maybe(cx, &r, &t_series, P_I64(2)), M_UNKNOWN);
	OK(db_query(cx, &r, &t_series, P_I64(100)));
	while (db_next(&r))
		sum += db_i64(&r, 0);
	cr_assert_eq(sum, 5050);
	OK(db_exec(cx, NULL, &t_insert, P_TEXT("a"), P_TEXT("1")));
	OK(db_exec(cx, NULL, &t_insert, P_TEXT("b"), P_TEXT("1")));
	OK(db_exec(cx, &affected, &t_update_all, P_TEXT("2")));
	cr_assert_eq(affected, 2);
}

Test(db, a_row_that_is_not_there_leaves_the_transaction_open, .init = setup)
{
	struct rows r;

	db_begin(cx, TX_RW);
	cr_assert_eq(db_row(cx, &r, &t_select, P_TEXT("a")), M_NOT_FOUND);
	OK(db_exec(cx, NULL, &t_insert, P_TEXT("a"), P_TEXT("1")));
	OK(db_commit(cx));
	cr_assert_str_eq(value_of("a"), "1");
}

Test(db, queued_statements_run_in_order_in_one_trip, .init = setup)
{
	struct rows r[4];

	OK(db_query(cx, &r[0], &t_select, P_TEXT("none")));	/* connected now */
	db_stats_reset(cx->db);
	db_begin(cx, TX_RW);
	db_queue(cx, NULL, DB_NONE, &t_upsert, P_TEXT("k"), P_TEXT("1"));
	db_queue(cx, &r[0], DB_ONE, &t_select, P_TEXT("k"));
	db_queue(cx, NULL, DB_NONE, &t_upsert, P_TEXT("k"), P_TEXT("2"));
	OK(db_row(cx, &r[1], &t_select, P_TEXT("k")));
	cr_assert_str_eq(db_text(&r[0], 0), "1");
	cr_assert_str_eq(db_text(&r[1], 0), "2");
	cr_assert_eq(db_stats(cx->db).trips, 1, "BEGIN goes along");
	db_queue(cx, NULL, DB_NONE, &t_upsert, P_TEXT("k"), P_TEXT("3"));
	OK(db_commit(cx));
	cr_assert_eq(db_stats(cx->db).trips, 2, "what is queued goes with COMMIT");
	cr_assert_str_eq(value_of("k"), "3");
}

Test(db, reading_costs_one_trip, .init = setup)
{
	struct rows r;

	OK(db_query(cx, &r, &t_series, P_I64(1)));
	db_stats_reset(cx->db);
	db_begin(cx, TX_RO);
	OK(db_row(cx, &r, &t_series, P_I64(1)));
	OK(db_commit(cx));
	db_begin(cx, TX_RO);
	cr_assert_eq(db_row(cx, &r, &t_series, P_I64(0)), M_NOT_FOUND);
	db_rollback(cx);
	cr_assert_eq(db_stats(cx->db).trips, 2);
	cr_assert_eq(db_stats(cx->db).rows, 1);
	db_begin(cx, TX_RW);
	OK(db_commit(cx));
	db_rollback(cx);
	cr_assert_eq(db_stats(cx->db).trips, 2, "nothing done, nothing sent");
}

Test(db, what_is_queued_is_copied, .init = setup)
{
	struct rows r;
	char text[] = "before";

	db_queue(cx, &r, DB_ONE, &t_echo, P_TEXT(text), P_NULL, P_NULL, P_NULL, P_NULL, P_NULL, P_NULL, P_NULL);
	memset(text, 'x', sizeof(text) - 1);
	OK(db_run(cx));
	cr_assert_str_eq(db_text(&r, 0), "before");
}

Test(db, rollback_drops_what_is_queued, .init = setup)
{
	struct rows r;

	db_queue(cx, NULL, DB_NONE, &t_insert, P_TEXT("a"), P_TEXT("1"));
	db_rollback(cx);
	OK(db_run(cx));
	db_begin(cx, TX_RW);
	OK(db_exec(cx, NULL, &t_insert, P_TEXT("b"), P_TEXT("1")));
	db_queue(cx, NULL, DB_NONE, &t_insert, P_TEXT("c"), P_TEXT("1"));
	db_rollback(cx);
	cr_assert_not(db_in_tx(cx));
	OK(db_row(cx, &r, &t_snapshot));
	cr_assert_eq(db_i64(&r, 0), 0);
}

Test(db, the_first_fault_wins_and_nothing_after_it_runs, .init = setup)
{
	struct rows a, b;

	db_begin(cx, TX_RW);
	db_queue(cx, &a, DB_ONE, &t_series, P_I64(1));
	db_queue(cx, NULL, DB_NONE, &t_divide, P_I64(0));
	db_queue(cx, NULL, DB_NONE, &t_insert, P_TEXT("a"), P_TEXT("1"));
	db_queue(cx, &b, DB_ONE, &t_series, P_I64(0));
	cr_assert_eq(db_run(cx), M_UNKNOWN);
	cr_assert_eq(a.n, 1);
	cr_assert_eq(b.n, 0);
	cr_assert_eq(db_row(cx, &b, &t_series, P_I64(1)), M_UNKNOWN, "only rollback is of use now");
	cr_assert_eq(db_commit(cx), M_UNKNOWN);
	db_rollback(cx);
	OK(db_row(cx, &b, &t_series, P_I64(1)));
	cr_assert_eq(sql_int("SELECT count(*) FROM profile"), 0);
	/* t_insert was skipped by the server, its PREPARE too: it is prepared now */
	OK(db_exec(cx, NULL, &t_insert, P_TEXT("a"), P_TEXT("1")));
}

Test(db, conflict_names_its_constraint, .init = setup)
{
	OK(db_exec(cx, NULL, &t_insert, P_TEXT("a"), P_TEXT("1")));
	cr_assert_eq(db_exec(cx, NULL, &t_insert, P_TEXT("a"), P_TEXT("2")), E_CONFLICT);
	cr_assert_str_eq(db_constraint(cx), "profile_pkey");
	OK(db_exec(cx, NULL, &t_insert, P_TEXT("b"), P_TEXT("2")));
	cr_assert_str_eq(db_constraint(cx), "");
}

Test(db, wrong_number_of_parameters_is_our_fault, .init = setup)
{
	struct rows r;

	cr_assert_eq(db_row(cx, &r, &t_series, P_I64(1), P_I64(2)), M_UNKNOWN);
	OK(db_row(cx, &r, &t_series, P_I64(1)));
}

static enum err
take_a(struct ctx *c, void *arg)
{
	struct rows r;

	return db_row(c, &r, &t_lock, P_TEXT("a"));
}

Test(db, a_deadlock_is_to_be_run_again, .init = setup)
{
	/* One holds b and wants a; ours holds a and wants b. */
	struct ctx *b = session();
	struct step *s;
	struct rows r;
	enum err e;

	sql("INSERT INTO profile VALUES (0, 'a', '1'), (0, 'b', '1')");
	sql("ALTER DATABASE %s SET deadlock_timeout = '100ms'", test_dbname());
	db_begin(cx, TX_RW);
	OK(db_row(cx, &r, &t_lock, P_TEXT("a")));
	db_begin(b, TX_RW);
	OK(db_row(b, &r, &t_lock, P_TEXT("b")));
	s = step_start(b, take_a, NULL);
	cr_assert(step_waits(s));
	e = db_row(cx, &r, &t_lock, P_TEXT("b"));
	if (e == M_OK) {	/* the other one was chosen */
		OK(db_commit(cx));
		e = step_end(s);
	} else {
		db_rollback(cx);
		OK(step_end(s));
	}
	cr_assert_eq(e, E_RETRY);
}

static enum err
lock_a(struct ctx *c, void *arg)
{
	struct rows r;
	enum err e;

	db_begin(c, TX_RW);
	if ((e = db_row(c, &r, &t_lock, P_TEXT("a"))) == M_OK)
		return db_commit(c);
	db_rollback(c);
	return e;
}

Test(db, a_lock_is_waited_for, .init = setup)
{
	struct ctx *b = session();
	struct step *s;
	struct rows r;

	sql("INSERT INTO profile VALUES (0, 'a', '1')");
	db_begin(cx, TX_RW);
	OK(db_row(cx, &r, &t_lock, P_TEXT("a")));
	s = step_start(b, lock_a, NULL);
	cr_assert(step_waits(s));
	cr_assert_not(step_ended(s));
	OK(db_commit(cx));
	OK(step_end(s));
}

Test(db, a_lock_held_too_long_is_unavailable, .init = setup)
{
	struct rows r;

	sql("INSERT INTO profile VALUES (0, 'a', '1')");
	sql("BEGIN; SELECT 1 FROM profile FOR UPDATE");
	OK(db_row(cx, &r, &t_set, P_TEXT("lock_timeout"), P_TEXT("50ms")));
	cr_assert_eq(lock_a(cx, NULL), E_UNAVAILABLE);
	sql("COMMIT");
	OK(lock_a(cx, NULL));
}

Test(db, a_statement_that_runs_too_long_is_unavailable, .init = setup)
{
	struct rows r;

	OK(db_row(cx, &r, &t_set, P_TEXT("statement_timeout"), P_TEXT("50ms")));
	cr_assert_eq(db_row(cx, &r, &t_sleep, P_DOUBLE(10)), E_UNAVAILABLE);
	OK(db_row(cx, &r, &t_sleep, P_DOUBLE(0)));
}

Test(db, session_settings)
{
	static const char *const v[][2] = { { "search_path", "hearth" }, { "jit", "off" }, { "statement_timeout", "15s" },
		{ "lock_timeout", "3s" }, { "idle_in_transaction_session_timeout", "5s" }, { "client_connection_check_interval", "2s" },
		{ "TimeZone", "UTC" }, { "application_name", "hearth web" }, { "client_encoding", "UTF8" } };
	struct rows r;
	size_t i;

	db_role_set("web");
	cx = session();
	for (i = 0; i < sizeof(v) / sizeof(*v); i++) {
		OK(db_row(cx, &r, &t_setting, P_TEXT(v[i][0])));
		cr_expect_str_eq(db_text(&r, 0), v[i][1]);
	}
	OK(db_row(cx, &r, &t_setting, P_TEXT("hearth.epoch")));
	cr_assert_eq(db_i64(&r, 0), sql_int("SELECT max(epoch) FROM stream_epoch"));
}

Test(db, transactions_see_what_they_should, .init = setup)
{
	struct rows r;

	db_begin(cx, TX_RO);
	OK(db_row(cx, &r, &t_snapshot));
	sql("INSERT INTO profile VALUES (0, 'a', '1')");
	OK(db_row(cx, &r, &t_snapshot));
	cr_assert_eq(db_i64(&r, 0), 0, "one snapshot");
	cr_assert_eq(db_exec(cx, NULL, &t_update_all, P_TEXT("2")), M_UNKNOWN, "read only");
	db_rollback(cx);
	db_begin(cx, TX_RW);
	OK(db_row(cx, &r, &t_snapshot));
	cr_assert_eq(db_i64(&r, 0), 1);
	sql("INSERT INTO profile VALUES (0, 'b', '1')");
	OK(db_row(cx, &r, &t_snapshot));
	cr_assert_eq(db_i64(&r, 0), 2, "a snapshot for each statement");
	OK(db_commit(cx));
}

/* A deferred constraint fails at COMMIT itself. */
Test(db, commit_is_believed_only_when_it_says_so, .init = setup)
{
	sql("ALTER TABLE profile DROP CONSTRAINT profile_usr_fkey, ADD CONSTRAINT late FOREIGN KEY (usr) REFERENCES name DEFERRABLE INITIALLY DEFERRED;"
	    "DELETE FROM name WHERE nid = 0");
	db_begin(cx, TX_RW);
	OK(db_exec(cx, NULL, &t_insert, P_TEXT("a"), P_TEXT("1")));
	cr_assert_neq(db_commit(cx), M_OK);
	db_rollback(cx);
	cr_assert_eq(sql_int("SELECT count(*) FROM profile"), 0);
}

static void
terminate(struct ctx *c)
{
	int pid = db_backend_pid(c->db);
	char proc[40];

	sql("SELECT pg_terminate_backend(%d)", pid);
	/* The process, not its row in pg_stat_activity, which goes before its socket is closed. */
	snprintf(proc, sizeof(proc), "/proc/%d", pid);
	cr_assert(EVENTUALLY(access(proc, F_OK) != 0));
}

Test(db, lost_while_idle_costs_nothing, .init = setup)
{
	struct rows r;
	int pid;

	OK(db_row(cx, &r, &t_series, P_I64(1)));
	terminate(cx);
	OK(db_row(cx, &r, &t_series, P_I64(1)));
	terminate(cx);
	db_begin(cx, TX_RW);
	OK(db_exec(cx, NULL, &t_insert, P_TEXT("a"), P_TEXT("1")));
	OK(db_commit(cx));
	pid = db_backend_pid(cx->db);
	OK(db_row(cx, &r, &t_series, P_I64(1)));
	cr_assert_eq(db_backend_pid(cx->db), pid, "and the new connection stays");
}

Test(db, lost_in_a_transaction_fails_all_of_it, .init = setup)
{
	struct rows r;

	db_begin(cx, TX_RW);
	OK(db_exec(cx, NULL, &t_insert, P_TEXT("a"), P_TEXT("1")));
	terminate(cx);
	cr_assert_eq(db_exec(cx, NULL, &t_insert, P_TEXT("b"), P_TEXT("1")), E_UNAVAILABLE);
	cr_assert_eq(db_exec(cx, NULL, &t_insert, P_TEXT("c"), P_TEXT("1")), E_UNAVAILABLE, "not half of it on a new connection");
	cr_assert_eq(db_commit(cx), E_UNAVAILABLE);
	db_rollback(cx);
	cr_assert_eq(sql_int("SELECT count(*) FROM profile"), 0);
	OK(db_row(cx, &r, &t_series, P_I64(1)));
}

Test(db, lost_before_commit_is_unavailable, .init = setup)
{
	db_begin(cx, TX_RW);
	OK(db_exec(cx, NULL, &t_insert, P_TEXT("a"), P_TEXT("1")));
	terminate(cx);
	cr_assert_eq(db_commit(cx), E_UNAVAILABLE);
	db_rollback(cx);
	cr_assert_eq(sql_int("SELECT count(*) FROM profile"), 0);
	OK(db_exec(cx, NULL, &t_insert, P_TEXT("a"), P_TEXT("1")));
}

static enum err
sleep_long(struct ctx *c, void *arg)
{
	struct rows r;

	return db_row(c, &r, &t_sleep, P_DOUBLE(60));
}

Test(db, lost_under_a_running_statement, .init = setup)
{
	struct step *s = step_start(cx, sleep_long, NULL);
	struct rows r;

	cr_assert(EVENTUALLY(sql_int("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%%pg_sleep%%' AND wait_event = 'PgSleep'"
	    " AND datname = current_database()") == 1));
	terminate(cx);
	cr_assert_eq(step_end(s), E_UNAVAILABLE);
	OK(db_row(cx, &r, &t_series, P_I64(1)));
}

Test(db, away_fails_fast)
{
	struct ctx *c = session_on("host=/nonexistent user=hearth_worker dbname=hearth");
	struct rows r;
	int i;

	for (i = 0; i < 1000; i++)
		cr_assert_eq(db_row(c, &r, &t_series, P_I64(1)), E_UNAVAILABLE);
	db_begin(c, TX_RW);
	cr_assert_eq(db_exec(c, NULL, &t_insert, P_TEXT("a"), P_TEXT("1")), E_UNAVAILABLE);
	db_rollback(c);
	session_end(c);
}

Test(db, too_many_connections)
{
	struct rows r;
	struct ctx *a = session(), *b = session();

	sql("ALTER DATABASE %s CONNECTION LIMIT 1", test_dbname());	/* ours, a superuser's, counts but is let in */
	cr_assert_eq(db_row(a, &r, &t_series, P_I64(1)), E_UNAVAILABLE);
	sql("ALTER DATABASE %s CONNECTION LIMIT -1", test_dbname());
	cr_assert(EVENTUALLY(db_row(a, &r, &t_series, P_I64(1)) == M_OK), "it comes back by itself");
	OK(db_row(b, &r, &t_series, P_I64(1)));
}

/* A migration under a running worker: SELECT * has another form now. */
Test(db, a_plan_that_broke_is_made_anew, .init = setup)
{
	struct rows r;

	sql("INSERT INTO profile VALUES (0, 'a', '1')");
	OK(db_query(cx, &r, &t_star));
	sql("ALTER TABLE profile ADD extra text DEFAULT 'x'");
	db_begin(cx, TX_RW);
	cr_assert_eq(db_query(cx, &r, &t_star), E_RETRY);
	db_rollback(cx);
	session_next(cx);
	db_begin(cx, TX_RW);
	OK(db_row(cx, &r, &t_star));
	cr_assert_str_eq(db_text(&r, 3), "x");
	OK(db_commit(cx));
}

Test(db, statements_deallocated_by_others_come_back, .init = setup)
{
	static const struct stmt away = { "t_deallocate_all", "DEALLOCATE ALL" };
	struct rows r;

	OK(db_row(cx, &r, &t_series, P_I64(1)));
	OK(db_exec(cx, NULL, &away));
	cr_assert_eq(db_row(cx, &r, &t_series, P_I64(1)), E_RETRY);
	OK(db_row(cx, &r, &t_series, P_I64(1)));
}

/* Both directions beyond any socket buffer: neither side may wait for the other. */
Test(db, large_batches_do_not_block, .init = setup)
{
	struct rows r[200];
	char *text = malloc(100001);
	size_t i;

	memset(text, 'y', 100000);
	text[100000] = '\0';
	for (i = 0; i < 200; i++)
		db_queue(cx, &r[i], DB_ONE, &t_big, P_I64(100000), P_TEXT(text));
	OK(db_run(cx));
	for (i = 0; i < 200; i++) {
		cr_assert_eq(strlen(db_text(&r[i], 0)), 100000);
		cr_assert_eq(db_i64(&r[i], 1), 100000);
	}
	free(text);
}

/* ---- side by side */

Test(db, batches_side_by_side_come_in_order, .init = setup)
{
	struct rows a, b, c;
	uint64_t first, second;

	OK(db_query(cx, &a, &t_series, P_I64(1)));
	db_stats_reset(cx->db);
	db_begin(cx, TX_RO);
	db_queue(cx, &a, DB_ANY, &t_series, P_I64(3));
	first = db_start(cx);
	db_queue(cx, &b, DB_ANY, &t_series, P_I64(20000));
	second = db_start(cx);
	cr_assert_eq(db_start(cx), second, "nothing queued, nothing sent");
	OK(db_await(cx, first));
	cr_assert_eq(a.n, 3);
	/* what runs in between waits for all that was sent before it */
	OK(db_query(cx, &c, &t_series, P_I64(2)));
	cr_assert_eq(b.n, 20000);
	cr_assert_eq(c.n, 2);
	OK(db_await(cx, second));
	OK(db_await(cx, first));
	OK(db_commit(cx));
	cr_assert_eq(db_stats(cx->db).trips, 3);
}

/* The server stops when the socket is full, unless somebody takes in what comes. */
Test(db, a_turn_takes_in_what_has_come, .init = setup)
{
	struct rows r = { 0 };
	uint64_t sent;

	db_begin(cx, TX_RO);
	db_queue(cx, &r, DB_ONE, &t_big, P_I64(8000000), P_TEXT(""));
	sent = db_start(cx);
	cr_assert(EVENTUALLY((db_turn(cx), r.n == 1)));
	OK(db_await(cx, sent));
	cr_assert_eq(strlen(db_text(&r, 0)), 8000000);
	OK(db_commit(cx));
}

Test(db, a_fault_side_by_side_ends_the_transaction, .init = setup)
{
	struct rows a, b;
	uint64_t first, second;

	db_begin(cx, TX_RO);
	db_queue(cx, &a, DB_ANY, &t_divide, P_I64(0));
	first = db_start(cx);
	db_queue(cx, &b, DB_ANY, &t_series, P_I64(1));
	second = db_start(cx);
	cr_assert_eq(db_await(cx, first), M_UNKNOWN);
	cr_assert_eq(db_await(cx, second), M_UNKNOWN);
	cr_assert_eq(b.n, 0);
	cr_assert_eq(db_query(cx, &b, &t_series, P_I64(1)), M_UNKNOWN);
	db_rollback(cx);
	OK(db_row(cx, &b, &t_series, P_I64(1)));
}

Test(db, lost_side_by_side_is_unavailable, .init = setup)
{
	struct rows r;
	uint64_t sent;

	db_begin(cx, TX_RO);
	OK(db_row(cx, &r, &t_series, P_I64(1)));
	db_queue(cx, &r, DB_ANY, &t_sleep, P_DOUBLE(60));
	sent = db_start(cx);
	cr_assert(EVENTUALLY(sql_int("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%%pg_sleep%%' AND wait_event = 'PgSleep'"
	    " AND datname = current_database()") == 1));
	terminate(cx);
	cr_assert_eq(db_await(cx, sent), E_UNAVAILABLE);
	cr_assert_eq(db_await(cx, sent), E_UNAVAILABLE);
	db_queue(cx, &r, DB_ANY, &t_series, P_I64(1));
	cr_assert_eq(db_await(cx, db_start(cx)), E_UNAVAILABLE, "not half of it on a new connection");
	db_rollback(cx);
	OK(db_row(cx, &r, &t_series, P_I64(1)));
}

/* The memory in which results were to live goes before they come. */
Test(db, what_was_disowned_goes_nowhere, .init = setup)
{
	struct ctx part = *cx;
	struct rows *r, after;

	part.a = arena_new();
	r = arena_zalloc(part.a, sizeof *r);
	db_begin(cx, TX_RO);
	db_queue(&part, r, DB_ANY, &t_series, P_I64(50000));
	db_queue(&part, r, DB_ANY, &t_divide, P_I64(0));
	db_start(&part);
	db_disown(cx);
	arena_free(part.a);
	db_rollback(cx);
	OK(db_row(cx, &after, &t_series, P_I64(1)));
	cr_assert_eq(after.n, 1);
}

/* Nor does who commits what he has read wait for what he has not. */
Test(db, what_is_under_way_at_the_end_goes_nowhere, .init = setup)
{
	struct ctx part = *cx;
	struct rows *r, first, after;

	part.a = arena_new();
	r = arena_zalloc(part.a, sizeof *r);
	db_begin(cx, TX_RO);
	OK(db_row(cx, &first, &t_series, P_I64(1)));
	db_queue(&part, r, DB_ANY, &t_series, P_I64(50000));
	db_start(&part);
	OK(db_commit(cx));
	arena_free(part.a);
	OK(db_row(cx, &after, &t_series, P_I64(1)));
	cr_assert_eq(after.n, 1);
}

/* ---- a guard */

STMT(t_guard, "SELECT 1 FROM profile WHERE usr = 0 AND key = 'guard' AND value = $1");

static void
guarded_by(const char *value)
{
	db_begin(cx, TX_RW);
	db_guard(cx, &t_guard, P_TEXT(value));
}

Test(db, a_guard_travels_with_the_first_statement, .init = setup)
{
	struct rows r;

	OK(db_exec(cx, NULL, &t_insert, P_TEXT("guard"), P_TEXT("1")));
	db_stats_reset(cx->db);
	guarded_by("1");
	OK(db_row(cx, &r, &t_select, P_TEXT("guard")));
	cr_assert_eq(db_stats(cx->db).trips, 1);
	OK(db_guarded(cx));
	db_queue(cx, NULL, DB_NONE, &t_insert, P_TEXT("a"), P_TEXT("1"));
	OK(db_commit(cx));
	cr_assert_eq(db_stats(cx->db).trips, 2);
	cr_assert_str_eq(value_of("a"), "1");

	guarded_by("2");
	cr_assert_eq(db_row(cx, &r, &t_select, P_TEXT("guard")), E_RETRY);
	cr_assert_eq(db_guarded(cx), E_RETRY);
	cr_assert_eq(db_exec(cx, NULL, &t_insert, P_TEXT("b"), P_TEXT("1")), E_RETRY);
	cr_assert_eq(db_commit(cx), E_RETRY);
	db_rollback(cx);
	cr_assert_str_eq(value_of("b"), "");
}

/* What was only queued is not committed before the answer is known. */
Test(db, commit_waits_for_the_guard, .init = setup)
{
	OK(db_exec(cx, NULL, &t_insert, P_TEXT("guard"), P_TEXT("1")));
	guarded_by("2");
	db_queue(cx, NULL, DB_NONE, &t_insert, P_TEXT("a"), P_TEXT("1"));
	cr_assert_eq(db_commit(cx), E_RETRY);
	db_rollback(cx);
	cr_assert_str_eq(value_of("a"), "");

	guarded_by("1");
	db_queue(cx, NULL, DB_NONE, &t_insert, P_TEXT("a"), P_TEXT("1"));
	OK(db_commit(cx));
	cr_assert_str_eq(value_of("a"), "1");

	db_begin(cx, TX_RO);
	db_guard(cx, &t_guard, P_TEXT("2"));
	cr_assert_eq(db_commit(cx), E_RETRY);
	db_rollback(cx);
}

/* The guard's verdict counts before that of what came after it; and where it holds, theirs is what it was. */
Test(db, a_guard_and_other_faults, .init = setup)
{
	struct rows r;

	OK(db_exec(cx, NULL, &t_insert, P_TEXT("guard"), P_TEXT("1")));
	guarded_by("2");
	cr_assert_eq(db_exec(cx, NULL, &t_insert, P_TEXT("guard"), P_TEXT("1")), E_RETRY);
	db_rollback(cx);
	guarded_by("2");
	cr_assert_eq(db_row(cx, &r, &t_select, P_TEXT("nothing")), E_RETRY);
	db_rollback(cx);
	guarded_by("1");
	cr_assert_eq(db_exec(cx, NULL, &t_insert, P_TEXT("guard"), P_TEXT("1")), E_CONFLICT);
	OK(db_guarded(cx));
	db_rollback(cx);
	guarded_by("1");
	cr_assert_eq(db_row(cx, &r, &t_select, P_TEXT("nothing")), M_NOT_FOUND);
	OK(db_guarded(cx));
	db_rollback(cx);

	/* Nothing was run: it is asked alone, and what was queued is not carried out. */
	guarded_by("2");
	db_queue(cx, NULL, DB_NONE, &t_divide, P_I64(0));
	cr_assert_eq(db_guarded(cx), E_RETRY);
	db_rollback(cx);
	guarded_by("1");
	db_queue(cx, NULL, DB_NONE, &t_divide, P_I64(0));
	OK(db_guarded(cx));
	db_rollback(cx);

	/* Side by side it is waited for. */
	db_begin(cx, TX_RO);
	db_guard(cx, &t_guard, P_TEXT("2"));
	db_queue(cx, &r, DB_ANY, &t_select, P_TEXT("guard"));
	cr_assert_eq(db_await(cx, db_start(cx)), E_RETRY);
	db_rollback(cx);
	db_begin(cx, TX_RO);
	db_guard(cx, &t_guard, P_TEXT("1"));
	db_queue(cx, &r, DB_ANY, &t_select, P_TEXT("guard"));
	OK(db_await(cx, db_start(cx)));
	cr_assert(db_next(&r));
	OK(db_commit(cx));
}
