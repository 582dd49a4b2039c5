/* core/room/receive_impl.h - what receive.c, import.c, hole.c and merge.c share beside receive.h. */
#ifndef HEARTH_RECEIVE_IMPL_H
#define HEARTH_RECEIVE_IMPL_H

#include "core/room/receive.h"

void receive_init(struct receive *rc, struct ctx *cx);
/* Adds the names in these events to rc->ap.names: names_queue() before the lock, names_take() after the round trip. */
void receive_names(struct receive *rc, const struct incoming *in, size_t n);
/* The sender's power, and the content of m.room.power_levels (NULL: none), in a state. One round trip. */
enum err receive_power(struct receive *rc, const struct incoming *in, struct point before, int64_t *power, const struct json **levels);

/* Events that are handed in together, by id: nid is the place in in[], plus 1. */
void batch_index(struct ctx *cx, struct stored_map *m, const struct incoming *in, size_t n);
void batch_add(struct stored_map *m, const char *id, size_t n);
/*
 * Each event (its place) behind those that it names in auth_events; create events first of all. Without recursion: how long a
 * chain is, others decide. Circles (ids can be made up in room versions 1 and 2) are cut somewhere: what is left then names something missing.
 */
size_t *batch_by_chain(struct ctx *cx, const struct stored_map *batch, const struct incoming *in, size_t n);

/* The line on which the state after a state event stands. receive_store() does it where it is told to. */
enum err receive_fork_after(struct receive *rc, struct stored *s);

/* After an event was stored in the timeline: carries out redactions, finds relations that waited for it. Up to a few round trips. */
enum err receive_relate(struct receive *rc, struct stored *s);
/* Does the redaction count (event_redaction_applies()), by the state before it? */
enum err receive_may_redact(struct receive *rc, const struct stored *redaction, const struct stored *target, bool *may);

/* For events that are made here on some of the ends: fills auth_ids of a draft; do the rules allow it? (M_FORBIDDEN) */
enum err receive_cite(struct receive *rc, struct event_draft *d, struct point before);
enum err receive_allowed(struct receive *rc, const struct incoming *in, struct point before);

#endif
