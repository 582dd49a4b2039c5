/*
 * core/room/erased.h - what users who wished to be forgotten have left behind (Client-Server API, "Account deactivation", erase).
 *
 * Who was in the room when they spoke goes on seeing what they said; everyone else is served it redacted, wherever it is told: the
 * event, what it replaced (prev_content), the reason of a redaction (redacted_because), what is bundled with another event, the
 * room's state. Nothing is redacted in the room itself. That a sender was erased is read with each event (render.h).
 *
 * WHAT STAYS is how they left the room set up: state of the types by which clients and servers run a room. Without m.room.encryption those
 * who come later would speak in the clear, without m.room.tombstone into a room that has moved; name, topic and avatar are the
 * room's, which directories and spaces show all the same. Member events and state of types that the specification does not know go.
 */
#ifndef HEARTH_ERASED_H
#define HEARTH_ERASED_H

#include "core/room/visibility.h"

/* Is there anything in the event that erased_hide() may have to redact? */
bool erased_any(const struct room_event *ev);
/* Redacts what is to be served so. vis: of the reader; NULL: he was there all the time. */
void erased_hide(struct arena *a, const struct room_version *rv, const struct visibility *vis, struct room_event *ev);

/* For those who read thousands (ROOM_EVENT_COLS_BARE): is anybody erased at all? One row, or none. Then who of the senders of these events; one round trip. */
void erased_queue(struct ctx *cx, struct rows *r);
enum err erased_mark(struct ctx *cx, struct room_event *const *ev, size_t n);

/* The event as its redaction would leave it, for this reader alone. */
void room_event_hide(struct arena *a, const struct room_version *rv, struct room_event *ev);

#endif
