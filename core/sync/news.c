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
#define TELL_MAX 8192		/* keys kept for the others; what is beyond they find by their own looks */

STMT(news_setup, "SET synchronous_commit = off");	/* a wake-up is worth no flush */
STMT(news_notify, "SELECT pg_notify('wake', $1)");

/*
 * Every branch is an index scan in the order of pos, whatever the plan. A key
 * is nid * 2 + is it a user (core/sync/wake.h); 0: nobody is to be woken.
 */
#define TAIL(key, table)									\
	"(SELECT " key " AS key, pos FROM " table " AND pos >= $1 ORDER BY pos LIMIT 8000)"	\
	" UNION ALL (SELECT " key ", pos FROM " table " AND pos = ANY($2) ORDER BY pos LIMIT 8000)"
/* Whose devices changed: all his rooms hear of it. */
#define KEYS_TAIL(changes)									\
	"SELECT s.room * 2, c.pos FROM " changes " c CROSS JOIN LATERAL (SELECT room FROM state WHERE key = c.usr AND type = 2"	\
	" AND line = 0 AND until = 9223372036854775807 AND membership = 2 OFFSET 0) s"
STMT(news_tail,
    TAIL("room * 2", "event WHERE room_pos IS NOT NULL") " UNION ALL "
    TAIL("room * 2", "state WHERE line = 0") " UNION ALL "
    TAIL("usr * 2 + 1", "local_member WHERE true") " UNION ALL "
    TAIL("usr * 2 + 1", "account_data WHERE true") " UNION ALL "
    TAIL("usr * 2 + 1", "to_device WHERE true") " UNION ALL "
    TAIL("usr * 2 + 1", "key_used WHERE true") " UNION ALL "
    TAIL("observer * 2 + 1", "device_change WHERE observer <> 0") " UNION ALL "
    TAIL("usr * 2 + 1", "device_change WHERE observer = 0") " UNION ALL "
    KEYS_TAIL("(SELECT usr, pos FROM device_change WHERE observer = 0 AND pos >= $1 ORDER BY pos LIMIT 8000)") " UNION ALL "
    KEYS_TAIL("(SELECT usr, pos FROM device_change WHERE observer = 0 AND pos = ANY($2) ORDER BY pos LIMIT 8000)") " UNION ALL "
    /* A private receipt is its user's alone; going on typing is no news (core/live/typing.h). */
    TAIL("CASE WHEN kind = 2 THEN usr * 2 + 1 ELSE room * 2 END", "receipt WHERE true") " UNION ALL "
    TAIL("CASE WHEN start >= $1 OR start = ANY($2) OR until <= $3 THEN room * 2 ELSE 0 END", "typing WHERE true") " UNION ALL "
    /* Presence wakes its user's other devices and small rooms; others see it with their next answer. */
    "SELECT k.key, p.pos FROM (SELECT usr, pos FROM presence WHERE pos = ANY($2)"
    "		UNION ALL (SELECT usr, pos FROM presence WHERE pos >= $1 ORDER BY pos) LIMIT 100) p"
    "	CROSS JOIN LATERAL (SELECT p.usr * 2 + 1 AS key UNION ALL (SELECT m.room * 2 FROM local_member m"
    "		JOIN room r ON r.nid = m.room WHERE m.usr = p.usr AND m.membership = 2 AND r.joined <= 20 LIMIT 20)) k"
    " ORDER BY 1, 2");
/* Who began, went on or ceased; and all who type, for a look that knows nothing of before. */
STMT(news_typing,
    "SELECT room, usr, until FROM typing WHERE pos >= $1 UNION ALL SELECT room, usr, until FROM typing WHERE pos = ANY($2)");
STMT(news_typing_all, "SELECT room, usr, until FROM typing WHERE until > $1");

enum work { NOTHING, SETUP, NOTIFY, LOOK };

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
	struct rows tail, pos_rows, typing;
	struct typists *typists;	/* rooms are woken when typing ends there */
	int64_t next_look, look_began, look_us;

	int64_t *tell;
	size_t ntell;
	int64_t next_tell;
};

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
	n->ear = listener_new(conf, n->id, sink->woken, sink->arg);
	return n;
}

void
news_free(struct news *n)
{
	listener_free(n->ear);
	async_free(n->as);
	arena_free(n->cx.a);
	arena_free(n->pos_arena);
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
	if (n->follow && n->next_look < at)
		at = n->next_look;
	if (n->ntell > 0 && n->next_tell < at)
		at = n->next_tell;
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
			if (count > 0 && key != 0)
				n->sink.found(n->sink.arg, key, pos, count);
			count = 0;
		}
		key = k;
		pos[count++] = db_i64(&n->tail, 1);
	}
	if (count > 0 && key != 0)
		n->sink.found(n->sink.arg, key, pos, count);
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
	/* The first look knows nothing of what was before it. */
	if (n->pos.epoch == 0 || token_judge(&n->pos, &now, &epochs) == TOKEN_LOST || n->tail.n >= TAIL_ROWS)
		n->sink.all(n->sink.arg);
	else
		found_each(n);
	take_typing(n);
	position_keep(n, &now);
	n->following = true;
	n->look_us = clock_mono_us() - n->look_began;
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
	for (size_t i = 0; i < count && n->ntell < TELL_MAX; i++)
		n->tell[n->ntell++] = keys[i];
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
	n->next_tell = clock_mono_ms() + n->conf->wake_interval_ms;
	db_queue(cx, NULL, DB_NONE, &news_notify, P_TEXT(payload));
	n->work = NOTIFY;
	async_go(n->as, cx);
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
		}
	}
	if (n->work != NOTHING || !async_idle(n->as))
		return;
	if (!n->ready)
		setup(n);
	else if (n->ntell > 0 && n->next_tell <= now)
		tell(n);
	else if (n->follow && n->next_look <= now)
		look(n);
}

void
news_step(struct news *n)
{
	if (listener_step(n->ear))
		n->next_look = 0;	/* for what was not heard before */
	worker_step(n);
	wake_ended(n);
}
