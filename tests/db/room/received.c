/* tests/db/room/received.c - what received events do to others, in any order, and what other servers may write. */
#include "tests/db/room/remote.h"

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
Test(room_received, redactions_and_relations_in_any_order) { IN(about_others, "11", "12"); }

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
Test(room_received, nul_characters) { IN(nul, "1", "6", "12"); }

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
Test(room_received, a_second_create_event) { IN(second_create, "1", "6", "11"); }

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
Test(room_received, false_redactions) { IN(false_redaction, "11", "12"); }

static enum err
as_outlier(struct ctx *cx, struct remote *rm, const char *name)
{
	struct incoming in = wire(cx, rm, remote_at(rm, name));
	struct receive rc;
	enum err e;

	if ((e = receive_open(&rc, cx, rm->d.room, &in, 1)) != M_OK || (e = receive_outliers(&rc, &in, 1, NULL)) != M_OK)
		return e;
	return receive_close(&rc);
}

/* What was redacted while it was an outlier says nothing about others once it is real. */
static void
redacted_outlier(struct ctx *cx, struct remote *rm)
{
	struct arena *a = rm->d.cx.a;

	enter_after(cx, rm, NULL);
	send_messages(rm, "A", 1, NULL);
	remote_send(rm, "reply", "@bob:remote", MSG, NULL,
	    arena_printf(a, "{\"body\":\"r\",\"m.mentions\":{\"user_ids\":[\"" DAN "\"]},\"m.relates_to\":{\"rel_type\":\"m.thread\",\"event_id\":\"%s\"}}",
	    remote_id(rm, "A1")), NULL);
	remote_send(rm, "R", "@bob:remote", "m.room.redaction", NULL, redacts(rm, "reply"), "A1");
	deliver_all(cx, rm, "A1");
	OK(cx, TX_RW, as_outlier(cx, rm, "reply"));
	deliver_all(cx, rm, "R reply");
	cr_expect_str_eq(body_of(rm, "reply"), "redacted");
	cr_expect_eq(sql_int("SELECT count(*) FROM event_relation"), 0);
	cr_expect_eq(sql_int("SELECT count(*) FROM thread"), 0);
	cr_expect_eq(sql_int("SELECT count(*) FROM mention"), 0);
}
Test(room_received, a_redacted_outlier) { IN(redacted_outlier, "11", "12"); }

/* Its auth events let it in, the state where it stands does not. And a text that cannot be put together again stays whole. */
static void
refused_outlier(struct ctx *cx, struct remote *rm)
{
	enter_after(cx, rm, NULL);
	remote_send(rm, "L", "@alice:remote", LEVELS, "", "{\"users\":{\"@alice:remote\":100}}", NULL);
	remote_send_as(rm, "bad", "@bob:remote", TOPIC, "", TOPIC_OF("b"), "L", "create levels bob", 0);
	send_messages(rm, "A", 1, "L");
	deliver_all(cx, rm, "L");
	OK(cx, TX_RW, as_outlier(cx, rm, "bad"));
	cr_expect_eq(deliver(cx, rm, "bad").is, RECEIVED_REJECTED);
	cr_expect_eq(sql_int("SELECT flags FROM event WHERE id = '%s'", remote_id(rm, "bad")), 1);
	OK(cx, TX_RW, as_outlier(cx, rm, "A1"));
	sql("UPDATE event SET flags = flags | 8, content = '{\"auth_events\":' || (pdu::json -> 'auth_events') || ',\"content\":{},\"depth\":20,"
	    "\"hashes\":{\"sha256\":\"x\"},\"origin_server_ts\":1,\"prev_events\":' || (pdu::json -> 'prev_events') || ',\"room_id\":\"%s\","
	    "\"sender\":\"@alice:remote\",\"signatures\":{},\"type\":\"m.room.message\"}', pdu = '{}' WHERE id = '%s'", rm->d.room, remote_id(rm, "A1"));
	deliver_all(cx, rm, "A1");
	cr_expect_eq(sql_int("SELECT flags FROM event WHERE id = '%s'", remote_id(rm, "A1")), 8);
}
Test(room_received, a_refused_outlier) { IN(refused_outlier, "6", "11"); }

/* Room versions 1 to 5 know no bounds for numbers: what a client is told is one that it can read. */
static void
ages(struct ctx *cx, struct remote *rm)
{
	enter_after(cx, rm, NULL);
	send_messages(rm, "A", 2, NULL);
	deliver_all(cx, rm, "A1 A2");
	sql("UPDATE event SET ts = -9223372036854775807 - 1 WHERE id = '%s'", remote_id(rm, "A1"));
	sql("UPDATE event SET ts = 9223372036854775807 WHERE id = '%s'", remote_id(rm, "A2"));
	cr_expect_eq(json_get_int(json_get(READ(cx, read_event(cx, rm->d.room, remote_id(rm, "A1"), &o)), "unsigned"), "age", 0), 9007199254740991);
	cr_expect_eq(json_get_int(json_get(READ(cx, read_event(cx, rm->d.room, remote_id(rm, "A2"), &o)), "unsigned"), "age", 0), -9007199254740991);
}
Test(room_received, ages_of_odd_clocks) { IN(ages, "5"); }

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
Test(room_received, a_root_after_a_long_thread) { IN(long_thread, "10"); }
