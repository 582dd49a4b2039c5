/*
 * core/push/notifications.h - the events that a user was notified of (Client-Server API, "Listing Notifications").
 *
 * Nothing is stored for it: the events of his rooms are gone through from the newest on, and his rules are asked about each.
 * So it tells what the rules of today say of what came while he was in the room, and the invitations that are pending.
 */
#ifndef HEARTH_NOTIFICATIONS_H
#define HEARTH_NOTIFICATIONS_H

#include "core/base/json.h"
#include "core/ctx.h"

#define NOTIFICATIONS_LIMIT 20		/* when the client names no number */
#define NOTIFICATIONS_LIMIT_MAX 100
#define NOTIFICATIONS_LOOKED_AT 2000	/* events at most for one answer, which may then have fewer, and a token to go on by */

/*
 * Of cx->user. from: a next_token or NULL; M_INVALID_PARAM when it is none. In TX_RO. Writes the whole answer. Cost: a look
 * into an index for each room of the user, and 100 events with their rooms' power levels at a time.
 */
enum err notifications_list(struct ctx *cx, const char *from, int64_t limit, bool only_highlight, struct json_out *o);

#endif
