/* core/sync/sync.c - see sync.h and README.md: one snapshot, then the light requests together and the others alone. */
#include "core/base/b64.h"
#include "core/base/clock.h"
#include "core/crypto/crypto.h"
#include "core/sync/impl.h"
#include "core/user/filter_store.h"

#define COUNTS_MAX 4096		/* bytes of key counts in a waiting request; a device with so many kinds of keys is told them with news alone */
#define LIGHT_ROOMS 40		/* more rooms than this in one answer: alone */

/*
 * Whose session is still there, by the token that asked: a log-in on the same device ends those before it. Not whether it has
 * expired meanwhile: it was good when the request came, and of a client that renews its tokens an older one may be waiting.
 */
STMT(sync_sessions,
    "SELECT q.n, a.locked, EXISTS (SELECT FROM refresh_token r WHERE r.device = q.device AND r.revoked)"
    " FROM unnest($1::bigint[], $2::text[]) WITH ORDINALITY q(device, token, n)"
    " CROSS JOIN LATERAL (SELECT device, usr FROM access_token WHERE hash = decode(q.token || '=', 'base64') OFFSET 0) t"
    " CROSS JOIN LATERAL (SELECT locked FROM account WHERE usr = t.usr AND deactivated_ts IS NULL OFFSET 0) a WHERE t.device = q.device");
STMT_WARM(sync_sessions, "sync");
STMT(sync_joined, "SELECT usr, array_agg(room) FROM local_member WHERE usr = ANY($1) AND membership = 2 GROUP BY usr");
STMT_WARM(sync_joined, "sync");

static struct ring *ring;	/* this worker's own view of what changed lately */

static struct ring *
worker_ring(void)
{
	if (!ring)
		ring = ring_new();
	return ring;
}

void
sync_forget(void)
{
	ring_free(ring);
	ring = NULL;
}

/* ---- a fresh request */

static enum err
find_filter(struct ctx *cx, struct sync_wait *w)
{
	struct ring_user *u = ring_user(worker_ring(), w->user_nid);
	const char *body;
	enum err e;

	if (u && u->filter && strcmp(u->filter_id, w->filter) == 0) {
		w->filter = arena_strdup(cx->a, u->filter);
		return M_OK;
	}
	e = filter_load(cx, w->user_nid, w->filter, &body);
	if (e == M_NOT_FOUND)
		return fail(cx, M_INVALID_PARAM, "no such filter");
	if (e != M_OK)
		return e;
	if (u)
		ring_user_filter(worker_ring(), u, w->filter, body);
	w->filter = body;
	return M_OK;
}

enum err
sync_check(struct ctx *cx, struct sync_wait *w)
{
	const struct filter *f;
	struct position p;
	enum err e;

	if (w->since && !token_decode(cx->a, w->since, &p))
		return fail(cx, M_INVALID_PARAM, "since is no token of this server");
	if (!w->filter)
		return M_OK;
	if (*w->filter != '{' && (e = find_filter(cx, w)) != M_OK)
		return e;
	return filter_parse(cx, w->filter, &f);
}

/* ---- the snapshot */

/*
 * A request that has waited is computed from the token of its last, empty
 * computation: nothing was new up to there, and its rooms are known as of then.
 */
static enum err
req_init(struct ctx *cx, struct sync_req *q, struct sync_wait *w)
{
	const char *since = w->next && w->since ? w->next : w->since;

	*q = (struct sync_req){ .w = w, .f = filter_none(), .section = -1 };
	q->initial = !since;
	if (since && !token_decode(cx->a, since, &q->since))
		return fail(cx, M_INVALID_PARAM, "since is no token of this server");
	return w->filter ? filter_parse(cx, w->filter, &q->f) : M_OK;
}

static void
queue_sessions(struct ctx *cx, struct rows *r, struct sync_req **q, size_t n)
{
	int64_t *device = arena_alloc(cx->a, (n + 1) * sizeof *device);
	const char **token = arena_calloc(cx->a, n + 1, sizeof *token);	/* 43 characters of Base64, without the padding */
	size_t i;

	for (i = 0; i < n; i++) {
		device[i] = q[i]->w->device;
		token[i] = q[i]->w->token ? b64_encode(cx->a, q[i]->w->token, SHA256_LEN) : NULL;
	}
	db_queue(cx, r, DB_ANY, &sync_sessions, P_I64S(device, n), P_TEXTS(token, n));
}

static void
take_sessions(struct rows *r, struct sync_req **q, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		q[i]->err = M_UNKNOWN_TOKEN;
	while (db_next(r))
		q[db_i64(r, 0) - 1]->err = db_bool(r, 1) ? M_USER_LOCKED : db_bool(r, 2) ? E_SOFT_LOGOUT : M_OK;
}

static void
take_joined(struct ring *g, struct rows *r, const int64_t *users, size_t n)
{
	size_t i, k;

	for (i = 0; i < n; i++)
		ring_user_put(g, users[i], NULL, 0);	/* who has no row is in no room */
	while (r->res && db_next(r)) {
		int64_t *v = db_i64s(r, 1, &k);

		ring_user_put(g, db_i64(r, 0), v, k);
	}
}

/* Its rooms are those that its user has joined, as of its last computation. */
static bool
tells_joined(const struct sync_wait *w)
{
	return w->nrooms > 0 && w->kind != SYNC_PEEK;
}

/* Asks for the joined rooms of users whom neither the ring nor their request knows. */
static size_t
queue_joined(struct sync_run *run, struct rows *r, struct sync_req **q, size_t n, int64_t *users, bool seedable)
{
	size_t i, k = 0;

	*r = (struct rows){ 0 };
	for (i = 0; i < n; i++)
		if (q[i]->err == M_OK && !q[i]->initial && !(seedable && tells_joined(q[i]->w)) &&
		    !ring_user(run->ring, q[i]->w->user_nid))
			users[k++] = q[i]->w->user_nid;
	if (k > 0)
		db_queue(run->cx, r, DB_ANY, &sync_joined, P_I64S(users, k));
	return k;
}

/* Every request's user is known afterwards. Normally nothing is left to ask. */
static enum err
know_users(struct sync_run *run, struct sync_req **q, size_t n, int64_t *users)
{
	struct rows r;
	size_t i, k;
	enum err e;

	for (i = 0; i < n; i++)
		if (q[i]->err == M_OK && !q[i]->initial && q[i]->covered && tells_joined(q[i]->w) &&
		    !ring_user(run->ring, q[i]->w->user_nid))
			ring_user_seed(run->ring, q[i]->w->user_nid, q[i]->w->rooms, q[i]->w->nrooms, &q[i]->since);
	k = queue_joined(run, &r, q, n, users, false);
	if (k == 0)
		return M_OK;
	if ((e = db_run(run->cx)) == M_OK)
		take_joined(run->ring, &r, users, k);
	return e;
}

/* ---- where may a request have news? */

struct nids {
	int64_t *v;
	size_t n, cap;
};

static void
nids_add(struct arena *a, struct nids *l, int64_t nid)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 16;

		l->v = arena_realloc(a, l->v, l->cap * sizeof *l->v, cap * sizeof *l->v);
		l->cap = cap;
	}
	l->v[l->n++] = nid;
}

static size_t
nids_unique(struct nids *l)
{
	size_t i, k = 0;

	nid_sort(l->v, l->n);
	for (i = 0; i < l->n; i++)
		if (i == 0 || l->v[i] != l->v[i - 1])
			l->v[k++] = l->v[i];
	return k;
}

static void
look_at_keys(struct arena *a, const struct sync_req *q, const struct ring_entry *en, struct nids *keys)
{
	if (en->kind == RING_OWN_KEYS && en->usr == q->w->user_nid)
		nids_add(a, keys, en->room);
	else if (en->kind == RING_KEYS && (en->usr == q->w->user_nid || i64_in(q->joined, q->njoined, en->room)))
		nids_add(a, keys, en->usr);
}

static void
look_into_ring(struct sync_run *run, struct sync_req *q)
{
	struct nids rooms = { 0 }, state = { 0 }, live = { 0 }, members = { 0 }, keys = { 0 };
	struct arena *a = run->cx->a;
	const struct ring_entry *en;
	bool presence = presence_wanted(run, q);
	struct ring_iter it;
	int64_t room;
	size_t i = 0;

	while ((room = ring_typing_ended(run->ring, &q->since, &i)) != 0)
		if (i64_in(q->joined, q->njoined, room)) {
			nids_add(a, &rooms, room);
			nids_add(a, &live, room);
		}
	for (ring_start(&it, run->ring, &q->since); (en = ring_next(&it)) != NULL;) {
		if (en->kind == RING_KEYS || en->kind == RING_OWN_KEYS) {
			look_at_keys(a, q, en, &keys);
			continue;
		}
		if (presence && (en->kind == RING_PRESENCE || (en->kind == RING_MEMBER && en->value == MEM_JOIN &&
		    i64_in(q->joined, q->njoined, en->room) && presence_told(run, q, en->room))))
			presence_see(a, q, en->usr, en->kind == RING_MEMBER);
		if (en->usr != q->w->user_nid && (en->kind == RING_MEMBER || en->kind == RING_DATA ||
		    (en->kind == RING_RECEIPT && en->value)))
			continue;
		q->data_news |= en->kind == RING_DATA;
		q->ignored_news |= en->kind == RING_DATA && en->value == 1;
		q->rules_news |= en->kind == RING_DATA && en->value == 2;
		if (en->kind == RING_MEMBER)
			nids_add(a, &members, en->room);
		else if (i64_in(q->joined, q->njoined, en->room)) {
			nids_add(a, &rooms, en->room);
			if (en->kind == RING_STATE)
				nids_add(a, &state, en->room);
			if (en->kind == RING_RECEIPT || en->kind == RING_TYPING)
				nids_add(a, &live, en->room);
		}
	}
	q->nrooms = nids_unique(&rooms);
	q->rooms = rooms.v;
	q->nstate_rooms = nids_unique(&state);
	q->state_rooms = state.v;
	presence_seen(q);
	q->nlive_rooms = nids_unique(&live);
	q->live_rooms = live.v;
	q->nmember_rooms = nids_unique(&members);
	q->member_rooms = members.v;
	q->nkey_users = nids_unique(&keys);
	q->key_users = keys.v;
}

static void
classify(struct sync_run *run, struct sync_req *q)
{
	const struct ring_user *u = q->initial ? NULL : ring_user(run->ring, q->w->user_nid);
	struct arena *a = run->cx->a;
	size_t i;

	q->alone = true;
	if (!u)
		return;
	q->joined = arena_alloc(a, (u->nrooms + 1) * sizeof *q->joined);
	memcpy(q->joined, u->rooms, u->nrooms * sizeof *q->joined);
	q->njoined = u->nrooms;
	if (u->ignored_known) {
		q->ignored = arena_alloc(a, (u->nignored + 1) * sizeof *q->ignored);
		for (i = 0; i < u->nignored; i++)
			q->ignored[i] = arena_strdup(a, u->ignored[i]);
		q->nignored = u->nignored;
		q->ignored_known = true;
	}
	if (u->reader)
		q->reader = push_reader_copy(a, u->reader);
	if (q->w->kind == SYNC_PEEK) {
		q->joined = arena_alloc(a, sizeof *q->joined);
		*q->joined = q->w->rooms[0];
		q->njoined = 1;
		return;
	}
	if (!q->covered)
		return;
	look_into_ring(run, q);
	q->alone = q->w->full_state || q->ignored_news || q->rules_news || q->nmember_rooms > 0 || q->nrooms > LIGHT_ROOMS;
}

/* Opens the transaction. One round trip. Requests with a fault of their own have it in err afterwards. */
static enum err
snapshot(struct sync_run *run, struct sync_req **q, size_t n)
{
	struct ctx *cx = run->cx;
	int64_t *users = arena_alloc(cx->a, (n + 1) * sizeof *users);
	struct rows pos, tail, sessions, joined;
	int64_t oldest = 0;
	struct epochs h;
	struct keys_load keys;
	size_t i, k;
	enum err e;

	run->seen = clock_mono_ms();
	for (i = 0; i < n; i++)
		if (!q[i]->initial && (oldest == 0 || q[i]->since.epoch < oldest))
			oldest = q[i]->since.epoch;
	db_begin(cx, TX_RO);
	position_queue(cx, &pos, oldest);
	ring_queue(run->ring, cx, &tail);
	queue_sessions(cx, &sessions, q, n);
	keys_queue(cx, &keys, q, n);
	k = queue_joined(run, &joined, q, n, users, true);
	if ((e = db_run(cx)) != M_OK || (e = position_read(cx, &pos, &run->now, &h)) != M_OK)
		return e;
	ring_take(run->ring, &tail, &run->now);
	sync_wait_note(run->now.xmax, run->seen);
	keys_take(run, &keys);
	take_sessions(&sessions, q, n);
	if (k > 0)
		take_joined(run->ring, &joined, users, k);
	for (i = 0; i < n; i++) {
		if (!q[i]->initial && token_judge(&q[i]->since, &run->now, &h) == TOKEN_LOST) {
			q[i]->since = (struct position){ 0 };
			q[i]->initial = q[i]->lost = true;
		}
		q[i]->covered = !q[i]->initial && ring_covers(run->ring, &q[i]->since);
	}
	if ((e = know_users(run, q, n, users)) != M_OK)
		return e;
	for (i = 0; i < n; i++)
		if (q[i]->err == M_OK)
			classify(run, q[i]);
	return M_OK;
}

/* ---- the whole */

void
sync_done(struct sync_run *run, struct sync_req *q)
{
	bool carried = strlen(q->counts->counts) + strlen(q->counts->unused) < COUNTS_MAX;

	if (q->news) {
		answer_close(run, q);
		return;
	}
	q->err = E_PARK;
	q->w->counts = carried ? q->counts->counts : NULL;	/* not those that it had waited with before */
	q->w->unused = carried ? q->counts->unused : NULL;
	q->w->rooms = q->joined;
	q->w->nrooms = q->njoined;
}

/* One request in a snapshot of its own. */
static enum err
compute_one(struct sync_run *run, struct sync_req *q)
{
	enum err e;

	if ((e = req_init(run->cx, q, q->w)) == M_OK && (e = snapshot(run, &q, 1)) == M_OK)
		e = q->err == M_OK ? sync_alone(run, q) : db_commit(run->cx);
	if (e != M_OK) {
		db_rollback(run->cx);
		q->err = e;
	}
	return e;
}

static enum err
compute_all(struct sync_run *run, struct sync_req **q, size_t n)
{
	struct sync_req **light = arena_alloc(run->cx->a, (n + 1) * sizeof *light);
	size_t i, nlight = 0;
	enum err e;

	if ((e = snapshot(run, q, n)) != M_OK)
		return e;
	if (n == 1 && q[0]->err == M_OK && q[0]->alone) {
		e = sync_alone(run, q[0]);
		q[0]->alone = false;
		return e;
	}
	for (i = 0; i < n; i++)
		if (q[i]->err == M_OK && !q[i]->alone)
			light[nlight++] = q[i];
	return sync_light(run, light, nlight);
}

enum err
sync_compute(struct ctx *cx, struct sync_wait **wait, size_t n, const char **body, size_t *body_n, enum err *err)
{
	struct sync_req *all = arena_calloc(cx->a, n + 1, sizeof *all), **q = arena_alloc(cx->a, (n + 1) * sizeof *q);
	struct sync_run run = { .cx = cx, .ring = worker_ring() };
	size_t i, m = 0;
	enum err e;

	for (i = 0; i < n; i++)
		if ((all[i].err = req_init(cx, &all[i], wait[i])) == M_OK)
			q[m++] = &all[i];
	if (m > 0 && (e = compute_all(&run, q, m)) != M_OK) {
		db_rollback(cx);
		return e;
	}
	for (i = 0; i < m; i++)
		if (q[i]->err == M_OK && q[i]->alone)
			compute_one(&run, q[i]);
	for (i = 0; i < n; i++) {
		err[i] = all[i].err;
		body[i] = all[i].body;
		body_n[i] = all[i].body_n;
	}
	return M_OK;
}
