/* core/push/mode.c - see mode.h. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/push/glob.h"
#include "core/push/mode.h"

/* ---- what one rule says */

struct verdict {
	bool enabled, notify, highlight;
};

static struct verdict
verdict_of(const struct json *rule)
{
	struct push_result r = push_actions(rule);

	return (struct verdict){ json_get_bool(rule, "enabled", true), r.notify, r.highlight };
}

static bool
same(struct verdict a, struct verdict b)
{
	return a.enabled == b.enabled && a.notify == b.notify && a.highlight == b.highlight;
}

/* The predefined rules whose verdicts make a mode. */
enum known {
	NOTICES, MEMBERS, USER_MENTION, ROOM_MENTION, TOMBSTONE, REACTION, SERVER_ACL, EDITS, INVITE,
	CALL, ENCRYPTED_DIRECT, DIRECT, MESSAGE, ENCRYPTED, KNOWN,
};
static const char *const known_ids[KNOWN] = {
	".m.rule.suppress_notices", ".m.rule.member_event", ".m.rule.is_user_mention", ".m.rule.is_room_mention", ".m.rule.tombstone",
	".m.rule.reaction", ".m.rule.room.server_acl", ".m.rule.suppress_edits", ".m.rule.invite_for_me",
	".m.rule.call", ".m.rule.encrypted_room_one_to_one", ".m.rule.room_one_to_one", ".m.rule.message", ".m.rule.encrypted",
};

static bool
is_own(const struct json *rule)
{
	const struct json *id = json_get(rule, "rule_id");

	return json_is(id, JSON_STR) && id->u.str.n > 0 && *id->u.str.s != '.';
}

static bool
is_glob(const struct json *pattern)
{
	return memchr(pattern->u.str.s, '*', pattern->u.str.n) != NULL || memchr(pattern->u.str.s, '?', pattern->u.str.n) != NULL;
}

/* ---- rules of one's own */

enum fit { FITS_NONE, FITS_ALL, FITS_SOME };

static bool
is_room_condition(const struct json *c)
{
	return json_str_eq(json_get(c, "kind"), "event_match") && json_str_eq(json_get(c, "key"), "room_id") &&
	    json_is(json_get(c, "pattern"), JSON_STR);
}

/* As the matcher, without its cost for what is no pattern: there may be hundreds of rules, and they are all compared with each other's rooms. */
static bool
names_room(const struct json *p, const struct json *room)
{
	if (is_glob(p))
		return push_glob(GLOB_WHOLE, p->u.str.s, p->u.str.n, room->u.str.s, room->u.str.n);
	return p->u.str.n == room->u.str.n && strncasecmp(p->u.str.s, room->u.str.s, room->u.str.n) == 0;
}

/* Does a rule with conditions match no event of the room, all, or some? room NULL: one that no rule names. */
static enum fit
fit_of(const struct json *rule, const struct json *room)
{
	const struct json *list = json_get(rule, "conditions");
	enum fit fit = FITS_ALL;

	for (size_t i = 0; json_is(list, JSON_ARR) && i < list->u.arr.n; i++) {
		const struct json *c = list->u.arr.v[i], *p = json_get(c, "pattern");

		if (!is_room_condition(c) || (room == NULL && is_glob(p)))
			fit = FITS_SOME;
		else if (room == NULL || !names_room(p, room))
			return FITS_NONE;
	}
	return fit;
}

/* True: the mode is decided. */
static bool
own_override(const struct json *rule, const struct json *room, unsigned *mode)
{
	enum fit fit = fit_of(rule, room);

	if (fit == FITS_NONE)
		return false;
	*mode = fit == FITS_ALL && !verdict_of(rule).notify ? 0 : MODE_CUSTOM;	/* the first is how clients mute a room */
	return true;
}

static bool
any_enabled(const struct json *list)
{
	for (size_t i = 0; json_is(list, JSON_ARR) && i < list->u.arr.n; i++)
		if (json_get_bool(list->u.arr.v[i], "enabled", true))
			return true;
	return false;
}

static const struct json *
rule_of_room(const struct json *global, const struct json *room)
{
	const struct json *list = json_get(global, "room");

	for (size_t i = 0; room != NULL && json_is(list, JSON_ARR) && i < list->u.arr.n; i++) {
		const struct json *rule = list->u.arr.v[i], *id = json_get(rule, "rule_id");

		if (json_get_bool(rule, "enabled", true) && id != NULL && json_equal(id, room))
			return rule;
	}
	return NULL;
}

/* ---- a mode */

/* What the predefined overrides come to; MODE_CUSTOM when they no longer make the classes what they are. */
static unsigned
mode_overrides(const struct verdict *v)
{
	static const enum known silent[] = { NOTICES, MEMBERS, REACTION, SERVER_ACL, EDITS };
	unsigned mode = 0;

	for (size_t i = 0; i < sizeof silent / sizeof *silent; i++)
		if (!v[silent[i]].enabled || v[silent[i]].notify)
			return MODE_CUSTOM;
	if (!same(v[ROOM_MENTION], v[TOMBSTONE]) || !v[TOMBSTONE].enabled || (v[USER_MENTION].enabled && !v[USER_MENTION].notify))
		return MODE_CUSTOM;
	if (v[TOMBSTONE].notify)
		mode |= MODE_CLASS(PUSH_ALL) | (v[TOMBSTONE].highlight ? MODE_LOUD_ALL : 0);
	if (v[USER_MENTION].enabled)
		mode |= MODE_MENTION | (v[USER_MENTION].highlight ? MODE_LOUD_MENTION : 0);
	return mode;
}

/* A disabled rule for rooms of two leaves their messages to the next one. */
static unsigned
mode_underrides(const struct verdict *v)
{
	bool message = v[MESSAGE].enabled && v[MESSAGE].notify, encrypted = v[ENCRYPTED].enabled && v[ENCRYPTED].notify,
	    direct = v[DIRECT].enabled ? v[DIRECT].notify : message,
	    encrypted_direct = v[ENCRYPTED_DIRECT].enabled ? v[ENCRYPTED_DIRECT].notify : encrypted;

	for (int i = CALL; i <= ENCRYPTED; i++)
		if (v[i].enabled && v[i].highlight)
			return MODE_CUSTOM;
	if (message != encrypted || direct != encrypted_direct)
		return MODE_CUSTOM;
	return (message ? MODE_CLASS(PUSH_GROUP) : 0) | (direct ? MODE_CLASS(PUSH_DIRECT) : 0) |
	    (v[CALL].enabled && v[CALL].notify ? MODE_CLASS(PUSH_CALL) : 0);
}

/* Goes through the overrides in their order. True: the mode is decided. Else v has what the predefined ones say. */
static bool
walk_overrides(const struct json *list, const struct json *room, struct verdict *v, unsigned *mode)
{
	for (size_t i = 0; json_is(list, JSON_ARR) && i < list->u.arr.n; i++) {
		const struct json *rule = list->u.arr.v[i], *id = json_get(rule, "rule_id");
		struct verdict it = verdict_of(rule);
		int k;

		if (is_own(rule)) {
			if (it.enabled && own_override(rule, room, mode))
				return true;
			continue;
		}
		for (k = 0; k < CALL && !json_str_eq(id, known_ids[k]);)
			k++;
		if (k < CALL)
			v[k] = it;
		else if (it.enabled) {	/* .m.rule.master, or one that this code does not know */
			*mode = json_str_eq(id, ".m.rule.master") && !it.notify ? 0 : MODE_CUSTOM;
			return true;
		}
	}
	return false;
}

static bool
walk_underrides(const struct json *list, const struct json *room, struct verdict *v)
{
	for (size_t i = 0; json_is(list, JSON_ARR) && i < list->u.arr.n; i++) {
		const struct json *rule = list->u.arr.v[i];
		struct verdict it = verdict_of(rule);
		int k;

		for (k = CALL; k < KNOWN && !json_str_eq(json_get(rule, "rule_id"), known_ids[k]);)
			k++;
		if (k < KNOWN)
			v[k] = it;
		else if (it.enabled && (!is_own(rule) || fit_of(rule, room) != FITS_NONE))
			return false;
	}
	return true;
}

static unsigned
mode_of(const struct json *global, const struct json *room)
{
	struct verdict v[KNOWN] = { 0 };
	const struct json *rule;
	unsigned mode, under;

	if (walk_overrides(json_get(global, "override"), room, v, &mode))
		return mode;
	if ((mode = mode_overrides(v)) & MODE_CUSTOM || any_enabled(json_get(global, "content")))
		return MODE_CUSTOM;
	if ((rule = rule_of_room(global, room)) != NULL) {
		struct verdict it = verdict_of(rule);

		if (it.highlight)
			return MODE_CUSTOM;
		return it.notify ? mode | MODE_CLASS(PUSH_OTHER) | MODE_CLASS(PUSH_CALL) | MODE_CLASS(PUSH_DIRECT) |
		    MODE_CLASS(PUSH_GROUP) : mode;
	}
	if (!walk_underrides(json_get(global, "underride"), room, v) || (under = mode_underrides(v)) & MODE_CUSTOM)
		return MODE_CUSTOM;
	return mode | under | (any_enabled(json_get(global, "sender")) ? MODE_SENDERS : 0);
}

/* ---- all modes */

static const unsigned predefined = MODE_CLASS(PUSH_CALL) | MODE_CLASS(PUSH_DIRECT) | MODE_CLASS(PUSH_GROUP) | MODE_CLASS(PUSH_ALL) |
    MODE_LOUD_ALL | MODE_MENTION | MODE_LOUD_MENTION;

static int
by_room(const void *a, const void *b)
{
	return strcmp(((const struct push_room_mode *)a)->room, ((const struct push_room_mode *)b)->room);
}

static void
add_room(struct arena *a, const struct json *global, const struct json *room, struct push_modes *out)
{
	const char *id = json_esc_of(a, room);

	for (size_t i = 0; i < out->n; i++)
		if (strcmp(out->rooms[i].room, id) == 0)
			return;
	out->rooms = arena_realloc(a, out->rooms, out->n * sizeof *out->rooms, (out->n + 1) * sizeof *out->rooms);
	out->rooms[out->n++] = (struct push_room_mode){ id, mode_of(global, room) };
}

/* The rooms that rules with conditions name. */
static void
add_rooms(struct arena *a, const struct json *global, const char *kind, struct push_modes *out)
{
	const struct json *list = json_get(global, kind);

	for (size_t i = 0; json_is(list, JSON_ARR) && i < list->u.arr.n; i++) {
		const struct json *cs = json_get(list->u.arr.v[i], "conditions");

		for (size_t k = 0; json_is(cs, JSON_ARR) && k < cs->u.arr.n; k++) {
			const struct json *c = cs->u.arr.v[k];

			if (is_room_condition(c) && !is_glob(json_get(c, "pattern")))
				add_room(a, global, json_get(c, "pattern"), out);
			if (json_str_eq(json_get(c, "kind"), "contains_display_name"))
				out->asks_display_name = true;
		}
	}
}

void
push_modes_read(struct arena *a, const struct json *rules, struct push_modes *out)
{
	const struct json *global = json_get(rules, "global"), *list;

	*out = (struct push_modes){ .base = predefined };
	if (rules == NULL)
		return;
	out->base = mode_of(global, NULL);
	list = json_get(global, "room");
	for (size_t i = 0; json_is(list, JSON_ARR) && i < list->u.arr.n; i++)
		if (json_is(json_get(list->u.arr.v[i], "rule_id"), JSON_STR))
			add_room(a, global, json_get(list->u.arr.v[i], "rule_id"), out);
	add_rooms(a, global, "override", out);
	add_rooms(a, global, "underride", out);
	if (out->n > 1)
		qsort(out->rooms, out->n, sizeof *out->rooms, by_room);
	list = json_get(global, "sender");
	out->senders = arena_calloc(a, (json_is(list, JSON_ARR) ? list->u.arr.n : 0) + 1, sizeof *out->senders);
	for (size_t i = 0; json_is(list, JSON_ARR) && i < list->u.arr.n; i++) {
		const char *id = json_get_esc(a, list->u.arr.v[i], "rule_id");

		if (id != NULL && json_get_bool(list->u.arr.v[i], "enabled", true))
			out->senders[out->nsenders++] = id;
	}
}

unsigned
push_mode_in(const struct push_modes *m, const char *room)
{
	const struct push_room_mode key = { room, 0 }, *found;

	found = m->n > 0 ? bsearch(&key, m->rooms, m->n, sizeof *m->rooms, by_room) : NULL;
	return found != NULL ? found->mode : m->base;
}

bool
push_modes_custom(const struct push_modes *m)
{
	if (m->base & (MODE_CUSTOM | MODE_SENDERS))
		return true;
	for (size_t i = 0; i < m->n; i++)
		if (m->rooms[i].mode & (MODE_CUSTOM | MODE_SENDERS))
			return true;
	return false;
}
