/*
 * core/room/line.h - states of a room that are not its present one: forks.
 *
 * A state is a point: a line and a version of it (table line; sql/functions/state_at.sql looks states up).
 * Line 0 is the room's resolved state. Where an event's state is that of no version of line 0, it stands on
 * a further line, which holds only what differs from the version of its parent that it is rooted on. So a
 * fork costs one row for each change on it, however large the room's state is.
 *
 * AFTER AN EVENT. (line, ver) of an event is the state before it. The state after a state event that was not rejected
 * is (fork or else line, ver + 1), after any other event the same as before.
 *
 * All under the room's lock, in TX_RW; each call is one round trip (point_fork() up to three).
 */
#ifndef HEARTH_LINE_H
#define HEARTH_LINE_H

#include "core/event/event.h"

/* The rows (of line 0, each key once) become what holds now. */
#define CURRENT_STATE_PUT(rows)									\
	"INSERT INTO current_state (room, type, key, since, event, membership) " rows		\
	" ON CONFLICT (room, type, key) DO UPDATE SET since = excluded.since, event = excluded.event, membership = excluded.membership"

struct point {
	int line;
	int64_t ver;		/* -1: the state is not known */
};
static inline bool
point_eq(struct point a, struct point b)
{
	return a.line == b.line && a.ver == b.ver;
}

/* One key of a state gets another event. Numbers are nids of names and events. */
struct change {
	int64_t type, key;
	int64_t event;		/* 0: the key is absent from now on */
};

/* A member row that a version of line 0 began, for counters and local_member. */
struct changed_member {
	int64_t user, event, sender;	/* event, sender 0: absent */
	enum membership is, was;	/* MEM_NONE: absent */
	const char *id;			/* of the user, esc; only of users of this server, else NULL */
};

/*
 * Begins version ver of a line (its newest so far is below ver). Of line 0: *members (may be NULL otherwise) are
 * the member events among the changes. Does not touch table room.
 */
enum err line_write(struct ctx *cx, int64_t room, int line, int64_t ver, const struct change *v, size_t n,
    struct changed_member **members, size_t *nmembers);

/*
 * A state that differs from `at` in these changes, at version at.ver + 1: the same line goes on where `at` is the end of a fork,
 * else a new line begins. n 0: *out is `at`. Never writes line 0.
 */
enum err point_fork(struct ctx *cx, int64_t room, struct point at, const struct change *v, size_t n, struct point *out);

/*
 * The changes from a state to the one that consists of these events. M_BAD_JSON: they are none: not all are state events of the
 * room, two have the same key, or no create event is among them (rejected ones count for nothing). Nothing was written then.
 */
enum err point_given(struct ctx *cx, int64_t room, struct point at, const int64_t *events, size_t nevents, struct change **v, size_t *n);

#endif
