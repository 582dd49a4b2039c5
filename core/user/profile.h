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
#include "core/db/db.h"

/* *value is JSON text. M_NOT_FOUND when the user or the field is missing. */
enum err profile_get(struct ctx *cx, const char *user, const char *key, const char **value);
/* All fields, as the JSON text of an object. M_NOT_FOUND when the user has none and has no account here. */
enum err profile_get_all(struct ctx *cx, const char *user, const char **out);
/*
 * Who changes his profile waits for transactions that put it into rooms: else one that had read the old profile could come
 * after the job that renews all his rooms had gone by, and the room would keep the old name. Queued, before the profile is read.
 */
void profile_hold(struct ctx *cx, int64_t user_nid);
/*
 * What a member event carries: JSON strings, or NULL where unset. Queued, so that it travels with
 * what the caller asks anyway: profile_queue_member(), db_run(), profile_take_member().
 */
void profile_queue_member(struct ctx *cx, struct rows *r, int64_t user_nid);
void profile_take_member(struct ctx *cx, struct rows *r, struct json **name, struct json **avatar);
/* The same in one round trip of its own, as raw strings. */
enum err profile_for_member(struct ctx *cx, int64_t user_nid, const char **name, const char **avatar);
/*
 * Sets a field of cx->user; value NULL removes it. TX_RW. M_BAD_JSON for a wrong type (displayname and avatar_url are strings),
 * M_INVALID_PARAM (a display name of more than 256 characters, an avatar's URL of more than 1000 bytes),
 * M_KEY_TOO_LARGE (255 bytes), M_PROFILE_TOO_LARGE (64 KiB in all).
 */
enum err profile_set(struct ctx *cx, const char *key, const struct json *value);

#endif
