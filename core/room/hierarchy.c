/* core/room/hierarchy.c - see hierarchy.h. */
#include "core/room/hierarchy.h"
#include "core/base/id.h"
#include "core/base/numbers.h"
#include "core/base/sorted.h"
#include "core/db/db.h"
#include "core/room/names.h"
#include "core/room/render.h"
#include "core/room/summary.h"
#include <string.h>

#define STEP 50		/* children, of those that are known here, that are looked at together */

STMT(hierarchy_children,
    "SELECT n.body, e.content, e.flags, e.ts, e.sender, (SELECT nid FROM room WHERE id = n.body)"
    " FROM current_state s CROSS JOIN LATERAL (SELECT body FROM name WHERE nid = s.key) n"
    " CROSS JOIN LATERAL (SELECT content, flags, ts, sender FROM event WHERE nid = s.event OFFSET 0) e"
    " WHERE s.room = $1 AND s.type = 20");

STMT(hierarchy_parents,
    "SELECT nid FROM unnest($1::bigint[]) k(nid)"
    " WHERE (SELECT true FROM state WHERE room = k.nid AND line = 0 AND type = 20 LIMIT 1) ORDER BY nid");

struct child {
	const char *id, *content;
	int64_t sender;			/* name.nid */
	int64_t nid;			/* 0: not known here */
	int64_t ts;
	const struct json *order;	/* NULL: none that is valid */
};
/* A space on the way down. */
struct frame {
	struct child *v;
	size_t n, next;			/* next: the child that is looked at next */
	struct room_summary *s;		/* of v[first] .. v[loaded - 1] */
	size_t first, loaded;
	int64_t room;
};
struct walk {
	struct ctx *cx;
	const struct hierarchy_query *q;
	int64_t limit, max_depth;
	struct frame f[HIERARCHY_DEPTH + 1];
	int depth;			/* frames open */
	int64_t *seen;			/* rooms shown; they are not shown again */
	size_t nseen, seen_cap;
	int64_t path[HIERARCHY_DEPTH + 2];	/* from the space to the last room shown */
	int npath;
	int64_t shown;
};

/* ---- children */

static bool
valid_via(const struct json *via)
{
	if (!json_is(via, JSON_ARR) || via->u.arr.n == 0)
		return false;
	for (size_t i = 0; i < via->u.arr.n; i++)
		if (!json_is(via->u.arr.v[i], JSON_STR))
			return false;
	return true;
}

/* At most 50 printable ASCII characters, else as if there were none. */
static const struct json *
valid_order(const struct json *v)
{
	if (!json_is(v, JSON_STR) || v->u.str.n == 0 || v->u.str.n > 50)
		return NULL;
	for (size_t i = 0; i < v->u.str.n; i++)
		if (v->u.str.s[i] < 0x20 || v->u.str.s[i] > 0x7e)
			return NULL;
	return v;
}

/* "Ordering of children within a space". */
static int
by_order(const void *a, const void *b)
{
	const struct child *x = a, *y = b;
	int d = (x->order == NULL) - (y->order == NULL);

	if (d == 0 && x->order != NULL)
		d = strcmp(x->order->u.str.s, y->order->u.str.s);
	if (d == 0)
		d = (x->ts > y->ts) - (x->ts < y->ts);
	return d != 0 ? d : strcmp(x->id, y->id);
}

static enum err
load_children(struct walk *w, int64_t room, struct frame *f)
{
	struct arena *a = w->cx->a;
	struct rows r;
	enum err e;

	*f = (struct frame){ .room = room };
	if ((e = db_query(w->cx, &r, &hierarchy_children, P_I64(room))) != M_OK)
		return e;
	f->v = arena_alloc(a, ((size_t)r.n + 1) * sizeof *f->v);
	while (db_next(&r)) {
		const char *text = db_text(&r, 1);
		struct json *c = NULL;
		json_parse(a, text, strlen(text), &c);
		if (db_i64(&r, 2) & EV_VERBATIM) {
			c = json_get(c, "content");
			text = c != NULL ? json_canonical_str(a, c, NULL) : "{}";
		}
		if (!valid_via(json_get(c, "via")) || !id_is_room(db_text(&r, 0)) ||
		    (w->q->suggested_only && !json_get_bool(c, "suggested", false)))
			continue;
		f->v[f->n++] = (struct child){ db_text(&r, 0), text, db_i64(&r, 4), db_i64(&r, 5), db_i64(&r, 3),
			valid_order(json_get(c, "order")) };
	}
	qsort(f->v, f->n, sizeof *f->v, by_order);
	return M_OK;
}

static enum err
load_summaries(struct walk *w, struct frame *f)
{
	int64_t *nids = arena_alloc(w->cx->a, (f->n - f->next) * sizeof *nids);
	size_t n = 0, known = 0;

	for (; f->next + n < f->n && known < STEP; n++)
		known += (nids[n] = f->v[f->next + n].nid) != 0;
	f->s = arena_alloc(w->cx->a, n * sizeof *f->s);
	f->first = f->next;
	f->loaded = f->next + n;
	return summary_load(w->cx, nids, n, f->s);
}

/* ---- what was shown */

static bool
has_seen(const struct walk *w, int64_t room)
{
	for (size_t i = 0; i < w->nseen; i++)
		if (w->seen[i] == room)
			return true;
	return false;
}

static void
see(struct walk *w, int64_t room)
{
	if (w->nseen == w->seen_cap) {
		size_t cap = 2 * w->seen_cap + 64;
		w->seen = arena_realloc(w->cx->a, w->seen, w->seen_cap * sizeof *w->seen, cap * sizeof *w->seen);
		w->seen_cap = cap;
	}
	w->seen[w->nseen++] = room;
}

static bool
is_space(const struct room_summary *s)
{
	return s->room_type != NULL && strcmp(s->room_type, "m.space") == 0;
}

/* The children only pass by on later pages, so who made them so is found out here. */
static enum err
write_room(struct ctx *cx, struct json_out *o, const struct room_summary *s, const struct frame *f)
{
	int64_t *sender = arena_alloc(cx->a, (f->n + 1) * sizeof *sender);
	const char **names = arena_calloc(cx->a, f->n + 1, sizeof *names);
	enum err e;

	for (size_t i = 0; i < f->n; i++)
		sender[i] = f->v[i].sender;
	if ((e = name_texts(cx, sender, f->n, names)) != M_OK)
		return e;
	json_obj(o, NULL);
	summary_write(o, s, true);
	json_arr(o, "children_state");
	for (size_t i = 0; i < f->n; i++) {
		json_obj(o, NULL);
		json_raw(o, "content", f->v[i].content);
		json_int(o, "origin_server_ts", f->v[i].ts);
		json_esc(o, "sender", names[i]);
		json_esc(o, "state_key", f->v[i].id);
		json_str(o, "type", "m.space.child");
		json_end(o);
	}
	json_end(o);
	json_end(o);
	return M_OK;
}

/* Shows a room at the present depth and goes down into it if it is a space. */
static enum err
visit(struct walk *w, const struct room_summary *s, struct json_out *o)
{
	struct frame f = { 0 };
	bool space = is_space(s);
	enum err e;

	if ((space && (e = load_children(w, s->room, &f)) != M_OK) || (e = write_room(w->cx, o, s, &f)) != M_OK)
		return e;
	see(w, s->room);
	w->npath = 0;
	for (int i = 0; i < w->depth; i++)
		w->path[w->npath++] = w->f[i].room;
	w->path[w->npath++] = s->room;
	w->shown++;
	if (space && w->depth < w->max_depth)
		w->f[w->depth++] = f;
	return M_OK;
}

/* Takes back frames that are at their end. False: the walk is over. */
static bool
more(struct walk *w)
{
	while (w->depth > 0 && w->f[w->depth - 1].next == w->f[w->depth - 1].n)
		w->depth--;
	return w->depth > 0;
}

static enum err
walk_on(struct walk *w, struct json_out *o)
{
	enum err e;

	while (more(w) && w->shown < w->limit) {
		struct frame *f = &w->f[w->depth - 1];
		if (f->v[f->next].nid == 0) {
			f->next++;
			continue;
		}
		if (f->next >= f->loaded && (e = load_summaries(w, f)) != M_OK)
			return e;
		const struct room_summary *s = &f->s[f->next - f->first];
		f->next++;
		if (summary_accessible(s) && !has_seen(w, s->room) && (e = visit(w, s, o)) != M_OK)
			return e;
	}
	return M_OK;
}

/* ---- tokens: "h<max_depth>.<suggested>.<nid>.<nid>…" */

static const char *
token_of(const struct walk *w)
{
	const int64_t head[] = { w->max_depth, w->q->suggested_only };
	struct buf b;

	buf_init(&b, w->cx->a);
	buf_putc(&b, 'h');
	numbers_write(&b, '.', head, 2);
	buf_putc(&b, '.');
	numbers_write(&b, '.', w->path, (size_t)w->npath);
	return b.s;
}

static bool
read_path(struct walk *w, const char *s)
{
	int64_t v[2 + sizeof w->path / sizeof *w->path];
	size_t n;

	if (*s != 'h' || (n = numbers_read(s + 1, '.', v, 2 + (size_t)w->max_depth + 1)) <= 2 || v[0] != w->max_depth || v[1] != w->q->suggested_only)
		return false;
	w->npath = (int)n - 2;
	memcpy(w->path, v + 2, (n - 2) * sizeof *v);
	return true;
}

/* Those of some rooms that have children. */
static enum err
find_parents(struct walk *w, const struct frame *f, size_t n, int64_t **out, size_t *nout)
{
	int64_t *nids = arena_alloc(w->cx->a, (n + 1) * sizeof *nids);
	size_t k = 0;
	struct rows r;
	enum err e;

	*out = arena_alloc(w->cx->a, (n + 1) * sizeof **out);
	*nout = 0;
	for (size_t i = 0; i < n; i++)
		if (f->v[i].nid != 0 && !has_seen(w, f->v[i].nid))
			nids[k++] = f->v[i].nid;
	if (k == 0)
		return M_OK;
	if ((e = db_query(w->cx, &r, &hierarchy_parents, P_I64S(nids, k))) != M_OK)
		return e;
	while (db_next(&r))
		(*out)[(*nout)++] = db_i64(&r, 0);
	return M_OK;
}

/*
 * What the pages before have shown below the first n children, so that it is not shown again where another space has it, too: the same walk,
 * but only down the spaces. depth: frames that were open then; not more than HIERARCHY_DEPTH, and no space twice.
 */
static enum err
pass(struct walk *w, const struct frame *f, size_t n, int depth)
{
	int64_t *parents;
	size_t nparents;
	struct room_summary s;
	struct frame below;
	enum err e;

	if ((e = find_parents(w, f, n, &parents, &nparents)) != M_OK)
		return e;
	for (size_t i = 0; i < n; i++) {
		int64_t nid = f->v[i].nid;

		if (nid == 0 || has_seen(w, nid))
			continue;
		see(w, nid);
		if (depth >= w->max_depth || !i64_in(parents, nparents, nid))
			continue;
		if ((e = summary_load(w->cx, &nid, 1, &s)) != M_OK)
			return e;
		if (!is_space(&s) || !summary_accessible(&s))
			continue;
		if ((e = load_children(w, nid, &below)) != M_OK || (e = pass(w, &below, below.n, depth + 1)) != M_OK)
			return e;
	}
	return M_OK;
}

/* Stands behind path[i + 1] among the children of path[i]; all before it have been shown. */
static enum err
skip_to(struct walk *w, struct frame *f, int64_t room, int depth)
{
	size_t at;

	for (at = 0; at < f->n && (f->v[at].nid != room || room == 0); at++)
		;
	if (at == f->n)
		return fail(w->cx, M_INVALID_PARAM, "the space has changed: begin again");
	f->next = at + 1;
	return pass(w, f, at, depth);
}

/* Opens the frames of the token's path anew, as the reader may see them today. */
static enum err
resume(struct walk *w, int64_t root)
{
	struct room_summary *s = arena_alloc(w->cx->a, (HIERARCHY_DEPTH + 2) * sizeof *s);
	enum err e;

	if (!read_path(w, w->q->from) || w->path[0] != root)
		return fail(w->cx, M_INVALID_PARAM, "that is no token of this walk");
	if ((e = summary_load(w->cx, w->path, (size_t)w->npath, s)) != M_OK)
		return e;
	for (int i = 0; i < w->npath; i++) {
		bool space = is_space(&s[i]);
		see(w, w->path[i]);
		if (!summary_accessible(&s[i]) || (i + 1 < w->npath && !space))
			return fail(w->cx, M_INVALID_PARAM, "the space has changed: begin again");
		if (!space || i >= w->max_depth)
			break;
		if ((e = load_children(w, w->path[i], &w->f[i])) != M_OK)
			return e;
		w->depth = i + 1;
		if (i + 1 < w->npath && (e = skip_to(w, &w->f[i], w->path[i + 1], i + 1)) != M_OK)
			return e;
	}
	return M_OK;
}

enum err
hierarchy_list(struct ctx *cx, const char *room, const struct hierarchy_query *q, struct json_out *o)
{
	struct walk w = { .cx = cx, .q = q, .limit = q->limit < HIERARCHY_LIMIT ? q->limit : HIERARCHY_LIMIT,
		.max_depth = q->max_depth < HIERARCHY_DEPTH ? q->max_depth : HIERARCHY_DEPTH };
	struct room_summary root;
	int64_t nid;
	enum err e;

	if ((e = summary_nids(cx, &room, 1, &nid)) != M_OK || (e = summary_load(cx, &nid, 1, &root)) != M_OK)
		return e;
	if (!summary_accessible(&root))
		return fail(cx, M_FORBIDDEN, "you may not view this room");
	json_obj(o, NULL);
	json_arr(o, "rooms");
	if ((e = q->from != NULL ? resume(&w, nid) : visit(&w, &root, o)) != M_OK || (e = walk_on(&w, o)) != M_OK)
		return e;
	json_end(o);
	if (more(&w))
		json_str(o, "next_batch", token_of(&w));
	json_end(o);
	return M_OK;
}
