/*
 * core/sync/presence.c - the section `presence`: of users who share a room with the reader, and of himself.
 *
 * A user's presence is news when his row is, or when he and the reader begin to share a room. In large rooms everybody would hear of
 * everybody, with each log-in of one of thousands, and a storm of them would cost the square of the members; and many rooms of
 * middle size come to the same as a large one. So rooms of up to RING_SMALL members tell it always, and of the others the smallest
 * that a reader is in, as long as they have no more than presence_room_max members together: what he is told of, and what is read
 * for it, has a bound. Whom one meets only elsewhere can be asked for (GET /presence).
 * Of very many at once only those are told who changed last (TOLD_MAX): an answer has a size.
 * Light requests know whom to look at from the ring; whether he shares a room is
 * decided by the lists of joined rooms that the ring keeps (a stranger's is read once, then followed).
 */
#include "core/base/conf.h"
#include "core/sync/impl.h"

#define TOLD_MAX 500		/* in one answer */

STMT(sync_presence_of, "SELECT " PRESENCE_COLS " FROM presence p WHERE p.usr = ANY($1)");
STMT_WARM(sync_presence_of, "sync");
STMT(sync_presence_rooms, "SELECT usr, array_agg(room) FROM local_member WHERE usr = ANY($1) AND membership = 2 GROUP BY usr");
STMT_WARM(sync_presence_rooms, "sync");

/*
 * $1 the reader, $2 and $3 his position, $4 his rooms (large ones left out), $5 those that he is new in, $6 is it an initial sync. What changed, of
 * whom he shares a room with; those that are new in his rooms; who is there of those that he is new to, and at first himself.
 */
#define NEW(table) " (SELECT * FROM " table " WHERE pos >= $2 UNION ALL SELECT * FROM " table " WHERE pos = ANY($3))"
STMT(sync_presence_alone,
    "SELECT " PRESENCE_COLS " FROM presence p WHERE p.usr = ANY(ARRAY("
    "	SELECT n.usr FROM" NEW("presence") " n WHERE n.usr = $1 OR EXISTS ("
    "		SELECT 1 FROM local_member m WHERE m.usr = n.usr AND m.membership = 2 AND m.room = ANY($4))"
    "	UNION SELECT m.usr FROM" NEW("local_member") " m WHERE m.membership = 2 AND m.room = ANY($4)"
    "	UNION SELECT v.usr FROM local_member m JOIN presence v ON v.usr = m.usr AND v.state <> 0"
    "		WHERE m.room = ANY($5) AND m.membership = 2"
    "	UNION SELECT v.usr FROM presence v WHERE $6 AND v.usr = $1 AND v.state <> 0))");

bool
presence_wanted(const struct sync_run *run, const struct sync_req *q)
{
	return run->cx->conf->presence && filter_event(&q->f->presence, NULL, "m.presence", NULL, "{}");
}

void
presence_see(struct arena *a, struct sync_req *q, int64_t usr, bool met)
{
	if ((q->nseen & (q->nseen - 1)) == 0)	/* capacity: the next power of two */
		q->seen = arena_realloc(a, q->seen, q->nseen * sizeof *q->seen, (q->nseen ? 2 * q->nseen : 1) * sizeof *q->seen);
	q->seen[q->nseen++] = (struct seen_user){ usr, met };
}

static int
by_user(const void *a, const void *b)
{
	const struct seen_user *x = a, *y = b;

	if (x->usr != y->usr)
		return (x->usr > y->usr) - (x->usr < y->usr);
	return y->met - x->met;
}

void
presence_seen(struct sync_req *q)
{
	size_t i, k = 0;

	if (q->nseen > 1)
		qsort(q->seen, q->nseen, sizeof *q->seen, by_user);
	for (i = 0; i < q->nseen; i++)
		if (i == 0 || q->seen[i].usr != q->seen[i - 1].usr)
			q->seen[k++] = q->seen[i];
	q->nseen = k;
}

bool
presence_told(const struct sync_run *run, struct sync_req *q, int64_t room)
{
	if (ring_room_small(run->ring, room))
		return true;
	if (!q->quiet)
		q->quiet = ring_quiet(run->ring, run->cx->a, q->joined, q->njoined, &q->nquiet);
	return !i64_in(q->quiet, q->nquiet, room);
}

/* Does the reader have a room in common with one of these, in which he is told who is there? */
static bool
share_room(const struct sync_run *run, struct sync_req *q, const int64_t *b, size_t nb)
{
	const int64_t *a = q->joined;
	size_t i, na = q->njoined;

	if (na > nb) {
		a = b;
		na = nb;
		b = q->joined;
		nb = q->njoined;
	}
	for (i = 0; i < na; i++)
		if (i64_in(b, nb, a[i]) && presence_told(run, q, a[i]))
			return true;
	return false;
}

/* Those in which presence is told, of all that he is in. out may be v. */
static size_t
telling_rooms(const struct sync_run *run, const int64_t *v, size_t n, int64_t *out)
{
	size_t i, k = 0, nquiet;
	const int64_t *quiet = ring_quiet(run->ring, run->cx->a, v, n, &nquiet);

	for (i = 0; i < n; i++)
		if (!i64_in(quiet, nquiet, v[i]))
			out[k++] = v[i];
	return k;
}

static void
show(struct sync_req *q, const struct presence *p)
{
	if (p->user && !ignores(q, p->user) && filter_event(&q->f->presence, NULL, "m.presence", p->user, "{}"))
		q->presence[q->npresence++] = *p;
}

/* His own first, then by their last change. */
static int
by_change(const void *a, const void *b, void *own)
{
	const struct presence *x = a, *y = b;
	int64_t usr = *(const int64_t *)own;

	if ((x->usr == usr) != (y->usr == usr))
		return (y->usr == usr) - (x->usr == usr);
	return x->pos != y->pos ? (x->pos < y->pos) - (x->pos > y->pos) : (x->usr > y->usr) - (x->usr < y->usr);
}

static void
tell_latest(struct sync_req *q)
{
	if (q->npresence <= TOLD_MAX)
		return;
	qsort_r(q->presence, q->npresence, sizeof *q->presence, by_change, &q->w->user_nid);
	q->npresence = TOLD_MAX;
}

/* ---- light requests */

static void
keep_rooms(struct arena *a, struct presence_load *l, size_t i, const int64_t *rooms, size_t n)
{
	int64_t *v = arena_alloc(a, (n + 1) * sizeof *v);

	if (n > 0)
		memcpy(v, rooms, n * sizeof *v);
	nid_sort(v, n);
	l->joined[i] = v;
	l->njoined[i] = n;
}

/* Of those seen only who has, by what is known already, a room with the reader stays. */
static void
drop_strangers(struct sync_run *run, struct sync_req *q)
{
	const struct ring_user *u;
	size_t i, k = 0;

	for (i = 0; i < q->nseen; i++)
		if (q->seen[i].met || q->seen[i].usr == q->w->user_nid || !(u = ring_user(run->ring, q->seen[i].usr)) ||
		    share_room(run, q, u->rooms, u->nrooms))
			q->seen[k++] = q->seen[i];
	q->nseen = k;
}

void
presence_queue(struct sync_run *run, struct presence_load *l, struct sync_req **q, size_t n)
{
	struct arena *a = run->cx->a;
	size_t i, k, all = 0, nunknown = 0;
	int64_t *unknown;

	*l = (struct presence_load){ 0 };
	for (i = 0; i < n; i++) {
		drop_strangers(run, q[i]);
		all += q[i]->nseen;
	}
	if (all == 0)
		return;
	l->usr = arena_alloc(a, all * sizeof *l->usr);
	unknown = arena_alloc(a, all * sizeof *unknown);
	for (i = all = 0; i < n; i++)
		for (k = 0; k < q[i]->nseen; k++)
			l->usr[all++] = q[i]->seen[k].usr;
	nid_sort(l->usr, all);
	for (i = 0; i < all; i++)
		if (i == 0 || l->usr[i] != l->usr[i - 1])
			l->usr[l->n++] = l->usr[i];
	l->joined = arena_calloc(a, l->n, sizeof *l->joined);
	l->njoined = arena_calloc(a, l->n, sizeof *l->njoined);
	for (i = 0; i < l->n; i++) {
		const struct ring_user *u = ring_user(run->ring, l->usr[i]);

		if (u)
			keep_rooms(a, l, i, u->rooms, u->nrooms);
		else
			unknown[nunknown++] = l->usr[i];
	}
	if (nunknown > 0)
		db_queue(run->cx, &l->rooms, DB_ANY, &sync_presence_rooms, P_I64S(unknown, nunknown));
	db_queue(run->cx, &l->presence, DB_ANY, &sync_presence_of, P_I64S(l->usr, l->n));
}

static size_t
place_of(const struct presence_load *l, int64_t usr)
{
	size_t lo = 0, hi = l->n;

	while (lo + 1 < hi) {
		size_t mid = (lo + hi) / 2;

		if (l->usr[mid] <= usr)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

static const struct seen_user *
seen_by(const struct sync_req *q, int64_t usr)
{
	struct seen_user key = { usr, false };
	size_t lo = 0, hi = q->nseen;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (q->seen[mid].usr < key.usr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < q->nseen && q->seen[lo].usr == usr ? &q->seen[lo] : NULL;
}

static bool
is_news(const struct sync_run *run, const struct presence_load *l, struct sync_req *q, const struct presence *p)
{
	const struct seen_user *s = seen_by(q, p->usr);
	size_t i = place_of(l, p->usr);

	if (!s)
		return false;
	if (s->met)
		return true;
	return position_new(&q->since, p->pos) &&
	    (p->usr == q->w->user_nid || share_room(run, q, l->joined[i], l->njoined[i]));
}

void
presence_take(struct sync_run *run, struct presence_load *l, struct sync_req **q, size_t n)
{
	size_t i, k;

	for (struct rows *r = &l->rooms; r->res && db_next(r);) {
		int64_t *v = db_i64s(r, 1, &k);

		i = place_of(l, db_i64(r, 0));
		keep_rooms(run->cx->a, l, i, v, k);
		ring_user_put(run->ring, l->usr[i], l->joined[i], k);
	}
	for (i = 0; i < n; i++)
		q[i]->presence = arena_alloc(run->cx->a, (q[i]->nseen + 1) * sizeof *q[i]->presence);
	for (struct rows *r = &l->presence; r->res && db_next(r);) {
		struct presence p;

		presence_read(r, &p);
		for (i = 0; i < n; i++)
			if (is_news(run, l, q[i], &p))
				show(q[i], &p);
	}
	for (i = 0; i < n; i++)
		tell_latest(q[i]);
}

/* ---- a request alone */

enum err
presence_alone(struct sync_run *run, struct sync_req *q)
{
	struct ctx *cx = run->cx;
	int64_t *fresh = arena_alloc(cx->a, (q->njobs + 1) * sizeof *fresh);
	int64_t *rooms = arena_alloc(cx->a, (q->njoined + 1) * sizeof *rooms);
	struct position since;
	struct presence p;
	size_t i, n = 0, nrooms;
	struct rows r;
	enum err e;

	if (!presence_wanted(run, q))
		return M_OK;
	for (i = 0; i < q->njobs; i++)
		if (q->jobs[i].section == SECT_JOIN && q->jobs[i].fresh && (q->initial || presence_told(run, q, q->jobs[i].room_nid)))
			fresh[n++] = q->jobs[i].room_nid;
	if (q->initial)		/* these are all that he is in */
		n = telling_rooms(run, fresh, n, fresh);
	if (q->covered && q->nseen == 0 && n == 0)
		return M_OK;
	nrooms = telling_rooms(run, q->joined, q->njoined, rooms);
	since = q->initial ? run->now : q->since;
	if ((e = db_query(cx, &r, &sync_presence_alone, P_I64(q->w->user_nid), P_POSITION(&since), P_I64S(rooms, nrooms),
	    P_I64S(fresh, n), P_BOOL(q->initial))) != M_OK)
		return e;
	q->presence = arena_alloc(cx->a, ((size_t)r.n + 1) * sizeof *q->presence);
	q->npresence = 0;
	while (db_next(&r)) {
		presence_read(&r, &p);
		show(q, &p);
	}
	tell_latest(q);
	return M_OK;
}

/* ---- writing */

void
presence_events(struct sync_run *run, struct sync_req *q)
{
	size_t i;

	for (i = 0; i < q->npresence; i++) {
		json_obj(&q->o, NULL);
		json_str(&q->o, "type", "m.presence");
		json_esc(&q->o, "sender", q->presence[i].user);
		json_obj(&q->o, "content");
		presence_write(&q->o, &q->presence[i], run->now.clock);
		if (q->w->kind != SYNC_NEW)	/* where clients of then looked for it */
			json_esc(&q->o, "user_id", q->presence[i].user);
		json_end(&q->o);
		json_end(&q->o);
		q->news = true;
	}
}

void
presence_section(struct sync_run *run, struct sync_req *q)
{
	if (q->npresence == 0)
		return;
	json_obj(&q->o, "presence");
	json_arr(&q->o, "events");
	presence_events(run, q);
	json_end(&q->o);
	json_end(&q->o);
}
