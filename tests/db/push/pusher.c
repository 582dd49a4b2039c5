/* tests/db/push/pusher.c - how many pushers one may have, also where two are made at once; the API itself: tests/http/pushers.test.js */
#include "tests/db/push/world.h"

static enum err
set(struct ctx *cx, void *key)
{
	const char *body = arena_printf(cx->a, "{\"kind\":\"http\",\"app_id\":\"app\",\"pushkey\":\"%s\",\"app_display_name\":\"A\","
	    "\"device_display_name\":\"D\",\"lang\":\"en\",\"data\":{\"url\":\"http://127.0.0.1:1/_matrix/push/v1/notify\"}}", (const char *)key);

	return pusher_set(cx, parse(cx, body));
}

static enum err
set_in_tx(struct ctx *cx, void *key)
{
	return DO(cx, TX_RW, set(cx, key));
}

/* The second stands at the account until the first is there to be counted. */
Test(pusher, two_at_once_do_not_pass_the_limit)
{
	struct ctx *one = user("anna"), *two = session(), *other = user("bob");
	struct step *s;
	char key[20];

	one->conf = other->conf = push_conf();
	for (int i = 1; i < PUSHERS_MAX; i++) {
		snprintf(key, sizeof key, "k%d", i);
		OK(one, TX_RW, set(one, key));
	}
	two->conf = push_conf();
	two->user = one->user;
	two->user_nid = one->user_nid;
	two->device = one->device;
	session_next(one);
	db_begin(one, TX_RW);
	cr_assert_eq(set(one, (char[]){ "last" }), M_OK);
	cr_assert_eq(db_run(one), M_OK);
	s = step_start(two, set_in_tx, (char[]){ "beyond" });
	cr_assert(step_waits(s));
	OK(other, TX_RW, set(other, (char[]){ "another's" }));
	cr_assert_eq(db_commit(one), M_OK);
	cr_assert_eq(step_end(s), M_FORBIDDEN);
	cr_expect_eq(sql_int("SELECT count(*) FROM pusher WHERE usr = %lld", (long long)one->user_nid), PUSHERS_MAX);
	OK(one, TX_RW, set(one, (char[]){ "last" }));	/* set anew, it is none more */
}
