/* tests/db/room/relation.c - relations, threads, upgrades and knocks at the same moment; what is counted and what is there. */
#include "core/room/relation_read.h"
#include "core/room/upgrade.h"
#include "tests/db/room/world.h"

struct relate {
	const char *room, *type, *rel_type, *target, *key;
	const char *id;		/* made */
};

static enum err
relate(struct ctx *cx, void *arg)
{
	struct relate *r = arg;
	const char *key = r->key != NULL ? arena_printf(cx->a, ",\"key\":\"%s\"", r->key) : "";
	struct json *content = parse(cx, arena_printf(cx->a, "{\"body\":\"b\",\"m.relates_to\":{\"rel_type\":\"%s\",\"event_id\":\"%s\"%s}}",
	    r->rel_type, r->target, key));
	const struct txn none = { "x", NULL };

	return room_send(cx, r->room, r->type, content, &none, &r->id);
}

static enum err
redact(struct ctx *cx, const char *room, const char *event)
{
	const struct txn none = { "x", NULL };
	const char *id;

	return room_redact(cx, room, event, json_new_obj(cx->a), &none, &id);
}

static enum err
relate_in_tx(struct ctx *cx, void *arg)
{
	return DO(cx, TX_RW, relate(cx, arg));
}

/* Counted is what there is, and a relation is there as long as its event says so. */
static void
check_relations(void)
{
	cr_expect_str_eq(sql("SELECT t.root FROM thread t, LATERAL (SELECT count(*) AS n, coalesce(max(room_pos), 0) AS top"
	    " FROM event_relation r WHERE r.target = t.root AND r.rel_type = 27) c WHERE t.n <> c.n OR t.latest_pos <> c.top"), "");
	cr_expect_str_eq(sql("SELECT u.root FROM thread_user u WHERE u.n <> (SELECT count(*) FROM event_relation r WHERE r.target = u.root"
	    " AND r.rel_type = 27 AND r.sender = u.usr)"), "");
	cr_expect_str_eq(sql("SELECT r.event FROM event_relation r JOIN event e ON e.nid = r.event WHERE e.redacted_by IS NOT NULL"), "");
}

Test(room_relation, counts_follow_sends_and_redactions)
{
	struct ctx *a = user("alice"), *b = user("bob");
	const char *room = make_room(a, "{\"preset\":\"public_chat\"}"), *root = say(a, room, "root");
	struct relate thread = { room, "m.room.message", "m.thread", root, NULL, NULL }, ref = { room, "m.room.message", "m.reference", root, NULL, NULL };
	const char *first;

	OK(b, TX_RW, member_change(b, MEMBER_JOIN, room, NULL, NULL));
	OK(a, TX_RW, relate(a, &thread));
	first = thread.id;
	OK(b, TX_RW, relate(b, &thread));
	OK(b, TX_RW, relate(b, &ref));
	check_relations();
	cr_expect_eq(sql_int("SELECT n FROM thread"), 2);
	cr_expect_eq(sql_int("SELECT count(*) FROM event e JOIN thread t ON t.root = e.thread"), 2);
	OK(b, TX_RW, redact(b, room, thread.id));
	check_relations();
	OK(b, TX_RW, redact(b, room, thread.id));
	OK(a, TX_RW, redact(a, room, first));
	OK(b, TX_RW, redact(b, room, ref.id));
	check_relations();
	cr_expect_eq(sql_int("SELECT n FROM thread"), 0);
	cr_expect_eq(sql_int("SELECT count(*) FROM event_relation"), 0);
	check_rooms();
}

/* Who has left sees the threads as they were: all of them, in the order of then, and nothing of what came later. */
Test(room_relation, threads_of_one_who_has_left)
{
	struct ctx *a = user("alice"), *b = user("bob");
	const char *room = make_room(a, "{\"preset\":\"public_chat\"}"), *one, *three;
	struct relate thread = { room, "m.room.message", "m.thread", NULL, NULL, NULL };
	struct json *t, *first;

	OK(b, TX_RW, member_change(b, MEMBER_JOIN, room, NULL, NULL));
	thread.target = one = say(a, room, "one");
	OK(a, TX_RW, relate(a, &thread));
	thread.target = say(a, room, "two");
	OK(b, TX_RW, relate(b, &thread));
	three = say(a, room, "three");
	OK(b, TX_RW, member_change(b, MEMBER_LEAVE, room, NULL, NULL));
	thread.target = one;
	OK(a, TX_RW, relate(a, &thread));
	thread.target = three;
	OK(a, TX_RW, relate(a, &thread));
	t = READ(b, threads_list(b, room, false, NULL, 10, &o));
	cr_expect_str_eq(bodies(b, json_get(t, "chunk")), "two one");
	first = json_get(json_get(json_get(json_get(t, "chunk")->u.arr.v[1], "unsigned"), "m.relations"), "m.thread");
	cr_expect_eq(json_get_int(first, "count", 0), 1);
	t = READ(b, threads_list(b, room, true, NULL, 10, &o));
	cr_expect_str_eq(bodies(b, json_get(t, "chunk")), "two");
	t = READ(b, threads_list(b, room, false, NULL, 1, &o));
	cr_expect_str_eq(bodies(b, json_get(READ(b, threads_list(b, room, false, json_get_str(t, "next_batch"), 1, &o)), "chunk")), "one");
	cr_expect_str_eq(bodies(a, json_get(READ(a, threads_list(a, room, false, NULL, 10, &o)), "chunk")), "three one two");
}

/* What a user who was erased had said is not told to who came later, neither alone nor bundled. */
Test(room_relation, bundles_of_an_erased_user)
{
	struct ctx *a = user("alice"), *b = user("bob"), *c = user("carol");
	const char *room = make_room(a, "{\"preset\":\"public_chat\"}"), *root;
	struct relate thread = { room, "m.room.message", "m.thread", NULL, NULL, NULL };
	struct json *one, *latest;

	OK(b, TX_RW, member_change(b, MEMBER_JOIN, room, NULL, NULL));
	thread.target = root = say(b, room, "root");
	OK(a, TX_RW, relate(a, &thread));
	sql("UPDATE account SET erased = true WHERE usr = (SELECT nid FROM name WHERE body = '@alice:localhost')");
	OK(c, TX_RW, member_change(c, MEMBER_JOIN, room, NULL, NULL));
	one = READ(c, read_event(c, room, root, &o));
	cr_expect_str_eq(json_get_str(json_get(one, "content"), "body"), "root");
	latest = json_get(json_get(json_get(json_get(one, "unsigned"), "m.relations"), "m.thread"), "latest_event");
	cr_expect_not_null(latest);
	cr_expect_null(json_get(json_get(latest, "content"), "body"));
	one = READ(b, read_event(b, room, root, &o));
	latest = json_get(json_get(json_get(json_get(one, "unsigned"), "m.relations"), "m.thread"), "latest_event");
	cr_expect_str_eq(json_get_str(json_get(latest, "content"), "body"), "b");
}

/* An annotation of an event that is in a thread is in the thread too. */
Test(room_relation, thread_of_what_relates_to_a_threads_event)
{
	struct ctx *a = user("alice");
	const char *room = make_room(a, "{}"), *root = say(a, room, "root");
	struct relate thread = { room, "m.room.message", "m.thread", root, NULL, NULL }, note = { room, "m.reaction", "m.annotation", NULL, "x", NULL };

	OK(a, TX_RW, relate(a, &thread));
	note.target = thread.id;
	OK(a, TX_RW, relate(a, &note));
	cr_expect_str_eq(sql("SELECT thread = (SELECT nid FROM event WHERE id = '%s') FROM event WHERE id = '%s'", root, note.id), "t");
	cr_expect_eq(sql_int("SELECT n FROM thread"), 1);
}

Test(room_relation, the_same_annotation_at_the_same_moment)
{
	struct ctx *a = user("alice"), *b = user_again("alice");
	const char *room = make_room(a, "{}"), *root = say(a, room, "root");
	struct relate one = { room, "m.reaction", "m.annotation", root, "x", NULL }, two = one;
	struct step *s;

	db_begin(a, TX_RW);
	cr_assert_eq(relate(a, &one), M_OK);
	cr_assert_eq(db_run(a), M_OK);
	s = step_start(b, relate_in_tx, &two);
	cr_assert(step_waits(s));
	cr_assert_eq(db_commit(a), M_OK);
	cr_expect_eq(step_end(s), M_DUPLICATE_ANNOTATION);
	cr_expect_eq(sql_int("SELECT count(*) FROM event_relation"), 1);
	check_rooms();
}

struct up {
	const char *room, *id;
};

static enum err
upgrade_in_tx(struct ctx *cx, void *arg)
{
	struct up *u = arg;

	return DO(cx, TX_RW, room_upgrade(cx, u->room, "12", NULL, &u->id));
}

/* Both happen, one after the other: the room's tombstone names the second. */
Test(room_relation, two_upgrades_at_the_same_moment)
{
	struct ctx *a = user("alice"), *b = user_again("alice");
	struct up one = { make_room(a, "{\"room_version\":\"10\"}"), NULL }, two = one;
	struct step *s;

	db_begin(a, TX_RW);
	cr_assert_eq(room_upgrade(a, one.room, "12", NULL, &one.id), M_OK);
	cr_assert_eq(db_run(a), M_OK);
	b->now = a->now + 1;
	s = step_start(b, upgrade_in_tx, &two);
	cr_assert(step_waits(s));
	cr_assert_eq(db_commit(a), M_OK);
	cr_expect_eq(step_end(s), M_OK);
	cr_expect_str_neq(one.id, two.id);
	cr_expect_eq(sql_int("SELECT count(*) FROM room"), 3);
	cr_expect_str_eq(sql("SELECT e.content::json ->> 'replacement_room' FROM current_state s JOIN event e ON e.nid = s.event"
	    " WHERE s.type = 12"), two.id);
	check_rooms();
}
