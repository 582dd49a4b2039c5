/* tests/db/sync/basic.c - what an answer holds, one matter at a time. */
#include "tests/db/sync/client.h"

#define ROOM "{\"preset\":\"public_chat\",\"name\":\"n\"}"

static const char *
timeline(struct client *c, const char *section, const char *room)
{
	return events_text(c->a, at(room_in(c->last, section, room), "timeline/events"));
}

Test(sync, a_new_user_gets_an_answer_with_push_rules_and_then_nothing)
{
	struct client *a = client_new("a");

	cr_assert_eq(client_sync(a), M_OK);
	cr_expect_null(json_get(a->last, "rooms"));
	cr_expect_not_null(at(a->data, "m.push_rules/global/override"));
	cr_expect_eq(json_get_int(json_get(a->last, "device_one_time_keys_count"), "signed_curve25519", -1), 0);
	cr_expect_eq(client_sync(a), E_PARK);
	cr_expect_eq(client_sync(a), E_PARK);
}

Test(sync, a_created_room_comes_whole_and_a_message_alone)
{
	struct client *a = client_new("a");
	const char *room;

	cr_assert_eq(client_sync(a), M_OK);
	room = client_room(a, ROOM);
	cr_assert_eq(client_sync(a), M_OK);
	cr_expect_str_eq(timeline(a, "join", room), "create: member:join power_levels: join_rules: history_visibility: guest_access: name:");
	cr_expect_not(json_get_bool(at(room_in(a->last, "join", room), "timeline"), "limited", true));
	cr_expect_eq(at(room_in(a->last, "join", room), "state/events")->u.arr.n, 0);
	cr_expect_eq(json_get_int(at(room_in(a->last, "join", room), "summary"), "m.joined_member_count", -1), 1);
	cr_expect_eq(client_sync(a), E_PARK);
	client_say(a, room, "hello");
	cr_assert_eq(client_sync(a), M_OK);
	cr_expect_str_eq(timeline(a, "join", room), "message:hello");
	cr_expect_null(json_get(room_in(a->last, "join", room), "summary"));
	cr_expect_null(at(room_in(a->last, "join", room), "state"), "empty sections are left out");
	cr_expect_null(at(room_in(a->last, "join", room), "ephemeral"));
	cr_expect_null(at(room_in(a->last, "join", room), "account_data"));
	cr_expect_eq(client_sync(a), E_PARK);
}

Test(sync, transaction_ids_only_for_the_device_that_sent)
{
	struct client *a = client_new("a"), *again = client_again(a);
	const char *room = client_room(a, ROOM);

	cr_assert_eq(client_sync(a), M_OK);
	cr_assert_eq(client_sync(again), M_OK);
	client_say(a, room, "one");
	cr_assert_eq(client_sync(a), M_OK);
	cr_assert_eq(client_sync(again), M_OK);
	cr_expect_str_eq(json_get_str(at(at(room_in(a->last, "join", room), "timeline/events")->u.arr.v[0], "unsigned"), "transaction_id"), "one");
	cr_expect_null(json_get(at(at(room_in(again->last, "join", room), "timeline/events")->u.arr.v[0], "unsigned"), "transaction_id"));
}

Test(sync, an_invitation_a_join_a_leave)
{
	struct client *a = client_new("a"), *b = client_new("b");
	const char *room = client_room(a, "{\"name\":\"n\"}");
	const char *text;

	cr_assert_eq(client_sync(b), M_OK);
	cr_assert_eq(client_member(a, MEMBER_INVITE, room, b), M_OK);
	cr_assert_eq(client_sync(b), M_OK);
	text = events_text(b->a, at(room_in(b->last, "invite", room), "invite_state/events"));
	cr_expect_not_null(strstr(text, "create:"), "%s", text);
	cr_expect_not_null(strstr(text, "name:"), "%s", text);
	cr_expect_not_null(strstr(text, "member:invite"), "%s", text);
	cr_expect_eq(client_sync(b), E_PARK);
	client_say(a, room, "before");
	cr_expect_eq(client_sync(b), E_PARK, "who is invited gets no messages");
	cr_assert_eq(client_member(b, MEMBER_JOIN, room, NULL), M_OK);
	cr_assert_eq(client_sync(b), M_OK);
	cr_expect_not_null(json_get(json_get(json_get(b->rooms, room), "state"), "m.room.create|"));
	cr_assert_eq(client_member(b, MEMBER_LEAVE, room, NULL), M_OK);
	client_say(a, room, "behind his back");
	cr_assert_eq(client_sync(b), M_OK);
	cr_expect_str_eq(timeline(b, "leave", room), "member:leave");
	cr_expect_eq(client_sync(b), E_PARK);
	client_say(a, room, "again");
	cr_expect_eq(client_sync(b), E_PARK);
}

Test(sync, a_refused_invitation_shows_the_end_and_nothing_else)
{
	struct client *a = client_new("a"), *b = client_new("b");
	const char *room = client_room(a, "{\"name\":\"secret\"}");

	cr_assert_eq(client_sync(b), M_OK);
	cr_assert_eq(client_member(a, MEMBER_INVITE, room, b), M_OK);
	cr_assert_eq(client_sync(b), M_OK);
	cr_assert_eq(client_member(b, MEMBER_LEAVE, room, NULL), M_OK);
	cr_assert_eq(client_sync(b), M_OK);
	cr_expect_str_eq(timeline(b, "leave", room), "member:leave");
	cr_expect_eq(at(room_in(b->last, "leave", room), "state/events")->u.arr.n, 0);
}

Test(sync, a_limited_timeline_has_the_state_of_its_start)
{
	struct client *a = client_new("a");
	const char *room = client_room(a, ROOM);
	struct json *state;

	a->filter = "{\"room\":{\"timeline\":{\"limit\":2}}}";
	cr_assert_eq(client_sync(a), M_OK);
	cr_expect(json_get_bool(at(room_in(a->last, "join", room), "timeline"), "limited", false));
	client_state(a, room, "m.room.topic", "", "{\"topic\":\"1\"}");
	client_state(a, room, "m.room.topic", "", "{\"topic\":\"2\"}");
	client_say(a, room, "x");
	client_state(a, room, "m.room.topic", "", "{\"topic\":\"3\"}");
	cr_assert_eq(client_sync(a), M_OK);
	cr_expect_str_eq(timeline(a, "join", room), "message:x topic:");
	cr_expect(json_get_bool(at(room_in(a->last, "join", room), "timeline"), "limited", false));
	state = at(room_in(a->last, "join", room), "state/events");
	cr_assert_eq(state->u.arr.n, 1);
	cr_expect_str_eq(json_get_str(json_get(state->u.arr.v[0], "content"), "topic"), "2");
	client_say(a, room, "y");
	client_say(a, room, "z");
	cr_assert_eq(client_sync(a), M_OK);
	cr_expect_not(json_get_bool(at(room_in(a->last, "join", room), "timeline"), "limited", true), "all that was new is there");
}

Test(sync, a_filter_that_hides_a_state_event_does_not_hide_the_state)
{
	struct client *a = client_new("a");
	const char *room = client_room(a, ROOM);
	struct json *state;

	a->filter = "{\"room\":{\"timeline\":{\"types\":[\"m.room.message\"]}}}";
	cr_assert_eq(client_sync(a), M_OK);
	client_say(a, room, "x");
	client_state(a, room, "m.room.topic", "", "{\"topic\":\"1\"}");
	client_say(a, room, "y");
	cr_assert_eq(client_sync(a), M_OK);
	cr_expect_str_eq(timeline(a, "join", room), "message:x message:y");
	cr_expect_not(json_get_bool(at(room_in(a->last, "join", room), "timeline"), "limited", true));
	state = at(room_in(a->last, "join", room), "state/events");
	cr_assert_eq(state->u.arr.n, 1);
	cr_expect_str_eq(json_get_str(json_get(state->u.arr.v[0], "content"), "topic"), "1");
}

Test(sync, a_filtered_timeline_is_filled_from_further_down)
{
	struct client *a = client_new("a");
	const char *room = client_room(a, ROOM);
	char text[20];
	int i;

	client_say(a, room, "deep");
	for (i = 0; i < 70; i++) {
		snprintf(text, sizeof text, "{\"topic\":\"%d\"}", i);
		client_state(a, room, "m.room.topic", "", text);
	}
	a->filter = "{\"room\":{\"timeline\":{\"limit\":1,\"types\":[\"m.room.message\"]}}}";
	cr_assert_eq(client_sync(a), M_OK);
	cr_expect_str_eq(timeline(a, "join", room), "message:deep");
	cr_expect_not(json_get_bool(at(room_in(a->last, "join", room), "timeline"), "limited", true), "nothing else passes the filter");
}

Test(sync, limit_zero_is_a_timeline_without_events)
{
	struct client *a = client_new("a");
	const char *room = client_room(a, ROOM);

	a->filter = "{\"room\":{\"timeline\":{\"limit\":0}}}";
	cr_assert_eq(client_sync(a), M_OK);
	cr_expect_str_eq(timeline(a, "join", room), "");
	cr_expect(json_get_bool(at(room_in(a->last, "join", room), "timeline"), "limited", false));
	cr_expect_eq(at(room_in(a->last, "join", room), "state/events")->u.arr.n, 7);
	client_state(a, room, "m.room.topic", "", "{\"topic\":\"1\"}");
	cr_assert_eq(client_sync(a), M_OK);
	cr_expect_eq(at(room_in(a->last, "join", room), "state/events")->u.arr.n, 1);
}

Test(sync, lazy_loading_sends_who_speaks)
{
	struct client *a = client_new("a"), *b = client_new("b"), *c = client_new("c");
	const char *room = client_room(a, ROOM);
	const char *text;

	cr_assert_eq(client_member(b, MEMBER_JOIN, room, NULL), M_OK);
	cr_assert_eq(client_member(c, MEMBER_JOIN, room, NULL), M_OK);
	client_say(b, room, "x");
	a->filter = "{\"room\":{\"timeline\":{\"limit\":1},\"state\":{\"lazy_load_members\":true}}}";
	cr_assert_eq(client_sync(a), M_OK);
	text = json_canonical_str(a->a, at(room_in(a->last, "join", room), "state/events"), NULL);
	cr_expect_not_null(strstr(text, "\"state_key\":\"@a:localhost\""), "oneself: %s", text);
	cr_expect_not_null(strstr(text, "\"state_key\":\"@b:localhost\""), "the sender: %s", text);
	cr_expect_null(strstr(text, "\"state_key\":\"@c:localhost\""), "nobody else: %s", text);
	cr_expect_not_null(strstr(text, "m.room.create"));
	client_say(c, room, "y");
	cr_assert_eq(client_sync(a), M_OK);
	text = events_text(a->a, at(room_in(a->last, "join", room), "state/events"));
	cr_expect_str_eq(text, "member:join");
}

Test(sync, heroes_where_there_is_no_name)
{
	struct client *a = client_new("a"), *b = client_new("b");
	const char *room = client_room(a, "{\"preset\":\"public_chat\"}");
	struct json *s;

	cr_assert_eq(client_sync(a), M_OK);
	cr_assert_eq(client_member(b, MEMBER_JOIN, room, NULL), M_OK);
	cr_assert_eq(client_sync(a), M_OK);
	s = at(room_in(a->last, "join", room), "summary");
	cr_expect_str_eq(json_canonical_str(a->a, s, NULL),
	    "{\"m.heroes\":[\"@b:localhost\"],\"m.invited_member_count\":0,\"m.joined_member_count\":2}");
	cr_assert_eq(client_member(b, MEMBER_LEAVE, room, NULL), M_OK);
	cr_assert_eq(client_sync(a), M_OK);
	s = at(room_in(a->last, "join", room), "summary");
	cr_expect_str_eq(json_canonical_str(a->a, s, NULL),
	    "{\"m.heroes\":[\"@b:localhost\"],\"m.invited_member_count\":0,\"m.joined_member_count\":1}", "who left, when nobody else is there");
	client_state(a, room, "m.room.name", "", "{\"name\":\"N\"}");
	cr_assert_eq(client_sync(a), M_OK);
	cr_expect_null(json_get(at(room_in(a->last, "join", room), "summary"), "m.heroes"));
}

/* Who came first; of very many, whom this server met first. */
Test(sync, heroes_of_small_and_large_rooms)
{
	static const char *const heroes[] = { "[\"@b:localhost\",\"@c:localhost\"]", "[\"@c:localhost\",\"@b:localhost\"]" };
	struct client *a = client_new("a"), *c = client_new("c"), *b = client_new("b");
	const char *room = client_room(a, "{\"preset\":\"public_chat\"}");
	struct json *v;
	enum err e;

	cr_assert_eq(client_member(b, MEMBER_JOIN, room, NULL), M_OK);
	cr_assert_eq(client_member(c, MEMBER_JOIN, room, NULL), M_OK);
	for (int large = 0; large < 2; large++) {
		if (large)
			sql("UPDATE room SET joined = 300");
		v = client_ask(a, NULL, &e);
		cr_expect_str_eq(json_canonical_str(a->a, at(room_in(v, "join", room), "summary/m.heroes"), NULL), heroes[large]);
	}
}

Test(sync, account_data_global_and_of_rooms)
{
	struct client *a = client_new("a");
	const char *room = client_room(a, ROOM);

	cr_assert_eq(client_sync(a), M_OK);
	client_data(a, NULL, "m.direct", "{\"x\":1}");
	client_data(a, room, "m.tag", "{\"tags\":{}}");
	cr_assert_eq(client_sync(a), M_OK);
	cr_expect_eq(json_get_int(json_get(a->data, "m.direct"), "x", 0), 1);
	cr_expect_str_eq(events_text(a->a, at(room_in(a->last, "join", room), "account_data/events")), "m.tag:");
	cr_expect_null(at(room_in(a->last, "join", room), "timeline"));
	a->after = true;
	client_data(a, room, "m.tag", "{}");
	cr_assert_eq(client_sync(a), M_OK);
	cr_expect_eq(at(room_in(a->last, "join", room), "state_after/events")->u.arr.n, 0, "there even if empty");
	cr_expect_eq(client_sync(a), E_PARK);
}

Test(sync, ignored_users_fall_silent_at_once)
{
	struct client *a = client_new("a"), *b = client_new("b");
	const char *room = client_room(a, ROOM), *other;

	cr_assert_eq(client_member(b, MEMBER_JOIN, room, NULL), M_OK);
	cr_assert_eq(client_sync(a), M_OK);
	client_say(b, room, "heard");
	cr_assert_eq(client_sync(a), M_OK);
	client_data(a, NULL, "m.ignored_user_list", "{\"ignored_users\":{\"@b:localhost\":{},\"@a:localhost\":{}}}");
	cr_assert_eq(client_sync(a), M_OK);
	client_say(b, room, "not heard");
	cr_expect_eq(client_sync(a), E_PARK);
	client_say(a, room, "own");
	cr_assert_eq(client_sync(a), M_OK);
	cr_expect_str_eq(timeline(a, "join", room), "message:own");
	other = client_room(b, "{}");
	cr_assert_eq(client_member(b, MEMBER_INVITE, other, a), M_OK);
	cr_expect_eq(client_sync(a), E_PARK);
	cr_assert_eq(client_member(b, MEMBER_LEAVE, room, NULL), M_OK);
	cr_assert_eq(client_sync(a), M_OK);
	cr_expect_str_eq(timeline(a, "join", room), "member:leave", "state is still sent");
}

Test(sync, who_joins_late_sees_what_the_history_visibility_allows)
{
	struct client *a = client_new("a"), *b = client_new("b"), *c = client_new("c");
	const char *room = client_room(a, ROOM);
	const char *text;

	client_say(a, room, "shared");
	cr_assert_eq(client_state(a, room, "m.room.history_visibility", "", "{\"history_visibility\":\"joined\"}"), M_OK);
	client_say(a, room, "hidden");
	cr_assert_eq(client_sync(b), M_OK);
	cr_assert_eq(client_member(b, MEMBER_JOIN, room, NULL), M_OK);
	client_say(a, room, "open");
	cr_assert_eq(client_sync(b), M_OK);
	text = timeline(b, "join", room);
	cr_expect_null(strstr(text, "hidden"), "%s", text);
	cr_expect_not_null(strstr(text, "message:shared"), "%s", text);
	cr_expect_not_null(strstr(text, "member:join message:open"), "%s", text);
	cr_assert_eq(client_sync(c), M_OK);
	cr_expect_null(json_get(c->last, "rooms"));
}

/*
 * What became the room's state while the reader was away, under a visibility that hides it, is no event of his timeline ("Room
 * History Visibility", Server behaviour, rule 5); he has it as state.
 */
Test(sync, state_that_was_set_out_of_sight_comes_as_state)
{
	struct client *a = client_new("a"), *b = client_new("b"), *c = client_new("c");
	const char *room = client_room(a, ROOM), *text, *mine;
	const struct json *state;
	bool there = false;

	cr_assert_eq(client_member(b, MEMBER_JOIN, room, NULL), M_OK);
	cr_assert_eq(client_state(a, room, "m.room.history_visibility", "", "{\"history_visibility\":\"joined\"}"), M_OK);
	cr_assert_eq(client_member(a, MEMBER_INVITE, room, c), M_OK);
	cr_assert_eq(client_sync(b), M_OK);
	cr_assert_eq(client_member(b, MEMBER_LEAVE, room, NULL), M_OK);
	cr_assert_eq(client_member(c, MEMBER_JOIN, room, NULL), M_OK);
	client_say(a, room, "hidden");
	cr_assert_eq(client_member(b, MEMBER_JOIN, room, NULL), M_OK);
	cr_assert_eq(client_sync(b), M_OK);
	text = timeline(b, "join", room);
	cr_expect_null(strstr(text, "hidden"), "%s", text);
	for (size_t i = 0; i < at(room_in(b->last, "join", room), "timeline/events")->u.arr.n; i++)
		cr_expect_not(json_str_eq(json_get(at(room_in(b->last, "join", room), "timeline/events")->u.arr.v[i], "state_key"), c->user));
	state = at(room_in(b->last, "join", room), "state/events");
	for (size_t i = 0; state && i < state->u.arr.n; i++)
		if ((mine = json_get_str(state->u.arr.v[i], "state_key")) != NULL && strcmp(mine, c->user) == 0)
			there = json_str_eq(at(state->u.arr.v[i], "content/membership"), "join");
	cr_expect(there);
}

Test(sync, kicked_and_banned_rooms_are_shown_at_first_left_ones_when_asked_forgotten_never)
{
	struct client *a = client_new("a"), *b = client_new("b"), *b2 = client_again(b);
	const char *kicked = client_room(a, ROOM), *left = client_room(a, ROOM), *banned = client_room(a, ROOM);

	cr_assert_eq(client_member(b, MEMBER_JOIN, kicked, NULL), M_OK);
	cr_assert_eq(client_member(b, MEMBER_JOIN, left, NULL), M_OK);
	cr_assert_eq(client_member(b, MEMBER_JOIN, banned, NULL), M_OK);
	cr_assert_eq(client_member(a, MEMBER_KICK, kicked, b), M_OK);
	cr_assert_eq(client_member(a, MEMBER_BAN, banned, b), M_OK);
	cr_assert_eq(client_member(b, MEMBER_LEAVE, left, NULL), M_OK);
	cr_assert_eq(client_sync(b), M_OK);
	cr_expect_not_null(json_get(b->left, kicked));
	cr_expect_not_null(json_get(b->left, banned));
	cr_expect_null(json_get(b->left, left));
	b2->filter = "{\"room\":{\"include_leave\":true}}";
	cr_assert_eq(client_sync(b2), M_OK);
	cr_expect_not_null(json_get(b2->left, left));
	cr_expect_str_eq(timeline(b2, "leave", left), "create: member:join power_levels: join_rules: history_visibility: guest_access: "
	    "name: member:join member:leave");
	cr_assert_eq(CALL(b, member_forget(b->cx, kicked)), M_OK);
	cr_expect_eq(client_sync(b), E_PARK);
	b->since = NULL;
	cr_assert_eq(client_sync(b), M_OK);
	cr_expect_null(room_in(b->last, "leave", kicked));
}

Test(sync, full_state_answers_at_once_with_all_state_and_only_new_events)
{
	struct client *a = client_new("a");
	const char *room = client_room(a, ROOM);

	cr_assert_eq(client_sync(a), M_OK);
	cr_assert_eq(client_full(a, true), M_OK);
	cr_expect_str_eq(timeline(a, "join", room), "");
	cr_expect_eq(at(room_in(a->last, "join", room), "state/events")->u.arr.n, 7);
}

/* More than one piece is loaded at a time. */
Test(sync, many_rooms)
{
	struct client *a = client_new("a"), *lazy = client_again(a);
	const char *room[130];
	size_t i, n = sizeof room / sizeof *room;

	for (i = 0; i < n; i++)
		room[i] = client_room(a, ROOM);
	lazy->filter = "{\"room\":{\"state\":{\"lazy_load_members\":true},\"timeline\":{\"limit\":1}}}";
	cr_assert_eq(client_sync(a), M_OK);
	cr_assert_eq(client_sync(lazy), M_OK);
	cr_expect_eq(a->rooms->u.obj.n, n);
	cr_expect_eq(lazy->rooms->u.obj.n, n);
	cr_assert_eq(client_full(a, true), M_OK);
	for (i = 0; i < n; i++) {
		cr_expect_eq(at(room_in(a->last, "join", room[i]), "state/events")->u.arr.n, 7);
		cr_expect_eq(json_get(json_get(lazy->rooms, room[i]), "state")->u.obj.n, 7);
		client_say(a, room[i], "x");
	}
	cr_assert_eq(client_sync(a), M_OK);
	cr_expect_eq(at(a->last, "rooms/join")->u.obj.n, n);
	cr_expect_eq(client_sync(a), E_PARK);
}

Test(sync, a_session_that_has_ended_is_told)
{
	struct client *a = client_new("a");

	cr_assert_eq(client_sync(a), M_OK);
	sql("DELETE FROM device WHERE nid = %lld", (long long)a->device);
	cr_expect_eq(client_sync(a), M_UNKNOWN_TOKEN);
}

/* What a request waits with is its token, not its device: another one of the device does not do. */
Test(sync, a_token_that_has_ended_is_told)
{
	struct client *a = client_new("a");

	cr_assert_eq(client_sync(a), M_OK);
	sql("UPDATE access_token SET expires_ts = 1");
	cr_expect_eq(client_sync(a), E_PARK, "it was good when the request came");
	sql("INSERT INTO refresh_token (hash, family, device, pending, since_ts) VALUES ('r', 'f', %lld, false, 0)", (long long)a->device);
	cr_expect_eq(client_sync(a), E_PARK);
	sql("UPDATE refresh_token SET revoked = true");
	cr_expect_eq(client_sync(a), E_SOFT_LOGOUT);
	sql("DELETE FROM refresh_token");
	sql("UPDATE access_token SET hash = 'another'");
	cr_expect_eq(client_sync(a), M_UNKNOWN_TOKEN);
}

Test(sync, the_same_since_gives_the_same_answer)
{
	struct client *a = client_new("a");
	const char *room = client_room(a, ROOM), *one, *two;
	struct json *v;
	enum err e;

	cr_assert_eq(client_sync(a), M_OK);
	client_say(a, room, "x");
	v = client_ask(a, a->since, &e);
	one = events_text(a->a, at(room_in(v, "join", room), "timeline/events"));
	sync_forget();
	v = client_ask(a, a->since, &e);
	two = events_text(a->a, at(room_in(v, "join", room), "timeline/events"));
	cr_expect_str_eq(one, "message:x");
	cr_expect_str_eq(two, one, "also of a worker that has just started");
}

/* What could not be computed is computed again from where the client is: a waiting request may be parked meanwhile. */
Test(sync, an_answer_that_fails_half_way_loses_no_news)
{
	struct client *a = client_new("a"), *b = client_new("b");
	const char *room = client_room(a, "{\"preset\":\"public_chat\"}"), *body = NULL;
	struct sync_wait w = { .user_nid = b->nid, .device = b->device, .token = client_token(b->a, b->device), .user = b->user, .device_id = "D" }, *v = &w;
	enum err err = M_OK;
	size_t n = 0;

	cr_assert_eq(client_sync(b), M_OK);
	w.since = b->since;
	session_next(b->cx);
	cr_assert_eq(sync_compute(b->cx, &v, 1, &body, &n, &err), M_OK);
	cr_assert_eq(err, E_PARK);
	w.next = arena_strdup(b->a, w.next);
	w.nrooms = 0;
	cr_assert_eq(client_member(b, MEMBER_JOIN, room, NULL), M_OK);
	sql("ALTER TABLE line RENAME TO line_away");
	session_next(b->cx);
	cr_assert_neq(sync_compute(b->cx, &v, 1, &body, &n, &err), M_OK);
	cr_assert_not(db_in_tx(b->cx));
	sql("ALTER TABLE line_away RENAME TO line");
	session_next(b->cx);
	cr_assert_eq(sync_compute(b->cx, &v, 1, &body, &n, &err), M_OK);
	cr_assert_eq(err, M_OK, "the join is still news");
	cr_expect_not_null(strstr(body, room));
}

/* Whoever comes after a user was erased is told nothing of what that user said, in timeline, state and what stands beside them. */
Test(sync_basic, erased_users_in_a_first_sync)
{
	struct client *a = client_new("alice"), *b = client_new("bob"), *c = client_new("carol");
	const char *room = client_room(a, "{\"preset\":\"public_chat\"}"), *text;

	cr_assert_eq(client_member(b, MEMBER_JOIN, room, NULL), M_OK);
	cr_assert_eq(client_state(a, room, "m.room.member", a->user, "{\"membership\":\"join\",\"displayname\":\"Secretive\"}"), M_OK);
	cr_assert_eq(client_state(a, room, "org.example.x", "", "{\"x\":\"Secretive\"}"), M_OK);
	client_say(a, room, "Secretive");
	cr_assert_eq(client_member(a, MEMBER_LEAVE, room, NULL), M_OK);
	for (int i = 0; i < 5; i++)
		client_say(b, room, "filler");
	sql("UPDATE account SET erased = true WHERE usr = (SELECT nid FROM name WHERE body = '%s')", a->user);
	cr_assert_eq(client_member(c, MEMBER_JOIN, room, NULL), M_OK);
	cr_assert_eq(client_sync(c), M_OK);
	text = json_canonical_str(c->a, c->last, NULL);
	cr_expect_not_null(strstr(text, "filler"));
	cr_expect_not_null(strstr(text, "org.example.x"));
	cr_expect_null(strstr(text, "Secretive"), "%s", text);
	c = client_again(c);
	c->filter = "{\"room\":{\"timeline\":{\"limit\":1}}}";
	cr_assert_eq(client_sync(c), M_OK);
	text = json_canonical_str(c->a, c->last, NULL);
	cr_expect_not_null(strstr(text, "org.example.x"));
	cr_expect_null(strstr(text, "Secretive"), "%s", text);
	b = client_again(b);
	cr_assert_eq(client_sync(b), M_OK);
	cr_expect_not_null(strstr(json_canonical_str(b->a, b->last, NULL), "Secretive"));
}
