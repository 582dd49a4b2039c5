/*
 * core/push/again.h - what waits for a gateway, judged again by the rules that are in force when it is told; between tell.c and it.
 *
 * While a gateway is away its users go on living: they mute a room, ignore someone, want no invitations. What was queued before
 * is to be silent too. A row of table push says up to where in the streams the rules were known when it was judged; those of
 * which account data has changed since are judged once more, all others cost one index look-up per pusher.
 */
#ifndef HEARTH_PUSH_AGAIN_H
#define HEARTH_PUSH_AGAIN_H

#include "core/db/db.h"

#define PUSH_AGAIN_MAX 100	/* of one pusher: the newest; older ones are given up if rules have changed since */

/* Queued for the caller's db_run(): what is to be judged again of these pushers, which the caller has leased. */
void push_again_queue(struct ctx *cx, struct rows *r, const int64_t *pushers, size_t n);
/*
 * Judges it: what the rules do not want any more is deleted (*dropped of them), of the rest highlight and sound are those of now.
 * No round trip if nothing has changed; else one per event, and one that writes.
 */
enum err push_again(struct ctx *cx, struct rows *r, int64_t *dropped);

#endif
