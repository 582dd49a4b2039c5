/* tests/db/room/member.c - joins, invitations, kicks, bans, and the races between them. */
#include "tests/db/room/world.h"

#define PUBLIC "{\"preset\":\"public_chat\"}"
#define PRIVATE "{\"preset\":\"private_chat\"}"

static enum err
change(struct ctx *cx, enum member_action action, const char *room, const char *target)
{
	return DO(cx, TX_RW, member_change(cx, action, room, target, NULL));
}

static const char *
membership(const char *who)
{
	return sql("SELECT e.content::json ->> 'membership' FROM current_state s JOIN event e ON e.nid = s.event WHERE s.type = 2"
	    " AND s.key = (SELECT nid FROM name WHERE body = '@%s:localhost')", who);
}

Test(room_member, a_life)
{
	struct ctx *a = user("alice"), *b = user("bob");
	const char *room = make_room(a, PRIVATE);

	cr_expect_eq(join(b, room), M_FORBIDDEN);
	cr_expect_eq(change(a, MEMBER_INVITE, room, "@bob:localhost"), M_OK);
	cr_expect_eq(change(a, MEMBER_INVITE, room, "@bob:localhost"), M_OK, "again");
	cr_expect_eq(sql_int("SELECT last_room_pos FROM room"), 7, "the same invitation is no new event");
	cr_expect_eq(join(b, room), M_OK);
	cr_expect_eq(join(b, room), M_OK, "joined already");
	cr_expect_eq(sql_int("SELECT last_room_pos FROM room"), 8);
	cr_expect_eq(change(a, MEMBER_INVITE, room, "@bob:localhost"), M_FORBIDDEN, "is in");
	check_rooms();
	cr_expect_eq(DO(b, TX_RW, member_forget(b, room)), E_BAD_REQUEST, "is in");
	cr_expect_eq(leave(b, room), M_OK);
	cr_expect_eq(leave(b, room), M_OK, "left already");
	cr_expect_eq(DO(b, TX_RW, member_forget(b, room)), M_OK);
	cr_expect_eq(sql_int("SELECT count(*) FROM local_member WHERE forgotten"), 1);
	cr_expect_eq(change(b, MEMBER_BAN, room, "@alice:localhost"), M_FORBIDDEN);
	cr_expect_eq(change(a, MEMBER_INVITE, room, "@bob:localhost"), M_OK);
	cr_expect_eq(sql_int("SELECT count(*) FROM local_member WHERE forgotten"), 0, "a new invitation shows the room again");
	cr_expect_eq(leave(b, room), M_OK, "rejected");
	check_rooms();
}

Test(room_member, kick_ban_unban)
{
	struct ctx *a = user("alice"), *b = user("bob"), *c = user("carol");
	const char *room = make_room(a, PUBLIC);

	cr_assert_eq(join(b, room), M_OK);
	cr_assert_eq(join(c, room), M_OK);
	cr_expect_eq(change(b, MEMBER_KICK, room, "@carol:localhost"), M_FORBIDDEN);
	cr_expect_eq(change(a, MEMBER_KICK, room, "@carol:localhost"), M_OK);
	cr_expect_eq(change(a, MEMBER_KICK, room, "@carol:localhost"), M_FORBIDDEN, "is not there any more");
	cr_expect_eq(change(a, MEMBER_UNBAN, room, "@carol:localhost"), M_FORBIDDEN, "is not banned");
	cr_expect_eq(change(a, MEMBER_BAN, room, "@bob:localhost"), M_OK);
	cr_expect_str_eq(membership("bob"), "ban");
	cr_expect_eq(join(b, room), M_FORBIDDEN);
	cr_expect_eq(leave(b, room), M_FORBIDDEN, "no way around a ban");
	cr_expect_eq(change(a, MEMBER_INVITE, room, "@bob:localhost"), M_FORBIDDEN);
	cr_expect_eq(change(a, MEMBER_KICK, room, "@bob:localhost"), M_FORBIDDEN, "a kick lifts no ban");
	cr_expect_eq(change(a, MEMBER_UNBAN, room, "@bob:localhost"), M_OK);
	cr_expect_eq(join(b, room), M_OK);
	cr_expect_eq(change(a, MEMBER_BAN, room, "@never.was:localhost"), M_OK, "whoever it is");
	cr_expect_eq(sql_int("SELECT joined FROM room"), 2);
	check_rooms();
}

Test(room_member, refused_targets)
{
	struct ctx *a = user("alice");
	const char *room = make_room(a, PUBLIC);

	cr_expect_eq(change(a, MEMBER_INVITE, room, "@nobody:localhost"), M_NOT_FOUND);
	cr_expect_eq(change(a, MEMBER_INVITE, room, "@x:else.where"), M_FORBIDDEN);
	cr_expect_eq(change(a, MEMBER_INVITE, room, "nobody"), M_INVALID_PARAM);
	cr_expect_eq(change(a, MEMBER_KICK, room, "@nobody:localhost"), M_FORBIDDEN);
	cr_expect_eq(join(a, "!unknown:localhost"), M_FORBIDDEN);
	cr_expect_eq(leave(a, "!unknown:localhost"), M_FORBIDDEN);
	cr_expect_eq(sql_int("SELECT last_room_pos FROM room"), 6);
}

static enum err
join_step(struct ctx *cx, void *room)
{
	return join(cx, room);
}

/* A ban and a join at the same moment: the second sees what the first did. */
Test(room_member, join_while_banned)
{
	struct ctx *a = user("alice"), *b = user("bob");
	const char *room = make_room(a, PUBLIC);
	struct step *s;

	db_begin(a, TX_RW);
	cr_assert_eq(member_change(a, MEMBER_BAN, room, "@bob:localhost", NULL), M_OK);
	s = step_start(b, join_step, arena_strdup(b->a, room));
	cr_assert(step_waits(s));
	cr_assert_eq(db_commit(a), M_OK);
	cr_expect_eq(step_end(s), M_FORBIDDEN);
	cr_expect_str_eq(membership("bob"), "ban");
	check_rooms();
}

/* The other way round, and rolled back: the join happens. */
Test(room_member, join_after_a_ban_that_was_not)
{
	struct ctx *a = user("alice"), *b = user("bob");
	const char *room = make_room(a, PUBLIC);
	struct step *s;

	db_begin(a, TX_RW);
	cr_assert_eq(member_change(a, MEMBER_BAN, room, "@bob:localhost", NULL), M_OK);
	cr_assert_eq(db_run(a), M_OK);
	s = step_start(b, join_step, arena_strdup(b->a, room));
	cr_assert(step_waits(s));
	db_rollback(a);
	cr_expect_eq(step_end(s), M_OK);
	cr_expect_str_eq(membership("bob"), "join");
	check_rooms();
}

/* What an invited user is shown (Client-Server API, "Stripped state"): the room and who invites. */
Test(room_member, invitations_carry_stripped_state)
{
	struct ctx *a = user("alice");

	user("bob");
	const char *room = make_room(a, "{\"name\":\"N\"}");
	cr_assert_eq(change(a, MEMBER_INVITE, room, "@bob:localhost"), M_OK);
	struct json *list = parse(a, sql("SELECT stripped FROM local_member WHERE stripped IS NOT NULL"));
	cr_expect_str_eq(bodies(a, list), "m.room.create m.room.name m.room.join_rules m.room.member m.room.member");
	const struct json *last = list->u.arr.v[list->u.arr.n - 1];
	cr_expect_str_eq(json_get_str(last, "state_key"), "@bob:localhost");
	cr_expect_str_eq(json_get_str(last, "sender"), "@alice:localhost");
	cr_expect_eq(last->u.obj.n, 4);
	cr_expect_eq(sql_int("SELECT count(*) FROM local_member WHERE sender = %lld AND usr <> sender AND joined_pos IS NULL",
	    (long long)a->user_nid), 1);
}

/* joined_pos tells a new stay from a changed name. */
Test(room_member, a_stay_begins_once)
{
	struct ctx *a = user("alice"), *b = user("bob");
	const char *room = make_room(a, PUBLIC), *id;
	long long first;

	cr_assert_eq(join(b, room), M_OK);
	first = sql_int("SELECT joined_pos FROM local_member WHERE usr = %lld", (long long)b->user_nid);
	OK(b, TX_RW, room_put_state(b, room, "m.room.member", "@bob:localhost", parse(b, "{\"membership\":\"join\",\"displayname\":\"x\"}"), &id));
	cr_expect_eq(sql_int("SELECT joined_pos FROM local_member WHERE usr = %lld", (long long)b->user_nid), first);
	cr_expect_gt(sql_int("SELECT pos FROM local_member WHERE usr = %lld", (long long)b->user_nid), first);
	cr_assert_eq(leave(b, room), M_OK);
	cr_expect_eq(sql_int("SELECT joined_pos FROM local_member WHERE usr = %lld", (long long)b->user_nid), first);
	cr_assert_eq(join(b, room), M_OK);
	cr_expect_gt(sql_int("SELECT joined_pos FROM local_member WHERE usr = %lld", (long long)b->user_nid), first);
	check_rooms();
}

/* A changed profile goes into every joined room, once, a batch at a time. */
Test(room_member, refresh)
{
	struct ctx *a = user("alice");
	int64_t after = 0, last = 0, runs = 0;

	for (int i = 0; i < MEMBER_REFRESH_ROOMS + 5; i++)
		make_room(a, arena_printf(a->a, "{\"name\":\"%d\"}", i));
	sql("INSERT INTO profile (usr, key, value) VALUES (%lld, 'displayname', '\"Al\"')", (long long)a->user_nid);
	do {
		OK(a, TX_RW, member_refresh(a, after, &last));
		after = last;
		runs++;
	} while (last != 0);
	cr_expect_eq(runs, 2);
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE type = 2 AND content = '{\"displayname\":\"Al\",\"membership\":\"join\"}'"),
	    MEMBER_REFRESH_ROOMS + 5);
	OK(a, TX_RW, member_refresh(a, 0, &last));
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE type = 2"), 2 * (MEMBER_REFRESH_ROOMS + 5));
	check_rooms();
}

/* A name that no event holds keeps no other room, and no later name, from being taken over. */
Test(room_member, refresh_with_a_name_too_long)
{
	struct ctx *a = user("alice");
	int64_t last;

	make_room(a, "{}");
	sql("INSERT INTO profile (usr, key, value) VALUES (%lld, 'displayname', to_json(repeat('x', 65400))::text)", (long long)a->user_nid);
	OK(a, TX_RW, member_refresh(a, 0, &last));
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE type = 2"), 1);
	check_rooms();
}

/* A profile does not change while its user joins. */
Test(room_member, a_join_holds_the_profile)
{
	struct ctx *a = user("alice"), *b = user("bob");
	const char *room = make_room(a, PUBLIC);
#define FREE "SELECT count(*) FROM (SELECT 1 FROM account WHERE usr = %lld FOR NO KEY UPDATE SKIP LOCKED) x"

	db_begin(b, TX_RW);
	cr_assert_eq(member_change(b, MEMBER_JOIN, room, NULL, NULL), M_OK);
	cr_expect_eq(sql_int(FREE, (long long)b->user_nid), 0);
	cr_assert_eq(db_commit(b), M_OK);
	cr_expect_eq(sql_int(FREE, (long long)b->user_nid), 1);
	cr_assert_eq(leave(b, room), M_OK);
	/* the other two ways into a room: by state, and by making it */
	struct created c;
	const char *id;
	db_begin(b, TX_RW);
	cr_assert_eq(member_put(b, room, b->user, parse(b, "{\"membership\":\"join\"}"), &id), M_OK);
	cr_expect_eq(sql_int(FREE, (long long)b->user_nid), 0);
	cr_assert_eq(db_commit(b), M_OK);
	db_begin(b, TX_RW);
	cr_assert_eq(room_create(b, parse(b, "{}"), &c), M_OK);
	cr_expect_eq(sql_int(FREE, (long long)b->user_nid), 0);
	cr_assert_eq(db_commit(b), M_OK);
}

/* Member events made by PUT carry the profile where the client says nothing else. */
Test(room_member, a_put_carries_the_profile)
{
	struct ctx *a = user("alice"), *b = user("bob");
	const char *room = make_room(a, PUBLIC), *id = NULL;
#define SAYS(text) cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE id = '%s' AND content = '%s'", id, text), 1)

	sql("INSERT INTO profile (usr, key, value) VALUES (%lld, 'displayname', '\"Bob\"')", (long long)b->user_nid);
	OK(a, TX_RW, member_put(a, room, b->user, parse(a, "{\"membership\":\"invite\"}"), &id));
	SAYS("{\"displayname\":\"Bob\",\"membership\":\"invite\"}");
	OK(b, TX_RW, member_put(b, room, b->user, parse(b, "{\"membership\":\"join\"}"), &id));
	SAYS("{\"displayname\":\"Bob\",\"membership\":\"join\"}");
	OK(b, TX_RW, member_put(b, room, b->user, parse(b, "{\"membership\":\"join\",\"displayname\":\"here: B\"}"), &id));
	SAYS("{\"displayname\":\"here: B\",\"membership\":\"join\"}");
	OK(a, TX_RW, member_put(a, room, b->user, parse(a, "{\"membership\":\"leave\",\"third_party_invite\":{}}"), &id));
	SAYS("{\"membership\":\"leave\"}");
}

static enum err
invite(struct ctx *cx, const char *room, const char *whom)
{
	return DO(cx, TX_RW, member_change(cx, MEMBER_INVITE, room, whom, NULL));
}

/* Client-Server API, "Invite permission". */
Test(room_member, who_wants_no_invitations_gets_none)
{
	struct ctx *a = user("alice"), *b = user("bob");
	const char *room = make_room(a, "{}"), *id;
	struct created c;

	sql("INSERT INTO account_data (usr, type, content) VALUES (%lld, 'm.invite_permission_config', '{\"default_action\":\"block\"}')",
	    (long long)b->user_nid);
	cr_expect_eq(invite(a, room, b->user), M_INVITE_BLOCKED);
	cr_expect_eq(DO(a, TX_RW, member_put(a, room, b->user, parse(a, "{\"membership\":\"invite\"}"), &id)), M_INVITE_BLOCKED);
	cr_expect_eq(DO(a, TX_RW, room_create(a, parse(a, "{\"invite\":[\"@bob:localhost\"]}"), &c)), M_INVITE_BLOCKED);
	cr_expect_eq(sql_int("SELECT count(*) FROM room"), 1, "nothing half done");
	sql("UPDATE account_data SET content = '{\"default_action\":\"ask\"}'");
	cr_expect_eq(invite(a, room, b->user), M_OK);
	sql("UPDATE account_data SET content = '{}'");
	cr_expect_eq(invite(a, room, b->user), M_OK);
}

Test(room_member, guests)
{
	struct ctx *a = user("alice"), *g = user("guest");
	const char *closed = make_room(a, PUBLIC);
	const char *open = make_room(a, "{\"preset\":\"public_chat\",\"initial_state\":[{\"type\":\"m.room.guest_access\",\"content\":{\"guest_access\":\"can_join\"}}]}");

	g->guest = true;
	cr_expect_eq(join(g, closed), M_GUEST_ACCESS_FORBIDDEN);
	cr_expect_eq(join(g, open), M_OK);
}
