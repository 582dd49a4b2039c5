/* core/room/receive_impl.h - what receive.c, import.c, hole.c and merge.c share beside receive.h. */
#ifndef HEARTH_RECEIVE_IMPL_H
#define HEARTH_RECEIVE_IMPL_H

#include "core/room/receive.h"

void receive_init(struct receive *rc, struct ctx *cx);
/* Adds the names in these events to rc->ap.names: names_queue() before the lock, names_take() after the round trip. */
void receive_names(struct receive *rc, const struct incoming *in, size_t n);
/* The sender's power, and the content of m.room.power_levels (NULL: none), in a state. One round trip. */
enum err receive_power(struct receive *rc, const struct incoming *in, struct point before, int64_t *power, const struct json **levels);

#endif
