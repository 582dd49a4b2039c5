/* tests/unit/user/push_rules.c - the predefined push rules are those of the specification, v1.19. */
#include <criterion/criterion.h>
#include <string.h>

#include "core/user/push_rules.h"

static struct arena *a;

static struct json *
rules(const char *kind)
{
	const char *text = push_rules_of(a, "@a_b=c:example.org");
	struct json *v;

	cr_assert_eq(json_parse(a, text, strlen(text), &v), JSON_OK);
	return json_get(json_get(v, "global"), kind);
}

static void
setup(void)
{
	a = arena_new();
}

TestSuite(push_rules, .init = setup);

static void
ids_are(const char *kind, const char *const *want, size_t n)
{
	struct json *r = rules(kind);

	cr_assert(json_is(r, JSON_ARR));
	cr_assert_eq(r->u.arr.n, n, "%s: %zu rules", kind, r->u.arr.n);
	for (size_t i = 0; i < n; i++) {
		cr_assert_str_eq(json_get_str(r->u.arr.v[i], "rule_id"), want[i]);
		cr_assert(json_get_bool(r->u.arr.v[i], "default", false));
		/* all but .m.rule.master, which would silence everything */
		cr_assert_eq(json_get_bool(r->u.arr.v[i], "enabled", false), strcmp(want[i], ".m.rule.master") != 0);
	}
}

Test(push_rules, order_is_priority)
{
	static const char *const override[] = {
		".m.rule.master", ".m.rule.suppress_notices", ".m.rule.invite_for_me", ".m.rule.member_event",
		".m.rule.is_user_mention", ".m.rule.is_room_mention", ".m.rule.tombstone", ".m.rule.reaction",
		".m.rule.room.server_acl", ".m.rule.suppress_edits",
	};
	static const char *const underride[] = {
		".m.rule.call", ".m.rule.encrypted_room_one_to_one", ".m.rule.room_one_to_one", ".m.rule.message",
		".m.rule.encrypted",
	};

	ids_are("override", override, sizeof override / sizeof *override);
	ids_are("underride", underride, sizeof underride / sizeof *underride);
	ids_are("content", NULL, 0);
	ids_are("room", NULL, 0);
	ids_are("sender", NULL, 0);
}

Test(push_rules, name_the_user)
{
	struct json *r = rules("override");
	struct json *invite = json_get(r->u.arr.v[2], "conditions"), *mention = json_get(r->u.arr.v[4], "conditions");

	cr_assert_str_eq(json_get_str(invite->u.arr.v[2], "key"), "state_key");
	cr_assert_str_eq(json_get_str(invite->u.arr.v[2], "pattern"), "@a_b=c:example.org");
	cr_assert_str_eq(json_get_str(mention->u.arr.v[0], "key"), "content.m\\.mentions.user_ids");
	cr_assert_str_eq(json_get_str(mention->u.arr.v[0], "value"), "@a_b=c:example.org");
}

Test(push_rules, are_canonical_text)
{
	const char *text = push_rules_of(a, "@a:b");
	struct json *v;

	cr_assert_eq(json_parse(a, text, strlen(text), &v), JSON_OK);
	cr_assert_str_eq(text, json_canonical_str(a, v, NULL));
}

static const char *
merge(const char *stored)
{
	return push_rules_merge(a, "@a:b", stored);
}

static struct json *
merged(const char *stored, const char *kind)
{
	const char *text = merge(stored);
	struct json *v;

	cr_assert_eq(json_parse(a, text, strlen(text), &v), JSON_OK);
	cr_assert_str_eq(text, json_canonical_str(a, v, NULL));
	return json_get(json_get(v, "global"), kind);
}

Test(push_rules, nothing_stored_or_nonsense_is_the_predefined_rules)
{
	static const char *const stored[] = {
		NULL, "{}", "[]", "nonsense", "{\"global\":[]}", "{\"global\":{\"override\":{}}}", "{\"global\":{\"override\":[1,{}]}}",
		"{\"global\":{\"override\":[{\"rule_id\":\".m.rule.of_old\",\"enabled\":true}]}}",
		"{\"global\":{\"override\":[{\"rule_id\":\".m.rule.master\",\"enabled\":1,\"actions\":true}]}}",
	};

	for (size_t i = 0; i < sizeof stored / sizeof *stored; i++)
		cr_expect_str_eq(merge(stored[i]), push_rules_of(a, "@a:b"), "%zu", i);
}

Test(push_rules, ones_own_go_first_but_master_is_before_all)
{
	struct json *r = merged("{\"global\":{\"override\":[{\"rule_id\":\"one\"},{\"enabled\":true,\"rule_id\":\".m.rule.master\"},"
	    "{\"rule_id\":\"two\"},{\"actions\":[\"notify\"],\"rule_id\":\".m.rule.reaction\"}]}}", "override");

	cr_assert_eq(r->u.arr.n, 12);
	cr_expect_str_eq(json_get_str(r->u.arr.v[0], "rule_id"), ".m.rule.master");
	cr_expect(json_get_bool(r->u.arr.v[0], "enabled", false));
	cr_expect_str_eq(json_get_str(r->u.arr.v[1], "rule_id"), "one");
	cr_expect_str_eq(json_get_str(r->u.arr.v[2], "rule_id"), "two");
	cr_expect_str_eq(json_get_str(r->u.arr.v[9], "rule_id"), ".m.rule.reaction");
	cr_expect(json_get_bool(r->u.arr.v[9], "enabled", false));
	cr_expect_str_eq(json_canonical_str(a, json_get(r->u.arr.v[9], "actions"), NULL), "[\"notify\"]");
}
