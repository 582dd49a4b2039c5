/*
 * core/room/erased.h - what users who wished to be forgotten have left behind (Client-Server API, "Account deactivation", erase).
 *
 * Who was in the room when they spoke goes on seeing what they said; everyone else is served it redacted. Nothing is
 * redacted in the room itself. Asks the database only where someone reads what was said before he came.
 */
#ifndef HEARTH_ERASED_H
#define HEARTH_ERASED_H

#include "core/room/visibility.h"

struct erased_ask {
	struct room_event *ev;
	const struct visibility *vis;	/* of the reader; NULL: he was there all the time */
	const struct room_version *rv;
};
/* Redacts the content of those events that are to be served so. At most one round trip. */
enum err erased_hide(struct ctx *cx, const struct erased_ask *v, size_t n);

/* The event as its redaction would leave it, for this reader alone. */
void room_event_hide(struct arena *a, const struct room_version *rv, struct room_event *ev);

#endif
