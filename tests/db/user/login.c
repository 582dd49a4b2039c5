/* tests/db/user/login.c - logging in while somebody changes the account; devices that log in twice. */
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
