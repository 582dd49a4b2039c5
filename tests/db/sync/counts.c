/* tests/db/sync/counts.c - unread counts in answers: with the event that changes them, and alone where nothing else is new. */
#include <string.h>

#include "core/live/receipt.h"
#include "core/user/push_rules.h"
#include "tests/db/sync/client.h"

#define ROOM "{\"preset\":\"public_chat\"}"

TestSuite(sync_counts);

/* "notify/highlight", of threads " thread notify/highlight"; "-" when the room is not in the answer. */
static const char *
counts(const struct client *c, const char *room)
{
	const struct json *r = room_in(c->last, "join", room), *n = json_get(r, "unread_notifications"),
	    *threads = json_get(r, "unread_thread_notifications");
	struct buf b;

	if (!r)
		return "-";
	buf_init(&b, c->cx->a);
	buf_addf(&b, "%lld/%lld", (long long)json_get_int(n, "notification_count", -1), (long long)json_get_int(n, "highlight_count", -1));
	for (size_t i = 0; json_is(threads, JSON_OBJ) && i < threads->u.obj.n; i++)
		buf_addf(&b, " %s %lld/%lld", threads->u.obj.v[i].key, (long long)json_get_int(threads->u.obj.v[i].value, "notification_count", -1),
		    (long long)json_get_int(threads->u.obj.v[i].value, "highlight_count", -1));
	return b.s;
}

static enum err
reads(struct client *c, const char *room, enum receipt_kind kind, const char *event, const char *thread)
{
	const struct receipt v = { kind, event, thread };

	return CALL(c, receipt_set(c->cx, room, &v, 1));
}

static struct json *
tree(struct client *c, const char *text)
{
	struct json *v;

	cr_assert_eq(json_parse(c->a, text, strlen(text), &v), JSON_OK);
	return v;
}

static const char *
in_thread(struct client *c, const char *room, const char *root)
{
	const struct txn none = { 0 };
	const char *id;

	cr_assert_eq(CALL(c, room_send(c->cx, room, "m.room.message", tree(c, arena_printf(c->a, "{\"body\":\"x\",\"m.relates_to\":"
	    "{\"event_id\":\"%s\",\"rel_type\":\"m.thread\"},\"msgtype\":\"m.text\"}", root)), &none, &id)), M_OK);
	return arena_strdup(c->a, id);
}

Test(sync_counts, come_with_the_event_and_go_with_a_receipt_of_another_device)
{
	struct client *a = client_new("a"), *b = client_new("b"), *phone = client_again(b);
	const char *room = client_room(a, ROOM), *said;

	cr_assert_eq(client_member(b, MEMBER_JOIN, room, NULL), M_OK);
	cr_assert_eq(client_sync(b), M_OK);
	cr_assert_str_eq(counts(b, room), "0/0");
	cr_assert_eq(client_sync(phone), M_OK);
	client_say(a, room, "one");
	cr_assert_eq(client_sync(b), M_OK);
	cr_assert_str_eq(counts(b, room), "1/0");
	said = client_say(a, room, "two");
	cr_assert_eq(client_sync(b), M_OK);
	cr_assert_str_eq(counts(b, room), "2/0");
	cr_assert_eq(client_sync(phone), M_OK);
	cr_assert_str_eq(counts(phone, room), "2/0");
	cr_assert_eq(client_sync(b), E_PARK);
	cr_assert_eq(reads(phone, room, RECEIPT_PRIVATE, said, NULL), M_OK);
	cr_assert_eq(phone->cx->touched.nusers, 1, "his syncs are woken");
	cr_assert_eq(client_sync(b), M_OK);
	cr_assert_str_eq(counts(b, room), "0/0");
	cr_assert_eq(client_sync(b), E_PARK);
	cr_assert_eq(client_sync(a), M_OK);
	cr_assert_eq(client_sync(a), E_PARK, "a private receipt is nobody else's news");
}

Test(sync_counts, come_alone_past_a_filter_that_hides_all_else)
{
	struct client *a = client_new("a"), *b = client_new("b");
	const char *room = client_room(a, ROOM), *said, *id;
	const struct txn none = { 0 };

	cr_assert_eq(client_member(b, MEMBER_JOIN, room, NULL), M_OK);
	b->filter = "{\"room\":{\"timeline\":{\"types\":[\"x\"]},\"ephemeral\":{\"types\":[]},\"state\":{\"types\":[]}}}";
	cr_assert_eq(client_sync(b), M_OK);
	said = client_say(a, room, "one");
	cr_assert_eq(client_sync(b), M_OK);
	cr_assert_str_eq(counts(b, room), "1/0");
	cr_assert_eq(CALL(a, room_send(a->cx, room, "m.room.message", tree(a, "{\"body\":\"x\",\"msgtype\":\"m.notice\"}"), &none, &id)), M_OK);
	cr_assert_eq(client_sync(b), E_PARK, "what never counts is hidden for good");
	cr_assert_eq(CALL(a, room_redact(a->cx, room, said, tree(a, "{}"), &none, &said)), M_OK);
	cr_assert_eq(client_sync(b), M_OK);
	cr_assert_str_eq(counts(b, room), "0/0");
	said = client_say(a, room, "two");
	cr_assert_eq(client_sync(b), M_OK);
	cr_assert_eq(reads(b, room, RECEIPT_READ, said, NULL), M_OK);
	cr_assert_eq(client_sync(b), M_OK);
	cr_assert_str_eq(counts(b, room), "0/0");
}

/* What one says, one has read: news for the other devices, where a filter hides the event. */
Test(sync_counts, fall_at_other_devices_when_one_speaks)
{
	struct client *a = client_new("a"), *b = client_new("b"), *phone = client_again(b);
	const char *room = client_room(a, ROOM), *id;
	const struct txn txn = { "key", "1" };

	cr_assert_eq(client_member(b, MEMBER_JOIN, room, NULL), M_OK);
	b->filter = phone->filter = "{\"room\":{\"timeline\":{\"types\":[]},\"state\":{\"types\":[]}}}";
	client_say(a, room, "one");
	cr_assert_eq(client_sync(b), M_OK);
	cr_assert_eq(client_sync(phone), M_OK);
	cr_assert_str_eq(counts(phone, room), "1/0");
	cr_assert_eq(CALL(b, room_send(b->cx, room, "m.room.message", tree(b, "{\"body\":\"x\",\"msgtype\":\"m.text\"}"), &txn, &id)), M_OK);
	cr_expect_eq(client_sync(b), E_PARK);
	cr_assert_eq(client_sync(phone), M_OK);
	cr_expect_str_eq(counts(phone, room), "0/0");
}

Test(sync_counts, change_with_the_rules)
{
	struct client *a = client_new("a"), *b = client_new("b");
	const char *room = client_room(a, ROOM), *read = client_room(a, ROOM);

	cr_assert_eq(client_member(b, MEMBER_JOIN, room, NULL), M_OK);
	cr_assert_eq(client_member(b, MEMBER_JOIN, read, NULL), M_OK);
	client_say(a, room, "tea");
	client_say(a, room, "coffee");
	cr_assert_eq(client_sync(b), M_OK);
	cr_assert_str_eq(counts(b, room), "2/0");
	cr_assert_eq(CALL(b, push_rule_put(b->cx, "room", room, tree(b, "{\"actions\":[]}"), NULL, NULL)), M_OK);
	cr_assert_eq(client_sync(b), M_OK);
	cr_assert_str_eq(counts(b, room), "0/0");
	cr_assert_str_eq(counts(b, read), "-", "nothing is unread there");
	cr_assert_eq(CALL(b, push_rule_put(b->cx, "content", "tea",
	    tree(b, "{\"actions\":[\"notify\",{\"set_tweak\":\"highlight\"}],\"pattern\":\"tea\"}"), NULL, NULL)), M_OK);
	cr_assert_eq(client_sync(b), M_OK);
	cr_assert_str_eq(counts(b, room), "1/1");
	client_say(a, room, "more tea");
	client_say(a, read, "tea");
	cr_assert_eq(client_sync(b), M_OK);
	cr_assert_str_eq(counts(b, room), "2/2");
	cr_assert_str_eq(counts(b, read), "1/1");
	client_say(a, read, "tea again");
	sync_forget();		/* another worker, who does not know his rules */
	cr_assert_eq(client_sync(b), M_OK);
	cr_assert_str_eq(counts(b, read), "2/2");
	client_data(b, NULL, "m.ignored_user_list", "{\"ignored_users\":{\"@a:localhost\":{}}}");
	cr_assert_eq(client_sync(b), M_OK);
	cr_assert_str_eq(counts(b, room), "0/0");
}

Test(sync_counts, of_threads_for_who_asks)
{
	struct client *a = client_new("a"), *b = client_new("b"), *old = client_again(b);
	const char *room = client_room(a, ROOM), *root, *last;

	cr_assert_eq(client_member(b, MEMBER_JOIN, room, NULL), M_OK);
	b->filter = "{\"room\":{\"timeline\":{\"unread_thread_notifications\":true}}}";
	root = client_say(a, room, "root");
	last = in_thread(a, room, root);
	cr_assert_eq(client_sync(b), M_OK);
	cr_assert_str_eq(counts(b, room), arena_printf(b->a, "1/0 %s 1/0", root));
	cr_assert_eq(client_sync(old), M_OK);
	cr_assert_str_eq(counts(old, room), "2/0");
	cr_assert_eq(reads(b, room, RECEIPT_READ, root, "main"), M_OK);
	cr_assert_eq(client_sync(b), M_OK);
	cr_assert_str_eq(counts(b, room), arena_printf(b->a, "0/0 %s 1/0", root));
	cr_assert_eq(reads(b, room, RECEIPT_READ, last, root), M_OK);
	cr_assert_eq(client_sync(b), M_OK);
	cr_assert_str_eq(counts(b, room), "0/0");
	cr_assert_eq(client_sync(old), M_OK);
	cr_assert_str_eq(counts(old, room), "0/0");
}

/* A token that the ring does not cover, and the initial sync. */
Test(sync_counts, are_the_same_for_who_was_away)
{
	struct client *a = client_new("a"), *b = client_new("b"), *fresh = client_again(b);
	const char *room = client_room(a, ROOM), *said;

	cr_assert_eq(client_member(b, MEMBER_JOIN, room, NULL), M_OK);
	cr_assert_eq(client_sync(b), M_OK);
	client_say(a, room, "one");
	sync_forget();
	cr_assert_eq(client_sync(b), M_OK);
	cr_assert_str_eq(counts(b, room), "1/0");
	said = client_say(a, room, "two");
	cr_assert_eq(client_sync(fresh), M_OK);
	cr_assert_str_eq(counts(fresh, room), "2/0");
	cr_assert_eq(client_sync(b), M_OK);
	cr_assert_eq(reads(fresh, room, RECEIPT_PRIVATE, said, NULL), M_OK);
	sync_forget();
	cr_assert_eq(client_sync(b), M_OK);
	cr_assert_str_eq(counts(b, room), "0/0");
	cr_assert_eq(CALL(b, push_rule_enable(b->cx, "override", ".m.rule.master", true)), M_OK);
	client_say(a, room, "three");
	sync_forget();
	cr_assert_eq(client_sync(b), M_OK);
	cr_assert_str_eq(counts(b, room), "0/0");
}
