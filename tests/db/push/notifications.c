/* tests/db/push/notifications.c - GET /notifications: of what came while one was in the room, and nothing else. */
#include <string.h>

#include "core/push/notifications.h"
#include "core/user/push_rules.h"
#include "tests/db/room/world.h"

static const char *
listed(struct ctx *cx)
{
	struct json *answer = READ(cx, notifications_list(cx, NULL, 100, false, &o)), *events = json_new_arr(cx->a);
	const struct json *list = json_get(answer, "notifications");

	for (size_t i = 0; i < list->u.arr.n; i++)
		json_push(cx->a, events, (struct json *)json_get(list->u.arr.v[i], "event"));
	return bodies(cx, events);
}

/* History that is filled in below a join stands at the join's position in the streams (core/room/hole.h). */
Test(notifications, what_is_filled_in_below_a_join_was_no_notification)
{
	struct ctx *a = user("alice"), *b = user("bob");
	const char *room = make_room(a, "{\"preset\":\"public_chat\"}"), *before;

	cr_assert_eq(set_state(a, room, "m.room.history_visibility", "{\"history_visibility\":\"joined\"}"), M_OK);
	before = say(a, room, "before");
	cr_assert_eq(join(b, room), M_OK);
	say(a, room, "after");
	cr_assert_str_eq(listed(b), "after");
	sql("UPDATE event SET pos = (SELECT joined_pos FROM local_member WHERE usr = %lld) WHERE id = '%s'", (long long)b->user_nid, before);
	cr_expect_str_eq(listed(b), "after");
}

/* Rules that ask for his display name: in each room the one that he has there. */
Test(notifications, by_display_name)
{
	struct ctx *a = user("alice"), *b = user("bob");
	const char *rooms[] = { make_room(a, "{\"preset\":\"public_chat\"}"), make_room(a, "{\"preset\":\"public_chat\"}") }, *id;

	OK(b, TX_RW, push_rule_put(b, "override", "named", parse(b, "{\"actions\":[\"notify\",{\"set_tweak\":\"highlight\"}],"
	    "\"conditions\":[{\"kind\":\"contains_display_name\"}]}"), NULL, NULL));
	OK(b, TX_RW, push_rule_enable(b, "underride", ".m.rule.message", false));
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(join(b, rooms[i]), M_OK);
		OK(b, TX_RW, member_put(b, rooms[i], b->user, parse(b, i ? "{\"displayname\":\"robert\",\"membership\":\"join\"}" :
		    "{\"displayname\":\"bobby\",\"membership\":\"join\"}"), &id));
		cr_assert_eq(join(user("carol"), rooms[i]), M_OK);	/* three are no direct chat */
		say(a, rooms[i], "robert?");
		say(a, rooms[i], "bobby!");
	}
	cr_expect_str_eq(listed(b), "robert? bobby!");
}
