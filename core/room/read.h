/*
 * core/room/read.h - looking into rooms (Client-Server API, "Getting events for a room").
 *
 * All in TX_RO: what one answer says is of one snapshot. Each writes its whole
 * answer into o. Access as in access.h (M_FORBIDDEN), every event judged by visibility.h.
 */
#ifndef HEARTH_READ_H
#define HEARTH_READ_H

#include "core/base/json.h"
#include "core/ctx.h"

struct event_filter;

#define READ_LIMIT 10		/* events when the client names no number */
#define READ_LIMIT_MAX 500	/* more is cut to this */

struct messages {
	const char *from, *to;	/* tokens: of a timeline (render.h) or of a sync; NULL: absent */
	bool back;		/* dir=b */
	int64_t limit;
	const struct event_filter *filter;	/* NULL: none */
};
/* M_INVALID_PARAM: a token that is none. */
enum err read_messages(struct ctx *cx, const char *room, const struct messages *q, struct json_out *o);

/* M_NOT_FOUND: no such event, or not for this reader. room NULL: whichever it is in. */
enum err read_event(struct ctx *cx, const char *room, const char *event_id, struct json_out *o);
/* The event, with limit events around it, and the state at the last of them. */
enum err read_context(struct ctx *cx, const char *room, const char *event_id, int64_t limit, const struct event_filter *f,
    struct json_out *o);

/* GET /rooms/{roomId}/initialSync, deprecated: the newest messages, the state and the user's own data of one room. */
enum err read_initial(struct ctx *cx, const char *room, int64_t limit, struct json_out *o);

/* State: now, or for who has left, when he left. */
enum err read_state(struct ctx *cx, const char *room, struct json_out *o);
/* M_NOT_FOUND: no such state. whole: the event, not only its content. */
enum err read_state_event(struct ctx *cx, const char *room, const char *type, const char *state_key, bool whole,
    struct json_out *o);
/* at: a token or NULL. membership, not_membership: names or NULL; one of the two is enough. M_INVALID_PARAM: an unknown name. */
enum err read_members(struct ctx *cx, const char *room, const char *at, const char *membership, const char *not_membership,
    struct json_out *o);
enum err read_joined_members(struct ctx *cx, const char *room, struct json_out *o);

#endif
