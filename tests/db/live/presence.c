/* tests/db/live/presence.c - what is written for presence, and what is not. */
#include "core/jobs/jobs_impl.h"
#include "core/live/presence.h"
#include "tests/db/sync/client.h"

static int64_t
state_of(const struct client *c)
{
	return sql_int("SELECT coalesce((SELECT state FROM presence WHERE usr = %lld), -1)", (long long)c->nid);
}

static long long
pos_of(const struct client *c)
{
	return sql_int("SELECT pos FROM presence WHERE usr = %lld", (long long)c->nid);
}

static void
synced(struct client *c, enum presence_state s, bool said)
{
	session_next(c->cx);
	presence_synced(c->cx, s, said, 30000);
	cr_assert_not(db_in_tx(c->cx));
}

static enum err
sweep(struct ctx *cx)
{
	struct job j = { .kind = "presence_sweep" };

	return presence_sweep_run(cx, &j);
}

Test(presence, the_best_device_counts_and_a_sign_of_life_is_no_news)
{
	struct client *pc = client_new("a"), *phone = client_again(pc);
	long long pos;

	synced(pc, PRESENCE_OFFLINE, true);
	cr_expect_eq(state_of(pc), -1, "who says so leaves no trace");
	synced(pc, PRESENCE_UNAVAILABLE, true);
	cr_expect_eq(state_of(pc), PRESENCE_UNAVAILABLE);
	synced(phone, PRESENCE_ONLINE, false);
	cr_expect_eq(state_of(pc), PRESENCE_ONLINE);
	pos = pos_of(pc);
	synced(pc, PRESENCE_UNAVAILABLE, true);
	synced(phone, PRESENCE_ONLINE, false);
	cr_assert_eq(CALL(pc, (presence_active(pc->cx), M_OK)), M_OK);
	cr_assert_eq(CALL(pc, sweep(pc->cx)), M_OK);
	cr_expect_eq(pos_of(pc), pos);
	cr_assert_eq(CALL(phone, presence_set(phone->cx, PRESENCE_OFFLINE, NULL)), M_OK);
	cr_expect_eq(state_of(pc), PRESENCE_UNAVAILABLE);
	cr_expect_neq(pos_of(pc), pos);
}

Test(presence, by_time_idle_then_gone)
{
	struct client *c = client_new("a");

	synced(c, PRESENCE_ONLINE, false);
	sql("UPDATE presence_device SET active_ts = active_ts - %d", PRESENCE_IDLE_MS + 1000);
	cr_assert_eq(CALL(c, sweep(c->cx)), M_OK);
	cr_expect_eq(state_of(c), PRESENCE_UNAVAILABLE);
	sql("UPDATE presence_device SET until = 1");
	cr_assert_eq(CALL(c, sweep(c->cx)), M_OK);
	cr_expect_eq(state_of(c), PRESENCE_OFFLINE);
	sql("DELETE FROM presence_device; UPDATE presence SET state = 2");	/* as after a crash: the table is unlogged */
	cr_assert_eq(CALL(c, sweep(c->cx)), M_OK);
	cr_expect_eq(state_of(c), PRESENCE_OFFLINE);
}

Test(presence, switched_off)
{
	struct client *c = client_new("a");
	struct conf off = *c->cx->conf;
	struct presence p;
	enum err e;

	off.presence = false;
	c->cx->conf = &off;
	synced(c, PRESENCE_ONLINE, true);
	cr_assert_eq(CALL(c, presence_set(c->cx, PRESENCE_ONLINE, "x")), M_OK);
	cr_expect_eq(sql_int("SELECT (SELECT count(*) FROM presence) + (SELECT count(*) FROM presence_device)"), 0);
	cr_assert_eq(CALL(c, presence_get(c->cx, c->user, &p)), M_OK);
	cr_expect_eq(p.state, PRESENCE_OFFLINE);
	client_sync(c);
	cr_expect_null(json_get(c->last, "presence"));
	c->cx->conf = test_conf();
	e = CALL(c, presence_get(c->cx, "@nobody:localhost", &p));
	cr_expect_eq(e, M_FORBIDDEN);
}
