/* tests/bench/rooms.c - reading and making rooms, and what they take on disk. */
#include "tests/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS = 31 };

static double
get_ms(const char *path)
{
	ask_median_ms(token(1), path, NULL, 3, NULL);	/* warms up */
	return ask_median_ms(token(1), path, NULL, RUNS, NULL);
}

/* ---- /messages and /context in a long room ---- */

static char *
event_at(const char *room, long room_pos)
{
	return db_get("SELECT e.id FROM event e JOIN room r ON r.nid = e.room WHERE r.id = '%s' AND e.room_pos = %ld", room, room_pos);
}

void
scenario_history(void)
{
	char *room = make_template(), path[2048], *answer, *from, *newest, *deep;
	long n = sized(1000000, 1000);
	static const char dirs[] = "bf";

	free(db_get("SELECT bench.messages('%s', %ld)", room, n));
	free(db_get("VACUUM ANALYZE event"));
	deep = event_at(room, n / 2);
	newest = event_at(room, n);
	snprintf(path, sizeof(path), "/_matrix/client/v3/rooms/%s/messages?dir=b&limit=100", path_id(room));
	say("messages_newest", get_ms(path), "ms");
	snprintf(path, sizeof(path), "/_matrix/client/v3/rooms/%s/context/%s?limit=1", path_id(room), path_id(deep));
	answer = load_ask(token(1), path, NULL, false);
	from = member(answer, "start");
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/_matrix/client/v3/rooms/%s/messages?dir=%c&limit=100&from=%s", path_id(room), dirs[i], from);
		sayf(get_ms(path), "ms", "messages_deep_%c", dirs[i]);
		answer = load_ask(token(1), path, NULL, false);
		if (count_of(answer, "\"event_id\"") != 100)
			fprintf(stderr, "bench: %ld events in a page of 100\n", count_of(answer, "\"event_id\""));
	}
	snprintf(path, sizeof(path), "/_matrix/client/v3/rooms/%s/context/%s?limit=100", path_id(room), path_id(newest));
	say("context_newest", get_ms(path), "ms");
	snprintf(path, sizeof(path), "/_matrix/client/v3/rooms/%s/context/%s?limit=100", path_id(room), path_id(deep));
	say("context_deep", get_ms(path), "ms");
}

/* ---- /members, /relations, /hierarchy ---- */

static void
members(void)
{
	char *room = make_template(), path[2048];
	long n = sized(10000, 100);

	free(db_get("SELECT bench.members('%s', 2, %ld)", room, n - 1));
	free(db_get("ANALYZE"));
	snprintf(path, sizeof(path), "/_matrix/client/v3/rooms/%s/members", path_id(room));
	say("members_all", ask_median_ms(token(1), path, NULL, 11, NULL), "ms");
	snprintf(path, sizeof(path), "SELECT e.id, n.body, k.body, e.ts, e.content FROM current_state s JOIN event e ON e.nid = s.event JOIN name n ON n.nid = e.sender"
	    " JOIN name k ON k.nid = e.state_key WHERE s.room = (SELECT nid FROM room WHERE id = '%s') AND s.type = 2", room);
	say("members_bare", db_time(11, path) * 1e3, "ms");
}

/* n more messages that refer to an event. */
static void
refer(const char *room, const char *event, long n)
{
	free(db_get("SELECT bench.messages('%s', %ld)", room, n));
	free(db_get("INSERT INTO event_relation (event, target, rel_type, type, sender, room_pos, ts)"
	    " SELECT e.nid, t.nid, 28, e.type, e.sender, e.room_pos, e.ts FROM event t JOIN room r ON r.nid = t.room"
	    " JOIN event e ON e.room = r.nid AND e.room_pos > r.last_room_pos - %ld WHERE t.id = '%s'", n, event));
}

static void
relations(void)
{
	char *room = make_template(), *few = event_at(room, 2), *many = event_at(room, 3), path[2048];

	refer(room, few, 100);
	refer(room, many, sized(10000, 200));
	free(db_get("ANALYZE"));
	snprintf(path, sizeof(path), "/_matrix/client/v1/rooms/%s/relations/%s?limit=100", path_id(room), path_id(few));
	say("relations_few", get_ms(path), "ms");
	snprintf(path, sizeof(path), "/_matrix/client/v1/rooms/%s/relations/%s?limit=100", path_id(room), path_id(many));
	say("relations_many", get_ms(path), "ms");
}

struct space {
	const char *room;
	char **child;
};

static int
child_step(struct chain *ch, int lane, long i, char *path, size_t max, const char **tok, const char **body, bool *put)
{
	const struct space *s = ch->arg;

	(void)lane;
	snprintf(path, max, "/_matrix/client/v3/rooms/%s/state/m.space.child/%s", path_id(s->room), path_id(s->child[i]));
	*tok = token(1);
	*body = "{\"via\":[\"localhost\"]}";
	*put = true;
	return 1;
}

/* A space with the first n of the rooms in it. */
static char *
space_of(char **child, long n)
{
	char *b = load_ask(token(1), "/_matrix/client/v3/createRoom", "{\"preset\":\"public_chat\",\"creation_content\":{\"type\":\"m.space\"}}", false);
	struct space s = { member(b, "room_id"), child };
	struct chain ch = { .step = child_step, .arg = &s };

	chain_run(&ch, 4, n);
	return member(b, "room_id");
}

static void
hierarchy(void)
{
	static const char *const names[] = { "few", "many" };
	char **child, path[2048];
	long n = db_list(&child, "SELECT * FROM bench.copies('%s', %ld)", make_template(), sized(1000, 100));

	free(db_get("ANALYZE"));
	for (int k = 0; k < 2; k++) {
		char *space = space_of(child, k ? n : 50);

		char *answer, *next;

		/* The first page tells of all children of the space, as the specification wants; the second has rooms alone. */
		snprintf(path, sizeof(path), "/_matrix/client/v1/rooms/%s/hierarchy?limit=%d", path_id(space), k ? 50 : 51);
		sayf(ask_median_ms(token(1), path, NULL, 11, &answer), "ms", "hierarchy_%s", names[k]);
		if (k && (next = strstr(answer, "\"next_batch\":\"")) != NULL) {
			next += strlen("\"next_batch\":\"");
			next[strcspn(next, "\"")] = '\0';
			snprintf(path + strlen(path), sizeof(path) - strlen(path), "&from=%s", path_id(next));
			say("hierarchy_next", get_ms(path), "ms");
		}
	}
}

void
scenario_reading(void)
{
	members();
	relations();
	hierarchy();
}

/* ---- createRoom with 50 invites ---- */

void
scenario_create(void)
{
	char body[8192] = "{\"preset\":\"private_chat\",\"name\":\"x\",\"invite\":[", path[] = "/_matrix/client/v3/createRoom";
	size_t at = strlen(body);

	for (int i = 0; i < 50; i++)
		at += (size_t)snprintf(body + at, sizeof(body) - at, "%s\"@u%d:%s\"", i ? "," : "", 2 + i, bench.server_name);
	snprintf(body + at, sizeof(body) - at, "]}");
	ask_median_ms(token(1), path, body, 3, NULL);
	say("create_alone", ask_median_ms(token(1), path, "{\"preset\":\"private_chat\",\"name\":\"x\"}", RUNS, NULL), "ms");
	say("create_50_invites", ask_median_ms(token(1), path, body, RUNS, NULL), "ms");
}

/* ---- bytes on disk ---- */

/* Tables of the schema with their indexes and TOAST, without the transaction ids, which a job removes. */
static double
on_disk(void)
{
	char *text;
	double v;

	free(db_get("VACUUM"));
	text = db_get("SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relnamespace = 'hearth'::regnamespace AND relkind = 'r'"
	    " AND relname NOT IN ('txn')");
	v = strtod(text, NULL);
	free(text);
	return v;
}

static int
message_step(struct chain *ch, int lane, long i, char *path, size_t max, const char **tok, const char **body, bool *put)
{
	static char content[64][1024];

	(void)ch;
	snprintf(path, max, "/_matrix/client/v3/rooms/%s/send/m.room.message/d%ld", rooms[lane], i);
	snprintf(content[lane], sizeof(content[lane]), CONTENT_500, i);
	*tok = token(1 + lane);
	*body = content[lane];
	*put = true;
	return 1;
}

struct storm {
	const char *room;
	long members;
};

static int
first_step(struct chain *ch, int lane, long i, char *path, size_t max, const char **tok, const char **body, bool *put)
{
	(void)ch;
	(void)lane;
	(void)put;
	snprintf(path, max, "/_matrix/client/v3/publicRooms");
	*tok = token(2 + i);
	*body = "{}";
	return 1;
}

static int
storm_step(struct chain *ch, int lane, long i, char *path, size_t max, const char **tok, const char **body, bool *put)
{
	const struct storm *s = ch->arg;

	(void)lane;
	(void)put;
	snprintf(path, max, "/_matrix/client/v3/rooms/%s/%s", path_id(s->room), i < s->members ? "join" : "leave");
	*tok = token(2 + i % s->members);
	*body = "{}";
	return 1;
}

void
scenario_storage(void)
{
	long n = sized(20000, 200);
	struct chain send = { .step = message_step }, change = { .step = storm_step }, first = { .step = first_step };
	struct storm storm = { make_template(), sized(5000, 50) };
	double before;

	make_rooms(8, 1, 8);
	before = on_disk();
	chain_run(&send, 8, n);
	say("bytes_per_message", (on_disk() - before) / (double)n, "bytes");
	change.arg = &storm;
	chain_run(&first, 4, storm.members);	/* where a device was seen is noted once, whatever it does */
	before = on_disk();
	chain_run(&change, 4, 2 * storm.members);
	say("bytes_per_change", (on_disk() - before) / (double)(2 * storm.members), "bytes");
}
