/* tests/db/user/ratelimit.c - the buckets in the database, and guessed passwords. */
#include "core/user/ratelimit.h"

#include <string.h>

#include "core/jobs/jobs.h"
#include "core/user/account.h"
#include "core/user/hash_gate.h"
#include "tests/db/harness.h"

static struct ctx *cx;
static struct conf conf;

static void
limit(struct ctx *c)
{
	conf = *c->conf;
	conf.rate_limits = true;
	conf.rate_login_per_min = 60;
	conf.rate_login_burst = 3;
	conf.rate_password_per_min = 6;
	conf.rate_password_burst = 2;
	c->conf = &conf;
}

static void
setup(void)
{
	cx = session();
	limit(cx);
}

TestSuite(ratelimit_db, .init = setup);

static enum err
login(struct ctx *c, const char *address)
{
	return ratelimit_take(c, RATE_LOGIN, address);
}

Test(ratelimit_db, a_burst_and_then_the_rate)
{
	for (int i = 0; i < 3; i++)
		cr_assert_eq(login(cx, "192.0.2.1"), M_OK);
	cr_assert_eq(login(cx, "192.0.2.1"), M_LIMIT_EXCEEDED);
	cr_assert_eq(cx->retry_after_ms, 1000);
	cr_assert_eq(login(cx, "192.0.2.2"), M_OK);
	cx->now += 990;
	cr_assert_eq(login(cx, "192.0.2.1"), M_LIMIT_EXCEEDED);
	cx->now += 20;
	cr_assert_eq(login(cx, "192.0.2.1"), M_OK);
	cr_assert_eq(login(cx, "192.0.2.1"), M_LIMIT_EXCEEDED);
	cx->now += 3600 * 1000;
	for (int i = 0; i < 3; i++)
		cr_assert_eq(login(cx, "192.0.2.1"), M_OK);
	cr_assert_eq(login(cx, "192.0.2.1"), M_LIMIT_EXCEEDED, "never more than the burst");
}

static enum err
login_step(struct ctx *c, void *arg)
{
	return login(c, arg);
}

Test(ratelimit_db, containers_share_the_buckets)
{
	struct ctx *b = session();
	struct step *s;

	limit(b);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(login(cx, "192.0.2.1"), M_OK);
	db_begin(cx, TX_RW);
	cr_assert_eq(login(cx, "192.0.2.1"), M_OK);
	static char address[] = "192.0.2.1";
	s = step_start(b, login_step, address);
	cr_assert(step_waits(s));
	cr_assert_eq(db_commit(cx), M_OK);
	cr_assert_eq(step_end(s), M_LIMIT_EXCEEDED);
}

static enum err
password(const char *name, const char *pw)
{
	struct credentials c = { .name = name, .password = pw };
	struct account acc;

	return credentials_check(cx, &c, &acc);
}

Test(ratelimit_db, guessed_passwords_count_by_account)
{
	struct account_new n = { .localpart = "alice" };
	struct account acc;

	n.password_hash = gated_password_hash(cx, "pw");
	cr_assert_eq(account_create(cx, &n, &acc), M_OK);
	cr_assert_eq(password("alice", "x"), M_FORBIDDEN);
	cr_assert_eq(password("@ALICE:localhost", "pw"), M_OK);	/* forgets what was wrong */
	cr_assert_eq(password("alice", "x"), M_FORBIDDEN);
	cr_assert_eq(password("@alice:localhost", "y"), M_FORBIDDEN);
	cr_assert_eq(password("Alice", "pw"), M_LIMIT_EXCEEDED, "also the right one: a guesser must not learn that it is");
	cr_assert_eq(cx->retry_after_ms, 10000);
	cr_assert_eq(password("nobody", "x"), M_FORBIDDEN);
	cr_assert_eq(password("nobody", "x"), M_FORBIDDEN);
	cr_assert_eq(password("nobody", "x"), M_LIMIT_EXCEEDED);
	cx->now += 10001;
	cr_assert_eq(password("alice", "pw"), M_OK);
}

Test(ratelimit_db, old_buckets_are_cleaned_up_and_none_when_it_is_off)
{
	cr_assert_eq(login(cx, "192.0.2.1"), M_OK);
	sql("UPDATE ratelimit SET ts = ts - 2 * 86400000");
	cr_assert_eq(login(cx, "192.0.2.2"), M_OK);
	cr_assert_geq(jobs_run_due(cx), 0);
	sql("INSERT INTO job (kind) VALUES ('ratelimit_cleanup') ON CONFLICT (kind, key) DO UPDATE SET run_ts = 0");
	cr_assert_geq(jobs_run_due(cx), 0);
	cr_assert_eq(sql_int("SELECT count(*) FROM ratelimit"), 1);
	conf.rate_limits = false;
	for (int i = 0; i < 9; i++)
		cr_assert_eq(login(cx, "192.0.2.3"), M_OK);
	cr_assert_eq(sql_int("SELECT count(*) FROM ratelimit"), 1);
}
