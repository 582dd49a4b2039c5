/* tests/bench/sync.c - what a sync costs. */
#include "tests/bench/bench.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- incremental sync: 3 rooms changed of 10, 1,000, 5,000 ---- */

void
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

/* ---- the first sync of 1,000 rooms with 20 events each ---- */

void
scenario_initial(void)
{
	char *room = make_template(), *answer;
	long n = sized(1000, 20), runs = 7;
	double t;

	free(db_get("SELECT bench.messages('%s', 20)", room));
	free(db_get("SELECT count(*) FROM bench.copies('%s', %ld)", room, n - 1));
	free(db_get("VACUUM ANALYZE"));
	ask_median_ms(token(1), "/_matrix/client/v3/sync?filter={%22room%22:{%22timeline%22:{%22limit%22:20}}}", NULL, 2, NULL);
	t = ask_median_ms(token(1), "/_matrix/client/v3/sync?filter={%22room%22:{%22timeline%22:{%22limit%22:20}}}", NULL, runs, &answer);
	say("initial_sync", t, "ms");
	say("initial_rooms", (double)count_of(answer, "\"timeline\""), "");
	say("initial_events", (double)count_of(answer, "\"event_id\""), "");
	say("initial_size", (double)strlen(answer), "bytes");
	/* The same rows: 20 newest events of each room, and the state that is not among them. */
	say("initial_bare", db_time(runs,
	    "SELECT e.id, e.room, e.ts, e.content, n.body, t.body, k.body FROM local_member m CROSS JOIN LATERAL"
	    " (SELECT * FROM event WHERE room = m.room ORDER BY room_pos DESC LIMIT 20) e"
	    " JOIN name n ON n.nid = e.sender JOIN name t ON t.nid = e.type LEFT JOIN name k ON k.nid = e.state_key"
	    " WHERE m.usr = (SELECT usr FROM account WHERE localpart = 'u1') AND m.membership = 2"
	    " UNION ALL SELECT e.id, e.room, e.ts, e.content, n.body, t.body, k.body FROM local_member m CROSS JOIN LATERAL"
	    " (SELECT event FROM current_state WHERE room = m.room OFFSET 0) s"
	    " JOIN event e ON e.nid = s.event JOIN name n ON n.nid = e.sender JOIN name t ON t.nid = e.type LEFT JOIN name k ON k.nid = e.state_key"
	    " WHERE m.usr = (SELECT usr FROM account WHERE localpart = 'u1') AND m.membership = 2") * 1e3, "ms");
}

/* ---- back after a week: u1 is in 1,000 rooms, u2 in the 50 that changed ---- */

void
scenario_week(void)
{
	enum { CHANGED = 50, RUNS = 11 };
	char *room = make_template(), **copy, *since[2];
	long n = db_list(&copy, "SELECT * FROM bench.copies('%s', %ld)", room, sized(1000, 100)), each = sized(200, 20);
	double ms[2];

	for (int i = 0; i < CHANGED; i++)
		free(db_get("SELECT bench.members('%s', 2, 1)", copy[i * (n / CHANGED)]));
	free(db_get("VACUUM ANALYZE"));
	for (int k = 0; k < 2; k++)
		since[k] = sync_token(token(1 + k));
	for (int i = 0; i < CHANGED; i++)
		free(db_get("SELECT bench.messages('%s', %ld)", copy[i * (n / CHANGED)], each));
	/* New workers have not seen those days: what they remember of recent changes does not reach back to the tokens. */
	kill(bench.server_pid, SIGHUP);
	drive(10);
	for (int k = 0; k < 2; k++) {
		char path[4096], *answer;

		snprintf(path, sizeof(path), "/_matrix/client/v3/sync?since=%s", since[k]);
		ask_median_ms(token(1 + k), path, NULL, 2, NULL);
		ms[k] = ask_median_ms(token(1 + k), path, NULL, RUNS, &answer);
		sayf((double)count_of(answer, "\"limited\":true"), "", "week_rooms_%d", k);
	}
	say("week_1000_rooms", ms[0], "ms");
	say("week_50_rooms", ms[1], "ms");
}
