/* core/room/relation_read.c - see relation_read.h. */
#include "core/room/relation_read.h"
#include "core/room/erased.h"
#include "core/room/names.h"
#include "core/room/read_impl.h"
#include "core/room/relation.h"

#define EVENT "CROSS JOIN LATERAL (SELECT * FROM event WHERE nid = r.event OFFSET 0) e "
#define BACK "r.room_pos <= $3 AND r.room_pos > $4 ORDER BY r.room_pos DESC LIMIT $5"
#define FORTH "r.room_pos > $3 AND r.room_pos <= $4 ORDER BY r.room_pos LIMIT $5"
#define LIST(range) "SELECT " ROOM_EVENT_COLS " FROM event_relation r " EVENT					\
	"WHERE r.target = $1 AND r.rel_type = $2 AND ($6 = -1 OR r.type = $6) AND " range
STMT(relations_type_back, LIST(BACK));
STMT(relations_type_forth, LIST(FORTH));
/* Of any kind: the kinds there are, one look-up each, then as much as is wanted of each. $2 is not looked at. */
#define ANY(range, order)							\
	"WITH RECURSIVE k(t) AS ((SELECT rel_type FROM event_relation WHERE target = $1 ORDER BY rel_type LIMIT 1)"	\
	" UNION ALL SELECT (SELECT r.rel_type FROM event_relation r WHERE r.target = $1 AND r.rel_type > k.t ORDER BY r.rel_type LIMIT 1)"	\
	" FROM k WHERE k.t IS NOT NULL)"					\
	" SELECT " ROOM_EVENT_COLS " FROM (SELECT x.event, x.room_pos FROM k CROSS JOIN LATERAL (SELECT r.event, r.room_pos"	\
	" FROM event_relation r WHERE r.target = $1 AND r.rel_type = k.t AND ($6 = -1 OR r.type = $6) AND " range ") x"	\
	" WHERE k.t IS NOT NULL AND $2::bigint IS NOT NULL ORDER BY x.room_pos " order " LIMIT $5) r " EVENT "ORDER BY r.room_pos " order
STMT(relations_back, ANY(BACK, "DESC"));
STMT(relations_forth, ANY(FORTH, "ASC"));
/* All that hangs on the event, then as above. */
#define TREE(range, order)							\
	"WITH RECURSIVE t(event, depth) AS (SELECT r.event, 1 FROM event_relation r WHERE r.target = $1"	\
	" UNION SELECT r.event, t.depth + 1 FROM t JOIN event_relation r ON r.target = t.event WHERE t.depth < $7)"	\
	" SELECT " ROOM_EVENT_COLS " FROM (SELECT r.event, r.room_pos FROM (SELECT DISTINCT event FROM t) d"	\
	" CROSS JOIN LATERAL (SELECT * FROM event_relation WHERE event = d.event OFFSET 0) r WHERE ($2 = -1 OR r.rel_type = $2) AND ($6 = -1 OR r.type = $6) AND " range ") r "	\
	EVENT "ORDER BY r.room_pos " order
STMT(relations_tree_back, TREE(BACK, "DESC"));
STMT(relations_tree_forth, TREE(FORTH, "ASC"));
STMT(relations_names, "SELECT (SELECT nid FROM name WHERE body = $1), (SELECT nid FROM name WHERE body = $2)");
STMT(relations_threads,
    "SELECT " ROOM_EVENT_COLS ", t.latest_pos FROM (SELECT root, latest_pos FROM thread h WHERE h.room = $1 AND h.latest_pos <= $2"
    "	AND h.n > 0 AND (NOT $4 OR (SELECT sender FROM event WHERE nid = h.root) = $5"
    "	OR (SELECT u.n FROM thread_user u WHERE u.root = h.root AND u.usr = $5) > 0)"
    "	ORDER BY h.latest_pos DESC LIMIT $3) t"
    " CROSS JOIN LATERAL (SELECT * FROM event WHERE nid = t.root OFFSET 0) e ORDER BY t.latest_pos DESC");
/* For who may not see all of the room: its threads as they were then. $6: the last room_pos that he may see. */
STMT(relations_threads_then,
    "SELECT " ROOM_EVENT_COLS ", t.latest_pos FROM (SELECT h.root, l.room_pos AS latest_pos FROM thread h CROSS JOIN LATERAL"
    "	(SELECT room_pos FROM event_relation WHERE target = h.root AND rel_type = 27 AND room_pos <= $6 ORDER BY room_pos DESC LIMIT 1) l"
    "	WHERE h.room = $1 AND l.room_pos <= $2 AND (NOT $4 OR (SELECT sender FROM event WHERE nid = h.root) = $5"
    "	OR (SELECT true FROM event_relation u WHERE u.target = h.root AND u.rel_type = 27 AND u.sender = $5 AND u.room_pos <= $6 LIMIT 1))"
    "	ORDER BY l.room_pos DESC LIMIT $3) t"
    " CROSS JOIN LATERAL (SELECT * FROM event WHERE nid = t.root OFFSET 0) e ORDER BY t.latest_pos DESC");

/* What one request looks at. */
struct list {
	struct room_access acc;
	struct visibility vis;
	struct ignored ignored;
	struct room_event *ev;
	size_t n;
	int64_t from, to;	/* as struct page: back from >= room_pos > to, else from < room_pos <= to */
	int64_t limit;
};

static int64_t
cut(int64_t limit)
{
	return limit < RELATIONS_LIMIT_MAX ? limit : RELATIONS_LIMIT_MAX;
}

static enum err
take_range(struct ctx *cx, struct list *l, const struct relations_query *q)
{
	enum err e;

	l->from = q->back ? l->acc.top : INT64_MIN;
	l->to = q->back ? INT64_MIN : l->acc.top;
	if ((q->from != NULL && (e = read_token(cx, &l->acc, q->from, &l->from)) != M_OK) ||
	    (q->to != NULL && (e = read_token(cx, &l->acc, q->to, &l->to)) != M_OK))
		return e;
	if (q->back && l->from > l->acc.top)
		l->from = l->acc.top;
	if (!q->back && l->to > l->acc.top)
		l->to = l->acc.top;
	return M_OK;
}

/* The numbers of the two types; -1: not asked for, -2: there is nothing of it. */
static enum err
take_types(struct ctx *cx, const struct relations_query *q, int64_t *rel_type, int64_t *type)
{
	struct rows r;
	enum err e;

	*rel_type = *type = -1;
	if (q->rel_type == NULL && q->type == NULL)
		return M_OK;
	if ((e = db_row(cx, &r, &relations_names, P_TEXT(q->rel_type), P_TEXT(q->type))) != M_OK)
		return e;
	if (q->rel_type != NULL)
		*rel_type = db_null(&r, 0) ? -2 : db_i64(&r, 0);
	if (q->type != NULL)
		*type = db_null(&r, 1) ? -2 : db_i64(&r, 1);
	return M_OK;
}

static void
queue_list(struct ctx *cx, struct rows *r, const struct list *l, const struct relations_query *q, int64_t target, int64_t rel_type,
    int64_t type)
{
	const struct stmt *st = q->back ? &relations_back : &relations_forth;

	if (q->recurse) {
		db_queue(cx, r, DB_ANY, q->back ? &relations_tree_back : &relations_tree_forth, P_I64(target), P_I64(rel_type), P_I64(l->from),
		    P_I64(l->to), P_I64(l->limit + 1), P_I64(type), P_I64(RELATIONS_DEPTH));
		return;
	}
	if (rel_type != -1)
		st = q->back ? &relations_type_back : &relations_type_forth;
	db_queue(cx, r, DB_ANY, st, P_I64(target), P_I64(rel_type), P_I64(l->from), P_I64(l->to), P_I64(l->limit + 1), P_I64(type));
}

/* Keeps what the reader may see. *last: the room_pos of the last one looked at. */
static void
take_list(struct ctx *cx, struct rows *r, struct list *l, int64_t *last)
{
	struct room_event ev;

	l->ev = arena_alloc(cx->a, ((size_t)r->n + 1) * sizeof *l->ev);
	for (int64_t i = 0; i < l->limit && db_next(r); i++) {
		room_event_read(r, &ev);
		*last = ev.room_pos;
		if (!ignored_has(&l->ignored, ev.sender) && visibility_allows(cx->a, &l->vis, &ev))
			l->ev[l->n++] = ev;
	}
}

/* As an open array's elements. */
static enum err
write_events(struct ctx *cx, struct list *l, struct json_out *o)
{
	const char **txn = arena_calloc(cx->a, l->n + 1, sizeof *txn);
	enum err e;

	read_erased(cx, &l->acc, &l->vis, l->ev, l->n);
	if ((e = room_event_txn_ids(cx, cx->user_nid, cx->device, l->ev, l->n, txn)) != M_OK)
		return e;
	for (size_t i = 0; i < l->n; i++)
		room_event_write(o, NULL, &l->ev[i], l->acc.id, cx->now, visibility_membership(cx->a, &l->vis, &l->ev[i]), txn[i]);
	return M_OK;
}

enum err
relations_list(struct ctx *cx, const char *room, const char *event_id, const struct relations_query *q, struct json_out *o)
{
	struct list l = { .limit = cut(q->limit) };
	struct room_event parent;
	struct rows r, ignored;
	int64_t rel_type, type, last = 0;
	enum err e;

	if ((e = read_find(cx, room, event_id, &l.acc, &l.vis, &parent)) != M_OK)
		return e == M_FORBIDDEN ? fail(cx, M_NOT_FOUND, "there is no such event, or it is not for you") : e;
	if ((e = take_range(cx, &l, q)) != M_OK || (e = take_types(cx, q, &rel_type, &type)) != M_OK)
		return e;
	ignored_list_queue(cx, &ignored);
	queue_list(cx, &r, &l, q, parent.nid, rel_type, type);
	if ((e = db_run(cx)) != M_OK)
		return e;
	ignored_list_take(cx, &ignored, &l.ignored);
	take_list(cx, &r, &l, &last);
	json_obj(o, NULL);
	json_arr(o, "chunk");
	if ((e = read_bundle(cx, &l.acc, &l.vis, &l.ignored, l.ev, l.n)) != M_OK || (e = write_events(cx, &l, o)) != M_OK)
		return e;
	json_end(o);
	if (r.n > l.limit)
		json_str(o, "next_batch", room_token(cx->a, q->back ? last - 1 : last));
	if (q->from != NULL)
		json_str(o, "prev_batch", q->from);
	if (q->recurse)
		json_int(o, "recursion_depth", RELATIONS_DEPTH);
	json_end(o);
	return M_OK;
}

/* ---- threads */

static void
take_threads(struct ctx *cx, struct rows *r, struct list *l, int64_t *last)
{
	struct room_event ev;

	l->ev = arena_alloc(cx->a, ((size_t)r->n + 1) * sizeof *l->ev);
	for (int64_t i = 0; i < l->limit && db_next(r); i++) {
		room_event_read(r, &ev);
		*last = db_i64(r, ROOM_EVENT_NCOLS);
		if (ignored_has(&l->ignored, ev.sender))	/* shown redacted, as a client that counts for itself would have it */
			room_event_hide(cx->a, l->acc.rv, &ev);
		if (visibility_allows(cx->a, &l->vis, &ev))
			l->ev[l->n++] = ev;
	}
}

enum err
threads_list(struct ctx *cx, const char *room, bool participated, const char *from, int64_t limit, struct json_out *o)
{
	struct list l = { .limit = cut(limit) };
	struct rows r, spans, ignored;
	int64_t last = 0;
	size_t k = 0;
	enum err e;

	if ((e = access_open(cx, room, &l.acc)) != M_OK)
		return e;
	l.from = l.acc.top;
	if (from != NULL && (e = read_token(cx, &l.acc, from, &l.from)) != M_OK)
		return e;
	visibility_queue(cx, &spans, &cx->user_nid, &l.acc.room, 1);
	ignored_list_queue(cx, &ignored);
	if (l.acc.top < l.acc.last_room_pos)
		db_queue(cx, &r, DB_ANY, &relations_threads_then, P_I64(l.acc.room), P_I64(l.from), P_I64(l.limit + 1), P_BOOL(participated),
		    P_I64(cx->user_nid), P_I64(l.acc.top));
	else
		db_queue(cx, &r, DB_ANY, &relations_threads, P_I64(l.acc.room), P_I64(l.from), P_I64(l.limit + 1), P_BOOL(participated),
		    P_I64(cx->user_nid));
	if ((e = db_run(cx)) != M_OK)
		return e;
	visibility_take(cx, &spans, &cx->user_nid, 1, &l.vis);
	ignored_list_take(cx, &ignored, &l.ignored);
	take_threads(cx, &r, &l, &last);
	if ((e = read_bundle(cx, &l.acc, &l.vis, &l.ignored, l.ev, l.n)) != M_OK)
		return e;
	for (size_t i = 0; i < l.n; i++)	/* of what only ignored users wrote there is nothing to be seen */
		if (l.ev[i].thread_root)
			l.ev[k++] = l.ev[i];
	l.n = k;
	json_obj(o, NULL);
	json_arr(o, "chunk");
	if ((e = write_events(cx, &l, o)) != M_OK)
		return e;
	json_end(o);
	if (r.n > l.limit)
		json_str(o, "next_batch", room_token(cx->a, last - 1));
	json_end(o);
	return M_OK;
}
