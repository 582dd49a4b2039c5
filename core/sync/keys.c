/*
 * core/sync/keys.c - what end-to-end encryption adds to an answer (core/e2ee): messages to the device, whose
 * keys changed, how many one-time keys are left. Loaded for all requests of a batch in the round trip that loads the rooms.
 */
#include "core/e2ee/device_list.h"
#include "core/sync/impl.h"

/* ---- messages and counts */

void
keys_queue(struct ctx *cx, struct keys_load *k, struct sync_req **q, size_t n)
{
	size_t i;

	*k = (struct keys_load){ .q = q, .n = n };
	k->inbox = arena_calloc(cx->a, n + 1, sizeof *k->inbox);
	k->counts = arena_calloc(cx->a, n + 1, sizeof *k->counts);
	for (i = 0; i < n; i++) {
		const struct position *since = q[i]->initial ? NULL : &q[i]->since;

		k->inbox[i] = (struct inbox){ .device = q[i]->w->device, .since = since };
		k->counts[i] = (struct key_counts){ .device = q[i]->w->device, .since = since };
	}
	inbox_queue(cx, &k->inbox_rows, k->inbox, n);
	key_counts_queue(cx, &k->counts_rows, k->counts, n);
}

void
keys_take(struct sync_run *run, struct keys_load *k)
{
	size_t i;

	inbox_take(run->cx, &k->inbox_rows, k->inbox, k->n, &run->now);
	key_counts_take(run->cx, &k->counts_rows, k->counts);
	for (i = 0; i < k->n; i++) {
		k->q[i]->inbox = &k->inbox[i];
		k->q[i]->counts = &k->counts[i];
	}
}

void
keys_purge(struct sync_run *run, struct sync_req **q, size_t n)
{
	struct inbox *v = arena_alloc(run->cx->a, (n + 1) * sizeof *v);
	size_t i;

	for (i = 0; i < n; i++)
		v[i] = *q[i]->inbox;
	inbox_purge(run->cx, v, n);
}

/* ---- device lists */

/* Member changes of the rooms whose state changed for any of the requests, each from the oldest token on. */
static void
queue_members(struct ctx *cx, struct lists_load *l, struct sync_req **q, size_t n)
{
	int64_t *room, *lo;
	size_t i, j, m = 0, all = 0;

	for (i = 0; i < n; i++)
		all += q[i]->nstate_rooms;
	if (all == 0)
		return;
	room = arena_alloc(cx->a, all * sizeof *room);
	lo = arena_alloc(cx->a, all * sizeof *lo);
	for (i = 0; i < n; i++)
		for (j = 0; j < q[i]->nstate_rooms; j++)
			room[m++] = q[i]->state_rooms[j];
	nid_sort(room, m);
	for (i = m, m = 0, j = 0; j < i; j++)
		if (j == 0 || room[j] != room[j - 1])
			room[m++] = room[j];
	for (j = 0; j < m; j++) {
		lo[j] = INT64_MAX;
		for (i = 0; i < n; i++)
			if (i64_in(q[i]->state_rooms, q[i]->nstate_rooms, room[j]) && position_lo(&q[i]->since) < lo[j])
				lo[j] = position_lo(&q[i]->since);
	}
	device_lists_members_queue(cx, &l->members, room, lo, m);
}

static void
queue_names(struct ctx *cx, struct lists_load *l, struct sync_req **q, size_t n)
{
	int64_t *users;
	size_t i, j, all = 0, m = 0;

	for (i = 0; i < n; i++)
		all += q[i]->nkey_users;
	if (all == 0)
		return;
	users = arena_alloc(cx->a, all * sizeof *users);
	for (i = 0; i < n; i++)
		for (j = 0; j < q[i]->nkey_users; j++)
			users[m++] = q[i]->key_users[j];
	device_lists_names_queue(cx, &l->names, users, m);
}

void
lists_queue(struct ctx *cx, struct lists_load *l, struct sync_req **q, size_t n, bool alone)
{
	*l = (struct lists_load){ .q = q, .n = n };
	if (!alone) {
		queue_members(cx, l, q, n);
		queue_names(cx, l, q, n);
	} else if (!q[0]->initial && !(q[0]->covered && q[0]->nkey_users + q[0]->nstate_rooms + q[0]->nmember_rooms == 0)) {
		device_lists_queue(cx, &l->lists, q[0]->w->user_nid, &q[0]->since);
	}
}

struct list {
	struct sync_req *q;
	size_t cap_changed, cap_left;
};

static void
add(struct arena *a, const char ***v, size_t *n, size_t *cap, const char *user)
{
	if (*n == *cap) {
		*v = arena_realloc(a, *v, *cap * sizeof **v, (2 * *cap + 8) * sizeof **v);
		*cap = 2 * *cap + 8;
	}
	(*v)[(*n)++] = user;
}

static void
add_changed(struct arena *a, struct list *l, const char *user)
{
	add(a, &l->q->changed, &l->q->nchanged, &l->cap_changed, user);
}

static void
add_left(struct arena *a, struct list *l, const char *user)
{
	add(a, &l->q->left, &l->q->nleft, &l->cap_left, user);
}

static bool
shares_one(const struct sync_req *q, const int64_t *rooms, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (i64_in(q->joined, q->njoined, rooms[i]))
			return true;
	return false;
}

static void
take_members(struct arena *a, struct lists_load *k, struct list *l)
{
	const struct sync_req *q = l->q;
	struct rows *r = &k->members;
	int before = r->i;

	while (r->res && db_next(r)) {
		size_t n = 0;
		const int64_t *rooms;

		if (db_i64(r, 1) == q->w->user_nid || !i64_in(q->state_rooms, q->nstate_rooms, db_i64(r, 0)) ||
		    !position_new(&q->since, db_i64(r, 2)))
			continue;
		rooms = db_null(r, 5) ? NULL : db_i64s(r, 5, &n);
		if (db_bool(r, 3))
			add_changed(a, l, db_text(r, 4));
		else if (!shares_one(q, rooms, n))
			add_left(a, l, db_text(r, 4));
	}
	r->i = before;		/* the next request reads the same rows */
}

static void
take_names(struct arena *a, struct lists_load *k, struct list *l)
{
	int before = k->names.i;

	while (l->q->nkey_users > 0 && k->names.res && db_next(&k->names))
		if (i64_in(l->q->key_users, l->q->nkey_users, db_i64(&k->names, 0)))
			add_changed(a, l, db_text(&k->names, 1));
	k->names.i = before;
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static size_t
unique(const char **v, size_t n)
{
	size_t i, k = 0;

	if (n > 1)
		qsort(v, n, sizeof *v, by_text);
	for (i = 0; i < n; i++)
		if (i == 0 || strcmp(v[i], v[i - 1]) != 0)
			v[k++] = v[i];
	return k;
}

void
lists_take(struct ctx *cx, struct lists_load *k)
{
	size_t i;

	for (i = 0; i < k->n; i++) {
		struct sync_req *q = k->q[i];
		struct list l = { .q = q };

		q->nchanged = q->nleft = 0;
		q->changed = q->left = NULL;
		take_members(cx->a, k, &l);
		take_names(cx->a, k, &l);
		while (k->lists.res && db_next(&k->lists)) {
			if (db_bool(&k->lists, 2))
				add_left(cx->a, &l, db_text(&k->lists, 0));
			else if (db_bool(&k->lists, 1))
				add_changed(cx->a, &l, db_text(&k->lists, 0));
		}
		q->nchanged = unique(q->changed, q->nchanged);
		q->nleft = unique(q->left, q->nleft);
	}
}

/* ---- the answer */

/* Who left shares no room now. The ring may have seen him change keys before that. */
static bool
write_users(struct sync_req *q, const char *key, const char **v, size_t n, bool left)
{
	size_t i, written = 0;

	json_arr(&q->o, key);
	for (i = 0; i < n; i++)
		if (left || q->nleft == 0 || !bsearch(&v[i], q->left, q->nleft, sizeof *v, by_text)) {
			json_esc(&q->o, NULL, v[i]);
			written++;
		}
	json_end(&q->o);
	return written > 0;
}

void
keys_write(struct sync_req *q)
{
	size_t i;

	if (q->inbox->n > 0) {
		json_obj(&q->o, "to_device");
		json_arr(&q->o, "events");
		for (i = 0; i < q->inbox->n; i++)
			json_raw(&q->o, NULL, q->inbox->messages[i]);
		json_end(&q->o);
		json_end(&q->o);
		q->news = true;
	}
	if (q->nchanged + q->nleft > 0) {
		json_obj(&q->o, "device_lists");
		q->news |= write_users(q, "changed", q->changed, q->nchanged, false);
		q->news |= write_users(q, "left", q->left, q->nleft, true);
		json_end(&q->o);
	}
	q->news |= q->counts->news;
}

/* On every answer: clients take silence for "unchanged". */
void
keys_write_counts(struct sync_req *q)
{
	json_raw(&q->o, "device_one_time_keys_count", q->counts->counts);
	json_raw(&q->o, "device_unused_fallback_key_types", q->counts->unused);
}
