/*
 * tests/db/room/remote.h - the history of a room on other servers, told to this one.
 *
 * A room is told in steps, as in tests/unit/event/dag.h, but of real events: built and signed for the server of
 * their sender, with ids that are hashes. Beside each stands what the state before and after it is by the slow way: the states
 * after its prev_events resolved by plain.c, the whole history in memory. What the database has is compared with that.
 *
 *	struct remote *rm = remote_new("10");
 *	remote_send(rm, "T1", "@alice:remote", TOPIC, "", "{}", "bob");	(after the event called bob)
 *	deliver(cx, rm, "T1");
 *	expect_before(cx, rm, "T1");
 *
 * Opened with: "create" by @alice:remote, her join "alice", "levels" (alice 100 or creator; @bob:remote 50), "rules" (public), "bob",
 * "carol" (joins of @bob:remote, @carol:third), one after the other.
 */
#ifndef HEARTH_TESTS_DB_ROOM_REMOTE_H
#define HEARTH_TESTS_DB_ROOM_REMOTE_H

#include "core/room/hole.h"
#include "core/room/import.h"
#include "core/room/receive.h"
#include "tests/db/room/world.h"
#include "tests/unit/event/dag.h"

#define DAN "@dan:localhost"
#define MSG "m.room.message"
#define TOPIC_OF(x) "{\"topic\":\"" x "\"}"

struct remote {
	struct dag d;
	struct state_set *before;	/* beside d.v */
	bool *soft;			/* expected; set by who knows */
};

struct remote *remote_new(const char *version);
struct remote *remote_empty(const char *version);	/* no event yet */
void remote_open(struct remote *rm);	/* those above */

/* after: names of the prev_events with spaces between; NULL: the last event made. Returns the event's id. */
const char *remote_send(struct remote *rm, const char *name, const char *sender, const char *type, const char *key, const char *content, const char *after);
/* The same with auth_events of the teller's choice (names); ts 0: later than all before. */
const char *remote_send_as(struct remote *rm, const char *name, const char *sender, const char *type, const char *key, const char *content,
    const char *after, const char *auth, int64_t ts);
size_t remote_at(struct remote *rm, const char *name);
const char *remote_id(struct remote *rm, const char *name);

/* The event as it comes over the wire, checked (incoming_read()). */
struct incoming wire(struct ctx *cx, struct remote *rm, size_t at);

/* Each in a transaction of its own, which must succeed. */
struct received deliver(struct ctx *cx, struct remote *rm, const char *name);
void deliver_all(struct ctx *cx, struct remote *rm, const char *names);	/* all must be accepted */
/* The state before the join (called so), its auth chain, and the join. */
enum err import_at(struct ctx *cx, struct remote *rm, const char *join, struct received *out);
/* With the state before it as another server tells it. */
struct received deliver_over_hole(struct ctx *cx, struct remote *rm, const char *name);
/* Fills the hole below the event called top; the number of events placed. */
size_t fill_hole(struct ctx *cx, struct remote *rm, const char *top, const char *names);

/* Runs in each of these room versions (up to a NULL), each in a room of its own (and in v1 to v11 with an id of its own). cx is Dan's. */
extern const char *const all_versions[];
void in_versions(const char *const *v, void (*run)(struct ctx *cx, struct remote *rm));
#define IN(run, ...) in_versions((const char *const[]){ __VA_ARGS__, NULL }, run)
/* Dan of this server joins after these events, by the event "dan". */
void enter_after(struct ctx *cx, struct remote *rm, const char *after);
/* Messages of Alice, one after the other: prefix "A" makes A1, A2 ... */
void send_messages(struct remote *rm, const char *prefix, int n, const char *after);
void empty_tables(void);	/* of rooms */

/* Fails unless the database has, before this event, the state that the history says. */
void expect_before_(struct remote *rm, size_t at, const char *file, int line);
#define expect_before(rm, name) expect_before_(rm, remote_at(rm, name), __FILE__, __LINE__)
/* The same of every event that is stored with a state, its being rejected or not; how many. */
size_t expect_all_(struct remote *rm, const char *file, int line);
#define expect_all(rm) expect_all_(rm, __FILE__, __LINE__)
/* The present state is the resolution of the states after these events. */
void expect_now_(struct remote *rm, const char *names, const char *file, int line);
#define expect_now(rm, names) expect_now_(rm, names, __FILE__, __LINE__)

#endif
