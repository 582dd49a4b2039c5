/*
 * core/room/merge.h - bringing branches together, so that one event can cite all forward extremities.
 *
 * An event cites at most EVENT_PREV_MAX others. Where a room has more ends (servers that talked past each other, an outage), events of
 * type MERGE_TYPE are appended first, each of which brings as many together as it can: they say nothing, and clients do not know the type.
 */
#ifndef HEARTH_MERGE_H
#define HEARTH_MERGE_H

#include "core/ctx.h"

#define ENDS_MAX 100		/* more are brought together at once, without waiting for an event of ours: each costs at every event that comes */
#define MERGE_TYPE "org.matrix.dummy_event"	/* as other servers call it */

/*
 * Under the room's lock, in TX_RW. Sent by any user of this server who may; when nobody may, nothing is done, and the next event
 * cites the newest ends alone.
 */
enum err merge_ends(struct ctx *cx, const char *room_id);

#endif
