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

static const char *const kinds[] = { "override", "content", "room", "sender", "underride" };

bool
push_rules_kind(const char *kind)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (strcmp(kind, kinds[i]) == 0)
			return true;
	return false;
}

/* ---- merging */

static bool
is_own(const struct json *rule)
{
	const struct json *id = json_get(rule, "rule_id");

	return json_is(id, JSON_STR) && id->u.str.n > 0 && *id->u.str.s != '.';
}

/* A predefined rule as the user wants it. */
static struct json *
changed(struct arena *a, struct json *rule, const struct json *stored)
{
	const struct json *id = json_get(rule, "rule_id"), *other;

	for (size_t i = 0; json_is(stored, JSON_ARR) && i < stored->u.arr.n; i++) {
		const struct json *mine = stored->u.arr.v[i];
		struct json *enabled = json_get(mine, "enabled"), *actions = json_get(mine, "actions");

		if ((other = json_get(mine, "rule_id")) == NULL || !json_equal(id, other))
			continue;
		rule = json_copy(a, rule);
		if (json_is(enabled, JSON_BOOL))
			json_set(a, rule, "enabled", enabled);
		if (json_is(actions, JSON_ARR))
			json_set(a, rule, "actions", actions);
		break;
	}
	return rule;
}

/* "They operate at a lower priority than user-defined rules, except for the .m.rule.master rule" */
static struct json *
merged(struct arena *a, const struct json *predefined, const struct json *stored, bool master)
{
	struct json *all = json_new_arr(a);
	size_t i;

	if (master)
		json_push(a, all, changed(a, predefined->u.arr.v[0], stored));
	for (i = 0; json_is(stored, JSON_ARR) && i < stored->u.arr.n; i++)
		if (is_own(stored->u.arr.v[i]))
			json_push(a, all, stored->u.arr.v[i]);
	for (i = master; i < predefined->u.arr.n; i++)
		json_push(a, all, changed(a, predefined->u.arr.v[i], stored));
	return all;
}

const char *
push_rules_merge(struct arena *a, const char *user, const char *stored)
{
	const char *text = push_rules_of(a, user);
	struct json *all, *mine, *global;

	if (stored == NULL || json_parse(a, stored, strlen(stored), &mine) != JSON_OK)
		return text;
	json_parse(a, text, strlen(text), &all);
	global = json_get(all, "global");
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		json_set(a, global, kinds[i], merged(a, json_get(global, kinds[i]),
		    json_get(json_get(mine, "global"), kinds[i]), strcmp(kinds[i], "override") == 0));
	return json_canonical_str(a, all, NULL);
}

/* ---- reading */

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
push_rules_get_kind(struct ctx *cx, const char *kind, struct json **out)
{
	struct json *all;
	enum err e;

	*out = json_new_arr(cx->a);
	if (!push_rules_kind(kind))
		return fail(cx, M_INVALID_PARAM, "no such kind of push rule");
	if ((e = push_rules_get(cx, &all)) != M_OK)
		return e;
	*out = json_get(json_get(all, "global"), kind);
	return M_OK;
}

enum err
push_rule_get(struct ctx *cx, const char *kind, const char *rule_id, struct json **out)
{
	struct json *rules;
	enum err e;

	if ((e = push_rules_get_kind(cx, kind, &rules)) != M_OK)
		return e;
	for (size_t i = 0; i < rules->u.arr.n; i++) {
		const char *id = json_get_esc(cx->a, rules->u.arr.v[i], "rule_id");

		if (id != NULL && strcmp(id, rule_id) == 0) {
			*out = rules->u.arr.v[i];
			return M_OK;
		}
	}
	return fail(cx, M_NOT_FOUND, "the push rule was not found");
}
