/* tests/unit/push/notification.c - what a push gateway is told, and what it answers */
#include <criterion/criterion.h>

#include "core/push/notification.h"

static struct arena *a;

static void
init(void)
{
	a = arena_new();
}

static void
fini(void)
{
	arena_free(a);
}

TestSuite(notification, .init = init, .fini = fini);

static const struct json *
data(const char *text)
{
	struct json *v;

	cr_assert_eq(json_parse(a, text, strlen(text), &v), JSON_OK);
	return v;
}

static const char *
body(struct push_notification n)
{
	size_t len;
	const char *s;

	n.app_id = "org.app";
	n.pushkey = "key\\u0000";
	n.pushkey_ts = 1700000000999;
	s = push_notification_body(a, &n, &len);
	cr_assert_eq(strlen(s), len);
	return s;
}

#define DEVICES(data, tweaks)	\
	"\"devices\":[{\"app_id\":\"org.app\",\"pushkey\":\"key\\u0000\",\"pushkey_ts\":1700000000,\"data\":" data tweaks "}]}}"

Test(notification, an_event_with_all_that_is_known)
{
	cr_assert_str_eq(body((struct push_notification){ .id = "$e", .room_id = "!r:x", .type = "m.room.message", .sender = "@b:x",
		.sender_name = "Bob \\\"B\\\"", .room_name = "R", .room_alias = "#r:x", .content = "{\"body\":\"hi\"}", .highlight = true,
		.sound = "default", .unread = 2, .data = data("{\"url\":\"https://x\",\"format\":\"other\",\"more\":{\"url\":1}}") }),
	    "{\"notification\":{\"event_id\":\"$e\",\"room_id\":\"!r:x\",\"prio\":\"high\",\"id\":\"$e\",\"type\":\"m.room.message\","
	    "\"sender\":\"@b:x\",\"sender_display_name\":\"Bob \\\"B\\\"\",\"room_name\":\"R\",\"room_alias\":\"#r:x\","
	    "\"content\":{\"body\":\"hi\"},\"counts\":{\"unread\":2},"
	    DEVICES("{\"format\":\"other\",\"more\":{\"url\":1}}", ",\"tweaks\":{\"sound\":\"default\",\"highlight\":true}"));
}

Test(notification, what_is_not_known_is_left_out)
{
	cr_assert_str_eq(body((struct push_notification){ .id = "$e", .room_id = "!r:x", .type = "m.room.message", .sender = "@b:x",
		.content = "{}", .data = data("{\"url\":\"https://x\"}") }),
	    "{\"notification\":{\"event_id\":\"$e\",\"room_id\":\"!r:x\",\"prio\":\"low\",\"id\":\"$e\",\"type\":\"m.room.message\","
	    "\"sender\":\"@b:x\",\"content\":{},\"counts\":{}," DEVICES("{}", ",\"tweaks\":{}"));
}

Test(notification, a_room_without_a_name_is_called_by_its_alias)
{
	const char *s = body((struct push_notification){ .id = "$e", .room_id = "!r:x", .type = "t", .sender = "@b:x", .room_alias = "#a:x",
		.data = data("{}") });

	cr_assert_not_null(strstr(s, "\"room_name\":\"#a:x\",\"room_alias\":\"#a:x\""));
}

Test(notification, event_id_only_tells_no_more)
{
	cr_assert_str_eq(body((struct push_notification){ .id = "$e", .room_id = "!r:x", .type = "m.room.encrypted", .sender = "@b:x",
		.sender_name = "Bob", .room_name = "R", .content = "{\"ciphertext\":\"x\"}", .unread = 1,
		.data = data("{\"url\":\"https://x\",\"format\":\"event_id_only\"}") }),
	    "{\"notification\":{\"event_id\":\"$e\",\"room_id\":\"!r:x\",\"prio\":\"high\",\"counts\":{\"unread\":1},"
	    DEVICES("{\"format\":\"event_id_only\"}", ",\"tweaks\":{}"));
}

Test(notification, a_member_event_says_whether_it_is_about_the_user)
{
	const char *s = body((struct push_notification){ .id = "$e", .room_id = "!r:x", .type = "m.room.member", .sender = "@b:x",
		.member_event = true, .user_is_target = true, .membership = "invite", .data = data("{}") });

	cr_assert_not_null(strstr(s, "\"membership\":\"invite\",\"user_is_target\":true"));
	s = body((struct push_notification){ .id = "$e", .room_id = "!r:x", .type = "m.room.member", .sender = "@b:x",
		.member_event = true, .data = data("{}") });
	cr_assert_not_null(strstr(s, "\"user_is_target\":false"));
}

Test(notification, a_badge_alone_also_tells_zero)
{
	cr_assert_str_eq(body((struct push_notification){ .unread = 0, .data = data("{\"url\":\"x\"}") }),
	    "{\"notification\":{\"prio\":\"low\",\"counts\":{\"unread\":0}," DEVICES("{}", ""));
}

Test(notification, rejections)
{
	static const struct {
		const char *answer;
		bool rejects;
	} v[] = {
		{ "{\"rejected\":[\"a\",\"key\"]}", true }, { "{\"rejected\":[]}", false }, { "{\"rejected\":[\"keys\",\"ke\"]}", false },
		{ "{\"rejected\":\"key\"}", false }, { "{\"rejected\":[[\"key\"],{\"key\":1},null,5]}", false }, { "[\"key\"]", false },
		{ "{}", false }, { "", false }, { "key", false }, { "{\"rejected\":[\"key\"]", false }, { "<html>", false },
	};

	for (size_t i = 0; i < sizeof v / sizeof *v; i++)
		cr_expect_eq(push_answer_rejects(a, v[i].answer, strlen(v[i].answer), "key"), v[i].rejects, "%s", v[i].answer);
	cr_assert(push_answer_rejects(a, "{\"rejected\":[\"\\u0000\"]}", 23, "\\u0000"));
}
