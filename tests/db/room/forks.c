/* tests/db/room/forks.c - rooms with branches, told by other servers: the state before each event is that of the history. */
#include "core/room/purge.h"
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

/* ---- holes */

static const char *
order_of(void)
{
	return sql("SELECT string_agg(CASE WHEN b.body = 'm.room.message' THEN content::json ->> 'body' ELSE 'S' END"
	    " || CASE WHEN gap > 1 THEN ' ..' ELSE '' END, ' ' ORDER BY room_pos) FROM (SELECT *, lead(room_pos) OVER (ORDER BY room_pos) - room_pos AS gap"
	    " FROM event WHERE room_pos IS NOT NULL) e JOIN name b ON b.nid = e.type");
}

static void
send_messages(struct remote *rm, const char *prefix, int n, const char *after)
{
	for (int i = 1; i <= n; i++) {
		const char *name = arena_printf(rm->d.cx.a, "%s%d", prefix, i);

		remote_send(rm, name, "@alice:remote", MSG, NULL, arena_printf(rm->d.cx.a, "{\"body\":\"%s\"}", name), i == 1 ? after : NULL);
	}
}

static void
rejoin(struct ctx *cx, struct remote *rm)
{
	struct received r;

	enter_after(cx, rm, NULL);
	send_messages(rm, "A", 2, NULL);
	deliver_all(cx, rm, "A1 A2");
	cr_assert_eq(leave(cx, rm->d.room), M_OK);
	cr_expect_eq(sql_int("SELECT membership FROM local_member"), 4);
	/* Meanwhile, elsewhere. What was told of the leave does not matter here: he is in by another event. */
	remote_send(rm, "T1", "@alice:remote", TOPIC, "", TOPIC_OF("new"), "A2");
	send_messages(rm, "B", 3, NULL);
	remote_send(rm, "kick", "@alice:remote", MEMBER, DAN, LEAVE, NULL);
	remote_send(rm, "again", DAN, MEMBER, DAN, JOIN, NULL);
	cr_assert_eq(import_at(cx, rm, "again", &r), M_OK, "%s", cx->err_text);
	expect_before(rm, "again");
	expect_now(rm, "again");
	cr_expect_str_eq(order_of(), "S A1 A2 S .. S");
	cr_expect_eq(sql_int("SELECT membership FROM local_member"), 2);
	cr_expect_eq(sql_int("SELECT cardinality(extremities) FROM room"), 1);
	send_messages(rm, "C", 1, NULL);
	deliver_all(cx, rm, "C1");
	check_rooms();
	/* Filled in the middle, in two pieces. */
	cr_expect_eq(fill_hole(cx, rm, "again", "B3 kick B2"), 3);
	cr_expect_str_eq(order_of(), "S A1 A2 S .. B2 B3 S S C1");
	check_rooms();
	expect_all(rm);
	cr_expect_eq(fill_hole(cx, rm, "again", "B3 kick B2 T1 B1 A2 A1"), 2, "what is here is passed over");
	cr_expect_str_eq(order_of(), "S A1 A2 S .. S B1 B2 B3 S S C1");
	cr_expect_eq(sql_int("SELECT count(*) FROM hole WHERE prev = '{}'"), 1, "filled, but the numbers are missing still");
	expect_all(rm);
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE room_pos > 1099511627776 AND pos <> (SELECT pos FROM event WHERE id = '%s')"
	    " AND id <> '%s'", remote_id(rm, "again"), remote_id(rm, "C1")), 0, "a filled hole is no news");
	expect_now(rm, "C1");
}
Test(room_forks, rejoin_over_a_hole) { in_versions(all_versions, rejoin); }

static void
refused_in_a_hole(struct ctx *cx, struct remote *rm)
{
	struct received r;

	enter_after(cx, rm, NULL);
	remote_send(rm, "kick", "@alice:remote", MEMBER, DAN, LEAVE, NULL);
	deliver_all(cx, rm, "kick");
	send_messages(rm, "B", 1, NULL);
	remote_send(rm, "bad", "@carol:third", TOPIC, "", TOPIC_OF("mine"), NULL);
	send_messages(rm, "C", 1, "bad");
	remote_send(rm, "again", DAN, MEMBER, DAN, JOIN, NULL);
	cr_assert(rm->d.v[remote_at(rm, "bad")].ev.rejected);
	cr_assert_eq(import_at(cx, rm, "again", &r), M_OK);
	cr_expect_eq(fill_hole(cx, rm, "again", "B1 bad C1"), 2, "the refused one has no place");
	cr_expect_str_eq(order_of(), "S S .. B1 C1 S");
	cr_expect_eq(sql_int("SELECT flags FROM event WHERE id = '%s'", remote_id(rm, "bad")), 1);
	cr_expect_eq(sql_int("SELECT count(*) FROM hole WHERE prev = '{}'"), 1);
	expect_all(rm);
	expect_now(rm, "again");
}
Test(room_forks, a_refused_event_in_a_hole) { IN(refused_in_a_hole, "1", "8", "12"); }

static void
history(struct ctx *cx, struct remote *rm)
{
	send_messages(rm, "A", 3, NULL);
	remote_send(rm, "X1", "@bob:remote", TOPIC, "", TOPIC_OF("x"), "A2");
	remote_send(rm, "X2", "@bob:remote", MSG, NULL, "{\"body\":\"X2\"}", "X1 A3");
	enter_after(cx, rm, "X2");
	/* The oldest message that is told cites what is not: its state is not known, but that of the event above X2 is. */
	cr_expect_eq(fill_hole(cx, rm, "dan", "X2"), 1);
	expect_before(rm, "X2");
	cr_expect_eq(fill_hole(cx, rm, "dan", "A3 X1 A2 A1 create alice levels rules bob carol"), 10);
	cr_expect_eq(sql_int("SELECT min(room_pos) FROM event"), -10);
	cr_expect_eq(sql_int("SELECT count(*) FROM hole"), 0, "the room has all its history");
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE flags & 4 = 4"), 0, "all outliers are real");
	cr_expect_eq(expect_all(rm), rm->d.n);
	expect_now(rm, "dan");
	cr_expect_eq(deliver(cx, rm, "A1").is, RECEIVED_KNOWN);
}
Test(room_forks, history_before_the_first_join) { in_versions(all_versions, history); }

static void
outage(struct ctx *cx, struct remote *rm)
{
	enter_after(cx, rm, NULL);
	send_messages(rm, "A", 1, NULL);
	deliver_all(cx, rm, "A1");
	remote_send(rm, "T1", "@alice:remote", TOPIC, "", TOPIC_OF("new"), NULL);
	remote_send(rm, "eve", "@eve:remote", MEMBER, "@eve:remote", JOIN, NULL);
	send_messages(rm, "B", 2, NULL);
	struct received r = deliver(cx, rm, "B2");
	cr_assert_eq(r.is, RECEIVED_NOT);
	cr_expect_eq(r.nmissing_prev, 1);
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE id = '%s'", remote_id(rm, "B2")), 0);
	cr_assert_eq(deliver_over_hole(cx, rm, "B2").is, RECEIVED);
	expect_before(rm, "B2");
	cr_expect_eq(sql_int("SELECT kind FROM hole WHERE bottom_pos IS NOT NULL"), 2);
	check_rooms();
	cr_expect_eq(sql_int("SELECT joined FROM room"), 5, "eve came in the hole, as an outlier");
	cr_expect_eq(fill_hole(cx, rm, "B2", "B1 T1 eve"), 3);
	cr_expect_eq(sql_int("SELECT cardinality(extremities) FROM room"), 1, "A1 is the end of nothing any more");
	expect_now(rm, "B2");
	expect_all(rm);
	cr_expect_eq(sql_int("SELECT count(*) FROM hole WHERE prev <> '{}' AND bottom_pos IS NOT NULL"), 0);
}
Test(room_forks, outage) { in_versions(all_versions, outage); }

/* ---- reading */

static struct json *
messages(struct ctx *cx, struct remote *rm, const char *from, bool back)
{
	const struct messages q = { .from = from, .back = back, .limit = 50 };

	return READ(cx, read_messages(cx, rm->d.room, &q, &o));
}

static const char *
chunk(struct ctx *cx, const struct json *page)
{
	return bodies(cx, json_get(page, "chunk"));
}

static void
reading(struct ctx *cx, struct remote *rm)
{
	struct received r;
	struct json *page;

	enter_after(cx, rm, NULL);
	send_messages(rm, "A", 2, NULL);
	remote_send(rm, "kick", "@alice:remote", MEMBER, DAN, LEAVE, NULL);
	deliver_all(cx, rm, "A1 A2 kick");
	send_messages(rm, "B", 2, NULL);
	remote_send(rm, "T1", "@alice:remote", TOPIC, "", TOPIC_OF("t"), NULL);
	remote_send(rm, "again", DAN, MEMBER, DAN, JOIN, NULL);
	cr_assert_eq(import_at(cx, rm, "again", &r), M_OK);
	send_messages(rm, "C", 2, NULL);
	deliver_all(cx, rm, "C1 C2");
	/* Backwards to the hole, and no further: the end that is told is where one stands still. */
	page = messages(cx, rm, NULL, true);
	cr_expect_str_eq(chunk(cx, page), "C2 C1 m.room.member");
	const char *edge = json_get_str(page, "end");
	cr_assert_not_null(edge);
	page = messages(cx, rm, edge, true);
	cr_expect_str_eq(chunk(cx, page), "");
	cr_expect_str_eq(json_get_str(page, "end"), edge);
	struct hole h;
	OK(cx, TX_RO, hole_below(cx, sql_int("SELECT nid FROM room"), sql_int("SELECT last_room_pos FROM room"), &h));
	cr_assert_eq(h.nprev, 1);
	cr_expect_str_eq(h.prev[0], remote_id(rm, "T1"));
	/* Forwards from below. */
	page = messages(cx, rm, "t0", false);
	cr_expect_str_eq(chunk(cx, page), "m.room.member A1 A2 m.room.member");
	page = messages(cx, rm, json_get_str(page, "end"), false);
	cr_expect_str_eq(chunk(cx, page), "");
	cr_expect_not_null(json_get_str(page, "end"), "it is no end");
	page = READ(cx, read_context(cx, rm->d.room, remote_id(rm, "C1"), 10, NULL, &o));
	cr_expect_str_eq(bodies(cx, json_get(page, "events_before")), "m.room.member");
	page = READ(cx, read_context(cx, rm->d.room, remote_id(rm, "A2"), 10, NULL, &o));
	cr_expect_str_eq(bodies(cx, json_get(page, "events_after")), "m.room.member");
	/* Filled: one order, through the place where the hole was. What was said while he was out is shared. */
	cr_expect_eq(fill_hole(cx, rm, "again", "B1 B2 T1"), 3);
	page = messages(cx, rm, edge, true);
	cr_expect_str_eq(chunk(cx, page), "m.room.topic B2 B1 m.room.member A2 A1 m.room.member");
	page = messages(cx, rm, "t0", false);
	cr_expect_str_eq(chunk(cx, page), "m.room.member A1 A2 m.room.member B1 B2 m.room.topic m.room.member C1 C2");
	/* The first join's hole remains open, below all. */
	cr_expect_eq(fill_hole(cx, rm, "dan", "carol"), 1);
	page = messages(cx, rm, "t0", true);
	cr_expect_str_eq(chunk(cx, page), "m.room.member");
	cr_expect_eq(READ(cx, read_members(cx, rm->d.room, NULL, "join", NULL, &o))->u.obj.v[0].value->u.arr.n, 4);
}
Test(room_forks, timelines_stop_at_holes) { IN(reading, "1", "6", "10", "12"); }

/* What is rejected or soft-failed is not to be had; a fork where the reader had no right shows him nothing. */
static void
not_for_him(struct ctx *cx, struct remote *rm)
{
	struct json_out o;

	json_out_init(&o, cx->a);
	enter_after(cx, rm, NULL);
	remote_send(rm, "closed", "@alice:remote", "m.room.history_visibility", "", "{\"history_visibility\":\"joined\"}", "dan");
	remote_send(rm, "open", "@alice:remote", MSG, NULL, "{\"body\":\"open\"}", "closed");
	remote_send(rm, "out", "@alice:remote", MEMBER, DAN, LEAVE, "closed");
	remote_send(rm, "secret", "@alice:remote", MSG, NULL, "{\"body\":\"secret\"}", "out");
	remote_send(rm, "back", DAN, MEMBER, DAN, JOIN, "secret open");
	remote_send(rm, "ban", "@alice:remote", MEMBER, "@carol:third", BAN, "back");
	remote_send(rm, "bad", "@carol:third", MSG, NULL, "{\"body\":\"bad\"}", "back");
	deliver_all(cx, rm, "closed open out secret back ban");
	cr_expect_eq(deliver(cx, rm, "bad").is, RECEIVED_SOFT_FAILED);
	cr_expect_str_eq(chunk(cx, messages(cx, rm, "t1", false)),
	    "m.room.history_visibility open m.room.member m.room.member m.room.member", "without what was said on the fork that he had left");
	cr_expect_eq(DO(cx, TX_RO, read_event(cx, rm->d.room, remote_id(rm, "secret"), &o)), M_NOT_FOUND);
	cr_expect_eq(DO(cx, TX_RO, read_event(cx, rm->d.room, remote_id(rm, "bad"), &o)), M_NOT_FOUND);
	cr_expect_eq(DO(cx, TX_RO, read_event(cx, rm->d.room, remote_id(rm, "open"), &o)), M_OK);
	expect_all(rm);
}
Test(room_forks, what_is_not_for_the_reader) { IN(not_for_him, "2", "10", "12"); }

/* ---- what events say about others, in any order */

static const char *
body_of(struct remote *rm, const char *name)
{
	return sql("SELECT coalesce(content::json ->> 'body', CASE WHEN redacted_by IS NOT NULL THEN 'redacted' END) FROM event WHERE id = '%s'",
	    remote_id(rm, name));
}

static const char *
redacts(struct remote *rm, const char *name)
{
	return arena_printf(rm->d.cx.a, "{\"redacts\":\"%s\"}", remote_id(rm, name));
}

static void
about_others(struct ctx *cx, struct remote *rm)
{
	struct arena *a = rm->d.cx.a;

	enter_after(cx, rm, NULL);
	send_messages(rm, "A", 4, NULL);
	remote_send(rm, "mine", "@carol:third", MSG, NULL, "{\"body\":\"mine\"}", NULL);
	/* One by who may, one by its own sender, one by who may not; before and after the message is known. */
	remote_send(rm, "R1", "@alice:remote", "m.room.redaction", NULL, redacts(rm, "mine"), "A4");
	remote_send(rm, "R2", "@carol:third", "m.room.redaction", NULL, redacts(rm, "A1"), "A4");
	remote_send(rm, "R3", "@bob:remote", "m.room.redaction", NULL, redacts(rm, "A2"), "A4");
	remote_send(rm, "reply", "@bob:remote", MSG, NULL,
	    arena_printf(a, "{\"body\":\"r\",\"m.relates_to\":{\"rel_type\":\"m.thread\",\"event_id\":\"%s\"}}", remote_id(rm, "mine")), "A4");
	deliver_all(cx, rm, "A1 A2 A3 A4 R1 R2 R3 reply");
	cr_expect_str_eq(body_of(rm, "A1"), "A1", "carol may not redact what alice said");
	cr_expect_str_eq(body_of(rm, "A2"), "redacted", "bob's server is alice's");
	cr_expect_eq(sql_int("SELECT count(*) FROM thread"), 0);
	deliver_all(cx, rm, "mine");
	cr_expect_str_eq(body_of(rm, "mine"), "redacted", "the redaction waited");
	cr_expect_eq(sql_int("SELECT n FROM thread"), 1, "and so did the answer");
	cr_expect_eq(sql_int("SELECT count(*) FROM event_relation WHERE target IS NULL"), 0);
}
Test(room_forks, redactions_and_relations_in_any_order) { IN(about_others, "11", "12"); }

/* ---- what other servers may write */

/* U+0000 is JSON, and PostgreSQL's operators refuse a document that holds it: in a name, in a member that nobody asked for. */
static void
nul(struct ctx *cx, struct remote *rm)
{
	enter_after(cx, rm, NULL);
	remote_send(rm, "A1", "@alice:remote", TOPIC, "", TOPIC_OF("a\\u0000"), "dan");
	remote_send(rm, "B1", "@bob:remote", MEMBER, "@bob:remote", "{\"membership\":\"join\",\"displayname\":\"b\\u0000\"}", "dan");
	remote_send(rm, "B2", "@bob:remote", TOPIC, "", TOPIC_OF("b \\\\u0000"), "B1");
	remote_send(rm, "C", "@carol:third", MSG, NULL, "{}", "A1 B2");
	deliver_all(cx, rm, "A1 B1");
	sql("UPDATE event SET pdu = left(pdu, -1) || ',\"x\\u0000\":\"\\\\u0000\"}' WHERE flags & 8 = 0");
	deliver_all(cx, rm, "B2 C");
	expect_all(rm);
	expect_now(rm, "C");
}
Test(room_forks, nul_characters) { IN(nul, "1", "6", "12"); }

/* A room has one create event. Another that its server tells of, alone or as part of a state, is none. */
static void
second_create(struct ctx *cx, struct remote *rm)
{
	enter_after(cx, rm, NULL);
	size_t first = rm->d.n;
	remote_send(rm, "create2", "@mallory:remote", CREATE, "",
	    arena_printf(rm->d.cx.a, "{\"creator\":\"@mallory:remote\",\"room_version\":\"%s\"}", rm->d.rv->id), "");
	rm->before[first] = rm->before[remote_at(rm, "dan")];
	cr_expect_neq(deliver_over_hole(cx, rm, "create2").is, RECEIVED);
	remote_send(rm, "mallory", "@mallory:remote", MEMBER, "@mallory:remote", JOIN, "create2");
	cr_expect_neq(deliver_over_hole(cx, rm, "mallory").is, RECEIVED, "in a room of his own making");
	cr_expect_eq(sql_int("SELECT cardinality(extremities) FROM room"), 1);
	expect_now(rm, "dan");
}
Test(room_forks, a_second_create_event) { IN(second_create, "1", "6", "11"); }

/* A message that says that it relates to another one as a redaction is none. */
static void
false_redaction(struct ctx *cx, struct remote *rm)
{
	struct arena *a = rm->d.cx.a;

	enter_after(cx, rm, NULL);
	send_messages(rm, "late", 1, NULL);
	remote_send(rm, "false", "@bob:remote", MSG, NULL, arena_printf(a,
	    "{\"m.relates_to\":{\"rel_type\":\"m.room.redaction\",\"event_id\":\"%s\"}}", remote_id(rm, "late1")), "dan");
	/* A true one whose content relates it to something else waits all the same. */
	remote_send(rm, "T1", "@alice:remote", TOPIC, "", TOPIC_OF("secret"), "dan");
	remote_send(rm, "true", "@bob:remote", "m.room.redaction", NULL, arena_printf(a,
	    "{\"redacts\":\"%s\",\"m.relates_to\":{\"rel_type\":\"m.x\",\"event_id\":\"$nothing\"}}", remote_id(rm, "T1")), "dan");
	deliver_all(cx, rm, "false true late1 T1");
	cr_expect_str_eq(body_of(rm, "late1"), "late1");
	cr_expect_eq(sql_int("SELECT flags & 16 FROM event WHERE id = '%s'", remote_id(rm, "T1")), 16);
	cr_expect_eq(sql_int("SELECT count(*) FROM event_relation WHERE target IS NULL"), 0);
}
Test(room_forks, false_redactions) { IN(false_redaction, "11", "12"); }

/* Backfill goes down: the root of a thread comes after all that was said in it. */
static void
long_thread(struct ctx *cx, struct remote *rm)
{
	enter_after(cx, rm, NULL);
	send_messages(rm, "root", 1, NULL);
	send_messages(rm, "A", 1, "dan");
	deliver_all(cx, rm, "A1");
	sql("WITH e AS (INSERT INTO event (room, ts, type, sender, flags, id, content, pdu) SELECT room, ts, type, sender, 4, id || i, content, pdu"
	    " FROM event, generate_series(1, 1200) i WHERE id = '%s' RETURNING *) INSERT INTO event_relation (event, rel_type, type, sender, room_pos, ts, target_id)"
	    " SELECT nid, 27, type, sender, 1, ts, '%s' FROM e", remote_id(rm, "A1"), remote_id(rm, "root1"));
	deliver_all(cx, rm, "root1");
	cr_expect_eq(sql_int("SELECT n FROM thread"), 1200);
}
Test(room_forks, a_root_after_a_long_thread) { IN(long_thread, "10"); }

/* ---- our own events on several ends */

static void
local_merge(struct ctx *cx, struct remote *rm)
{
	enter_after(cx, rm, NULL);
	remote_send(rm, "A1", "@alice:remote", TOPIC, "", TOPIC_OF("a"), "dan");
	remote_send(rm, "B1", "@bob:remote", "m.room.name", "", "{\"name\":\"b\"}", "dan");
	deliver_all(cx, rm, "A1 B1");
	say(cx, rm->d.room, "both");
	cr_expect_eq(sql_int("SELECT json_array_length(pdu::json -> 'prev_events') FROM event ORDER BY room_pos DESC NULLS LAST LIMIT 1"), 2);
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
	cr_expect_eq(sql_int("SELECT max(json_array_length(pdu::json -> 'prev_events')) FROM event"), 20);
	cr_expect_eq(sql_int("SELECT count(*) FROM event e WHERE room_pos IS NOT NULL AND NOT EXISTS (SELECT 1 FROM event x WHERE x.pdu LIKE '%%' || e.id || '%%')"),
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
	cr_expect_eq(sql_int("SELECT cardinality(extremities) FROM room"), 105);
	cr_expect_eq(sql_int("SELECT count(*) FROM line"), 104, "one for each event but the first");
}
Test(room_forks, ends_that_nobody_may_merge) { IN(nobody_merges, "10"); }

/* ---- after a purge */

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
Test(room_forks, what_a_purge_leaves_is_no_state) { IN(purged, "6", "10"); }

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
	cr_expect_eq(sql_int("SELECT count(*) FROM state s JOIN name n ON n.nid = s.type WHERE n.body = 'x' AND s.line = 0"
	    " AND s.until = 9223372036854775807 AND s.event IS NOT NULL"), 0);
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
Test(room_forks, a_purge_leaves_the_states_of_late_events) { IN(late, "6", "10"); }
