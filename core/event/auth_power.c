/*
 * core/event/auth_power.c - power levels: reading them, and who may change them (room version N, m.room.power_levels).
 *
 * Before v10 a level may be a string, before v6 a number with a fraction (room v1,
 * "m.room.power_levels events accept values as strings", "… as floats"). What does
 * not fit int64 is taken as the greatest or smallest value: levels are only compared.
 */
#include "core/event/impl.h"

#include "core/base/id.h"

#include <math.h>
#include <string.h>

#define LEVEL_MAX (INT64_MAX - 1)	/* INT64_MAX is a v12 creator */

static int64_t
saturated(double d)
{
	d = trunc(d);
	return d >= (double)LEVEL_MAX ? LEVEL_MAX : d <= (double)INT64_MIN ? INT64_MIN : (int64_t)d;
}

static const char *
skip_space(const char *s)
{
	return s + strspn(s, " \t\n\v\f\r");
}

/* [space] [+-] digits [space] */
static bool
level_of_string(const char *s, size_t n, int64_t *out)
{
	const char *end = s + n;
	int64_t v = 0;
	bool minus;

	s = skip_space(s);
	minus = *s == '-';
	if (*s == '-' || *s == '+')
		s++;
	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++)
		v = v > (LEVEL_MAX - 9) / 10 ? LEVEL_MAX : v * 10 + (*s - '0');
	*out = !minus ? v : v == LEVEL_MAX ? INT64_MIN : -v;
	return skip_space(s) == end;
}

/* False: no level in this room version. */
static bool
read_level(const struct room_version *rv, const struct json *v, int64_t *out)
{
	double d;

	if (json_is(v, JSON_INT)) {
		*out = v->u.i;
		return true;
	}
	if (json_is(v, JSON_STR) && !rv->integer_power_levels)
		return level_of_string(v->u.str.s, v->u.str.n, out);
	if (!json_is(v, JSON_NUM) || rv->strict_canonical)
		return false;
	/* Room v1: what a double cannot hold is no level. */
	d = strtod(v->u.str.s, NULL);
	if (!isfinite(d))
		return false;
	*out = saturated(d);
	return true;
}

/* A level that cannot be read counts as absent: rules 9.1 to 9.3 keep such out where the version has them. */
static int64_t
level_or(const struct room_version *rv, const struct json *v, int64_t dflt)
{
	int64_t level;

	return read_level(rv, v, &level) ? level : dflt;
}

/* Server-Server API, PDUs, "Definitions"; Client-Server API, m.room.power_levels. */
static const struct named_level {
	const char *name;
	int64_t dflt;
} named_levels[] = {
	{ "users_default", 0 }, { "events_default", 0 }, { "state_default", 50 }, { "ban", 50 }, { "redact", 50 },
	{ "kick", 50 }, { "invite", 0 },
};
#define NAMED (sizeof(named_levels) / sizeof(named_levels[0]))

int64_t
level_named(const struct room_version *rv, const struct json *levels, const char *name)
{
	for (size_t i = 0; i < NAMED; i++)
		if (strcmp(named_levels[i].name, name) == 0)
			return level_or(rv, json_get(levels, name), named_levels[i].dflt);
	return 0;
}

int64_t
level_for_event(const struct room_version *rv, const struct json *levels, const char *type, bool state)
{
	int64_t level;

	if (read_level(rv, json_get_by_esc(json_get(levels, "events"), type), &level))
		return level;
	return level_named(rv, levels, state ? "state_default" : "events_default");
}

static bool
str_is(const struct json *v, const char *esc)
{
	return json_is(v, JSON_STR) && esc_equals_raw(esc, v->u.str.s, v->u.str.n);
}

bool
event_is_creator(const struct event *create, const char *user)
{
	const struct json *more = json_get(create->content, "additional_creators");

	if (!create->rv->implicit_creator)
		return str_is(json_get(create->content, "creator"), user);
	if (strcmp(create->sender, user) == 0)
		return true;
	for (size_t i = 0; create->rv->privileged_creators && json_is(more, JSON_ARR) && i < more->u.arr.n; i++)
		if (str_is(more->u.arr.v[i], user))
			return true;
	return false;
}

int64_t
level_of_user(const struct room_version *rv, const struct json *levels, const struct event *create, const char *user)
{
	int64_t level;

	if (rv->privileged_creators && create && event_is_creator(create, user))
		return INT64_MAX;
	/* Client-Server API, m.room.power_levels: without the event, 100 for the creator and 0 for the others. */
	if (!levels)
		return create && event_is_creator(create, user) ? 100 : 0;
	if (read_level(rv, json_get_by_esc(json_get(levels, "users"), user), &level))
		return level;
	return level_named(rv, levels, "users_default");
}

/* Form: rules 9.1 to 9.3 of v10 and later, 9.1 of v6 to v9, 10.1 of v1 to v5 */

static bool
all_levels(const struct room_version *rv, const struct json *obj)
{
	int64_t level;

	if (!json_is(obj, JSON_OBJ))
		return false;
	for (size_t i = 0; i < obj->u.obj.n; i++)
		if (!read_level(rv, obj->u.obj.v[i].value, &level))
			return false;
	return true;
}

static bool
all_users(struct arena *a, const struct json *users)
{
	for (size_t i = 0; i < users->u.obj.n; i++)
		if (!id_is_user(esc_from_raw(a, users->u.obj.v[i].key, users->u.obj.v[i].key_n)))
			return false;
	return true;
}

static const char *
form_fault(struct arena *a, const struct room_version *rv, const struct json *content)
{
	const struct json *v, *users = json_get(content, "users");

	for (size_t i = 0; rv->integer_power_levels && i < NAMED; i++)			/* 9.1 */
		if ((v = json_get(content, named_levels[i].name)) && !json_is(v, JSON_INT))
			return "a power level is no integer";
	if (rv->integer_power_levels &&							/* 9.2 */
	    (((v = json_get(content, "events")) && !all_levels(rv, v)) ||
	    ((v = json_get(content, "notifications")) && !all_levels(rv, v))))
		return "events or notifications is no object of integers";
	if (users && (!all_levels(rv, users) || !all_users(a, users)))			/* 9.3 */
		return "users is no object of user ids with integers";
	return NULL;
}

/* Room v12 §Authorisation rules 10.4 */
static bool
names_creator(struct arena *a, const struct event *create, const struct json *users)
{
	if (json_is(users, JSON_OBJ))
		for (size_t i = 0; i < users->u.obj.n; i++)
			if (event_is_creator(create, esc_from_raw(a, users->u.obj.v[i].key, users->u.obj.v[i].key_n)))
				return true;
	return false;
}

/* Changes: rules 9.5 to 9.9 of v10 and later, 9.3 to 9.7 of v6 to v9, 10.3 to 10.7 of v1 to v5 */

enum entry { SETTING, OWN_LEVEL, OTHERS_LEVEL };

/* One value that was before, is now, or both; NULL is absent. */
static const char *
change_fault(const struct judge *j, const struct json *before, const struct json *now, enum entry what)
{
	int64_t old = 0, new = 0;
	bool had = before && read_level(j->rv, before, &old);

	if (now && !read_level(j->rv, now, &new))
		return "a power level is no integer";
	if (had && now && old == new)
		return NULL;
	/* 9.8: another user's level must be below one's own; 9.5.1, 9.6.1: a setting may be equal. */
	if (had && (what == OTHERS_LEVEL ? old >= j->power : what == SETTING && old > j->power))
		return what == OTHERS_LEVEL ? "you cannot change the power level of a user who has as much as you"
		    : "you cannot change what needs more power than you have";
	if (now && new > j->power)							/* 9.5.2, 9.7.1, 9.9.1 */
		return "you cannot give more power than you have";
	return NULL;
}

static int
by_key(const void *x, const void *y)
{
	const struct json_member *a = *(struct json_member *const *)x, *b = *(struct json_member *const *)y;
	int c = memcmp(a->key, b->key, a->key_n < b->key_n ? a->key_n : b->key_n);

	return c ? c : a->key_n < b->key_n ? -1 : a->key_n > b->key_n;
}

/* The members by key, *n of them and a NULL behind: two lists of thousands are compared in one pass. */
static struct json_member **
sorted(struct arena *a, const struct json *obj)
{
	size_t n = json_is(obj, JSON_OBJ) ? obj->u.obj.n : 0;
	struct json_member **list = arena_calloc(a, n + 1, sizeof(*list));

	for (size_t i = 0; i < n; i++)
		list[i] = &obj->u.obj.v[i];
	qsort(list, n, sizeof(*list), by_key);
	return list;
}

static enum entry
entry_of(const struct judge *j, bool users, const struct json_member *m)
{
	return !users ? SETTING : esc_equals_raw(j->ev->sender, m->key, m->key_n) ? OWN_LEVEL : OTHERS_LEVEL;
}

/* 9.6 to 9.9: the entries of one object of levels. */
static const char *
changes_fault(const struct judge *j, const char *name)
{
	const struct json *before = json_get(j->levels, name), *now = json_get(j->ev->content, name);
	bool users = strcmp(name, "users") == 0;
	struct json_member **b = sorted(j->cx->a, before), **n = sorted(j->cx->a, now);
	const char *fault = NULL;

	if (now && !json_is(now, JSON_OBJ))
		return "a list of power levels is no object";
	while (!fault && (*b || *n)) {
		int c = !*b ? 1 : !*n ? -1 : by_key(b, n);
		const struct json_member *old = c <= 0 ? *b++ : NULL, *new = c >= 0 ? *n++ : NULL;

		fault = change_fault(j, old ? old->value : NULL, new ? new->value : NULL,
		    entry_of(j, users, old ? old : new));
	}
	return fault;
}

static const char *
any_change_fault(const struct judge *j)
{
	const char *fault = NULL;

	for (size_t i = 0; !fault && i < NAMED; i++)				/* 9.5 */
		fault = change_fault(j, json_get(j->levels, named_levels[i].name),
		    json_get(j->ev->content, named_levels[i].name), SETTING);
	if (!fault)								/* 9.6, 9.7 */
		fault = changes_fault(j, "events");
	if (!fault && j->rv->notifications_pl)
		fault = changes_fault(j, "notifications");
	return fault ? fault : changes_fault(j, "users");			/* 9.8, 9.9 */
}

enum err
auth_power_levels(const struct judge *j)
{
	const struct json *content = j->ev->content;
	const char *fault = form_fault(j->cx->a, j->rv, content);

	if (!fault && j->rv->privileged_creators && names_creator(j->cx->a, j->create, json_get(content, "users")))
		fault = "users names a creator of the room";
	if (!fault && j->levels)						/* 9.4: the first may be anything */
		fault = any_change_fault(j);
	return fault ? fail(j->cx, M_FORBIDDEN, "%s", fault) : M_OK;
}
