/*
 * tests/bench/bench.c - what `make bench` measures over HTTP (tests/bench/run starts the server and the yardsticks).
 *
 *	bench BASE_URL CA_FILE SERVER_NAME SERVER_PID SCENARIO [ARG …]
 * Users u1, u2, … have the tokens t1, t2, … (tests/bench/fixture.sql). Each scenario
 * prints lines "name<TAB>value<TAB>unit" that run puts beside their yardsticks.
 */
#include <ctype.h>
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "tests/bench/load.h"

static const char *server_name;
static int server_pid;
static int n_args;
static char **args;

static void
say(const char *name, double v, const char *unit)
{
	printf("%s\t%.6g\t%s\n", name, v, unit);
	fflush(stdout);
}

static int
by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double
quantile(double *v, long n, double q)
{
	if (n == 0)
		return 0;
	qsort(v, (size_t)n, sizeof(*v), by_size);
	return v[(long)(q * (double)(n - 1))];
}

static long
arg_long(int i, long dflt)
{
	return i < n_args ? strtol(args[i], NULL, 10) : dflt;
}

/* ---- small JSON readers: the server's answers are ours, so plain search does ---- */

static char *
member(const char *json, const char *key)
{
	char want[64];
	const char *p, *q;

	snprintf(want, sizeof(want), "\"%s\":\"", key);
	if (json == NULL || (p = strstr(json, want)) == NULL)
		return NULL;
	p += strlen(want);
	q = strchr(p, '"');
	return strndup(p, (size_t)(q - p));
}

static const char *
token(long user)
{
	static char t[8][32];
	static int i;

	i = (i + 1) % 8;
	snprintf(t[i], sizeof(t[i]), "t%ld", user);
	return t[i];
}

/* ---- processes: CPU and memory of the server's tree ---- */

struct proc { int pid, parent; char comm[32]; double cpu; };

static int
procs(struct proc **out)
{
	static struct proc v[8192];
	int n = 0;
	DIR *d = opendir("/proc");
	struct dirent *e;

	while ((e = readdir(d)) != NULL && n < 8192) {
		char path[300], line[1024], *p, *q;
		unsigned long ut, st;
		FILE *f;

		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/stat", e->d_name);
		if ((f = fopen(path, "r")) == NULL)
			continue;
		if (fgets(line, sizeof(line), f) != NULL && (p = strchr(line, '(')) != NULL && (q = strrchr(line, ')')) != NULL &&
		    sscanf(q + 2, "%*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &v[n].parent, &ut, &st) == 3) {
			v[n].pid = (int)strtol(line, NULL, 10);
			*q = '\0';
			snprintf(v[n].comm, sizeof(v[n].comm), "%s", p + 1);
			v[n].cpu = (double)(ut + st) / (double)sysconf(_SC_CLK_TCK);
			n++;
		}
		fclose(f);
	}
	closedir(d);
	*out = v;
	return n;
}

static int
is_below(const struct proc *v, int n, int i)
{
	for (int hops = 0; hops < 20; hops++) {
		int j, up = v[i].parent;

		if (v[i].pid == server_pid)
			return 1;
		for (j = 0; j < n && v[j].pid != up; j++)
			;
		if (j == n)
			return 0;
		i = j;
	}
	return 0;
}

/* CPU seconds of the server's processes whose name begins with a or b. */
static double
cpu_of(const char *a, const char *b)
{
	struct proc *v;
	int n = procs(&v);
	double sum = 0;

	for (int i = 0; i < n; i++)
		if ((strncmp(v[i].comm, a, strlen(a)) == 0 || strncmp(v[i].comm, b, strlen(b)) == 0) && is_below(v, n, i))
			sum += v[i].cpu;
	return sum;
}

static int
pid_of(const char *comm)
{
	struct proc *v;
	int n = procs(&v);

	for (int i = 0; i < n; i++)
		if (strcmp(v[i].comm, comm) == 0 && is_below(v, n, i))
			return v[i].pid;
	fprintf(stderr, "bench: no process %s below %d\n", comm, server_pid);
	exit(1);
}

static double
private_dirty(int pid)
{
	char path[64], line[256];
	long kb = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	if ((f = fopen(path, "r")) == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "Private_Dirty:", 14) == 0)
			kb = strtol(line + 14, NULL, 10);
	fclose(f);
	return (double)kb * 1024;
}

static double
own_cpu(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return (double)r.ru_utime.tv_sec + (double)r.ru_stime.tv_sec + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

/* ---- chains: `lanes` callers that each repeat step() until it returns 0 ---- */

struct chain {
	int (*step)(struct chain *ch, int lane, long i, char *path, size_t max, const char **token, const char **body, bool *put);
	void (*answer)(struct chain *ch, struct call *c);
	long next, want, failed;
	long done;
	double *took;
	double until;
	void *arg;
};

static void chain_next(struct chain *ch, int lane);

static void
chain_done(struct call *c)
{
	struct chain *ch = c->arg;

	if (c->status != 200) {
		if (ch->failed++ == 0)
			fprintf(stderr, "bench: HTTP %ld: %.300s\n", c->status, c->body ? c->body : "");
	} else if (ch->answer != NULL) {
		ch->answer(ch, c);
	}
	if (ch->took != NULL)
		ch->took[ch->done] = c->end - c->start;
	ch->done++;
	chain_next(ch, c->lane);
}

static void
chain_next(struct chain *ch, int lane)
{
	char path[2048];
	const char *tok, *body = NULL;
	bool put = false;
	long i = ch->next;

	if (ch->until > 0 && now_s() > ch->until) {
		ch->want = ch->next;	/* no new ones; those under way end it */
		return;
	}
	if (i >= ch->want)
		return;
	ch->next++;
	ch->step(ch, lane, i, path, sizeof(path), &tok, &body, &put);
	load_call(LOAD_OWN_CONNECTION, lane, tok, path, body, put, chain_done, ch, i);
}

static void
chain_run(struct chain *ch, int lanes, long want)
{
	ch->want = want;
	if (ch->took == NULL)
		ch->took = calloc((size_t)want + 64, sizeof(double));
	for (int l = 0; l < lanes; l++)
		chain_next(ch, l);
	while (ch->done < ch->want)
		load_run(&ch->done, ch->done + 1, 60);
	if (ch->failed)
		fprintf(stderr, "bench: %ld of %ld failed\n", ch->failed, ch->want);
}

/* ---- rooms ---- */

static char **rooms;
static long nrooms;

struct making { long first_user, users; const char *body; };

static int
make_step(struct chain *ch, int lane, long i, char *path, size_t max, const char **tok, const char **body, bool *put)
{
	struct making *m = ch->arg;

	(void)lane;
	(void)put;
	snprintf(path, max, "/_matrix/client/v3/createRoom");
	*tok = token(m->first_user + i % m->users);
	*body = m->body;
	return 1;
}

static void
make_answer(struct chain *ch, struct call *c)
{
	(void)ch;
	rooms[c->tag] = member(c->body, "room_id");
}

/* n rooms, room i made by user first + i % users */
static void
make_rooms(long n, long first, long users)
{
	struct making m = { first, users, "{\"preset\":\"public_chat\"}" };
	struct chain ch = { .step = make_step, .answer = make_answer, .arg = &m };

	rooms = calloc((size_t)n, sizeof(*rooms));
	nrooms = n;
	chain_run(&ch, 8, n);
	free(ch.took);
}

static int
join_step(struct chain *ch, int lane, long i, char *path, size_t max, const char **tok, const char **body, bool *put)
{
	(void)lane;
	(void)put;
	snprintf(path, max, "/_matrix/client/v3/rooms/%s/join", (const char *)ch->arg);
	*tok = token(2 + i);
	*body = "{}";
	return 1;
}

/* users 2 … n join the room */
static void
join_all(char *room, long n)
{
	struct chain ch = { .step = join_step, .arg = room };

	chain_run(&ch, 8, n - 1);
	free(ch.took);
}

#define CONTENT_500 "{\"msgtype\":\"m.text\",\"body\":\"%0430ld\"}"

static void
send_one(const char *tok, const char *room, long i)
{
	char path[512], body[1024];

	snprintf(path, sizeof(path), "/_matrix/client/v3/rooms/%s/send/m.room.message/b%ld.%d.%ld", room, i, (int)getpid(), (long)(now_s() * 1e6));
	snprintf(body, sizeof(body), CONTENT_500, i);
	free(load_ask(tok, path, body, true));
}

/* ---- sends: throughput of 8 senders over the rooms ---- */

static int
send_step(struct chain *ch, int lane, long i, char *path, size_t max, const char **tok, const char **body, bool *put)
{
	static char content[64][1024];
	bool one = ch->arg != NULL;
	long r = one ? 0 : (i * 7919 + lane) % (nrooms / 8) * 8 + lane;	/* the rooms that user lane + 1 made */

	snprintf(path, max, "/_matrix/client/v3/rooms/%s/send/m.room.message/s%d.%ld", rooms[r], (int)getpid(), i);
	snprintf(content[lane], sizeof(content[lane]), CONTENT_500, i);
	*tok = token(1 + lane);
	*body = content[lane];
	*put = true;
	return 1;
}

static void
sends(const char *name, bool one, double seconds)
{
	struct chain ch = { .step = send_step, .arg = one ? &one : NULL };
	double t, cpu;
	char line[64];

	ch.until = now_s() + seconds;
	t = now_s();
	cpu = own_cpu();
	chain_run(&ch, 8, 1000000);
	t = now_s() - t;
	snprintf(line, sizeof(line), "%s_per_s", name);
	say(line, (double)ch.done / t, "1/s");
	snprintf(line, sizeof(line), "%s_p50", name);
	say(line, quantile(ch.took, ch.done, 0.5) * 1e3, "ms");
	snprintf(line, sizeof(line), "%s_client_cpu", name);
	say(line, (own_cpu() - cpu) / t, "cores");
	free(ch.took);
}

static void
scenario_sends(void)
{
	double seconds = (double)arg_long(0, 10);

	make_rooms(1000, 1, 8);
	sends("sends_1000_rooms", false, seconds);
	make_rooms(1, 1, 1);
	join_all(rooms[0], 8);
	sends("sends_one_room", true, seconds);
}

/* ---- a message to a waiting sync ---- */

static char *
sync_token(const char *tok)
{
	char *b = load_ask(tok, "/_matrix/client/v3/sync?filter={%22room%22:{%22rooms%22:[],%22timeline%22:{%22limit%22:1}}}", NULL, false);
	char *t = member(b, "next_batch");

	free(b);
	return t;
}

static void
count_done(struct call *c)
{
	if (c->status == 200)
		(*(long *)c->arg)++;
	else
		fprintf(stderr, "bench: a waiting sync got HTTP %ld: %.200s\n", c->status, c->body ? c->body : "");
}

struct waiter { long done; double end; char *next; };

static void
waiter_done(struct call *c)
{
	struct waiter *w = c->arg;

	if (c->status != 200 || strstr(c->body, "\"join\"") == NULL)
		fprintf(stderr, "bench: waiting sync: HTTP %ld %.200s\n", c->status, c->body ? c->body : "");
	w->end = c->end;
	w->next = member(c->body, "next_batch");
	w->done = 1;
}

static void
scenario_latency(void)
{
	enum { N = 300 };
	static double send_t[N], sync_t[N], wake_t[N];
	char *since, path[4096];

	make_rooms(1, 1, 1);
	join_all(rooms[0], 2);
	since = sync_token(token(2));
	for (int i = 0; i < N; i++) {
		struct waiter w = { 0 };
		long never = 0;
		double t = now_s();
		char *b;

		send_one(token(1), rooms[0], i);
		send_t[i] = now_s() - t;
		snprintf(path, sizeof(path), "/_matrix/client/v3/sync?timeout=0&since=%s", since);
		t = now_s();
		b = load_ask(token(2), path, NULL, false);
		sync_t[i] = now_s() - t;
		free(since);
		since = member(b, "next_batch");
		free(b);

		snprintf(path, sizeof(path), "/_matrix/client/v3/sync?timeout=30000&since=%s", since);
		load_call(LOAD_OWN_CONNECTION, 1, token(2), path, NULL, false, waiter_done, &w, 0);
		load_run(&never, 1, 0.03);	/* long enough to be parked; not part of what is measured */
		t = now_s();
		send_one(token(1), rooms[0], i + N);
		if (!load_run(&w.done, 1, 10)) {
			fprintf(stderr, "bench: a waiting sync was not woken\n");
			exit(1);
		}
		wake_t[i] = w.end - t;
		free(since);
		since = w.next;
	}
	say("send_p50", quantile(send_t, N, 0.5) * 1e3, "ms");
	say("sync_with_news_p50", quantile(sync_t, N, 0.5) * 1e3, "ms");
	say("message_to_waiting_p50", quantile(wake_t, N, 0.5) * 1e3, "ms");
	say("message_to_waiting_p99", quantile(wake_t, N, 0.99) * 1e3, "ms");
}

/* ---- incremental sync: 3 rooms changed of 10, 1,000, 5,000 ---- */

static void
scenario_incremental(void)
{
	static const long sizes[] = { 10, 1000, 5000 };
	char *since[3], **own[3];
	enum { N = 60 };
	static double took[3][N];

	for (int s = 0; s < 3; s++) {
		make_rooms(sizes[s], 1 + s, 1);
		own[s] = rooms;
		since[s] = sync_token(token(1 + s));
	}
	for (int i = 0; i < N; i++)
		for (int s = 0; s < 3; s++) {
			char path[4096], *b;
			double t;

			for (long k = 0; k < 3; k++)
				send_one(token(1 + s), own[s][(i * 31 + k * 7) % sizes[s]], i);
			snprintf(path, sizeof(path), "/_matrix/client/v3/sync?since=%s", since[s]);
			t = now_s();
			b = load_ask(token(1 + s), path, NULL, false);
			took[s][i] = now_s() - t;
			if (i == N / 2 && strstr(b, "m.room.message") == NULL)
				fprintf(stderr, "bench: an incremental sync without its news: %.300s\n", b);
			free(since[s]);
			since[s] = member(b, "next_batch");
			free(b);
		}
	for (int s = 0; s < 3; s++) {
		char name[64];

		snprintf(name, sizeof(name), "incremental_%ld_rooms_p50", sizes[s]);
		say(name, quantile(took[s], N, 0.5) * 1e3, "ms");
	}
}

/* ---- a send into a room of 10 and of 10,000 members ---- */

static void
scenario_members(void)
{
	enum { N = 400 };
	static double took[2][N];
	static const long sizes[] = { 10, 10000 };
	char *room[2];

	for (int s = 0; s < 2; s++) {
		make_rooms(1, 1, 1);
		room[s] = rooms[0];
		join_all(room[s], sizes[s]);
	}
	for (int i = 0; i < N; i++)
		for (int s = 0; s < 2; s++) {
			double t = now_s();

			send_one(token(1), room[s], i);
			took[s][i] = now_s() - t;
		}
	say("send_10_members_p50", quantile(took[0], N, 0.5) * 1e3, "ms");
	say("send_10000_members_p50", quantile(took[1], N, 0.5) * 1e3, "ms");
}

/* ---- one message to n waiting members of a room ---- */

static void
scenario_fanout(void)
{
	long n = arg_long(0, 1000), rounds = 5;
	long woken = 0, never = 0;
	double cpu = 0, wall = 0;

	make_rooms(1, 1, 1);
	join_all(rooms[0], n + 1);
	for (long k = 0; k < rounds + 1; k++) {
		char *since = sync_token(token(1)), path[4096];
		double c0, t0;

		snprintf(path, sizeof(path), "/_matrix/client/v3/sync?timeout=60000&since=%s", since);
		woken = 0;
		for (long i = 0; i < n; i++)
			load_call(LOAD_STREAM, 0, token(2 + i), path, NULL, false, count_done, &woken, i);
		load_run(&never, 1, 3);		/* until all are parked */
		c0 = cpu_of("hearth", "postgres");
		t0 = now_s();
		send_one(token(1), rooms[0], k);
		if (!load_run(&woken, n, 30)) {
			fprintf(stderr, "bench: %ld of %ld woken\n", woken, n);
			exit(1);
		}
		if (k > 0) {		/* the first round warms up */
			wall += now_s() - t0;
			load_run(&never, 1, 0.3);
			cpu += cpu_of("hearth", "postgres") - c0;
		}
		free(since);
	}
	say("fanout_cpu_per_sync", cpu / (double)(n * rounds) * 1e6, "us");
	say("fanout_wall", wall / (double)rounds * 1e3, "ms");
}

/* ---- n waiting syncs of users of 50 rooms: memory, idle CPU, wake-up of all. They do not announce themselves: 10,000 presences at once would be news for each ---- */

static void
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
		if (i % 500 == 499)
			load_run(&never, 1, 0.5);
	}
	load_run(&never, 1, 10);
	say("waiting_park_memory_each", (private_dirty(park) - before) / (double)n, "bytes");
	c0 = cpu_of("hearth park", "hearth park");
	load_run(&never, 1, (double)idle);
	say("waiting_park_idle_cpu", (cpu_of("hearth park", "hearth park") - c0) / (double)idle * 100, "%");
	say("waiting_answered_too_early", (double)woken, "");
	t0 = now_s();
	for (int i = 3; i < n_args; i++)	/* a message in each of the rooms that together wake all */
		send_one(token(first - 1), args[i], i);
	load_run(&woken, n, 60);
	say("waiting_answered", (double)woken, "");
	say("waiting_all_answered_after", now_s() - t0, "s");
}

int
main(int argc, char **argv)
{
	static const struct { const char *name; void (*fn)(void); } scenarios[] = {
		{ "sends", scenario_sends },
		{ "latency", scenario_latency },
		{ "incremental", scenario_incremental },
		{ "members", scenario_members },
		{ "fanout", scenario_fanout },
		{ "waiting", scenario_waiting },
	};

	if (argc < 6) {
		fprintf(stderr, "usage: bench BASE_URL CA_FILE SERVER_NAME SERVER_PID SCENARIO [ARG ...]\n");
		return 2;
	}
	load_init(argv[1], argv[2]);
	server_name = argv[3];
	server_pid = (int)strtol(argv[4], NULL, 10);
	n_args = argc - 6;
	args = argv + 6;
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(*scenarios); i++)
		if (strcmp(argv[5], scenarios[i].name) == 0) {
			scenarios[i].fn();
			return 0;
		}
	fprintf(stderr, "bench: no scenario %s\n", argv[5]);
	return 2;
}
