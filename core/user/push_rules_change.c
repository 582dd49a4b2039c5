/* core/user/push_rules_change.c - changing push rules; what is stored says push_rules.h. */
#include <stdint.h>
#include <string.h>

#include "core/push/glob.h"
#include "core/room/names.h"
#include "core/user/account_data.h"
#include "core/user/push_rules.h"

/* ---- what a client gives */

/* "Clients and homeservers MUST ignore these actions": they are left out of what is stored. */
static enum err
read_actions(struct ctx *cx, const struct json *actions, struct json **out)
{
	*out = json_new_arr(cx->a);
	if (!json_is(actions, JSON_ARR))
		return fail(cx, actions ? M_BAD_JSON : M_MISSING_PARAM, "actions must be an array");
	for (size_t i = 0; i < actions->u.arr.n; i++) {
		struct json *v = actions->u.arr.v[i];

		if (json_str_eq(v, "dont_notify") || json_str_eq(v, "coalesce"))
			continue;
		if (!json_str_eq(v, "notify") && !json_is(json_get(v, "set_tweak"), JSON_STR))
			return fail(cx, M_INVALID_PARAM, "an action is \"notify\" or an object with set_tweak");
		json_push(cx->a, *out, v);
	}
	return M_OK;
}

/* "A decimal integer optionally prefixed by one of ==, <, >, >= or <=" */
static bool
is_count(const struct json *v)
{
	const char *s;
	size_t digits;

	if (!json_is(v, JSON_STR))
		return false;
	s = v->u.str.s;
	s += strncmp(s, "==", 2) == 0 || strncmp(s, ">=", 2) == 0 || strncmp(s, "<=", 2) == 0 ? 2 : *s == '<' || *s == '>';
	digits = strspn(s, "0123456789");
	return digits > 0 && digits <= 15 && s + digits == v->u.str.s + v->u.str.n;
}

/* "Non-compound canonical JSON values" */
static bool
is_plain(const struct json *v)
{
	return json_is(v, JSON_STR) || json_is(v, JSON_BOOL) || json_is(v, JSON_NULL) || (json_is(v, JSON_INT) && json_is_strict(v));
}

/* One that is too long would match nothing: better said at once. */
static bool
is_pattern(const struct json *v)
{
	return json_is(v, JSON_STR) && push_glob_fits(v->u.str.s, v->u.str.n);
}

/* What a condition must have beside its kind. Kinds that nobody knows are kept: they never match. */
static bool
condition_is_good(const struct json *c)
{
	const struct json *kind = json_get(c, "kind");
	bool key = json_is(json_get(c, "key"), JSON_STR);

	if (json_str_eq(kind, "event_match"))
		return key && is_pattern(json_get(c, "pattern"));
	if (json_str_eq(kind, "event_property_is") || json_str_eq(kind, "event_property_contains"))
		return key && is_plain(json_get(c, "value"));
	if (json_str_eq(kind, "sender_notification_permission"))
		return key;
	if (json_str_eq(kind, "room_member_count"))
		return is_count(json_get(c, "is"));
	return json_is(kind, JSON_STR);
}

static enum err
read_conditions(struct ctx *cx, struct json *conditions, struct json **out)
{
	if (conditions == NULL) {
		*out = json_new_arr(cx->a);
		return M_OK;
	}
	if (!json_is(conditions, JSON_ARR))
		return fail(cx, M_BAD_JSON, "conditions must be an array");
	for (size_t i = 0; i < conditions->u.arr.n; i++)
		if (!condition_is_good(conditions->u.arr.v[i]))
			return fail(cx, M_INVALID_PARAM, "condition %zu lacks what its kind needs, or its pattern is too long", i);
	*out = conditions;
	return M_OK;
}

static enum err
read_pattern(struct ctx *cx, struct json *pattern, struct json **out)
{
	if (!json_is(pattern, JSON_STR))
		return fail(cx, pattern ? M_BAD_JSON : M_MISSING_PARAM, "a content rule needs a pattern");
	if (!is_pattern(pattern))
		return fail(cx, M_INVALID_PARAM, "a pattern has at most %d characters", PUSH_GLOB_MAX);
	*out = pattern;
	return M_OK;
}

static enum err
read_rule(struct ctx *cx, const char *kind, const char *id, const struct json *body, struct json **out)
{
	struct json *rule = json_new_obj(cx->a), *v;
	enum err e;

	if ((e = read_actions(cx, json_get(body, "actions"), &v)) != M_OK)
		return e;
	json_set(cx->a, rule, "actions", v);
	if (strcmp(kind, "override") == 0 || strcmp(kind, "underride") == 0) {
		if ((e = read_conditions(cx, json_get(body, "conditions"), &v)) != M_OK)
			return e;
		json_set(cx->a, rule, "conditions", v);
	} else if (strcmp(kind, "content") == 0) {
		if ((e = read_pattern(cx, json_get(body, "pattern"), &v)) != M_OK)
			return e;
		json_set(cx->a, rule, "pattern", v);
	}
	json_set(cx->a, rule, "default", json_new_bool(cx->a, false));
	json_set(cx->a, rule, "enabled", json_new_bool(cx->a, true));
	json_set(cx->a, rule, "rule_id", json_new_esc(cx->a, id));
	*out = rule;
	return M_OK;
}

/* "If the string starts with a dot, the request MUST be rejected. Slashes and backslashes are also not allowed." */
static enum err
check_id(struct ctx *cx, const char *id)
{
	if (*id == '\0' || *id == '.' || strpbrk(id, "/\\") != NULL)
		return fail(cx, M_INVALID_PARAM, "a rule id is not empty, does not start with a dot, and has no slash or backslash");
	if (!name_fits(id))
		return fail(cx, M_INVALID_PARAM, "a rule id has at most 255 bytes");
	return M_OK;
}

/* ---- what is stored */

struct edit {
	const char *kind, *was;
	struct json *all, *global;
	struct json *rules;	/* those of the kind; never NULL */
};

static enum err
edit_open(struct ctx *cx, const char *kind, struct edit *ed)
{
	enum err e;

	*ed = (struct edit){ .kind = kind, .rules = json_new_arr(cx->a) };
	if (!push_rules_kind(kind))
		return fail(cx, M_INVALID_PARAM, "no such kind of push rule");
	if ((e = account_data_stored(cx, "m.push_rules", &ed->was)) != M_OK)
		return e;
	if (ed->was != NULL)
		json_parse(cx->a, ed->was, strlen(ed->was), &ed->all);
	if (!json_is(ed->global = json_get(ed->all, "global"), JSON_OBJ)) {
		ed->all = json_new_obj(cx->a);
		json_set(cx->a, ed->all, "global", ed->global = json_new_obj(cx->a));
	}
	if (json_is(json_get(ed->global, kind), JSON_ARR))
		ed->rules = json_get(ed->global, kind);
	return M_OK;
}

/* Conditions about names, which are short, are as many as there is room for: that is how rooms are muted. */
static bool
looks_into(const struct json *c)
{
	static const char *const names[] = { "room_id", "sender", "state_key", "type" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (json_str_eq(json_get(c, "kind"), "event_match") && json_str_eq(json_get(c, "key"), names[i]))
			return false;
	return true;
}

static size_t
count_looks(const struct json *global)
{
	const struct json *list = json_get(global, "content");
	size_t n = json_is(list, JSON_ARR) ? list->u.arr.n : 0;

	for (int k = 0; k < 2; k++) {
		list = json_get(global, k ? "override" : "underride");
		for (size_t i = 0; json_is(list, JSON_ARR) && i < list->u.arr.n; i++) {
			const struct json *cs = json_get(list->u.arr.v[i], "conditions");

			for (size_t c = 0; json_is(cs, JSON_ARR) && c < cs->u.arr.n; c++)
				n += looks_into(cs->u.arr.v[c]);
		}
	}
	return n;
}

static enum err
edit_close(struct ctx *cx, struct edit *ed)
{
	const char *text;
	size_t n;

	json_set(cx->a, ed->global, ed->kind, ed->rules);
	text = json_canonical_str(cx->a, ed->all, &n);
	if (ed->was != NULL && strcmp(text, ed->was) == 0)
		return M_OK;
	if (n > PUSH_RULES_MAX || count_looks(ed->global) > PUSH_LOOKS_MAX)
		return fail(cx, M_TOO_LARGE, "too many push rules");
	return account_data_store(cx, "m.push_rules", text);
}

/* The place of a rule, or the number of rules. */
static size_t
place_of(const struct json *rules, const char *id)
{
	size_t i;

	for (i = 0; i < rules->u.arr.n; i++) {
		const struct json *s = json_get(rules->u.arr.v[i], "rule_id");

		if (json_is(s, JSON_STR) && esc_equals_raw(id, s->u.str.s, s->u.str.n))
			break;
	}
	return i;
}

/* The rules without the one at `without`, and with `rule` (or NULL) before the one that is then at `at`. */
static struct json *
relist(struct arena *a, const struct json *rules, size_t without, struct json *rule, size_t at)
{
	struct json *list = json_new_arr(a);

	for (size_t i = 0; i < rules->u.arr.n; i++) {
		if (i == without)
			continue;
		if (rule != NULL && list->u.arr.n == at) {
			json_push(a, list, rule);
			rule = NULL;
		}
		json_push(a, list, rules->u.arr.v[i]);
	}
	if (rule != NULL)
		json_push(a, list, rule);
	return list;
}

enum err
push_rule_put(struct ctx *cx, const char *kind, const char *rule_id, const struct json *body, const char *before, const char *after)
{
	const char *other = before ? before : after;
	struct json *rule, *rest;
	struct edit ed;
	size_t old, at;
	enum err e;

	if (!push_rules_kind(kind))
		return fail(cx, M_INVALID_PARAM, "no such kind of push rule");
	if ((e = check_id(cx, rule_id)) != M_OK || (e = read_rule(cx, kind, rule_id, body, &rule)) != M_OK ||
	    (e = edit_open(cx, kind, &ed)) != M_OK)
		return e;
	old = place_of(ed.rules, rule_id);
	rest = relist(cx->a, ed.rules, old, NULL, 0);
	if (old < ed.rules->u.arr.n)
		json_set(cx->a, rule, "enabled", json_new_bool(cx->a, json_get_bool(ed.rules->u.arr.v[old], "enabled", true)));
	at = old < ed.rules->u.arr.n ? old : 0;
	if (other != NULL) {
		at = place_of(rest, other);
		if (*other == '.' || at == rest->u.arr.n)
			return fail(cx, E_BAD_REQUEST, "before/after rule not found: %s", other);
		at += before == NULL;
	}
	ed.rules = relist(cx->a, rest, SIZE_MAX, rule, at);
	return edit_close(cx, &ed);
}

static bool
is_predefined(struct ctx *cx, const char *kind, const char *id)
{
	const char *text = push_rules_of(cx->a, cx->user);
	struct json *all, *rules;

	json_parse(cx->a, text, strlen(text), &all);
	rules = json_get(json_get(all, "global"), kind);
	return place_of(rules, id) < rules->u.arr.n;
}

enum err
push_rule_delete(struct ctx *cx, const char *kind, const char *rule_id)
{
	struct edit ed;
	size_t at;
	enum err e;

	if ((e = edit_open(cx, kind, &ed)) != M_OK)
		return e;
	if (is_predefined(cx, kind, rule_id))
		return fail(cx, M_INVALID_PARAM, "a predefined rule cannot be deleted, only disabled");
	at = place_of(ed.rules, rule_id);
	if (at == ed.rules->u.arr.n || *rule_id == '.')
		return fail(cx, M_NOT_FOUND, "the push rule was not found");
	ed.rules = relist(cx->a, ed.rules, at, NULL, 0);
	return edit_close(cx, &ed);
}

/* One member of a rule; of a predefined one it becomes a difference. */
static enum err
set_member(struct ctx *cx, const char *kind, const char *rule_id, const char *key, struct json *v)
{
	struct json *rule;
	struct edit ed;
	size_t at;
	enum err e;

	if ((e = edit_open(cx, kind, &ed)) != M_OK)
		return e;
	at = place_of(ed.rules, rule_id);
	if (*rule_id == '.' ? !is_predefined(cx, kind, rule_id) : at == ed.rules->u.arr.n)
		return fail(cx, M_NOT_FOUND, "the push rule was not found");
	if (at < ed.rules->u.arr.n) {
		rule = json_copy(cx->a, ed.rules->u.arr.v[at]);
	} else {
		rule = json_new_obj(cx->a);
		json_set(cx->a, rule, "rule_id", json_new_esc(cx->a, rule_id));
	}
	json_set(cx->a, rule, key, v);
	ed.rules = relist(cx->a, ed.rules, at, rule, at);
	return edit_close(cx, &ed);
}

enum err
push_rule_enable(struct ctx *cx, const char *kind, const char *rule_id, bool enabled)
{
	return set_member(cx, kind, rule_id, "enabled", json_new_bool(cx->a, enabled));
}

enum err
push_rule_set_actions(struct ctx *cx, const char *kind, const char *rule_id, const struct json *actions)
{
	struct json *v;
	enum err e;

	if ((e = read_actions(cx, actions, &v)) != M_OK)
		return e;
	return set_member(cx, kind, rule_id, "actions", v);
}
