/*
 * core/room/guest.h - guests in rooms (Client-Server API, "Guest Access").
 *
 * They come in where m.room.guest_access says can_join, and have to leave when it no longer does: a job sees to
 * that, in batches. Both are decided under the room's lock: a guest who joins before the change is found by the job,
 * one who comes after it is refused.
 */
#ifndef HEARTH_GUEST_H
#define HEARTH_GUEST_H

#include "core/room/append.h"

/* After append_want(ap, "m.room.guest_access", "") and append_open(). M_GUEST_ACCESS_FORBIDDEN. */
enum err guest_may_join(const struct append *ap);

/* Of append_close() and redactions: was it guest access that changed? Then the job "guests_leave" looks at the room. Queues. */
void guest_access_changed(struct ctx *cx, int64_t room, int64_t type_nid, const struct json *content);

/*
 * Makes guests leave the room, at most GUEST_LEAVES, in the order of their nids behind `after`; nobody where they may
 * be again. *last is where to go on, 0 when none is left. TX_RW.
 */
#define GUEST_LEAVES 20
enum err guests_leave(struct ctx *cx, int64_t room, int64_t after, int64_t *last);

#endif
