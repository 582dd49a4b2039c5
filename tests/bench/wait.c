/* tests/bench/wait.c - many who wait, and what wakes them. */
#include "tests/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- one message to n waiting members of a room ---- */

void
scenario_fanout(void)
{
	long n = arg_long(0, 1000), rounds = 5;
	long woken = 0;
	double cpu = 0, wall = 0;
	char *room;

	room = make_template();
	free(db_get("SELECT bench.members('%s', 2, %ld)", room, n));
	free(db_get("VACUUM ANALYZE"));
	for (long k = 0; k < rounds + 1; k++) {
		char *since = sync_token(token(1)), path[4096];
		double c0, t0;

		snprintf(path, sizeof(path), "/_matrix/client/v3/sync?timeout=60000&set_presence=offline&since=%s", since);
		woken = 0;
		for (long i = 0; i < n; i++) {
			load_call(LOAD_STREAM, 0, token(2 + i), path, NULL, false, count_done, &woken, i);
			if (i % 500 == 499) {	/* the socket's queue holds 4,096 */
				drive(0.1);
				until_waiting(i - 2000);
			}
		}
		until_waiting(n);
		c0 = cpu_of("hearth", "postgres");
		t0 = now_s();
		send_one(token(1), room, k);
		if (!load_run(&woken, n, 30)) {
			fprintf(stderr, "bench: %ld of %ld woken\n", woken, n);
			exit(1);
		}
		if (k > 0) {		/* the first round warms up */
			wall += now_s() - t0;
			drive(0.3);
			cpu += cpu_of("hearth", "postgres") - c0;
		}
		free(since);
	}
	sayf(cpu / (double)(n * rounds) * 1e6, "us", "fanout_%ld_cpu_per_sync", n);
	sayf(wall / (double)rounds * 1e3, "ms", "fanout_%ld_wall", n);
}

/* ---- n waiting syncs of users of 50 rooms: memory, idle CPU, wake-up of all. They do not announce themselves: 10,000 presences at once would be news for each ---- */

void
scenario_waiting(void)
{
	long n = arg_long(0, 10000), first = arg_long(1, 1), idle = arg_long(2, 60);
	long woken = 0, never = 0;
	int park = pid_of("hearth park");
	double before = private_dirty(park), c0, t0;
	char *since = sync_token(token(first)), path[4096];

	snprintf(path, sizeof(path), "/_matrix/client/v3/sync?timeout=300000&set_presence=offline&since=%s", since);
	free(since);
	for (long i = 0; i < n; i++) {
		load_call(LOAD_STREAM, 0, token(first + i), path, NULL, false, count_done, &woken, i);
		if (i % 500 == 499) {
			drive(0.1);
			until_waiting(i - 2000);
		}
	}
	until_waiting(n);
	say("waiting_park_memory_each", (private_dirty(park) - before) / (double)n, "bytes");
	c0 = cpu_of("hearth park", "hearth park");
	load_run(&never, 1, (double)idle);
	say("waiting_park_idle_cpu", (cpu_of("hearth park", "hearth park") - c0) / (double)idle * 100, "%");
	say("waiting_answered_too_early", (double)woken, "");
	t0 = now_s();
	for (int i = 3; i < bench.n_args; i++)	/* a message in each of the rooms that together wake all */
		send_one(token(first - 1), bench.args[i], i);
	load_run(&woken, n, 60);
	say("waiting_answered", (double)woken, "");
	say("waiting_all_answered_after", now_s() - t0, "s");
}

/* ---- many who wait, each in a room of his own, and come back after each answer ---- */

struct sleeper {
	char *since;
	double sent;		/* when the message that should wake him was sent; 0: none is on its way */
};

static struct {
	struct sleeper *v;
	long n, first, timeout_ms;
	long woken, needless, failed;
	double *took;
	bool over;
} sleepers;

static void sleeper_done(struct call *c);

static void
sleeper_wait(long i)
{
	char path[4096];

	snprintf(path, sizeof(path), "/_matrix/client/v3/sync?timeout=%ld&set_presence=offline&since=%s", sleepers.timeout_ms,
	    sleepers.v[i].since);
	load_call(LOAD_STREAM, 0, token(sleepers.first + i), path, NULL, false, sleeper_done, NULL, i);
}

static void
sleeper_done(struct call *c)
{
	struct sleeper *s = &sleepers.v[c->tag];

	if (c->status != 200) {
		if (sleepers.failed++ == 0)
			fprintf(stderr, "bench: a waiting sync got HTTP %ld: %.200s\n", c->status, c->body ? c->body : "");
		return;
	}
	if (strstr(c->body, "\"rooms\"") == NULL && c->end - c->start < (double)sleepers.timeout_ms / 1e3) {
		if (sleepers.needless++ == 0)
			fprintf(stderr, "bench: woken for nothing: %.300s\n", c->body);
	} else if (s->sent > 0) {
		sleepers.took[sleepers.woken++] = c->end - s->sent;
		s->sent = 0;
	}
	free(s->since);
	s->since = member(c->body, "next_batch");
	if (!sleepers.over)
		sleeper_wait(c->tag);
}

/* n of them, users first …, all with the present as their token. Returns when all wait. */
static void
sleepers_begin(long first, long n, long timeout_ms)
{
	char *since = sync_token(token(first));
	long others = waiting();

	memset(&sleepers, 0, sizeof(sleepers));
	sleepers.v = calloc((size_t)n, sizeof(*sleepers.v));
	sleepers.took = calloc(1000000, sizeof(*sleepers.took));
	sleepers.n = n;
	sleepers.first = first;
	sleepers.timeout_ms = timeout_ms;
	for (long i = 0; i < n; i++) {
		sleepers.v[i].since = strdup(since);
		sleeper_wait(i);
		if (i % 500 == 499) {
			drive(0.1);
			until_waiting(others + i - 2000);
		}
	}
	until_waiting(others + n);
}

static void
sent_done(struct call *c)
{
	if (c->status != 200)
		fprintf(stderr, "bench: a send got HTTP %ld: %.200s\n", c->status, c->body ? c->body : "");
	(*(long *)c->arg)++;
}

static long sent_answered;

static void
wake(char **room, long i, long k)
{
	char path[512], body[1024];

	snprintf(path, sizeof(path), "/_matrix/client/v3/rooms/%s/send/m.room.message/w%ld", path_id(room[i]), k);
	snprintf(body, sizeof(body), CONTENT_500, k);
	sleepers.v[i].sent = now_s();
	load_call(LOAD_OWN_CONNECTION, (int)(k % 16), token(1), path, body, true, sent_done, &sent_answered, k);
}

void
scenario_wakeups(void)
{
	long n = sized(5000, 50), k = 0, quiet = 100, rate = 200;
	double seconds = 20, begin;
	char **room;

	db_list(&room, "SELECT id FROM (SELECT id, bench.members(id, 1 + i, 1) FROM bench.copies('%s', %ld) WITH ORDINALITY AS c(id, i) OFFSET 0) x",
	    make_template(), n);
	free(db_get("VACUUM ANALYZE"));
	sleepers_begin(2, n, 120000);
	sleepers.woken = sleepers.needless = 0;
	for (; k < quiet; k++) {		/* one at a time */
		long want = sleepers.woken + 1;

		wake(room, k * 7919 % n, k);
		if (!load_run(&sleepers.woken, want, 10))
			fprintf(stderr, "bench: a waiting sync was not woken\n");
	}
	say("wakeup_alone_p50", quantile(sleepers.took, sleepers.woken, 0.5) * 1e3, "ms");
	say("wakeup_alone_p99", quantile(sleepers.took, sleepers.woken, 0.99) * 1e3, "ms");
	sleepers.woken = sleepers.needless = 0;
	for (begin = now_s(); now_s() < begin + seconds;) {
		while ((double)(k - quiet) < (now_s() - begin) * (double)rate) {
			if (sleepers.v[k * 7919 % n].sent == 0)
				wake(room, k * 7919 % n, k);
			k++;
		}
		drive(0.002);
	}
	drive(2);
	say("wakeup_loaded_p50", quantile(sleepers.took, sleepers.woken, 0.5) * 1e3, "ms");
	say("wakeup_loaded_p99", quantile(sleepers.took, sleepers.woken, 0.99) * 1e3, "ms");
	say("wakeup_per_s", (double)sleepers.woken / seconds, "1/s");
	say("wakeup_needless_per_minute", (double)sleepers.needless / (double)n / (seconds + 2) * 60, "");
	say("wakeup_failed", (double)sleepers.failed, "");
	sleepers.over = true;
}

/* ---- receipts and typing: what they write does not depend on who is there ---- */

static char **
newest_events(const char *room, long n)
{
	char **v;

	free(db_get("SELECT bench.messages('%s', %ld)", room, n));
	db_list(&v, "SELECT e.id FROM event e JOIN room r ON r.nid = e.room WHERE r.id = '%s' ORDER BY room_pos DESC LIMIT %ld", room, n);
	return v;
}

static void
live_room(long members, long seconds, double *rows, double *wal)
{
	enum { ACTORS = 10 };
	long rate = 200, k = 0, answered = 0, waiters = members < 20 ? members : 20;
	char *room = make_template(), **event, path[1024], body[64], *lsn, *before;
	double begin;

	free(db_get("SELECT bench.members('%s', 2, %ld)", room, members - 1));
	event = newest_events(room, rate * seconds);
	free(db_get("VACUUM ANALYZE"));
	sleepers_begin(2, waiters - 1, 60000);
	drive(14);			/* sessions that idle tell their statistics after 10 s */
	before = db_get("SELECT tup_inserted + tup_updated + tup_deleted FROM pg_stat_database WHERE datname = current_database()");
	lsn = db_get("SELECT pg_current_wal_insert_lsn()");
	for (begin = now_s(); now_s() < begin + (double)seconds;) {
		while ((double)k < (now_s() - begin) * (double)rate) {
			/* Ten, however large the room is: what a device writes with its first request is not what is asked here. */
			long user = 1 + k / 2 % ACTORS;

			if (k % 2 == 0) {
				snprintf(path, sizeof(path), "/_matrix/client/v3/rooms/%s/receipt/m.read/%s", path_id(room),
				    path_id(event[rate * seconds - 1 - k / 2]));
				snprintf(body, sizeof(body), "{}");
			} else {
				snprintf(path, sizeof(path), "/_matrix/client/v3/rooms/%s/typing/%%40u%ld%%3A%s", path_id(room), user, bench.server_name);
				snprintf(body, sizeof(body), "{\"typing\":%s,\"timeout\":30000}", k / 2 / ACTORS % 2 ? "false" : "true");
			}
			load_call(LOAD_OWN_CONNECTION, (int)(k % 16), token(user), path, body, k % 2 == 1, sent_done, &answered, k);
			k++;
		}
		drive(0.002);
	}
	load_run(&answered, k, 10);
	*wal = strtod(db_get("SELECT pg_current_wal_insert_lsn() - '%s'", lsn), NULL) / (double)seconds;
	sleepers.over = true;
	drive(11);
	*rows = (strtod(db_get("SELECT tup_inserted + tup_updated + tup_deleted FROM pg_stat_database WHERE datname = current_database()"), NULL) -
	    strtod(before, NULL)) / (double)seconds;
}

void
scenario_live(void)
{
	long size[] = { 10, sized(1000, 100) };
	static const char *const names[] = { "small", "large" };

	for (int i = 0; i < 2; i++) {
		double rows, wal;

		live_room(size[i], 10, &rows, &wal);
		sayf(rows, "rows/s", "live_rows_%s", names[i]);
		sayf(wal, "bytes/s", "live_wal_%s", names[i]);
	}
}
