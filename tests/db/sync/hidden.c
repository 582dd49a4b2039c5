/* tests/db/sync/hidden.c - timelines of which much is hidden: what a worker reads for them, and that the reader sees the same. */
#include "tests/db/sync/client.h"

TestSuite(sync_hidden);

#define BIG 60000
#define KB(n) ((int64_t)(n) << 10)

/* The events that this user sent so far have this as content, in which %s is something long. */
static void
make_big(const struct client *by, const char *content)
{
	sql("UPDATE event SET content = replace('%s', '@', repeat('x', %d)) WHERE sender = %lld AND type = (SELECT nid FROM name WHERE body ="
	    " 'm.room.message')", content, BIG, (long long)by->nid);
}

static void
say_often(struct client *c, const char *room, int n, const char *what)
{
	for (int i = 0; i < n; i++)
		cr_assert_not_null(client_say(c, room, arena_printf(c->a, "%s%d", what, i)));
}

/* An answer to c, and how many bytes were read for it. */
static struct json *
ask(struct client *c, const char *since, int64_t *bytes)
{
	struct json *v;
	enum err e;

	client_ask(c, NULL, &e);	/* statements are prepared, names are known */
	db_stats_reset(c->cx->db);
	v = client_ask(c, since, &e);
	cr_assert_eq(e, M_OK);
	*bytes = db_stats(c->cx->db).bytes;
	return v;
}

static int64_t
before(const struct json *room)
{
	int64_t pos;

	cr_assert(room_token_read(json_get_str(at(room, "timeline"), "prev_batch"), &pos));
	return pos;
}

/* 300 events of 60 KB by someone who is ignored, and below them what is to be seen. */
Test(sync_hidden, what_is_not_shown_is_not_read, .timeout = 120)
{
	struct client *a = client_new("alice"), *b = client_new("bob");
	const char *room = client_room(a, "{\"preset\":\"public_chat\"}");
	const struct json *v, *tl;
	int64_t bytes;

	client_member(b, MEMBER_JOIN, room, NULL);
	say_often(a, room, 8, "mine");
	say_often(b, room, 300, "theirs");
	make_big(b, "{\"body\":\"@\"}");
	client_data(a, NULL, "m.ignored_user_list", "{\"ignored_users\":{\"@bob:localhost\":{}}}");
	a->filter = "{\"room\":{\"timeline\":{\"limit\":5}}}";
	v = room_in(ask(a, NULL, &bytes), "join", room);
	tl = at(v, "timeline/events");
	cr_expect_lt(bytes, KB(2048), "%lld", (long long)bytes);
	cr_assert_eq(tl->u.arr.n, 5);
	for (int i = 0; i < 5; i++) {	/* from what was read without its content at first, whole */
		const char *body = arena_printf(a->a, "mine%d", 3 + i);

		cr_expect(json_str_eq(at(tl->u.arr.v[i], "content/body"), body));
		cr_expect(json_str_eq(at(tl->u.arr.v[i], "unsigned/transaction_id"), body));
		cr_expect(json_str_eq(json_get(tl->u.arr.v[i], "sender"), a->user));
	}
	cr_expect(json_get_bool(at(v, "timeline"), "limited", false));
}

/* Long events that are shown are read once it is known that they are; so is what belongs to them. */
Test(sync_hidden, what_is_shown_is_whole, .timeout = 120)
{
	static const char *const filters[] = { NULL, "{\"room\":{\"timeline\":{\"limit\":60}}}",
		"{\"room\":{\"timeline\":{\"limit\":20,\"not_types\":[\"x\"]}}}", "{\"event_format\":\"federation\"}" };
	struct client *a = client_new("alice");
	const char *room = client_room(a, "{\"preset\":\"public_chat\"}"), *gone, *id;
	struct json *reason;
	int64_t bytes;

	cr_assert_eq(json_parse(a->a, "{\"reason\":\"r\"}", 14, &reason), JSON_OK);
	cr_assert_eq(client_state(a, room, "m.room.topic", "", "{\"topic\":\"one\"}"), M_OK);
	cr_assert_eq(client_state(a, room, "m.room.topic", "", "{\"topic\":\"two\"}"), M_OK);
	say_often(a, room, 2, "long");
	make_big(a, "{\"body\":\"@\"}");
	gone = client_say(a, room, "gone");
	cr_assert_eq(CALL(a, room_redact(a->cx, room, gone, reason, &(struct txn){ 0 }, &id)), M_OK);
	for (size_t f = 0; f < sizeof filters / sizeof *filters; f++) {
		const struct json *tl;
		size_t n;

		a->filter = filters[f];
		tl = at(room_in(ask(a, NULL, &bytes), "join", room), "timeline/events");
		n = tl->u.arr.n;
		cr_assert_geq(n, 6);
		cr_expect_eq(at(tl->u.arr.v[n - 3], "content/body")->u.str.n, BIG);
		cr_expect_eq(at(tl->u.arr.v[n - 4], "content/body")->u.str.n, BIG);
		cr_expect(json_str_eq(json_get(tl->u.arr.v[n - 5], "state_key"), ""));
		cr_expect(json_str_eq(at(tl->u.arr.v[n - 5], "content/topic"), "two"));
		if (f == 3) {
			cr_expect_not_null(json_get(tl->u.arr.v[n - 3], "auth_events"));
			continue;
		}
		cr_expect(json_str_eq(at(tl->u.arr.v[n - 5], "unsigned/prev_content/topic"), "one"));
		cr_expect(json_str_eq(at(tl->u.arr.v[n - 2], "unsigned/redacted_because/content/reason"), "r"));
		cr_expect(json_str_eq(at(tl->u.arr.v[n - 3], "unsigned/transaction_id"), "long1"));
	}
}

/* Where whether an event is shown hangs on its content, one megabyte of a room is looked through; the rest is behind prev_batch. */
Test(sync_hidden, contents_that_must_be_read, .timeout = 120)
{
	struct client *a = client_new("alice");
	const char *room = client_room(a, "{\"preset\":\"public_chat\"}");
	const struct json *v;
	int64_t bytes, seen;

	say_often(a, room, 1, "seen");
	seen = sql_int("SELECT max(room_pos) FROM event");
	say_often(a, room, 100, "hidden");
	sql("UPDATE event SET content = '{\"body\":\"' || repeat('x', %d) || '\",\"url\":\"mxc://a/b\"}' WHERE room_pos > %lld", BIG, (long long)seen);
	a->filter = "{\"room\":{\"timeline\":{\"limit\":5,\"contains_url\":false}}}";
	v = room_in(ask(a, NULL, &bytes), "join", room);
	cr_expect_lt(bytes, KB(1600), "%lld", (long long)bytes);
	cr_assert_eq(at(v, "timeline/events")->u.arr.n, 0);
	cr_expect(json_get_bool(at(v, "timeline"), "limited", false));
	cr_expect_geq(before(v), seen, "what was not looked at can be asked for");
	cr_expect_lt(before(v), sql_int("SELECT max(room_pos) FROM event"));
	a->filter = "{\"room\":{\"timeline\":{\"limit\":5,\"contains_url\":true}}}";
	cr_assert_eq(at(room_in(ask(a, NULL, &bytes), "join", room), "timeline/events")->u.arr.n, 5);
	sql("UPDATE event SET content = '{\"body\":\"x\",\"url\":\"mxc://a/b\"}' WHERE room_pos > %lld", (long long)seen);
	a->filter = "{\"room\":{\"timeline\":{\"limit\":1,\"contains_url\":false}}}";
	v = room_in(ask(a, NULL, &bytes), "join", room);
	cr_expect(json_str_eq(at(at(v, "timeline/events")->u.arr.v[0], "content/body"), "seen0"));
}

#define MANY 7

/* What does not go into an answer any more is behind prev_batch, and every room tells its newest. */
static void
check_end(struct client *a, const char *const *room, const struct json *v)
{
	const struct json *tl;
	size_t told = 0;
	int cut = 0;

	for (int i = 0; i < MANY; i++) {
		size_t n;

		tl = at(room_in(v, "join", room[i]), "timeline/events");
		n = tl->u.arr.n;
		cr_assert_gt(n, 0);
		cr_expect(json_str_eq(at(tl->u.arr.v[n - 1], "unsigned/transaction_id"), arena_printf(a->a, "%d-99", i)));
		cr_expect(json_get_bool(at(room_in(v, "join", room[i]), "timeline"), "limited", false));
		told += n * BIG;
		cut += n < 100;
		cr_expect_eq(before(room_in(v, "join", room[i])), sql_int("SELECT room_pos - 1 FROM event WHERE id = '%s'",
		    json_get_str(tl->u.arr.v[0], "event_id")));
	}
	cr_expect_gt(cut, 0);
	cr_expect_leq(told, ANSWER_BYTES + (size_t)MANY * 65536);
}

/* 7 rooms of 6 MB each: at first, and as what is new, to be computed with others' or alone. */
Test(sync_hidden, an_answer_has_an_end, .timeout = 120)
{
	struct client *a = client_new("alice");
	const char *room[MANY];
	int64_t bytes;

	for (int i = 0; i < MANY; i++)
		room[i] = client_room(a, "{\"preset\":\"public_chat\"}");
	cr_assert_eq(client_sync(a), M_OK);
	for (int i = 0; i < MANY; i++) {
		client_say(a, room[i], "one more than there is room for");
		say_often(a, room[i], 100, arena_printf(a->a, "%d-", i));
	}
	make_big(a, "{\"body\":\"@\"}");
	a->filter = "{\"room\":{\"timeline\":{\"limit\":100}}}";
	check_end(a, room, ask(a, NULL, &bytes));
	check_end(a, room, ask(a, a->since, &bytes));
	sync_forget();
	check_end(a, room, ask(a, a->since, &bytes));
}

/* A mention that the filter hides counts, though nobody has read what it says; a worker that does not know what changed finds it, too. */
Test(sync_hidden, a_mention_that_is_hidden_counts)
{
	struct client *a = client_new("alice"), *b = client_new("bob");
	const char *room = client_room(a, "{\"preset\":\"public_chat\"}"), *sent = NULL, *said;
	const struct json *counts;
	struct json *v, *answer;
	enum err e;

	client_member(b, MEMBER_JOIN, room, NULL);
	b->filter = "{\"room\":{\"timeline\":{\"types\":[\"t.shown\"]}}}";
	cr_assert_eq(client_sync(b), M_OK);
	said = arena_printf(a->a, "{\"body\":\"x\",\"m.mentions\":{\"user_ids\":[\"%s\"]}}", b->user);
	cr_assert_eq(json_parse(a->a, said, strlen(said), &v), JSON_OK);
	cr_assert_eq(CALL(a, room_send(a->cx, room, "t.other", v, &(struct txn){ 0 }, &sent)), M_OK);
	sync_forget();
	answer = client_ask(b, b->since, &e);
	cr_assert_eq(e, M_OK);
	counts = at(room_in(answer, "join", room), "unread_notifications");
	cr_expect_eq(json_get_int(counts, "highlight_count", -1), 1);
	cr_expect_eq(json_get_int(counts, "notification_count", -1), 1);
}

/*
 * What had to be read to know whether it is shown (the reader's own membership, who sees the history, what has a url) is as whole as
 * the rest: it tells what was before it, and as a PDU is one.
 */
Test(sync_hidden, what_had_to_be_read_is_whole)
{
	static const char *const filters[] = { "{\"room\":{\"timeline\":{\"limit\":60}}}",
		"{\"room\":{\"timeline\":{\"limit\":20,\"not_types\":[\"x\"]}}}",
		"{\"event_format\":\"federation\",\"room\":{\"timeline\":{\"limit\":60}}}" };
	struct client *a = client_new("alice");
	const char *room = client_room(a, "{\"preset\":\"public_chat\"}");
	int64_t bytes;

	cr_assert_eq(client_state(a, room, "m.room.history_visibility", "", "{\"history_visibility\":\"joined\"}"), M_OK);
	cr_assert_eq(client_state(a, room, "m.room.member", a->user, "{\"membership\":\"join\",\"displayname\":\"new\"}"), M_OK);
	for (size_t f = 0; f < sizeof filters / sizeof *filters; f++) {
		const struct json *tl, *member, *history;

		a->filter = filters[f];
		tl = at(room_in(ask(a, NULL, &bytes), "join", room), "timeline/events");
		cr_assert_geq(tl->u.arr.n, 2);
		member = tl->u.arr.v[tl->u.arr.n - 1];
		history = tl->u.arr.v[tl->u.arr.n - 2];
		cr_expect(json_str_eq(at(member, "content/displayname"), "new"));
		cr_expect(json_str_eq(json_get(member, "state_key"), a->user));
		cr_expect(json_str_eq(at(history, "content/history_visibility"), "joined"));
		if (f == 2) {
			cr_expect_not_null(json_get(member, "auth_events"));
			cr_expect_not_null(json_get(history, "auth_events"));
			continue;
		}
		cr_expect(json_str_eq(at(member, "unsigned/prev_content/membership"), "join"), "%s", filters[f]);
		cr_expect(json_str_eq(at(history, "unsigned/prev_content/history_visibility"), "shared"), "%s", filters[f]);
	}
}
