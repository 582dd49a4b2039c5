/* core/push/notifications.c - see notifications.h. */
#include "core/push/notifications.h"

#include <stdio.h>
#include <string.h>

#include "core/push/counts_impl.h"
#include "core/room/relation.h"
#include "core/room/render.h"

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
    "SELECT e.content, e.flags FROM unnest($2::bigint[]) WITH ORDINALITY q(room, n)"
    " CROSS JOIN LATERAL (SELECT event FROM local_member WHERE usr = $1 AND room = q.room OFFSET 0) m"
    " CROSS JOIN LATERAL (SELECT content, flags FROM event WHERE nid = m.event OFFSET 0) e ORDER BY q.n");

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

static bool
read_place(const char *s, struct place *p)
{
	int n = 0;
	long long ts, room, pos;

	if (sscanf(s, "%19lld_%19lld_%20lld%n", &ts, &room, &pos, &n) != 3 || s[n] != '\0')
		return false;
	*p = (struct place){ ts, room, pos };
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

/* The room as it was when the event came; the display name as it is. */
static enum err
load_rooms(struct search *s, struct rows *r, struct push_rooms *rooms)
{
	struct ctx *cx = s->cx;
	int64_t *nids = arena_alloc(cx->a, ((size_t)r->n + 1) * sizeof *nids);
	struct rows rr;
	size_t n = 0;
	enum err e;

	while (db_next(r))
		if (!db_null(r, 0))
			nids[n++] = db_i64(r, COL_ROOM);
	r->i = -1;
	push_rooms_queue(cx, &rr, nids, n);
	if ((e = db_run(cx)) == M_OK)
		push_rooms_take(cx, &rr, rooms);
	return e;
}

static enum err
display_name(struct search *s, int64_t room, const struct json **name)
{
	struct json *v = NULL;
	struct rows r;
	enum err e;

	if (!s->reader.modes.asks_display_name)
		return M_OK;
	if ((e = db_maybe(s->cx, &r, &notifications_names, P_I64(s->reader.usr), P_I64S(&room, 1))) != M_OK || r.n == 0)
		return e;
	json_parse(s->cx->a, db_text(&r, 0), strlen(db_text(&r, 0)), &v);
	*name = json_get(db_i64(&r, 1) & EV_VERBATIM ? json_get(v, "content") : v, "displayname");
	return M_OK;
}

static enum err
take_one(struct search *s, const struct rows *r, const struct push_rooms *rooms)
{
	struct found *f = &s->v[s->n];
	const struct push_room *room = push_room_find(rooms, db_i64(r, COL_ROOM));
	struct push_result said;
	struct push_event ev;
	enum err e;

	if (room == NULL)
		return M_OK;
	room_event_read(r, &f->ev);
	const struct push_row row = { .type = f->ev.type, .sender = f->ev.sender, .state_key = f->ev.state_key, .content = f->ev.content,
		.flags = f->ev.flags, .at_ver = f->ev.at_ver, .members = db_i64(r, COL_MEMBERS) };
	if (push_reader_ignores(&s->reader, row.sender))
		return M_OK;
	push_event_fill(s->cx->a, room, &row, &ev);
	if ((e = display_name(s, room->nid, &ev.display_name)) != M_OK)
		return e;
	said = push_match(push_reader_rules(s->cx->a, &s->reader), s->reader.user, &ev);
	if (!said.notify || (s->only_highlight && !said.highlight))
		return M_OK;
	f->room_id = db_text(r, COL_ROOM_ID);
	f->read = db_bool(r, COL_READ);
	f->actions = json_get(said.rule, "actions");
	s->n++;
	return M_OK;
}

/* One window further; stops behind the last one that is wanted. */
static enum err
look(struct search *s)
{
	struct push_rooms rooms;
	struct rows r;
	enum err e;

	if ((e = db_query(s->cx, &r, &notifications_window, P_I64(s->reader.usr), P_I64(s->at.ts), P_I64(s->at.room), P_I64(s->at.room_pos))) != M_OK ||
	    (e = load_rooms(s, &r, &rooms)) != M_OK)
		return e;
	while (s->n < s->limit && db_next(&r)) {
		if (!db_null(&r, 0) && (e = take_one(s, &r, &rooms)) != M_OK)
			return e;
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
		ask[i] = (struct relation_ask){ &s->v[i].ev, INT64_MAX, NULL, NULL };
	if ((e = relation_bundle(cx, cx->user_nid, &ignored, ask, s->n)) != M_OK)
		return e;
	json_obj(o, NULL);
	if (!s->end)
		json_str(o, "next_token", arena_printf(cx->a, "%lld_%lld_%lld", (long long)s->at.ts, (long long)s->at.room, (long long)s->at.room_pos));
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
