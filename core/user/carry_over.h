/*
 * core/user/carry_over.h - a user's settings for a room go along when the room is replaced by another
 * (Client-Server API, "Room Upgrades": "automatically transfer some of the user's personalized settings").
 */
#ifndef HEARTH_CARRY_OVER_H
#define HEARTH_CARRY_OVER_H

#include "core/ctx.h"

/*
 * TX_RW. cx->user's tags, push rule and direct-chat mark of the old room (id) are given to the new one (nid, id) too;
 * what he has set for the new one already stays. The old room need not be known.
 */
enum err user_carry_over(struct ctx *cx, const char *old, int64_t room, const char *id);

#endif
