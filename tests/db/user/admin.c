/* tests/db/user/admin.c - schema admin: what its functions do, that workers are told, who may call them. */
#include <libpq-fe.h>
#include <string.h>

#include "core/user/login.h"
#include "tests/db/harness.h"

static enum err
login_as(struct ctx *cx, const char *name, const char *password, struct session *s)
{
	struct login l = { .who = { .name = name, .password = password } };

	return login_password(cx, &l, s);
}

Test(admin, create_user)
{
	struct ctx *cx = session();
	struct session s;

	cr_assert_str_eq(sql("SELECT user_id FROM admin.create_user('Alice', 'pw')"), "@alice:localhost");
	cr_assert_eq(login_as(cx, "alice", "pw", &s), M_OK);
	cr_assert_str_eq(sql("SELECT displayname FROM admin.users"), "alice");
	cr_assert_str_eq(sql_error("SELECT admin.create_user('ALICE')"), "23505");
	cr_assert_str_eq(sql_error("SELECT admin.create_user('a b')"), "22023");
	cr_assert_str_eq(sql_error("SELECT admin.create_user('bob', '')"), "28P01");
	cr_assert_eq(sql_int("SELECT count(*) FROM account"), 1);
	cr_assert_eq(login_as(cx, "bob", sql("SELECT made_up_password FROM admin.create_user('bob', admin => true)"), &s), M_OK);
	cr_assert_str_eq(sql("SELECT admin FROM admin.users WHERE user_id = '@bob:localhost'"), "t");
}

/* A password that holds what matters in the formats of hashes, or is longer than bcrypt looks at. */
Test(admin, odd_passwords_can_be_used)
{
	static const char *const odd[] = { "$2a$12$x", " blank ends ", "\xc3\xa9\xe2\x98\x8e",
		"0123456789012345678901234567890123456789012345678901234567890123456789ab-and-more" };
	struct ctx *cx = session();
	struct session s;

	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		sql("SELECT admin.create_user('u%zu', '%s')", i, odd[i]);
		cr_assert_eq(login_as(cx, arena_printf(cx->a, "u%zu", i), odd[i], &s), M_OK, "%s", odd[i]);
		cr_assert_eq(login_as(cx, arena_printf(cx->a, "u%zu", i), odd[i], &s), M_OK, "rehashed: %s", odd[i]);
		cr_assert_eq(login_as(cx, arena_printf(cx->a, "u%zu", i), "no", &s), M_FORBIDDEN);
	}
}

Test(admin, reset_password_and_logout_wake_the_waiting)
{
	struct ctx *cx = session();
	PGconn *park = PQconnectdb(test_url("hearth_worker"));
	struct session s;
	PGnotify *n;
	char want[64];

	PQclear(PQexec(park, "LISTEN wake"));
	sql("SELECT admin.create_user('alice', 'pw')");
	cr_assert_eq(login_as(cx, "alice", "pw", &s), M_OK);
	cr_assert_eq(sql_int("SELECT admin.logout('@alice:localhost', 'nope')"), 0);
	cr_assert_eq(sql_int("SELECT admin.logout('alice', '%s')", s.device_id), 1);
	snprintf(want, sizeof want, "- u%lld", (long long)s.user_nid);
	for (int i = 0; i < 2; i++) {
		cr_assert(EVENTUALLY((PQconsumeInput(park), (n = PQnotifies(park)) != NULL)));
		cr_assert_str_eq(n->extra, want);
		PQfreemem(n);
	}
	cr_assert_eq(session_find(cx, s.token), M_UNKNOWN_TOKEN);

	cr_assert_eq(login_as(cx, "alice", "pw", &s), M_OK);
	cr_assert_str_eq(sql("SELECT admin.reset_password('alice', 'new')"), "");
	cr_assert_eq(session_find(cx, s.token), M_UNKNOWN_TOKEN);
	cr_assert_eq(login_as(cx, "alice", "pw", &s), M_FORBIDDEN);
	cr_assert_eq(login_as(cx, "alice", "new", &s), M_OK);
	sql("INSERT INTO uia_session (id, endpoint, usr, params, created_ts) SELECT 'x', 'changePassword', usr, 'x', 0 FROM account");
	sql("INSERT INTO login_token (hash, usr, expires_ts) SELECT 'x', usr, 9999999999999 FROM account");
	sql("SELECT admin.add_email('alice', 'a@example.org')");
	sql("INSERT INTO email_session (sid, purpose, address, client_secret, send_attempt, created_ts, expires_ts, validated_ts)"
	    " VALUES ('x', 'reset', 'a@example.org', 'x', 1, 0, 9999999999999, 1)");
	cr_assert_eq(login_as(cx, "alice", sql("SELECT admin.reset_password('alice', logout => false)"), &s), M_OK);
	cr_assert_eq(sql_int("SELECT (SELECT count(*) FROM uia_session) + (SELECT count(*) FROM login_token) + (SELECT count(*) FROM email_session)"), 0);
	cr_assert_eq(sql_int("SELECT devices FROM admin.users"), 2);
	cr_assert_str_eq(sql_error("SELECT admin.reset_password('@alice:elsewhere')"), "P0002");
	PQfinish(park);
}

Test(admin, emails)
{
	sql("SELECT admin.create_user('alice', 'pw'), admin.create_user('bob', 'pw')");
	sql("SELECT admin.add_email('alice', 'A@Example.org')");
	sql("UPDATE threepid SET can_reset = false");
	sql("SELECT admin.add_email('alice', 'a@example.org')");
	cr_assert_str_eq(sql("SELECT user_id || ' ' || address || ' ' || can_reset FROM admin.emails"), "@alice:localhost a@example.org true");
	cr_assert_str_eq(sql_error("SELECT admin.add_email('bob', 'a@example.org')"), "23505");
	cr_assert_str_eq(sql_error("SELECT admin.add_email('bob', 'a@b@example.org')"), "22023");
	cr_assert_str_eq(sql("SELECT admin.delete_email('A@example.org')"), "t");
	cr_assert_str_eq(sql("SELECT admin.delete_email('a@example.org')"), "f");
}

static const char *
as(const char *role, const char *query)
{
	PGconn *c = PQconnectdb(test_url(role));
	PGresult *r = PQexec(c, query);
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	static char out[6];

	cr_assert_eq(PQstatus(c), CONNECTION_OK, "%s: %s", role, PQerrorMessage(c));
	snprintf(out, sizeof out, "%s", state ? state : "");
	PQclear(r);
	PQfinish(c);
	return out;
}

Test(admin, least_rights)
{
	sql("SELECT admin.create_user('alice', 'pw')");
	cr_assert_str_eq(as("hearth_admin", "SELECT admin.logout('alice')"), "");
	cr_assert_str_eq(as("hearth_admin", "SELECT * FROM admin.users, admin.devices, admin.rooms"), "");
	cr_assert_str_eq(as("hearth_admin", "SELECT * FROM hearth.account"), "42501");
	cr_assert_str_eq(as("hearth_worker", "SELECT admin.logout('alice')"), "42501");
	cr_assert_str_eq(as("hearth_worker", "DROP TABLE hearth.account"), "42501");
}

Test(admin, every_function_and_view_has_a_comment)
{
	cr_assert_str_eq(sql("SELECT string_agg(p.proname, ' ') FROM pg_proc p WHERE p.pronamespace = 'admin'::regnamespace"
	    " AND obj_description(p.oid, 'pg_proc') IS NULL"), "");
	cr_assert_str_eq(sql("SELECT string_agg(c.relname, ' ') FROM pg_class c WHERE c.relnamespace = 'admin'::regnamespace"
	    " AND c.relkind = 'v' AND obj_description(c.oid, 'pg_class') IS NULL"), "");
	cr_assert_str_eq(sql("SELECT string_agg(p.proname, ' ') FROM pg_proc p WHERE p.pronamespace = 'admin'::regnamespace"
	    " AND (NOT p.prosecdef OR p.proconfig IS NULL OR has_function_privilege('public', p.oid, 'EXECUTE'))"), "");
}
