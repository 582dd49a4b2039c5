/* tests/db/sync/ring.c - what a worker keeps in memory: that it saves round trips, and that losing it costs nothing but time. */
#include "tests/db/sync/client.h"

#define ROOM "{\"preset\":\"public_chat\"}"

static int
trips(struct client *c, enum err wanted)
{
	db_stats_reset(c->cx->db);
	cr_assert_eq(client_sync(c), wanted);
	return db_stats(c->cx->db).trips;
}

Test(sync_ring, one_round_trip_without_news_and_two_with)
{
	struct client *a = client_new("a"), *b = client_new("b");
	const char *room = client_room(a, ROOM);

	client_member(b, MEMBER_JOIN, room, NULL);
	cr_assert_eq(client_sync(b), M_OK);
	cr_assert_eq(client_sync(b), E_PARK);
	cr_expect_eq(trips(b, E_PARK), 1);
	client_say(a, room, "x");
	client_state(a, room, "m.room.topic", "", "{\"topic\":\"t\"}");
	cr_expect_eq(trips(b, M_OK), 2);
	cr_expect_str_eq(events_text(b->a, at(room_in(b->last, "join", room), "timeline/events")), "message:x topic:");
}

Test(sync_ring, a_stored_filter_is_asked_for_once)
{
	struct client *a = client_new("a");

	sql("INSERT INTO filter (usr, id, hash, body) VALUES (%lld, 0, 'x', '{\"account_data\":{\"types\":[\"m.y\"]}}')", (long long)a->nid);
	a->filter = "0";
	cr_assert_eq(client_sync(a), M_OK);
	cr_expect_null(json_get(a->data, "m.push_rules"));
	client_sync(a);		/* now the worker knows the user, and then his filter */
	client_sync(a);
	cr_expect_eq(trips(a, E_PARK), 1);
	client_data(a, NULL, "m.x", "{}");
	cr_expect_eq(client_sync(a), E_PARK);
	client_data(a, NULL, "m.y", "{}");
	cr_expect_eq(client_sync(a), M_OK);
}

/* More rows than one tail reads: the ring begins anew, tokens from before are answered by asking. */
Test(sync_ring, a_flood_between_two_looks)
{
	struct client *a = client_new("a"), *b = client_new("b"), *other = client_new("other");
	const char *room = client_room(a, ROOM), *left = client_room(a, ROOM), *joined = client_room(a, ROOM);

	client_member(b, MEMBER_JOIN, room, NULL);
	client_member(b, MEMBER_JOIN, left, NULL);
	cr_assert_eq(client_sync(b), M_OK);
	cr_assert_eq(client_sync(b), E_PARK);
	client_say(a, room, "before");
	client_member(a, MEMBER_KICK, left, b);
	client_member(b, MEMBER_JOIN, joined, NULL);
	sql("INSERT INTO account_data (usr, type, content) SELECT %lld, 'x' || g, '{}' FROM generate_series(1, %d) g", (long long)other->nid,
	    RING_TAIL + 1);
	client_say(a, room, "after");
	cr_assert_eq(client_sync(b), M_OK);
	cr_expect_str_eq(events_text(b->a, at(room_in(b->last, "join", room), "timeline/events")), "message:before message:after");
	cr_expect_not_null(json_get(b->left, left));
	cr_expect_not_null(json_get(b->rooms, joined));
	client_say(a, joined, "here");
	client_say(a, left, "not here");
	cr_assert_eq(client_sync(b), M_OK);
	cr_expect_null(room_in(b->last, "join", left));
	client_say(a, joined, "still here");
	cr_expect_eq(trips(b, M_OK), 2, "the new ring covers the new token");
	cr_expect_eq(client_sync(b), E_PARK);
}

/* Whoever is in very many rooms changes his keys: that is one change, and the ring goes on. */
Test(sync_ring, a_change_of_keys_is_no_flood)
{
	struct client *a = client_new("a"), *b = client_new("b"), *bot = client_new("bot");
	const char *room = client_room(a, ROOM);

	client_member(b, MEMBER_JOIN, room, NULL);
	sql("INSERT INTO current_state (room, type, key, since, event, membership) SELECT 1000000 + g, 2, %lld, 1, NULL, 2 FROM generate_series(1, %d) g",
	    (long long)bot->nid, RING_TAIL + 1);
	cr_assert_eq(client_sync(b), M_OK);
	cr_assert_eq(client_sync(b), E_PARK);
	sql("UPDATE device SET display_name = 'x' WHERE nid = %lld", (long long)bot->device);
	client_say(a, room, "x");
	cr_expect_eq(trips(b, M_OK), 2);
	cr_expect_null(at(b->last, "device_lists"));
}

Test(sync_ring, the_limit_of_the_tail_is_the_one_the_statement_has)
{
	const struct stmt *const *s;
	char text[40], keys[40];
	size_t n = 0;

	snprintf(text, sizeof text, "LIMIT %d)", RING_TAIL);
	snprintf(keys, sizeof keys, "LIMIT %d)", RING_MAX);
	// cppcheck-suppress comparePointers
	for (s = __start_stmts; s < __stop_stmts; s++) {
		const char *p = strcmp((*s)->name, "ring_tail") == 0 ? (*s)->sql : "";

		for (; (p = strstr(p, "LIMIT ")) != NULL; p++, n++)
			cr_expect(strncmp(p, text, strlen(text)) == 0 || strncmp(p, keys, strlen(keys)) == 0);
	}
	cr_expect(n >= 8);
}

/* A user of many rooms: the list that a waiting request carries follows joins and leaves without being asked for again. */
Test(sync_ring, the_rooms_of_a_waiting_request)
{
	struct client *a = client_new("a"), *b = client_new("b");
	const char *room[6];
	struct sync_wait w, *v = &w;
	const char *body;
	enum err e;
	size_t n, i;

	for (i = 0; i < 6; i++)
		room[i] = client_room(a, ROOM);
	client_sync(b);
	for (i = 0; i < 12; i++) {
		client_member(b, i < 6 ? MEMBER_JOIN : MEMBER_LEAVE, room[i * 5 % 6], NULL);
		client_sync(b);
		w = (struct sync_wait){ .user_nid = b->nid, .device = b->device, .token = client_token(b->a, b->device), .user = b->user, .device_id = "D", .since = b->since };
		session_next(b->cx);
		db_stats_reset(b->cx->db);
		cr_assert_eq(sync_compute(b->cx, &v, 1, &body, &n, &e), M_OK);
		cr_assert_eq(e, E_PARK);
		cr_expect_eq(db_stats(b->cx->db).trips, 1);
		cr_expect_eq(w.nrooms, i < 6 ? i + 1 : 11 - i);
		cr_expect_eq(sql_int("SELECT count(*) FROM local_member WHERE usr = %lld AND membership = 2", (long long)b->nid), (long long)w.nrooms);
	}
}
