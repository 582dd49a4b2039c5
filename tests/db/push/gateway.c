/* tests/db/push/gateway.c - a gateway that cannot be reached: one of its pushers is tried, the others wait */
#include "core/base/clock.h"
#include "core/push/deliver_impl.h"
#include "core/push/gateway.h"
#include "tests/db/push/world.h"

#define PUSHERS 40

/* One look, and all that came of it; how many calls. */
static size_t
round_of(struct worker *w)
{
	size_t n;

	delivery_step(w->d);
	n = delivery_running(w->d);
	until_ended(w);
	return n;
}

/* Bob has said something in a room where anna has many pushers, at a gateway where nobody listens. */
static struct ctx *
crowd(struct ctx **b, const char **room)
{
	struct ctx *a = user("anna"), *job = session();

	*b = user("bob");
	*room = make_room(*b, "{\"preset\":\"public_chat\"}");
	cr_assert_eq(join(a, *room), M_OK);
	look_all(job);
	for (int i = 0; i < PUSHERS; i++)
		pusher_of(a, arena_printf(a->a, "k%d", i));
	say(*b, *room, "1");
	look_all(job);
	cr_assert_eq(sql_int("SELECT count(*) FROM push"), PUSHERS);
	return job;
}

static void
due(const char *what)
{
	sql("UPDATE %s SET due_ts = 1", what);
}

Test(push_gateway, one_is_tried_at_a_time)
{
	struct ctx *b;
	const char *room;
	struct worker *x = worker(), *y = worker();
	long long last = 0;
	uint64_t failed;

	crowd(&b, &room);
	cr_assert_gt(round_of(x), 1);	/* before anybody knows */
	failed = x->n.failed;
	cr_assert_leq(failed, 2 * PUSH_PER_GATEWAY);
	cr_assert_eq(sql_int("SELECT failures FROM push_gateway"), 1, "however many failed at once");
	cr_assert_eq(round_of(x), 0, "the others wait");
	for (int i = 2; i <= 12; i++) {
		long long pause;

		due("push_gateway");
		due("pusher");
		delivery_step(x->d);
		cr_assert_eq(delivery_running(x->d), 1);
		cr_assert_eq(round_of(y), 0, "nor by another worker");
		round_of(x);
		cr_assert_eq(sql_int("SELECT failures FROM push_gateway"), i);
		pause = sql_int("SELECT due_ts - %lld FROM push_gateway", (long long)clock_ms());
		cr_assert(pause > last || pause > 3500 * 1000LL, "%lld after %lld", pause, last);
		last = pause;
	}
	cr_assert_eq(x->n.failed, failed + 11);
	cr_assert_eq(sql_int("SELECT max(failures) FROM pusher"), 1, "each time another");
	cr_assert_eq(sql_int("SELECT count(*) FROM push"), PUSHERS);
}

/* Between the pauses nobody looks every quarter of a second. */
Test(push_gateway, the_next_look_is_when_it_may_be_tried)
{
	struct ctx *b;
	const char *room;
	struct worker *x = worker();

	crowd(&b, &room);
	round_of(x);
	due("pusher");
	cr_expect_gt(delivery_step(x->d) - clock_ms(), 1000);
}

Test(push_gateway, all_go_on_when_it_is_back)
{
	struct ctx *b, *job;
	const char *room;
	struct worker *x = worker();

	job = crowd(&b, &room);
	round_of(x);
	session_next(job);
	cr_assert_eq(gateway_back(job, sql("SELECT gateway FROM push_gateway"), sql_int("SELECT due_ts - 1 FROM push_gateway")), M_OK);
	cr_assert_eq(sql_int("SELECT failures FROM push_gateway"), 1, "only the probe says so");
	session_next(job);
	cr_assert_eq(gateway_back(job, sql("SELECT gateway FROM push_gateway"), sql_int("SELECT due_ts FROM push_gateway")), M_OK);
	cr_assert_eq(sql_int("SELECT failures FROM push_gateway"), 0);
	cr_assert_eq(sql_int("SELECT count(*) FROM pusher WHERE due_ts > %lld", (long long)clock_ms()), 0, "at once");
	cr_assert_gt(round_of(x), 1);
}

/* Those that nobody tried have missed as much as those that were: of each room the newest. */
Test(push_gateway, what_was_missed_is_told_by_the_newest)
{
	struct ctx *b, *job;
	const char *room;
	struct worker *x = worker();
	struct tell *v;
	int64_t dropped, p;
	size_t n;

	job = crowd(&b, &room);
	round_of(x);
	say(b, room, "2");
	say(b, room, "3");
	look_all(job);
	sql("UPDATE push_gateway SET failures = 0, due_ts = %lld", (long long)clock_ms() + 1);
	say(b, room, "4");
	sql("SELECT pg_sleep(0.002)");
	session_next(job);
	job->now = clock_ms();
	look_all(job);
	p = sql_int("SELECT max(nid) FROM pusher WHERE failures = 0");
	cr_assert_str_eq(waiting(p), "1 2 3 4");
	session_next(job);
	cr_assert_eq(tell_load(job, &p, 1, &v, &n, &dropped), M_OK);
	cr_assert_str_eq(waiting(p), "4");
	say(b, room, "5");
	look_all(job);
	session_next(job);
	cr_assert_eq(tell_load(job, &p, 1, &v, &n, &dropped), M_OK);
	cr_assert_str_eq(waiting(p), "4 5", "what came since is told one by one");
}

/* A probe that has nothing to tell says nothing of its gateway: the next one has its turn. */
Test(push_gateway, a_probe_with_nothing_to_tell)
{
	struct ctx *b;
	const char *room;
	struct worker *x = worker();
	uint64_t failed;

	crowd(&b, &room);
	round_of(x);
	failed = x->n.failed;
	sql("DELETE FROM push WHERE pusher IN (SELECT nid FROM pusher WHERE failures = 0 ORDER BY nid LIMIT 2)");
	sql("UPDATE pusher SET due_ts = nid WHERE failures = 0");
	due("push_gateway");
	for (int i = 0; i < 5; i++)
		round_of(x);
	cr_expect_eq(x->n.failed, failed + 1);
}

/* A pusher whose gateway answers, whatever it says, is its own matter. */
Test(push_gateway, what_is_the_gateways_fault)
{
	cr_expect(gateway_silent(HTTP_NO_CONNECTION) && gateway_silent(HTTP_TIMEOUT) && gateway_silent(HTTP_NO_HOST) && gateway_silent(HTTP_TLS));
	cr_expect_not(gateway_silent(HTTP_OK) || gateway_silent(HTTP_BAD_URL) || gateway_silent(HTTP_TOO_BIG));
}

/* A call that is lost among others is no outage. */
Test(push_gateway, silence_is_what_comes_three_times_in_a_row)
{
	struct silence s = { 0 };

	for (int i = 0; i < 5; i++) {
		cr_expect_not(silence_grows(&s, "https://a"));
		cr_expect_not(silence_grows(&s, "https://a"));
		silence_ends(&s, "https://a");
	}
	cr_expect_not(silence_grows(&s, "https://a"));
	cr_expect_not(silence_grows(&s, "https://b"));
	silence_ends(&s, "https://b");
	cr_expect_not(silence_grows(&s, "https://a"));
	cr_expect(silence_grows(&s, "https://a"));
	cr_expect(silence_grows(&s, "https://a"));
}
