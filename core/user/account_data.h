/*
 * core/user/account_data.h - what clients keep for a user, globally or per room (Client-Server API, "Client Config").
 *
 * One row per (user, room, type); the content is canonical JSON. A change wakes the user's own syncs.
 */
#ifndef HEARTH_ACCOUNT_DATA_H
#define HEARTH_ACCOUNT_DATA_H

#include "core/base/json.h"
#include "core/ctx.h"

/* room: esc id, or NULL for global. *content is canonical JSON. M_NOT_FOUND when never set, or for an unknown room. */
enum err account_data_get(struct ctx *cx, const char *room, const char *type, const char **content);
/*
 * TX_RW. E_PROTECTED_TYPE (405) for the types that servers manage (m.fully_read,
 * m.push_rules): they have endpoints of their own. An unknown room: M_NOT_FOUND.
 */
enum err account_data_set(struct ctx *cx, const char *room, const char *type, const struct json *content);

/* TX_RW. Until its end nobody else changes account data of cx->user by way of this function: for changes that read first. */
enum err account_data_hold(struct ctx *cx);

/*
 * For the modules that keep what they manage as global account data (push rules), TX_RW: what is stored, NULL for nothing, held
 * as by account_data_hold() and against whoever locks the row; and storing without the check for protected types.
 */
enum err account_data_stored(struct ctx *cx, const char *type, const char **content);
enum err account_data_store(struct ctx *cx, const char *type, const char *content);

#endif
