/*
 * core/live/typists.h - who types now, as a process that follows the streams knows it.
 *
 * Typing ends without a row being written, so somebody must keep the times: the
 * park process, to wake the room, and each sync worker, to know in which rooms it
 * ended between a token's clock and now. Pure; times are ms since 1970.
 */
#ifndef HEARTH_TYPISTS_H
#define HEARTH_TYPISTS_H

#include <stddef.h>
#include <stdint.h>

struct typists;
struct typists *typists_new(void);
void typists_free(struct typists *t);

/* usr types in room until then; an earlier word about him is replaced, and a time at or before now forgets him. */
void typists_put(struct typists *t, int64_t room, int64_t usr, int64_t until, int64_t now);
/* When the next typing ends; INT64_MAX: nobody types. */
int64_t typists_next(const struct typists *t);
/* One whose typing has ended by now: 1, and which room and when; 0: none. Call until it is 0. */
int typists_ended(struct typists *t, int64_t now, int64_t *room, int64_t *until);

#endif
