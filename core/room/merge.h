/*
 * core/room/merge.h - bringing branches together, so that one event can cite all forward extremities.
 *
 * An event cites at most EVENT_PREV_MAX others. Where a room has more ends (servers that talked past each other, an outage), events of
 * type MERGE_TYPE are appended first, each of which brings as many together as it can: they say nothing, and clients do not know the type.
 *
 * WHERE NOBODY MAY (no user of this server may speak in the room) others decide how many ends there are, and each costs at every event
 * that comes. Over ENDS_MAX the newest ENDS_KEPT are kept. What was left out is not cited by events of ours; but nobody gets rid of a ban by
 * making so many ends that the one with the ban falls off: the state as it was then (room.cut_ver, a version of line 0) takes part in
 * every later resolution, like one end more, until this server enters the room anew. A later event that cites what was left out is processed like any other.
 */
#ifndef HEARTH_MERGE_H
#define HEARTH_MERGE_H

#include "core/ctx.h"

#define ENDS_MAX 100		/* more are brought together at once, without waiting for an event of ours: each costs at every event that comes */
#define ENDS_KEPT 50		/* of those that nobody may bring together */
#define MERGE_TYPE "org.matrix.dummy_event"	/* as other servers call it */

/*
 * Under the room's lock, in TX_RW. Sent by any user of this server who may; when nobody may, nothing is sent, ends over ENDS_MAX are left
 * out, and the next event cites the newest ends alone.
 */
enum err merge_ends(struct ctx *cx, const char *room_id);

#endif
