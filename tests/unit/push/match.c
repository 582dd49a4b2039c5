/* tests/unit/push/match.c - conditions, kinds, actions, and every predefined rule. */
#include <criterion/criterion.h>
#include <string.h>

#include "core/push/match.h"
#include "core/user/push_rules.h"

static struct arena *a;

static void
setup(void)
{
	a = arena_new();
}

TestSuite(push_match, .init = setup);

static struct json *
parse(const char *text)
{
	struct json *v;

	cr_assert_eq(json_parse(a, text, strlen(text), &v), JSON_OK, "%s", text);
	return v;
}

#define EVENT "{\"type\":\"m.room.message\",\"sender\":\"@bob:x\",\"room_id\":\"!r:x\",\"content\":{\"body\":\"Hello Alice Doe, tea?\","	\
    "\"msgtype\":\"m.text\",\"a.b\":{\"c\\\\d\":\"deep\"},\"n\":7,\"yes\":true,\"none\":null,\"f\":1.5,\"list\":[\"x\",7,true,null,[1]],\"o\":{},\"1\":\"1\"}}"

struct row {
	const char *condition;
	bool want;
};

Test(push_match, conditions)
{
	static const struct row rows[] = {
		{ "{\"kind\":\"event_match\",\"key\":\"type\",\"pattern\":\"M.ROOM.*\"}", true },
		{ "{\"kind\":\"event_match\",\"key\":\"type\",\"pattern\":\"room\"}", false },
		{ "{\"kind\":\"event_match\",\"key\":\"content.body\",\"pattern\":\"tea\"}", true },
		{ "{\"kind\":\"event_match\",\"key\":\"content.body\",\"pattern\":\"te\"}", false },
		{ "{\"kind\":\"event_match\",\"key\":\"content.msgtype\",\"pattern\":\"text\"}", false },
		{ "{\"kind\":\"event_match\",\"key\":\"content.missing\",\"pattern\":\"*\"}", false },
		{ "{\"kind\":\"event_match\",\"key\":\"state_key\",\"pattern\":\"\"}", false },
		{ "{\"kind\":\"event_match\",\"key\":\"content.n\",\"pattern\":\"7\"}", false },
		{ "{\"kind\":\"event_match\",\"key\":\"content.none\",\"pattern\":\"*\"}", false },
		{ "{\"kind\":\"event_match\",\"key\":\"content.a\\\\.b.c\\\\\\\\d\",\"pattern\":\"deep\"}", true },
		{ "{\"kind\":\"event_match\",\"key\":\"content.a\\\\.b.c\\\\d\",\"pattern\":\"deep\"}", true },
		{ "{\"kind\":\"event_match\",\"key\":\"content.a.b.c\\\\\\\\d\",\"pattern\":\"deep\"}", false },
		{ "{\"kind\":\"event_match\",\"key\":\"content.list.0\",\"pattern\":\"x\"}", false },
		{ "{\"kind\":\"event_match\",\"key\":\"\",\"pattern\":\"*\"}", false },
		{ "{\"kind\":\"event_match\",\"key\":\"content.\",\"pattern\":\"*\"}", false },
		{ "{\"kind\":\"event_match\",\"key\":\"type\"}", false },
		{ "{\"kind\":\"event_match\",\"pattern\":\"*\"}", false },

		{ "{\"kind\":\"event_property_is\",\"key\":\"content.yes\",\"value\":true}", true },
		{ "{\"kind\":\"event_property_is\",\"key\":\"content.yes\",\"value\":\"true\"}", false },
		{ "{\"kind\":\"event_property_is\",\"key\":\"content.yes\",\"value\":1}", false },
		{ "{\"kind\":\"event_property_is\",\"key\":\"content.n\",\"value\":7}", true },
		{ "{\"kind\":\"event_property_is\",\"key\":\"content.n\",\"value\":8}", false },
		{ "{\"kind\":\"event_property_is\",\"key\":\"content.none\",\"value\":null}", true },
		{ "{\"kind\":\"event_property_is\",\"key\":\"content.missing\",\"value\":null}", false },
		{ "{\"kind\":\"event_property_is\",\"key\":\"content.1\",\"value\":\"1\"}", true },
		{ "{\"kind\":\"event_property_is\",\"key\":\"content.msgtype\",\"value\":\"m.*\"}", false },
		{ "{\"kind\":\"event_property_is\",\"key\":\"content.msgtype\",\"value\":\"M.TEXT\"}", false },
		{ "{\"kind\":\"event_property_is\",\"key\":\"content.f\",\"value\":1.5}", false },
		{ "{\"kind\":\"event_property_is\",\"key\":\"content.o\",\"value\":{}}", false },

		{ "{\"kind\":\"event_property_contains\",\"key\":\"content.list\",\"value\":\"x\"}", true },
		{ "{\"kind\":\"event_property_contains\",\"key\":\"content.list\",\"value\":7}", true },
		{ "{\"kind\":\"event_property_contains\",\"key\":\"content.list\",\"value\":null}", true },
		{ "{\"kind\":\"event_property_contains\",\"key\":\"content.list\",\"value\":[1]}", false },
		{ "{\"kind\":\"event_property_contains\",\"key\":\"content.list\",\"value\":\"X\"}", false },
		{ "{\"kind\":\"event_property_contains\",\"key\":\"content.list\",\"value\":false}", false },
		{ "{\"kind\":\"event_property_contains\",\"key\":\"content.msgtype\",\"value\":\"m.text\"}", false },

		{ "{\"kind\":\"room_member_count\",\"is\":\"3\"}", true },
		{ "{\"kind\":\"room_member_count\",\"is\":\"==3\"}", true },
		{ "{\"kind\":\"room_member_count\",\"is\":\"2\"}", false },
		{ "{\"kind\":\"room_member_count\",\"is\":\"<3\"}", false },
		{ "{\"kind\":\"room_member_count\",\"is\":\"<4\"}", true },
		{ "{\"kind\":\"room_member_count\",\"is\":\"<=3\"}", true },
		{ "{\"kind\":\"room_member_count\",\"is\":\">2\"}", true },
		{ "{\"kind\":\"room_member_count\",\"is\":\">3\"}", false },
		{ "{\"kind\":\"room_member_count\",\"is\":\">=3\"}", true },
		{ "{\"kind\":\"room_member_count\",\"is\":\"=3\"}", false },
		{ "{\"kind\":\"room_member_count\",\"is\":\"<\"}", false },
		{ "{\"kind\":\"room_member_count\",\"is\":\" 3\"}", false },
		{ "{\"kind\":\"room_member_count\",\"is\":\"3\\u0000\"}", false },
		{ "{\"kind\":\"room_member_count\",\"is\":3}", false },
		{ "{\"kind\":\"room_member_count\"}", false },

		{ "{\"kind\":\"sender_notification_permission\",\"key\":\"room\"}", true },
		{ "{\"kind\":\"sender_notification_permission\",\"key\":\"high\"}", false },
		{ "{\"kind\":\"sender_notification_permission\",\"key\":\"text\"}", false },
		{ "{\"kind\":\"sender_notification_permission\",\"key\":\"unset\"}", false },
		{ "{\"kind\":\"sender_notification_permission\"}", false },

		{ "{\"kind\":\"contains_display_name\"}", true },
		{ "{\"kind\":\"org.example.unknown\"}", false },
		{ "{}", false },
		{ "1", false },
	};
	struct push_event ev = { .event = parse(EVENT), .members = 3, .sender_power = 40, .display_name = parse("\"alice doe\""),
		.power_levels = parse("{\"notifications\":{\"room\":40,\"high\":41,\"text\":\"41\"}}") };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		cr_expect_eq(push_condition(parse(rows[i].condition), &ev), rows[i].want, "%s", rows[i].condition);
	ev.power_levels = NULL;
	ev.sender_power = 50;
	cr_expect(push_condition(parse("{\"kind\":\"sender_notification_permission\",\"key\":\"room\"}"), &ev));
	ev.sender_power = 49;
	cr_expect_not(push_condition(parse("{\"kind\":\"sender_notification_permission\",\"key\":\"room\"}"), &ev));
	ev.display_name = parse("\"lice\"");
	cr_expect_not(push_condition(parse("{\"kind\":\"contains_display_name\"}"), &ev));
	ev.display_name = NULL;
	cr_expect_not(push_condition(parse("{\"kind\":\"contains_display_name\"}"), &ev));
}

/* ---- predefined rules */

struct event_row {
	const char *rule;		/* the one that decides; NULL: none */
	bool notify, highlight;
	const char *sound;
	int members;
	const char *type, *more, *content;
};

static struct push_result
judge(const char *rules, const struct event_row *r)
{
	struct push_event ev = { .members = r->members, .sender_power = 50 };

	ev.event = parse(arena_printf(a, "{\"type\":\"%s\",\"sender\":\"@bob:x\",\"room_id\":\"!r:x\"%s,\"content\":{%s}}", r->type, r->more, r->content));
	return push_match(parse(rules), "@alice:x", &ev);
}

static void
expect(const char *rules, const struct event_row *r)
{
	struct push_result got = judge(rules, r);
	const char *id = json_get_str(got.rule, "rule_id");

	cr_expect(id == r->rule || (id && r->rule && strcmp(id, r->rule) == 0), "%s: %s, not %s", r->type, id, r->rule);
	cr_expect_eq(got.notify, r->notify, "%s", r->rule);
	cr_expect_eq(got.highlight, r->highlight, "%s", r->rule);
	cr_expect(got.sound == r->sound || (got.sound && r->sound && strcmp(got.sound, r->sound) == 0), "%s: %s", r->rule, got.sound);
}

#define MENTION "\"m.mentions\":{\"user_ids\":[\"@alice:x\"]}"
Test(push_match, predefined_rules)
{
	static const struct event_row rows[] = {
		{ ".m.rule.suppress_notices", false, false, NULL, 2, "m.room.message", "", "\"msgtype\":\"m.notice\"," MENTION },
		{ ".m.rule.invite_for_me", true, false, "default", 3, "m.room.member", ",\"state_key\":\"@alice:x\"", "\"membership\":\"invite\"" },
		{ ".m.rule.member_event", false, false, NULL, 2, "m.room.member", ",\"state_key\":\"@carol:x\"", "\"membership\":\"invite\"" },
		{ ".m.rule.is_user_mention", true, true, "default", 3, "m.room.message", "", MENTION },
		{ ".m.rule.is_room_mention", true, true, NULL, 3, "m.room.message", "", "\"m.mentions\":{\"room\":true}" },
		{ ".m.rule.tombstone", true, true, NULL, 3, "m.room.tombstone", ",\"state_key\":\"\"", "" },
		{ NULL, false, false, NULL, 3, "m.room.tombstone", "", "" },
		{ ".m.rule.reaction", false, false, NULL, 2, "m.reaction", "", "" },
		{ ".m.rule.room.server_acl", false, false, NULL, 2, "m.room.server_acl", ",\"state_key\":\"\"", "" },
		{ ".m.rule.suppress_edits", false, false, NULL, 2, "m.room.message", "", "\"m.relates_to\":{\"rel_type\":\"m.replace\"}" },
		{ ".m.rule.call", true, false, "ring", 2, "m.call.invite", "", "" },
		{ ".m.rule.encrypted_room_one_to_one", true, false, "default", 2, "m.room.encrypted", "", "" },
		{ ".m.rule.room_one_to_one", true, false, "default", 2, "m.room.message", "", "" },
		{ ".m.rule.message", true, false, NULL, 3, "m.room.message", "", "\"body\":\"alice\"" },
		{ ".m.rule.encrypted", true, false, NULL, 3, "m.room.encrypted", "", "" },
		{ NULL, false, false, NULL, 2, "m.room.topic", ",\"state_key\":\"\"", "" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		expect(push_rules_of(a, "@alice:x"), &rows[i]);
		expect(push_rules_merge(a, "@alice:x", "{\"global\":{\"override\":[{\"enabled\":true,\"rule_id\":\".m.rule.master\"}]}}"),
		    &(struct event_row){ ".m.rule.master", false, false, NULL, 2, rows[i].type, rows[i].more, rows[i].content });
	}
}

Test(push_match, kinds_in_their_order)
{
	static const char *const own[] = { "override", "content", "room", "sender", "underride" };
	static const char *const rules[] = {
		"{\"rule_id\":\"o\",\"conditions\":[],\"actions\":[\"notify\"]}", "{\"rule_id\":\"c\",\"pattern\":\"tea\",\"actions\":[\"notify\"]}",
		"{\"rule_id\":\"!r:x\",\"actions\":[\"notify\"]}", "{\"rule_id\":\"@bob:x\",\"actions\":[\"notify\"]}",
		"{\"rule_id\":\"u\",\"actions\":[\"notify\"]}",
	};
	struct push_event ev = { .event = parse(EVENT), .members = 3 };

	for (size_t from = 0; from < 5; from++) {
		struct json *global = json_new_obj(a), *all = json_new_obj(a);
		struct push_result r;

		json_set(a, all, "global", global);
		for (size_t i = from; i < 5; i++)
			json_set(a, global, own[i], parse(arena_printf(a, "[{\"enabled\":false,\"rule_id\":\"off\"},{\"rule_id\":\"other\","
			    "\"pattern\":\"beer\",\"conditions\":[{\"kind\":\"unknown\"}],\"actions\":[]},%s]", rules[i])));
		r = push_match(all, "@alice:x", &ev);
		cr_expect_str_eq(json_get_str(r.rule, "rule_id"), json_get_str(parse(rules[from]), "rule_id"));
		cr_expect(r.notify);
		r = push_match(all, "@bob:x", &ev);
		cr_expect_null(r.rule, "one's own events never notify");
		cr_expect_not(r.notify);
	}
}

Test(push_match, actions)
{
	static const struct { const char *actions; bool notify, highlight; const char *sound; } rows[] = {
		{ "[]", false, false, NULL },
		{ "[\"dont_notify\"]", false, false, NULL },
		{ "[\"coalesce\"]", false, false, NULL },
		{ "[\"notify\"]", true, false, NULL },
		{ "[\"notify\",{\"set_tweak\":\"highlight\"}]", true, true, NULL },
		{ "[\"notify\",{\"set_tweak\":\"highlight\",\"value\":true}]", true, true, NULL },
		{ "[\"notify\",{\"set_tweak\":\"highlight\",\"value\":false}]", true, false, NULL },
		{ "[{\"set_tweak\":\"highlight\"},{\"set_tweak\":\"sound\",\"value\":\"x\"}]", false, false, NULL },
		{ "[{\"set_tweak\":\"sound\",\"value\":\"x\"},\"notify\",{\"set_tweak\":\"other\",\"value\":1}]", true, false, "x" },
		{ "[\"notify\",{\"set_tweak\":\"sound\",\"value\":1}]", true, false, NULL },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		expect(arena_printf(a, "{\"global\":{\"underride\":[{\"rule_id\":\"r\",\"actions\":%s}]}}", rows[i].actions),
		    &(struct event_row){ "r", rows[i].notify, rows[i].highlight, rows[i].sound, 2, "t", "", "" });
}
