/*
 * core/room/hole.h - stretches of a room's history that are not here.
 *
 * A room's order has a step of HOLE_STEP where events are missing: below the event by which this server came (back) into
 * the room, and below one that came in after an outage. Table hole has a row for each (0020_forks.sql). A timeline never
 * crosses an open hole; it is filled from above, downwards, each event one room_pos lower. Below the first event
 * that this server has of a room the numbers go below 1, without a step.
 */
#ifndef HEARTH_HOLE_H
#define HEARTH_HOLE_H

#include "core/room/incoming.h"
#include "core/room/receive.h"

#define HOLE_STEP ((int64_t)1 << 40)

enum hole_kind { HOLE_JOIN = 1, HOLE_OUTAGE, HOLE_PURGED };

struct hole {
	int64_t top_pos, next_pos;
	enum hole_kind kind;
	const char **prev;	/* ids (esc) of the events to ask for next; none: the hole is filled */
	size_t nprev;
};

/* The first open hole at or below a place in a room's order: what stops a timeline that is read backwards from there. M_NOT_FOUND: none. */
enum err hole_below(struct ctx *cx, int64_t room, int64_t room_pos, struct hole *out);

/* Queues a new hole below top_pos. bottom: the last event below; NULL: nothing is below. */
void hole_open(struct ctx *cx, int64_t room, enum hole_kind kind, int64_t top_pos, const int64_t *bottom, const char *const *prev, size_t nprev);

/*
 * Fills the hole below top_pos with events, in any order: those that the hole's lowest events cite, and what these cite
 * in turn. They get the pos of the event at top_pos, so no sync token takes them for news. The state before an event is worked out where it
 * follows from what is here (what it cites is here with its state; or from the event above it); else it stays unknown. given (may be
 * NULL) is the state before the lowest, as in receive_event(). What comes in twice, or belongs somewhere else, is passed over. *placed: how many
 * events stand in the hole now that did not before. What is cited in auth_events must be stored. After receive_open().
 */
enum err hole_fill(struct receive *rc, int64_t top_pos, const struct incoming *in, size_t n, const struct given_state *given, size_t *placed);

/*
 * What fills a hole from above comes without its state where what it cites is not here yet. Once more was filled in below: works out the states of the
 * events between two places that follow now, from below. As many as HOLE_LEARN at once; a job does the rest (hole_learn_step()).
 * Whom the state refuses keeps its place, for it was shown, and has no state still: nothing stands on it.
 */
enum err hole_learn(struct receive *rc, int64_t above, int64_t below);
/* One step of the job. room: its nid. TX_RW. *next: where the next one begins; no more: INT64_MAX. */
enum err hole_learn_step(struct ctx *cx, int64_t room, int64_t above, int64_t below, int64_t *next);
#define HOLE_LEARN 200

#endif
