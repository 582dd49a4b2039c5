/* tests/db/push/counts.c - unread counts, one case after the other; tests/db/push/random.c compares them with a slow count. */
#include <string.h>

#include "core/live/receipt.h"
#include "core/push/counts.h"
#include "core/room/member.h"
#include "core/room/purge.h"
#include "core/user/account_data.h"
#include "core/user/push_rules.h"
#include "tests/db/room/world.h"

static struct ctx *alice, *bob;
static const char *room;

static void
setup(void)
{
	alice = user("alice");
	bob = user("bob");
	room = make_room(alice, "{\"preset\":\"public_chat\"}");
	cr_assert_eq(join(bob, room), M_OK);
}

TestSuite(counts, .init = setup);

STMT(counts_test_nothing, "SELECT");

static int64_t
room_nid(const char *id)
{
	return sql_int("SELECT nid FROM room WHERE id = '%s'", id);
}

/* "notify/highlight" of the whole room, then " main:…" and " thread:…" where there are threads. */
static const char *
unread(struct ctx *cx)
{
	struct unread_room v = { .usr = cx->user_nid, .room = room_nid(room) };
	struct buf b;

	db_begin(cx, TX_RO);
	cr_assert_eq(unread_rooms(cx, &v, 1), M_OK);
	cr_assert_eq(db_commit(cx), M_OK);
	buf_init(&b, cx->a);
	buf_addf(&b, "%lld/%lld", (long long)v.all.notify, (long long)v.all.highlight);
	if (v.nthreads > 0)
		buf_addf(&b, " main %lld/%lld", (long long)v.main.notify, (long long)v.main.highlight);
	for (size_t i = 0; i < v.nthreads; i++)
		buf_addf(&b, " thread %lld/%lld", (long long)v.threads[i].n.notify, (long long)v.threads[i].n.highlight);
	return b.s;
}
#define UNREAD(cx, want) cr_assert_str_eq(unread(cx), want)

static const char *
send(struct ctx *cx, const char *type, const char *content)
{
	const struct txn none = { 0 };
	const char *id;

	OK(cx, TX_RW, room_send(cx, room, type, parse(cx, content), &none, &id));
	return arena_strdup(alice->a, id);
}

static void
reads(struct ctx *cx, enum receipt_kind kind, const char *event, const char *thread)
{
	const struct receipt v = { kind, event, thread };

	OK(cx, TX_RW, receipt_set(cx, room, &v, 1));
}

static void
rule(struct ctx *cx, const char *kind, const char *id, const char *body)
{
	OK(cx, TX_RW, push_rule_put(cx, kind, id, parse(cx, body), NULL, NULL));
}

static void
redact(struct ctx *cx, const char *event)
{
	const struct txn none = { 0 };
	const char *id;

	OK(cx, TX_RW, room_redact(cx, room, event, parse(cx, "{}"), &none, &id));
}

#define TEXT(body) "{\"body\":\"" body "\",\"msgtype\":\"m.text\"}"
#define MENTIONS(who) "{\"body\":\"x\",\"m.mentions\":{\"user_ids\":[\"" who "\"]},\"msgtype\":\"m.text\"}"

Test(counts, messages_of_others_count_until_they_are_read)
{
	const char *first, *second;

	UNREAD(bob, "0/0");
	first = send(alice, "m.room.message", TEXT("one"));
	second = send(alice, "m.room.message", TEXT("two"));
	UNREAD(bob, "2/0");
	UNREAD(alice, "0/0");
	reads(bob, RECEIPT_READ, second, NULL);
	UNREAD(bob, "0/0");
	reads(bob, RECEIPT_READ, first, NULL);		/* never backwards */
	UNREAD(bob, "0/0");
	send(alice, "m.room.encrypted", "{\"algorithm\":\"m.megolm.v1.aes-sha2\",\"ciphertext\":\"x\"}");
	UNREAD(bob, "1/0");
	send(bob, "m.room.message", TEXT("three"));	/* who answers has read */
	UNREAD(bob, "0/0");
	UNREAD(alice, "1/0");
	check_rooms();
}

Test(counts, what_does_not_count)
{
	const char *said = send(bob, "m.room.message", TEXT("hello")), *edited = send(alice, "m.room.message", TEXT("edited"));

	send(alice, "m.room.message", "{\"body\":\"beep\",\"msgtype\":\"m.notice\"}");
	send(alice, "m.reaction", arena_printf(alice->a, "{\"m.relates_to\":{\"event_id\":\"%s\",\"key\":\"+\",\"rel_type\":\"m.annotation\"}}", said));
	send(alice, "m.room.message", arena_printf(alice->a, "{\"body\":\"*\",\"m.relates_to\":{\"event_id\":\"%s\",\"rel_type\":\"m.replace\"},"
	    "\"msgtype\":\"m.text\"}", edited));
	cr_assert_eq(set_state(alice, room, "m.room.topic", "{\"topic\":\"x\"}"), M_OK);
	cr_assert_eq(set_state(alice, room, "m.room.server_acl", "{\"allow\":[\"*\"]}"), M_OK);
	UNREAD(bob, "1/0");	/* the one that was edited */
}

Test(counts, mentions_highlight_and_only_whom_they_name)
{
	struct ctx *carol = user("carol");

	cr_assert_eq(join(carol, room), M_OK);
	send(alice, "m.room.message", MENTIONS("@bob:localhost"));
	UNREAD(bob, "1/1");
	UNREAD(carol, "1/0");
	send(alice, "m.room.message", "{\"body\":\"all\",\"m.mentions\":{\"room\":true},\"msgtype\":\"m.text\"}");
	UNREAD(carol, "2/1");
	send(bob, "m.room.message", "{\"body\":\"all\",\"m.mentions\":{\"room\":true},\"msgtype\":\"m.text\"}");	/* has no power to */
	UNREAD(carol, "3/1");
	cr_assert_eq(set_state(alice, room, "m.room.tombstone", "{\"body\":\"\",\"replacement_room\":\"!x:localhost\"}"), M_OK);
	UNREAD(carol, "4/2");
	send(alice, "m.room.message", "{\"body\":\"x\",\"m.mentions\":{\"user_ids\":[\"@bob:localhost\"]},\"msgtype\":\"m.notice\"}");
	UNREAD(bob, "1/1");
	check_rooms();
}

static long long
mentions(void)
{
	return sql_int("SELECT count(*) FROM mention");
}

/* Rows about mentions go when they are read, thread by thread; and a receipt that is set back changes nothing. */
Test(counts, mentions_that_are_read_leave_no_row)
{
	const char *first = send(alice, "m.room.message", MENTIONS("@bob:localhost")), *root, *in_thread, *last;

	root = send(alice, "m.room.message", MENTIONS("@bob:localhost"));
	in_thread = send(alice, "m.room.message", arena_printf(alice->a, "{\"body\":\"x\",\"m.mentions\":{\"user_ids\":[\"@bob:localhost\"]},"
	    "\"m.relates_to\":{\"rel_type\":\"m.thread\",\"event_id\":\"%s\"}}", root));
	last = send(alice, "m.room.message", MENTIONS("@bob:localhost"));
	cr_assert_eq(mentions(), 4);
	reads(bob, RECEIPT_READ, root, "main");
	cr_expect_eq(mentions(), 2);
	UNREAD(bob, "2/2 main 1/1 thread 1/1");
	reads(bob, RECEIPT_PRIVATE, first, "main");
	UNREAD(bob, "2/2 main 1/1 thread 1/1");
	reads(bob, RECEIPT_READ, in_thread, root);
	cr_expect_eq(mentions(), 1);
	UNREAD(bob, "1/1");
	/* An answer says it too; rows go with one of many. */
	for (int i = 0; i < 16; i++)
		send(bob, "m.room.message", TEXT("an answer"));
	cr_expect_eq(mentions(), 0);
	send(alice, "m.room.message", MENTIONS("@bob:localhost"));
	reads(bob, RECEIPT_READ, last, NULL);
	cr_expect_eq(mentions(), 1);
	UNREAD(bob, "1/1");
	cr_assert_eq(leave(bob, room), M_OK);
	cr_assert_eq(join(bob, room), M_OK);
	cr_expect_eq(mentions(), 0);
}

Test(counts, redacted_ones_no_longer_count)
{
	const char *one = send(alice, "m.room.message", TEXT("one")), *two = send(alice, "m.room.message", MENTIONS("@bob:localhost"));

	send(alice, "m.room.message", TEXT("three"));
	UNREAD(bob, "3/1");
	redact(alice, two);
	UNREAD(bob, "2/0");
	reads(bob, RECEIPT_READ, two, NULL);
	UNREAD(bob, "1/0");
	redact(alice, one);
	UNREAD(bob, "1/0");
	check_rooms();
}

#define IN_THREAD "{\"body\":\"x\",\"m.relates_to\":{\"event_id\":\"%s\",\"rel_type\":\"m.thread\"},\"msgtype\":\"m.text\"}"

Test(counts, threads_are_read_for_themselves)
{
	const char *root = send(alice, "m.room.message", TEXT("root")), *in, *last;

	in = send(alice, "m.room.message", arena_printf(alice->a, IN_THREAD, root));
	send(alice, "m.room.message", arena_printf(alice->a, IN_THREAD, root));
	last = send(alice, "m.room.message", TEXT("main"));
	UNREAD(bob, "4/0 main 2/0 thread 2/0");
	reads(bob, RECEIPT_READ, last, "main");
	UNREAD(bob, "2/0 main 0/0 thread 2/0");
	reads(bob, RECEIPT_PRIVATE, in, root);
	UNREAD(bob, "1/0 main 0/0 thread 1/0");
	send(bob, "m.room.message", TEXT("in main"));		/* says nothing of the thread */
	UNREAD(bob, "1/0 main 0/0 thread 1/0");
	send(bob, "m.room.message", arena_printf(bob->a, IN_THREAD, root));
	UNREAD(bob, "0/0");
	UNREAD(alice, "2/0 main 1/0 thread 1/0");
	last = send(bob, "m.room.message", TEXT("once more"));
	reads(alice, RECEIPT_READ, last, NULL);			/* an unthreaded one is of all threads */
	UNREAD(alice, "0/0");
	check_rooms();
}

/* Who leaves takes them along, however he goes; the others keep theirs. */
Test(counts, mentions_of_who_left_leave_no_row)
{
	struct ctx *carl = user("carl");

	cr_assert_eq(join(carl, room), M_OK);
	for (int i = 0; i < 3; i++) {
		send(alice, "m.room.message", MENTIONS("@bob:localhost"));
		send(alice, "m.room.message", MENTIONS("@carl:localhost"));
	}
	cr_assert_eq(mentions(), 6);
	cr_assert_eq(leave(bob, room), M_OK);
	cr_expect_eq(mentions(), 3);
	OK(alice, TX_RW, member_change(alice, MEMBER_BAN, room, "@carl:localhost", NULL));
	cr_expect_eq(mentions(), 0);
	/* Of very many the rest goes with the room. */
	sql("INSERT INTO mention SELECT %lld, %lld, -g, -g, NULL, 1 FROM generate_series(1, 3) g", (long long)bob->user_nid,
	    (long long)room_nid(room));
	OK(bob, TX_RW, member_forget(bob, room));
	cr_expect_eq(mentions(), 0);
}

Test(counts, mute_and_mentions_only)
{
	send(alice, "m.room.message", TEXT("one"));
	send(alice, "m.room.message", MENTIONS("@bob:localhost"));
	UNREAD(bob, "2/1");
	rule(bob, "room", room, "{\"actions\":[]}");
	UNREAD(bob, "1/1");
	rule(bob, "override", "mute", arena_printf(bob->a,
	    "{\"actions\":[],\"conditions\":[{\"kind\":\"event_match\",\"key\":\"room_id\",\"pattern\":\"%s\"}]}", room));
	UNREAD(bob, "0/0");
	OK(bob, TX_RW, push_rule_delete(bob, "override", "mute"));
	OK(bob, TX_RW, push_rule_delete(bob, "room", room));
	UNREAD(bob, "2/1");
	OK(bob, TX_RW, push_rule_enable(bob, "override", ".m.rule.master", true));
	UNREAD(bob, "0/0");
}

Test(counts, keywords_and_ignored_users)
{
	struct ctx *mallory = user("mallory");

	cr_assert_eq(join(mallory, room), M_OK);
	send(alice, "m.room.message", TEXT("the tea is ready"));
	send(alice, "m.room.message", TEXT("teapots"));
	send(mallory, "m.room.message", MENTIONS("@bob:localhost"));
	UNREAD(bob, "3/1");
	rule(bob, "content", "tea", "{\"actions\":[\"notify\",{\"set_tweak\":\"highlight\"}],\"pattern\":\"tea\"}");
	UNREAD(bob, "3/2");
	OK(bob, TX_RW, account_data_set(bob, NULL, "m.ignored_user_list", parse(bob, "{\"ignored_users\":{\"@mallory:localhost\":{}}}")));
	UNREAD(bob, "2/1");
	OK(bob, TX_RW, push_rule_delete(bob, "content", "tea"));
	UNREAD(bob, "2/0");
}

/* Rules that ask more than sums can say, about one room: only that one's events are looked at. */
Test(counts, own_conditions_of_one_room_load_no_other)
{
	const char *other = make_room(alice, "{\"preset\":\"public_chat\"}"), *first = room;
	struct unread_room v[2] = { { .usr = bob->user_nid }, { .usr = bob->user_nid } };
	int64_t rows;

	cr_assert_eq(join(bob, other), M_OK);
	for (int i = 0; i < 30; i++)
		send(alice, "m.room.message", TEXT("cake"));
	room = other;
	send(alice, "m.room.message", TEXT("cake"));
	send(alice, "m.room.message", TEXT("tea"));
	rule(bob, "underride", "cake", arena_printf(alice->a, "{\"actions\":[\"notify\",{\"set_tweak\":\"highlight\"}],\"conditions\":["
	    "{\"kind\":\"event_match\",\"key\":\"room_id\",\"pattern\":\"%s\"},"
	    "{\"kind\":\"event_match\",\"key\":\"content.body\",\"pattern\":\"cake\"}]}", other));
	v[0].room = room_nid(first);
	v[1].room = room_nid(other);
	session_next(bob);
	db_begin(bob, TX_RO);
	db_stats_reset(bob->db);
	cr_assert_eq(unread_rooms(bob, v, 2), M_OK);
	rows = db_stats(bob->db).rows;
	cr_assert_eq(db_commit(bob), M_OK);
	cr_expect_eq(v[0].all.notify, 30);
	cr_expect_eq(v[0].all.highlight, 0);
	cr_expect_eq(v[1].all.notify, 2);
	cr_expect_eq(v[1].all.highlight, 1);
	cr_expect_leq(rows, 12, "%lld rows", (long long)rows);
}

Test(counts, a_new_stay_begins_with_nothing_unread)
{
	send(alice, "m.room.message", TEXT("one"));
	cr_assert_eq(leave(bob, room), M_OK);
	send(alice, "m.room.message", TEXT("while away"));
	cr_assert_eq(join(bob, room), M_OK);
	UNREAD(bob, "0/0");
	send(alice, "m.room.message", TEXT("two"));
	UNREAD(bob, "1/0");
}

Test(counts, badges_and_verdicts)
{
	const char *invited = make_room(alice, "{\"invite\":[\"@bob:localhost\"]}"), *id;
	struct push_verdict v[2];
	struct badge b;

	id = send(alice, "m.room.message", MENTIONS("@bob:localhost"));
	db_begin(bob, TX_RO);
	cr_assert_eq(unread_badges(bob, &bob->user_nid, 1, &b), M_OK);
	cr_assert_eq(b.rooms, 2);
	cr_assert_eq(b.notifications, 2);
	cr_assert_eq(b.highlights, 1);
	const int64_t users[] = { bob->user_nid, alice->user_nid };
	cr_assert_eq(push_verdicts(bob, sql_int("SELECT nid FROM event WHERE id = '%s'", id), users, 2, v), M_OK);
	cr_assert(v[0].notify && v[0].highlight);
	cr_assert_str_eq(v[0].sound, "default");
	cr_assert(!v[1].notify);
	cr_assert_eq(push_verdicts(bob, sql_int("SELECT event FROM local_member WHERE usr = %lld AND room = %lld", (long long)bob->user_nid,
	    (long long)room_nid(invited)), users, 2, v), M_OK);
	cr_assert(v[0].notify && !v[0].highlight);
	cr_assert_eq(db_commit(bob), M_OK);
}

/* ---- two at once */

static enum err
send_in_tx(struct ctx *cx, void *arg)
{
	const struct txn none = { 0 };
	const char *id;

	return DO(cx, TX_RW, room_send(cx, room, "m.room.message", parse(cx, arg), &none, &id));
}

Test(counts, two_who_send_at_once_are_both_counted)
{
	const char *root = send(alice, "m.room.message", TEXT("root"));
	char *text = arena_printf(alice->a, IN_THREAD, root);
	struct ctx *carol = user("carol"), *again = user_again("alice");
	const struct txn none = { 0 };
	struct step *s;
	const char *id;

	cr_assert_eq(join(carol, room), M_OK);
	send(alice, "m.room.message", text);
	db_begin(alice, TX_RW);
	cr_assert_eq(room_send(alice, room, "m.room.message", parse(alice, text), &none, &id), M_OK);
	cr_assert_eq(db_exec(alice, NULL, &counts_test_nothing), M_OK);	/* what is queued is sent: the room is locked */
	s = step_start(again, send_in_tx, text);
	cr_assert(step_waits(s));
	cr_assert_eq(db_commit(alice), M_OK);
	cr_assert_eq(step_end(s), M_OK);
	UNREAD(carol, "3/0 main 0/0 thread 3/0");
	UNREAD(bob, "4/0 main 1/0 thread 3/0");
	check_rooms();
}

Test(counts, a_receipt_and_a_message_at_once)
{
	const char *one = send(alice, "m.room.message", TEXT("one"));
	const struct txn none = { 0 };
	const char *id;

	db_begin(alice, TX_RW);
	cr_assert_eq(room_send(alice, room, "m.room.message", parse(alice, TEXT("two")), &none, &id), M_OK);
	cr_assert_eq(db_exec(alice, NULL, &counts_test_nothing), M_OK);
	reads(bob, RECEIPT_READ, one, NULL);		/* waits for no room */
	UNREAD(bob, "0/0");
	cr_assert_eq(db_commit(alice), M_OK);
	UNREAD(bob, "1/0");
}

Test(counts, groups_can_be_quiet_and_rooms_of_two_are_not)
{
	struct ctx *carol = user("carol");

	send(alice, "m.room.message", TEXT("two of us"));
	OK(bob, TX_RW, push_rule_set_actions(bob, "underride", ".m.rule.message", parse(bob, "[]")));
	OK(bob, TX_RW, push_rule_set_actions(bob, "underride", ".m.rule.encrypted", parse(bob, "[]")));
	UNREAD(bob, "1/0");
	cr_assert_eq(join(carol, room), M_OK);
	send(alice, "m.room.message", TEXT("three of us"));
	UNREAD(bob, "1/0");
	send(alice, "m.call.invite", "{}");
	send(alice, "m.room.message", MENTIONS("@bob:localhost"));
	UNREAD(bob, "3/1");
	UNREAD(carol, "3/0");
}

/* What was purged is not counted, and what is left is. */
Test(counts, deleted_history)
{
	const char *kept;
	bool more = true;

	for (int i = 0; i < 5; i++)
		send(alice, "m.room.message", MENTIONS("@bob:localhost"));
	kept = send(alice, "m.room.message", TEXT("kept"));
	UNREAD(bob, "6/5");
	while (more)
		OK(alice, TX_RW, purge_history_step(alice, room_nid(room), sql_int("SELECT room_pos - 1 FROM event WHERE id = '%s'", kept), false, &more));
	UNREAD(bob, "1/0");
	send(alice, "m.room.message", TEXT("more"));
	UNREAD(bob, "2/0");
	check_rooms();
}

/* Looking at all would cost minutes: it stops, and what was not looked at is not counted. */
Test(counts, long_messages_and_many_rules_are_looked_at_within_limits)
{
	struct json *rules = json_new_arr(bob->a), *all = json_new_obj(bob->a), *global = json_new_obj(bob->a);
	const char *text;
	long long n;

	for (int i = 0; i < 1000; i++)
		json_push(bob->a, rules, parse(bob, arena_printf(bob->a, "{\"actions\":[],\"pattern\":\"word%d\",\"rule_id\":\"word%d\"}", i, i)));
	json_push(bob->a, rules, parse(bob, "{\"actions\":[\"notify\"],\"pattern\":\"xx*\",\"rule_id\":\"x\"}"));
	json_set(bob->a, global, "content", rules);
	json_set(bob->a, all, "global", global);
	text = json_canonical_str(bob->a, all, NULL);
	OK(bob, TX_RW, account_data_store(bob, "m.push_rules", text));
	for (int i = 0; i < 10; i++)
		send(alice, "m.room.message", arena_printf(alice->a, "{\"body\":\"xx %050000d\",\"msgtype\":\"m.text\"}", i));
	n = strtoll(unread(bob), NULL, 10);
	cr_expect(n >= 1 && n < 10, "%lld", n);
	/* Nor is all that there is held in memory. */
	text = "{\"global\":{\"content\":[{\"actions\":[\"notify\"],\"pattern\":\"xx*\",\"rule_id\":\"x\"}]}}";
	OK(bob, TX_RW, account_data_store(bob, "m.push_rules", text));
	UNREAD(bob, "10/0");
	for (int i = 0; i < 20; i++)
		send(alice, "m.room.message", arena_printf(alice->a, "{\"body\":\"xx %050000d\",\"msgtype\":\"m.text\"}", i));
	n = strtoll(unread(bob), NULL, 10);
	cr_expect(n >= 20 && n < 30, "%lld", n);
}
