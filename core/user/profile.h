/*
 * core/user/profile.h - what a user shows the world: display name, avatar, free fields (Client-Server API, "Profiles").
 *
 * One row per (user, field), the value kept as JSON text. Rooms carry their own
 * copy of the first two in the member event; profile_set() only queues the job
 * "profile_refresh", so that a thousand rooms never delay the caller.
 */
#ifndef HEARTH_PROFILE_H
#define HEARTH_PROFILE_H

#include "core/base/json.h"
#include "core/ctx.h"

/* *value is JSON text. M_NOT_FOUND when the user or the field is missing. */
enum err profile_get(struct ctx *cx, const char *user, const char *key, const char **value);
/* All fields as an object. M_NOT_FOUND when the user has none and is not of this server. */
enum err profile_get_all(struct ctx *cx, const char *user, struct json **out);
/* What a member event carries: *name and *avatar as raw strings, NULL when unset. One round trip. */
enum err profile_for_member(struct ctx *cx, int64_t user_nid, const char **name, const char **avatar);
/*
 * Sets a field of cx->user; value NULL removes it. TX_RW. M_BAD_JSON for a wrong type (displayname and avatar_url are strings),
 * M_KEY_TOO_LARGE (255 bytes), M_PROFILE_TOO_LARGE (64 KiB in all).
 */
enum err profile_set(struct ctx *cx, const char *key, const struct json *value);

#endif
