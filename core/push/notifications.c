/* core/push/notifications.c - see notifications.h. */
#include "core/push/notifications.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/numbers.h"
#include "core/base/sorted.h"
#include "core/push/counts_impl.h"
#include "core/room/names.h"
#include "core/room/relation.h"
#include "core/room/visibility.h"

#define WINDOW 100

/*
 * The newest 100 events before a place in the order of (ts, room, room_pos), of all rooms together: only the 100 rooms with the newest
 * ones can hold them. Of these, what may concern the user: not his own, not redacted, of his present stay. The
 * others are rows without an event, for the place to go on from.
 */
#define BEFORE "ts <= $2 AND (ts, room, room_pos) < ($2, $3, $4) AND room_pos IS NOT NULL"
STMT(notifications_window,
    "WITH m AS MATERIALIZED (SELECT room, membership, event, joined_pos FROM local_member WHERE usr = $1 AND membership IN (1, 2) AND NOT forgotten),"
    " h AS MATERIALIZED (SELECT m.room, m.joined_pos FROM m CROSS JOIN LATERAL (SELECT ts FROM event WHERE room = m.room AND " BEFORE
    "	ORDER BY ts DESC, room_pos DESC LIMIT 1) x WHERE m.membership = 2 ORDER BY x.ts DESC LIMIT 100),"
    " w AS MATERIALIZED (SELECT * FROM (SELECT x.ts, x.room, x.room_pos, h.joined_pos FROM h CROSS JOIN LATERAL"
    "	(SELECT ts, room, room_pos FROM event WHERE room = h.room AND " BEFORE " ORDER BY ts DESC, room_pos DESC LIMIT 100) x"
    "	UNION ALL SELECT x.ts, x.room, x.room_pos, x.pos FROM m CROSS JOIN LATERAL"
    "	(SELECT ts, room, room_pos, pos FROM event WHERE nid = m.event AND " BEFORE " OFFSET 0) x WHERE m.membership = 1) a"
    "	ORDER BY ts DESC, room DESC, room_pos DESC LIMIT 100)"
    " SELECT " ROOM_EVENT_COLS ", w.ts, w.room, w.room_pos, e.members, (SELECT id FROM room WHERE nid = w.room),"
    "	e.room_pos <= (SELECT max(room_pos) FROM read_up_to WHERE usr = $1 AND room = e.room AND thread IN (0, coalesce(e.thread, -1)))"
    " FROM w LEFT JOIN LATERAL (SELECT * FROM event WHERE room = w.room AND room_pos = w.room_pos AND sender <> $1 AND redacted_by IS NULL"
    "	AND pos >= w.joined_pos OFFSET 0) e ON true ORDER BY w.ts DESC, w.room DESC, w.room_pos DESC");
/* For rules that ask for his display name: the present one. */
STMT(notifications_names,
    "SELECT q.n, e.content, e.flags FROM unnest($2::bigint[]) WITH ORDINALITY q(room, n)"
    " CROSS JOIN LATERAL (SELECT event FROM local_member WHERE usr = $1 AND room = q.room OFFSET 0) m"
    " CROSS JOIN LATERAL (SELECT content, flags FROM event WHERE nid = m.event OFFSET 0) e");

enum { COL_TS = ROOM_EVENT_NCOLS, COL_ROOM, COL_ROOM_POS, COL_MEMBERS, COL_ROOM_ID, COL_READ };

/* A place in the order: what comes before it is next. As a token: "<ts>_<room>_<room_pos>". */
struct place {
	int64_t ts, room, room_pos;
};

struct found {
	struct room_event ev;
	const char *room_id;
	bool read;
	const struct json *actions;
};

static const char *
place_token(struct arena *a, const struct place *p)
{
	const int64_t v[] = { p->ts, p->room, p->room_pos };
	struct buf b;

	buf_init(&b, a);
	numbers_write(&b, '_', v, 3);
	return b.s;
}

static bool
read_place(const char *s, struct place *p)
{
	int64_t v[3];

	if (numbers_read(s, '_', v, 3) != 3)
		return false;
	*p = (struct place){ v[0], v[1], v[2] };
	return true;
}

struct search {
	struct ctx *cx;
	struct push_reader reader;
	struct place at;
	bool end, only_highlight;
	struct found *v;
	size_t n, limit;
};

/* The rooms of a window's events. */
struct places {
	int64_t *room;			/* ascending */
	size_t n;
	struct push_rooms rules;	/* as they were when the events came */
	struct visibility *vis;		/* room by room */
	const struct json **name;	/* his display name in each, as it is, if rules ask for it */
};

static int
by_nid(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void
take_rooms(struct rows *r, struct places *p)
{
	size_t n = 0;

	while (db_next(r))
		if (!db_null(r, 0))
			p->room[n++] = db_i64(r, COL_ROOM);
	r->i = -1;
	qsort(p->room, n, sizeof *p->room, by_nid);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || p->room[i] != p->room[i - 1])
			p->room[p->n++] = p->room[i];
}

static void
take_names(struct ctx *cx, struct rows *r, struct places *p)
{
	while (r->res != NULL && db_next(r)) {
		struct json *v = NULL;

		json_parse(cx->a, db_text(r, 1), strlen(db_text(r, 1)), &v);
		p->name[db_i64(r, 0) - 1] = json_get(db_i64(r, 2) & EV_VERBATIM ? json_get(v, "content") : v, "displayname");
	}
}

/* One round trip. */
static enum err
load_rooms(struct search *s, struct rows *r, struct places *p)
{
	struct ctx *cx = s->cx;
	int64_t *users = arena_alloc(cx->a, ((size_t)r->n + 1) * sizeof *users);
	struct rows rules, vis, names = { 0 };
	enum err e;

	*p = (struct places){ .room = arena_alloc(cx->a, ((size_t)r->n + 1) * sizeof *p->room) };
	take_rooms(r, p);
	p->vis = arena_calloc(cx->a, p->n + 1, sizeof *p->vis);
	p->name = arena_calloc(cx->a, p->n + 1, sizeof *p->name);
	if (p->n == 0)
		return M_OK;
	for (size_t i = 0; i < p->n; i++)
		users[i] = s->reader.usr;
	push_rooms_queue(cx, &rules, p->room, p->n);
	visibility_queue(cx, &vis, users, p->room, p->n);
	if (s->reader.modes.asks_display_name)
		db_queue(cx, &names, DB_ANY, &notifications_names, P_I64(s->reader.usr), P_I64S(p->room, p->n));
	if ((e = db_run(cx)) != M_OK)
		return e;
	push_rooms_take(cx, &rules, &p->rules);
	visibility_take(cx, &vis, users, p->n, p->vis);
	take_names(cx, &names, p);
	return M_OK;
}

/* What history is filled in with stands at the position of a later event: that of his join, it may be. */
static bool
was_told(struct search *s, const struct visibility *vis, const struct room_event *ev)
{
	return (ev->type_nid == T_MEMBER && ev->key_nid == s->reader.usr) || visibility_was_in(s->cx->a, vis, ev);
}

static void
take_one(struct search *s, const struct rows *r, const struct places *p)
{
	struct found *f = &s->v[s->n];
	const struct push_room *room = push_room_find(&p->rules, db_i64(r, COL_ROOM));
	size_t at = i64_place(p->room, p->n, db_i64(r, COL_ROOM));
	struct push_result said;
	struct push_event ev;

	if (room == NULL)
		return;
	room_event_read(r, &f->ev);
	const struct push_row row = { .type = f->ev.type, .sender = f->ev.sender, .state_key = f->ev.state_key, .content = f->ev.content,
		.flags = f->ev.flags, .at_ver = f->ev.at_ver, .members = db_i64(r, COL_MEMBERS) };
	if (push_reader_ignores(&s->reader, row.sender) || !was_told(s, &p->vis[at], &f->ev))
		return;
	push_event_fill(s->cx->a, room, &row, &ev);
	ev.display_name = p->name[at];
	said = push_match(push_reader_rules(s->cx->a, &s->reader), s->reader.user, &ev);
	if (!said.notify || (s->only_highlight && !said.highlight))
		return;
	f->room_id = db_text(r, COL_ROOM_ID);
	f->read = db_bool(r, COL_READ);
	f->actions = json_get(said.rule, "actions");
	s->n++;
}

/* One window further; stops behind the last one that is wanted. */
static enum err
look(struct search *s)
{
	struct places places;
	struct rows r;
	enum err e;

	if ((e = db_query(s->cx, &r, &notifications_window, P_I64(s->reader.usr), P_I64(s->at.ts), P_I64(s->at.room), P_I64(s->at.room_pos))) != M_OK ||
	    (e = load_rooms(s, &r, &places)) != M_OK)
		return e;
	while (s->n < s->limit && db_next(&r)) {
		if (!db_null(&r, 0))
			take_one(s, &r, &places);
		s->at = (struct place){ db_i64(&r, COL_TS), db_i64(&r, COL_ROOM), db_i64(&r, COL_ROOM_POS) };
	}
	s->end = r.n < WINDOW && r.i + 1 >= r.n;
	return M_OK;
}

/* ---- the answer */

static void
write_one(struct ctx *cx, struct json_out *o, const struct found *f)
{
	bool invited = f->ev.key_nid == cx->user_nid;

	json_obj(o, NULL);
	json_value(o, "actions", f->actions);
	room_event_write(o, "event", &f->ev, NULL, cx->now, invited ? MEM_INVITE : MEM_JOIN, NULL);
	json_str(o, "profile_tag", "");		/* rules have none any more; clients expect it */
	json_bool(o, "read", f->read);
	json_esc(o, "room_id", f->room_id);
	json_int(o, "ts", f->ev.ts);
	json_end(o);
}

static enum err
answer(struct search *s, struct json_out *o)
{
	struct ctx *cx = s->cx;
	struct ignored ignored = { s->reader.ignored, s->reader.nignored };
	struct relation_ask *ask = arena_alloc(cx->a, (s->n + 1) * sizeof *ask);
	enum err e;

	for (size_t i = 0; i < s->n; i++)
		ask[i] = (struct relation_ask){ &s->v[i].ev, INT64_MAX, NULL, NULL, NULL };
	if ((e = relation_bundle(cx, cx->user_nid, &ignored, ask, s->n)) != M_OK)
		return e;
	json_obj(o, NULL);
	if (!s->end)
		json_str(o, "next_token", place_token(cx->a, &s->at));
	json_arr(o, "notifications");
	for (size_t i = 0; i < s->n; i++)
		write_one(cx, o, &s->v[i]);
	json_end(o);
	json_end(o);
	return M_OK;
}

enum err
notifications_list(struct ctx *cx, const char *from, int64_t limit, bool only_highlight, struct json_out *o)
{
	struct search s = { .cx = cx, .at = { INT64_MAX, INT64_MAX, INT64_MAX }, .only_highlight = only_highlight,
		.limit = limit < NOTIFICATIONS_LIMIT_MAX ? (size_t)limit : NOTIFICATIONS_LIMIT_MAX };
	struct rows who;
	enum err e;

	if (from != NULL && !read_place(from, &s.at))
		return fail(cx, M_INVALID_PARAM, "from is no next_token of this endpoint");
	push_readers_queue(cx, &who, &cx->user_nid, 1);
	if ((e = db_run(cx)) != M_OK)
		return e;
	push_readers_take(cx, &who, &cx->user_nid, 1, &s.reader);
	s.v = arena_calloc(cx->a, s.limit + 1, sizeof *s.v);
	for (int seen = 0; !s.end && s.n < s.limit && seen < NOTIFICATIONS_LOOKED_AT; seen += WINDOW)
		if ((e = look(&s)) != M_OK)
			return e;
	return answer(&s, o);
}
