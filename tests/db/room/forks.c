/* tests/db/room/forks.c - rooms with branches, told by other servers: the state before each event is that of the history. */
#include "tests/db/room/remote.h"

#include <stdlib.h>

#define DAN "@dan:localhost"
#define TOPIC_OF(x) "{\"topic\":\"" x "\"}"
#define MSG "m.room.message"

/* Runs in each of these room versions, each in a room of its own (and in v1 to v11 with an id of its own). */
static const char *const all_versions[] = { "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", NULL };

static void
in_versions(const char *const *v, void (*run)(struct ctx *cx, struct remote *rm))
{
	struct ctx *cx = user("dan");

	for (; *v; v++) {
		struct remote *rm = remote_new(*v);

		run(cx, rm);
		check_rooms();
		sql("TRUNCATE room, event, state, line, hole, local_member, event_relation, thread, thread_user CASCADE");
		dag_close(&rm->d);
		session_next(cx);
		cx->user = DAN;
	}
}
#define IN(run, ...) in_versions((const char *const[]){ __VA_ARGS__, NULL }, run)

/* Dan of this server joins after these events. */
static void
enter_after(struct ctx *cx, struct remote *rm, const char *after)
{
	struct received r;
	enum err e;

	remote_send(rm, "dan", DAN, MEMBER, DAN, JOIN, after);
	e = import_at(cx, rm, "dan", &r);
	cr_assert_eq(e, M_OK, "v%s: %d %s", rm->d.rv->id, e, cx->err_text);
	cr_assert_eq(r.is, RECEIVED);
}

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
