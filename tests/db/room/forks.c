/* tests/db/room/forks.c - rooms with branches, told by other servers: the state before each event is that of the history. */
#include "core/room/resolve.h"
#include "tests/db/room/remote.h"

#include <string.h>

static void
imported(struct ctx *cx, struct remote *rm)
{
	remote_send(rm, "T1", "@alice:remote", TOPIC, "", TOPIC_OF("one"), NULL);
	remote_send(rm, "M1", "@bob:remote", MSG, NULL, "{\"body\":\"hi\"}", NULL);
	enter_after(cx, rm, "M1");
	expect_before(rm, "dan");
	expect_now(rm, "dan");
	cr_expect_eq(sql_int("SELECT state_ver FROM room"), 2, "the state is one version, the join another");
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE room_pos IS NULL AND flags & 4 = 4"), 7);
	cr_expect_eq(sql_int("SELECT joined FROM room"), 4);
	cr_expect_str_eq(sql("SELECT kind || ' ' || top_pos || ' ' || coalesce(bottom_pos::text, '-') || ' ' || next_pos || ' ' || array_length(prev, 1) FROM hole"),
	    "1 1 - 0 1");
	cr_expect_eq(sql_int("SELECT membership FROM local_member"), 2);
	/* The room goes on: linear, as one of our own. */
	remote_send(rm, "M2", "@alice:remote", MSG, NULL, "{\"body\":\"welcome\"}", "dan");
	remote_send(rm, "T2", "@alice:remote", TOPIC, "", TOPIC_OF("two"), "M2");
	deliver_all(cx, rm, "M2 T2");
	say(cx, rm->d.room, "thanks");
	cr_expect_eq(sql_int("SELECT count(*) FROM line"), 0);
	cr_expect_eq(expect_all(rm), 3);
	expect_now(rm, "T2");
}
Test(room_forks, imported_join) { in_versions(all_versions, imported); }

static void
two_branches(struct ctx *cx, struct remote *rm)
{
	enter_after(cx, rm, NULL);
	remote_send(rm, "A1", "@alice:remote", TOPIC, "", TOPIC_OF("a"), "dan");
	remote_send(rm, "B1", "@bob:remote", TOPIC, "", TOPIC_OF("b"), "dan");
	remote_send(rm, "B2", "@bob:remote", MSG, NULL, "{}", "B1");
	remote_send(rm, "A2", "@alice:remote", "m.room.name", "", "{\"name\":\"n\"}", "A1");
	remote_send(rm, "J", "@carol:third", MSG, NULL, "{}", "A2 B2");
	remote_send(rm, "K", "@carol:third", MSG, NULL, "{}", "J");
	deliver_all(cx, rm, "A1 B1 B2 A2");
	expect_now(rm, "A2 B2");
	cr_expect_eq(sql_int("SELECT cardinality(extremities) FROM room"), 2);
	deliver_all(cx, rm, "J K");
	cr_expect_eq(expect_all(rm), 7);
	expect_now(rm, "K");
	cr_expect_eq(sql_int("SELECT cardinality(extremities) FROM room"), 1);
	cr_expect_eq(sql_int("SELECT count(*) FROM line"), 2, "B1 and A2 left the room's line; J cites all ends, so it stands on it");
}
Test(room_forks, two_branches_meet) { in_versions(all_versions, two_branches); }

static void
ban_and_join(struct ctx *cx, struct remote *rm)
{
	enter_after(cx, rm, NULL);
	remote_send(rm, "ban", "@bob:remote", MEMBER, "@carol:third", BAN, "dan");
	remote_send(rm, "C1", "@carol:third", TOPIC, "", TOPIC_OF("c"), "dan");	/* no right: rejected */
	remote_send(rm, "C2", "@carol:third", MSG, NULL, "{}", "C1");
	remote_send(rm, "C3", "@carol:third", MEMBER, "@carol:third", "{\"membership\":\"join\",\"displayname\":\"C\"}", "C2");
	remote_send(rm, "E1", "@bob:remote", MSG, NULL, "{}", "C3 ban");
	cr_assert(rm->d.v[remote_at(rm, "C1")].ev.rejected);
	cr_expect_eq(deliver(cx, rm, "ban").is, RECEIVED);
	cr_expect_eq(deliver(cx, rm, "C1").is, RECEIVED_REJECTED);
	cr_expect_eq(deliver(cx, rm, "C2").is, RECEIVED_SOFT_FAILED, "allowed where it stands, not now");
	cr_expect_eq(deliver(cx, rm, "C3").is, RECEIVED_SOFT_FAILED);
	cr_expect_eq(deliver(cx, rm, "C3").is, RECEIVED_KNOWN);
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE room_pos IS NULL AND flags & 4 = 0"), 3);
	expect_now(rm, "ban");
	cr_expect_eq(deliver(cx, rm, "E1").is, RECEIVED);
	expect_now(rm, "E1");
	expect_all(rm);
	cr_expect_eq(sql_int("SELECT cardinality(extremities) FROM room"), 1);
}
Test(room_forks, rejected_and_soft_failed) { IN(ban_and_join, "2", "6", "10", "11", "12"); }

/* ---- our own events on several ends */

static void
local_merge(struct ctx *cx, struct remote *rm)
{
	enter_after(cx, rm, NULL);
	remote_send(rm, "A1", "@alice:remote", TOPIC, "", TOPIC_OF("a"), "dan");
	remote_send(rm, "B1", "@bob:remote", "m.room.name", "", "{\"name\":\"b\"}", "dan");
	deliver_all(cx, rm, "A1 B1");
	say(cx, rm->d.room, "both");
	cr_expect_eq(sql_int("SELECT json_array_length(event_cites(e) -> 'prev_events') FROM event e ORDER BY room_pos DESC NULLS LAST LIMIT 1"), 2);
	cr_expect_str_eq(sql("SELECT line || ' ' || ver || ' ' || at_ver FROM event ORDER BY room_pos DESC NULLS LAST LIMIT 1"), "0 4 4");
	cr_expect_eq(sql_int("SELECT cardinality(extremities) FROM room"), 1);
	expect_now(rm, "A1 B1");
}
Test(room_forks, a_local_event_brings_branches_together) { in_versions(all_versions, local_merge); }

static void
many_ends(struct ctx *cx, struct remote *rm)
{
	enter_after(cx, rm, NULL);
	for (int i = 0; i < 45; i++) {
		const char *name = arena_printf(rm->d.cx.a, "E%d", i);

		if (i % 5 == 0)
			remote_send(rm, name, "@alice:remote", "x", arena_printf(rm->d.cx.a, "%d", i), "{}", "dan");
		else
			remote_send(rm, name, "@bob:remote", MSG, NULL, "{}", "dan");
		deliver_all(cx, rm, name);
	}
	cr_expect_eq(sql_int("SELECT cardinality(extremities) FROM room"), 45);
	long long ver = sql_int("SELECT state_ver FROM room");
	say(cx, rm->d.room, "all");
	cr_expect_eq(sql_int("SELECT cardinality(extremities) FROM room"), 1);
	cr_expect_eq(sql_int("SELECT state_ver FROM room"), ver, "what the branches agree on stays");
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE type = (SELECT nid FROM name WHERE body = 'org.matrix.dummy_event')"), 2);
	cr_expect_eq(sql_int("SELECT max(json_array_length(event_cites(e) -> 'prev_events')) FROM event e"), 20);
	cr_expect_eq(sql_int("SELECT count(*) FROM event e WHERE room_pos IS NOT NULL AND NOT EXISTS (SELECT 1 FROM event x WHERE event_cites(x)::text LIKE '%%' || e.id || '%%')"),
	    1, "all but the last are cited");
	expect_all(rm);
}
Test(room_forks, more_ends_than_one_event_can_cite) { IN(many_ends, "1", "10", "12"); }

/* A room that falls apart is brought together without waiting for one of us to speak. */
static void
endless_ends(struct ctx *cx, struct remote *rm)
{
	enter_after(cx, rm, NULL);
	for (int i = 0; i <= 100; i++) {
		const char *name = arena_printf(rm->d.cx.a, "E%d", i);

		remote_send(rm, name, "@bob:remote", MSG, NULL, "{}", "dan");
		deliver_all(cx, rm, name);
	}
	cr_expect_leq(sql_int("SELECT cardinality(extremities) FROM room"), 20);
	expect_all(rm);
	expect_now(rm, "dan");
}
Test(room_forks, far_too_many_ends) { IN(endless_ends, "6"); }

/* Nobody of this server may bring them together: then nothing is written for it, however often it is tried. */
static void
nobody_merges(struct ctx *cx, struct remote *rm)
{
	remote_send(rm, "L", "@alice:remote", LEVELS, "", "{\"users\":{\"@alice:remote\":100,\"@bob:remote\":50},\"events_default\":50}", NULL);
	enter_after(cx, rm, NULL);
	for (int i = 0; i <= 104; i++) {
		const char *name = arena_printf(rm->d.cx.a, "E%d", i);

		remote_send(rm, name, "@bob:remote", i % 2 ? "m.room.name" : TOPIC, "", arena_printf(rm->d.cx.a, "{\"n\":%d}", i), "dan");
		deliver_all(cx, rm, name);
	}
	cr_expect_eq(sql_int("SELECT cardinality(extremities) FROM room"), 54, "of 101 the newest 50, and four more");
	cr_expect_eq(sql_int("SELECT count(*) FROM line"), 104, "one for each event but the first");
	expect_all(rm);
}
Test(room_forks, ends_that_nobody_may_merge) { IN(nobody_merges, "10"); }

/* Who was banned on a branch that fell off the ends stays out, whatever branches others make. */
static void
cut(struct ctx *cx, struct remote *rm)
{
	remote_send(rm, "L", "@alice:remote", LEVELS, "", "{\"users\":{\"@alice:remote\":100,\"@bob:remote\":50},\"events_default\":50}", NULL);
	enter_after(cx, rm, NULL);
	remote_send(rm, "ban", "@alice:remote", MEMBER, "@carol:third", BAN, "dan");
	deliver_all(cx, rm, "ban");
	for (int i = 0; i <= 160; i++) {
		const char *name = arena_printf(rm->d.cx.a, "E%d", i);

		remote_send(rm, name, "@bob:remote", MEMBER, "@bob:remote", arena_printf(rm->d.cx.a, "{\"membership\":\"join\",\"n\":%d}", i), "dan");
		deliver_all(cx, rm, name);
	}
	cr_expect_leq(sql_int("SELECT cardinality(extremities) FROM room"), 100);
	cr_expect_eq(sql_int("SELECT count(*) FROM room r JOIN event e ON e.nid = ANY (r.extremities) WHERE e.id = '%s'", remote_id(rm, "ban")), 0);
	cr_expect_eq(sql_int("SELECT membership FROM state s JOIN name n ON n.nid = s.key WHERE n.body = '@carol:third' AND s.line = 0 ORDER BY since DESC LIMIT 1"),
	    MEM_BAN);
	remote_send(rm, "C", "@carol:third", MEMBER, "@carol:third", "{\"membership\":\"join\",\"displayname\":\"c\"}", "E160");
	cr_expect_eq(deliver(cx, rm, "C").is, RECEIVED_SOFT_FAILED);
	/* All that is left brought together by somebody else: even then. */
	remote_send(rm, "J", "@bob:remote", MSG, NULL, "{}", "E141 E142 E143 E144 E145 E146 E147 E148 E149 E150 E151 E152 E153 E154 E155 E156 E157 E158 E159 E160");
	deliver_all(cx, rm, "J");
	remote_send(rm, "C2", "@carol:third", MEMBER, "@carol:third", "{\"membership\":\"join\",\"displayname\":\"d\"}", "J");
	cr_expect_eq(deliver(cx, rm, "C2").is, RECEIVED_SOFT_FAILED);
}
Test(room_forks, a_ban_does_not_fall_off_the_ends) { IN(cut, "6", "12"); }

/* ---- sizes */

static void
reset(struct ctx *cx, struct remote *rm)
{
	enter_after(cx, rm, NULL);
	remote_send_as(rm, "ban", "@alice:remote", MEMBER, "@bob:remote", BAN, "dan", NULL, 1);
	for (int i = 0; i < 1000; i++)
		remote_send(rm, arena_printf(rm->d.cx.a, "S%d", i), "@bob:remote", "x", arena_printf(rm->d.cx.a, "k%d", i), "{}", i == 0 ? "dan" : NULL);
	for (int i = 0; i < 1000; i++)
		cr_assert_eq(deliver(cx, rm, arena_printf(cx->a, "S%d", i)).is, RECEIVED);
	int64_t ver = sql_int("SELECT state_ver FROM room");
	cr_expect_eq(deliver(cx, rm, "ban").is, RECEIVED);
	cr_expect_eq(sql_int("SELECT state_ver FROM room"), ver + 1, "one jump");
	cr_expect_eq(sql_int("SELECT count(*) FROM state WHERE line = 0 AND since = %lld", (long long)ver + 1), 1001);
	expect_now(rm, "ban S999");
	cr_expect_eq(sql_int("SELECT count(*) FROM current_state s JOIN name n ON n.nid = s.type WHERE n.body = 'x'"
	    " AND s.event IS NOT NULL"), 0);
}
Test(room_forks, a_reset_of_a_thousand_keys) { IN(reset, "10"); }

static void
long_fork(struct ctx *cx, struct remote *rm)
{
	enter_after(cx, rm, NULL);
	remote_send(rm, "T1", "@alice:remote", TOPIC, "", TOPIC_OF("main"), "dan");
	deliver_all(cx, rm, "T1");
	for (int i = 0; i < 500; i++)
		remote_send(rm, arena_printf(rm->d.cx.a, "S%d", i), "@bob:remote", "x", arena_printf(rm->d.cx.a, "k%d", i % 20), "{}", i == 0 ? "dan" : NULL);
	long long before = sql_int("SELECT count(*) FROM state");
	for (int i = 0; i < 500; i++)
		cr_assert_eq(deliver(cx, rm, arena_printf(cx->a, "S%d", i)).is, RECEIVED);
	cr_expect_eq(sql_int("SELECT count(*) FROM line"), 1);
	cr_expect_leq(sql_int("SELECT count(*) FROM state") - before, 1000, "a row on the fork and one on the room's line for each");
	expect_now(rm, "T1 S499");
	expect_before(rm, "S499");
}
Test(room_forks, five_hundred_changes_on_a_fork) { IN(long_fork, "10"); }

static char *
filler(struct arena *a, size_t n)
{
	char *s = arena_alloc(a, n + 1);

	memset(s, 'x', n);
	s[n] = '\0';
	return s;
}

/* What branches have in common is not read, however much it says: others decide how much that is. */
static void
heavy_chain(struct ctx *cx, struct remote *rm)
{
	const char *more = filler(rm->d.cx.a, 50000), *users = rm->d.rv->privileged_creators ? "" : "\"@alice:remote\":100,";

	for (int i = 0; i < 100; i++)
		remote_send(rm, arena_printf(rm->d.cx.a, "L%d", i), "@alice:remote", LEVELS, "",
		    arena_printf(rm->d.cx.a, "{\"users\":{%s\"@bob:remote\":50},\"x\":\"%s\",\"n\":%d}", users, more, i), NULL);
	remote_send(rm, "small", "@alice:remote", LEVELS, "", arena_printf(rm->d.cx.a, "{\"users\":{%s\"@bob:remote\":50}}", users), NULL);
	enter_after(cx, rm, NULL);
	remote_send(rm, "A", "@alice:remote", TOPIC, "", TOPIC_OF("a"), "dan");
	remote_send(rm, "B", "@bob:remote", TOPIC, "", TOPIC_OF("b"), "dan");
	remote_send(rm, "C", "@carol:third", MEMBER, "@carol:third", arena_printf(rm->d.cx.a, "{\"membership\":\"join\",\"x\":\"%s\"}", more), "dan");
	remote_send(rm, "J", "@bob:remote", MSG, NULL, "{}", "A B C");
	session_next(cx);
	cx->user = DAN;
	const size_t before = arena_used(cx->a);
	deliver_all(cx, rm, "A B C J");
	cr_expect_lt(arena_used(cx->a) - before, 3000000, "%zu bytes", arena_used(cx->a) - before);
	expect_all(rm);
	expect_now(rm, "J");
}
Test(room_forks, what_branches_share_is_not_read) { IN(heavy_chain, "1", "6", "12"); }

static enum err
deliver_or_not(struct ctx *cx, struct remote *rm, const char *name)
{
	struct incoming in = wire(cx, rm, remote_at(rm, name));
	struct received out;
	struct receive rc;
	enum err e;

	if ((e = receive_open(&rc, cx, rm->d.room, &in, 1)) != M_OK || (e = receive_event(&rc, &in, NULL, &out)) != M_OK)
		return e;
	return receive_close(&rc);
}

/* Over the limits an event is refused as a whole, and the room goes on without it. */
static void
limits(struct ctx *cx, struct remote *rm)
{
	const struct resolve_limits were = resolve_limits;

	enter_after(cx, rm, NULL);
	remote_send(rm, "A", "@alice:remote", LEVELS, "", "{\"users\":{\"@alice:remote\":100,\"@bob:remote\":51}}", "dan");
	remote_send(rm, "B", "@bob:remote", TOPIC, "", TOPIC_OF("b"), "dan");
	remote_send(rm, "C", "@alice:remote", LEVELS, "", "{\"users\":{\"@alice:remote\":100,\"@bob:remote\":52}}", "dan");
	deliver_all(cx, rm, "A B");
	const long long events = sql_int("SELECT count(*) FROM event"), ver = sql_int("SELECT state_ver FROM room");
	resolve_limits.bytes = 100;
	cr_expect_eq(DO(cx, TX_RW, deliver_or_not(cx, rm, "C")), M_TOO_LARGE);
	resolve_limits = were;
	resolve_limits.events = 3;
	cr_expect_eq(DO(cx, TX_RW, deliver_or_not(cx, rm, "C")), M_TOO_LARGE);
	cr_expect_eq(sql_int("SELECT count(*) FROM event"), events);
	cr_expect_eq(sql_int("SELECT state_ver FROM room"), ver);
	say(cx, rm->d.room, "we talk on");
	resolve_limits = were;
	deliver_all(cx, rm, "C");
	expect_all(rm);
}
Test(room_forks, branches_too_far_apart) { IN(limits, "2", "10"); }
