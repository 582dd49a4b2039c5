/* core/room/upgrade.c - see upgrade.h. */
#include "core/room/upgrade.h"
#include "core/base/conf.h"
#include "core/base/id.h"
#include "core/room/alias.h"
#include "core/room/append.h"
#include "core/room/member.h"
#include "core/user/carry_over.h"

/* Bans, and what a space holds. */
STMT(upgrade_many,
    "SELECT s.type, n.body, e.content, e.flags FROM current_state s CROSS JOIN LATERAL (SELECT body FROM name WHERE nid = s.key) n"
    " CROSS JOIN LATERAL (SELECT content, flags FROM event WHERE nid = s.event OFFSET 0) e"
    " WHERE s.room = $1 AND (s.type = 2 AND s.membership = 5 OR s.type = 20) ORDER BY s.since");
STMT(upgrade_aliases, "UPDATE alias SET room = $2 WHERE room = $1");
STMT(upgrade_unlist, "UPDATE room SET public = false WHERE nid = $1 AND public");

/* What the specification recommends to take along; join rules, visibility and guests first, as in a new room. */
static const char *const copied[] = {
	"m.room.join_rules", "m.room.history_visibility", "m.room.guest_access", "m.room.name", "m.room.topic", "m.room.avatar",
	"m.room.encryption", "m.room.server_acl", "m.room.canonical_alias",
};
#define NCOPIED (sizeof copied / sizeof *copied)

struct upgrade {
	struct ctx *cx;
	const struct room_version *rv;		/* the new one's */
	const struct json *creators;
	struct append old, new;
	struct draft *plan;			/* of the new room: create, join, power levels, the rest */
	size_t n;
	struct json *power;			/* as the new room is to have them in the end */
	bool raised;				/* they begin with more for the upgrading user */
};

static const struct json *
content_of(const struct append *ap, const char *type)
{
	const struct slot *s = append_state(ap, type, "");

	return s != NULL ? s->ev->content : NULL;
}

static void
plan_add(struct upgrade *u, const char *type, const char *key, struct json *content)
{
	u->plan[u->n++] = (struct draft){ .type = type, .state_key = key, .content = content };
}

/* ---- power levels */

/* Levels as numbers: room versions before 10 took strings too. Others are left out. */
static struct json *
level_of(struct arena *a, struct json *v)
{
	char *end;
	long long n;

	if (json_is(v, JSON_INT))
		return v;
	if (!json_is(v, JSON_STR) && !json_is(v, JSON_NUM))
		return NULL;
	n = strtoll(v->u.str.s, &end, 10);
	return end != v->u.str.s && n <= JSON_INT_MAX && n >= -JSON_INT_MAX ? json_new_int(a, n) : NULL;
}

static struct json *
with_numbers(struct arena *a, const struct json *levels, int depth)
{
	struct json *out = json_new_obj(a), *v;

	for (size_t i = 0; i < levels->u.obj.n; i++) {
		const struct json_member *m = &levels->u.obj.v[i];
		v = json_is(m->value, JSON_OBJ) && depth > 0 ? with_numbers(a, m->value, depth - 1) : level_of(a, m->value);
		if (v != NULL)
			json_set(a, out, m->key, v);
	}
	return out;
}

static bool
creates(const struct upgrade *u, const char *user)
{
	if (strcmp(user, u->cx->user) == 0)
		return true;
	for (size_t i = 0; u->creators != NULL && i < u->creators->u.arr.n; i++)
		if (strcmp(json_esc_of(u->cx->a, u->creators->u.arr.v[i]), user) == 0)
			return true;
	return false;
}

static int64_t
highest(const struct json *users)
{
	int64_t top = 100;

	for (size_t i = 0; json_is(users, JSON_OBJ) && i < users->u.obj.n; i++)
		if (json_is(users->u.obj.v[i].value, JSON_INT) && users->u.obj.v[i].value->u.i > top)
			top = users->u.obj.v[i].value->u.i;
	return top;
}

/* Creators of version 12 are not in the list of users; those of a room that was of version 12 have to come into it. */
static void
fix_users(struct upgrade *u, struct json *power)
{
	struct arena *a = u->cx->a;
	const struct json *was = json_get(power, "users");
	const struct event *create = append_state(&u->old, "m.room.create", "")->ev;
	const struct json *more = json_get(create->content, "additional_creators");
	struct json *users = json_new_obj(a);
	int64_t top = highest(was);

	for (size_t i = 0; json_is(was, JSON_OBJ) && i < was->u.obj.n; i++) {
		const struct json_member *m = &was->u.obj.v[i];
		if (!u->rv->privileged_creators || !creates(u, esc_from_raw(a, m->key, m->key_n)))
			json_set(a, users, m->key, m->value);
	}
	if (u->old.room.rv->privileged_creators && !u->rv->privileged_creators) {
		json_set_esc(a, users, create->sender, json_new_int(a, top));
		for (size_t i = 0; json_is(more, JSON_ARR) && i < more->u.arr.n; i++)
			if (json_is(more->u.arr.v[i], JSON_STR))
				json_set_esc(a, users, json_esc_of(a, more->u.arr.v[i]), json_new_int(a, top));
	}
	json_set(a, power, "users", users);
}

static const struct event *
fake_get(void *arg, const char *type, const char *key)
{
	const struct event *ev = arg;

	for (int i = 0; i < 2; i++)
		if (strcmp(ev[i].type, type) == 0 && *key == '\0')
			return &ev[i];
	return NULL;
}

/* The level that the upgrading user needs for all that he is to send into the new room; INT64_MIN when he has it. */
static int64_t
missing_level(struct upgrade *u)
{
	struct event ev[2] = {
		{ .rv = u->rv, .type = "m.room.create", .state_key = "", .sender = u->cx->user, .content = u->plan[0].content },
		{ .rv = u->rv, .type = "m.room.power_levels", .state_key = "", .sender = u->cx->user, .content = u->power },
	};
	struct auth_state st = { .get = fake_get, .arg = ev, .create = &ev[0] };
	int64_t need = power_for_event(&st, u->rv, "m.room.power_levels", true), l;

	for (size_t i = 0; i < u->n; i++) {
		bool ban = strcmp(u->plan[i].type, "m.room.member") == 0;
		l = ban ? power_level(&st, u->rv, "ban") : power_for_event(&st, u->rv, u->plan[i].type, true);
		need = l > need ? l : need;
	}
	return power_of_user(&st, u->rv, u->cx->user) < need ? need : INT64_MIN;
}

static void
plan_power(struct upgrade *u)
{
	struct arena *a = u->cx->a;
	const struct json *was = content_of(&u->old, "m.room.power_levels");
	struct json *power = was != NULL ? json_copy(a, was) : json_new_obj(a), *events;

	if (u->rv->integer_power_levels && !u->old.room.rv->integer_power_levels)
		power = with_numbers(a, power, 1);
	if (was == NULL) {
		struct json *users = json_new_obj(a);
		json_set_esc(a, users, u->cx->user, json_new_int(a, 100));
		json_set(a, power, "users", users);
	}
	if (u->rv->privileged_creators || u->old.room.rv->privileged_creators)
		fix_users(u, power);
	/* Version 12 demands it of new rooms: who is no creator shall not be able to end them. */
	if (u->rv->privileged_creators) {
		events = json_get(power, "events");
		events = json_is(events, JSON_OBJ) ? json_copy(a, events) : json_new_obj(a);
		if (json_get_int(events, "m.room.tombstone", 0) < 150)
			json_set(a, events, "m.room.tombstone", json_new_int(a, 150));
		json_set(a, power, "events", events);
	}
	u->power = power;
}

/* What the third event says, now that all others are planned. */
static void
raise_power(struct upgrade *u)
{
	struct arena *a = u->cx->a;
	int64_t need = missing_level(u);
	struct json *first, *users;

	u->plan[2].content = u->power;
	if (need == INT64_MIN)
		return;
	users = json_get(u->power, "users");
	users = json_is(users, JSON_OBJ) ? json_copy(a, users) : json_new_obj(a);
	json_set_esc(a, users, u->cx->user, json_new_int(a, need));
	first = json_copy(a, u->power);
	json_set(a, first, "users", users);
	u->plan[2].content = first;
	u->raised = true;
	plan_add(u, "m.room.power_levels", "", u->power);
}

/* ---- the plan */

static struct json *
create_content(struct upgrade *u)
{
	struct arena *a = u->cx->a;
	const struct json *old = content_of(&u->old, "m.room.create");
	struct json *c = json_new_obj(a), *predecessor = json_new_obj(a);

	if (json_get(old, "type") != NULL)
		json_set(a, c, "type", json_get(old, "type"));
	if (json_get(old, "m.federate") != NULL)
		json_set(a, c, "m.federate", json_get(old, "m.federate"));
	if (!u->rv->implicit_creator)
		json_set(a, c, "creator", json_new_esc(a, u->cx->user));
	if (u->rv->privileged_creators && u->creators != NULL && u->creators->u.arr.n > 0)
		json_set(a, c, "additional_creators", json_copy(a, u->creators));
	json_set(a, c, "room_version", json_new_str(a, u->rv->id));
	json_set(a, predecessor, "room_id", json_new_esc(a, u->old.room.id));
	json_set(a, c, "predecessor", predecessor);
	return c;
}

static struct json *
join_content(struct upgrade *u)
{
	struct arena *a = u->cx->a;
	const struct json *was = append_state(&u->old, "m.room.member", u->cx->user)->ev->content;
	struct json *c = json_new_obj(a);

	json_set(a, c, "membership", json_new_str(a, "join"));
	for (size_t i = 0; i < was->u.obj.n; i++)
		if (strcmp(was->u.obj.v[i].key, "displayname") == 0 || strcmp(was->u.obj.v[i].key, "avatar_url") == 0)
			json_set(a, c, was->u.obj.v[i].key, was->u.obj.v[i].value);
	return c;
}

static void
plan_many(struct upgrade *u, struct rows *r)
{
	bool space = json_str_eq(json_get(content_of(&u->old, "m.room.create"), "type"), "m.space");

	while (db_next(r)) {
		const char *text = db_text(r, 2);
		struct json *c = NULL;
		json_parse(u->cx->a, text, strlen(text), &c);
		if (db_i64(r, 3) & EV_VERBATIM)
			c = json_get(c, "content");
		if (!json_is(c, JSON_OBJ))
			continue;
		if (db_i64(r, 0) == T_MEMBER) {
			member_strip(c);
			plan_add(u, "m.room.member", db_text(r, 1), c);
		} else if (space && json_is(json_get(c, "via"), JSON_ARR)) {
			plan_add(u, "m.space.child", db_text(r, 1), c);
		}
	}
}

static enum err
make_plan(struct upgrade *u)
{
	struct rows r;
	enum err e;

	if ((e = db_query(u->cx, &r, &upgrade_many, P_I64(u->old.room.nid))) != M_OK)
		return e;
	u->plan = arena_calloc(u->cx->a, (size_t)r.n + NCOPIED + 4, sizeof *u->plan);
	plan_add(u, "m.room.create", "", create_content(u));
	plan_add(u, "m.room.member", u->cx->user, join_content(u));
	plan_power(u);
	plan_add(u, "m.room.power_levels", "", u->power);
	for (size_t i = 0; i < NCOPIED; i++) {
		const struct json *c = content_of(&u->old, copied[i]);
		if (c != NULL && c->u.obj.n > 0)
			plan_add(u, copied[i], "", json_copy(u->cx->a, c));
	}
	plan_many(u, &r);
	raise_power(u);
	return M_OK;
}

/* ---- the old room */

/* The user's and everything that the old room's last events are judged by and the new one's are made of. */
static enum err
open_old(struct upgrade *u, const char *room)
{
	struct ctx *cx = u->cx;
	const struct draft tombstone = { .type = "m.room.tombstone", .state_key = "", .content = json_new_obj(cx->a) };
	struct auth_state st;
	bool public;
	enum err e;

	if ((e = directory_get(cx, room, &public)) != M_OK)
		return e;
	append_init(&u->old, cx);
	append_want_draft(&u->old, &tombstone);
	for (size_t i = 0; i < NCOPIED; i++)
		append_want(&u->old, copied[i], "");
	append_reserve(&u->old, 3);
	if ((e = append_open(&u->old, room)) != M_OK)
		return e;
	st = append_auth_state(&u->old);
	if (append_membership(&u->old, cx->user) != MEM_JOIN)
		return fail(cx, M_FORBIDDEN, "you are not in this room");
	if (power_of_user(&st, u->old.room.rv, cx->user) < power_for_event(&st, u->old.room.rv, "m.room.tombstone", true))
		return fail(cx, M_FORBIDDEN, "you may not upgrade this room");
	return M_OK;
}

static enum err
bury(struct upgrade *u, const char *replacement, const struct event **ev)
{
	struct arena *a = u->cx->a;
	struct draft d = { .type = "m.room.tombstone", .state_key = "", .content = json_new_obj(a) };

	json_set(a, d.content, "body", json_new_str(a, "This room has been replaced"));
	json_set(a, d.content, "replacement_room", json_new_esc(a, replacement));
	return append_event(&u->old, &d, ev);
}

/* What the user may not set stays as it is. */
static enum err
try_old(struct upgrade *u, const char *type, struct json *content)
{
	const struct draft d = { .type = type, .state_key = "", .content = content };
	enum err e = append_event(&u->old, &d, NULL);

	return e == M_FORBIDDEN ? M_OK : e;
}

static enum err
close_old(struct upgrade *u)
{
	static const char *const silenced[] = { "events_default", "invite" };
	struct arena *a = u->cx->a;
	const struct json *power = content_of(&u->old, "m.room.power_levels"), *alias = content_of(&u->old, "m.room.canonical_alias");
	struct json *less;
	int64_t least;
	enum err e;

	if (alias != NULL && alias->u.obj.n > 0 && (e = try_old(u, "m.room.canonical_alias", json_new_obj(a))) != M_OK)
		return e;
	if (power == NULL)
		return M_OK;
	least = json_get_int(power, "users_default", 0) + 1;
	least = least > 50 ? least : 50;
	less = json_copy(a, power);
	for (size_t i = 0; i < 2; i++)
		if (json_get_int(power, silenced[i], 0) < least)
			json_set(a, less, silenced[i], json_new_int(a, least));
	return json_equal(less, power) ? M_OK : try_old(u, "m.room.power_levels", less);
}

/* ---- the new room */

static enum err
open_new(struct upgrade *u)
{
	struct ctx *cx = u->cx;
	const char *id = NULL;

	append_init(&u->new, cx);
	for (size_t i = 0; i < u->n; i++)
		append_want_draft(&u->new, &u->plan[i]);
	append_reserve(&u->new, u->n);
	if (!u->rv->room_id_is_create_hash)
		id = arena_printf(cx->a, "!%s:%s", random_letters(cx->a, 18), cx->conf->server_name);
	else	/* two wishes of one moment must not make the same event */
		u->plan[0].ts = cx->now + cx->attempt;
	return append_open_fresh(&u->new, u->rv, id);
}

/* The create event names the tombstone, where the room's id is not its hash; the tombstone names the room. */
static enum err
link_both(struct upgrade *u)
{
	const struct event *tomb;
	enum err e;

	if (u->new.room.id != NULL) {
		if ((e = bury(u, u->new.room.id, &tomb)) != M_OK)
			return e;
		json_set(u->cx->a, json_get(u->plan[0].content, "predecessor"), "event_id", json_new_esc(u->cx->a, tomb->id));
		return append_event(&u->new, &u->plan[0], NULL);
	}
	if ((e = append_event(&u->new, &u->plan[0], NULL)) != M_OK)
		return e;
	return bury(u, u->new.room.id, &tomb);
}

static enum err
fill_new(struct upgrade *u)
{
	enum err e;

	for (size_t i = 1; i < u->n; i++) {
		e = append_event(&u->new, &u->plan[i], NULL);
		/* What its version cannot hold does not keep the room from being; without the first three there is none. */
		if (e != M_OK && (i < 3 || (e != M_FORBIDDEN && e != M_BAD_JSON)))
			return e;
	}
	u->new.room.public = u->old.room.public;
	return M_OK;
}

static enum err
check_creators(struct upgrade *u)
{
	if (u->creators == NULL || !u->rv->privileged_creators) {
		u->creators = NULL;
		return M_OK;
	}
	for (size_t i = 0; i < u->creators->u.arr.n; i++) {
		const struct json *v = u->creators->u.arr.v[i];
		if (!json_is(v, JSON_STR))
			return fail(u->cx, M_BAD_JSON, "additional_creators holds something else than user ids");
		if (!id_is_user(json_esc_of(u->cx->a, v)))
			return fail(u->cx, M_INVALID_PARAM, "additional_creators holds something else than user ids");
	}
	return M_OK;
}

enum err
room_upgrade(struct ctx *cx, const char *room, const char *version, const struct json *creators, const char **id)
{
	struct upgrade u = { .cx = cx, .rv = room_version_get(version), .creators = creators };
	enum err e;

	if (u.rv == NULL)
		return fail(cx, M_UNSUPPORTED_ROOM_VERSION, "this server does not know that room version");
	if ((e = check_creators(&u)) != M_OK || (e = open_old(&u, room)) != M_OK || (e = make_plan(&u)) != M_OK ||
	    (e = open_new(&u)) != M_OK || (e = link_both(&u)) != M_OK || (e = fill_new(&u)) != M_OK || (e = close_old(&u)) != M_OK)
		return e;
	append_close(&u.new);
	append_close(&u.old);
	db_queue(cx, NULL, DB_NONE, &upgrade_aliases, P_I64(u.old.room.nid), P_I64(u.new.room.nid));
	db_queue(cx, NULL, DB_NONE, &upgrade_unlist, P_I64(u.old.room.nid));
	*id = u.new.room.id;
	e = user_carry_over(cx, room, u.new.room.nid, u.new.room.id);
	/* The same create event as that of another room. */
	return e == E_CONFLICT && strcmp(db_constraint(cx), "room_id_key") == 0 ? E_RETRY : e;
}
