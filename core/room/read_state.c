/* core/room/read_state.c - the state of a room, see read.h. */
#include "core/room/erased.h"
#include "core/room/names.h"
#include "core/room/read.h"
#include "core/room/read_impl.h"

/*
 * State at a version of line 0. OFFSET 0 keeps the planner from joining all of table event. Put into order before the events are
 * fetched: sorting those would go to disk where they are many.
 */
#define EVENT_OF " CROSS JOIN LATERAL (SELECT * FROM event WHERE nid = s.event OFFSET 0) e"
#define COLS ROOM_EVENT_COLS_BARE("false", "true")
#define AT_VERSION(which) "SELECT " COLS " FROM (SELECT event FROM state_of_room($1, $2) WHERE " which " ORDER BY since OFFSET 0) s" EVENT_OF
STMT(read_state_all, AT_VERSION("type <> 2 OR NOT $3"));
STMT(read_state_members, AT_VERSION("type = 2 AND ($3 = 0 AND $4 = 0 OR membership = $3 OR $4 <> 0 AND membership <> $4)"));
STMT(read_state_some,
    "SELECT " COLS " FROM unnest($3::bigint[]) u(usr)"
    " CROSS JOIN LATERAL (SELECT event FROM state WHERE room = $1 AND line = 0 AND type = 2 AND key = u.usr AND since <= $2"
    "	ORDER BY since DESC LIMIT 1) s" EVENT_OF);
STMT(read_state_one,
    "SELECT " ROOM_EVENT_COLS " FROM (SELECT event FROM state WHERE room = $1 AND line = 0"
    "	AND type = (SELECT nid FROM name WHERE body = $3) AND key = (SELECT nid FROM name WHERE body = $4) AND since <= $2"
    "	ORDER BY since DESC LIMIT 1) s" EVENT_OF);
STMT(read_joined,
    "SELECT n.body, e.content, e.flags FROM current_state s CROSS JOIN LATERAL (SELECT content, flags FROM event WHERE nid = s.event OFFSET 0) e"
    " JOIN name n ON n.nid = s.key"
    " WHERE s.room = $1 AND s.type = 2 AND s.membership = 2");
/* The version that an event met is the version behind all that came before it. */
STMT(read_version_behind, "SELECT at_ver FROM event WHERE room = $1 AND room_pos > $2 ORDER BY room_pos LIMIT 1");

/* What is not for someone who was not there (erased.h). Asks when he was only where there is such a thing. */
static enum err
hide_erased(struct ctx *cx, const struct room_access *acc, struct room_event *ev, size_t n)
{
	struct visibility vis;
	struct rows spans;
	bool any = false;
	enum err e;

	for (size_t i = 0; i < n && !any; i++)
		any = erased_any(&ev[i]);
	if (!any)
		return M_OK;
	visibility_queue(cx, &spans, &cx->user_nid, &acc->room, 1);
	if ((e = db_run(cx)) != M_OK)
		return e;
	visibility_take(cx, &spans, &cx->user_nid, 1, &vis);
	read_erased(cx, acc, &vis, ev, n);
	return M_OK;
}

/* Runs what is queued and writes the events that it finds. r: their rows. */
static enum err
write_rows(struct ctx *cx, struct rows *r, const struct room_access *acc, struct json_out *o)
{
	struct room_event *ev, **of;
	struct rows erased;
	size_t n = 0;
	enum err e;

	erased_queue(cx, &erased);
	if ((e = db_run(cx)) != M_OK)
		return e;
	ev = arena_alloc(cx->a, ((size_t)r->n + 1) * sizeof *ev);
	of = arena_alloc(cx->a, ((size_t)r->n + 1) * sizeof *of);
	for (; db_next(r); n++) {
		room_event_read(r, &ev[n]);
		of[n] = &ev[n];
	}
	if ((e = room_event_name_all(cx, of, n)) != M_OK || (erased.n > 0 && (e = erased_mark(cx, of, n)) != M_OK) ||
	    (e = hide_erased(cx, acc, ev, n)) != M_OK)
		return e;
	for (size_t i = 0; i < n; i++)
		room_event_write(o, NULL, &ev[i], acc->id, cx->now, MEM_NONE, NULL);
	return M_OK;
}

enum err
read_state_at(struct ctx *cx, const struct room_access *acc, int64_t ver, bool but_members, struct json_out *o)
{
	struct rows r;

	db_queue(cx, &r, DB_ANY, &read_state_all, P_I64(acc->room), P_I64(ver), P_BOOL(but_members));
	return write_rows(cx, &r, acc, o);
}

enum err
read_members_of(struct ctx *cx, const struct room_access *acc, const int64_t *users, size_t n, int64_t ver, struct json_out *o)
{
	struct rows r;

	db_queue(cx, &r, DB_ANY, &read_state_some, P_I64(acc->room), P_I64(ver), P_I64S(users, n));
	return write_rows(cx, &r, acc, o);
}

static enum err
open_state(struct ctx *cx, const char *room, struct room_access *acc)
{
	enum err e = access_open(cx, room, acc);

	if (e == M_OK && acc->ver < 0)
		return fail(cx, M_FORBIDDEN, "you are not in this room");
	return e;
}

enum err
read_state(struct ctx *cx, const char *room, struct json_out *o)
{
	struct room_access acc;
	enum err e;

	if ((e = open_state(cx, room, &acc)) != M_OK)
		return e;
	json_arr(o, NULL);
	e = read_state_at(cx, &acc, acc.ver, false, o);
	json_end(o);
	return e;
}

enum err
read_state_event(struct ctx *cx, const char *room, const char *type, const char *state_key, bool whole, struct json_out *o)
{
	struct room_event ev;
	struct room_access acc;
	struct rows r;
	enum err e;

	if ((e = open_state(cx, room, &acc)) != M_OK ||
	    (e = db_maybe(cx, &r, &read_state_one, P_I64(acc.room), P_I64(acc.ver), P_TEXT(type), P_TEXT(state_key))) != M_OK)
		return e;
	if (r.n == 0)
		return fail(cx, M_NOT_FOUND, "there is no such state in this room");
	room_event_read(&r, &ev);
	if ((e = hide_erased(cx, &acc, &ev, 1)) != M_OK)
		return e;
	if (whole)
		room_event_write(o, NULL, &ev, acc.id, cx->now, MEM_NONE, NULL);
	else
		json_raw(o, NULL, room_event_content(cx->a, &ev));
	return M_OK;
}

static enum err
read_membership(struct ctx *cx, const char *name, enum membership *out)
{
	*out = membership_of(name);
	if (name != NULL && *out == MEM_NONE)
		return fail(cx, M_INVALID_PARAM, "there is no such membership");
	return M_OK;
}

/* What held at a version is for who may see an event of then. */
static enum err
may_see(struct ctx *cx, const struct room_access *acc, int64_t ver)
{
	struct room_event then = { .ver = ver, .at_ver = ver, .type_nid = T_MESSAGE, .key_nid = -1 };
	struct visibility vis;
	struct rows spans;
	enum err e;

	visibility_queue(cx, &spans, &cx->user_nid, &acc->room, 1);
	if ((e = db_run(cx)) != M_OK)
		return e;
	visibility_take(cx, &spans, &cx->user_nid, 1, &vis);
	return visibility_allows(cx->a, &vis, &then) ? M_OK : fail(cx, M_FORBIDDEN, "what was then is not for you");
}

static enum err
version_at(struct ctx *cx, const struct room_access *acc, const char *at, int64_t *ver)
{
	int64_t pos;
	struct rows r;
	enum err e;

	*ver = acc->ver;
	if (at == NULL)
		return M_OK;
	if ((e = read_token(cx, acc, at, &pos)) != M_OK ||
	    (e = db_maybe(cx, &r, &read_version_behind, P_I64(acc->room), P_I64(pos))) != M_OK)
		return e;
	if (r.n == 0 || db_null(&r, 0) || db_i64(&r, 0) >= *ver)
		return M_OK;
	*ver = db_i64(&r, 0);
	return may_see(cx, acc, *ver);
}

enum err
read_members(struct ctx *cx, const char *room, const char *at, const char *membership, const char *not_membership,
    struct json_out *o)
{
	enum membership only, but;
	struct room_access acc;
	struct rows r;
	int64_t ver;
	enum err e;

	if ((e = read_membership(cx, membership, &only)) != M_OK || (e = read_membership(cx, not_membership, &but)) != M_OK ||
	    (e = open_state(cx, room, &acc)) != M_OK || (e = version_at(cx, &acc, at, &ver)) != M_OK)
		return e;
	db_queue(cx, &r, DB_ANY, &read_state_members, P_I64(acc.room), P_I64(ver), P_I64(only), P_I64(but));
	json_obj(o, NULL);
	json_arr(o, "chunk");
	if ((e = write_rows(cx, &r, &acc, o)) != M_OK)
		return e;
	json_end(o);
	json_end(o);
	return M_OK;
}

enum err
read_joined_members(struct ctx *cx, const char *room, struct json_out *o)
{
	struct room_access acc;
	struct rows r;
	enum err e;

	if ((e = access_joined(cx, room, &acc)) != M_OK || (e = db_query(cx, &r, &read_joined, P_I64(acc.room))) != M_OK)
		return e;
	json_obj(o, NULL);
	json_obj(o, "joined");
	while (db_next(&r)) {
		struct room_event ev = { .content = db_text(&r, 1), .flags = (int)db_i64(&r, 2) };
		const char *text = room_event_content(cx->a, &ev);
		struct json *c = NULL;
		json_parse(cx->a, text, strlen(text), &c);
		json_key_esc(o, db_text(&r, 0));
		json_obj(o, NULL);
		if (json_is(json_get(c, "avatar_url"), JSON_STR))
			json_value(o, "avatar_url", json_get(c, "avatar_url"));
		if (json_is(json_get(c, "displayname"), JSON_STR))
			json_value(o, "display_name", json_get(c, "displayname"));
		json_end(o);
	}
	json_end(o);
	json_end(o);
	return M_OK;
}
