/*
 * core/sync/alone.c - one request that needs more than one load: an initial sync,
 * a token older than the ring, a room newly joined or left, a timeline that is filtered far down.
 * What changed for its user is found here and becomes jobs; piece.c loads and writes them.
 */
#include "core/room/member.h"
#include "core/base/sorted.h"
#include "core/sync/impl.h"
#include "core/user/push_rules.h"

#define WEIGHT 50		/* events of a room beside its members, roughly */

/* What is needed of some memberships only is asked only for them. */
#define MEMBER_COLS									\
	"m.room, m.membership, m.event, m.room_pos, m.pos, m.sender, m.joined_pos, m.stripped, m.oob_pdu, m.forgotten,"	\
	" CASE WHEN m.membership = 1 THEN (SELECT body FROM name WHERE nid = m.sender) END,"	\
	" r.joined, CASE WHEN m.forgotten THEN (SELECT pos FROM event WHERE nid = m.event) END,"	\
	" CASE WHEN m.membership = 1 THEN (SELECT content FROM account_data WHERE usr = $1 AND room = 0"	\
	"	AND type = 'm.invite_permission_config') END, r.last_room_pos"	\
	" FROM local_member m CROSS JOIN LATERAL (SELECT joined, last_room_pos FROM room WHERE nid = m.room OFFSET 0) r WHERE m.usr = $1"
STMT(sync_my_members, "SELECT " MEMBER_COLS " AND NOT m.forgotten");
STMT(sync_my_members_new, "SELECT " MEMBER_COLS " AND (m.pos >= $2 OR m.pos = ANY($3))");
STMT(sync_my_members_of, "SELECT " MEMBER_COLS " AND m.room = ANY($2)");
STMT(sync_my_invites, "SELECT " MEMBER_COLS " AND m.membership = 1");
/* Who comes into a room is told all that he keeps about it, also from an earlier stay. */
STMT(sync_data_rooms, "SELECT room, type, content, pos FROM account_data WHERE usr = $1 AND room = ANY($2)");
STMT(sync_my_sizes,
    "SELECT room, (SELECT joined FROM room WHERE nid = m.room) FROM local_member m WHERE usr = $1 AND membership = 2 ORDER BY room");
/* A probe per room; as an array, because joined plainly it costs forty times that. */
STMT(sync_my_rooms_new,
    "SELECT nid FROM room WHERE nid = ANY(ARRAY(SELECT room FROM local_member WHERE usr = $1 AND membership = 2))"
    " AND (last_pos >= $2 OR last_pos = ANY($3))");

/* ---- what changed */

struct changes {
	struct sync_member *members;
	size_t nmembers;
	int64_t *rooms;		/* joined rooms to look at */
	size_t nrooms, cap;
	int64_t *sized, *size;	/* full_state: the joined rooms, ascending, and how many members they have */
	size_t nsized;
};

static void
take_members(struct arena *a, struct rows *r, struct changes *c)
{
	struct sync_member *v = arena_calloc(a, c->nmembers + (size_t)r->n + 1, sizeof *v);

	if (c->nmembers > 0)
		memcpy(v, c->members, c->nmembers * sizeof *v);
	c->members = v;
	while (db_next(r))
		c->members[c->nmembers++] = (struct sync_member){ .room = db_i64(r, 0),
		    .membership = (enum membership)db_i64(r, 1), .event = db_i64(r, 2), .room_pos = db_i64(r, 3),
		    .pos = db_i64(r, 4), .sender = db_i64(r, 5), .joined_pos = db_i64(r, 6), .stripped = db_text(r, 7),
		    .oob_pdu = db_text(r, 8), .forgotten = db_bool(r, 9), .sender_id = db_text(r, 10),
		    .size = db_i64(r, 11), .event_pos = db_i64(r, 12), .blocked = member_blocks_invites(a, db_text(r, 13)),
		    .last_room_pos = db_i64(r, 14) };
}

static void
take_sizes(struct arena *a, struct rows *r, struct changes *c)
{
	c->sized = arena_alloc(a, ((size_t)r->n + 1) * sizeof *c->sized);
	c->size = arena_alloc(a, ((size_t)r->n + 1) * sizeof *c->size);
	while (db_next(r)) {
		c->sized[c->nsized] = db_i64(r, 0);
		c->size[c->nsized++] = db_i64(r, 1);
	}
}

static int64_t
size_of(const struct changes *c, int64_t room)
{
	size_t i = i64_place(c->sized, c->nsized, room);

	return i < c->nsized && c->sized[i] == room ? c->size[i] : 0;
}

static void
add_room(struct arena *a, struct changes *c, int64_t room)
{
	if (c->nrooms == c->cap) {
		size_t cap = c->cap ? 2 * c->cap : 64;

		c->rooms = arena_realloc(a, c->rooms, c->cap * sizeof *c->rooms, cap * sizeof *c->rooms);
		c->cap = cap;
	}
	c->rooms[c->nrooms++] = room;
}

/* The predefined push rules are account data too, until the user changes them. */
static void
add_push_rules(struct arena *a, struct sync_req *q)
{
	struct sync_data *v;
	size_t i;

	for (i = 0; i < q->ndata; i++)
		if (q->data[i].room == 0 && strcmp(q->data[i].type, "m.push_rules") == 0)
			return;
	v = arena_alloc(a, (q->ndata + 1) * sizeof *v);
	if (q->ndata > 0)
		memcpy(v, q->data, q->ndata * sizeof *v);
	v[q->ndata++] = (struct sync_data){ .type = "m.push_rules", .content = push_rules_of(a, q->w->user) };
	q->data = v;
}

/*
 * After a change of the ignored users all invitations are shown that are not theirs: some were not, before. It changes
 * counts, too, as does one of the push rules.
 */
static enum err
add_rooms(struct sync_run *run, struct sync_req *q, struct changes *c)
{
	struct ctx *cx = run->cx;
	struct rows r, rooms;
	size_t i;
	enum err e;

	for (i = 0; i < q->ndata; i++) {
		q->ignored_news |= q->data[i].room == 0 && strcmp(q->data[i].type, "m.ignored_user_list") == 0;
		q->rules_news |= q->data[i].room == 0 && strcmp(q->data[i].type, "m.push_rules") == 0;
	}
	if (q->initial || !(q->ignored_news || q->rules_news))
		return M_OK;
	if (q->ignored_news)
		db_queue(cx, &r, DB_ANY, &sync_my_invites, P_I64(q->w->user_nid));
	counts_rooms_queue(run, &rooms, q);
	if ((e = db_run(cx)) != M_OK)
		return e;
	if (q->ignored_news)
		take_members(cx->a, &r, c);
	while (rooms.res && db_next(&rooms))
		add_room(cx->a, c, db_i64(&rooms, 0));
	return M_OK;
}

static enum err
find_changes(struct sync_run *run, struct sync_req *q, struct changes *c)
{
	struct ctx *cx = run->cx;
	int64_t user = q->w->user_nid;
	struct rows sizes = { 0 }, members = { 0 }, rooms = { 0 }, live = { 0 }, data = { 0 }, ignored = { 0 }, reader;
	struct lists_load lists;
	struct keys_load keys;
	size_t i;
	enum err e;

	*c = (struct changes){ 0 };
	if (q->initial)
		db_queue(cx, &members, DB_ANY, &sync_my_members, P_I64(user));
	else if (q->covered && q->nmember_rooms > 0)
		db_queue(cx, &members, DB_ANY, &sync_my_members_of, P_I64(user), P_I64S(q->member_rooms, q->nmember_rooms));
	else if (!q->covered)
		db_queue(cx, &members, DB_ANY, &sync_my_members_new, P_I64(user), P_POSITION(&q->since));
	if (!q->initial && !q->covered) {
		db_queue(cx, &rooms, DB_ANY, &sync_my_rooms_new, P_I64(user), P_POSITION(&q->since));
		live_rooms_queue(cx, &live, q);
	}
	if (!q->covered || q->data_news)
		data_queue(cx, &data, &user, 1, q->initial ? 0 : position_lo(&q->since));
	if (!q->ignored_known)
		ignored_queue(cx, &ignored, &user, 1);
	if (q->w->full_state && !q->initial)
		db_queue(cx, &sizes, DB_ANY, &sync_my_sizes, P_I64(user));
	lists_queue(cx, &lists, &q, 1, true);
	counts_alone_queue(run, &reader, q);
	if (q->lost)		/* what it had acknowledged is not known */
		keys_queue(cx, &keys, &q, 1);
	if ((e = db_run(cx)) != M_OK)
		return e;
	lists_take(cx, &lists);
	counts_alone_take(run, &reader, q);
	if (q->lost)
		keys_take(run, &keys);
	q->ndata = 0;
	take_members(cx->a, &members, c);
	take_sizes(cx->a, &sizes, c);
	data_take(cx, &data, q);
	ignored_take(run, &ignored, q);
	if (q->initial)
		add_push_rules(cx->a, q);
	while (db_next(&rooms))
		add_room(cx->a, c, db_i64(&rooms, 0));
	while (live.res && db_next(&live))
		add_room(cx->a, c, db_i64(&live, 0));
	for (i = 0; q->covered && i < q->nrooms; i++)
		add_room(cx->a, c, q->rooms[i]);
	for (i = 0; !q->initial && i < q->ndata; i++)
		if (i64_in(q->joined, q->njoined, q->data[i].room))
			add_room(cx->a, c, q->data[i].room);
	for (i = 0; q->w->full_state && i < q->njoined; i++)
		add_room(cx->a, c, q->joined[i]);
	return add_rooms(run, q, c);
}

/* One room, whether its user is in it or not, and nothing else. */
static enum err
peek_changes(struct sync_run *run, struct sync_req *q, struct changes *c)
{
	struct rows ignored = { 0 };
	enum err e;

	*c = (struct changes){ 0 };
	add_room(run->cx->a, c, q->w->rooms[0]);
	if (q->ignored_known)
		return M_OK;
	ignored_queue(run->cx, &ignored, &q->w->user_nid, 1);
	if ((e = db_run(run->cx)) == M_OK)
		ignored_take(run, &ignored, q);
	return e;
}

/* ---- jobs */

/*
 * Which left rooms are shown: one left, kicked from or banned since then always once; at first
 * only those one was kicked or banned from, and the others if the filter asks (practice).
 */
static bool
shows_left(const struct sync_req *q, const struct sync_member *m)
{
	if (!q->initial || q->f->include_leave)
		return true;
	return m->joined_pos != 0 && (m->membership == MEM_BAN || m->sender != q->w->user_nid);
}

static void
add_job(struct sync_req *q, int64_t room, enum section s, const struct sync_member *m, bool fresh, int64_t size)
{
	struct sync_job *j = &q->jobs[q->njobs++];

	*j = (struct sync_job){ .room_nid = room, .section = s, .member = m, .fresh = fresh,
	    .full = fresh || (q->w->full_state && s == SECT_JOIN) };
	j->weight = WEIGHT + (j->full && !q->f->state.lazy_members ? size : 0);
}

static void
add_joined(struct sync_req *q, const struct sync_member *m, bool fresh)
{
	struct sync_job *j = &q->jobs[q->njobs];

	add_job(q, m->room, SECT_JOIN, NULL, fresh, m->size);
	j->settled = m->last_room_pos - m->room_pos > q->f->timeline.limit;
}

static void
member_job(struct sync_req *q, const struct sync_member *m)
{
	bool fresh = !m->forgotten && (q->initial || m->joined_pos == 0 || position_new(&q->since, m->joined_pos));

	/* A room that was left and forgotten at another device: this one hears of the end, and of nothing else. */
	if (m->forgotten && !position_new(&q->since, m->event_pos))
		return;

	switch (m->membership) {
	case MEM_JOIN:
		add_joined(q, m, fresh);
		break;
	case MEM_INVITE:
		if (!m->blocked && (!m->sender_id || !ignores(q, m->sender_id)))
			add_job(q, m->room, SECT_INVITE, m, false, m->size);
		break;
	case MEM_KNOCK:
		add_job(q, m->room, SECT_KNOCK, m, false, m->size);
		break;
	case MEM_LEAVE:
	case MEM_BAN:
		if (shows_left(q, m))
			add_job(q, m->room, SECT_LEAVE, m, fresh, m->size);
		break;
	case MEM_NONE:
		break;
	}
}

static int
by_section(const void *a, const void *b)
{
	const struct sync_job *x = a, *y = b;

	if (x->section != y->section)
		return (x->section > y->section) - (x->section < y->section);
	return (x->room_nid > y->room_nid) - (x->room_nid < y->room_nid);
}

static int
by_member_room(const void *a, const void *b)
{
	const struct sync_member *x = a, *y = b;

	return (x->room > y->room) - (x->room < y->room);
}

static void
make_jobs(struct arena *a, struct sync_req *q, struct changes *c)
{
	int64_t *done = arena_alloc(a, (c->nmembers + 1) * sizeof *done);
	size_t i, n = 0;

	q->jobs = arena_calloc(a, c->nmembers + c->nrooms + 1, sizeof *q->jobs);
	q->njobs = 0;
	if (c->nmembers > 1)
		qsort(c->members, c->nmembers, sizeof *c->members, by_member_room);
	for (i = 0; i < c->nmembers; i++) {
		if (n > 0 && done[n - 1] == c->members[i].room)		/* an invitation, found twice */
			continue;
		member_job(q, &c->members[i]);
		done[n++] = c->members[i].room;
	}
	nid_sort(c->rooms, c->nrooms);
	for (i = 0; i < c->nrooms; i++)
		if ((i == 0 || c->rooms[i] != c->rooms[i - 1]) && !i64_in(done, n, c->rooms[i]))
			add_job(q, c->rooms[i], SECT_JOIN, NULL, false, size_of(c, c->rooms[i]));
	qsort(q->jobs, q->njobs, sizeof *q->jobs, by_section);
}

/* All account data of the rooms that the user came into since, in place of the news of it. */
static enum err
data_of_new_rooms(struct ctx *cx, struct sync_req *q)
{
	int64_t *rooms = arena_alloc(cx->a, (q->njobs + 1) * sizeof *rooms);
	struct sync_data *v;
	size_t i, k = 0, n = 0;
	struct rows r;
	enum err e;

	for (i = 0; !q->initial && i < q->njobs; i++)	/* in the order of their numbers */
		if (q->jobs[i].section == SECT_JOIN && q->jobs[i].fresh)
			rooms[n++] = q->jobs[i].room_nid;
	if (n == 0)
		return M_OK;
	if ((e = db_query(cx, &r, &sync_data_rooms, P_I64(q->w->user_nid), P_I64S(rooms, n))) != M_OK)
		return e;
	v = arena_alloc(cx->a, (q->ndata + (size_t)r.n + 1) * sizeof *v);
	for (i = 0; i < q->ndata; i++)
		if (!i64_in(rooms, n, q->data[i].room))
			v[k++] = q->data[i];
	while (db_next(&r))
		v[k++] = (struct sync_data){ .usr = q->w->user_nid, .room = db_i64(&r, 0), .type = db_text(&r, 1),
		    .content = db_text(&r, 2), .pos = db_i64(&r, 3) };
	q->data = v;
	q->ndata = k;
	return M_OK;
}

enum err
sync_alone(struct sync_run *run, struct sync_req *q)
{
	const char *next = q->w->next;
	int64_t seen = q->w->seen;
	bool peek = q->w->kind == SYNC_PEEK;
	struct changes c;
	enum err e;

	if ((e = peek ? peek_changes(run, q, &c) : find_changes(run, q, &c)) != M_OK)
		return e;
	make_jobs(run->cx->a, q, &c);
	if (!peek && ((e = data_of_new_rooms(run->cx, q)) != M_OK || (e = presence_alone(run, q)) != M_OK))
		return e;
	answer_open(run, q);
	if ((e = pieces_run(run, q)) == M_OK)
		e = db_commit(run->cx);
	if (e != M_OK) {	/* computed again later: from where the client is, not from where this answer would have led */
		q->w->next = next;
		q->w->seen = seen;
		return e;
	}
	sync_done(run, q);
	keys_purge(run, &q, 1);
	return M_OK;
}
