/* core/live/receipt.c - how far users have read; see receipt.h. */
#include "core/live/receipt.h"

#include <string.h>

#include "core/db/db.h"
#include "core/event/event.h"
#include "core/push/counts.h"
#include "core/room/render.h"

#define HOPS 3		/* from a reaction or an edit to the event that is in the thread ("Threaded read receipts") */

STMT(receipt_room,
    "SELECT r.nid FROM room r JOIN local_member m ON m.room = r.nid AND m.usr = $2 AND m.membership = 2 WHERE r.id = $1");
STMT_WARM(receipt_room, "web");
STMT(receipt_event,
    "SELECT nid, room_pos, content, flags FROM event"
    " WHERE id = $1 AND room = (SELECT nid FROM room WHERE id = $2) AND room_pos IS NOT NULL");
STMT_WARM(receipt_event, "web");
STMT(receipt_upsert,
    "INSERT INTO receipt (room, usr, thread, kind, event, room_pos, ts) VALUES ($1, $2, $3, $4, $5, $6, $7)"
    " ON CONFLICT (room, usr, thread, kind) DO UPDATE SET event = excluded.event, room_pos = excluded.room_pos, ts = excluded.ts"
    " WHERE receipt.room_pos < excluded.room_pos");
STMT_WARM(receipt_upsert, "web");
/* The content is canonical, {"event_id":"<esc>"}: the id stands between its 13th and its last but one character. */
STMT(receipt_fully_read,
    "INSERT INTO account_data (usr, room, type, content) VALUES ($1, $2, 'm.fully_read', '{\"event_id\":\"' || $3 || '\"}')"
    " ON CONFLICT (usr, room, type) DO UPDATE SET content = excluded.content"
    " WHERE coalesce($4 > (SELECT e.room_pos FROM event e WHERE e.room = $2"
    "	AND e.id = substr(account_data.content, 14, length(account_data.content) - 15)), true)");

enum receipt_kind
receipt_kind_of(const char *type)
{
	if (strcmp(type, "m.read") == 0)
		return RECEIPT_READ;
	if (strcmp(type, "m.read.private") == 0)
		return RECEIPT_PRIVATE;
	return strcmp(type, "m.fully_read") == 0 ? RECEIPT_FULLY_READ : RECEIPT_NONE;
}

struct target {
	int64_t nid, room_pos;
	const char *content;
	int flags;
};

static enum err
target_find(struct ctx *cx, const char *room, const char *event, struct target *t)
{
	struct rows r;
	enum err e = db_maybe(cx, &r, &receipt_event, P_TEXT(event), P_TEXT(room));

	if (e != M_OK)
		return e;
	*t = (struct target){ 0 };
	if (r.n > 0)
		*t = (struct target){ .nid = db_i64(&r, 0), .room_pos = db_i64(&r, 1), .content = db_text(&r, 2),
		    .flags = (int)db_i64(&r, 3) };
	return M_OK;
}

/* m.relates_to of an event; NULL: it relates to none. */
static const struct json *
relation_of(struct ctx *cx, const struct target *t)
{
	struct json *v;

	json_parse(cx->a, t->content, strlen(t->content), &v);
	return json_get(t->flags & EV_VERBATIM ? json_get(v, "content") : v, "m.relates_to");
}

/* The root of the thread that the event is in; NULL: it is in the main timeline. */
static enum err
thread_of(struct ctx *cx, const char *room, struct target t, const char **root)
{
	enum err e;

	*root = NULL;
	for (int hop = 0; hop <= HOPS && t.nid != 0; hop++) {
		const struct json *rel = relation_of(cx, &t);
		const char *parent = json_get_esc(cx->a, rel, "event_id");

		if (!parent)
			return M_OK;
		if (json_str_eq(json_get(rel, "rel_type"), "m.thread")) {
			*root = parent;
			return M_OK;
		}
		if ((e = target_find(cx, room, parent, &t)) != M_OK)
			return e;
	}
	return M_OK;
}

/* The thread's number; M_INVALID_PARAM when the event is not in it. A thread may also be read up to its root. */
static enum err
thread_nid(struct ctx *cx, const char *room, const struct receipt *v, const struct target *t, int64_t *nid)
{
	struct target first;
	const char *root;
	enum err e;

	*nid = RECEIPT_UNTHREADED;
	if (!v->thread)
		return M_OK;
	if ((e = thread_of(cx, room, *t, &root)) != M_OK)
		return e;
	*nid = RECEIPT_MAIN;
	if (strcmp(v->thread, "main") == 0 && !root)
		return M_OK;
	if (strcmp(v->thread, root ? root : v->event) != 0)
		return fail(cx, M_INVALID_PARAM, "the event is not in this thread");
	if ((e = target_find(cx, room, v->thread, &first)) != M_OK)
		return e;
	if (first.nid == 0 && root)	/* its root was purged: what was said in it counts as the main timeline's */
		return M_OK;
	if (first.nid == 0)
		return fail(cx, M_INVALID_PARAM, "there is no such thread");
	*nid = first.nid;
	return M_OK;
}

static enum err
set_one(struct ctx *cx, const char *room, int64_t room_nid, const struct receipt *v)
{
	int64_t thread, changed;
	struct target t;
	enum err e;

	if ((e = target_find(cx, room, v->event, &t)) != M_OK)
		return e;
	if (t.nid == 0)
		return fail(cx, M_NOT_FOUND, "there is no such event in this room");
	if ((e = thread_nid(cx, room, v, &t, &thread)) != M_OK)
		return e;
	if (v->kind != RECEIPT_FULLY_READ) {
		const struct read_up_to pos = { cx->user_nid, room_nid, thread, t.room_pos };

		read_up_to_queue(cx, &pos, 1);
		mentions_read_queue(cx, &pos);
	}
	if (v->kind == RECEIPT_FULLY_READ)
		e = db_exec(cx, &changed, &receipt_fully_read, P_I64(cx->user_nid), P_I64(room_nid), P_TEXT(v->event), P_I64(t.room_pos));
	else
		e = db_exec(cx, &changed, &receipt_upsert, P_I64(room_nid), P_I64(cx->user_nid), P_I64(thread), P_I64(v->kind),
		    P_I64(t.nid), P_I64(t.room_pos), P_I64(cx->now));
	if (e != M_OK || changed == 0)
		return e;
	touch_user(cx, cx->user_nid);
	if (v->kind == RECEIPT_READ)
		touch_room_soon(cx, room_nid);
	return M_OK;
}

enum err
receipt_set(struct ctx *cx, const char *room, const struct receipt *v, size_t n)
{
	struct rows r;
	enum err e;

	if ((e = db_maybe(cx, &r, &receipt_room, P_TEXT(room), P_I64(cx->user_nid))) != M_OK)
		return e;
	if (r.n == 0)
		return fail(cx, M_FORBIDDEN, "you are not in this room");
	for (size_t i = 0; i < n && e == M_OK; i++)
		e = set_one(cx, room, db_i64(&r, 0), &v[i]);
	return e;
}
