/* tests/db/sync/returns.c - coming back: into a room, from another device's doings, from having ignored somebody. */
#include "tests/db/sync/client.h"

#define ROOM "{\"preset\":\"public_chat\",\"name\":\"n\"}"

static const char *
timeline(struct client *c, const char *section, const char *room)
{
	return events_text(c->a, at(room_in(c->last, section, room), "timeline/events"));
}

static bool
limited(struct client *c, const char *room)
{
	return json_get_bool(at(room_in(c->last, "join", room), "timeline"), "limited", false);
}

/* Gone and back between two syncs: what was shared meanwhile is new, what came before is known. */
Test(sync_returns, who_was_out_for_a_moment_gets_nothing_twice)
{
	struct client *a = client_new("a"), *b = client_new("b");
	const char *room = client_room(a, ROOM);

	client_member(b, MEMBER_JOIN, room, NULL);
	client_say(a, room, "1");
	cr_assert_eq(client_sync(b), M_OK);
	client_say(a, room, "2");
	client_member(b, MEMBER_LEAVE, room, NULL);
	client_say(a, room, "3");
	client_member(b, MEMBER_JOIN, room, NULL);
	cr_assert_eq(client_sync(b), M_OK);
	cr_expect_str_eq(timeline(b, "join", room), "message:2 member:leave message:3 member:join");
	cr_expect_not(limited(b, room));
	cr_expect_eq(client_sync(b), E_PARK);
}

Test(sync_returns, who_left_and_comes_back_later_sees_what_was_shared_since)
{
	struct client *a = client_new("a"), *b = client_new("b");
	const char *room = client_room(a, ROOM);
	int i;

	client_member(b, MEMBER_JOIN, room, NULL);
	client_say(a, room, "1");
	cr_assert_eq(client_sync(b), M_OK);
	client_member(b, MEMBER_LEAVE, room, NULL);
	cr_assert_eq(client_sync(b), M_OK);
	cr_expect_str_eq(timeline(b, "leave", room), "member:leave");
	client_say(a, room, "2");
	client_sync(b);
	client_say(a, room, "3");
	client_member(b, MEMBER_JOIN, room, NULL);
	cr_assert_eq(client_sync(b), M_OK);
	cr_expect_str_eq(timeline(b, "join", room), "message:2 message:3 member:join");
	cr_expect_not(limited(b, room));
	cr_expect_not_null(json_get(json_get(json_get(b->rooms, room), "state"), "m.room.create|"));
	/* More than fits: there is a gap, and it is told. */
	client_member(b, MEMBER_LEAVE, room, NULL);
	cr_assert_eq(client_sync(b), M_OK);
	for (i = 0; i < 12; i++)
		client_say(a, room, arena_printf(a->a, "more %d", i));
	client_member(b, MEMBER_JOIN, room, NULL);
	cr_assert_eq(client_sync(b), M_OK);
	cr_expect_eq(at(room_in(b->last, "join", room), "timeline/events")->u.arr.n, 10);
	cr_expect(limited(b, room));
}

Test(sync_returns, a_first_join_shows_what_was_shared_before_it)
{
	struct client *a = client_new("a"), *b = client_new("b");
	const char *room = client_room(a, ROOM);

	cr_assert_eq(client_sync(b), M_OK);
	client_say(a, room, "before");
	client_sync(b);
	cr_assert_eq(client_member(a, MEMBER_INVITE, room, b), M_OK);
	client_sync(b);
	client_member(b, MEMBER_JOIN, room, NULL);
	cr_assert_eq(client_sync(b), M_OK);
	cr_expect_not_null(strstr(timeline(b, "join", room), "message:before member:invite member:join"));
	/* In and out between two syncs. */
	client_member(b, MEMBER_LEAVE, room, NULL);
	cr_assert_eq(client_sync(b), M_OK);
	cr_expect_str_eq(timeline(b, "leave", room), "member:leave");
}

Test(sync_returns, what_is_kept_about_a_room_comes_with_it)
{
	struct client *a = client_new("a"), *b = client_new("b");
	const char *room = client_room(a, ROOM);

	client_member(b, MEMBER_JOIN, room, NULL);
	client_data(b, room, "m.tag", "{\"tags\":{\"u.x\":{}}}");
	cr_assert_eq(client_sync(b), M_OK);
	client_member(b, MEMBER_LEAVE, room, NULL);
	cr_assert_eq(client_sync(b), M_OK);
	client_data(b, room, "m.marked_unread", "{}");
	client_sync(b);
	client_member(b, MEMBER_JOIN, room, NULL);
	cr_assert_eq(client_sync(b), M_OK);
	cr_expect_eq(at(room_in(b->last, "join", room), "account_data/events")->u.arr.n, 2);
	cr_expect_eq(client_sync(b), E_PARK);
}

/* Left and forgotten by one device before the other looked: the other must not believe to be in it for ever. */
Test(sync_returns, a_room_forgotten_elsewhere_ends_here_too)
{
	struct client *a = client_new("a"), *b = client_new("b"), *other = client_again(b);
	const char *room = client_room(a, ROOM), *token;

	client_member(b, MEMBER_JOIN, room, NULL);
	client_sync(b);
	client_sync(other);
	client_say(a, room, "unseen");
	cr_assert_eq(client_member(b, MEMBER_LEAVE, room, NULL), M_OK);
	cr_assert_eq(client_sync(b), M_OK);
	cr_assert_eq(CALL(b, member_forget(b->cx, room)), M_OK);
	token = other->since;
	cr_assert_eq(client_sync(other), M_OK);
	cr_expect_str_eq(timeline(other, "leave", room), "member:leave", "the end and nothing of the room");
	cr_expect_eq(at(room_in(other->last, "leave", room), "state/events")->u.arr.n, 0);
	sync_forget();
	other->since = token;
	cr_assert_eq(client_sync(other), M_OK);
	cr_expect_str_eq(timeline(other, "leave", room), "member:leave", "without the ring");
	cr_expect_eq(client_sync(other), E_PARK);
	cr_expect_eq(client_sync(b), E_PARK, "it knows");
	other->since = NULL;
	cr_assert_eq(client_sync(other), M_OK);
	cr_expect_null(room_in(other->last, "leave", room), "never at first");
}

Test(sync_returns, invitations_come_when_the_inviter_is_no_longer_ignored)
{
	struct client *a = client_new("a"), *b = client_new("b");
	const char *room = client_room(a, "{}");

	client_data(b, NULL, "m.ignored_user_list", "{\"ignored_users\":{\"@a:localhost\":{}}}");
	cr_assert_eq(client_sync(b), M_OK);
	cr_assert_eq(client_member(a, MEMBER_INVITE, room, b), M_OK);
	cr_expect_eq(client_sync(b), E_PARK);
	client_data(b, NULL, "m.ignored_user_list", "{\"ignored_users\":{}}");
	cr_assert_eq(client_sync(b), M_OK);
	cr_expect_not_null(room_in(b->last, "invite", room));
	cr_expect_eq(client_sync(b), E_PARK);
	client_data(b, NULL, "m.ignored_user_list", "{\"ignored_users\":{\"@a:localhost\":{}}}");
	sync_forget();
	cr_assert_eq(client_sync(b), M_OK);
	cr_expect_null(at(b->last, "rooms"));
	client_data(b, NULL, "m.ignored_user_list", "{}");
	sync_forget();
	cr_assert_eq(client_sync(b), M_OK);
	cr_expect_not_null(room_in(b->last, "invite", room), "without the ring");
}

Test(sync_returns, who_is_alone_is_told_that_there_are_no_heroes)
{
	struct client *a = client_new("a");
	const char *room = client_room(a, "{}");

	cr_assert_eq(client_sync(a), M_OK);
	cr_expect_eq(at(room_in(a->last, "join", room), "summary/m.heroes")->u.arr.n, 0);
	client_state(a, room, "m.room.name", "", "{\"name\":\"now it has one\"}");
	cr_assert_eq(client_sync(a), M_OK);
	cr_expect_null(at(room_in(a->last, "join", room), "summary/m.heroes"));
}

/* Key counts must be in every answer: a waiting request carries them for its time-out. */
Test(sync_returns, a_waiting_request_carries_the_key_counts)
{
	struct client *a = client_new("a");
	struct sync_wait fresh = { .user_nid = a->nid, .device = a->device, .token = client_token(a->a, a->device), .user = a->user, .device_id = "D" }, w, *v = &w;
	const char *body;
	enum err err;
	size_t n;

	cr_assert_eq(client_sync(a), M_OK);
	sql("INSERT INTO one_time_key (device, algorithm, key_id, body) VALUES (%lld, 'signed_curve25519', 'x', '{}')", (long long)a->device);
	sql("INSERT INTO fallback_key (device, algorithm, key_id, body) VALUES (%lld, 'signed_curve25519', 'x', '{}')", (long long)a->device);
	fresh.since = a->since;
	session_next(a->cx);
	w = fresh;
	cr_assert_eq(sync_compute(a->cx, &v, 1, &body, &n, &err), M_OK);
	cr_assert_eq(err, E_PARK);
	cr_expect_str_eq(w.counts, "{\"signed_curve25519\":1}");
	cr_expect_str_eq(w.unused, "[\"signed_curve25519\"]");
	/* More than it carries: then none, and not those of before. */
	sql("INSERT INTO one_time_key (device, algorithm, key_id, body) SELECT %lld, repeat('a', 100) || i, 'x', '{}' FROM generate_series(1, 50) i",
	    (long long)a->device);
	session_next(a->cx);
	w = fresh;
	w.counts = "{}";
	w.unused = "[]";
	cr_assert_eq(sync_compute(a->cx, &v, 1, &body, &n, &err), M_OK);
	cr_assert_eq(err, E_PARK);
	cr_expect_null(w.counts);
	cr_expect_null(w.unused);
}

/*
 * The name that holds is one that the timeline hides, as the filter wants nothing of its sender. `state` tells it, but a client applies
 * the timeline after that: an older name in it would win.
 */
Test(sync_returns, a_hidden_state_event_is_not_undone_by_an_older_one_that_is_shown)
{
	struct client *a = client_new("a"), *b = client_new("b");
	const char *room = client_room(a, "{\"preset\":\"public_chat\",\"power_level_content_override\":{\"state_default\":0,"
	    "\"events\":{\"m.room.name\":0}}}"), *token, *name;

	a->filter = "{\"room\":{\"timeline\":{\"not_senders\":[\"@b:localhost\"]}}}";
	client_member(b, MEMBER_JOIN, room, NULL);
	cr_assert_eq(client_sync(a), M_OK);
	client_say(a, room, "1");
	client_state(a, room, "m.room.name", "", "{\"name\":\"old\"}");
	client_say(a, room, "2");
	cr_assert_eq(client_state(b, room, "m.room.name", "", "{\"name\":\"new\"}"), M_OK);
	client_say(a, room, "3");
	token = a->since;
	name = sql("SELECT id FROM event WHERE type = 7 ORDER BY room_pos DESC LIMIT 1");
	for (int i = 0; i < 3; i++) {
		a->since = i == 2 ? NULL : token;
		if (i == 1)
			sync_forget();
		cr_assert_eq(client_sync(a), M_OK);
		cr_expect_str_eq(timeline(a, "join", room), "message:2 message:3");
		cr_expect(limited(a, room), "there is more, behind a gap");
		cr_expect(json_str_eq(json_get(json_get(json_get(a->rooms, room), "state"), "m.room.name|"), name), "%d", i);
	}
	a->after = true;	/* then timelines change no state */
	a->since = token;
	cr_assert_eq(client_sync(a), M_OK);
	cr_expect_str_eq(timeline(a, "join", room), "message:1 name: message:2 message:3");
	cr_expect(json_str_eq(json_get(json_get(json_get(a->rooms, room), "state"), "m.room.name|"), name));
}

/* He changed a device, then left the last room in common; a worker had seen the first before the second. */
Test(sync_returns, who_left_is_left_whatever_he_did_before)
{
	struct client *a = client_new("a"), *b = client_new("b");
	const char *room = client_room(a, ROOM);

	client_member(b, MEMBER_JOIN, room, NULL);
	cr_assert_eq(client_sync(a), M_OK);
	cr_assert_eq(client_sync(b), M_OK);
	sql("UPDATE device SET display_name = 'x' WHERE nid = %lld", (long long)b->device);
	cr_assert_eq(client_sync(b), M_OK);	/* the same worker looks at the streams */
	client_member(b, MEMBER_LEAVE, room, NULL);
	cr_assert_eq(client_sync(a), M_OK);
	cr_expect_eq(at(a->last, "device_lists/changed")->u.arr.n, 0);
	cr_assert_eq(at(a->last, "device_lists/left")->u.arr.n, 1);
	cr_expect(json_str_eq(at(a->last, "device_lists/left")->u.arr.v[0], b->user));
}

/* A new name of a member is told; that there are as many of them as before is not. */
Test(sync_returns, a_change_of_profile_changes_no_summary)
{
	struct client *a = client_new("a"), *b = client_new("b");
	const char *room = client_room(a, "{\"preset\":\"public_chat\"}");
	const char *id;

	client_member(b, MEMBER_JOIN, room, NULL);
	cr_assert_eq(client_sync(a), M_OK);
	cr_expect_not_null(at(room_in(a->last, "join", room), "summary"));
	for (int i = 0; i < 2; i++) {
		struct json *content = json_new_obj(b->a);

		json_set(b->a, content, "membership", json_new_str(b->a, "join"));
		json_set(b->a, content, "displayname", json_new_str(b->a, i ? "two" : "one"));
		cr_assert_eq(CALL(b, member_put(b->cx, room, b->user, json_copy(b->cx->a, content), &id)), M_OK);
		a->filter = i ? "{\"room\":{\"timeline\":{\"types\":[\"m.room.message\"]},\"state\":{\"types\":[]}}}" : NULL;
		cr_assert_eq(client_sync(a), i ? E_PARK : M_OK);
		cr_expect(i || !at(room_in(a->last, "join", room), "summary"));
	}
	client_member(b, MEMBER_LEAVE, room, NULL);
	cr_assert_eq(client_sync(a), M_OK);
	cr_expect_eq(json_get_int(at(room_in(a->last, "join", room), "summary"), "m.joined_member_count", 0), 1);
}
