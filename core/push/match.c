/* core/push/match.c - see match.h. */
#include <stdlib.h>
#include <string.h>

#include "core/push/glob.h"
#include "core/push/match.h"

/* ---- properties of the event */

/*
 * Is the member's key the component at the start of the path? *end is after it. Appendices, "Dot-separated property paths":
 * \. is a dot and \\ a backslash within a key; any other backslash is itself.
 */
static bool
component_is(const char *path, const char *path_end, const char *key, size_t n, const char **end)
{
	size_t at = 0;
	bool same = true;

	for (; path < path_end && *path != '.'; path++) {
		if (*path == '\\' && path + 1 < path_end && (path[1] == '.' || path[1] == '\\'))
			path++;
		same = same && at < n && key[at] == *path;
		at++;
	}
	*end = path;
	return same && at == n;
}

static const struct json *
property(const struct json *v, const struct json *key)
{
	const char *path, *path_end, *end;

	if (!json_is(key, JSON_STR))
		return NULL;
	path = key->u.str.s;
	path_end = path + key->u.str.n;
	for (;;) {
		const struct json *next = NULL;

		component_is(path, path_end, "", 0, &end);
		for (size_t i = 0; json_is(v, JSON_OBJ) && i < v->u.obj.n && next == NULL; i++)
			if (component_is(path, path_end, v->u.obj.v[i].key, v->u.obj.v[i].key_n, &end))
				next = v->u.obj.v[i].value;
		if (next == NULL || end == path_end)
			return next;
		v = next;
		path = end + 1;
	}
}

/* ---- conditions */

static bool
glob(enum push_glob_mode mode, const struct json *pattern, const struct json *value)
{
	return json_is(pattern, JSON_STR) && json_is(value, JSON_STR) &&
	    push_glob(mode, pattern->u.str.s, pattern->u.str.n, value->u.str.s, value->u.str.n);
}

static bool
event_match(const struct json *c, const struct push_event *ev)
{
	const struct json *key = json_get(c, "key");

	return glob(json_str_eq(key, "content.body") ? GLOB_WORDS : GLOB_WHOLE, json_get(c, "pattern"), property(ev->event, key));
}

/* Equal, of the same type, and neither a list nor an object nor a fraction. */
static bool
same_value(const struct json *want, const struct json *v)
{
	if (want == NULL || v == NULL || want->type != v->type)
		return false;
	return (v->type == JSON_STR || v->type == JSON_INT || v->type == JSON_BOOL || v->type == JSON_NULL) && json_equal(want, v);
}

static bool
property_is(const struct json *c, const struct push_event *ev)
{
	return same_value(json_get(c, "value"), property(ev->event, json_get(c, "key")));
}

static bool
property_contains(const struct json *c, const struct push_event *ev)
{
	const struct json *list = property(ev->event, json_get(c, "key")), *want = json_get(c, "value");

	for (size_t i = 0; json_is(list, JSON_ARR) && i < list->u.arr.n; i++)
		if (same_value(want, list->u.arr.v[i]))
			return true;
	return false;
}

/* A number in decimal that takes all of s. */
static bool
read_number(const char *s, const char *end, int64_t *v)
{
	size_t digits = strspn(s, "0123456789");

	if (digits == 0 || digits > 15 || s + digits != end)
		return false;
	*v = strtoll(s, NULL, 10);
	return true;
}

static bool
member_count(const struct json *c, const struct push_event *ev)
{
	const struct json *is = json_get(c, "is");
	bool less, more, equal;
	const char *s;
	int64_t n;

	if (!json_is(is, JSON_STR))
		return false;
	s = is->u.str.s;
	less = *s == '<';
	more = *s == '>';
	s += less || more;
	equal = !less && !more;
	if (*s == '=' && (!equal || s[1] == '=')) {
		s += equal ? 2 : 1;
		equal = true;
	}
	if (!read_number(s, is->u.str.s + is->u.str.n, &n))
		return false;
	return (equal && ev->members == n) || (less && ev->members < n) || (more && ev->members > n);
}

/* m.room.power_levels: "notifications: {room: ...} Defaults to 50". Old room versions have numbers as strings too. */
static bool
sender_may_notify(const struct json *c, const struct push_event *ev)
{
	const struct json *all = json_get(ev->power_levels, "notifications"), *key = json_get(c, "key");
	int64_t need = 50;

	if (!json_is(key, JSON_STR))
		return false;
	for (size_t i = 0; json_is(all, JSON_OBJ) && i < all->u.obj.n; i++) {
		const struct json_member *m = &all->u.obj.v[i];

		if (m->key_n != key->u.str.n || memcmp(m->key, key->u.str.s, m->key_n) != 0)
			continue;
		if (json_is(m->value, JSON_INT))
			need = m->value->u.i;
		else if (json_is(m->value, JSON_STR))
			read_number(m->value->u.str.s, m->value->u.str.s + m->value->u.str.n, &need);
	}
	return ev->sender_power >= need;
}

/* Deprecated in v1.17, and still what old clients' rules say. */
static bool
contains_display_name(const struct json *c, const struct push_event *ev)
{
	if (!json_is(ev->display_name, JSON_STR) || ev->display_name->u.str.n == 0)
		return false;
	return glob(GLOB_WORDS_PLAIN, ev->display_name, json_get(json_get(ev->event, "content"), "body"));
}

static const struct {
	const char *kind;
	bool (*holds)(const struct json *c, const struct push_event *ev);
} conditions[] = {
	{ "event_match", event_match },
	{ "event_property_is", property_is },
	{ "event_property_contains", property_contains },
	{ "room_member_count", member_count },
	{ "sender_notification_permission", sender_may_notify },
	{ "contains_display_name", contains_display_name },
};

/* "Unrecognised conditions MUST NOT match any events" */
bool
push_condition(const struct json *condition, const struct push_event *ev)
{
	const struct json *kind = json_get(condition, "kind");

	for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++)
		if (json_str_eq(kind, conditions[i].kind))
			return conditions[i].holds(condition, ev);
	return false;
}

/* ---- rules */

static bool
all_hold(const struct json *rule, const struct push_event *ev)
{
	const struct json *list = json_get(rule, "conditions");

	for (size_t i = 0; json_is(list, JSON_ARR) && i < list->u.arr.n; i++)
		if (!push_condition(list->u.arr.v[i], ev))
			return false;
	return list == NULL || json_is(list, JSON_ARR);
}

static bool
content_matches(const struct json *rule, const struct push_event *ev)
{
	return glob(GLOB_WORDS, json_get(rule, "pattern"), json_get(json_get(ev->event, "content"), "body"));
}

static bool
room_matches(const struct json *rule, const struct push_event *ev)
{
	const struct json *id = json_get(rule, "rule_id"), *room = json_get(ev->event, "room_id");

	return json_is(id, JSON_STR) && json_is(room, JSON_STR) && json_equal(id, room);
}

static bool
sender_matches(const struct json *rule, const struct push_event *ev)
{
	const struct json *id = json_get(rule, "rule_id"), *sender = json_get(ev->event, "sender");

	return json_is(id, JSON_STR) && json_is(sender, JSON_STR) && json_equal(id, sender);
}

static const struct {
	const char *kind;
	bool (*matches)(const struct json *rule, const struct push_event *ev);
} kinds[] = {
	{ "override", all_hold },
	{ "content", content_matches },
	{ "room", room_matches },
	{ "sender", sender_matches },
	{ "underride", all_hold },
};

struct push_result
push_actions(const struct json *rule)
{
	const struct json *actions = json_get(rule, "actions"), *value;
	struct push_result r = { .rule = rule };

	for (size_t i = 0; json_is(actions, JSON_ARR) && i < actions->u.arr.n; i++) {
		const struct json *v = actions->u.arr.v[i], *tweak = json_get(v, "set_tweak");

		value = json_get(v, "value");
		if (json_str_eq(v, "notify"))
			r.notify = true;
		else if (json_str_eq(tweak, "highlight"))
			r.highlight = value == NULL || (json_is(value, JSON_BOOL) && value->u.b);
		else if (json_str_eq(tweak, "sound"))
			r.sound = json_get_str(v, "value");
	}
	if (!r.notify) {
		r.highlight = false;
		r.sound = NULL;
	}
	return r;
}

struct push_result
push_match(const struct json *rules, const char *user, const struct push_event *ev)
{
	const struct json *sender = json_get(ev->event, "sender"), *global = json_get(rules, "global");

	if (json_is(sender, JSON_STR) && esc_equals_raw(user, sender->u.str.s, sender->u.str.n))
		return (struct push_result){ 0 };
	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		const struct json *list = json_get(global, kinds[k].kind);

		for (size_t i = 0; json_is(list, JSON_ARR) && i < list->u.arr.n; i++)
			if (json_get_bool(list->u.arr.v[i], "enabled", true) && kinds[k].matches(list->u.arr.v[i], ev))
				return push_actions(list->u.arr.v[i]);
	}
	return (struct push_result){ 0 };
}
