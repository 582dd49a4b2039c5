/* tests/db/db/warm.c - statements that are planned before they are asked for. */
#include "core/db/impl.h"
#include "tests/db/harness.h"

TestSuite(warm);

STMT(t_warm_read, "SELECT value FROM profile WHERE usr = $2 AND key = $1");
STMT_WARM(t_warm_read, "tester stoker");
STMT(t_warm_write, "INSERT INTO profile (usr, key, value) VALUES (0, $1, $2)");
STMT_WARM(t_warm_write, "stoker");
STMT(t_warm_end, "SELECT pg_terminate_backend(pg_backend_pid())");
STMT(t_warm_plans, "SELECT generic_plans FROM pg_prepared_statements WHERE name = $1");

static struct ctx *cx;

static void
setup(void)
{
	cx = session();
}

static void
warm_as(const char *role)
{
	db_role_set(role);
	while (db_warm_due(cx->db))
		db_warm(cx);
}

/* Plans that the session keeps of it; -1: it is not prepared. */
static int64_t
plans(const char *stmt)
{
	struct rows r;

	cr_assert_eq(db_maybe(cx, &r, &t_warm_plans, P_TEXT(stmt)), M_OK);
	return r.n == 1 ? db_i64(&r, 0) : -1;
}

Test(warm, those_of_the_role_are_planned_and_not_run, .init = setup)
{
	struct rows r;

	warm_as("stoker");
	cr_assert_eq(plans("t_warm_read"), 1);
	cr_assert_eq(plans("t_warm_write"), 1);
	cr_assert_str_eq(sql("SELECT count(*) FROM profile"), "0");
	cr_assert_eq(db_maybe(cx, &r, &t_warm_read, P_TEXT("x"), P_I64(0)), M_OK);
	cr_assert_eq(r.n, 0);
	cr_assert_eq(plans("t_warm_read"), 2);		/* how often it was used: no custom plan was made */
}

Test(warm, those_of_others_are_left_out, .init = setup)
{
	warm_as("test");	/* a part of a name is none */
	cr_assert_eq(db_backend_pid(cx->db), 0);
	db_close(cx->db);
	cx->db = db_open(test_url("hearth_worker"));
	warm_as("tester");
	cr_assert_eq(plans("t_warm_read"), 1);
	cr_assert_eq(plans("t_warm_write"), -1);
}

Test(warm, what_a_request_has_used_is_not_prepared_twice, .init = setup)
{
	struct rows r;

	cr_assert_eq(db_maybe(cx, &r, &t_warm_read, P_TEXT("x"), P_I64(0)), M_OK);
	warm_as("tester");
	cr_assert_eq(plans("t_warm_read"), 1);
}

Test(warm, a_new_connection_is_warmed_anew, .init = setup)
{
	struct rows r;

	warm_as("tester");
	cr_assert_neq(db_query(cx, &r, &t_warm_end), M_OK);
	cr_assert_not(db_warm_due(cx->db));		/* that is for requests to open */
	cr_assert(EVENTUALLY(db_query(cx, &r, &t_warm_plans, P_TEXT("t_warm_write")) == M_OK));
	cr_assert_eq(plans("t_warm_read"), -1);
	warm_as("tester");
	cr_assert_eq(plans("t_warm_read"), 1);
}

/* A fault of the request before it is none of the new connection. */
Test(warm, a_connection_closed_after_a_fault_is_opened_again, .init = setup)
{
	struct rows r;
	int pid;

	db_role_set("tester");
	cr_assert_eq(db_row(cx, &r, &t_warm_read, P_TEXT("x"), P_I64(0)), M_NOT_FOUND);
	pid = db_backend_pid(cx->db);
	sql("SELECT pg_terminate_backend(%d)", pid);
	cr_assert(EVENTUALLY(sql_int("SELECT count(*) FROM pg_stat_activity WHERE pid = %d", pid) == 0));
	cr_assert(db_warm_due(cx->db));
	db_warm(cx);
	cr_assert_neq(db_backend_pid(cx->db), 0);
	cr_assert_neq(db_backend_pid(cx->db), pid);
}

Test(warm, without_a_database_no_request_is_refused, .init = setup)
{
	struct rows r;

	db_close(cx->db);
	cx->db = db_open("host=/nonexistent");
	warm_as("tester");
	cx->db->conninfo = test_url("hearth_worker");
	cr_assert_eq(db_query(cx, &r, &t_warm_plans, P_TEXT("t_warm_read")), M_OK);
}

Test(warm, every_one_can_be_planned, .init = setup)
{
	const char *const roles[] = { "web", "sync" };

	for (int i = 0; i < 2; i++) {
		int n = 0;

		warm_as(roles[i]);
		// cppcheck-suppress comparePointers
		for (const struct warm *const *p = __start_warm; p < __stop_warm; p++)
			if (strstr((*p)->roles, roles[i]) != NULL) {
				cr_expect_geq(plans((*p)->st->name), 1, "%s", (*p)->st->name);
				n++;
			}
		cr_assert_gt(n, 5);
		db_close(cx->db);
		cx->db = db_open(test_url("hearth_worker"));
	}
}
