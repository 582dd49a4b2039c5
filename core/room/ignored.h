/* core/room/ignored.h - whom a user ignores (Client-Server API, "Ignoring Users"): their events are not for him, but state is. */
#ifndef HEARTH_IGNORED_H
#define HEARTH_IGNORED_H

#include "core/db/db.h"

struct ignored {
	const char **users;	/* esc */
	size_t n;
};
/* cx->user's list: queued, to travel with what is asked anyway. Without a user: nobody. */
void ignored_list_queue(struct ctx *cx, struct rows *r);
void ignored_list_take(struct ctx *cx, struct rows *r, struct ignored *out);
bool ignored_has(const struct ignored *g, const char *user);

#endif
