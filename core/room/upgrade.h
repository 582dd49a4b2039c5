/*
 * core/room/upgrade.h - replacing a room by one of another version (Client-Server API, "Room Upgrades").
 *
 * One transaction, under the old room's lock: the new room with all that goes along (its type, settings, power
 * levels, bans, a space's children, aliases, its place in the directory), and in the old one the tombstone, no more
 * aliases, and power levels that end the conversation, as far as the user may set them. Both name each other.
 */
#ifndef HEARTH_UPGRADE_H
#define HEARTH_UPGRADE_H

#include "core/base/json.h"
#include "core/ctx.h"

/*
 * TX_RW. creators: user ids as an array, for versions that have them; or NULL. *id: the new room's.
 * M_NOT_FOUND: unknown room; M_FORBIDDEN; M_UNSUPPORTED_ROOM_VERSION; M_BAD_JSON, M_INVALID_PARAM for creators that are none.
 */
enum err room_upgrade(struct ctx *cx, const char *room, const char *version, const struct json *creators, const char **id);

#endif
