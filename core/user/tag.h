/*
 * core/user/tag.h - labels that a user gives his rooms (Client-Server API, "Room Tagging").
 *
 * They are account data of the room, one event of type m.tag: {"tags": {name: {"order": …}}}.
 */
#ifndef HEARTH_TAG_H
#define HEARTH_TAG_H

#include "core/base/json.h"
#include "core/ctx.h"

#define TAG_MAX 255	/* bytes of a name */

/* {"tags": …} of a room (esc id) as canonical JSON; none: an empty object. */
enum err tag_list(struct ctx *cx, const char *room, const char **content);
/* TX_RW. tag is an esc string, body what belongs to it. M_INVALID_PARAM: a name too long, an order not from 0 to 1; M_NOT_FOUND: an unknown room. */
enum err tag_set(struct ctx *cx, const char *room, const char *tag, struct json *body);
enum err tag_delete(struct ctx *cx, const char *room, const char *tag);	/* TX_RW. One that is not there: M_OK */

#endif
