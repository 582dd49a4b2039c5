/*
 * core/room/summary.h - what is told of a room to who decides whether to join it.
 *
 * The published directory, /room_summary and /hierarchy show the same facts
 * (Client-Server API, definitions room_summary and published rooms chunk), taken from the
 * room's current state. Many rooms are loaded at once.
 */
#ifndef HEARTH_SUMMARY_H
#define HEARTH_SUMMARY_H

#include "core/base/json.h"
#include "core/event/event.h"

struct room_summary {
	int64_t room;			/* nid */
	const char *id;			/* esc; NULL: no such room here. All strings esc, NULL where unset */
	const char *version;
	const char *name, *topic, *avatar_url, *canonical_alias;
	const char *room_type, *encryption;
	const char *join_rule;		/* "invite" when the room has none */
	const char **allowed;		/* rooms whose members may join (restricted, knock_restricted) */
	size_t nallowed;
	bool world_readable, guest_can_join, public, blocked;
	int64_t joined;
	enum membership membership;	/* of cx->user */
	bool allowed_here;		/* cx->user is in one of those rooms */
};
/* Fills out[i] for rooms[i]. At most two round trips. cx->user may be NULL. */
enum err summary_load(struct ctx *cx, const int64_t *rooms, size_t n, struct room_summary *out);
/* The numbers of room ids; 0 for those that are not known here. */
enum err summary_nids(struct ctx *cx, const char *const *ids, size_t n, int64_t *nids);

/*
 * May cx->user know of this room? (Client-Server API, GET /hierarchy: members, those invited or
 * already allowed to join, and everyone when the room can be knocked at or read by the world.)
 */
bool summary_accessible(const struct room_summary *s);

/* The members of the JSON object that is open. whole: also what the directory does not tell (version, encryption, allowed rooms). */
void summary_write(struct json_out *o, const struct room_summary *s, bool whole);

#endif
