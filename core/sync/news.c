/* core/sync/news.c - what the park process hears from the database; see news.h. */
#include "core/sync/news.h"

#include <stdlib.h>
#include <unistd.h>
#include "core/base/clock.h"
#include "core/base/conf.h"
#include "core/base/log.h"
#include "core/crypto/crypto.h"
#include "core/live/typists.h"
#include "core/sync/listener.h"
#include "core/sync/token.h"
#include "core/sync/wake.h"

#define TAIL_MS 1000
#define TAIL_ROWS 8000		/* of one look, as in the statement; more: everybody is woken */
#define KEYS_USERS 64		/* of those whose devices changed: so many are asked for their rooms at once, */
#define KEYS_ROOMS 500		/* as in the statement; who has more is asked for alone */
#define HELLO_MS 10000		/* a container says so often that it is there */
#define HELLO_GAP_MS 1000	/* and answers others who say so, but not more often than this */
#define OTHERS_MS 30000		/* after so long without a word there are no others */
#define ALONE_MS 100		/* between two wake-ups while there are none: the workers of role jobs look no more often (core/jobs/loop.c) */
#define TELL_MAX 8192		/* keys kept for the others; what is beyond they find by their own looks */

STMT(news_setup, "SET synchronous_commit = off");	/* a wake-up is worth no flush */
STMT(news_notify, "SELECT pg_notify('wake', $1)");

/*
 * Every branch is an index scan in the order of pos, whatever the plan. A key
 * is nid * 2 + is it a user (core/sync/wake.h); 0: nobody is to be woken; negative: this user's devices changed, of which all
 * his rooms hear. Those are asked for when it is known who he is: in however many he is, he is one row here.
 */
#define TAIL(key, table)									\
	"(SELECT " key " AS key, pos FROM " table " AND pos >= $1 ORDER BY pos LIMIT 8000)"	\
	" UNION ALL (SELECT " key ", pos FROM " table " AND pos = ANY($2) ORDER BY pos LIMIT 8000)"
STMT(news_tail,
    TAIL("room * 2", "event WHERE room_pos IS NOT NULL") " UNION ALL "
    TAIL("room * 2", "state WHERE line = 0 AND untold") " UNION ALL "
    TAIL("usr * 2 + 1", "local_member WHERE true") " UNION ALL "
    TAIL("usr * 2 + 1", "account_data WHERE true") " UNION ALL "
    TAIL("usr * 2 + 1", "to_device WHERE true") " UNION ALL "
    TAIL("usr * 2 + 1", "key_used WHERE true") " UNION ALL "
    TAIL("observer * 2 + 1", "device_change WHERE observer <> 0") " UNION ALL "
    TAIL("usr * 2 + 1", "device_change WHERE observer = 0") " UNION ALL "
    TAIL("-usr", "device_change WHERE observer = 0") " UNION ALL "
    /* A private receipt is its user's alone; going on typing is no news (core/live/typing.h). */
    TAIL("CASE WHEN kind = 2 THEN usr * 2 + 1 ELSE room * 2 END", "receipt WHERE true") " UNION ALL "
    TAIL("CASE WHEN start >= $1 OR start = ANY($2) OR until <= $3 THEN room * 2 ELSE 0 END", "typing WHERE true") " UNION ALL "
    /* Presence wakes its user's other devices and small rooms; others see it with their next answer. */
    "SELECT k.key, p.pos FROM (SELECT usr, pos FROM presence WHERE pos = ANY($2)"
    "		UNION ALL (SELECT usr, pos FROM presence WHERE pos >= $1 ORDER BY pos) LIMIT 100) p"
    "	CROSS JOIN LATERAL (SELECT p.usr * 2 + 1 AS key UNION ALL (SELECT m.room * 2 FROM local_member m"
    "		JOIN room r ON r.nid = m.room WHERE m.usr = p.usr AND m.membership = 2 AND r.joined <= 20 LIMIT 20)) k"
    " ORDER BY 1, 2");
/* The rooms of users, as they are now: who has gone from one since has woken it by that. */
#define ROOMS_OF(limit)										\
	"SELECT u.n, s.room FROM unnest($1::bigint[]) WITH ORDINALITY u(usr, n) CROSS JOIN LATERAL (SELECT room FROM current_state"	\
	" WHERE key = u.usr AND type = 2 AND membership = 2 " limit ") s"
STMT(news_rooms, ROOMS_OF("LIMIT 500"));
STMT(news_all_rooms, ROOMS_OF("OFFSET 0"));
/* Who began, went on or ceased; and all who type, for a look that knows nothing of before. */
STMT(news_typing,
    "SELECT room, usr, until FROM typing WHERE pos >= $1 UNION ALL SELECT room, usr, until FROM typing WHERE pos = ANY($2)");
STMT(news_typing_all, "SELECT room, usr, until FROM typing WHERE until > $1");

enum work { NOTHING, SETUP, HELLO, NOTIFY, LOOK, ROOMS };

/* What a look found whose rooms have yet to be told. The position moves on behind it. */
struct rest {
	struct arena *a;		/* NULL: nothing is left */
	struct position now;		/* the look's */
	int64_t *usr, *pos;		/* whose devices changed */
	size_t n, at;			/* at: those before it are done */
	size_t asked;			/* how many are on their way */
	size_t large;			/* of those that come next, so many have more rooms than are asked for together */
};

struct news {
	const struct conf *conf;
	struct news_sink sink;
	char id[32];			/* this container's, in payloads */
	struct listener *ear;
	struct async *as;		/* the working connection */
	struct ctx cx;			/* with an arena for what is on its way */
	bool ready;			/* the worker's settings are made */
	enum work work;

	bool follow, following;
	struct arena *pos_arena;
	struct position pos;
	const char *token;
	struct rows tail, pos_rows, typing, rooms;
	struct rest rest;
	struct typists *typists;	/* rooms are woken when typing ends there */
	int64_t next_look, look_began, look_us;

	int64_t *tell;
	size_t ntell;
	bool jobs;			/* WAKE_JOBS is among them */
	int64_t told;			/* when it was last told; CLOCK_MONOTONIC ms, as these: */
	int64_t said_hello, next_hello, others_until;
};

static void
on_woken(void *arg, const int64_t *keys, size_t count)
{
	struct news *n = arg;

	n->sink.woken(n->sink.arg, keys, count);
}

static void
on_other(void *arg, bool hello)
{
	struct news *n = arg;
	int64_t now = clock_mono_ms();

	n->others_until = now + OTHERS_MS;
	if (hello && now - n->said_hello > HELLO_GAP_MS)	/* it may be new, and is to know of this one */
		n->next_hello = 0;
}

bool
news_others(const struct news *n)
{
	return clock_mono_ms() < n->others_until;
}

/* When what is kept for the others may be told. */
static int64_t
tell_at(const struct news *n)
{
	int64_t gap = n->conf->wake_interval_ms;

	return n->told + (gap > ALONE_MS || n->jobs || news_others(n) ? gap : ALONE_MS);
}

struct news *
news_new(const struct conf *conf, const struct news_sink *sink)
{
	struct news *n = calloc(1, sizeof(*n));

	if (n == NULL || (n->tell = calloc(TELL_MAX, sizeof(*n->tell))) == NULL)
		abort();
	n->conf = conf;
	n->sink = *sink;
	n->pos_arena = arena_new();
	n->typists = typists_new();
	n->token = "";
	n->as = async_new(conf->database_url);
	n->cx = (struct ctx){ .a = arena_new(), .db = async_db(n->as), .conf = conf };
	snprintf(n->id, sizeof(n->id), "%s", random_letters(n->pos_arena, 16));
	n->ear = listener_new(conf, n->id, on_woken, on_other, n);
	return n;
}

void
news_free(struct news *n)
{
	listener_free(n->ear);
	async_free(n->as);
	arena_free(n->cx.a);
	arena_free(n->pos_arena);
	arena_free(n->rest.a);
	typists_free(n->typists);
	free(n->tell);
	free(n);
}

struct async_want
news_want(const struct news *n, int connection)
{
	return connection == 0 ? listener_want(n->ear) : async_want(n->as);
}

/* CLOCK_MONOTONIC ms. */
static int64_t
typing_due(const struct news *n)
{
	int64_t next = typists_next(n->typists);

	return next == INT64_MAX ? next : next - clock_ms() + clock_mono_ms();
}

int64_t
news_due(const struct news *n)
{
	int64_t at = typing_due(n);

	if (n->work != NOTHING || !async_idle(n->as))
		return at;
	if (n->rest.a != NULL)
		return 0;
	if (n->follow && n->next_look < at)
		at = n->next_look;
	if (n->ntell > 0 && tell_at(n) < at)
		at = tell_at(n);
	if (n->ready && n->next_hello < at)
		at = n->next_hello;
	return at;
}

bool
news_listening(const struct news *n)
{
	return listener_up(n->ear);
}

bool
news_following(const struct news *n)
{
	return n->following;
}

const char *
news_position(const struct news *n)
{
	return n->token;
}

int64_t
news_tail_us(const struct news *n)
{
	return n->look_us;
}

/* ---- the position, kept in an arena of its own from look to look */

static void
position_keep(struct news *n, const struct position *p)
{
	struct arena *a = arena_new();

	n->pos = *p;
	n->pos.xip = arena_alloc(a, p->nxip * sizeof(*p->xip) + 1);
	for (size_t i = 0; i < p->nxip; i++)
		n->pos.xip[i] = p->xip[i];
	n->token = token_encode(a, &n->pos);
	arena_free(n->pos_arena);
	n->pos_arena = a;
}

void
news_follow(struct news *n, const char *position)
{
	struct arena *a = arena_new();
	struct position p;

	n->follow = true;
	n->next_look = 0;
	if (position && token_decode(a, position, &p))
		position_keep(n, &p);
	arena_free(a);
}

/* ---- the working connection: one thing at a time */

static void
found_each(struct news *n)
{
	struct arena *a = n->cx.a;
	int64_t *pos = arena_calloc(a, (size_t)n->tail.n + 1, sizeof(*pos)), key = 0;
	size_t count = 0;

	while (db_next(&n->tail)) {
		int64_t k = db_i64(&n->tail, 0);

		if (k != key) {
			if (count > 0 && key > 0)
				n->sink.found(n->sink.arg, key, pos, count);
			count = 0;
		}
		key = k;
		pos[count++] = db_i64(&n->tail, 1);
	}
	if (count > 0 && key > 0)
		n->sink.found(n->sink.arg, key, pos, count);
}

/* ---- users whose devices changed */

static void
rest_end(struct news *n)
{
	arena_free(n->rest.a);
	n->rest = (struct rest){ 0 };
}

/* Keeps them, and the position that is reached when they are done. False: there are none. */
static bool
rest_begin(struct news *n, const struct position *now)
{
	struct rest *f = &n->rest;
	struct arena *a = arena_new();

	*f = (struct rest){ .a = a, .now = *now };
	f->now.xip = arena_alloc(a, now->nxip * sizeof(*now->xip) + 1);
	for (size_t i = 0; i < now->nxip; i++)
		f->now.xip[i] = now->xip[i];
	f->usr = arena_calloc(a, (size_t)n->tail.n + 1, sizeof(*f->usr));
	f->pos = arena_calloc(a, (size_t)n->tail.n + 1, sizeof(*f->pos));
	for (n->tail.i = -1; db_next(&n->tail) && db_i64(&n->tail, 0) < 0;) {
		f->usr[f->n] = -db_i64(&n->tail, 0);
		f->pos[f->n++] = db_i64(&n->tail, 1);
	}
	if (f->n == 0)
		rest_end(n);
	return f->n > 0;
}

static void
ask_rooms(struct news *n)
{
	struct rest *f = &n->rest;

	f->asked = f->large > 0 ? 1 : f->n - f->at < KEYS_USERS ? f->n - f->at : KEYS_USERS;
	n->cx.now = clock_ms();
	db_queue(&n->cx, &n->rooms, DB_ANY, f->large > 0 ? &news_all_rooms : &news_rooms, P_I64S(f->usr + f->at, f->asked));
	n->work = ROOMS;
	async_go(n->as, &n->cx);
}

/* Tells the rooms of those who were asked for. Whoever has more than were shown comes next, and alone. */
static void
take_rooms(struct news *n)
{
	struct rest *f = &n->rest;
	size_t shown[KEYS_USERS] = { 0 }, left = 0;
	bool alone = f->large > 0;

	while (db_next(&n->rooms)) {
		size_t i = (size_t)db_i64(&n->rooms, 0) - 1;

		shown[i]++;
		n->sink.found(n->sink.arg, WAKE_ROOM(db_i64(&n->rooms, 1)), &f->pos[f->at + i], 1);
	}
	for (size_t i = f->asked; i-- > 0;)
		if (!alone && shown[i] >= KEYS_ROOMS) {
			size_t to = f->at + f->asked - ++left;

			f->usr[to] = f->usr[f->at + i];
			f->pos[to] = f->pos[f->at + i];
		}
	f->at += f->asked - left;
	f->large = alone ? f->large - 1 : left;
}

static void
take_typing(struct news *n)
{
	while (db_next(&n->typing))
		typists_put(n->typists, db_i64(&n->typing, 0), db_i64(&n->typing, 1), db_i64(&n->typing, 2), n->cx.now);
}

/* Typing ends without a row: whoever waits for the room must hear of it. */
static void
wake_ended(struct news *n)
{
	int64_t now = clock_ms(), room, until, key;

	while (typists_ended(n->typists, now, &room, &until)) {
		key = WAKE_ROOM(room);
		n->sink.woken(n->sink.arg, &key, 1);
	}
}

/* All up to here was told. */
static void
look_end(struct news *n, const struct position *now)
{
	position_keep(n, now);
	n->following = true;
	n->look_us = clock_mono_us() - n->look_began;
}

static void
look_done(struct news *n)
{
	struct ctx *cx = &n->cx;
	struct position now;
	struct epochs epochs;

	n->next_look = n->look_began / 1000 + TAIL_MS;
	if (async_result(n->as) != M_OK || position_read(cx, &n->pos_rows, &now, &epochs) != M_OK) {
		db_rollback(cx);
		return;
	}
	db_commit(cx);
	take_typing(n);
	/* The first look knows nothing of what was before it. */
	if (n->pos.epoch == 0 || token_judge(&n->pos, &now, &epochs) == TOKEN_LOST || n->tail.n >= TAIL_ROWS)
		n->sink.all(n->sink.arg);
	else {
		found_each(n);
		if (rest_begin(n, &now))
			return;
	}
	look_end(n, &now);
}

static void
rooms_done(struct news *n)
{
	struct rest *f = &n->rest;

	if (async_result(n->as) != M_OK) {	/* the next look finds them again */
		rest_end(n);
		return;
	}
	take_rooms(n);
	if (f->at < f->n)
		return;
	look_end(n, &f->now);
	rest_end(n);
}

static void
look(struct news *n)
{
	struct ctx *cx = &n->cx;

	n->look_began = clock_mono_us();
	cx->now = clock_ms();
	db_begin(cx, TX_RO);
	position_queue(cx, &n->pos_rows, n->pos.epoch);
	n->tail = (struct rows){ .i = -1 };
	if (n->pos.epoch != 0)
		db_queue(cx, &n->tail, DB_ANY, &news_tail, P_POSITION(&n->pos), P_I64(cx->now));
	if (n->following)
		db_queue(cx, &n->typing, DB_ANY, &news_typing, P_POSITION(&n->pos));
	else
		db_queue(cx, &n->typing, DB_ANY, &news_typing_all, P_I64(cx->now));
	n->work = LOOK;
	async_go(n->as, cx);
}

static int
key_cmp(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

void
news_tell(struct news *n, const int64_t *keys, size_t count)
{
	for (size_t i = 0; i < count && n->ntell < TELL_MAX; i++) {
		n->tell[n->ntell++] = keys[i];
		n->jobs |= keys[i] == WAKE_JOBS;
	}
}

static void
tell(struct news *n)
{
	char payload[WAKE_PAYLOAD_MAX + 1];
	struct ctx *cx = &n->cx;
	size_t unique = 0, told;

	qsort(n->tell, n->ntell, sizeof(*n->tell), key_cmp);
	for (size_t i = 0; i < n->ntell; i++)
		if (i == 0 || n->tell[i] != n->tell[i - 1])
			n->tell[unique++] = n->tell[i];
	told = wake_payload(payload, n->id, n->tell, unique);
	n->ntell = unique - told;
	memmove(n->tell, n->tell + told, n->ntell * sizeof(*n->tell));
	n->told = clock_mono_ms();
	n->jobs = n->jobs && n->ntell > 0;
	db_queue(cx, NULL, DB_NONE, &news_notify, P_TEXT(payload));
	n->work = NOTIFY;
	async_go(n->as, cx);
}

static void
hello(struct news *n)
{
	n->said_hello = clock_mono_ms();
	n->next_hello = n->said_hello + HELLO_MS;
	db_queue(&n->cx, NULL, DB_NONE, &news_notify, P_TEXT(n->id));
	n->work = HELLO;
	async_go(n->as, &n->cx);
}

static void
setup(struct news *n)
{
	db_queue(&n->cx, NULL, DB_NONE, &news_setup);
	n->work = SETUP;
	async_go(n->as, &n->cx);
}

static void
work_done(struct news *n)
{
	struct ctx *cx = &n->cx;
	enum work was = n->work;

	n->work = NOTHING;
	if (was == LOOK)
		look_done(n);
	else if (was == ROOMS)
		rooms_done(n);
	else if (was == SETUP)
		n->ready = true;
	/* Results lie in the arena; what is on its way now (a COMMIT) has none. */
	arena_free(cx->a);
	cx->a = arena_new();
}

static void
worker_step(struct news *n)
{
	int64_t now = clock_mono_ms();
	enum async_event ev;

	while ((ev = async_step(n->as)) != ASYNC_NOTHING) {
		if (ev == ASYNC_DONE) {
			work_done(n);
		} else if (ev == ASYNC_LOST) {
			n->ready = false;
			n->work = NOTHING;
			rest_end(n);
		}
	}
	if (n->work != NOTHING || !async_idle(n->as))
		return;
	if (!n->ready)
		setup(n);
	else if (n->next_hello <= now)
		hello(n);
	else if (n->ntell > 0 && tell_at(n) <= now)
		tell(n);
	else if (n->rest.a != NULL)
		ask_rooms(n);
	else if (n->follow && n->next_look <= now)
		look(n);
}

void
news_step(struct news *n)
{
	if (listener_step(n->ear))
		n->next_look = n->next_hello = 0;	/* for what was not heard before, and whoever is there answers */
	worker_step(n);
	wake_ended(n);
}
