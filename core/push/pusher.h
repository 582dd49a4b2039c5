/*
 * core/push/pusher.h - the pushers of users (Client-Server API, "Push Notifications", GET /pushers, POST /pushers/set).
 *
 * A pusher names a push gateway and what the gateway knows the device by (app_id, pushkey). It belongs to the
 * session that set it last and ends with it: log-out, a removed device, a change of password that ends other sessions,
 * deactivation (ON DELETE CASCADE from table device). One row per (app_id, pushkey, user). What is told
 * to the gateways, and when: core/push/feed.h and core/push/deliver.h.
 */
#ifndef HEARTH_PUSHER_H
#define HEARTH_PUSHER_H

#include "core/base/json.h"
#include "core/ctx.h"

/* Limits, in bytes of the raw string. The first two are the specification's. */
#define PUSHER_APP_ID_MAX 64
#define PUSHER_PUSHKEY_MAX 512
#define PUSHER_NAME_MAX 512		/* display names, lang, profile_tag */
#define PUSHER_DATA_MAX 8192		/* canonical JSON */
#define PUSHERS_MAX 50			/* of one user: each multiplies what leaves this server */

/* Writes the array "pushers" of cx->user into the open object. */
enum err pusher_list(struct ctx *cx, struct json_out *o);

/*
 * POST /pushers/set: makes, changes or (kind null) deletes a pusher of cx->user; with append false or absent those of other users with
 * the same app_id and pushkey go. TX_RW. M_MISSING_PARAM, M_BAD_JSON (a wrong type), M_INVALID_PARAM: a kind
 * other than http, a URL that is not https or not of path /_matrix/push/v1/notify, something too long; M_TOO_LARGE: data;
 * M_FORBIDDEN: more than PUSHERS_MAX.
 */
enum err pusher_set(struct ctx *cx, const struct json *body);

#endif
