/*
 * tests/bench/bench.c - what `make bench` measures over HTTP (tests/bench/run starts the server and the yardsticks).
 *
 *	bench BASE_URL CA_FILE SERVER_NAME SERVER_PID SCENARIO [ARG …]
 */
#include "tests/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	void (*fn)(void);
	const char *what;
} scenarios[] = {
	/* send.c */
	{ "sends", scenario_sends, "[SECONDS]: 8 senders, over 1,000 rooms and in one" },
	{ "latency", scenario_latency, "a message to a waiting sync" },
	{ "members", scenario_members, "a send into a room of 10 and of 10,000 members" },
	/* sync.c */
	{ "incremental", scenario_incremental, "3 rooms changed, of 10, 1,000, 5,000" },
	{ "initial", scenario_initial, "the first sync of 1,000 rooms with 20 events each" },
	{ "week", scenario_week, "before | after TOKEN TOKEN: 1,000 rooms, 50 changed, 10,000 new events" },
	/* wait.c */
	{ "fanout", scenario_fanout, "[MEMBERS]: one message to all who wait in a room" },
	{ "waiting", scenario_waiting, "[N [FIRST [IDLE SECONDS [ROOM …]]]]: memory and CPU of many who wait" },
	{ "wakeups", scenario_wakeups, "5,000 wait in 5,000 small rooms, 200 messages a second" },
	{ "live", scenario_live, "receipts and typing, 200 a second, in rooms of 10 and 1,000" },
	/* rooms.c */
	{ "history", scenario_history, "/messages and /context, deep in 1,000,000 events and at the end" },
	{ "reading", scenario_reading, "/members, /relations, /hierarchy of large rooms" },
	{ "create", scenario_create, "createRoom with 50 invites" },
	{ "storage", scenario_storage, "bytes on disk for a message and for a membership change" },
	/* accounts.c */
	{ "whoami", scenario_whoami, "an authenticated request beside one that is not" },
	{ "logins", scenario_logins, "100 logins at once while messages are sent" },
	{ "keys", scenario_keys, "keys/query and keys/claim of a thousand" },
};

int
main(int argc, char **argv)
{
	const char *shrink = getenv("BENCH_SHRINK");

	if (argc < 6) {
		fprintf(stderr, "usage: bench BASE_URL CA_FILE SERVER_NAME SERVER_PID SCENARIO [ARG ...]\n");
		for (size_t i = 0; i < sizeof(scenarios) / sizeof(*scenarios); i++)
			fprintf(stderr, "  %-12s %s\n", scenarios[i].name, scenarios[i].what);
		return 2;
	}
	load_init(argv[1], argv[2]);
	bench = (struct bench){ .server_name = argv[3], .server_pid = (int)strtol(argv[4], NULL, 10), .n_args = argc - 6,
	    .args = argv + 6, .shrink = shrink ? strtod(shrink, NULL) : 1 };
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(*scenarios); i++)
		if (strcmp(argv[5], scenarios[i].name) == 0) {
			scenarios[i].fn();
			return 0;
		}
	fprintf(stderr, "bench: no scenario %s\n", argv[5]);
	return 2;
}
