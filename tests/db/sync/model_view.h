/*
 * tests/db/sync/model_view.h - what one device makes of its syncs, and whether a fresh one would know the same.
 *
 * A view is not kind: it asserts what no answer may do (an event twice, a message to the device twice), it may lose an
 * answer and ask again, and it may wait, that is, be computed again from where an answer without news left it.
 */
#ifndef HEARTH_TESTS_MODEL_VIEW_H
#define HEARTH_TESTS_MODEL_VIEW_H

#include "tests/db/sync/client.h"

/* How a device syncs. fresh: the same filter with the longest timeline there is, for the comparison. */
struct variant {
	const char *name, *filter, *fresh;
	bool after, lazy;
};

struct view {
	struct arena *a;
	const struct variant *variant;
	const char *user, *since;
	int64_t nid, device;
	bool ignores;			/* it ignores somebody, whose redactions it does not see */
	struct sync_wait *waiting;	/* an answer without news, held back; or NULL */
	struct json *rooms;	/* joined: {id: {state: {type|key: event}, timeline: [events], data: {}, receipts: {}, typing: []}} */
	struct json *told;	/* {room: {event: true}}: ever, in a timeline */
	struct json *redacted;	/* {event: true} */
	struct json *invites, *knocks, *data, *presence;
	struct json *inbox, *sent;	/* {number: true}: messages that came, and that had to */
	struct json *owed, *mention, *shared;	/* device lists: {user: true}, {user: "changed" or "left"}, {user: true} */
};

extern char view_context[200];	/* for messages: the seed and the step */

/* A new device of c's user. */
struct view *view_new(const struct client *c, const struct variant *variant);

/* n views sync in one snapshot, from a session of anybody's. dice() decides what becomes of the answers; NULL: all are taken. */
void view_sync(struct ctx *cx, struct view **v, size_t n, unsigned (*dice)(void *arg, unsigned n), void *arg);
/* Until there is no news; a further sync must then give none. */
void view_settle(struct ctx *cx, struct view *v);
/* Somebody's devices or keys changed. */
void view_owe(struct view *v, const char *user);

/* Settled: does it know what a fresh device knows that syncs in the same way? */
void view_compare(struct ctx *cx, const struct client *c, struct view *v);

#endif
