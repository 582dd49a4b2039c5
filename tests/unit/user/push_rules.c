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
