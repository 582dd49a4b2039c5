/* core/push/counts.c - unread counts; see counts.h. */
#include <stdlib.h>
#include <string.h>

#include "core/push/counts_impl.h"
#include "core/room/render.h"

/*
 * What one load may cost in looking at events, as bytes of events times 64 bytes of rules: about a second. Many keywords and long
 * messages would keep a worker for minutes; what is not looked at then is not counted. Each pair has an even share, or SHARE_MIN.
 */
#define WORK_MAX 20000000
#define SHARE_MIN 500000

STMT(read_up_to_upsert,
    READ_UP_TO_PUT("SELECT usr, room, thread, max(room_pos)"
    " FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) u(usr, room, thread, room_pos) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"));
/*
 * Mentions up to there are never asked for again: a position does not go back. Those that somebody else deletes at this moment are
 * passed over, and of very many the rest is for the next time, so nobody waits for it.
 */
STMT(mentions_read,
    "DELETE FROM mention WHERE ctid = ANY(ARRAY(SELECT ctid FROM mention WHERE usr = $1 AND room = $2 AND room_pos <= $4"
    "	AND ($3 = 0 OR thread IS NOT DISTINCT FROM nullif($3, -1)) ORDER BY room_pos LIMIT 500 FOR UPDATE SKIP LOCKED))");
STMT(mentions_left,
    "DELETE FROM mention WHERE ctid = ANY(ARRAY(SELECT ctid FROM mention WHERE usr = $1 AND room = $2 ORDER BY room_pos LIMIT 5000"
    "	FOR UPDATE SKIP LOCKED))");
STMT(read_up_to_one, READ_UP_TO_PUT("VALUES ($1, $2, $3, $4)"));
STMT_WARM(read_up_to_one, "web");

/*
 * Of pairs q (n, usr, room): a row for the main timeline (root 0) and for each thread that holds something the user has not
 * read. Columns: n, room, id, root, root_id, five sums, then mentions by class from PUSH_QUIET on. Each is an index look-up;
 * OFFSET 0 and LIMIT keep the planner from any other way.
 */
#define LEFT_OUT(which)										\
	"(SELECT count(*) FILTER (WHERE push_class = 2) AS a, count(*) FILTER (WHERE push_class = 3) AS b,"	\
	" count(*) FILTER (WHERE push_class = 4) AS c, count(*) FILTER (WHERE push_class = 5) AS d,"	\
	" count(*) FILTER (WHERE push_class = 6) AS e"							\
	" FROM event WHERE room = q.room AND room_pos > " which " AND redacted_by IS NOT NULL AND push_class >= 2)"
#define MENTIONS(which)										\
	"(SELECT count(*) FILTER (WHERE push_class = 1) AS m1, count(*) FILTER (WHERE push_class = 2) AS m2,"	\
	" count(*) FILTER (WHERE push_class = 3) AS m3, count(*) FILTER (WHERE push_class = 4) AS m4,"	\
	" count(*) FILTER (WHERE push_class = 5) AS m5, count(*) FILTER (WHERE push_class = 6) AS m6"	\
	" FROM mention WHERE usr = q.usr AND room = q.room AND room_pos > " which ")"
#define DIFFERENCE(end)										\
	end ".n_a - s.a - d.a AS a, " end ".n_b - s.b - d.b AS b, " end ".n_c - s.c - d.c AS c, " end ".n_d - s.d - d.d AS d, "	\
	end ".n_e - s.e - d.e AS e, m.m1, m.m2, m.m3, m.m4, m.m5, m.m6"
/* The sums up to a position. Where history was deleted beyond it, those before the oldest event that is left. */
#define SUMS(n, which, upto, counts)								\
	"((SELECT " n "_a AS a, " n "_b AS b, " n "_c AS c, " n "_d AS d, " n "_e AS e FROM event"	\
	"	WHERE " which " AND room_pos <= " upto " ORDER BY room_pos DESC LIMIT 1)"		\
	" UNION ALL (SELECT " n "_a - (" counts "push_class = 2)::int, " n "_b - (" counts "push_class = 3)::int,"	\
	"	" n "_c - (" counts "push_class = 4)::int, " n "_d - (" counts "push_class = 5)::int, " n "_e - (" counts "push_class = 6)::int"	\
	"	FROM event WHERE " which " AND room_pos IS NOT NULL ORDER BY room_pos LIMIT 1) LIMIT 1)"
/* Where the user has read to: everywhere (u), and in the main timeline. */
#define POSITIONS										\
	" CROSS JOIN LATERAL (SELECT coalesce(max(room_pos) FILTER (WHERE thread = 0), 0) AS u, coalesce(max(room_pos), 0) AS main"	\
	"	FROM read_up_to WHERE usr = q.usr AND room = q.room AND thread <= 0 OFFSET 0) p"
/* Threads with an event that may not have been read, and where the user has read them to. */
#define THREADS											\
	"(SELECT * FROM thread_count WHERE room = q.room AND last_pos > p.u OFFSET 0) t"		\
	" CROSS JOIN LATERAL (SELECT greatest(p.u, max(room_pos)) AS pos FROM read_up_to"		\
	"	WHERE usr = q.usr AND room = q.room AND thread = t.root OFFSET 0) k"
#define UNREAD_OF(pairs)										\
	"SELECT q.n, q.room, r.id, x.root, x.root_id, x.a, x.b, x.c, x.d, x.e, x.m1, x.m2, x.m3, x.m4, x.m5, x.m6 FROM " pairs " q"	\
	" CROSS JOIN LATERAL (SELECT id, last_room_pos, n_a, n_b, n_c, n_d, n_e FROM room WHERE nid = q.room OFFSET 0) r"	\
	POSITIONS										\
	" CROSS JOIN LATERAL (SELECT 0::bigint AS root, NULL::text AS root_id, " DIFFERENCE("r")		\
	"	FROM (SELECT 1 WHERE r.last_room_pos > p.main OFFSET 0) one"				\
	"	CROSS JOIN LATERAL " SUMS("n", "room = q.room", "p.main", "thread IS NULL AND ") " s"	\
	"	CROSS JOIN LATERAL " LEFT_OUT("p.main AND thread IS NULL") " d"			\
	"	CROSS JOIN LATERAL " MENTIONS("p.main AND thread IS NULL") " m"			\
	" UNION ALL SELECT t.root, (SELECT id FROM event WHERE nid = t.root), " DIFFERENCE("t")	\
	"	FROM (SELECT t.*, k.pos FROM " THREADS " WHERE t.last_pos > k.pos OFFSET 0) t"		\
	"	CROSS JOIN LATERAL " SUMS("t", "thread = t.root AND t_a IS NOT NULL", "t.pos", "") " s"	\
	"	CROSS JOIN LATERAL " LEFT_OUT("t.pos AND thread = t.root") " d"			\
	"	CROSS JOIN LATERAL " MENTIONS("t.pos AND thread = t.root") " m) x"
#define PAIRS "(SELECT * FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY u(usr, room, n) OFFSET 0)"
STMT(unread_plain, UNREAD_OF(PAIRS));
STMT_WARM(unread_plain, "sync");
STMT(unread_all,
    UNREAD_OF("(SELECT u.n, m.usr, m.room FROM unnest($1::bigint[]) WITH ORDINALITY u(usr, n)"
    " CROSS JOIN LATERAL (SELECT usr, room FROM local_member WHERE usr = u.usr AND membership = 2 OFFSET 0) m OFFSET 0)"));

/*
 * The pairs (n, usr, room) of which events are looked at. $3: enum where; rules name users ($4) and rooms ($5): the names of
 * all who ask, for one too many does no harm but cost.
 */
#define LOOKED_AT										\
	"(SELECT n, usr, room FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) WITH ORDINALITY u(usr, room, place, n)"	\
	" WHERE place & 4 <> 0 OR (place & 2 <> 0 AND (SELECT id FROM room WHERE nid = u.room) = ANY($5))"	\
	"	OR (place & 1 <> 0 AND (SELECT true FROM state s WHERE s.room = u.room AND s.line = 0 AND s.type = 2"	\
	"		AND s.key = ANY(ARRAY(SELECT nid FROM name WHERE body = ANY($4))) LIMIT 1)) OFFSET 0)"
enum where { NOWHERE = 0, WITH_USERS = 1, IN_ROOMS = 2, EVERYWHERE = 4 };

/* The events themselves: a row without an event says that the pair was looked at. */
#define EVENT_COLS "room_pos, thread, type, sender, state_key, content, flags, at_ver, members"
#define NOT_READ "redacted_by IS NULL AND sender <> q.usr ORDER BY room_pos DESC LIMIT 1000"
/* Of events in the order of their rows, as many as make a megabyte. octet_length() does not fetch what it measures. */
#define MEGABYTE(events)										\
	"(SELECT " EVENT_COLS " FROM (SELECT v.*, sum(octet_length(content)) OVER (ROWS UNBOUNDED PRECEDING) - octet_length(content) AS bytes"	\
	"	FROM (" events ") v) w WHERE bytes < 1048576)"
STMT(unread_events,
    "SELECT q.n, q.room, e.thread, (SELECT id FROM event WHERE nid = e.thread), (SELECT body FROM name WHERE nid = e.type),"
    " (SELECT body FROM name WHERE nid = e.sender), (SELECT body FROM name WHERE nid = e.state_key), e.content, e.flags, e.at_ver, e.members"
    " FROM " LOOKED_AT " q" POSITIONS
    " LEFT JOIN LATERAL ("
    "	" MEGABYTE("SELECT " EVENT_COLS " FROM event WHERE room = q.room AND room_pos > p.main AND thread IS NULL AND " NOT_READ)
    "	UNION ALL " MEGABYTE("SELECT e.* FROM (SELECT t.root, k.pos FROM " THREADS " WHERE t.last_pos > k.pos OFFSET 0) t"
    "		CROSS JOIN LATERAL (SELECT " EVENT_COLS " FROM event WHERE thread = t.root AND room_pos > t.pos AND " NOT_READ ") e"
    "		LIMIT 1000") ") e ON true");
/* The users' own member events, for rules that ask for the display name. */
STMT(unread_names,
    "SELECT q.n, s.since, e.content, e.flags"
    " FROM " LOOKED_AT " q CROSS JOIN LATERAL (SELECT since, event FROM state WHERE room = q.room AND line = 0 AND type = 2 AND key = q.usr"
    "	ORDER BY since DESC LIMIT 100) s"
    " CROSS JOIN LATERAL (SELECT content, flags FROM event WHERE nid = s.event OFFSET 0) e");
STMT(unread_context, PUSH_ROOMS_OF("(SELECT DISTINCT room FROM " LOOKED_AT " x)"));
STMT(unread_invitations,
    "SELECT u.n, (SELECT id FROM room WHERE nid = m.room), (SELECT body FROM name WHERE nid = m.sender)"
    " FROM unnest($1::bigint[]) WITH ORDINALITY u(usr, n)"
    " CROSS JOIN LATERAL (SELECT room, sender FROM local_member WHERE usr = u.usr AND membership = 1 AND NOT forgotten OFFSET 0) m");

/* ---- positions */

/* One bigint[] parameter out of n things. */
#define COLUMN(cx, n, expr)							\
	__extension__({								\
		int64_t *v_ = arena_alloc((cx)->a, ((n) + 1) * sizeof *v_);	\
		for (size_t i = 0; i < (n); i++)				\
			v_[i] = (expr);						\
		P_I64S(v_, n);							\
	})

void
read_up_to_queue(struct ctx *cx, const struct read_up_to *v, size_t n)
{
	if (n == 1)
		db_queue(cx, NULL, DB_NONE, &read_up_to_one, P_I64(v->usr), P_I64(v->room), P_I64(v->thread), P_I64(v->room_pos));
	else if (n > 1)
		db_queue(cx, NULL, DB_NONE, &read_up_to_upsert, COLUMN(cx, n, v[i].usr), COLUMN(cx, n, v[i].room),
		    COLUMN(cx, n, v[i].thread), COLUMN(cx, n, v[i].room_pos));
}

void
mentions_left_queue(struct ctx *cx, int64_t usr, int64_t room)
{
	db_queue(cx, NULL, DB_NONE, &mentions_left, P_I64(usr), P_I64(room));
}

void
mentions_read_queue(struct ctx *cx, const struct read_up_to *v)
{
	db_queue(cx, NULL, DB_NONE, &mentions_read, P_I64(v->usr), P_I64(v->room), P_I64(v->thread), P_I64(v->room_pos));
}

/* ---- asking */

/* Where may events have to be looked at one by one? enum where, together. */
static int64_t
looks_at_events(const struct push_reader *r)
{
	int64_t where = r->modes.base & MODE_CUSTOM ? EVERYWHERE : NOWHERE;
	bool users = r->nignored > 0 || (r->modes.base & MODE_SENDERS) != 0;

	for (size_t i = 0; i < r->modes.n; i++) {
		users |= (r->modes.rooms[i].mode & MODE_SENDERS) != 0;
		where |= r->modes.rooms[i].mode & MODE_CUSTOM ? IN_ROOMS : NOWHERE;
	}
	return where | (users ? WITH_USERS : NOWHERE);
}

/* The names that the rules of those who are asked about give, of users and of rooms. */
struct named_by_rules {
	const char **users, **rooms;
	size_t nusers, nrooms;
};

static void
add_named(struct named_by_rules *to, const struct push_reader *r)
{
	for (size_t k = 0; k < r->nignored; k++)
		to->users[to->nusers++] = r->ignored[k];
	for (size_t k = 0; k < r->modes.nsenders; k++)
		to->users[to->nusers++] = r->modes.senders[k];
	for (size_t k = 0; k < r->modes.n; k++)
		if (r->modes.rooms[k].mode & MODE_CUSTOM)
			to->rooms[to->nrooms++] = r->modes.rooms[k].room;
}

/* A reader's pairs mostly follow each other: he is taken once then. */
static struct named_by_rules
names_of(struct ctx *cx, const struct unread_load *l)
{
	struct named_by_rules to = { 0 };
	const struct push_reader *last = NULL;
	size_t users = 0, rooms = 0;

	for (int take = 0; take < 2; take++, last = NULL) {
		if (take) {
			to.users = arena_calloc(cx->a, users + 1, sizeof *to.users);
			to.rooms = arena_calloc(cx->a, rooms + 1, sizeof *to.rooms);
		}
		for (size_t i = 0; i < l->ncustom; i++) {
			const struct push_reader *r = l->v[l->custom[i]].reader;

			if (r == last || looks_at_events(r) & EVERYWHERE)
				continue;
			last = r;
			users += r->nignored + r->modes.nsenders;
			rooms += r->modes.n;
			if (take)
				add_named(&to, r);
		}
	}
	return to;
}

static void
queue_custom(struct ctx *cx, struct unread_load *l)
{
	struct param p[5];
	struct named_by_rules by;
	bool asks_name = false;

	if (l->ncustom == 0)
		return;
	by = names_of(cx, l);
	for (size_t i = 0; i < l->ncustom; i++)
		asks_name |= l->v[l->custom[i]].reader->modes.asks_display_name;
	p[0] = COLUMN(cx, l->ncustom, l->v[l->custom[i]].usr);
	p[1] = COLUMN(cx, l->ncustom, l->v[l->custom[i]].room);
	p[2] = COLUMN(cx, l->ncustom, looks_at_events(l->v[l->custom[i]].reader));
	p[3] = P_TEXTS(by.users, by.nusers);
	p[4] = P_TEXTS(by.rooms, by.nrooms);
	db_queue(cx, &l->events, DB_ANY, &unread_events, p[0], p[1], p[2], p[3], p[4]);
	if (asks_name)
		db_queue(cx, &l->names, DB_ANY, &unread_names, p[0], p[1], p[2], p[3], p[4]);
	db_queue(cx, &l->context, DB_ANY, &unread_context, p[0], p[1], p[2], p[3], p[4]);
}

void
unread_queue(struct ctx *cx, struct unread_load *l, struct unread_room *v, size_t n)
{
	*l = (struct unread_load){ .v = v, .n = n, .custom = arena_alloc(cx->a, (n + 1) * sizeof *l->custom) };
	if (n == 0)
		return;
	for (size_t i = 0; i < n; i++)
		if (v[i].reader != NULL && looks_at_events(v[i].reader))
			l->custom[l->ncustom++] = i;
	db_queue(cx, &l->plain, DB_ANY, &unread_plain, COLUMN(cx, n, v[i].usr), COLUMN(cx, n, v[i].room));
	queue_custom(cx, l);
}

/* ---- counting by sums */

/* Sums and mentions, as UNREAD_OF() gives them. */
static struct unread
by_mode(const struct rows *r, unsigned mode)
{
	struct unread u = { 0 };

	for (int c = PUSH_OTHER; c <= PUSH_ALL; c++)
		if (mode & MODE_CLASS(c))
			u.notify += db_i64(r, 5 + c - PUSH_OTHER);
	if (mode & MODE_LOUD_ALL)
		u.highlight = db_i64(r, 5 + PUSH_ALL - PUSH_OTHER);
	for (int c = PUSH_QUIET; c <= PUSH_ALL && mode & MODE_MENTION; c++) {
		int64_t n = db_i64(r, 10 + c - PUSH_QUIET);

		if (c < PUSH_OTHER || !(mode & MODE_CLASS(c)))
			u.notify += n;
		if (mode & MODE_LOUD_MENTION && !(c == PUSH_ALL && mode & MODE_LOUD_ALL))
			u.highlight += n;
	}
	return u;
}

static void
add_unread(struct arena *a, struct unread_room *v, int64_t root, const char *root_id, struct unread u)
{
	size_t i;

	if (u.notify <= 0)
		return;
	v->all.notify += u.notify;
	v->all.highlight += u.highlight;
	if (root == 0) {
		v->main.notify += u.notify;
		v->main.highlight += u.highlight;
		return;
	}
	for (i = 0; i < v->nthreads && v->threads[i].root != root;)
		i++;
	if (i == v->nthreads) {
		if ((i & (i - 1)) == 0)		/* 0, 1, 2, 4: room for as many again */
			v->threads = arena_realloc(a, v->threads, i * sizeof *v->threads, (i ? 2 * i : 1) * sizeof *v->threads);
		v->threads[v->nthreads++] = (struct unread_thread){ .root = root, .root_id = root_id };
	}
	v->threads[i].n.notify += u.notify;
	v->threads[i].n.highlight += u.highlight;
}

static bool
needs_events(const struct push_reader *r, unsigned mode)
{
	return mode != 0 && (mode & (MODE_CUSTOM | MODE_SENDERS) || r->nignored > 0);
}

/* ---- counting by events */

struct named {
	int64_t since;			/* until the next */
	const struct json *name;
};

/* A pair whose events are looked at. */
struct custom {
	struct named *names;
	size_t nnames;
	int64_t work;			/* what may yet be spent */
};

static void
take_names(struct ctx *cx, struct rows *r, struct custom *c)
{
	while (r->res != NULL && db_next(r)) {
		struct custom *to = &c[db_i64(r, 0) - 1];
		struct json *v = NULL;

		if (to->names == NULL)
			to->names = arena_calloc(cx->a, 100, sizeof *to->names);
		json_parse(cx->a, db_text(r, 2), strlen(db_text(r, 2)), &v);
		if (db_i64(r, 3) & EV_VERBATIM)
			v = json_get(v, "content");
		to->names[to->nnames++] = (struct named){ db_i64(r, 1), json_get(v, "displayname") };
	}
}

static void
take_event(struct ctx *cx, struct unread_room *v, const struct custom *c, const struct push_room *room, const struct rows *r)
{
	const struct push_row row = { .type = db_text(r, 4), .sender = db_text(r, 5), .state_key = db_text(r, 6), .content = db_text(r, 7),
		.flags = (int)db_i64(r, 8), .at_ver = db_i64(r, 9), .members = db_i64(r, 10) };
	const struct json *rules = push_reader_rules(cx->a, v->reader);
	struct arena_mark mark = arena_mark(cx->a);
	struct push_result said;
	struct push_event ev;

	if (push_reader_ignores(v->reader, row.sender))
		return;
	push_event_fill(cx->a, room, &row, &ev);
	const struct named *named = NULL;
	for (size_t i = 0; i < c->nnames; i++)
		if (c->names[i].since <= row.at_ver && (named == NULL || c->names[i].since > named->since))
			named = &c->names[i];
	ev.display_name = named != NULL ? named->name : NULL;
	said = push_match(rules, v->reader->user, &ev);
	arena_rewind(cx->a, mark);
	if (said.notify)
		add_unread(cx->a, v, db_i64(r, 2), db_text(r, 3), (struct unread){ 1, said.highlight });
}

static bool
affords(int64_t *all, struct custom *c, const struct push_reader *r, const char *content)
{
	int64_t cost = (int64_t)strlen(content) * (int64_t)(1 + (r->stored != NULL ? strlen(r->stored) / 64 : 0));

	if (c->work <= 0 || *all <= 0)
		return false;
	c->work -= cost;
	*all -= cost;
	return true;
}

static void
take_custom(struct ctx *cx, struct unread_load *l, struct custom *c, bool *done)
{
	int64_t work = WORK_MAX, share = WORK_MAX / (int64_t)l->ncustom;
	struct rows *r = &l->events;
	struct push_rooms rooms;

	push_rooms_take(cx, &l->context, &rooms);
	take_names(cx, &l->names, c);
	for (size_t i = 0; i < l->ncustom; i++)
		c[i].work = share > SHARE_MIN ? share : SHARE_MIN;
	while (r->res != NULL && db_next(r)) {
		size_t i = (size_t)db_i64(r, 0) - 1;
		struct unread_room *v = &l->v[l->custom[i]];
		const struct push_room *room = push_room_find(&rooms, v->room);

		if (room == NULL || !needs_events(v->reader, push_mode_in(&v->reader->modes, room->id)))
			continue;
		done[l->custom[i]] = true;
		if (!db_null(r, 4) && affords(&work, &c[i], v->reader, db_text(r, 7)))
			take_event(cx, v, &c[i], room, r);
	}
}

void
unread_take(struct ctx *cx, struct unread_load *l)
{
	struct rows *r = &l->plain;
	bool *done = arena_calloc(cx->a, l->n + 1, sizeof *done), *asked = arena_calloc(cx->a, l->n + 1, sizeof *asked);

	for (size_t i = 0; i < l->ncustom; i++)
		asked[l->custom[i]] = true;
	if (l->ncustom > 0)
		take_custom(cx, l, arena_calloc(cx->a, l->ncustom, sizeof(struct custom)), done);
	while (r->res != NULL && db_next(r)) {
		size_t i = (size_t)db_i64(r, 0) - 1;
		struct unread_room *v = &l->v[i];
		unsigned mode = push_mode_in(&v->reader->modes, db_text(r, 2));

		if (done[i])
			continue;
		if (!asked[i] && needs_events(v->reader, mode))
			v->lacking = true;
		else
			add_unread(cx->a, v, db_i64(r, 3), db_text(r, 4), by_mode(r, mode));
	}
}

/* ---- all rooms of users */

static void
add_badge(struct badge *b, struct unread n)
{
	b->rooms += n.notify > 0;
	b->notifications += n.notify;
	b->highlights += n.highlight;
}

/* The rooms with anything unread, as pairs; l's result is that of unread_all for n users. */
static size_t
pairs_of(struct ctx *cx, struct rows *r, struct push_reader *readers, struct unread_room **out, size_t **pair)
{
	size_t n = 0;

	*out = arena_calloc(cx->a, (size_t)r->n + 1, sizeof **out);
	*pair = arena_calloc(cx->a, (size_t)r->n + 1, sizeof **pair);
	while (db_next(r)) {		/* the rows of one room follow each other */
		struct push_reader *reader = &readers[db_i64(r, 0) - 1];

		if (n == 0 || (*out)[n - 1].reader != reader || (*out)[n - 1].room != db_i64(r, 1))
			(*out)[n++] = (struct unread_room){ .reader = reader, .usr = reader->usr, .room = db_i64(r, 1) };
		(*pair)[r->i] = n - 1;
	}
	r->i = -1;
	return n;
}

static void
count_plain(struct ctx *cx, struct rows *r, struct unread_room *v, const size_t *pair)
{
	while (db_next(r)) {
		struct unread_room *m = &v[pair[r->i]];
		unsigned mode = push_mode_in(&m->reader->modes, db_text(r, 2));

		if (needs_events(m->reader, mode))
			m->lacking = true;
		else
			add_unread(cx->a, m, db_i64(r, 3), db_text(r, 4), by_mode(r, mode));
	}
}

/* The lacking ones once more, with their events. */
static enum err
count_lacking(struct ctx *cx, struct unread_room *v, size_t n)
{
	struct unread_room *some = arena_calloc(cx->a, n + 1, sizeof *some);
	size_t k = 0;
	struct unread_load l;
	enum err e;

	for (size_t i = 0; i < n; i++)
		if (v[i].lacking)
			some[k++] = (struct unread_room){ .reader = v[i].reader, .usr = v[i].usr, .room = v[i].room };
	if (k == 0)
		return M_OK;
	unread_queue(cx, &l, some, k);
	if ((e = db_run(cx)) != M_OK)
		return e;
	unread_take(cx, &l);
	for (size_t i = k = 0; i < n; i++)
		if (v[i].lacking)
			v[i] = some[k++];
	return M_OK;
}

enum err
unread_badges(struct ctx *cx, const int64_t *users, size_t n, struct badge *out)
{
	struct push_reader *readers = arena_calloc(cx->a, n + 1, sizeof *readers);
	struct rows who, all, invites;
	struct unread_room *v;
	size_t *pair, nv;
	enum err e;

	memset(out, 0, n * sizeof *out);
	if (n == 0)
		return M_OK;
	push_readers_queue(cx, &who, users, n);
	db_queue(cx, &all, DB_ANY, &unread_all, P_I64S(users, n));
	db_queue(cx, &invites, DB_ANY, &unread_invitations, P_I64S(users, n));
	if ((e = db_run(cx)) != M_OK)
		return e;
	push_readers_take(cx, &who, users, n, readers);
	nv = pairs_of(cx, &all, readers, &v, &pair);
	count_plain(cx, &all, v, pair);
	if ((e = count_lacking(cx, v, nv)) != M_OK)
		return e;
	for (size_t i = 0; i < nv; i++)
		add_badge(&out[v[i].reader - readers], v[i].all);
	while (db_next(&invites)) {
		size_t i = (size_t)db_i64(&invites, 0) - 1;
		struct push_result said = { 0 };

		if (!db_null(&invites, 1) && !db_null(&invites, 2))
			said = push_invitation(cx->a, &readers[i], db_text(&invites, 1), db_text(&invites, 2));
		if (said.notify)
			add_badge(&out[i], (struct unread){ 1, said.highlight });
	}
	return M_OK;
}

enum err
unread_rooms(struct ctx *cx, struct unread_room *v, size_t n)
{
	int64_t *users = arena_alloc(cx->a, (n + 1) * sizeof *users);
	struct push_reader *readers = arena_calloc(cx->a, n + 1, sizeof *readers);
	struct unread_load l;
	struct rows who;
	enum err e;

	for (size_t i = 0; i < n; i++)
		users[i] = v[i].usr;
	push_readers_queue(cx, &who, users, n);
	if ((e = db_run(cx)) != M_OK)
		return e;
	push_readers_take(cx, &who, users, n, readers);
	for (size_t i = 0; i < n; i++)
		v[i].reader = &readers[i];
	unread_queue(cx, &l, v, n);
	if ((e = db_run(cx)) == M_OK)
		unread_take(cx, &l);
	return e;
}
