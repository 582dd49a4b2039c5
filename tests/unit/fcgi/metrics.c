/* tests/unit/fcgi/metrics.c - what the health of a container says of its processes that take no requests */
#include <criterion/criterion.h>

#include "core/base/conf.h"
#include "fcgi/metrics.h"

#define NOW 1000000

static const char *
health(struct arena *a, int64_t park_ago, int64_t jobs_ago, int64_t jobs_workers)
{
	struct conf conf = { .jobs_workers = jobs_workers };
	struct shared *sh = arena_zalloc(a, sizeof *sh);
	const struct env env = { .conf = &conf, .sh = sh };
	struct json_out o;

	sh->park_turn = park_ago >= 0 ? NOW - park_ago : 0;
	sh->jobs_turn = jobs_ago >= 0 ? NOW - jobs_ago : 0;
	json_out_init(&o, a);
	health_write(&o, &env, NOW);
	return o.b.s;
}

Test(metrics, health_tells_of_silent_processes)
{
	struct arena *a = arena_new();

	cr_expect_str_eq(health(a, 0, 5000, 1), "{\"status\":\"ok\",\"park\":\"ok\",\"jobs\":\"ok\"}");
	cr_expect_str_eq(health(a, 31000, 0, 1), "{\"status\":\"degraded\",\"park\":\"silent\",\"jobs\":\"ok\"}");
	cr_expect_str_eq(health(a, -1, 0, 1), "{\"status\":\"degraded\",\"park\":\"silent\",\"jobs\":\"ok\"}");
	cr_expect_str_eq(health(a, 0, 121000, 1), "{\"status\":\"degraded\",\"park\":\"ok\",\"jobs\":\"silent\"}");
	cr_expect_str_eq(health(a, 0, -1, 2), "{\"status\":\"degraded\",\"park\":\"ok\",\"jobs\":\"silent\"}");
	cr_expect_str_eq(health(a, 0, -1, 0), "{\"status\":\"ok\",\"park\":\"ok\",\"jobs\":\"none\"}");
	arena_free(a);
}
