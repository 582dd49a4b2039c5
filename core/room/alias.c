/* core/room/alias.c - see alias.h. */
#include "core/room/alias.h"
#include "core/base/id.h"
#include "core/room/access.h"
#include "core/room/append.h"

STMT(alias_room, "SELECT r.id, a.creator FROM alias a JOIN room r ON r.nid = a.room WHERE a.alias = $1");
STMT(alias_insert_row, "INSERT INTO alias (alias, room, creator, created_ts) VALUES ($1, $2, $3, $4)");
STMT(alias_delete_row, "DELETE FROM alias WHERE alias = $1");
STMT(alias_of_room, "SELECT alias FROM alias WHERE room = $1 ORDER BY alias");
STMT(alias_directory_get, "SELECT public FROM room WHERE id = $1 AND NOT purged");
STMT(alias_directory_set, "UPDATE room SET public = $2 WHERE nid = $1");

static enum err
check(struct ctx *cx, const char *alias)
{
	return id_is_alias(alias) ? M_OK : fail(cx, M_INVALID_PARAM, "that is no room alias");
}

/* The room's id and who made the alias. */
static enum err
look_up(struct ctx *cx, const char *alias, const char **room, int64_t *creator)
{
	struct rows r;
	enum err e;

	if ((e = check(cx, alias)) != M_OK || (e = db_maybe(cx, &r, &alias_room, P_TEXT(alias))) != M_OK)
		return e;
	if (r.n == 0)
		return fail(cx, M_NOT_FOUND, "there is no such room alias");
	*room = db_text(&r, 0);
	*creator = db_i64(&r, 1);
	return M_OK;
}

enum err
alias_find(struct ctx *cx, const char *alias, const char **room)
{
	int64_t creator;

	return look_up(cx, alias, room, &creator);
}

enum err
alias_resolve(struct ctx *cx, const char *room_or_alias, const char **room)
{
	if (room_or_alias[0] == '#')
		return alias_find(cx, room_or_alias, room);
	if (!id_is_room(room_or_alias))
		return fail(cx, M_INVALID_PARAM, "that is neither a room id nor a room alias");
	*room = room_or_alias;
	return M_OK;
}

enum err
alias_insert(struct ctx *cx, const char *alias, int64_t room)
{
	enum err e = db_exec(cx, NULL, &alias_insert_row, P_TEXT(alias), P_I64(room), P_I64(cx->user_nid), P_I64(cx->now));

	if (e == E_CONFLICT && strcmp(db_constraint(cx), "alias_pkey") == 0)
		return fail(cx, M_ALIAS_IN_USE, "that room alias exists already");
	return e;
}

enum err
alias_create(struct ctx *cx, const char *alias, const char *room)
{
	struct room_access acc;
	enum err e;

	if ((e = check(cx, alias)) != M_OK)
		return e;
	if (!name_is_local(cx, alias))
		return fail(cx, M_INVALID_PARAM, "that alias belongs to another server");
	if ((e = access_joined(cx, room, &acc)) != M_OK)
		return e;
	return alias_insert(cx, alias, acc.room);
}

/* The room's state under its lock, as far as it is about its aliases. */
static enum err
open_room(struct ctx *cx, const char *room, struct append *ap)
{
	const struct draft d = { .type = "m.room.canonical_alias", .state_key = "" };

	append_init(ap, cx);
	append_want_draft(ap, &d);
	return append_open(ap, room);
}

/* May cx->user set the canonical alias? */
static enum err
may_name_room(struct ctx *cx, struct append *ap)
{
	struct auth_state st = append_auth_state(ap);
	if (append_membership(ap, cx->user) != MEM_JOIN)
		return fail(cx, M_FORBIDDEN, "you are not in this room");
	if (power_of_user(&st, ap->room.rv, cx->user) < power_for_event(&st, ap->room.rv, "m.room.canonical_alias", true))
		return fail(cx, M_FORBIDDEN, "you may not change this room's aliases");
	return M_OK;
}

/* The room's m.room.canonical_alias without an alias that is no more; NULL when it does not name it. */
static struct json *
without(struct arena *a, const struct json *content, const char *alias)
{
	const struct json *alt = json_get(content, "alt_aliases");
	struct json *name = json_new_esc(a, alias), *c = json_copy(a, content), *rest = json_new_arr(a);
	bool found = json_get(c, "alias") != NULL && json_equal(json_get(c, "alias"), name);

	if (found)
		json_del(c, "alias");
	for (size_t i = 0; json_is(alt, JSON_ARR) && i < alt->u.arr.n; i++)
		if (!json_equal(alt->u.arr.v[i], name))
			json_push(a, rest, alt->u.arr.v[i]);
	if (json_is(alt, JSON_ARR) && rest->u.arr.n < alt->u.arr.n) {
		found = true;
		json_del(c, "alt_aliases");
		if (rest->u.arr.n > 0)
			json_set(a, c, "alt_aliases", rest);
	}
	return found ? c : NULL;
}

/* A deleted alias also leaves the room's state, if its user may change that; if not, it is deleted all the same. */
static enum err
forget_alias(struct append *ap, const char *alias)
{
	const struct slot *s = append_state(ap, "m.room.canonical_alias", "");
	struct draft d = { .type = "m.room.canonical_alias", .state_key = "" };
	enum err e;

	if (s == NULL || (d.content = without(ap->cx->a, s->ev->content, alias)) == NULL)
		return M_OK;
	if ((e = append_event(ap, &d, NULL)) != M_OK)
		return e == M_FORBIDDEN ? M_OK : e;
	append_close(ap);
	return M_OK;
}

enum err
alias_delete(struct ctx *cx, const char *alias)
{
	struct append ap;
	const char *room;
	int64_t creator;
	enum err e;

	if ((e = look_up(cx, alias, &room, &creator)) != M_OK || (e = open_room(cx, room, &ap)) != M_OK ||
	    (creator != cx->user_nid && (e = may_name_room(cx, &ap)) != M_OK) || (e = forget_alias(&ap, alias)) != M_OK)
		return e;
	return db_exec(cx, NULL, &alias_delete_row, P_TEXT(alias));
}

enum err
alias_list(struct ctx *cx, const char *room, const char ***aliases, size_t *n)
{
	struct room_access acc;
	struct rows r;
	enum err e;

	if ((e = access_open(cx, room, &acc)) != M_OK)
		return e;
	/* Who has left may look back, but the aliases are those of today. */
	if (acc.membership != MEM_JOIN && acc.top != acc.last_room_pos)
		return fail(cx, M_FORBIDDEN, "you are not in this room");
	if ((e = db_query(cx, &r, &alias_of_room, P_I64(acc.room))) != M_OK)
		return e;
	*aliases = arena_calloc(cx->a, (size_t)r.n + 1, sizeof **aliases);
	for (*n = 0; db_next(&r); (*n)++)
		(*aliases)[*n] = db_text(&r, 0);
	return M_OK;
}

enum err
directory_get(struct ctx *cx, const char *room, bool *public)
{
	struct rows r;
	enum err e;

	if ((e = db_maybe(cx, &r, &alias_directory_get, P_TEXT(room))) != M_OK)
		return e;
	if (r.n == 0)
		return fail(cx, M_NOT_FOUND, "there is no such room here");
	*public = db_bool(&r, 0);
	return M_OK;
}

enum err
directory_set(struct ctx *cx, const char *room, bool public)
{
	struct append ap;
	bool was;
	enum err e;

	if ((e = directory_get(cx, room, &was)) != M_OK || (e = open_room(cx, room, &ap)) != M_OK ||
	    (e = may_name_room(cx, &ap)) != M_OK)
		return e;
	return db_exec(cx, NULL, &alias_directory_set, P_I64(ap.room.nid), P_BOOL(public));
}
