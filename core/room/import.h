/*
 * core/room/import.h - a room of another server, from the event by which this server joins it.
 *
 * Server-Server API, "Joining Rooms": send_join answers with the state before the join and its auth chain. Both are stored as
 * outliers; the state is one version of line 0, whatever was there before (a room that this server had left goes on
 * behind a hole), and the join is the room's one forward extremity.
 */
#ifndef HEARTH_IMPORT_H
#define HEARTH_IMPORT_H

#include "core/room/receive.h"

struct import {
	const struct room_version *rv;
	const char *room;			/* esc */
	const struct incoming *chain, *state;	/* the auth chain and the state before the join, in any order; all checked */
	size_t nchain, nstate;
	const struct incoming *join;
};

/*
 * In TX_RW. M_FORBIDDEN: the room is blocked here, or the join is refused by the rules; M_BAD_JSON: the state has no create event, a key
 * twice, or is of another room; M_INCOMPATIBLE_ROOM_VERSION: the room is known here by another version. State events that are refused by their
 * own auth_events, or whose chain is not complete, are left out. Where a user of this server is still in the room, the join is
 * received like any other event, over a hole if need be.
 */
enum err import_join(struct ctx *cx, const struct import *im, struct received *out);

#endif
