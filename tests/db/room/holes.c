/* tests/db/room/holes.c - stretches of history that are not here: coming in over them, filling them, reading up to them. */
#include "core/jobs/jobs.h"
#include "tests/db/room/remote.h"

static const char *
order_of(void)
{
	return sql("SELECT string_agg(CASE WHEN b.body = 'm.room.message' THEN content::json ->> 'body' ELSE 'S' END"
	    " || CASE WHEN gap > 1 THEN ' ..' ELSE '' END, ' ' ORDER BY room_pos) FROM (SELECT *, lead(room_pos) OVER (ORDER BY room_pos) - room_pos AS gap"
	    " FROM event WHERE room_pos IS NOT NULL) e JOIN name b ON b.nid = e.type");
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
Test(room_holes, rejoin_over_a_hole) { in_versions(all_versions, rejoin); }

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
	remote_send(rm, "bad2", "@carol:third", TOPIC, "", TOPIC_OF("mine"), NULL);
	send_messages(rm, "D", 2, "bad2");
	remote_send(rm, "again", DAN, MEMBER, DAN, JOIN, NULL);
	cr_assert(rm->d.v[remote_at(rm, "bad")].ev.rejected);
	cr_assert_eq(import_at(cx, rm, "again", &r), M_OK);
	cr_expect_eq(fill_hole(cx, rm, "again", "D2 B1 bad2 bad C1 D1"), 4, "the refused ones have no place");
	cr_expect_str_eq(order_of(), "S S .. B1 C1 D1 D2 S");
	cr_expect_eq(sql_int("SELECT flags FROM event WHERE id = '%s'", remote_id(rm, "bad")), 1);
	cr_expect_eq(sql_int("SELECT count(*) FROM hole WHERE prev = '{}'"), 1);
	expect_all(rm);
	expect_now(rm, "again");
}
Test(room_holes, a_refused_event_in_a_hole) { IN(refused_in_a_hole, "1", "8", "12"); }

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
Test(room_holes, history_before_the_first_join) { in_versions(all_versions, history); }

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
Test(room_holes, outage) { in_versions(all_versions, outage); }

/* What came without its state has it once the rest has come. Told in pieces, newest first; and what the state refuses stays without. */
static void
learned(struct ctx *cx, struct remote *rm)
{
	size_t n;

	send_messages(rm, "A", 3, NULL);
	remote_send(rm, "X1", "@bob:remote", TOPIC, "", TOPIC_OF("x"), "A2");
	remote_send(rm, "X2", "@bob:remote", MSG, NULL, "{\"body\":\"X2\"}", "X1 A3");
	remote_send(rm, "T1", "@bob:remote", TOPIC, "", TOPIC_OF("t"), NULL);
	remote_send(rm, "eve", "@eve:remote", MEMBER, "@eve:remote", JOIN, NULL);
	send_messages(rm, "B", 1, NULL);
	enter_after(cx, rm, "B1");
	cr_expect_eq(fill_hole(cx, rm, "dan", "B1 eve"), 2);
	cr_expect_eq(fill_hole(cx, rm, "dan", "T1 X2"), 2);
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE room_pos IS NOT NULL AND ver IS NULL"), 3);
	cr_expect_eq(fill_hole(cx, rm, "dan", "A3 X1"), 2);
	cr_expect_eq(fill_hole(cx, rm, "dan", "A2 A1 create alice levels rules bob carol"), 8);
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE room_pos IS NOT NULL AND ver IS NULL"), 0);
	n = expect_all(rm);
	cr_expect_eq(n, rm->d.n);
	expect_now(rm, "dan");
	remote_send(rm, "late", "@bob:remote", MSG, NULL, "{}", "T1");
	deliver_all(cx, rm, "late");
	expect_before(rm, "late");
}
Test(room_holes, states_are_learned_later) { in_versions(all_versions, learned); }

static void
learned_long(struct ctx *cx, struct remote *rm)
{
	struct buf b;

	for (int i = 0; i < 2 * HOLE_LEARN + 50; i++)
		remote_send(rm, arena_printf(rm->d.cx.a, "S%d", i), "@bob:remote", "x", arena_printf(rm->d.cx.a, "%d", i % 7), "{}", NULL);
	enter_after(cx, rm, NULL);
	buf_init(&b, cx->a);
	for (int i = 2 * HOLE_LEARN + 49; i > 0; i--)
		buf_addf(&b, "S%d%s", i, i > 1 ? " " : "");
	cr_expect_eq(fill_hole(cx, rm, "dan", b.s), 2 * HOLE_LEARN + 49);
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE room_pos IS NOT NULL AND ver IS NULL"), 2 * HOLE_LEARN + 49);
	cr_expect_eq(fill_hole(cx, rm, "dan", "S0 create alice levels rules bob carol"), 7);
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE room_pos IS NOT NULL AND ver IS NULL"), HOLE_LEARN + 49);
	check_rooms();
	cr_expect_eq(sql_int("SELECT count(*) FROM job WHERE kind = 'hole_learn'"), 1);
	for (int i = 0; i < 10 && sql_int("SELECT count(*) FROM job WHERE kind = 'hole_learn'") > 0; i++)
		cr_assert_geq(jobs_run_due(cx), 0);
	cr_expect_eq(expect_all(rm), rm->d.n);
}
Test(room_holes, many_states_are_learned_by_a_job) { IN(learned_long, "10"); }

struct told {
	struct remote *rm;
	const char *name;
	const int64_t *nids;
	size_t n;
	struct received out;
};

static enum err
over_hole_by(struct ctx *cx, struct told *t)
{
	struct incoming in = wire(cx, t->rm, remote_at(t->rm, t->name));
	const struct given_state given = { t->nids, t->n };
	struct receive rc;
	enum err e;

	if ((e = receive_open(&rc, cx, t->rm->d.room, &in, 1)) != M_OK || (e = receive_event(&rc, &in, &given, &t->out)) != M_OK)
		return e;
	return receive_close(&rc);
}

/* What another server tells for a state and is none changes nothing. */
static void
no_state(struct ctx *cx, struct remote *rm)
{
	struct told t = { .rm = rm };
	int64_t nids[20];

	enter_after(cx, rm, NULL);
	remote_send(rm, "T1", "@alice:remote", TOPIC, "", TOPIC_OF("one"), NULL);
	remote_send(rm, "T2", "@alice:remote", TOPIC, "", TOPIC_OF("two"), NULL);
	send_messages(rm, "A", 2, NULL);
	deliver_all(cx, rm, "T1 T2");
	static const char *const state[] = { "create", "alice", "levels", "rules", "bob", "carol", "dan", "T2", "T2", "T1" };
	for (size_t i = 0; i < sizeof state / sizeof *state; i++)
		nids[i] = sql_int("SELECT nid FROM event WHERE id = '%s'", remote_id(rm, state[i]));
	const long long events = sql_int("SELECT count(*) FROM event"), lines = sql_int("SELECT count(*) FROM line");
	t.name = "A2";
	t.nids = nids;
	t.n = 10;
	OK(cx, TX_RW, over_hole_by(cx, &t));
	cr_expect_eq(t.out.is, RECEIVED_NOT, "a key twice");
	cr_expect_not_null(t.out.why);
	t.nids = nids + 1;
	t.n = 7;
	OK(cx, TX_RW, over_hole_by(cx, &t));
	cr_expect_eq(t.out.is, RECEIVED_NOT, "without a create event");
	cr_expect_eq(sql_int("SELECT count(*) FROM event"), events);
	cr_expect_eq(sql_int("SELECT count(*) FROM line"), lines);
	t.nids = nids;
	t.n = 9;
	OK(cx, TX_RW, over_hole_by(cx, &t));
	cr_expect_eq(t.out.is, RECEIVED, "one event twice is no two");
	expect_before(rm, "A2");
}
Test(room_holes, a_state_that_is_none) { IN(no_state, "2", "10"); }

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
Test(room_holes, timelines_stop_at_holes) { IN(reading, "1", "6", "10", "12"); }

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
Test(room_holes, what_is_not_for_the_reader) { IN(not_for_him, "2", "10", "12"); }
