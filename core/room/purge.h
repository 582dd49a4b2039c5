/*
 * core/room/purge.h - deleting: a room's history up to a point, or the whole room.
 *
 * Both only add a job (core/jobs); the job goes on in steps of bounded size, each a transaction that leaves the room
 * consistent. So a worker may be killed at any moment, two purges of a room may run side by side, and people go on
 * talking: a step holds the room's lock for the time of one step.
 *
 * HISTORY. A step takes the oldest PURGE_EVENTS events out of the timeline and deletes them, and what only they needed:
 *	- table state loses the rows that ended before the first event that remains, lines (forks) that no event needs any more;
 *	- relations to the deleted are relations to unknown events (as of events that come before their target); threads
 *	  whose root is gone are none, and what was said in them is part of the room's main timeline;
 *	- transaction ids keep their answer; receipts for the deleted go, and originals that a deleted redaction had hidden.
 * Kept, but off the timeline (no room_pos, EV_OUTLIER): events that state from there on consists of; what authorizes
 * events (create, members, power levels, join rules, third-party invites: nearly all of them are in the auth chain of
 * the present state, which other servers may ask for); and, with keep_local, what users of this server sent, which
 * may be nowhere else. Forward extremities and all above the oldest of them stay.
 * A row of table hole (kind 3) remembers where the timeline now begins, and the events cited there that are gone.
 * Clients: /messages ends there; a sync from before gets a limited timeline.
 *
 * WHOLE ROOM. The room vanishes at once: aliases go, nobody gets in, nobody sees it (room.purged). Its local members are
 * made to leave, by events, as other servers must learn of it. Then everything is deleted, but for the room's row and one row
 * per local member, which tells clients that the room is gone at their next sync; these go after PURGE_KEPT_MS. The
 * row of a blocked room stays. What a user keeps himself stays his: backups of room keys, m.direct, push rules.
 */
#ifndef HEARTH_PURGE_H
#define HEARTH_PURGE_H

#include "core/ctx.h"

#define PURGE_EVENTS 300	/* of one step */
#define PURGE_KEPT_MS (30 * 24 * 3600 * 1000LL)

/*
 * Adds the job that deletes what comes, in the room's order, before the event, or (before_event NULL) before the first event that
 * is not older than before_ts. TX_RW. M_NOT_FOUND: no such room, or no such event in its timeline. Nothing to be deleted is M_OK.
 */
enum err purge_history(struct ctx *cx, const char *room, const char *before_event, int64_t before_ts, bool keep_local);
/* Adds the job that deletes the room. block: nobody of this server gets into it again. TX_RW. M_NOT_FOUND: no such room. */
enum err purge_room(struct ctx *cx, const char *room, bool block);

/* One step each, for the jobs; room is the nid. TX_RW. *more: go on. A room that is not there has nothing to be deleted. */
enum err purge_history_step(struct ctx *cx, int64_t room, int64_t upto, bool keep_local, bool *more);
/* *rest: all is deleted but the rows that tell clients; call again with gone = true after PURGE_KEPT_MS. Sets cx->user. */
enum err purge_room_step(struct ctx *cx, int64_t room, bool gone, bool *more, bool *rest);

#endif
