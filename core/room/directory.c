/* core/room/directory.c - see directory.h. */
#include "core/room/directory.h"
#include "core/base/numbers.h"
#include "core/db/db.h"
#include "core/room/summary.h"

#define STEP 200	/* rooms looked at at once when some of them may be left out */
#define COUNT_MAX 10000

STMT(directory_down,
    "SELECT nid, listed FROM room WHERE listed IS NOT NULL AND (listed, nid) < ($1::int, $2) ORDER BY listed DESC, nid DESC LIMIT $3");
STMT(directory_up,
    "SELECT nid, listed FROM room WHERE listed IS NOT NULL AND (listed, nid) > ($1::int, $2) ORDER BY listed, nid LIMIT $3");
STMT(directory_count, "SELECT count(*) FROM (SELECT 1 FROM room WHERE listed > 0 LIMIT $1) r");

/* A place in the order: before (up) or behind the room with these two values. */
struct place {
	bool up;
	int64_t joined, nid;
};

static const char *
place_token(struct arena *a, const struct place *p)
{
	const int64_t v[] = { p->joined, p->nid };
	struct buf b;

	buf_init(&b, a);
	buf_putc(&b, p->up ? 'u' : 'd');
	numbers_write(&b, '_', v, 2);
	return b.s;
}

static bool
place_read(const char *s, struct place *p)
{
	int64_t v[2];

	if ((s[0] != 'u' && s[0] != 'd') || numbers_read(s + 1, '_', v, 2) != 2 || v[0] < 0 || v[0] > INT32_MAX || v[1] < 0)
		return false;
	*p = (struct place){ .up = s[0] == 'u', .joined = v[0], .nid = v[1] };
	return true;
}

/* ASCII letters of either case are the same; others are compared as they are. */
static bool
contains(const char *hay, const char *needle)
{
	return hay != NULL && strcasestr(hay, needle) != NULL;
}

static bool
of_type(const struct json *types, const char *type)
{
	for (size_t i = 0; i < types->u.arr.n; i++) {
		const struct json *t = types->u.arr.v[i];
		if (type == NULL ? json_is(t, JSON_NULL) : json_is(t, JSON_STR) && esc_equals_raw(type, t->u.str.s, t->u.str.n))
			return true;
	}
	return false;
}

static bool
wanted(const struct directory_query *q, const struct room_summary *s)
{
	if (s->id == NULL || (q->room_types != NULL && !of_type(q->room_types, s->room_type)))
		return false;
	return q->term == NULL || contains(s->name, q->term) || contains(s->topic, q->term) || contains(s->canonical_alias, q->term);
}

struct found {
	struct room_summary *v;
	size_t n;
	struct place first, last;	/* of v, in the direction of reading */
	struct place at;		/* where to go on */
	bool ended;
};

static enum err
scan_step(struct ctx *cx, const struct directory_query *q, struct found *f, int64_t step)
{
	struct rows r;
	struct room_summary *s;
	int64_t *nids, *joined;
	enum err e;

	if ((e = db_query(cx, &r, f->at.up ? &directory_up : &directory_down, P_I64(f->at.joined), P_I64(f->at.nid), P_I64(step))) != M_OK)
		return e;
	size_t n = (size_t)r.n;
	nids = arena_alloc(cx->a, (n + 1) * sizeof *nids);
	joined = arena_alloc(cx->a, (n + 1) * sizeof *joined);
	s = arena_alloc(cx->a, (n + 1) * sizeof *s);
	for (size_t i = 0; db_next(&r); i++) {
		nids[i] = db_i64(&r, 0);
		joined[i] = db_i64(&r, 1);
	}
	if ((e = summary_load(cx, nids, n, s)) != M_OK)
		return e;
	for (size_t i = 0; i < n; i++) {
		if (wanted(q, &s[i])) {
			if (f->n == (size_t)q->limit)
				return M_OK;		/* one more than asked for: so there is more */
			f->last = (struct place){ f->at.up, joined[i], nids[i] };
			if (f->n == 0)
				f->first = f->last;
			f->v[f->n++] = s[i];
		}
		f->at.joined = joined[i];
		f->at.nid = nids[i];
	}
	f->ended = (int64_t)n < step;
	return M_OK;
}

static enum err
scan(struct ctx *cx, const struct directory_query *q, struct found *f)
{
	bool all = q->term == NULL && q->room_types == NULL;
	enum err e;

	f->v = arena_alloc(cx->a, ((size_t)q->limit + 1) * sizeof *f->v);
	for (int64_t seen = 0; !f->ended && seen < DIRECTORY_SCAN_MAX; seen += STEP) {
		if ((e = scan_step(cx, q, f, all ? q->limit + 1 : STEP)) != M_OK)
			return e;
		if (f->n == (size_t)q->limit)
			break;
	}
	return M_OK;
}

/* The pages before and behind. Read upwards, what was found stands in the other order. */
static void
write_tokens(struct arena *a, const struct directory_query *q, struct found *f, struct json_out *o)
{
	struct place back = f->n > 0 ? f->first : f->at, on = f->at;

	back.up = !f->at.up;
	if (f->at.up) {
		if (!f->ended)
			json_str(o, "prev_batch", place_token(a, &on));
		json_str(o, "next_batch", place_token(a, &back));
		return;
	}
	if (!f->ended)
		json_str(o, "next_batch", place_token(a, &on));
	if (q->since != NULL)
		json_str(o, "prev_batch", place_token(a, &back));
}

enum err
directory_list(struct ctx *cx, const struct directory_query *asked, struct json_out *o)
{
	struct directory_query q = *asked;
	struct found f = { .at = { false, INT32_MAX, INT64_MAX } };
	struct rows r;
	enum err e;

	if (q.limit <= 0 || q.limit > DIRECTORY_LIMIT_MAX)
		q.limit = DIRECTORY_LIMIT_MAX;
	if (q.since != NULL && *q.since == '\0')
		q.since = NULL;
	if (q.since != NULL && !place_read(q.since, &f.at))
		return fail(cx, M_INVALID_PARAM, "since is no token of this server");
	db_queue(cx, &r, DB_ONE, &directory_count, P_I64(COUNT_MAX));
	if ((e = scan(cx, &q, &f)) != M_OK)
		return e;
	json_obj(o, NULL);
	json_arr(o, "chunk");
	for (size_t i = 0; i < f.n; i++) {
		json_obj(o, NULL);
		summary_write(o, &f.v[f.at.up ? f.n - 1 - i : i], false);
		json_end(o);
	}
	json_end(o);
	write_tokens(cx->a, &q, &f, o);
	json_int(o, "total_room_count_estimate", db_i64(&r, 0));
	json_end(o);
	return M_OK;
}

enum err
directory_summary(struct ctx *cx, const char *room, struct json_out *o)
{
	struct room_summary s;
	int64_t nid;
	enum err e;

	if ((e = summary_nids(cx, &room, 1, &nid)) != M_OK || (e = summary_load(cx, &nid, 1, &s)) != M_OK)
		return e;
	/* Who was in the room and is out of it (or banned) is told no more than a stranger. */
	if (!summary_accessible(&s))
		return fail(cx, M_NOT_FOUND, "there is no such room, or it is not for you");
	json_obj(o, NULL);
	summary_write(o, &s, true);
	if (cx->user != NULL)
		json_str(o, "membership", s.membership != MEM_NONE ? membership_name(s.membership) : "leave");
	json_end(o);
	return M_OK;
}
