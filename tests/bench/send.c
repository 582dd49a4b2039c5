/* tests/bench/send.c - sending: how many, how fast another one has it, in large rooms. */
#include "tests/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
	static const char *const parts[] = { "hearth", "postgres", "nginx" };
	double t, cpu, part[3];
	char line[64];

	for (int i = 0; i < 3; i++)
		part[i] = cpu_of(parts[i], parts[i]);
	ch.until = now_s() + seconds;
	t = now_s();
	cpu = own_cpu();
	chain_run(&ch, 8, 1000000);
	t = now_s() - t;
	for (int i = 0; i < 3; i++)
		sayf((cpu_of(parts[i], parts[i]) - part[i]) * 1e6 / (double)ch.done, "us", "%s_cpu_each_%s", name, parts[i]);
	snprintf(line, sizeof(line), "%s_per_s", name);
	say(line, (double)ch.done / t, "1/s");
	snprintf(line, sizeof(line), "%s_p50", name);
	say(line, quantile(ch.took, ch.done, 0.5) * 1e3, "ms");
	snprintf(line, sizeof(line), "%s_client_cpu", name);
	say(line, (own_cpu() - cpu) / t, "cores");
	free(ch.took);
}

void
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

void
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

/* ---- a send into a room of 10 and of 10,000 members ---- */

void
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

