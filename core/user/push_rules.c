/* core/user/push_rules.c - the predefined push rules as a table, and reading the rules in force. */
#include "core/user/push_rules.h"

#include <string.h>

#include "core/base/id.h"
#include "core/db/db.h"
#include "core/user/account_data.h"

#define NOTIFY		"[\"notify\"]"
#define SOUND(s)	"[\"notify\",{\"set_tweak\":\"sound\",\"value\":\"" s "\"}]"
#define HIGHLIGHT	"[\"notify\",{\"set_tweak\":\"highlight\"}]"
#define LOUD_HIGHLIGHT	"[\"notify\",{\"set_tweak\":\"sound\",\"value\":\"default\"},{\"set_tweak\":\"highlight\"}]"
#define MATCH(key, pat)	"{\"key\":\"" key "\",\"kind\":\"event_match\",\"pattern\":\"" pat "\"}"
#define MEMBERS(is)	"{\"is\":\"" is "\",\"kind\":\"room_member_count\"}"

/*
 * Client-Server API v1.19, "Predefined Rules", in their order, which is their priority; USER stands for the user's
 * id. Canonical JSON: keys in order, so that the whole text is canonical too.
 */
#define USER "\x01"
struct rule {
	const char *id;
	bool enabled;
	const char *conditions, *actions;
};
static const struct rule overrides[] = {
	{ ".m.rule.master", false, "[]", "[]" },
	{ ".m.rule.suppress_notices", true, "[" MATCH("content.msgtype", "m.notice") "]", "[]" },
	{ ".m.rule.invite_for_me", true,
	  "[" MATCH("type", "m.room.member") "," MATCH("content.membership", "invite") "," MATCH("state_key", USER) "]",
	  SOUND("default") },
	{ ".m.rule.member_event", true, "[" MATCH("type", "m.room.member") "]", "[]" },
	{ ".m.rule.is_user_mention", true,
	  "[{\"key\":\"content.m\\\\.mentions.user_ids\",\"kind\":\"event_property_contains\",\"value\":\"" USER "\"}]",
	  LOUD_HIGHLIGHT },
	{ ".m.rule.is_room_mention", true,
	  "[{\"key\":\"content.m\\\\.mentions.room\",\"kind\":\"event_property_is\",\"value\":true},"
	  "{\"key\":\"room\",\"kind\":\"sender_notification_permission\"}]",
	  HIGHLIGHT },
	{ ".m.rule.tombstone", true, "[" MATCH("type", "m.room.tombstone") "," MATCH("state_key", "") "]", HIGHLIGHT },
	{ ".m.rule.reaction", true, "[" MATCH("type", "m.reaction") "]", "[]" },
	{ ".m.rule.room.server_acl", true, "[" MATCH("type", "m.room.server_acl") "," MATCH("state_key", "") "]", "[]" },
	{ ".m.rule.suppress_edits", true,
	  "[{\"key\":\"content.m\\\\.relates_to.rel_type\",\"kind\":\"event_property_is\",\"value\":\"m.replace\"}]", "[]" },
};
static const struct rule underrides[] = {
	{ ".m.rule.call", true, "[" MATCH("type", "m.call.invite") "]", SOUND("ring") },
	{ ".m.rule.encrypted_room_one_to_one", true,
	  "[" MEMBERS("2") "," MATCH("type", "m.room.encrypted") "]", SOUND("default") },
	{ ".m.rule.room_one_to_one", true, "[" MEMBERS("2") "," MATCH("type", "m.room.message") "]", SOUND("default") },
	{ ".m.rule.message", true, "[" MATCH("type", "m.room.message") "]", NOTIFY },
	{ ".m.rule.encrypted", true, "[" MATCH("type", "m.room.encrypted") "]", NOTIFY },
};

static void
add_filled(struct buf *b, const char *text, const char *user)
{
	const char *gap;

	while ((gap = strchr(text, *USER)) != NULL) {
		buf_add(b, text, (size_t)(gap - text));
		buf_puts(b, user);
		text = gap + 1;
	}
	buf_puts(b, text);
}

static void
add_rules(struct buf *b, const struct rule *r, size_t n, const char *user)
{
	for (size_t i = 0; i < n; i++) {
		buf_puts(b, i ? ",{\"actions\":" : "{\"actions\":");
		buf_puts(b, r[i].actions);
		buf_puts(b, ",\"conditions\":");
		add_filled(b, r[i].conditions, user);
		buf_puts(b, r[i].enabled ? ",\"default\":true,\"enabled\":true" : ",\"default\":true,\"enabled\":false");
		buf_addf(b, ",\"rule_id\":\"%s\"}", r[i].id);
	}
}

const char *
push_rules_of(struct arena *a, const char *user)
{
	struct buf b;

	buf_init(&b, a);
	buf_puts(&b, "{\"global\":{\"content\":[],\"override\":[");
	add_rules(&b, overrides, sizeof overrides / sizeof *overrides, user);
	buf_puts(&b, "],\"room\":[],\"sender\":[],\"underride\":[");
	add_rules(&b, underrides, sizeof underrides / sizeof *underrides, user);
	buf_puts(&b, "]}}");
	return b.s;
}

const char *
push_rules_default(struct ctx *cx)
{
	return push_rules_of(cx->a, cx->user);
}

enum err
push_rules_get(struct ctx *cx, struct json **out)
{
	const char *text;
	enum err e;

	if ((e = account_data_get(cx, NULL, "m.push_rules", &text)) != M_OK)
		return e;
	if (json_parse(cx->a, text, strlen(text), out) != JSON_OK)
		return fail(cx, M_UNKNOWN, "stored push rules cannot be read");
	return M_OK;
}

enum err
push_rule_get(struct ctx *cx, const char *kind, const char *rule_id, struct json **out)
{
	static const char *const kinds[] = { "override", "content", "room", "sender", "underride" };
	struct json *all, *rules = NULL;
	bool known = false;
	enum err e;

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		known |= strcmp(kind, kinds[i]) == 0;
	if (!known)
		return fail(cx, M_INVALID_PARAM, "no such kind of push rule");
	if ((e = push_rules_get(cx, &all)) != M_OK)
		return e;
	rules = json_get(json_get(all, "global"), kind);
	for (size_t i = 0; json_is(rules, JSON_ARR) && i < rules->u.arr.n; i++) {
		const char *id = json_get_esc(cx->a, rules->u.arr.v[i], "rule_id");

		if (id != NULL && strcmp(id, rule_id) == 0) {
			*out = rules->u.arr.v[i];
			return M_OK;
		}
	}
	return fail(cx, M_NOT_FOUND, "the push rule was not found");
}
