/*
 * core/sync/light.c - many requests at once: the rooms that any of them may have news
 * in are loaded once, in one round trip that takes COMMIT along; the rest is plain C per request.
 */
#include "core/sync/impl.h"
#include "core/user/push_rules.h"

#define LIM_FILTERED 30		/* events looked at when the filter may drop some */

STMT(sync_data_new, "SELECT usr, room, type, content, pos FROM account_data WHERE usr = ANY($1) AND pos >= $2");
STMT_WARM(sync_data_new, "sync");
STMT(sync_ignored,
    "SELECT usr, content FROM account_data WHERE usr = ANY($1) AND room = 0 AND type = 'm.ignored_user_list'");
STMT_WARM(sync_ignored, "sync");

int64_t
position_lo(const struct position *p)
{
	return p->nxip > 0 ? p->xip[0] : p->xmax;
}

/* ---- account data */

void
data_queue(struct ctx *cx, struct rows *r, const int64_t *users, size_t n, int64_t lo)
{
	*r = (struct rows){ 0 };
	if (n > 0)
		db_queue(cx, r, DB_ANY, &sync_data_new, P_I64S(users, n), P_I64(lo));
}

/* Of push rules only the user's differences are stored. */
static const char *
data_content(struct arena *a, struct rows *r, const char *user)
{
	if (db_i64(r, 1) == 0 && strcmp(db_text(r, 2), "m.push_rules") == 0)
		return push_rules_merge(a, user, db_text(r, 3));
	return db_text(r, 3);
}

void
data_take(struct ctx *cx, struct rows *r, struct sync_req *q)
{
	int before = r->i;

	if (!r->res)
		return;
	q->data = arena_alloc(cx->a, ((size_t)r->n + 1) * sizeof *q->data);
	while (db_next(r))
		if (db_i64(r, 0) == q->w->user_nid && (q->initial || position_new(&q->since, db_i64(r, 4))))
			q->data[q->ndata++] = (struct sync_data){ .room = db_i64(r, 1), .type = db_text(r, 2),
			    .content = data_content(cx->a, r, q->w->user), .pos = db_i64(r, 4) };
	r->i = before;		/* the next request reads the same rows */
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* {"ignored_users": {"@mallory:example.org": {}}}; what is no such object ignores no one. */
static void
read_ignored(struct arena *a, const char *content, struct sync_req *q)
{
	struct json *v;
	const struct json *users;
	size_t i;

	json_parse(a, content, strlen(content), &v);
	if (!json_is(users = json_get(v, "ignored_users"), JSON_OBJ))
		return;
	q->ignored = arena_alloc(a, (users->u.obj.n + 1) * sizeof *q->ignored);
	for (i = 0; i < users->u.obj.n; i++) {
		const char *id = esc_from_raw(a, users->u.obj.v[i].key, users->u.obj.v[i].key_n);

		if (strcmp(id, q->w->user) != 0)	/* oneself cannot be ignored */
			q->ignored[q->nignored++] = id;
	}
	qsort(q->ignored, q->nignored, sizeof *q->ignored, by_text);
}

void
ignored_queue(struct ctx *cx, struct rows *r, const int64_t *users, size_t n)
{
	*r = (struct rows){ 0 };
	if (n > 0)
		db_queue(cx, r, DB_ANY, &sync_ignored, P_I64S(users, n));
}

void
ignored_take(struct sync_run *run, struct rows *r, struct sync_req *q)
{
	struct ring_user *u = ring_user(run->ring, q->w->user_nid);
	int before = r->i;

	if (q->ignored_known || !r->res)
		return;
	while (db_next(r))
		if (db_i64(r, 0) == q->w->user_nid)
			read_ignored(run->cx->a, db_text(r, 1), q);
	r->i = before;
	q->ignored_known = true;
	if (u && !u->ignored_known)
		ring_user_ignores(run->ring, u, q->ignored, q->nignored);
}

/* ---- the rooms of all requests */

static void
want_room(struct sync_room *m, const struct sync_req *q)
{
	int64_t lo = position_lo(&q->since), lim = q->f->timeline.limit + 1;

	if ((!q->f->timeline.any || q->nignored > 0) && lim < LIM_FILTERED)
		lim = LIM_FILTERED;
	m->lo = lo < m->lo ? lo : m->lo;
	m->lim = lim > m->lim ? lim : m->lim;
	m->want_lazy |= q->f->state.lazy_members;
	m->want_state |= i64_in(q->state_rooms, q->nstate_rooms, m->nid);
	m->want_heroes = m->want_state;
	m->heroes_lo = m->lo;
	if (i64_in(q->live_rooms, q->nlive_rooms, m->nid))
		live_want(m, q, false);
}

static struct sync_room *
union_of_rooms(struct arena *a, struct sync_req **q, size_t n, size_t *nrooms)
{
	size_t i, k, all = 0, m = 0;
	struct sync_room *rooms;
	int64_t *nid;

	for (i = 0; i < n; i++)
		all += q[i]->nrooms;
	nid = arena_alloc(a, (all + 1) * sizeof *nid);
	for (i = 0; i < n; i++)
		for (k = 0; k < q[i]->nrooms; k++)
			nid[m++] = q[i]->rooms[k];
	nid_sort(nid, m);
	rooms = arena_calloc(a, m + 1, sizeof *rooms);
	for (*nrooms = i = 0; i < m; i++)
		if (i == 0 || nid[i] != nid[i - 1])
			rooms[(*nrooms)++] = (struct sync_room){ .nid = nid[i], .lo = INT64_MAX, .top = INT64_MAX,
			    .clock = INT64_MAX };
	for (i = 0; i < n; i++)
		for (k = 0; k < q[i]->nrooms; k++)
			want_room(room_find(rooms, *nrooms, q[i]->rooms[k]), q[i]);
	return rooms;
}

/* ---- answering */

/* A limited timeline comes with what is bundled with its events, and that has to be asked for. */
static bool
wants_bundles(const struct sync_job *j)
{
	size_t i;

	for (i = 0; j->limited && i < j->nshown; i++)
		if (j->shown[i]->ev.related)
			return true;
	return false;
}

/* False: the room needs more than was loaded. */
static bool
light_job(struct sync_run *run, struct sync_req *q, struct sync_room *m, const struct unread_room *unread)
{
	struct sync_job *j = &q->jobs[q->njobs];

	if (!m || !m->id || !filter_room(q->f, m->id))
		return true;
	*j = (struct sync_job){ .room = m, .room_nid = m->nid, .section = SECT_JOIN, .unread = unread };
	if (position_new(&q->since, m->full_state_pos) || !timeline_pick(run->cx->a, q, j) || wants_bundles(j))
		return false;
	q->told += j->bytes;
	q->njobs++;
	return true;
}

static void
light_answer(struct sync_run *run, struct sync_req *q, struct load *l)
{
	size_t i;

	if (q->alone)
		return;
	q->jobs = arena_alloc(run->cx->a, (q->nrooms + 1) * sizeof *q->jobs);
	for (i = 0; i < q->nrooms; i++)
		if (!light_job(run, q, room_find(l->rooms, l->n, q->rooms[i]), q->unread ? &q->unread[i] : NULL)) {
			q->alone = true;
			return;
		}
	answer_open(run, q);
	for (i = 0; i < q->njobs; i++)
		answer_job(run, run->cx->a, q, &q->jobs[i]);
	sync_done(run, q);
}

enum err
sync_light(struct sync_run *run, struct sync_req **q, size_t n)
{
	struct ctx *cx = run->cx;
	int64_t *users = arena_alloc(cx->a, (n + 1) * sizeof *users), *unknown = arena_alloc(cx->a, (n + 1) * sizeof *unknown),
	    *readers = arena_alloc(cx->a, (n + 1) * sizeof *readers);
	int64_t lo = INT64_MAX;
	size_t i, nusers = 0, nunknown = 0, nrooms;
	struct rows data, ignored;
	struct sync_room *rooms;
	struct presence_load seen;
	struct live_load live;
	struct lists_load lists;
	struct counts_load counts;
	struct load l;
	enum err e;

	for (i = 0; i < n; i++) {
		readers[i] = q[i]->w->user_nid;
		if (q[i]->data_news) {
			users[nusers++] = q[i]->w->user_nid;
			lo = position_lo(&q[i]->since) < lo ? position_lo(&q[i]->since) : lo;
		}
		if ((q[i]->nrooms > 0 || q[i]->nseen > 0) && !q[i]->ignored_known)
			unknown[nunknown++] = q[i]->w->user_nid;
	}
	rooms = union_of_rooms(cx->a, q, n, &nrooms);
	load_queue(cx, &l, rooms, nrooms, NULL);
	live_queue(cx, &live, rooms, nrooms, readers, n);
	presence_queue(run, &seen, q, n);
	data_queue(cx, &data, users, nusers, lo);
	ignored_queue(cx, &ignored, unknown, nunknown);
	lists_queue(cx, &lists, q, n, false);
	counts_queue(run, &counts, q, n);
	if ((e = db_commit(cx)) != M_OK)
		return e;
	load_take(cx, &l);
	live_take(cx, &live, rooms, nrooms);
	lists_take(cx, &lists);
	counts_take(run, &counts);
	for (i = 0; i < n; i++) {
		if (q[i]->data_news)
			data_take(cx, &data, q[i]);
		ignored_take(run, &ignored, q[i]);
	}
	presence_take(run, &seen, q, n);
	for (i = 0; i < n; i++) {
		light_answer(run, q[i], &l);
	}
	keys_purge(run, q, n);
	return M_OK;
}
