/* core/push/class.c - see class.h. */
#include <string.h>

#include "core/push/class.h"
#include "core/user/push_rules.h"

#define NOBODY "@"	/* no user: the rules that name their owner match nothing */

/* What the rule that matches makes of the event. */
static const struct {
	const char *rule;
	enum push_class class;
} classes[] = {
	{ ".m.rule.suppress_notices", PUSH_NEVER },
	{ ".m.rule.member_event", PUSH_NEVER },
	{ ".m.rule.is_room_mention", PUSH_ALL },
	{ ".m.rule.tombstone", PUSH_ALL },
	{ ".m.rule.reaction", PUSH_QUIET },
	{ ".m.rule.room.server_acl", PUSH_QUIET },
	{ ".m.rule.suppress_edits", PUSH_QUIET },
	{ ".m.rule.call", PUSH_CALL },
	{ ".m.rule.encrypted_room_one_to_one", PUSH_DIRECT },
	{ ".m.rule.room_one_to_one", PUSH_DIRECT },
	{ ".m.rule.message", PUSH_GROUP },
	{ ".m.rule.encrypted", PUSH_GROUP },
};

static const struct json *
predefined(void)
{
	static struct json *rules;	/* of the process */

	if (rules == NULL) {
		struct arena *a = arena_new();
		const char *text = push_rules_of(a, NOBODY);

		json_parse(a, text, strlen(text), &rules);
	}
	return rules;
}

enum push_class
push_class_of(const struct push_event *ev)
{
	const struct json *id = json_get(push_match(predefined(), NOBODY, ev).rule, "rule_id");

	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
		if (json_str_eq(id, classes[i].rule))
			return classes[i].class;
	return PUSH_OTHER;
}
