/*
 * core/room/send.h - what members say: messages, redactions, state (Client-Server API, "Sending events to a room").
 *
 * All in TX_RW; two round trips with COMMIT. The same
 * transaction id (struct txn) gives the same event id, also when two workers have it
 * at the same moment: a message's is looked up when COMMIT finds it used (then the dispatcher runs the request again, ctx.attempt), or
 * when the message is refused; a redaction's under the room's lock.
 */
#ifndef HEARTH_SEND_H
#define HEARTH_SEND_H

#include "core/base/json.h"
#include "core/ctx.h"

/* id NULL: no transaction id. path is what scopes it (method, path). */
struct txn {
	const char *path, *id;
};

/* type may also be m.room.redaction: content then names the event in `redacts`. */
enum err room_send(struct ctx *cx, const char *room, const char *type, struct json *content, const struct txn *txn,
    const char **event_id);

/*
 * M_NOT_FOUND: no such event; E_BAD_REQUEST: it is in another room; M_FORBIDDEN: someone
 * else's event and no right to redact, or an event that the room cannot lose.
 */
enum err room_redact(struct ctx *cx, const char *room, const char *event, struct json *content, const struct txn *txn,
    const char **event_id);

/* The content that holds already, by the same sender: the event id of then, and no new event. */
enum err room_put_state(struct ctx *cx, const char *room, const char *type, const char *state_key, struct json *content,
    const char **event_id);

#endif
