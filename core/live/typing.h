/*
 * core/live/typing.h - who is typing (Client-Server API, "Typing Notifications").
 *
 * A row says until when; it ends by itself. What readers must be told follows
 * from the row alone (typing_news), so it also reaches who was away when it ended.
 */
#ifndef HEARTH_TYPING_H
#define HEARTH_TYPING_H

#include "core/ctx.h"

#define TYPING_MAX_MS 120000	/* longer is cut to this: a client that has died types no longer than that */

/* cx->user types in the room for so long; 0: no longer. TX_RW. M_FORBIDDEN: not in the room. */
enum err typing_set(struct ctx *cx, const char *room, int64_t timeout_ms);

#endif
