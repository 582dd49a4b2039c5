/* tests/db/user/login.c - logging in while somebody changes the account; devices that log in twice. */
#include <malloc.h>
#include <string.h>

#include "core/user/account.h"
#include "core/user/hash_gate.h"
#include "core/user/login.h"
#include "tests/db/harness.h"

static struct ctx *cx;
static struct account alice;

static void
setup(void)
{
	struct account_new n = { .localpart = "alice" };

	cx = session();
	n.password_hash = gated_password_hash(cx, "pw");
	cr_assert_eq(account_create(cx, &n, &alice), M_OK);
}

TestSuite(login, .init = setup);

static enum err
login_as(struct ctx *c, const char *name, const char *password, const char *device, struct session *s)
{
	struct login l = { .who = { .name = name, .password = password }, .device.device_id = device };

	return login_password(c, &l, s);
}

static enum err
login_step(struct ctx *c, void *arg)
{
	return login_as(c, "alice", "pw", "D", arg);
}

static enum err
whose(const char *token)
{
	struct ctx *c = session();
	enum err e = session_find(c, token);

	session_end(c);
	return e;
}

Test(login, forms_and_refusals)
{
	struct session s;

	cr_assert_eq(login_as(cx, "alice", "pw", NULL, &s), M_OK);
	cr_assert_str_eq(s.user, "@alice:localhost");
	cr_assert_eq(login_as(cx, "@ALICE:localhost", "pw", NULL, &s), M_OK);
	cr_assert_eq(login_as(cx, "@alice:elsewhere", "pw", NULL, &s), M_FORBIDDEN);
	cr_assert_eq(login_as(cx, "alice", "PW", NULL, &s), M_FORBIDDEN);
	cr_assert_eq(login_as(cx, "nobody", "pw", NULL, &s), M_FORBIDDEN);
	cr_assert_eq(login_as(cx, "", "pw", NULL, &s), M_FORBIDDEN);
	sql("UPDATE account SET password_hash = NULL");
	cr_assert_eq(login_as(cx, "alice", "pw", NULL, &s), M_FORBIDDEN);
}

Test(login, two_at_once_on_one_device_leave_one_token)
{
	struct ctx *b = session();
	struct session one = { .user_nid = alice.nid }, two;
	struct step *s;

	db_begin(cx, TX_RW);
	cr_assert_eq(session_open(cx, &one, &(struct session_wish){ .device_id = "D" }), M_OK);
	s = step_start(b, login_step, &two);
	cr_assert(step_waits(s));
	cr_assert_eq(db_commit(cx), M_OK);
	cr_assert_eq(step_end(s), M_OK);
	cr_assert_eq(whose(one.token), M_UNKNOWN_TOKEN);
	cr_assert_eq(whose(two.token), M_OK);
	cr_assert_eq(sql_int("SELECT count(*) FROM device"), 1);
}

/* Whoever resets a password ends also the session that the old one is opening at this moment. */
Test(login, password_reset_meanwhile)
{
	struct ctx *b = session();
	struct session s;
	struct step *st;

	db_begin(cx, TX_RW);
	cr_assert_eq(account_set_password(cx, alice.nid, gated_password_hash(cx, "new")), M_OK);
	st = step_start(b, login_step, &s);
	cr_assert(step_waits(st));
	cr_assert_eq(session_close_all(cx, alice.nid, 0), M_OK);
	cr_assert_eq(db_commit(cx), M_OK);
	cr_assert_eq(step_end(st), E_RETRY);	/* and run again: */
	cr_assert_eq(login_step(b, &s), M_FORBIDDEN);
	cr_assert_eq(sql_int("SELECT count(*) FROM access_token"), 0);
}

Test(login, a_foreign_hash_becomes_yescrypt_once)
{
	struct session s;

	sql("UPDATE account SET password_hash = hearth.crypt('pw', hearth.gen_salt('bf', 5))");
	cr_assert_eq(login_as(cx, "alice", "pw", NULL, &s), M_OK);
	cr_assert_str_eq(sql("SELECT left(password_hash, 3) FROM account"), "$y$");
	cr_assert_eq(login_as(cx, "alice", "pw", NULL, &s), M_OK);
	cr_assert_eq(login_as(cx, "alice", "no", NULL, &s), M_FORBIDDEN);
}

Test(login, locked_and_deactivated)
{
	struct session s;

	sql("UPDATE account SET locked = true");
	cr_assert_eq(login_as(cx, "alice", "pw", NULL, &s), M_USER_LOCKED);
	cr_assert_eq(login_as(cx, "alice", "wrong", NULL, &s), M_FORBIDDEN);	/* tells strangers nothing */
	sql("UPDATE account SET locked = false, deactivated_ts = 1");
	cr_assert_eq(login_as(cx, "alice", "pw", NULL, &s), M_USER_DEACTIVATED);
	cr_assert_eq(sql_int("SELECT count(*) FROM device"), 0);
}

Test(login, tokens_that_no_longer_count)
{
	struct session s;

	cr_assert_eq(login_as(cx, "alice", "pw", NULL, &s), M_OK);
	cr_assert_eq(whose(s.token), M_OK);
	cr_assert_eq(whose("syt_nonsense"), M_UNKNOWN_TOKEN);
	cr_assert_eq(whose(""), M_UNKNOWN_TOKEN);
	sql("UPDATE account SET locked = true");
	cr_assert_eq(whose(s.token), M_USER_LOCKED);
	sql("UPDATE account SET locked = false; UPDATE access_token SET expires_ts = 1");
	cr_assert_eq(session_find(cx, s.token), M_UNKNOWN_TOKEN);
	cr_assert_str_eq(cx->err_extra, "\"soft_logout\":true");
	sql("UPDATE access_token SET expires_ts = NULL; UPDATE account SET deactivated_ts = 1");
	cr_assert_eq(whose(s.token), M_UNKNOWN_TOKEN);
}

/* As a request does it that has a transaction of its own. M_OK: who asks is who he was. */
static enum err
assumed(struct ctx *c, const char *token)
{
	enum err e;

	session_next(c);
	c->user = c->device_id = NULL;
	db_begin(c, TX_RW);
	if (!session_assume(c, token)) {
		db_rollback(c);
		return M_NOT_FOUND;
	}
	cr_expect_str_eq(c->user, "@alice:localhost");
	cr_expect_str_eq(c->device_id, "D");
	cr_expect_eq(c->user_nid, alice.nid);
	e = db_guarded(c);
	db_rollback(c);
	return e;
}

Test(login, a_token_that_is_remembered)
{
	static const char *const changes[][2] = {
		{ "UPDATE account SET locked = true", "UPDATE account SET locked = false" },
		{ "UPDATE account SET suspended = true", "UPDATE account SET suspended = false" },
		{ "UPDATE account SET admin = true", "UPDATE account SET admin = false" },
		{ "UPDATE account SET kind = 'guest'", "UPDATE account SET kind = 'user'" },
		{ "UPDATE account SET deactivated_ts = 1", "UPDATE account SET deactivated_ts = NULL" },
		{ "UPDATE access_token SET expires_ts = 1", "UPDATE access_token SET expires_ts = 4000000000000" },
	};
	struct ctx *c = session();
	struct session s, again;

	c->sessions = sessions_new();
	cr_assert_eq(login_as(cx, "alice", "pw", "D", &s), M_OK);
	cr_assert_eq(assumed(c, s.token), M_NOT_FOUND);
	cr_assert_eq(session_find(c, s.token), M_OK);
	cr_assert_eq(assumed(c, s.token), M_OK);
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		sql("%s", changes[i][0]);
		cr_expect_eq(assumed(c, s.token), E_RETRY, "%s", changes[i][0]);
		sql("%s", changes[i][1]);
		cr_expect_eq(assumed(c, s.token), M_OK, "%s", changes[i][1]);
	}
	sql("UPDATE account SET admin = true");
	cr_assert_eq(session_find(c, s.token), M_OK);
	cr_assert_eq(assumed(c, s.token), M_OK);
	cr_assert(c->admin && c->unlimited && !c->guest);

	/* Refused once, it is no longer remembered. */
	sql("UPDATE account SET locked = true");
	cr_assert_eq(session_find(c, s.token), M_USER_LOCKED);
	cr_assert_eq(assumed(c, s.token), M_NOT_FOUND);
	sql("UPDATE account SET locked = false");
	cr_assert_eq(session_find(c, s.token), M_OK);
	cr_assert_eq(login_as(cx, "alice", "pw", "D", &again), M_OK);	/* ends the first token */
	cr_assert_eq(assumed(c, s.token), E_RETRY);
	cr_assert_eq(session_find(c, s.token), M_UNKNOWN_TOKEN);
	cr_assert_eq(assumed(c, s.token), M_NOT_FOUND);
	sessions_free(c->sessions);
	session_end(c);
}

/* A request that has no transaction of its own finds its token each time: a device that syncs for weeks costs no more than one. */
Test(login, a_token_that_is_found_often)
{
	struct ctx *c = session();
	struct session s;
	size_t before = 0;

	c->sessions = sessions_new();
	cr_assert_eq(login_as(cx, "alice", "pw", "D", &s), M_OK);
	for (int i = 0; i < 4000; i++) {
		session_next(c);
		cr_assert_eq(session_find(c, s.token), M_OK);
		if (i == 1000)
			before = mallinfo2().uordblks;
	}
	cr_expect_lt(mallinfo2().uordblks, before + 50000);
	cr_assert_eq(assumed(c, s.token), M_OK);
	sessions_free(c->sessions);
	session_end(c);
}

/* Old ones go; however many there are, what is remembered is the right one's. */
Test(login, many_tokens_that_are_remembered)
{
	struct ctx *c = session();
	struct session s;

	c->sessions = sessions_new();
	cr_assert_eq(login_as(cx, "alice", "pw", "D", &s), M_OK);
	cr_assert_eq(session_find(c, s.token), M_OK);
	sql("INSERT INTO device (usr, device_id, created_ts) SELECT usr, 'D' || g, 0 FROM account, generate_series(1, %d) g", 2 * SESSIONS_MAX);
	sql("INSERT INTO access_token (hash, device, usr, created_ts) SELECT sha256(convert_to(device_id, 'UTF8')), nid, usr, 0 FROM device WHERE device_id <> 'D'");
	for (int i = 1; i <= 2 * SESSIONS_MAX; i++) {
		cr_assert_eq(session_find(c, arena_printf(c->a, "D%d", i)), M_OK);
		if (i % 100 == 0)
			session_next(c);
	}
	cr_assert_eq(assumed(c, s.token), M_NOT_FOUND);
	session_next(c);
	db_begin(c, TX_RW);
	cr_assert(session_assume(c, arena_printf(c->a, "D%d", SESSIONS_MAX + 1)));
	cr_assert_str_eq(c->device_id, arena_printf(c->a, "D%d", SESSIONS_MAX + 1));
	cr_assert_eq(db_guarded(c), M_OK);
	db_rollback(c);
	sessions_free(c->sessions);
	session_end(c);
}

Test(login, logout_touches_the_user)
{
	struct session one, two;

	cr_assert_eq(login_as(cx, "alice", "pw", "ONE", &one), M_OK);
	cr_assert_eq(login_as(cx, "alice", "pw", "TWO", &two), M_OK);
	memset(&cx->touched, 0, sizeof cx->touched);
	cr_assert_eq(session_find(cx, one.token), M_OK);
	cr_assert_eq(session_close(cx), M_OK);
	cr_assert_eq(cx->touched.nusers, 1);
	cr_assert_eq(cx->touched.users[0], alice.nid);
	cr_assert_eq(whose(one.token), M_UNKNOWN_TOKEN);
	cr_assert_eq(whose(two.token), M_OK);
}
