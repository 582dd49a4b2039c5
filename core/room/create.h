/* core/room/create.h - making a room (Client-Server API, "Creation"). */
#ifndef HEARTH_CREATE_H
#define HEARTH_CREATE_H

#include "core/base/json.h"
#include "core/ctx.h"

struct created {
	const char *room_id;	/* esc */
	const char *alias;	/* esc, or NULL */
};

/*
 * body: the request, as the client sent it. One transaction (TX_RW): the room is there with all
 * its first events, or not at all. M_UNSUPPORTED_ROOM_VERSION, M_ROOM_IN_USE (alias taken), M_INVALID_ROOM_STATE (the wishes
 * contradict the authorization rules), M_BAD_JSON and M_INVALID_PARAM for malformed ones. An invitation that
 * cannot be made (unknown user, another server) does not keep the room from being.
 */
enum err room_create(struct ctx *cx, const struct json *body, struct created *out);

#endif
