/* tests/db/room/create.c - rooms as they are made. */
#include "core/event/event.h"
#include "tests/db/room/world.h"

static const char *
types(const char *room)
{
	return sql("SELECT string_agg(replace(n.body, 'm.room.', ''), ' ' ORDER BY e.room_pos) FROM event e"
	    " JOIN room r ON r.nid = e.room JOIN name n ON n.nid = e.type WHERE r.id = '%s'", room);
}

static const char *
content(const char *room, const char *type, const char *key)
{
	return sql("SELECT e.content FROM current_state s JOIN event e ON e.nid = s.event JOIN room r ON r.nid = s.room"
	    " WHERE r.id = '%s' AND s.type = (SELECT nid FROM name WHERE body = '%s') AND s.key = (SELECT nid FROM name WHERE body = '%s')", room, type, key);
}

static enum err
refused(struct ctx *cx, const char *body)
{
	struct created c;
	enum err e = DO(cx, TX_RW, room_create(cx, parse(cx, body), &c));

	cr_expect_eq(sql_int("SELECT count(*) FROM room"), 0, "%s made a room", body);
	return e;
}

/* One request must not hold a worker for long. */
Test(room_create, not_too_much_of_initial_state)
{
	struct ctx *a = user("alice");
	struct buf b;

	buf_init(&b, a->a);
	buf_puts(&b, "{\"initial_state\":[{\"type\":\"x\",\"content\":{}}");
	for (int i = 0; i < 1000; i++)
		buf_addf(&b, ",{\"type\":\"x\",\"state_key\":\"%d\",\"content\":{}}", i);
	buf_puts(&b, "]}");
	cr_expect_eq(refused(a, b.s), E_BAD_REQUEST);
}

/* Every room version can be made and spoken in; ids are of the version's form. */
Test(room_create, every_version)
{
	struct ctx *a = user("alice");
	size_t n;
	const struct room_version *const *v = room_versions(&n);

	for (size_t i = 0; i < n; i++) {
		const char *room = make_room(a, arena_printf(a->a,
		    "{\"room_version\":\"%s\",\"name\":\"n\",\"topic\":\"t\",\"preset\":\"public_chat\"}", v[i]->id));
		say(a, room, "one");
		say(a, room, "two");
		cr_expect_eq(sql_int("SELECT last_room_pos FROM room WHERE id = '%s'", room), 10);
		if (v[i]->room_id_is_create_hash)
			cr_expect_str_eq(sql("SELECT '!' || substr(id, 2) FROM event WHERE type = 1 AND '!' || substr(id, 2) = '%s'", room), room);
		else
			cr_expect_str_eq(strchr(room, ':'), ":localhost");
	}
	check_rooms();
}

/* "It MUST apply the events implied by the request in the following order" */
Test(room_create, order_of_events)
{
	struct ctx *a = user("alice");

	user("bob");
	const char *room = make_room(a, "{\"room_alias_name\":\"pub\",\"visibility\":\"public\",\"name\":\"N\",\"topic\":\"T\",\"invite\":[\"@bob:localhost\"],"
	    "\"initial_state\":[{\"type\":\"m.room.guest_access\",\"content\":{\"guest_access\":\"can_join\"}},"
	    "{\"type\":\"x.y\",\"state_key\":\"k\",\"content\":{}}],\"is_direct\":true}");
	cr_expect_str_eq(types(room), "create member power_levels canonical_alias join_rules history_visibility guest_access x.y name topic member");
	cr_expect_str_eq(content(room, "m.room.join_rules", ""), "{\"join_rule\":\"public\"}");
	cr_expect_str_eq(content(room, "m.room.guest_access", ""), "{\"guest_access\":\"can_join\"}");
	cr_expect_str_eq(content(room, "m.room.canonical_alias", ""), "{\"alias\":\"#pub:localhost\"}");
	cr_expect_str_eq(content(room, "m.room.member", "@bob:localhost"), "{\"is_direct\":true,\"membership\":\"invite\"}");
	cr_expect_eq(sql_int("SELECT count(*) FROM room WHERE public AND joined = 1 AND invited = 1"), 1);
	cr_expect_eq(sql_int("SELECT count(*) FROM alias WHERE alias = '#pub:localhost'"), 1);
	check_rooms();
}

Test(room_create, profile_is_in_the_member_events)
{
	struct ctx *a = user("alice");

	user("bob");
	sql("INSERT INTO profile (usr, key, value) SELECT usr, 'displayname', '\"' || upper(localpart) || '\"' FROM account");
	const char *room = make_room(a, "{\"invite\":[\"@bob:localhost\"]}");
	cr_expect_str_eq(content(room, "m.room.member", "@alice:localhost"), "{\"displayname\":\"ALICE\",\"membership\":\"join\"}");
	cr_expect_str_eq(content(room, "m.room.member", "@bob:localhost"), "{\"displayname\":\"BOB\",\"membership\":\"invite\"}");
}

/* Version 12: creators are above all levels and may not be listed; those of a trusted chat are all creators. */
Test(room_create, creators_of_version_12)
{
	struct ctx *a = user("alice"), *b = user("bob");
	const char *room = make_room(a, "{\"preset\":\"trusted_private_chat\",\"invite\":[\"@bob:localhost\"],\"creation_content\":{\"m.federate\":false,\"creator\":\"@x:y\"}}");

	cr_expect_str_eq(content(room, "m.room.create", ""),
	    "{\"additional_creators\":[\"@bob:localhost\"],\"m.federate\":false,\"room_version\":\"12\"}");
	cr_expect_not_null(strstr(content(room, "m.room.power_levels", ""), "\"users\":{}"));
	cr_expect_not_null(strstr(content(room, "m.room.power_levels", ""), "\"m.room.tombstone\":150"));
	cr_assert_eq(join(b, room), M_OK);
	cr_expect_eq(set_state(b, room, "m.room.name", "{\"name\":\"bob may\"}"), M_OK);

	room = make_room(a, "{\"room_version\":\"10\",\"preset\":\"trusted_private_chat\",\"invite\":[\"@bob:localhost\"]}");
	cr_expect_str_eq(content(room, "m.room.create", ""), "{\"creator\":\"@alice:localhost\",\"room_version\":\"10\"}");
	cr_expect_not_null(strstr(content(room, "m.room.power_levels", ""), "\"users\":{\"@alice:localhost\":100,\"@bob:localhost\":100}"));
	check_rooms();
}

Test(room_create, power_levels_can_be_overridden)
{
	struct ctx *a = user("alice");
	const char *room = make_room(a, "{\"power_level_content_override\":{\"invite\":7,\"events\":{}}}");

	cr_expect_not_null(strstr(content(room, "m.room.power_levels", ""), "\"events\":{},"));
	cr_expect_not_null(strstr(content(room, "m.room.power_levels", ""), "\"invite\":7,"));
	check_rooms();
}

/* Fifty invitations: one transaction; those that cannot be made are left out. */
Test(room_create, many_invitations)
{
	struct ctx *a = user("alice");
	struct buf b;

	buf_init(&b, a->a);
	buf_puts(&b, "{\"invite\":[\"@nobody:localhost\",\"@who:else.where\",\"@alice:localhost\"");
	for (int i = 0; i < 50; i++) {
		user(arena_printf(a->a, "u%d", i));
		buf_addf(&b, ",\"@u%d:localhost\"", i);
	}
	buf_puts(&b, ",\"@u1:localhost\"]}");
	make_room(a, "{}");	/* the connection is there */
	db_stats_reset(a->db);
	make_room(a, b.s);
	cr_expect_leq(db_stats(a->db).trips, 3);
	cr_expect_eq(sql_int("SELECT max(invited) FROM room"), 50);
	cr_expect_eq(sql_int("SELECT count(*) FROM local_member WHERE membership = 1 AND stripped LIKE '[{\"content\":{\"room_version\"%%'"), 50);
	cr_expect_eq(a->touched.nusers, 51);
	check_rooms();
}

Test(room_create, bad_wishes)
{
	struct ctx *a = user("alice");

	cr_expect_eq(refused(a, "{\"room_version\":\"99\"}"), M_UNSUPPORTED_ROOM_VERSION);
	cr_expect_eq(refused(a, "{\"room_version\":12}"), M_BAD_JSON);
	cr_expect_eq(refused(a, "{\"visibility\":\"secret\"}"), M_INVALID_PARAM);
	cr_expect_eq(refused(a, "{\"preset\":\"x\"}"), M_INVALID_PARAM);
	cr_expect_eq(refused(a, "{\"invite\":[\"bob\"]}"), M_INVALID_PARAM);
	cr_expect_eq(refused(a, "{\"invite\":[1]}"), M_BAD_JSON);
	cr_expect_eq(refused(a, "{\"name\":{}}"), M_BAD_JSON);
	cr_expect_eq(refused(a, "{\"room_alias_name\":\"a:b\"}"), M_INVALID_PARAM);
	cr_expect_eq(refused(a, "{\"initial_state\":[{\"type\":\"x\"}]}"), M_BAD_JSON);
	cr_expect_eq(refused(a, "{\"initial_state\":[{\"type\":\"x\",\"content\":{\"n\":1.5}}]}"), M_BAD_JSON);
	cr_expect_eq(refused(a, "{\"initial_state\":[{\"type\":\"m.room.member\",\"state_key\":\"@b:x\",\"content\":{}}]}"), M_INVALID_ROOM_STATE);
	cr_expect_eq(refused(a, "{\"initial_state\":[{\"type\":\"m.room.canonical_alias\",\"content\":{\"alias\":\"#x:localhost\"}}]}"), M_BAD_ALIAS);
	cr_expect_eq(refused(a, "{\"room_version\":\"9\",\"power_level_content_override\":{\"users\":{\"@alice:localhost\":0}},\"name\":\"n\"}"), M_INVALID_ROOM_STATE);
	cr_expect_eq(refused(a, "{\"power_level_content_override\":{\"users\":{\"@alice:localhost\":100}}}"), M_INVALID_ROOM_STATE);
	cr_expect_eq(refused(a, "{\"creation_content\":{\"additional_creators\":[\"x\"]}}"), M_INVALID_ROOM_STATE);
}

Test(room_create, alias_is_taken)
{
	struct ctx *a = user("alice");
	struct created c;

	make_room(a, "{\"room_alias_name\":\"tutorial\"}");
	cr_expect_eq(DO(a, TX_RW, room_create(a, parse(a, "{\"room_alias_name\":\"tutorial\"}"), &c)), M_ROOM_IN_USE);
	cr_expect_eq(sql_int("SELECT count(*) FROM room"), 1);
	make_room(a, "{\"room_alias_name\":\"other\"}");
	check_rooms();
}

/* In version 12 two rooms of the same wishes would be one, if they were made in the same millisecond: the second is tried again. */
Test(room_create, twins)
{
	struct ctx *a = user("alice");

	for (int i = 0; i < 20; i++) {
		make_room(a, "{}");
		a->now--;
	}
	cr_expect_eq(sql_int("SELECT count(DISTINCT id) FROM room"), 20);
	check_rooms();
}
