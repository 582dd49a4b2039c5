/*
 * core/room/access.h - may someone look into a room, and up to where?
 *
 * Members see all of it (per event: visibility.h). Who was a member and left sees the
 * room as it was then, until he forgets it. World-readable rooms are open
 * to everyone. All others get M_FORBIDDEN, whether the room exists or not.
 */
#ifndef HEARTH_ACCESS_H
#define HEARTH_ACCESS_H

#include "core/event/event.h"
#include "core/room/visibility.h"

struct room_access {
	int64_t room;			/* nid */
	const char *id;			/* esc */
	const struct room_version *rv;
	enum membership membership;	/* of cx->user now; MEM_NONE: never had any */
	int64_t last_room_pos, state_ver;
	int64_t top;	/* the last room_pos that he may see */
	int64_t ver;	/* the state that he may see; -1: none */
};
/* One round trip. */
enum err access_open(struct ctx *cx, const char *room, struct room_access *out);
/* The same, but only who is in the room now. */
enum err access_joined(struct ctx *cx, const char *room, struct room_access *out);

#endif
