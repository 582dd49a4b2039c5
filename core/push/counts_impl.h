/* core/push/counts_impl.h - events put before the matcher, with the room as it was when they came; only for core/push. */
#ifndef HEARTH_COUNTS_IMPL_H
#define HEARTH_COUNTS_IMPL_H

#include "core/event/event.h"
#include "core/push/counts.h"

/* Rooms' power levels by version, create events, room versions: what conditions ask. */
struct push_room {
	int64_t nid;
	const char *id;
	const struct room_version *rv;
	struct event create;		/* id NULL: unknown */
	struct push_power {
		int64_t since;		/* until the next */
		struct event ev;
	} *power;
	size_t npower;
};
struct push_rooms {
	struct push_room *v;		/* by nid */
	size_t n;
};
/* Of rooms (room), each once: the create event and the power levels of the newest hundred versions. For push_rooms_take(). */
#define PUSH_ROOMS_OF(rooms)									\
	"SELECT r.nid, r.id, r.version, s.type, s.since, e.content, e.flags, (SELECT body FROM name WHERE nid = e.sender)"	\
	" FROM " rooms " q CROSS JOIN LATERAL (SELECT nid, id, version FROM room WHERE nid = q.room OFFSET 0) r"	\
	" CROSS JOIN LATERAL ("									\
	"	(SELECT * FROM state WHERE room = q.room AND line = 0 AND type = 1 AND key = 0 ORDER BY since DESC LIMIT 1)"	\
	"	UNION ALL (SELECT * FROM state WHERE room = q.room AND line = 0 AND type = 3 AND key = 0 ORDER BY since DESC LIMIT 100)) s"	\
	" CROSS JOIN LATERAL (SELECT content, flags, sender FROM event WHERE nid = s.event OFFSET 0) e ORDER BY r.nid"
/* rooms: in any order, doubles do no harm. */
void push_rooms_queue(struct ctx *cx, struct rows *r, const int64_t *rooms, size_t n);
void push_rooms_take(struct ctx *cx, struct rows *r, struct push_rooms *out);
const struct push_room *push_room_find(const struct push_rooms *rooms, int64_t nid);	/* NULL: none */

/* An event's columns, as far as rules ask. */
struct push_row {
	const char *type, *sender, *state_key, *content;
	int flags;
	int64_t at_ver, members;
};
/* *ev for push_match(), but for the display name; all arena memory. */
void push_event_fill(struct arena *a, const struct push_room *room, const struct push_row *row, struct push_event *ev);

/* As push_readers_take(), without the modes: what they cost is more than one event is worth. */
void push_readers_take_rules(struct ctx *cx, struct rows *r, const int64_t *users, size_t n, struct push_reader *out);
bool push_reader_ignores(const struct push_reader *r, const char *user);
/* The rules' word on an invitation from sender. */
struct push_result push_invitation(struct arena *a, struct push_reader *r, const char *room, const char *sender);
/* The same of a user by his number; config: his account data m.invite_permission_config, or NULL. One round trip. */
enum err push_judge_invitation(struct ctx *cx, int64_t usr, const char *room, const char *sender, const char *config,
    struct push_result *out);

#endif
