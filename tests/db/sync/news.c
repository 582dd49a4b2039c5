/* tests/db/sync/news.c - what the park process hears from the database: told by others, found by looking, over losses of the connection */
#include <poll.h>

#include "core/base/clock.h"
#include "core/base/failpoint.h"
#include "core/sync/news.h"
#include "core/sync/wake.h"
#include "tests/db/harness.h"

#define ROOM 4711
#define ROOMS 10000
#define PATIENCE_MS 20000

/* One container's ears. */
struct ear {
	struct news *n;
	struct conf conf;
	int64_t woken[64], found[64];
	size_t nwoken, nfound;
	unsigned char *rooms;	/* how often each of ROOMS from ROOM on was found */
	int all;
};

static void
on_woken(void *arg, const int64_t *keys, size_t n)
{
	struct ear *e = arg;

	for (size_t i = 0; i < n && e->nwoken < 64; i++)
		e->woken[e->nwoken++] = keys[i];
}

static void
on_found(void *arg, int64_t key, const int64_t *pos, size_t n)
{
	struct ear *e = arg;

	for (size_t i = 1; i < n; i++)
		cr_assert_lt(pos[i - 1], pos[i] + 1, "ascending");
	if (!WAKE_IS_USER(key) && WAKE_NID(key) >= ROOM && WAKE_NID(key) < ROOM + ROOMS)
		e->rooms[WAKE_NID(key) - ROOM]++;
	if (e->nfound < 64)
		e->found[e->nfound++] = key;
}

static void
on_all(void *arg)
{
	((struct ear *)arg)->all++;
}

static struct ear *
ear_new(void)
{
	struct ear *e = calloc(1, sizeof(*e));
	const struct news_sink sink = { e, on_woken, on_found, on_all };

	cr_assert_not_null(e);
	e->rooms = calloc(ROOMS, 1);
	e->conf = *test_conf();
	e->conf.database_url = test_url("hearth_worker");
	e->n = news_new(&e->conf, &sink);
	return e;
}

static void
ear_free(struct ear *e)
{
	news_free(e->n);
	free(e->rooms);
	free(e);
}

static bool
has(const int64_t *v, size_t n, int64_t key)
{
	for (size_t i = 0; i < n; i++)
		if (v[i] == key)
			return true;
	return false;
}

/* Turns the loops of two ears (b may be NULL) until done() or patience ends. */
static void
turn(struct ear *a, struct ear *b, bool (*done)(struct ear *a, struct ear *b))
{
	int64_t until = clock_mono_ms() + PATIENCE_MS;
	struct ear *ears[] = { a, b };

	while (!done(a, b)) {
		struct pollfd p[4];
		nfds_t n = 0;

		cr_assert_lt(clock_mono_ms(), until, "it did not come");
		for (int i = 0; i < 2; i++)
			for (int c = 0; ears[i] && c < NEWS_CONNECTIONS; c++) {
				struct async_want w = news_want(ears[i]->n, c);

				if (w.fd >= 0)
					p[n++] = (struct pollfd){ .fd = w.fd, .events = (short)((w.read ? POLLIN : 0) | (w.write ? POLLOUT : 0)) };
			}
		poll(p, n, 10);
		for (int i = 0; i < 2; i++)
			if (ears[i])
				news_step(ears[i]->n);
	}
}

static bool
up(struct ear *a, struct ear *b)
{
	return news_listening(a->n) && news_following(a->n) && (!b || (news_listening(b->n) && news_following(b->n)));
}

static bool
know_each_other(struct ear *a, struct ear *b)
{
	return news_others(a->n) && news_others(b->n);
}

static bool
b_woken(struct ear *a, struct ear *b)
{
	return b->nwoken >= 2;
}

static bool
a_woken(struct ear *a, struct ear *b)
{
	return a->nwoken > 0;
}

static bool
a_found(struct ear *a, struct ear *b)
{
	return a->nfound > 0;
}

static bool
a_down(struct ear *a, struct ear *b)
{
	return !news_listening(a->n);
}

static void
account(const char *name)
{
	sql("INSERT INTO name (body) VALUES ('@%s:localhost')", name);
	sql("INSERT INTO account (usr, localpart, created_ts) SELECT nid, '%s', 0 FROM name WHERE body = '@%s:localhost'", name, name);
}

static void
account_data(const char *name, int v)
{
	sql("INSERT INTO account_data (usr, type, content) SELECT nid, 'x', '{\"v\":%d}' FROM name WHERE body = '@%s:localhost'"
	    " ON CONFLICT (usr, room, type) DO UPDATE SET content = excluded.content", v, name);
}

static int64_t
nid(const char *name)
{
	return sql_int("SELECT nid FROM name WHERE body = '@%s:localhost'", name);
}

Test(news, containers_tell_each_other)
{
	static const int64_t keys[] = { WAKE_ROOM(ROOM), WAKE_USER(ROOM), WAKE_ROOM(ROOM) };
	struct ear *a = ear_new(), *b = ear_new();

	news_follow(a->n, NULL);
	news_follow(b->n, NULL);
	turn(a, b, up);
	news_tell(a->n, keys, 3);
	turn(a, b, b_woken);
	cr_expect_eq(b->nwoken, 2, "each once");
	cr_expect(has(b->woken, 2, WAKE_ROOM(ROOM)) && has(b->woken, 2, WAKE_USER(ROOM)));
	cr_expect_eq(a->nwoken, 0, "not its own");
	sql("SELECT pg_notify('wake', '- u77')");
	turn(a, b, a_woken);
	cr_expect(has(a->woken, a->nwoken, WAKE_USER(77)));
	ear_free(a);
	ear_free(b);
}

/* Who comes later is heard of by those who are there, and hears of them, though nothing happens. */
Test(news, containers_know_of_each_other)
{
	struct ear *a = ear_new(), *b;

	news_follow(a->n, NULL);
	turn(a, NULL, up);
	sql("SELECT pg_notify('wake', '- r%d')", ROOM);
	turn(a, NULL, a_woken);
	cr_expect_not(news_others(a->n), "what is done by hand is no container, and it is none itself");
	b = ear_new();
	turn(a, b, know_each_other);
	ear_free(a);
	ear_free(b);
}

Test(news, looks_find_rows_once)
{
	struct ear *a = ear_new();
	char *first;

	account("alice");
	account_data("alice", 1);
	news_follow(a->n, NULL);
	turn(a, NULL, up);
	cr_expect_eq(a->all, 1, "nothing is known of what was before");
	cr_expect_eq(a->nfound, 0);
	first = strdup(news_position(a->n));
	account_data("alice", 2);
	turn(a, NULL, a_found);
	cr_expect_eq(a->nfound, 1);
	cr_expect_eq(a->found[0], WAKE_USER(nid("alice")));
	/* An older transaction that commits later is found by a later look. */
	account("bob");
	a->nfound = 0;
	sql("BEGIN");
	account_data("bob", 1);
	char *before = strdup(news_position(a->n));
	while (strcmp(before, news_position(a->n)) == 0)
		turn(a, NULL, up), news_step(a->n), poll(NULL, 0, 5);
	free(before);
	cr_expect_eq(a->nfound, 0, "not committed");
	sql("COMMIT");
	turn(a, NULL, a_found);
	cr_expect_eq(a->nfound, 1);
	cr_expect_eq(a->found[0], WAKE_USER(nid("bob")));
	ear_free(a);

	/* A successor goes on from the position of its predecessor. */
	a = ear_new();
	news_follow(a->n, first);
	free(first);
	turn(a, NULL, a_found);
	cr_expect_eq(a->all, 0);
	cr_expect(has(a->found, a->nfound, WAKE_USER(nid("alice"))) && has(a->found, a->nfound, WAKE_USER(nid("bob"))));
	ear_free(a);
}

Test(news, comes_back_after_a_loss)
{
	struct ear *a = ear_new();

	account("alice");
	news_follow(a->n, NULL);
	turn(a, NULL, up);
	sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
	    " WHERE usename = 'hearth_worker' AND datname = current_database()");
	account_data("alice", 1);
	turn(a, NULL, a_down);
	turn(a, NULL, up);
	turn(a, NULL, a_found);
	cr_expect_eq(a->found[0], WAKE_USER(nid("alice")));
	cr_expect_eq(a->all, 1, "only at the very first");
	a->nwoken = 0;
	sql("SELECT pg_notify('wake', '- r5')");
	turn(a, NULL, a_woken);
	cr_expect_eq(a->woken[0], WAKE_ROOM(5));
	ear_free(a);
}

/* Whose devices changed is in rooms from ROOM + from on. */
static void
in_rooms(const char *name, int from, int n)
{
	account(name);
	sql("INSERT INTO current_state (room, type, key, since, event, membership) SELECT g, 2, %lld, 1, NULL, 2 FROM generate_series(%d, %d) g",
	    (long long)nid(name), ROOM + from, ROOM + from + n - 1);
}

/* Nobody is woken but those in his rooms, be he in more of them than a look may find rows. */
Test(news, a_change_of_keys_wakes_the_rooms_of_its_user)
{
	struct ear *a = ear_new();
	char name[20];
	size_t found = 0;

	in_rooms("bot", 0, 9000);
	in_rooms("bridge", 9000, 600);
	for (int i = 0; i < 70; i++) {
		snprintf(name, sizeof name, "user%d", i);
		in_rooms(name, 9600 + 2 * i, 2);
	}
	news_follow(a->n, NULL);
	turn(a, NULL, up);
	a->nfound = 0;
	memset(a->rooms, 0, ROOMS);
	sql("INSERT INTO device_change (usr) SELECT usr FROM account");
	for (int64_t until = clock_mono_ms() + PATIENCE_MS; a->rooms[8999] == 0 || a->rooms[9739] == 0 || a->rooms[9599] == 0;) {
		cr_assert_lt(clock_mono_ms(), until);
		news_step(a->n);
		poll(NULL, 0, 5);
	}
	for (size_t i = 0; i < ROOMS; i++)
		found += a->rooms[i] > 0;
	cr_expect_eq(found, 9740);
	for (size_t i = 9740; i < ROOMS; i++)
		cr_expect_eq(a->rooms[i], 0);
	cr_expect_eq(a->all, 1, "only at the very first");
	ear_free(a);
}

static bool
a_failed_once(struct ear *a, struct ear *b)
{
	return !news_listening(a->n) && news_following(a->n);
}

/* LISTEN may be refused where the connection stays. */
Test(news, listening_is_tried_again)
{
	struct ear *a = ear_new();

	cr_assert(failpoint_setup("listener.refused:error", "/tmp"));
	news_follow(a->n, NULL);
	turn(a, NULL, a_failed_once);
	failpoint_setup("", "/tmp");
	turn(a, NULL, up);
	sql("SELECT pg_notify('wake', '- r5')");
	turn(a, NULL, a_woken);
	cr_expect_eq(a->woken[0], WAKE_ROOM(5));
	ear_free(a);
}
