/* tests/db/sync/pieces.c - an initial sync of more rooms than are loaded at once, several pieces of which are under way. */
#include "core/room/names.h"
#include "tests/db/sync/client.h"

TestSuite(sync_pieces);

#define ROOMS 170

/* In every seventh room an edit, in every fifth a member who came later. */
static void
fill_room(struct client *a, struct client *b, struct client *c, const char *room, int i)
{
	const char *id, *edit, *sent = NULL;
	struct json *v;

	client_member(b, MEMBER_JOIN, room, NULL);
	if (i % 5 == 0)
		client_member(c, MEMBER_JOIN, room, NULL);
	client_say(b, room, arena_printf(b->a, "b%d", i));
	id = client_say(a, room, arena_printf(a->a, "a%d", i));
	if (i % 7 == 0) {
		edit = arena_printf(a->a, "{\"body\":\"* e\",\"m.new_content\":{\"body\":\"e%d\"},"
		    "\"m.relates_to\":{\"rel_type\":\"m.replace\",\"event_id\":\"%s\"}}", i, id);
		cr_assert_eq(json_parse(a->a, edit, strlen(edit), &v), JSON_OK);
		cr_assert_eq(CALL(a, room_send(a->cx, room, "m.room.message", v, &(struct txn){ 0 }, &sent)), M_OK);
	}
}

static const struct json *
message(const struct json *room, const char *body)
{
	const struct json *v = at(room, "timeline/events");

	for (size_t i = 0; i < v->u.arr.n; i++)
		if (json_str_eq(at(v->u.arr.v[i], "content/body"), body))
			return v->u.arr.v[i];
	return NULL;
}

static size_t
members_in(const struct json *room)
{
	static const char *const lists[] = { "state/events", "timeline/events" };
	size_t n = 0;

	for (int k = 0; k < 2; k++) {
		const struct json *v = at(room, lists[k]);

		for (size_t i = 0; i < v->u.arr.n; i++)
			n += json_str_eq(json_get(v->u.arr.v[i], "type"), "m.room.member");
	}
	return n;
}

static void
check_room(struct client *a, struct client *b, const struct json *answer, const char *id, int i, bool own_device)
{
	const struct json *room = room_in(answer, "join", id);
	const char *mine = arena_printf(a->a, "a%d", i), *theirs = arena_printf(a->a, "b%d", i);

	cr_assert_not_null(room, "room %d", i);
	cr_assert_str_eq(json_get_str(message(room, theirs), "sender"), b->user);
	cr_assert_null(at(message(room, theirs), "unsigned/transaction_id"));
	cr_assert_eq(json_str_eq(at(message(room, mine), "unsigned/transaction_id"), mine), own_device, "room %d", i);
	cr_assert_eq(json_str_eq(at(message(room, mine), "unsigned/m.relations/m.replace/content/m.new_content/body"),
	    arena_printf(a->a, "e%d", i)), i % 7 == 0, "room %d", i);
	cr_assert_eq(members_in(room), i % 5 == 0 ? 3 : 2, "room %d", i);
}

Test(sync_pieces, each_room_is_whole, .timeout = 120)
{
	static const char *const filters[] = { NULL, "{\"room\":{\"timeline\":{\"limit\":4}}}" };
	struct client *a = client_new("alice"), *b = client_new("bob"), *c = client_new("carol"), *again;
	const char *room[ROOMS];
	struct json *answer;
	enum err e;

	for (int i = 0; i < ROOMS; i++) {
		room[i] = client_room(a, "{\"preset\":\"public_chat\"}");
		fill_room(a, b, c, room[i], i);
	}
	again = client_again(a);
	for (int f = 0; f < 2; f++) {
		a->filter = again->filter = filters[f];
		answer = client_ask(a, NULL, &e);
		cr_assert_eq(e, M_OK);
		cr_assert_eq(at(answer, "rooms/join")->u.obj.n, ROOMS);
		for (int i = 0; i < ROOMS; i++)
			check_room(a, b, answer, room[i], i, true);
		answer = client_ask(again, NULL, &e);
		for (int i = 0; i < ROOMS; i++)
			check_room(a, b, answer, room[i], i, false);
	}
}

static void
send_type(struct client *c, const char *room, const char *type)
{
	const char *sent = NULL;
	struct json *v;

	cr_assert_eq(json_parse(c->a, "{}", 2, &v), JSON_OK);
	cr_assert_eq(CALL(c, room_send(c->cx, room, type, v, &(struct txn){ 0 }, &sent)), M_OK);
}

/*
 * What a member of long standing may see is not read, unless his timeline, by what it hides, reaches behind his coming (where he may
 * see nothing) or behind his last change of name (where he was in the room as well).
 */
Test(sync_pieces, a_timeline_that_reaches_behind_the_own_member_event)
{
	static const struct { const char *name, *shown; } cases[] = { { NULL, "t.shown:" }, { "new", "t.shown: t.shown:" } };
	struct client *a = client_new("alice"), *b = client_new("bob");
	struct json *answer;
	enum err e;

	b->filter = "{\"room\":{\"timeline\":{\"limit\":10,\"types\":[\"t.shown\"]}}}";
	for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
		const char *room = client_room(a, "{\"preset\":\"public_chat\",\"initial_state\":[{\"type\":\"m.room.history_visibility\","
		    "\"content\":{\"history_visibility\":\"joined\"}}]}");

		send_type(a, room, "t.shown");
		cr_assert_eq(client_member(b, MEMBER_JOIN, room, NULL), M_OK);
		if (cases[k].name) {
			send_type(a, room, "t.shown");
			cr_assert_eq(client_state(b, room, "m.room.member", b->user, "{\"membership\":\"join\",\"displayname\":\"new\"}"), M_OK);
		}
		for (int i = 0; i < 70; i++)
			send_type(a, room, "t.noise");
		send_type(a, room, "t.shown");
		answer = client_ask(b, NULL, &e);
		cr_assert_eq(e, M_OK);
		cr_expect_str_eq(events_text(a->a, at(room_in(answer, "join", room), "timeline/events")), cases[k].shown);
	}
}

/* Numbers to texts, of which this process knows some. */
Test(sync_pieces, names_of_numbers)
{
	struct client *a = client_new("alice"), *b = client_new("bob");
	int64_t nids[] = { T_MEMBER, b->nid, a->nid, 1 << 30, b->nid, NAME_EMPTY, b->nid };
	const char *texts[7];
	const size_t n = sizeof nids / sizeof *nids;

	for (int i = 0; i < 2; i++) {
		session_next(a->cx);
		db_begin(a->cx, TX_RO);
		db_stats_reset(a->cx->db);
		cr_assert_eq(name_texts(a->cx, nids, i == 0 ? n : 3, texts), M_OK);
		cr_assert_str_eq(texts[0], "m.room.member");
		cr_assert_str_eq(texts[1], b->user);
		cr_assert_str_eq(texts[2], a->user);
		if (i == 0) {
			cr_assert_null(texts[3]);
			cr_assert_str_eq(texts[4], b->user);
			cr_assert_str_eq(texts[5], "");
			cr_assert_str_eq(texts[6], b->user);
		} else {
			cr_assert_eq(db_stats(a->cx->db).trips, 0, "what was found is remembered");
		}
		db_rollback(a->cx);
	}
}

STMT(t_pieces_end, "SELECT pg_terminate_backend(pg_backend_pid())");

/* In a database that was restored to before it was made, a number may be another's. */
Test(sync_pieces, names_are_forgotten_with_the_connection)
{
	struct client *a = client_new("alice");
	int64_t nid = a->nid;
	const char *text;
	struct rows r;

	for (int i = 0; i < 2; i++) {
		session_next(a->cx);
		db_begin(a->cx, TX_RO);
		cr_assert_eq(name_texts(a->cx, &nid, 1, &text), M_OK);
		cr_assert_str_eq(text, i == 0 ? a->user : "@other:localhost");
		cr_assert_eq(name_known(text), nid);
		db_rollback(a->cx);
		if (i == 0) {
			sql("UPDATE name SET body = '@other:localhost' WHERE nid = %lld", (long long)nid);
			cr_assert_neq(db_query(a->cx, &r, &t_pieces_end), M_OK);
			cr_assert(EVENTUALLY(db_alive(a->cx) == M_OK));
		}
	}
}
