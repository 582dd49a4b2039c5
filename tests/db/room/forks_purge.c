/* tests/db/room/forks_purge.c - what a purge of history leaves of branches and holes. */
#include "core/room/purge.h"
#include "tests/db/room/remote.h"

static void
purge_before(struct ctx *cx, struct remote *rm, const char *name)
{
	int64_t nid = sql_int("SELECT nid FROM room"), last = sql_int("SELECT room_pos - 1 FROM event WHERE id = '%s'", remote_id(rm, name));
	bool more = true;

	while (more)
		OK(cx, TX_RW, purge_history_step(cx, nid, last, false, &more));
}

/* What was refused stays, the state before it goes: whoever cites it then cites something that is not known. */
static void
purged(struct ctx *cx, struct remote *rm)
{
	struct received r;

	enter_after(cx, rm, NULL);
	remote_send(rm, "A", "@alice:remote", TOPIC, "", TOPIC_OF("a"), "dan");
	remote_send(rm, "bad", "@carol:third", TOPIC, "", TOPIC_OF("no"), "A");		/* on the room's line */
	remote_send(rm, "B", "@bob:remote", "m.room.name", "", "{\"name\":\"b\"}", "dan");
	remote_send(rm, "bad2", "@carol:third", TOPIC, "", TOPIC_OF("no"), "B");		/* on a fork */
	deliver_all(cx, rm, "A");
	cr_expect_eq(deliver(cx, rm, "bad").is, RECEIVED_REJECTED);
	deliver_all(cx, rm, "B");
	cr_expect_eq(deliver(cx, rm, "bad2").is, RECEIVED_REJECTED);
	remote_send(rm, "L", "@alice:remote", LEVELS, "", "{\"users\":{\"@alice:remote\":100},\"state_default\":100}", "A B");
	remote_send(rm, "M", "@alice:remote", MSG, NULL, "{}", "L");
	remote_send(rm, "N", "@alice:remote", MSG, NULL, "{}", "M");
	deliver_all(cx, rm, "L M N");
	purge_before(cx, rm, "N");
	remote_send(rm, "late", "@alice:remote", MSG, NULL, "{}", "bad");
	remote_send(rm, "late2", "@alice:remote", MSG, NULL, "{}", "bad2");
	r = deliver(cx, rm, "late");
	cr_expect_eq(r.is, RECEIVED_NOT);
	cr_expect_eq(r.nmissing_prev, 1);
	cr_expect_eq(deliver(cx, rm, "late2").is, RECEIVED_NOT);
}
Test(room_forks_purge, what_a_purge_leaves_is_no_state) { IN(purged, "6", "10"); }

/* An event that came late stands on a state that had gone by: it holds that. */
static void
late(struct ctx *cx, struct remote *rm)
{
	enter_after(cx, rm, NULL);
	remote_send(rm, "A", "@alice:remote", TOPIC, "", TOPIC_OF("a"), "dan");
	remote_send(rm, "L", "@alice:remote", LEVELS, "", "{\"users\":{\"@alice:remote\":100}}", "A");
	remote_send(rm, "T", "@alice:remote", TOPIC, "", TOPIC_OF("t"), "L");
	remote_send(rm, "late", "@bob:remote", MSG, NULL, "{}", "A");
	remote_send(rm, "J", "@alice:remote", MSG, NULL, "{}", "late T");
	deliver_all(cx, rm, "A L T late J");
	purge_before(cx, rm, "late");
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE room_pos IS NOT NULL"), 2);
	expect_before(rm, "late");
	purge_before(cx, rm, "J");
	cr_expect_eq(sql_int("SELECT count(*) FROM state WHERE type = 8"), 1, "and no longer");
}
Test(room_forks_purge, a_purge_leaves_the_states_of_late_events) { IN(late, "6", "10"); }

/* The timeline begins among what filled a hole: below it there is nothing, and no hole but the purge's. */
static void
partly_filled(struct ctx *cx, struct remote *rm)
{
	enter_after(cx, rm, NULL);
	send_messages(rm, "A", 1, NULL);
	deliver_all(cx, rm, "A1");
	send_messages(rm, "B", 6, NULL);
	cr_assert_eq(deliver_over_hole(cx, rm, "B6").is, RECEIVED);
	remote_send(rm, "M", "@alice:remote", MSG, NULL, "{}", "B6 A1");
	deliver_all(cx, rm, "M");
	cr_expect_eq(fill_hole(cx, rm, "B6", "B3 B4 B5"), 3);
	purge_before(cx, rm, "B5");
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE room_pos IS NOT NULL"), 3);
	cr_expect_str_eq(sql("SELECT string_agg(kind || ' ' || (top_pos - r.last_room_pos), ',') FROM hole JOIN room r ON true"), "3 -2");
	check_rooms();
}
Test(room_forks_purge, a_hole_filled_in_part) { IN(partly_filled, "6", "12"); }

/* A soft-failed event may yet be cited: its fork waits for that, but no longer than what was said at its time is kept. */
static void
soft_failed(struct ctx *cx, struct remote *rm)
{
	enter_after(cx, rm, NULL);
	remote_send(rm, "T", "@bob:remote", TOPIC, "", TOPIC_OF("t"), "dan");
	remote_send(rm, "ban", "@alice:remote", MEMBER, "@carol:third", BAN, "T");
	remote_send(rm, "N", "@bob:remote", "m.room.name", "", "{}", "dan");
	remote_send(rm, "bad", "@carol:third", MEMBER, "@carol:third", "{\"membership\":\"join\",\"displayname\":\"c\"}", "N");
	remote_send(rm, "M", "@alice:remote", MSG, NULL, "{}", "ban N");
	send_messages(rm, "B", 3, NULL);
	deliver_all(cx, rm, "T ban N");
	cr_expect_eq(deliver(cx, rm, "bad").is, RECEIVED_SOFT_FAILED);
	deliver_all(cx, rm, "M B1 B2 B3");
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE line <> 0 AND flags = 2"), 1);
	purge_before(cx, rm, "M");
	cr_expect_gt(sql_int("SELECT count(*) FROM line"), 0, "it came after the last of those that went");
	purge_before(cx, rm, "B3");
	cr_expect_eq(sql_int("SELECT count(*) FROM line"), 0);
	cr_expect_eq(sql_int("SELECT count(*) FROM state WHERE line <> 0"), 0);
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE line <> 0 OR fork IS NOT NULL"), 0);
	remote_send(rm, "late", "@alice:remote", MSG, NULL, "{}", "bad");
	cr_expect_eq(deliver(cx, rm, "late").is, RECEIVED_NOT, "the state after it is not known any more");
}
Test(room_forks_purge, soft_failed_events_hold_no_fork_for_ever) { IN(soft_failed, "6", "12"); }
