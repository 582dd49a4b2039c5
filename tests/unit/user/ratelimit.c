/* tests/unit/user/ratelimit.c - the buckets in shared memory. */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/conf.h"
#include "core/user/ratelimit.h"

static struct conf conf = { .rate_limits = true, .rate_write_per_s = 10, .rate_write_burst = 5, .rate_read_per_s = 3,
	.rate_read_burst = 2 };
static struct ctx cx;

static void
setup(void)
{
	ratelimit_init();
	cx = (struct ctx){ .a = arena_new(), .conf = &conf, .now = 1700000000000, .user = "@a:localhost" };
}

TestSuite(ratelimit, .init = setup);

static int
granted(enum rate_class c, int tries)
{
	int n = 0;

	for (int i = 0; i < tries; i++)
		n += ratelimit_take(&cx, c, "192.0.2.1") == M_OK;
	return n;
}

Test(ratelimit, once_in_a_while)
{
	struct conf off = { .rate_limits = false };

	cx.conf = &off;
	cr_assert(ratelimit_once(&cx, "x", 1000));
	cr_assert_not(ratelimit_once(&cx, "x", 1000));
	cr_assert(ratelimit_once(&cx, "y", 1000));
	cx.now += 999;
	cr_assert_not(ratelimit_once(&cx, "x", 1000));
	cx.now += 1;
	cr_assert(ratelimit_once(&cx, "x", 1000));
}

Test(ratelimit, a_burst_and_then_the_rate)
{
	cr_assert_eq(granted(RATE_WRITE, 9), 5);
	cr_assert_eq(ratelimit_take(&cx, RATE_WRITE, ""), M_LIMIT_EXCEEDED);
	cr_assert_eq(cx.retry_after_ms, 100);
	cr_assert_str_eq(cx.err_extra, "\"retry_after_ms\":100");
	cx.now += 99;
	cr_assert_eq(ratelimit_take(&cx, RATE_WRITE, ""), M_LIMIT_EXCEEDED);
	cr_assert_eq(cx.retry_after_ms, 1);
	cx.now += 1;
	cr_assert_eq(granted(RATE_WRITE, 3), 1);
	cx.now += 250;
	cr_assert_eq(granted(RATE_WRITE, 9), 2);
	cx.now += 3600000;
	cr_assert_eq(granted(RATE_WRITE, 9), 5, "never more than the burst");
}

Test(ratelimit, each_class_user_and_address_has_its_own)
{
	cr_assert_eq(granted(RATE_WRITE, 9), 5);
	cr_assert_eq(granted(RATE_READ, 9), 2);
	cx.user = "@b:localhost";
	cr_assert_eq(granted(RATE_WRITE, 9), 5);
	cx.user = NULL;
	cr_assert_eq(granted(RATE_WRITE, 9), 5);
	cr_assert_eq(ratelimit_take(&cx, RATE_WRITE, "192.0.2.2"), M_OK);
}

Test(ratelimit, an_ipv6_network_is_one)
{
	cr_assert_eq(ratelimit_take(&cx, RATE_READ, ""), M_OK);
	cx.user = NULL;
	cr_assert_eq(ratelimit_take(&cx, RATE_READ, "2001:db8::1"), M_OK);
	cr_assert_eq(ratelimit_take(&cx, RATE_READ, "2001:db8:0:0:ffff::2"), M_OK);
	cr_assert_eq(ratelimit_take(&cx, RATE_READ, "2001:db8::3"), M_LIMIT_EXCEEDED);
	cr_assert_eq(ratelimit_take(&cx, RATE_READ, "2001:db8:0:1::1"), M_OK);
}

Test(ratelimit, administrators_and_the_setting)
{
	cx.unlimited = true;
	cr_assert_eq(granted(RATE_WRITE, 99), 99);
	cx.unlimited = false;
	conf.rate_limits = false;
	cr_assert_eq(granted(RATE_WRITE, 99), 99);
}

Test(ratelimit, a_clock_set_back_locks_nobody_out)
{
	cr_assert_eq(granted(RATE_WRITE, 9), 5);
	cx.now -= 3600000;
	cr_assert_eq(granted(RATE_WRITE, 9), 5);
}

Test(ratelimit, processes_share_the_buckets)
{
	int status, sum = 0;

	conf.rate_write_burst = 100;
	for (int i = 0; i < 4; i++)
		if (fork() == 0)
			_exit(granted(RATE_WRITE, 60));
	while (wait(&status) > 0)
		sum += WEXITSTATUS(status);
	cr_assert_eq(sum, 100);
}

/* More users at once than a set has room for: the others are forgotten rather than refused. */
Test(ratelimit, a_crowd)
{
	for (int i = 0; i < 200000; i++) {
		cx.user = arena_printf(cx.a, "@u%d:localhost", i);
		cr_assert_eq(ratelimit_take(&cx, RATE_WRITE, ""), M_OK);
	}
}
