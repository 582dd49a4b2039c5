/* tests/db/room/read.c - timelines, state, members, and who may see what. */
#include "core/room/names.h"
#include "core/room/render.h"
#include "core/sync/token.h"
#include "tests/db/room/world.h"

#define PUBLIC "{\"preset\":\"public_chat\"}"
#define WITH(visibility) "{\"preset\":\"public_chat\",\"initial_state\":[{\"type\":\"m.room.history_visibility\",\"content\":{\"history_visibility\":\"" visibility "\"}}]}"

static struct json *
messages(struct ctx *cx, const char *room, const char *from, bool back, int64_t limit)
{
	struct messages q = { .from = from, .back = back, .limit = limit };

	return READ(cx, read_messages(cx, room, &q, &o));
}

/* All that cx sees of the room's messages, oldest first. */
static const char *
sees(struct ctx *cx, const char *room)
{
	struct messages q = { .limit = 100 };
	struct json *m = READ(cx, read_messages(cx, room, &q, &o)), *only = json_new_arr(cx->a), *chunk = json_get(m, "chunk");

	for (size_t i = 0; i < chunk->u.arr.n; i++)
		if (json_str_eq(json_get(chunk->u.arr.v[i], "type"), "m.room.message"))
			json_push(cx->a, only, chunk->u.arr.v[i]);
	return bodies(cx, only);
}

static enum err
may_read(struct ctx *cx, const char *room)
{
	struct messages q = { .limit = 1 };
	struct json_out out;

	json_out_init(&out, cx->a);
	return DO(cx, TX_RO, read_messages(cx, room, &q, &out));
}

Test(room_read, well_known_names)
{
	for (int i = 0; i < NAME_WELL_KNOWN; i++)
		cr_expect_str_eq(name_well_known(i), sql("SELECT body FROM name WHERE nid = %d", i));
}

Test(room_read, pages_both_ways)
{
	struct ctx *a = user("alice");
	const char *room = make_room(a, PUBLIC);

	for (int i = 1; i <= 5; i++)
		say(a, room, arena_printf(a->a, "%d", i));
	struct json *m = messages(a, room, NULL, true, 2);
	cr_expect_str_eq(bodies(a, json_get(m, "chunk")), "5 4");
	m = messages(a, room, json_get_str(m, "end"), true, 2);
	cr_expect_str_eq(bodies(a, json_get(m, "chunk")), "3 2");
	struct json *f = messages(a, room, json_get_str(m, "end"), false, 3);
	cr_expect_str_eq(bodies(a, json_get(f, "chunk")), "2 3 4");
	f = messages(a, room, json_get_str(f, "end"), false, 3);
	cr_expect_str_eq(bodies(a, json_get(f, "chunk")), "5");
	f = messages(a, room, json_get_str(f, "end"), false, 3);
	cr_expect_eq(json_get(f, "chunk")->u.arr.n, 0);
	cr_expect_null(json_get(f, "end"));
	m = messages(a, room, json_get_str(m, "end"), true, 100);
	cr_expect_str_eq(bodies(a, json_get(m, "chunk")),
	    "1 m.room.guest_access m.room.history_visibility m.room.join_rules m.room.power_levels m.room.member m.room.create");
	cr_expect_null(json_get(m, "end"), "the beginning of the room");
}

Test(room_read, bad_tokens)
{
	struct ctx *a = user("alice");
	const char *room = make_room(a, PUBLIC);
	static const char *const bad[] = { "", "t", "t1x", "x", "t99999999999999999999", "s12_3" };

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct messages q = { .from = bad[i], .limit = 1 };
		struct json_out out;
		json_out_init(&out, a->a);
		cr_expect_eq(DO(a, TX_RO, read_messages(a, room, &q, &out)), M_INVALID_PARAM, "%s", bad[i]);
	}
}

/* A sync token stands where the news behind it begin. */
Test(room_read, sync_tokens)
{
	struct ctx *a = user("alice");
	const char *room = make_room(a, PUBLIC);
	struct position p;

	for (int i = 0; i < 21; i++) {
		if (i == 6) {
			db_begin(a, TX_RO);
			cr_assert_eq(position_now(a, &p, NULL, 0), M_OK);
			tx_end(a, M_OK);
		}
		say(a, room, arena_printf(a->a, "%d", i));
	}
	const char *token = token_encode(a->a, &p);
	cr_expect_str_eq(bodies(a, json_get(messages(a, room, token, true, 2), "chunk")), "5 4");
	cr_expect_str_eq(bodies(a, json_get(messages(a, room, token, false, 2), "chunk")), "6 7");
}

/* The search behind it: every boundary, in rooms with and without gaps in their order. */
Test(room_read, boundary)
{
	sql("INSERT INTO room (nid, id, version, created_ts) VALUES (1, 'x', '12', 0)");
	sql("INSERT INTO event (room, room_pos, pos, ts, type, sender, id, content, pdu)"
	    " SELECT 1, i + CASE WHEN i > 20 THEN 1::bigint << 40 WHEN i <= 5 THEN -100000 ELSE 0 END, 1000 + i, 0, 16, 0, 'e' || i, '{}', '{}'"
	    " FROM generate_series(1, 40) i");
	for (int i = 0; i <= 40; i++)	/* how many are seen */
		cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE room_pos <= room_boundary(1, (1::bigint << 40) + 40, %d, '{}')", 1001 + i), i);
	/* In progress then: new, although below xmax. */
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE room_pos <= room_boundary(1, (1::bigint << 40) + 40, 1041, '{1038,1039,1040}')"), 37);
	cr_expect_eq(sql_int("SELECT room_boundary(2, 0, 1, '{}')"), 0, "a room without events");
}

/* ---- history visibility: alice speaks before bob, with him, and after he left */
static void
expect_visible(const char *visibility, const char *in_room, const char *after_leaving, const char *after_coming_back)
{
	struct ctx *a = user("alice"), *b = user("bob");
	const char *room = make_room(a, visibility), *id;

	say(a, room, "before");
	OK(a, TX_RW, member_change(a, MEMBER_INVITE, room, "@bob:localhost", NULL));
	say(a, room, "invited");
	cr_assert_eq(join(b, room), M_OK);
	say(a, room, "joined");
	cr_expect_str_eq(sees(b, room), in_room);
	/* A changed name splits the stay; nothing else. */
	OK(b, TX_RW, room_put_state(b, room, "m.room.member", "@bob:localhost", parse(b, "{\"membership\":\"join\",\"displayname\":\"x\"}"), &id));
	cr_expect_str_eq(sees(b, room), in_room);
	cr_assert_eq(leave(b, room), M_OK);
	say(a, room, "gone");
	cr_expect_str_eq(sees(b, room), after_leaving);
	cr_assert_eq(join(b, room), M_OK);
	say(a, room, "back");
	cr_expect_str_eq(sees(b, room), after_coming_back);
	check_rooms();
}

Test(room_visibility, shared)
{
	expect_visible(WITH("shared"), "before invited joined", "before invited joined", "before invited joined gone back");
}

Test(room_visibility, invited)
{
	expect_visible(WITH("invited"), "invited joined", "invited joined", "invited joined back");
}

Test(room_visibility, joined)
{
	expect_visible(WITH("joined"), "joined", "joined", "joined back");
}

Test(room_visibility, world_readable)
{
	expect_visible(WITH("world_readable"), "before invited joined", "before invited joined gone", "before invited joined gone back");
}

/* "These options are applied at the point an event is sent." */
Test(room_visibility, a_change_is_not_retrospective)
{
	struct ctx *a = user("alice"), *b = user("bob");
	const char *room = make_room(a, WITH("joined"));

	say(a, room, "secret");
	cr_assert_eq(set_state(a, room, "m.room.history_visibility", "{\"history_visibility\":\"shared\"}"), M_OK);
	say(a, room, "shared");
	cr_assert_eq(join(b, room), M_OK);
	cr_expect_str_eq(sees(b, room), "shared");
	/* The change itself is seen, because what it changed to allows it. */
	struct json *m = messages(b, room, "t0", false, 100);
	cr_expect_not_null(strstr(bodies(b, json_get(m, "chunk")), "m.room.history_visibility shared"));
}

Test(room_visibility, strangers)
{
	struct ctx *a = user("alice"), *s = user("stranger"), *i = user("invited");
	const char *closed = make_room(a, PUBLIC), *open = make_room(a, WITH("world_readable"));
	struct json_out out;

	say(a, open, "hello");
	json_out_init(&out, s->a);
	cr_expect_eq(may_read(s, closed), M_FORBIDDEN);
	cr_expect_eq(may_read(s, "!unknown"), M_FORBIDDEN);
	cr_expect_eq(may_read(s, open), M_OK);
	cr_expect_str_eq(sees(s, open), "hello");
	cr_expect_eq(DO(s, TX_RO, read_state(s, closed, &out)), M_FORBIDDEN);
	cr_expect_eq(DO(s, TX_RO, read_joined_members(s, open, &out)), M_FORBIDDEN);
	cr_expect_eq(DO(s, TX_RO, read_event(s, closed, say(a, closed, "x"), &out)), M_NOT_FOUND);
	OK(a, TX_RW, member_change(a, MEMBER_INVITE, closed, "@invited:localhost", NULL));
	cr_expect_eq(may_read(i, closed), M_FORBIDDEN, "an invitation opens nothing");
	cr_expect_eq(DO(i, TX_RO, read_state(i, closed, &out)), M_FORBIDDEN);
	cr_assert_eq(leave(i, closed), M_OK);
	cr_expect_eq(may_read(i, closed), M_FORBIDDEN, "nor does a rejected one");
}

/* Who left sees the room as it was then, until he forgets it. */
Test(room_visibility, a_leaver)
{
	struct ctx *a = user("alice"), *b = user("bob");
	const char *room = make_room(a, "{\"preset\":\"public_chat\",\"name\":\"old\"}");
	struct json_out out;

	cr_assert_eq(join(b, room), M_OK);
	cr_assert_eq(leave(b, room), M_OK);
	cr_assert_eq(set_state(a, room, "m.room.name", "{\"name\":\"new\"}"), M_OK);
	struct json *name = READ(b, read_state_event(b, room, "m.room.name", "", false, &o));
	cr_expect_str_eq(json_get_str(name, "name"), "old");
	struct json *own = READ(b, read_state_event(b, room, "m.room.member", "@bob:localhost", false, &o));
	cr_expect_str_eq(json_get_str(own, "membership"), "leave");
	struct json *m = messages(b, room, NULL, true, 1);
	cr_expect_str_eq(bodies(b, json_get(m, "chunk")), "m.room.member", "the leave is the newest");
	cr_expect_eq(DO(b, TX_RW, member_forget(b, room)), M_OK);
	cr_expect_eq(may_read(b, room), M_FORBIDDEN);
	json_out_init(&out, b->a);
	cr_expect_eq(DO(b, TX_RO, read_state(b, room, &out)), M_FORBIDDEN);
	cr_assert_eq(join(b, room), M_OK);
	cr_expect_eq(may_read(b, room), M_OK);
}

/* An invitation refused, or a ban, does not show what happened since he left. */
Test(room_visibility, a_leaver_who_is_invited_or_banned_later)
{
	struct ctx *a = user("alice"), *b = user("bob");
	const char *room = make_room(a, "{\"preset\":\"public_chat\",\"name\":\"old\"}");
	struct json *state;

	cr_assert_eq(join(b, room), M_OK);
	say(a, room, "before");
	cr_assert_eq(leave(b, room), M_OK);
	cr_assert_eq(set_state(a, room, "m.room.name", "{\"name\":\"new\"}"), M_OK);
	say(a, room, "after");
	OK(a, TX_RW, member_change(a, MEMBER_INVITE, room, "@bob:localhost", NULL));
	cr_assert_eq(leave(b, room), M_OK);
	state = READ(b, read_state_event(b, room, "m.room.name", "", false, &o));
	cr_expect_str_eq(json_get_str(state, "name"), "old");
	OK(a, TX_RW, member_change(a, MEMBER_BAN, room, "@bob:localhost", NULL));
	state = READ(b, read_state_event(b, room, "m.room.name", "", false, &o));
	cr_expect_str_eq(json_get_str(state, "name"), "old");
	cr_expect_str_eq(sees(b, room), "before");
}

/* ---- state and members */

Test(room_read, state)
{
	struct ctx *a = user("alice");
	const char *room = make_room(a, "{\"preset\":\"public_chat\",\"name\":\"n\"}"), *id;
	struct json_out out;

	OK(a, TX_RW, room_put_state(a, room, "x", "k", parse(a, "{\"v\":1}"), &id));
	OK(a, TX_RW, room_put_state(a, room, "x", "k", parse(a, "{\"v\":2}"), &id));
	struct json *all = READ(a, read_state(a, room, &o));
	cr_expect_str_eq(bodies(a, all), "m.room.create m.room.member m.room.power_levels m.room.join_rules"
	    " m.room.history_visibility m.room.guest_access m.room.name x");
	struct json *one = READ(a, read_state_event(a, room, "x", "k", false, &o));
	cr_expect_eq(json_get_int(one, "v", 0), 2);
	one = READ(a, read_state_event(a, room, "x", "k", true, &o));
	cr_expect_str_eq(json_get_str(one, "event_id"), id);
	cr_expect_str_eq(json_get_str(one, "room_id"), room);
	cr_expect_str_eq(json_get_str(one, "state_key"), "k");
	json_out_init(&out, a->a);
	cr_expect_eq(DO(a, TX_RO, read_state_event(a, room, "x", "other", false, &out)), M_NOT_FOUND);
	cr_expect_eq(DO(a, TX_RO, read_state_event(a, room, "never.heard", "", false, &out)), M_NOT_FOUND);
}

static const char *
members(struct ctx *cx, const char *room, const char *at, const char *only, const char *but)
{
	struct json *m = READ(cx, read_members(cx, room, at, only, but, &o)), *chunk = json_get(m, "chunk");
	struct buf b;

	buf_init(&b, cx->a);
	for (size_t i = 0; i < chunk->u.arr.n; i++)
		buf_addf(&b, "%s=%s ", json_get_str(chunk->u.arr.v[i], "state_key"),
		    json_get_str(json_get(chunk->u.arr.v[i], "content"), "membership"));
	return b.s;
}

Test(room_read, members)
{
	struct ctx *a = user("alice"), *b = user("bob"), *c = user("carol");
	const char *room = make_room(a, PUBLIC), *end;
	struct json_out out;

	cr_assert_eq(join(b, room), M_OK);
	end = json_get_str(messages(a, room, "t0", false, 100), "end");
	cr_assert_eq(join(c, room), M_OK);
	cr_assert_eq(leave(b, room), M_OK);
	cr_expect_str_eq(members(a, room, NULL, NULL, NULL), "@alice:localhost=join @carol:localhost=join @bob:localhost=leave ");
	cr_expect_str_eq(members(a, room, NULL, "join", NULL), "@alice:localhost=join @carol:localhost=join ");
	cr_expect_str_eq(members(a, room, NULL, NULL, "join"), "@bob:localhost=leave ");
	cr_expect_str_eq(members(a, room, NULL, "leave", "leave"), "@alice:localhost=join @carol:localhost=join @bob:localhost=leave ", "one of both is enough");
	cr_expect_str_eq(members(a, room, end, NULL, NULL), "@alice:localhost=join @bob:localhost=join ");
	cr_expect_str_eq(members(a, room, "t0", NULL, NULL), "", "before the room");
	cr_expect_str_eq(members(b, room, NULL, NULL, NULL), "@alice:localhost=join @carol:localhost=join @bob:localhost=leave ");
	json_out_init(&out, a->a);
	cr_expect_eq(DO(a, TX_RO, read_members(a, room, NULL, "friend", NULL, &out)), M_INVALID_PARAM);
	struct json *joined = READ(a, read_joined_members(a, room, &o));
	cr_expect_eq(json_get(joined, "joined")->u.obj.n, 2);
}

/* What the members were at a time is for who may see an event of that time. */
Test(room_read, members_of_a_time)
{
	struct ctx *a = user("alice"), *b = user("bob"), *c = user("carol");
	const char *room = make_room(a, "{\"preset\":\"public_chat\",\"initial_state\":[{\"type\":\"m.room.history_visibility\",\"content\":"
	    "{\"history_visibility\":\"joined\"}}]}"), *before, *joined;
	struct json_out out;

	cr_assert_eq(join(b, room), M_OK);
	cr_assert_eq(leave(b, room), M_OK);
	before = json_get_str(messages(a, room, "t0", false, 100), "end");
	cr_assert_eq(join(c, room), M_OK);
	joined = json_get_str(messages(a, room, "t0", false, 100), "end");
	say(a, room, "later");
	cr_expect_str_eq(members(a, room, before, NULL, NULL), "@alice:localhost=join @bob:localhost=leave ");
	cr_expect_str_eq(members(c, room, joined, NULL, "leave"), "@alice:localhost=join @carol:localhost=join ");
	json_out_init(&out, c->a);
	cr_expect_eq(DO(c, TX_RO, read_members(c, room, before, NULL, NULL, &out)), M_FORBIDDEN);
	cr_assert_eq(leave(c, room), M_OK);
	cr_assert_eq(join(b, room), M_OK);
	cr_expect_str_eq(members(c, room, joined, NULL, "leave"), "@alice:localhost=join @carol:localhost=join ");
	cr_expect_eq(DO(c, TX_RO, read_members(c, room, before, NULL, NULL, &out)), M_FORBIDDEN);
}

Test(room_read, context)
{
	struct ctx *a = user("alice");
	const char *room = make_room(a, PUBLIC), *id = NULL;

	for (int i = 1; i <= 9; i++) {
		const char *one = say(a, room, arena_printf(a->a, "%d", i));
		if (i == 5)
			id = one;
		if (i == 6)
			cr_assert_eq(set_state(a, room, "m.room.name", "{\"name\":\"after 6\"}"), M_OK);
	}
	struct json *c = READ(a, read_context(a, room, id, 3, NULL, &o));
	cr_expect_str_eq(bodies(a, json_get(c, "events_before")), "4");
	cr_expect_str_eq(json_get_str(json_get(json_get(c, "event"), "content"), "body"), "5");
	cr_expect_str_eq(bodies(a, json_get(c, "events_after")), "6 m.room.name");
	cr_expect_not_null(strstr(bodies(a, json_get(c, "state")), "m.room.name"), "the state at the last event");
	cr_expect_str_eq(bodies(a, json_get(messages(a, room, json_get_str(c, "start"), true, 1), "chunk")), "3");
	cr_expect_str_eq(bodies(a, json_get(messages(a, room, json_get_str(c, "end"), false, 1), "chunk")), "7");
	c = READ(a, read_context(a, room, id, 0, NULL, &o));
	cr_expect_null(strstr(bodies(a, json_get(c, "state")), "m.room.name"));
}

/* transaction_id: only for the device that sent it. membership: the reader's own at the event. */
Test(room_read, unsigned_of_the_reader)
{
	struct ctx *a = user("alice"), *b = user("bob");
	const char *room = make_room(a, PUBLIC), *id;
	struct txn txn = { "PUT /1", "txn-1" };

	OK(a, TX_RW, room_send(a, room, "m.room.message", json_new_obj(a->a), &txn, &id));
	cr_assert_eq(join(b, room), M_OK);
	struct json *mine = READ(a, read_event(a, room, id, &o)), *his = READ(b, read_event(b, room, id, &o));
	cr_expect_str_eq(json_get_str(json_get(mine, "unsigned"), "transaction_id"), "txn-1");
	cr_expect_str_eq(json_get_str(json_get(mine, "unsigned"), "membership"), "join");
	cr_expect_null(json_get(json_get(his, "unsigned"), "transaction_id"));
	cr_expect_str_eq(json_get_str(json_get(his, "unsigned"), "membership"), "leave", "he was not there yet");
	cr_expect_eq(json_get_int(json_get(his, "unsigned"), "age", -1), b->now - json_get_int(his, "origin_server_ts", 0));
	a->device++;
	mine = READ(a, read_event(a, room, id, &o));
	cr_expect_null(json_get(json_get(mine, "unsigned"), "transaction_id"));
}

/* ---- users who wished to be forgotten */

static const struct json *
prev_content(struct ctx *cx, const char *room, const char *id)
{
	return json_get(json_get(READ(cx, read_event(cx, room, id, &o)), "unsigned"), "prev_content");
}

static const char *
of_member(const struct json *events, const char *user, bool prev, const char *key)
{
	for (size_t i = 0; i < events->u.arr.n; i++) {
		const struct json *ev = events->u.arr.v[i], *c = prev ? json_get(json_get(ev, "unsigned"), "prev_content") : json_get(ev, "content");

		if (json_get_str(ev, "state_key") != NULL && strcmp(json_get_str(ev, "state_key"), user) == 0)
			return json_get_str(c, key) ? json_get_str(c, key) : "";
	}
	return "no event";
}

#define ALICE "@alice:localhost"

/* Alice was erased; bob was there, carol came later: neither the state nor what stands beside an event tells her what alice said. */
Test(room_read, what_an_erased_user_left)
{
	struct ctx *a = user("alice"), *b = user("bob"), *c = user("carol");
	const char *room = make_room(a, "{\"preset\":\"public_chat\",\"name\":\"Den\"}"), *said, *left, *widget = NULL, *id;
	const struct txn none = { 0 };
	struct json *state;

	OK(b, TX_RW, member_change(b, MEMBER_JOIN, room, NULL, NULL));
	OK(a, TX_RW, room_put_state(a, room, "m.room.member", ALICE, parse(a, "{\"membership\":\"join\",\"displayname\":\"Alice A.\"}"), &id));
	OK(a, TX_RW, room_put_state(a, room, "org.example.widget", "w", parse(a, "{\"url\":\"one\"}"), &widget));
	OK(a, TX_RW, room_put_state(a, room, "org.example.widget", "w", parse(a, "{\"url\":\"two\"}"), &widget));
	said = say(b, room, "hm");
	OK(a, TX_RW, room_redact(a, room, said, parse(a, "{\"reason\":\"Alice A. says so\"}"), &none, &id));
	OK(a, TX_RW, member_change(a, MEMBER_LEAVE, room, NULL, NULL));
	left = sql("SELECT e.id FROM event e JOIN name n ON n.nid = e.state_key WHERE n.body = '" ALICE "' ORDER BY room_pos DESC LIMIT 1");
	left = arena_strdup(a->a, left);
	sql("UPDATE account SET erased = true WHERE usr = (SELECT nid FROM name WHERE body = '" ALICE "')");
	OK(c, TX_RW, member_change(c, MEMBER_JOIN, room, NULL, NULL));
	cr_expect_str_eq(json_get_str(prev_content(b, room, left), "displayname"), "Alice A.");
	cr_expect_null(json_get(prev_content(c, room, left), "displayname"));
	cr_expect_str_eq(json_get_str(prev_content(c, room, left), "membership"), "join", "as its redaction leaves it");
	cr_expect_str_eq(json_get_str(prev_content(b, room, widget), "url"), "one");
	cr_expect_null(json_get(prev_content(c, room, widget), "url"));
	state = READ(b, read_state(b, room, &o));
	cr_expect_str_eq(of_member(state, ALICE, true, "displayname"), "Alice A.");
	cr_expect_str_eq(of_member(state, "w", false, "url"), "two");
	state = READ(c, read_state(c, room, &o));
	cr_expect_str_eq(of_member(state, ALICE, true, "displayname"), "");
	cr_expect_str_eq(of_member(state, "w", false, "url"), "");
	state = READ(c, read_state_event(c, room, "m.room.name", "", false, &o));
	cr_expect_str_eq(json_get_str(state, "name"), "Den", "the room's own settings stay");
	state = READ(c, read_state_event(c, room, "org.example.widget", "w", false, &o));
	cr_expect_null(json_get(state, "url"));
	state = json_get(READ(c, read_members(c, room, NULL, NULL, NULL, &o)), "chunk");
	cr_expect_str_eq(of_member(state, ALICE, true, "displayname"), "");
	state = json_get(READ(c, read_context(c, room, left, 10, NULL, &o)), "state");
	cr_expect_str_eq(of_member(state, ALICE, true, "displayname"), "");
	cr_expect_str_eq(of_member(state, "w", false, "url"), "");
	state = json_get(json_get(READ(b, read_event(b, room, said, &o)), "unsigned"), "redacted_because");
	cr_expect_str_eq(json_get_str(json_get(state, "content"), "reason"), "Alice A. says so");
	state = json_get(json_get(READ(c, read_event(c, room, said, &o)), "unsigned"), "redacted_because");
	cr_expect_not_null(json_get(state, "redacts"));
	cr_expect_null(json_get(json_get(state, "content"), "reason"));
}
