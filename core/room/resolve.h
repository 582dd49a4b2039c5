/*
 * core/room/resolve.h - state resolution (core/event/state_res.h) over the states that a room has in the database.
 *
 * Reads where the states differ, who names whom in the auth chains of the events in conflict, and of what they agree on as
 * much as the algorithm can ask for: not the member list of a large room. What events say is read of those alone that are
 * played again, and that these are judged by. A handful of round trips, and one for each hundred events that are read.
 *
 * How long chains are and how much their events say, others decide, and the room is locked meanwhile: over the limits a resolution is M_TOO_LARGE.
 */
#ifndef HEARTH_RESOLVE_H
#define HEARTH_RESOLVE_H

#include "core/room/stored.h"

/* A key in which the states differ from each other or from the result. */
struct resolved_key {
	int64_t type, key;
	const int64_t *events;	/* in each of the states; 0: absent */
	int64_t result;		/* 0: absent */
};
struct resolution {
	size_t nstates;
	struct resolved_key *v;
	size_t n;
};

/* Of one resolution: events in chains and keys in conflict; bytes of content. Variables for the sake of tests. */
extern struct resolve_limits {
	size_t events, bytes;
} resolve_limits;

/*
 * Resolves the first nres of nstates states; the others are there to be compared with the result. No state twice among the
 * first nres. Under the room's lock.
 */
enum err resolve_states(struct ctx *cx, const struct room *room, const struct point *states, size_t nres, size_t nstates, struct resolution *out);

/* The changes from the i-th state to the result. */
void resolution_changes(struct arena *a, const struct resolution *r, size_t i, struct change **v, size_t *n);
/* The state from which the result is the fewest changes away. */
size_t resolution_nearest(const struct resolution *r);

#endif
