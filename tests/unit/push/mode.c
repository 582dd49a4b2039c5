/* tests/unit/push/mode.c - what events count for by the predefined rules, and what rule sets come to. */
#include <criterion/criterion.h>
#include <string.h>

#include "core/push/mode.h"
#include "core/user/push_rules.h"

static struct arena *a;

static void
setup(void)
{
	a = arena_new();
}

static void
teardown(void)
{
	arena_free(a);
}

TestSuite(push_mode, .init = setup, .fini = teardown);

static struct json *
tree(const char *text)
{
	struct json *v;

	cr_assert_eq(json_parse(a, text, strlen(text), &v), JSON_OK, "%s", text);
	return v;
}

static enum push_class
class_of(const char *event, int64_t members, int64_t power)
{
	const struct push_event ev = { .event = tree(event), .members = members, .sender_power = power };

	return push_class_of(&ev);
}

#define EVENT(type, content) "{\"content\":" content ",\"room_id\":\"!r:x\",\"sender\":\"@s:x\",\"type\":\"" type "\"}"
#define STATE(type, key, content) \
	"{\"content\":" content ",\"room_id\":\"!r:x\",\"sender\":\"@s:x\",\"state_key\":\"" key "\",\"type\":\"" type "\"}"

Test(push_mode, classes)
{
	cr_expect_eq(class_of(EVENT("m.room.message", "{\"body\":\"x\",\"msgtype\":\"m.text\"}"), 2, 0), PUSH_DIRECT);
	cr_expect_eq(class_of(EVENT("m.room.message", "{\"body\":\"x\",\"msgtype\":\"m.text\"}"), 3, 0), PUSH_GROUP);
	cr_expect_eq(class_of(EVENT("m.room.message", "{}"), 1, 0), PUSH_GROUP);
	cr_expect_eq(class_of(EVENT("m.room.encrypted", "{}"), 2, 0), PUSH_DIRECT);
	cr_expect_eq(class_of(EVENT("m.room.encrypted", "{}"), 20, 0), PUSH_GROUP);
	cr_expect_eq(class_of(EVENT("m.room.message", "{\"msgtype\":\"m.notice\"}"), 2, 0), PUSH_NEVER);
	cr_expect_eq(class_of(EVENT("m.room.message", "{\"m.mentions\":{\"room\":true},\"msgtype\":\"m.notice\"}"), 2, 100), PUSH_NEVER);
	cr_expect_eq(class_of(STATE("m.room.member", "@u:x", "{\"membership\":\"invite\"}"), 2, 0), PUSH_NEVER);
	cr_expect_eq(class_of(EVENT("m.reaction", "{}"), 2, 0), PUSH_QUIET);
	cr_expect_eq(class_of(STATE("m.room.server_acl", "", "{}"), 2, 0), PUSH_QUIET);
	cr_expect_eq(class_of(EVENT("m.room.message", "{\"m.relates_to\":{\"rel_type\":\"m.replace\"}}"), 2, 0), PUSH_QUIET);
	cr_expect_eq(class_of(EVENT("m.call.invite", "{}"), 2, 0), PUSH_CALL);
	cr_expect_eq(class_of(EVENT("m.room.message", "{\"m.mentions\":{\"room\":true}}"), 9, 50), PUSH_ALL);
	cr_expect_eq(class_of(EVENT("m.room.message", "{\"m.mentions\":{\"room\":true}}"), 9, 49), PUSH_GROUP);
	cr_expect_eq(class_of(STATE("m.room.tombstone", "", "{}"), 9, 0), PUSH_ALL);
	cr_expect_eq(class_of(STATE("m.room.tombstone", "x", "{}"), 9, 0), PUSH_OTHER);
	cr_expect_eq(class_of(STATE("m.room.topic", "", "{}"), 9, 0), PUSH_OTHER);
	cr_expect_eq(class_of(EVENT("m.sticker", "{}"), 9, 0), PUSH_OTHER);
}

/* The modes of a user with these differences: in any room, and in !r:x. */
static struct push_modes
modes(const char *stored)
{
	struct push_modes m;

	push_modes_read(a, stored ? tree(push_rules_merge(a, "@u:x", stored)) : tree(push_rules_of(a, "@u:x")), &m);
	return m;
}

#define ALL (MODE_CLASS(PUSH_CALL) | MODE_CLASS(PUSH_DIRECT) | MODE_CLASS(PUSH_GROUP) | MODE_CLASS(PUSH_ALL) | MODE_LOUD_ALL | MODE_MENTION | MODE_LOUD_MENTION)
#define ONLY_MENTIONS (MODE_CLASS(PUSH_ALL) | MODE_LOUD_ALL | MODE_MENTION | MODE_LOUD_MENTION)
#define OF(kind, rules) "{\"global\":{\"" kind "\":[" rules "]}}"

Test(push_mode, predefined_rules_as_read_and_as_known)
{
	struct push_modes known;

	push_modes_read(a, NULL, &known);
	cr_expect_eq(modes(NULL).base, known.base);
	cr_expect_eq(known.base, (unsigned)ALL);
	cr_expect_not(push_modes_custom(&known));
}

Test(push_mode, rooms_of_their_own)
{
	struct push_modes m = modes(OF("room", "{\"rule_id\":\"!r:x\",\"actions\":[]},{\"rule_id\":\"!loud:x\",\"actions\":[\"notify\"]},"
	    "{\"rule_id\":\"!off:x\",\"actions\":[],\"enabled\":false}"));

	cr_expect_eq(push_mode_in(&m, "!r:x"), (unsigned)ONLY_MENTIONS);
	cr_expect_eq(push_mode_in(&m, "!loud:x"), (unsigned)ALL | MODE_CLASS(PUSH_OTHER));
	cr_expect_eq(push_mode_in(&m, "!off:x"), (unsigned)ALL);
	cr_expect_eq(push_mode_in(&m, "!other:x"), (unsigned)ALL);
	m = modes(OF("override", "{\"rule_id\":\"mute\",\"actions\":[],\"conditions\":[{\"kind\":\"event_match\",\"key\":\"room_id\",\"pattern\":\"!r:x\"}]}"));
	cr_expect_eq(push_mode_in(&m, "!r:x"), 0U);
	cr_expect_eq(m.base, (unsigned)ALL);
	m = modes(OF("override", "{\"rule_id\":\"some\",\"actions\":[],\"conditions\":[{\"kind\":\"event_match\",\"key\":\"room_id\",\"pattern\":\"!r:x\"},"
	    "{\"kind\":\"event_match\",\"key\":\"type\",\"pattern\":\"x\"}]}"));
	cr_expect_eq(push_mode_in(&m, "!r:x"), (unsigned)MODE_CUSTOM);
	cr_expect_eq(m.base, (unsigned)ALL);
}

#define UNDER(id, actions) "{\"rule_id\":\".m.rule." id "\",\"actions\":[" actions "]}"

Test(push_mode, quiet_groups_and_disabled_rules)
{
	cr_expect_eq(modes(OF("underride", UNDER("message", "") "," UNDER("encrypted", ""))).base, (unsigned)ALL & ~MODE_CLASS(PUSH_GROUP));
	cr_expect_eq(modes(OF("underride", UNDER("message", ""))).base, (unsigned)MODE_CUSTOM, "encrypted ones still notify");
	cr_expect_eq(modes(OF("underride", UNDER("room_one_to_one", "") "," UNDER("encrypted_room_one_to_one", ""))).base,
	    (unsigned)ALL & ~MODE_CLASS(PUSH_DIRECT));
	/* Disabled, they leave their messages to the rules for any room. */
	cr_expect_eq(modes(OF("underride", "{\"rule_id\":\".m.rule.room_one_to_one\",\"enabled\":false},"
	    "{\"rule_id\":\".m.rule.encrypted_room_one_to_one\",\"enabled\":false}")).base, (unsigned)ALL);
	cr_expect_eq(modes(OF("override", "{\"rule_id\":\".m.rule.master\",\"enabled\":true}")).base, 0U);
	cr_expect_eq(modes(OF("override", "{\"rule_id\":\".m.rule.is_user_mention\",\"enabled\":false}")).base,
	    (unsigned)ALL & ~(unsigned)(MODE_MENTION | MODE_LOUD_MENTION));
	cr_expect_eq(modes(OF("override", "{\"rule_id\":\".m.rule.is_room_mention\",\"enabled\":false}")).base, (unsigned)MODE_CUSTOM);
	cr_expect_eq(modes(OF("override", "{\"rule_id\":\".m.rule.suppress_notices\",\"enabled\":false}")).base, (unsigned)MODE_CUSTOM);
}

Test(push_mode, what_needs_a_look_at_the_events)
{
	struct push_modes m = modes(OF("sender", "{\"rule_id\":\"@loud:x\",\"actions\":[\"notify\"]}"));

	cr_expect_eq(m.base, (unsigned)ALL | MODE_SENDERS);
	cr_expect_eq(m.nsenders, 1);
	cr_expect(push_modes_custom(&m));
	cr_expect_eq(modes(OF("content", "{\"rule_id\":\"tea\",\"pattern\":\"tea\",\"actions\":[\"notify\"]}")).base, (unsigned)MODE_CUSTOM);
	cr_expect_eq(modes(OF("content", "{\"rule_id\":\"tea\",\"pattern\":\"tea\",\"actions\":[\"notify\"],\"enabled\":false}")).base, (unsigned)ALL);
	cr_expect_eq(modes(OF("override", "{\"rule_id\":\"x\",\"conditions\":[{\"kind\":\"event_match\",\"key\":\"room_id\",\"pattern\":\"*:x\"}],\"actions\":[]}")).base,
	    (unsigned)MODE_CUSTOM);
	m = modes(OF("underride", "{\"rule_id\":\"n\",\"conditions\":[{\"kind\":\"contains_display_name\"}],\"actions\":[\"notify\"]}"));
	cr_expect(m.asks_display_name);
	cr_expect_eq(m.base, (unsigned)MODE_CUSTOM);
}
