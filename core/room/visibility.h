/*
 * core/room/visibility.h - who may see which event (Client-Server API, "Room History Visibility").
 *
 * The rule asks for the history visibility and the reader's membership just before
 * the event. Both are read once per (reader, room), as the spans of state versions
 * in which they had each value; after that visibility_allows() is arithmetic on
 * an event's (line, ver), of a fork along its path (render.h). The spans are as many as those two keys had changes,
 * however long the room's history is.
 *
 *	visibility_queue(cx, &r, users, rooms, n); db_run(cx);
 *	visibility_take(cx, &r, users, n, v);
 */
#ifndef HEARTH_VISIBILITY_H
#define HEARTH_VISIBILITY_H

#include "core/room/render.h"

enum history { HIST_SHARED, HIST_WORLD_READABLE, HIST_INVITED, HIST_JOINED };
enum history history_of(const struct json *content);	/* unknown and absent: shared */

#define VER_MAX INT64_MAX	/* the end of what is still so */

struct vis_span {
	int line;
	int64_t since, until;	/* versions: since <= v < until */
	int value;		/* enum history or enum membership */
};
struct visibility {
	int64_t user;
	struct vis_span *hist, *mem;	/* of line 0 by since, then those of other lines */
	size_t nhist, nmem;
	int64_t joined_until;	/* line 0: the end of the reader's last stay as a member; 0: never joined */
};
/* One statement for n pairs; r gets its rows. */
void visibility_queue(struct ctx *cx, struct rows *r, const int64_t *users, const int64_t *rooms, size_t n);
void visibility_take(struct ctx *cx, struct rows *r, const int64_t *users, size_t n, struct visibility *out);

/* May the reader see it? Also decides the two special kinds: own member events, changes of the visibility itself. */
bool visibility_allows(struct arena *a, const struct visibility *v, const struct room_event *ev);

/* The reader's membership at the event, what the event itself changes included: for unsigned.membership. MEM_LEAVE when there is none. */
enum membership visibility_membership(struct arena *a, const struct visibility *v, const struct room_event *ev);

/*
 * Did someone whose present membership began at version `since` of line 0 have it just before the event, too? Of an event on a fork this is not
 * known: false. Of a member for whom it is true of all events that he is to see, the spans need not be read: he may see them.
 */
bool visibility_member_before(int64_t since, const struct room_event *ev);

/* Was the reader in the room just before the event, or by it? Then he was sent it when it came. */
bool visibility_was_in(struct arena *a, const struct visibility *v, const struct room_event *ev);

/* Now, in the room's resolved state. */
enum membership visibility_membership_now(const struct visibility *v);	/* MEM_NONE: no member event */
enum history visibility_history_now(const struct visibility *v);
/* The version of line 0 at which the present membership began; 0 when there is none. */
int64_t visibility_member_since(const struct visibility *v);

#endif
