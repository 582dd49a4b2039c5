/*
 * core/room/hierarchy.h - walking a tree of spaces (Client-Server API, "Discovering rooms within spaces").
 *
 * Depth first, children in the specification's order, each room judged for the reader; no room twice, on whichever page. A page costs what it
 * shows, and a look at the children of the spaces that the pages before went through: the token is the path from the space to the last
 * room shown, so the walk goes on from there.
 */
#ifndef HEARTH_HIERARCHY_H
#define HEARTH_HIERARCHY_H

#include "core/base/json.h"
#include "core/ctx.h"

#define HIERARCHY_LIMIT 50	/* rooms of a page, when the client names no number and at most */
#define HIERARCHY_DEPTH 30

struct hierarchy_query {
	bool suggested_only;
	int64_t limit, max_depth;	/* more than the two above is cut */
	const char *from;		/* a token, or NULL */
};
/* TX_RO; writes the whole answer. M_FORBIDDEN: not for this reader; M_INVALID_PARAM: the token is none, or of another walk. */
enum err hierarchy_list(struct ctx *cx, const char *room, const struct hierarchy_query *q, struct json_out *o);

#endif
