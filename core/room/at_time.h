/* core/room/at_time.h - finding events by the clock (Client-Server API, "Getting events for a room": timestamp_to_event). */
#ifndef HEARTH_AT_TIME_H
#define HEARTH_AT_TIME_H

#include "core/base/json.h"
#include "core/ctx.h"

/* The first event at or after ts, or (back) the last one at or before it, that the reader may see. M_NOT_FOUND: there is none. TX_RO. */
enum err at_time_find(struct ctx *cx, const char *room, int64_t ts, bool back, struct json_out *o);

#endif
