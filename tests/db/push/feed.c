/* tests/db/push/feed.c - from the streams into table push: nothing missed, nothing twice, whoever commits when */
#include "core/base/failpoint.h"
#include "core/live/receipt.h"
#include "tests/db/push/world.h"

struct world {
	struct ctx *a, *b, *c, *job;	/* a and c listen to b */
	const char *room;
};

static struct world
world(void)
{
	struct world w = { user("anna"), user("bob"), user("carl"), session(), NULL };

	w.room = make_room(w.b, "{\"preset\":\"public_chat\"}");
	cr_assert_eq(join(w.a, w.room), M_OK);
	cr_assert_eq(join(w.c, w.room), M_OK);
	look_all(w.job);
	return w;
}

Test(push_feed, without_a_pusher_nothing_is_written)
{
	struct world w = world();
	const char *before = sql("SELECT since FROM push_feed");

	before = arena_strdup(w.a->a, before);
	say(w.b, w.room, "1");
	cr_assert_not(look(w.job).queued);
	cr_assert_str_eq(sql("SELECT since FROM push_feed"), before, "not even the position, for a minute");
	sql("UPDATE push_feed SET looked_ts = looked_ts - 61000");
	look(w.job);
	cr_assert_str_neq(sql("SELECT since FROM push_feed"), before);
}

Test(push_feed, a_message_becomes_a_row_for_each_pusher_of_each_hearer)
{
	struct world w = world();
	long long a1 = pusher_of(w.a, "a1"), a2 = pusher_of(w.a, "a2"), b = pusher_of(w.b, "b"), c = pusher_of(w.c, "c");

	say(w.b, w.room, "1");
	say(w.b, w.room, "2");
	say(w.a, w.room, "3");
	cr_assert(look(w.job).queued);
	cr_assert_str_eq(waiting(a1), "1 2");
	cr_assert_str_eq(waiting(a2), "1 2");
	cr_assert_str_eq(waiting(b), "3");
	cr_assert_str_eq(waiting(c), "1 2 3");
	cr_assert_eq(sql_int("SELECT count(*) FROM pusher WHERE due_ts IS NOT NULL"), 4);
	cr_assert_not(look(w.job).queued, "once");
	cr_assert_eq(sql_int("SELECT count(*) FROM push"), 8);
}

/* Three members, one user with a pusher: the members are found from the other side. */
Test(push_feed, few_pushers_in_a_larger_room)
{
	struct world w = world();
	long long c = pusher_of(w.c, "c");
	const char *other = make_room(w.b, "{\"preset\":\"public_chat\"}");

	say(w.b, w.room, "here");
	say(w.b, other, "not there");
	look_all(w.job);
	cr_assert_str_eq(waiting(c), "here");
}

Test(push_feed, what_rules_silence_who_left_and_who_ignores)
{
	struct world w = world();
	long long a = pusher_of(w.a, "a"), c = pusher_of(w.c, "c");

	sql("INSERT INTO account_data (usr, type, content) VALUES (%lld, 'm.ignored_user_list', '{\"ignored_users\":{\"@bob:localhost\":{}}}')",
	    (long long)w.a->user_nid);
	cr_assert_eq(leave(w.c, w.room), M_OK);
	say(w.b, w.room, "1");
	cr_assert_eq(set_state(w.b, w.room, "m.room.topic", "{\"topic\":\"t\"}"), M_OK);
	look_all(w.job);
	cr_assert_str_eq(waiting(a), "");
	cr_assert_str_eq(waiting(c), "");
}

Test(push_feed, an_invitation_is_told_to_who_is_no_member)
{
	struct world w = world();
	struct ctx *d = user("dora");
	long long p = pusher_of(d, "d");

	OK(w.b, TX_RW, member_change(w.b, MEMBER_INVITE, w.room, "@dora:localhost", NULL));
	say(w.b, w.room, "1");
	look_all(w.job);
	cr_assert_str_eq(waiting(p), "m.room.member");
}

/* The later of two transactions commits first; between them somebody looks. */
Test(push_feed, who_commits_late_is_not_missed)
{
	struct world w = world();
	long long c = pusher_of(w.c, "c");
	struct ctx *slow = user_again("bob");
	struct json *content = parse(slow, "{\"msgtype\":\"m.text\",\"body\":\"late\"}");
	const struct txn none = { NULL, NULL };
	const char *id, *other = make_room(w.a, "{\"preset\":\"public_chat\"}");

	cr_assert_eq(join(w.c, other), M_OK);
	db_begin(slow, TX_RW);
	cr_assert_eq(room_send(slow, w.room, "m.room.message", content, &none, &id), M_OK);
	cr_assert_eq(db_run(slow), M_OK);	/* written, not committed */
	say(w.a, other, "early");
	look_all(w.job);
	cr_assert_str_eq(waiting(c), "early");
	cr_assert_eq(db_commit(slow), M_OK);
	look_all(w.job);
	cr_assert_str_eq(waiting(c), "early late");
	look_all(w.job);
	cr_assert_str_eq(waiting(c), "early late");
}

Test(push_feed, a_worker_that_ends_in_the_middle_was_never_there)
{
	struct world w = world();
	long long c = pusher_of(w.c, "c");
	struct feed_look out;

	say(w.b, w.room, "1");
	cr_assert(failpoint_setup("push.feed:error", "/tmp"));
	session_next(w.job);
	cr_assert_eq(push_feed_look(w.job, &out), E_UNAVAILABLE);
	failpoint_setup("", "/tmp");
	cr_assert_str_eq(waiting(c), "");
	look_all(w.job);
	cr_assert_str_eq(waiting(c), "1");
}

Test(push_feed, two_at_once_do_not_wait_for_each_other)
{
	struct world w = world();
	long long c = pusher_of(w.c, "c");
	struct feed_look l;

	say(w.b, w.room, "1");
	sql("BEGIN; SELECT 1 FROM push_feed FOR UPDATE");
	l = look(w.job);
	cr_assert(!l.queued && !l.more);
	sql("COMMIT");
	look_all(w.job);
	cr_assert_str_eq(waiting(c), "1");
}

Test(push_feed, a_long_way_is_gone_in_pieces)
{
	struct world w = world();
	long long c = pusher_of(w.c, "c");

	for (int i = 0; i < FEED_EVENTS + 30; i++)
		say(w.b, w.room, "x");
	cr_assert_eq(look_all(w.job), 3, "two pieces, and a look for what came meanwhile");
	cr_assert_eq(sql_int("SELECT count(*) FROM push WHERE pusher = %lld", c), FEED_EVENTS + 30);
	cr_assert_eq(sql_int("SELECT count(DISTINCT event) FROM push"), FEED_EVENTS + 30);
	cr_assert_eq(sql_int("SELECT count(*) FROM push_feed WHERE until IS NULL AND at_pos = 0"), 1);
}

/* Many who must be asked: a look takes fewer events, and the next goes on behind them. */
Test(push_feed, a_burst_in_a_large_room_is_looked_at_in_pieces)
{
	struct world w = world();
	long long c = pusher_of(w.c, "c");

	sql("WITH n AS (INSERT INTO name (body) SELECT '@many' || i || ':localhost' FROM generate_series(1, 300) i RETURNING nid, body),"
	    " a AS (INSERT INTO account (usr, localpart, created_ts) SELECT nid, body, 0 FROM n RETURNING usr),"
	    " d AS (INSERT INTO device (usr, device_id, created_ts) SELECT usr, 'D', 0 FROM a RETURNING usr, nid),"
	    " m AS (INSERT INTO local_member (usr, room, membership) SELECT usr, (SELECT nid FROM room WHERE id = '%s'), 2 FROM a)"
	    " INSERT INTO pusher (usr, device, key, app_id, pushkey, app_display_name, device_display_name, lang, data, gateway, created_ts,"
	    "	updated_ts) SELECT usr, nid, sha256(nid::text::bytea), 'x', 'x', '', '', '', '{}', '', 0, 0 FROM d", w.room);
	for (int i = 0; i < 100; i++)
		say(w.b, w.room, "x");
	cr_assert_gt(look_all(w.job), 2);
	cr_assert_eq(sql_int("SELECT count(*) FROM push WHERE pusher = %lld", c), 100);
	cr_assert_eq(sql_int("SELECT count(DISTINCT event) FROM push"), 100);
}

/* In the middle of a long way, another worker goes on; what came meanwhile is told once. */
Test(push_feed, another_goes_on_where_one_stopped)
{
	struct world w = world();
	struct ctx *other = session();
	long long c = pusher_of(w.c, "c");

	for (int i = 0; i < FEED_EVENTS + 5; i++)
		say(w.b, w.room, "x");
	cr_assert(look(w.job).more);
	say(w.b, w.room, "last");
	look_all(other);
	cr_assert_eq(sql_int("SELECT count(DISTINCT event) FROM push WHERE pusher = %lld", c), FEED_EVENTS + 6);
	cr_assert_eq(sql_int("SELECT count(*) FROM push WHERE pusher = %lld", c), FEED_EVENTS + 6);
}

static enum err
do_look(struct ctx *cx, void *arg)
{
	return push_feed_look(cx, arg);
}

Test(push_feed, a_pusher_that_goes_at_the_same_moment)
{
	struct world w = world();
	long long a = pusher_of(w.a, "a"), c = pusher_of(w.c, "c");
	struct feed_look out;
	struct step *s;

	say(w.b, w.room, "1");
	sql("BEGIN; DELETE FROM pusher WHERE nid = %lld", a);
	s = step_start(w.job, do_look, &out);
	cr_assert(step_waits(s));
	sql("COMMIT");
	cr_assert_eq(step_end(s), M_OK);
	cr_assert_str_eq(waiting(c), "1");
	cr_assert_eq(sql_int("SELECT count(*) FROM push"), 1);
}

Test(push_feed, what_is_older_than_the_pusher_is_not_told)
{
	struct world w = world();
	long long a = pusher_of(w.a, "a"), c;

	say(w.b, w.room, "1");
	c = pusher_of(w.c, "c");
	say(w.b, w.room, "2");
	look_all(w.job);
	cr_assert_str_eq(waiting(a), "1 2");
	cr_assert_str_eq(waiting(c), "2");
}

Test(push_feed, a_position_that_the_database_has_lost_begins_anew)
{
	struct world w = world();
	long long c = pusher_of(w.c, "c");

	say(w.b, w.room, "1");
	sql("UPDATE push_feed SET since = 'nonsense'");
	look_all(w.job);
	say(w.b, w.room, "2");
	look_all(w.job);
	cr_assert_str_eq(waiting(c), "2");
}

Test(push_feed, who_reads_or_sends_has_his_badge_looked_at)
{
	struct world w = world();
	long long a = pusher_of(w.a, "a"), c = pusher_of(w.c, "c");
	struct receipt read = { .kind = RECEIPT_PRIVATE };

	read.event = say(w.b, w.room, "1");
	look_all(w.job);
	cr_assert_eq(sql_int("SELECT count(*) FROM pusher WHERE badge"), 0);
	OK(w.a, TX_RW, receipt_set(w.a, w.room, &read, 1));
	cr_assert(look(w.job).queued);
	cr_assert_eq(sql_int("SELECT nid FROM pusher WHERE badge"), a);
	say(w.c, w.room, "2");
	look_all(w.job);
	cr_assert_eq(sql_int("SELECT count(*) FROM pusher WHERE badge"), 2);
	sql("UPDATE pusher SET badge = false, unread = 0 WHERE nid = %lld", c);
	say(w.c, w.room, "3");
	look_all(w.job);
	cr_assert_eq(sql_int("SELECT count(*) FROM pusher WHERE badge"), 1, "what was told as 0 cannot fall");
}
