/* core/room/read.c - timelines: messages, single events, their context. read_state.c has the state. */
#include "core/room/read.h"
#include "core/room/erased.h"
#include "core/room/names.h"
#include "core/room/read_impl.h"
#include "core/room/relation.h"

/* The edge of the next open hole on the way is where a timeline stops (hole.h). Going down one stands above it, going up below. */
#define OPEN_HOLES "FROM hole WHERE room = $1 AND kind <> 3 AND prev <> '{}'"
STMT(read_back,
    "SELECT " ROOM_EVENT_COLS " FROM event e WHERE e.room = $1 AND e.room_pos <= $2 AND e.room_pos > $3"
    " AND e.room_pos > coalesce((SELECT max(next_pos) " OPEN_HOLES " AND coalesce(bottom_pos, -9223372036854775808) < $2), -9223372036854775808)"
    " ORDER BY e.room_pos DESC LIMIT $4");
STMT_WARM(read_back, "web");
STMT(read_forth,
    "SELECT " ROOM_EVENT_COLS " FROM event e WHERE e.room = $1 AND e.room_pos > $2 AND e.room_pos <= $3"
    " AND e.room_pos <= coalesce((SELECT min(bottom_pos) " OPEN_HOLES " AND next_pos > $2), 9223372036854775807)"
    " ORDER BY e.room_pos LIMIT $4");
STMT(read_hole_at,
    "SELECT EXISTS (SELECT 1 " OPEN_HOLES " AND CASE WHEN $3 THEN next_pos >= $2 AND (bottom_pos IS NULL OR bottom_pos < $2)"
    "	ELSE bottom_pos <= $2 AND next_pos > $2 END)");
STMT(read_one, "SELECT " ROOM_EVENT_COLS " FROM event e WHERE e.id = $1 AND e.room = $2 AND e.room_pos IS NOT NULL");
STMT(read_room_of, "SELECT (SELECT id FROM room WHERE nid = e.room) FROM event e WHERE e.id = $1");
STMT(read_boundary, "SELECT room_boundary($1, $2, $3, $4)");

/* Filters may leave little of a page: further ones are read, but not for ever. */
#define PAGES_MAX 8

enum err
read_token(struct ctx *cx, const struct room_access *acc, const char *token, int64_t *at)
{
	struct position p;
	struct rows r;
	enum err e;

	if (room_token_read(token, at))
		return M_OK;
	if (!token_decode(cx->a, token, &p))
		return fail(cx, M_INVALID_PARAM, "that is no token of this server");
	if ((e = db_row(cx, &r, &read_boundary, P_I64(acc->room), P_I64(acc->last_room_pos), P_POSITION(&p))) != M_OK)
		return e;
	*at = db_i64(&r, 0);
	return M_OK;
}

/* ---- a stretch of the timeline */

static void
page_queue(struct ctx *cx, struct page *pg, struct rows *r, int64_t want)
{
	if (pg->back)
		db_queue(cx, r, DB_ANY, &read_back, P_I64(pg->acc->room), P_I64(pg->at), P_I64(pg->stop), P_I64(want));
	else
		db_queue(cx, r, DB_ANY, &read_forth, P_I64(pg->acc->room), P_I64(pg->at), P_I64(pg->stop), P_I64(want));
}

/* Takes what the reader may and wants to see; moves pg->at behind the last event looked at. */
static void
page_take(struct ctx *cx, struct page *pg, struct rows *r, int64_t want)
{
	struct room_event ev;

	while (pg->n < pg->limit && db_next(r)) {
		room_event_read(r, &ev);
		pg->at = pg->back ? ev.room_pos - 1 : ev.room_pos;
		pg->looked++;
		if (ev.state_key == NULL && ignored_has(pg->ignored, ev.sender))
			continue;
		if (visibility_allows(cx->a, pg->vis, &ev) && (pg->filter == NULL ||
		    filter_event(pg->filter, pg->acc->id, ev.type, ev.sender, room_event_content(cx->a, &ev))))
			pg->ev[pg->n++] = ev;
	}
	if (r->n < want && r->i >= r->n - 1)
		pg->ended = true;
}

/* What seems to be the end may be a hole: there is more, only not here. */
static enum err
page_look_for_hole(struct ctx *cx, struct page *pg)
{
	struct rows r;
	enum err e;

	if ((e = db_row(cx, &r, &read_hole_at, P_I64(pg->acc->room), P_I64(pg->at), P_BOOL(pg->back))) == M_OK)
		pg->hole = db_bool(&r, 0);
	return e;
}

enum err
page_read(struct ctx *cx, struct page *pg)
{
	int64_t want = (int64_t)pg->limit + 1;	/* one more tells whether there is more */
	struct rows spans = { 0 }, ignored = { 0 }, r;
	enum err e;

	pg->ev = arena_alloc(cx->a, (pg->limit + 1) * sizeof *pg->ev);
	if (pg->limit == 0)		/* of a context: nothing is asked, so nothing may be queued */
		return M_OK;
	if (pg->vis == NULL) {
		pg->vis = arena_alloc(cx->a, sizeof *pg->vis);
		visibility_queue(cx, &spans, &cx->user_nid, &pg->acc->room, 1);
	}
	if (pg->ignored == NULL) {
		pg->ignored = arena_zalloc(cx->a, sizeof *pg->ignored);
		ignored_list_queue(cx, &ignored);
	}
	for (int i = 0; i < PAGES_MAX && pg->n < pg->limit && !pg->ended; i++) {
		page_queue(cx, pg, &r, want);
		if ((e = db_run(cx)) != M_OK)
			return e;
		if (i == 0 && spans.res != NULL)
			visibility_take(cx, &spans, &cx->user_nid, 1, pg->vis);
		if (i == 0 && ignored.res != NULL)
			ignored_list_take(cx, &ignored, pg->ignored);
		page_take(cx, pg, &r, want);
	}
	return pg->ended ? page_look_for_hole(cx, pg) : M_OK;
}

enum err
read_bundle(struct ctx *cx, const struct room_access *acc, const struct visibility *vis, const struct ignored *ignored,
    struct room_event *ev, size_t n)
{
	struct relation_ask *some = arena_alloc(cx->a, (n + 1) * sizeof *some);
	int64_t top = acc->top < acc->last_room_pos ? acc->top : INT64_MAX;
	struct ignored list;
	struct rows r;
	size_t k = 0;
	enum err e;

	for (size_t i = 0; i < n; i++)
		if (ev[i].related)
			some[k++] = (struct relation_ask){ &ev[i], top, vis, acc->id, acc->rv };
	if (k == 0)
		return M_OK;
	if (ignored == NULL) {
		ignored_list_queue(cx, &r);
		if ((e = db_run(cx)) != M_OK)
			return e;
		ignored_list_take(cx, &r, &list);
		ignored = &list;
	}
	return relation_bundle(cx, cx->user_nid, ignored, some, k);
}

void
read_erased(struct ctx *cx, const struct room_access *acc, const struct visibility *vis, struct room_event *ev, size_t n)
{
	for (size_t i = 0; i < n; i++)
		erased_hide(cx->a, acc->rv, vis, &ev[i]);
}

enum err
page_write(struct ctx *cx, const struct page *pg, struct json_out *o, const char *key)
{
	const char **txn = arena_calloc(cx->a, pg->n + 1, sizeof *txn);
	enum err e;

	read_erased(cx, pg->acc, pg->vis, pg->ev, pg->n);
	if ((e = room_event_txn_ids(cx, cx->user_nid, cx->device, pg->ev, pg->n, txn)) != M_OK ||
	    (e = read_bundle(cx, pg->acc, pg->vis, pg->ignored, pg->ev, pg->n)) != M_OK)
		return e;
	json_arr(o, key);
	for (size_t i = 0; i < pg->n; i++)
		room_event_write(o, NULL, &pg->ev[i], pg->acc->id, cx->now, visibility_membership(cx->a, pg->vis, &pg->ev[i]), txn[i]);
	json_end(o);
	return M_OK;
}

/* ---- /messages */

static int64_t
version_after(const struct room_event *ev)
{
	return ev->at_ver + (ev->state_key != NULL);
}

/* Lazy loading: the member events of who speaks in the page, as they were at its newest event. */
static enum err
write_senders(struct ctx *cx, const struct page *pg, struct json_out *o)
{
	int64_t *users = arena_alloc(cx->a, (pg->n + 1) * sizeof *users), ver = 0;
	size_t n = 0;

	for (size_t i = 0; i < pg->n; i++) {
		bool known = false;
		for (size_t k = 0; k < n; k++)
			known = known || users[k] == pg->ev[i].sender_nid;
		if (!known)
			users[n++] = pg->ev[i].sender_nid;
		if (version_after(&pg->ev[i]) > ver)
			ver = version_after(&pg->ev[i]);
	}
	return n > 0 ? read_members_of(cx, pg->acc, users, n, ver, o) : M_OK;
}

enum err
read_messages(struct ctx *cx, const char *room, const struct messages *q, struct json_out *o)
{
	struct room_access acc;
	struct page pg = { .acc = &acc, .back = q->back, .filter = q->filter };
	int64_t from, to = 0;
	enum err e;

	if ((e = access_open(cx, room, &acc)) != M_OK || (q->from != NULL && (e = read_token(cx, &acc, q->from, &from)) != M_OK) ||
	    (q->to != NULL && (e = read_token(cx, &acc, q->to, &to)) != M_OK))
		return e;
	if (q->from == NULL)
		from = q->back ? acc.top : INT64_MIN;
	if (q->back)
		pg.stop = q->to != NULL ? to : INT64_MIN;
	else
		pg.stop = q->to != NULL && to < acc.top ? to : acc.top;
	pg.at = q->back && from > acc.top ? acc.top : from;
	pg.limit = (size_t)(q->limit < READ_LIMIT_MAX ? q->limit : READ_LIMIT_MAX);
	if ((e = page_read(cx, &pg)) != M_OK)
		return e;
	json_obj(o, NULL);
	if ((e = page_write(cx, &pg, o, "chunk")) != M_OK)
		return e;
	/* Forwards the newest event is no end: there may be more tomorrow. Before a hole the client stands still until it is filled. */
	if (!pg.ended || pg.hole || (!q->back && pg.looked > 0))
		json_str(o, "end", room_token(cx->a, pg.at));
	json_str(o, "start", q->from != NULL ? q->from : room_token(cx->a, q->back ? acc.top : 0));
	if (q->filter != NULL && q->filter->lazy_members) {
		json_arr(o, "state");
		if ((e = write_senders(cx, &pg, o)) != M_OK)
			return e;
		json_end(o);
	}
	json_end(o);
	return M_OK;
}

/* ---- /event, /context */

enum err
read_find(struct ctx *cx, const char *room, const char *event_id, struct room_access *acc, struct visibility *vis, struct room_event *ev)
{
	struct rows r, spans;
	enum err e;

	if ((e = access_open(cx, room, acc)) != M_OK)
		return e;
	visibility_queue(cx, &spans, &cx->user_nid, &acc->room, 1);
	db_queue(cx, &r, DB_ANY, &read_one, P_TEXT(event_id), P_I64(acc->room));
	if ((e = db_run(cx)) != M_OK)
		return e;
	visibility_take(cx, &spans, &cx->user_nid, 1, vis);
	if (db_next(&r))
		room_event_read(&r, ev);
	if (r.n == 0 || !visibility_allows(cx->a, vis, ev))
		return fail(cx, M_NOT_FOUND, "there is no such event, or it is not for you");
	return M_OK;
}

static enum err
write_one(struct ctx *cx, const struct room_access *acc, struct visibility *vis, struct room_event *ev, struct json_out *o,
    const char *key)
{
	const char *txn = NULL;
	enum err e;

	read_erased(cx, acc, vis, ev, 1);
	if ((e = room_event_txn_ids(cx, cx->user_nid, cx->device, ev, 1, &txn)) != M_OK ||
	    (e = read_bundle(cx, acc, vis, NULL, ev, 1)) != M_OK)
		return e;
	room_event_write(o, key, ev, acc->id, cx->now, visibility_membership(cx->a, vis, ev), txn);
	return M_OK;
}

enum err
read_event(struct ctx *cx, const char *room, const char *event_id, struct json_out *o)
{
	struct room_access acc;
	struct visibility vis;
	struct room_event ev;
	enum err e;

	if (room == NULL) {
		struct rows r;
		if ((e = db_maybe(cx, &r, &read_room_of, P_TEXT(event_id))) != M_OK)
			return e;
		room = r.n > 0 ? db_text(&r, 0) : "";
	}
	if ((e = read_find(cx, room, event_id, &acc, &vis, &ev)) != M_OK)
		return e == M_FORBIDDEN ? fail(cx, M_NOT_FOUND, "there is no such event, or it is not for you") : e;
	return write_one(cx, &acc, &vis, &ev, o, NULL);
}

enum err
read_context(struct ctx *cx, const char *room, const char *event_id, int64_t limit, const struct event_filter *f,
    struct json_out *o)
{
	struct room_access acc;
	struct visibility vis;
	struct room_event ev = { 0 };
	struct page before = { .acc = &acc, .vis = &vis, .back = true, .filter = f, .stop = INT64_MIN };
	struct page after = { .acc = &acc, .vis = &vis, .filter = f };
	enum err e;

	if ((e = read_find(cx, room, event_id, &acc, &vis, &ev)) != M_OK)
		return e;
	limit = limit < READ_LIMIT_MAX ? limit : READ_LIMIT_MAX;
	before.limit = (size_t)limit / 2;
	before.at = ev.room_pos - 1;
	after.limit = (size_t)limit - before.limit;
	after.at = ev.room_pos;
	after.stop = acc.top;
	if ((e = page_read(cx, &before)) != M_OK || (e = page_read(cx, &after)) != M_OK)
		return e;
	const struct room_event *last = after.n > 0 ? &after.ev[after.n - 1] : &ev;
	json_obj(o, NULL);
	json_str(o, "end", room_token(cx->a, after.at));
	if ((e = write_one(cx, &acc, &vis, &ev, o, "event")) != M_OK || (e = page_write(cx, &after, o, "events_after")) != M_OK ||
	    (e = page_write(cx, &before, o, "events_before")) != M_OK)
		return e;
	json_str(o, "start", room_token(cx->a, before.at));
	json_arr(o, "state");
	if ((e = read_state_at(cx, &acc, version_after(last), f != NULL && f->lazy_members, o)) != M_OK)
		return e;
	if (f != NULL && f->lazy_members) {
		before.ev[before.n++] = ev;	/* room for one more: page_read() */
		if ((e = write_senders(cx, &before, o)) != M_OK)
			return e;
	}
	json_end(o);
	json_end(o);
	return M_OK;
}
