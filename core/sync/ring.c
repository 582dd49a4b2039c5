/* core/sync/ring.c - see ring.h. */
#include "core/base/clock.h"
#include "core/base/conf.h"
#include "core/base/sorted.h"
#include "core/event/event.h"
#include "core/live/typists.h"
#include "core/sync/ring.h"

#define BUCKETS 4096
#define ENDED_MAX 4096
#define LARGE_AGE_MS 60000

/* A generation of entries, oldest first. */
struct gen {
	struct arena *a;
	struct position floor;	/* what it had not seen, up to the ring's position, is in this or a younger generation */
	struct ring_entry *v;
	size_t n;
	int64_t born;		/* CLOCK_MONOTONIC ms */
};

/* A generation of users. */
struct folk {
	struct arena *a;
	size_t n;
	struct ring_user *bucket[BUCKETS];
};

/* Typing that ended by itself. */
struct ended {
	int64_t room, until;
};

struct ring {
	struct arena *a;
	struct gen *gen[2];	/* 0: the younger; NULL: none */
	struct folk *folk[2];
	struct position pos;	/* the last snapshot; epoch 0: none yet */
	int64_t xip[POSITION_XIP_MAX];
	struct typists *typists;	/* NULL: not known */
	struct rows typing;		/* all who type, on its way in; res NULL: not asked for */
	struct ended ended[ENDED_MAX];	/* the last ones, of nended in all */
	size_t nended;
	int64_t typing_floor;		/* what ended by itself after that time (ms since 1970) is in ended */
	struct rows large_rows;		/* as typing */
	int64_t *large, *size;		/* rooms of more than RING_SMALL members, ascending, and how many those are; malloc */
	size_t nlarge;
	int64_t large_at;		/* CLOCK_MONOTONIC ms: when that was read; 0: never */
	int64_t room_max;		/* presence_room_max; 0: no room is quiet */
};

/*
 * Every branch is an index scan in the order of pos, so that no plan, however
 * generic, reads a table; and an equality scan for what was in progress. The limit of
 * each is RING_TAIL (a test compares): that many rows in all mean that some may be missing. Of keys, RING_MAX.
 */
#define TAIL(kind, columns, table)							\
	"(SELECT " kind ", pos, " columns " FROM " table " AND pos >= $1 ORDER BY pos LIMIT 8000)"	\
	" UNION ALL (SELECT " kind ", pos, " columns " FROM " table " AND pos = ANY($2) ORDER BY pos LIMIT 8000)"
#define KEYS_TAIL(changes)									\
	"(SELECT 8, c.pos, coalesce(m.room, 0), c.usr, 0::bigint FROM " changes " c LEFT JOIN LATERAL (SELECT room FROM current_state"	\
	" WHERE key = c.usr AND type = 2 AND membership = 2 OFFSET 0) m ON true LIMIT 65536)"
/* Of a state event one row tells both: that it is there, and that the room's state has changed. */
STMT(ring_tail,
    TAIL("0", "room, (state_key IS NOT NULL)::int::bigint, room_pos", "event WHERE room_pos IS NOT NULL") " UNION ALL "
    TAIL("1", "room, 0::bigint, 0::bigint", "state WHERE line = 0 AND untold") " UNION ALL "
    TAIL("2", "room, usr, membership::bigint", "local_member WHERE true") " UNION ALL "
    TAIL("3", "room, usr, CASE WHEN room <> 0 THEN 0 WHEN type = 'm.ignored_user_list' THEN 1 WHEN type = 'm.push_rules' THEN 2 ELSE 0 END::bigint", "account_data WHERE true") " UNION ALL "
    TAIL("4", "room, usr, (kind = 2)::int::bigint", "receipt WHERE true") " UNION ALL "
    TAIL("CASE WHEN start >= $1 OR start = ANY($2) OR until <= $3 THEN 5 ELSE 6 END", "room, usr, until", "typing WHERE true") " UNION ALL "
    TAIL("7", "0::bigint, usr, 0::bigint", "presence WHERE true") " UNION ALL "
    KEYS_TAIL("(SELECT usr, pos FROM device_change WHERE observer = 0 AND pos >= $1 ORDER BY pos LIMIT 8000)") " UNION ALL "
    KEYS_TAIL("(SELECT usr, pos FROM device_change WHERE observer = 0 AND pos = ANY($2) ORDER BY pos LIMIT 8000)") " UNION ALL "
    TAIL("9", "usr, observer, 0::bigint", "device_change WHERE observer <> 0"));
STMT_WARM(ring_tail, "sync");
STMT(ring_typing, "SELECT room, usr, until FROM typing WHERE until > $1");
STMT_WARM(ring_typing, "sync");
/* Sizes of the rooms of more than $1 members, the largest first: what is missing from very many counts as small. */
STMT(ring_large,
    "SELECT array_agg(nid ORDER BY nid), array_agg(joined ORDER BY nid) FROM (SELECT nid, joined::bigint AS joined FROM room"
    " WHERE magnitude >= floor(log($1::float8) / log(2::float8))::smallint AND joined > $1 ORDER BY joined DESC LIMIT 100000) r");
STMT_WARM(ring_large, "sync");

/* ---- small things */

static int
by_nid(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

void
nid_sort(int64_t *v, size_t n)
{
	if (n > 1)
		qsort(v, n, sizeof *v, by_nid);
}

bool
position_includes(const struct position *p, const struct position *older)
{
	size_t i;

	if (p->xmax < older->xmax)
		return false;
	for (i = 0; i < p->nxip; i++)
		if (p->xip[i] < older->xmax && !i64_in(older->xip, older->nxip, p->xip[i]))
			return false;
	return true;
}

/* ---- generations */

static struct gen *
gen_new(const struct position *floor)
{
	struct arena *a = arena_new();
	struct gen *g = arena_zalloc(a, sizeof *g);

	g->a = a;
	g->floor = *floor;
	g->floor.xip = arena_calloc(a, floor->nxip + 1, sizeof *floor->xip);
	if (floor->nxip)
		memcpy(g->floor.xip, floor->xip, floor->nxip * sizeof *floor->xip);
	g->v = arena_alloc(a, RING_MAX * sizeof *g->v);		/* its pages come when they are touched */
	g->born = clock_mono_ms();
	return g;
}

static void
gen_turn(struct ring *g)
{
	if (g->gen[1])
		arena_free(g->gen[1]->a);
	g->gen[1] = g->gen[0];
	g->gen[0] = gen_new(&g->pos);
}

static void
folk_turn(struct ring *g)
{
	struct arena *a = arena_new();

	if (g->folk[1])
		arena_free(g->folk[1]->a);
	g->folk[1] = g->folk[0];
	g->folk[0] = arena_zalloc(a, sizeof *g->folk[0]);
	g->folk[0]->a = a;
}

struct ring *
ring_new(void)
{
	struct arena *a = arena_new();
	struct ring *g = arena_zalloc(a, sizeof *g);

	g->a = a;
	return g;
}

static void
ring_empty(struct ring *g)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (g->gen[i])
			arena_free(g->gen[i]->a);
		if (g->folk[i])
			arena_free(g->folk[i]->a);
		g->gen[i] = NULL;
		g->folk[i] = NULL;
	}
}

void
ring_free(struct ring *g)
{
	if (!g)
		return;
	ring_empty(g);
	typists_free(g->typists);
	free(g->large);
	free(g->size);
	arena_free(g->a);
}

/* ---- users */

static struct ring_user *
folk_find(struct folk *f, int64_t usr)
{
	struct ring_user *u = f ? f->bucket[(uint64_t)usr % BUCKETS] : NULL;

	while (u && u->usr != usr)
		u = u->next;
	return u;
}

static int64_t *
nid_copy(struct arena *a, const int64_t *v, size_t n, size_t cap)
{
	int64_t *w = arena_alloc(a, (cap + 1) * sizeof *w);

	if (n)
		memcpy(w, v, n * sizeof *w);
	return w;
}

static bool
folk_full(const struct folk *f)
{
	return !f || f->n >= RING_USERS || arena_used(f->a) > RING_USERS_BYTES;
}

struct ring_user *
ring_user_put(struct ring *g, int64_t usr, const int64_t *rooms, size_t n)
{
	struct ring_user *u;
	struct folk *f;

	if (folk_full(g->folk[0]))
		folk_turn(g);
	f = g->folk[0];
	if (!(u = folk_find(f, usr))) {
		u = arena_zalloc(f->a, sizeof *u);
		u->usr = usr;
		u->next = f->bucket[(uint64_t)usr % BUCKETS];
		f->bucket[(uint64_t)usr % BUCKETS] = u;
		f->n++;
	}
	u->cap = u->nrooms = n;
	u->rooms = nid_copy(f->a, rooms, n, n);
	nid_sort(u->rooms, n);
	u->ignored_known = false;
	u->reader = NULL;
	return u;
}

/* When there is no room it is not kept: ring_take() makes some. */
void
ring_user_filter(struct ring *g, struct ring_user *u, const char *id, const char *filter)
{
	if (folk_full(g->folk[0]))
		return;
	u->filter_id = arena_strdup(g->folk[0]->a, id);
	u->filter = arena_strdup(g->folk[0]->a, filter);
}

void
ring_user_ignores(struct ring *g, struct ring_user *u, const char *const *users, size_t n)
{
	struct arena *a = g->folk[0]->a;
	size_t i;

	if (folk_full(g->folk[0]))
		return;
	u->ignored = arena_alloc(a, (n + 1) * sizeof *u->ignored);
	for (i = 0; i < n; i++)
		u->ignored[i] = arena_strdup(a, users[i]);
	u->nignored = n;
	u->ignored_known = true;
}

void
ring_user_reader(struct ring *g, struct ring_user *u, const struct push_reader *r)
{
	if (!folk_full(g->folk[0]))
		u->reader = push_reader_copy(g->folk[0]->a, r);
}

/* Who is asked for lives on in the younger generation. */
struct ring_user *
ring_user(struct ring *g, int64_t usr)
{
	struct ring_user *u = folk_find(g->folk[0], usr), *old;

	if (u || !(old = folk_find(g->folk[1], usr)) || folk_full(g->folk[0]))
		return u ? u : old;
	u = ring_user_put(g, usr, old->rooms, old->nrooms);
	if (old->ignored_known)
		ring_user_ignores(g, u, old->ignored, old->nignored);
	if (old->reader)
		ring_user_reader(g, u, old->reader);
	if (old->filter)
		ring_user_filter(g, u, old->filter_id, old->filter);
	return u;
}

/* A membership changed: keeps the list of a known user exact. */
static void
user_patch(struct folk *f, int64_t usr, int64_t room, bool joined)
{
	struct ring_user *u = folk_find(f, usr);
	size_t i;

	if (!u)
		return;
	i = i64_place(u->rooms, u->nrooms, room);
	if (i < u->nrooms && u->rooms[i] == room) {
		if (!joined)
			memmove(u->rooms + i, u->rooms + i + 1, (--u->nrooms - i) * sizeof *u->rooms);
		return;
	}
	if (!joined)
		return;
	if (u->nrooms == u->cap) {
		u->cap = u->cap + u->cap / 4 + 4;
		u->rooms = nid_copy(f->a, u->rooms, u->nrooms, u->cap);
	}
	memmove(u->rooms + i + 1, u->rooms + i, (u->nrooms++ - i) * sizeof *u->rooms);
	u->rooms[i] = room;
}

static void
user_learn(struct ring *g, const struct ring_entry *en)
{
	int i;

	for (i = 0; i < 2; i++) {
		struct ring_user *u;

		if (en->kind == RING_MEMBER)
			user_patch(g->folk[i], en->usr, en->room, en->value == MEM_JOIN);
		else if (en->kind == RING_DATA && en->value && (u = folk_find(g->folk[i], en->usr))) {
			u->reader = NULL;
			u->ignored_known = u->ignored_known && en->value != 1;
		}
	}
}

/* ---- the tail */

void
ring_queue(struct ring *g, struct ctx *cx, struct rows *r)
{
	*r = (struct rows){ 0 };
	g->typing = g->large_rows = (struct rows){ 0 };
	if (g->pos.epoch)
		db_queue(cx, r, DB_ANY, &ring_tail, P_POSITION(&g->pos), P_I64(cx->now));
	if (!g->typists)
		db_queue(cx, &g->typing, DB_ANY, &ring_typing, P_I64(cx->now));
	g->room_max = cx->conf->presence ? cx->conf->presence_room_max : 0;
	if (g->room_max > 0 && (g->large_at == 0 || clock_mono_ms() - g->large_at > LARGE_AGE_MS))
		db_queue(cx, &g->large_rows, DB_ANY, &ring_large, P_I64(g->room_max < RING_SMALL ? g->room_max : RING_SMALL));
}

size_t
ring_users_memory(const struct ring *g)
{
	return (g->folk[0] ? arena_used(g->folk[0]->a) : 0) + (g->folk[1] ? arena_used(g->folk[1]->a) : 0);
}

static void
ring_move(struct ring *g, const struct position *now)
{
	g->pos = *now;
	g->pos.xip = g->xip;
	if (now->nxip > 0)	/* else there may be no list at all */
		memcpy(g->xip, now->xip, now->nxip * sizeof *now->xip);
}

/* ---- who types */

static void
typing_end(struct ring *g, int64_t room, int64_t until)
{
	struct ended *e = &g->ended[g->nended++ % ENDED_MAX];

	if (g->nended > ENDED_MAX && e->until > g->typing_floor)
		g->typing_floor = e->until;	/* that one is forgotten */
	*e = (struct ended){ room, until };
}

static void
typing_learn(struct ring *g, int64_t room, int64_t usr, int64_t until, int64_t now)
{
	if (!g->typists)
		return;
	typists_put(g->typists, room, usr, until, now);
	if (until <= now)	/* a token may have seen the row and not its end */
		typing_end(g, room, until);
}

/* Brings all up to the time of the snapshot. */
static void
typing_move(struct ring *g, const struct position *now)
{
	int64_t room, until;

	if (!g->typists && g->typing.res) {
		g->typists = typists_new();
		g->typing_floor = now->clock;
		g->nended = 0;
		while (db_next(&g->typing))
			typists_put(g->typists, db_i64(&g->typing, 0), db_i64(&g->typing, 1), db_i64(&g->typing, 2), now->clock);
	}
	g->typing = (struct rows){ 0 };
	while (g->typists && typists_ended(g->typists, now->clock, &room, &until))
		typing_end(g, room, until);
}

int64_t
ring_typing_ended(const struct ring *g, const struct position *since, size_t *i)
{
	size_t n = g->nended < ENDED_MAX ? g->nended : ENDED_MAX;

	while (*i < n) {
		const struct ended *e = &g->ended[(*i)++];

		if (e->until > since->clock)
			return e->room;
	}
	return 0;
}

/* ---- large rooms */

static int64_t *
kept(const int64_t *v, size_t n)
{
	int64_t *w = malloc((n + 1) * sizeof *w);

	if (!w)
		abort();
	memcpy(w, v, n * sizeof *w);
	return w;
}

static void
large_take(struct ring *g)
{
	const int64_t *rooms, *sizes;
	size_t n;

	if (!g->large_rows.res)
		return;
	free(g->large);
	free(g->size);
	g->large = g->size = NULL;
	g->nlarge = 0;
	if (db_next(&g->large_rows) && !db_null(&g->large_rows, 0)) {
		rooms = db_i64s(&g->large_rows, 0, &g->nlarge);
		sizes = db_i64s(&g->large_rows, 1, &n);
		g->large = kept(rooms, g->nlarge);
		g->size = kept(sizes, n);
	}
	g->large_at = clock_mono_ms();
	g->large_rows = (struct rows){ 0 };
}

struct sized {
	int64_t room, size;
};

static int
by_size(const void *a, const void *b)
{
	const struct sized *x = a, *y = b;

	if (x->size != y->size)
		return (x->size > y->size) - (x->size < y->size);
	return (x->room > y->room) - (x->room < y->room);
}

const int64_t *
ring_quiet(const struct ring *g, struct arena *a, const int64_t *rooms, size_t n, size_t *nquiet)
{
	struct sized *v = arena_alloc(a, (n + 1) * sizeof *v);
	int64_t *quiet = arena_alloc(a, (n + 1) * sizeof *quiet), sum = 0;
	size_t i, k, nv = 0;

	*nquiet = 0;
	for (i = 0; g->room_max > 0 && i < n; i++) {
		k = i64_place(g->large, g->nlarge, rooms[i]);
		if (k < g->nlarge && g->large[k] == rooms[i])
			v[nv++] = (struct sized){ rooms[i], g->size[k] };
	}
	if (nv > 1)
		qsort(v, nv, sizeof *v, by_size);
	for (i = 0; i < nv; i++)
		if ((sum += v[i].size) > g->room_max)	/* and so are all larger ones */
			quiet[(*nquiet)++] = v[i].room;
	nid_sort(quiet, *nquiet);
	return quiet;
}

bool
ring_room_small(const struct ring *g, int64_t room)
{
	return g->room_max == 0 || !i64_in(g->large, g->nlarge, room);
}

static void
ring_restart(struct ring *g, const struct position *now)
{
	typists_free(g->typists);
	g->typists = NULL;
	ring_empty(g);
	ring_move(g, now);
	gen_turn(g);
	folk_turn(g);
}

/*
 * Of a room's events only the last by room_pos is kept. That is enough: the
 * room's lock makes them commit in that order, so who has not seen all of them has not seen the last.
 */
static int
by_room(const void *a, const void *b)
{
	const struct ring_entry *x = a, *y = b;

	if (x->room != y->room)
		return (x->room > y->room) - (x->room < y->room);
	return (x->seen > y->seen) - (x->seen < y->seen);	/* room_pos, while sorting */
}

static size_t
last_of_rooms(struct ring_entry *v, size_t n)
{
	size_t i, k = 0;

	if (n > 1)
		qsort(v, n, sizeof *v, by_room);
	for (i = 0; i < n; i++)
		if (i + 1 == n || v[i + 1].room != v[i].room)
			v[k++] = v[i];
	return k;
}

static bool
same_state(const struct ring_entry *v, size_t n, const struct ring_entry *en)
{
	return n && v[n - 1].kind == RING_STATE && en->kind == RING_STATE && v[n - 1].room == en->room &&
	    v[n - 1].pos == en->pos;
}

/*
 * Is the tail all there is? Something may be missing where the rows are as many as one limit. A change of keys is one of
 * them, in however many rooms its user is: he alone is not to make every worker forget.
 */
static bool
tail_whole(struct rows *r)
{
	int64_t usr = 0, pos = 0;
	int before = r->i, n = 0;

	if (r->n < RING_TAIL)
		return true;
	while (db_next(r)) {
		bool again = db_i64(r, 0) == RING_KEYS && db_i64(r, 1) == pos && db_i64(r, 3) == usr;

		n += !again;
		pos = db_i64(r, 0) == RING_KEYS ? db_i64(r, 1) : 0;
		usr = db_i64(r, 3);
	}
	r->i = before;
	return n < RING_TAIL && 2 * r->n < RING_MAX;
}

void
ring_take(struct ring *g, struct rows *r, const struct position *now)
{
	struct gen *y;
	size_t first, i;
	int before = r->i;	/* the rows are gone through twice */

	large_take(g);
	if (!g->pos.epoch || g->pos.epoch != now->epoch || g->pos.tag != now->tag || !tail_whole(r) ||
	    !position_includes(now, &g->pos)) {
		ring_restart(g, now);
		typing_move(g, now);
		return;
	}
	/* Also where nobody new comes: the filters and ignored users of those who are there change, too. */
	if (folk_full(g->folk[0]))
		folk_turn(g);
	if (g->gen[0]->n + 2 * (size_t)r->n > RING_MAX || clock_mono_ms() - g->gen[0]->born > RING_AGE_MS)
		gen_turn(g);	/* its floor is where we still are */
	y = g->gen[0];
	first = y->n;
	while (db_next(r))
		if (db_i64(r, 0) == RING_EVENT)
			y->v[y->n++] = (struct ring_entry){ .kind = RING_EVENT, .pos = db_i64(r, 1),
			    .room = db_i64(r, 2), .seen = db_i64(r, 4) };
	y->n = first + last_of_rooms(y->v + first, y->n - first);
	for (r->i = before; db_next(r);) {
		struct ring_entry en = { .kind = (int)db_i64(r, 0), .pos = db_i64(r, 1), .room = db_i64(r, 2),
		    .usr = db_i64(r, 3), .value = (int)db_i64(r, 4) };

		if (en.kind == RING_EVENT && en.usr)
			en = (struct ring_entry){ .kind = RING_STATE, .pos = en.pos, .room = en.room };
		if (en.kind == RING_TYPING || en.kind == RING_TYPING_ON)
			typing_learn(g, en.room, en.usr, db_i64(r, 4), now->clock);
		if (en.kind == RING_EVENT || en.kind == RING_TYPING_ON || same_state(y->v, y->n, &en))
			continue;
		user_learn(g, &en);
		y->v[y->n++] = en;
	}
	for (i = first; i < y->n; i++)
		y->v[i].seen = now->xmax;
	ring_move(g, now);
	typing_move(g, now);
}

/* ---- reading */

bool
ring_covers(const struct ring *g, const struct position *since)
{
	const struct gen *oldest = g->gen[1] ? g->gen[1] : g->gen[0];

	return oldest && since->epoch == g->pos.epoch && since->tag == g->pos.tag &&
	    position_includes(since, &oldest->floor) && g->typists && since->clock >= g->typing_floor;
}

void
ring_start(struct ring_iter *it, const struct ring *g, const struct position *since)
{
	*it = (struct ring_iter){ .g = g, .since = since, .gen = 0, .i = g->gen[0] ? g->gen[0]->n : 0 };
	it->stop = since->nxip ? since->xip[0] : since->xmax;
}

const struct ring_entry *
ring_next(struct ring_iter *it)
{
	for (;;) {
		const struct gen *y = it->g->gen[it->gen];
		const struct ring_entry *en;

		if (it->i == 0) {
			if (it->gen == 1 || !it->g->gen[1])
				return NULL;
			it->gen = 1;
			it->i = it->g->gen[1]->n;
			continue;
		}
		en = &y->v[--it->i];
		if (en->seen <= it->stop)	/* found by a snapshot that saw nothing that since had not seen */
			return NULL;
		if (position_new(it->since, en->pos))
			return en;
	}
}

struct ring_user *
ring_user_seed(struct ring *g, int64_t usr, const int64_t *rooms, size_t n, const struct position *since)
{
	struct arena *a = arena_new();
	struct ring_user *u = ring_user_put(g, usr, rooms, n);
	const struct ring_entry *en;
	struct ring_iter it;
	int64_t *done = NULL;
	size_t ndone = 0, i;

	for (ring_start(&it, g, since); (en = ring_next(&it)) != NULL;) {
		if (en->kind != RING_MEMBER || en->usr != usr)
			continue;
		for (i = 0; i < ndone && done[i] != en->room;)
			i++;
		if (i < ndone)		/* a later change is known */
			continue;
		user_patch(g->folk[0], usr, en->room, en->value == MEM_JOIN);
		done = arena_realloc(a, done, ndone * sizeof *done, (ndone + 1) * sizeof *done);
		done[ndone++] = en->room;
	}
	arena_free(a);
	return u;
}
