/* core/room/relation_read.h - asking for related events and threads (Client-Server API, "Relationships API", "Querying threads in a room"). */
#ifndef HEARTH_RELATION_READ_H
#define HEARTH_RELATION_READ_H

#include "core/base/json.h"
#include "core/ctx.h"

#define RELATIONS_LIMIT 20
#define RELATIONS_LIMIT_MAX 100
#define RELATIONS_DEPTH 3	/* how far recurse goes */

struct relations_query {
	const char *rel_type, *type;	/* esc; NULL: any */
	const char *from, *to;		/* tokens, or NULL */
	bool back, recurse;
	int64_t limit;
};
/* Both TX_RO; write the whole answer. M_NOT_FOUND: no such event, or not for this reader. */
enum err relations_list(struct ctx *cx, const char *room, const char *event_id, const struct relations_query *q,
    struct json_out *o);
/* participated: only threads that cx->user wrote in or began. */
enum err threads_list(struct ctx *cx, const char *room, bool participated, const char *from, int64_t limit, struct json_out *o);

#endif
