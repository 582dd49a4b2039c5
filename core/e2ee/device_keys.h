/*
 * core/e2ee/device_keys.h - publishing and asking for keys (Client-Server API, "Key management API").
 */
#ifndef HEARTH_E2EE_DEVICE_KEYS_H
#define HEARTH_E2EE_DEVICE_KEYS_H

#include "core/base/json.h"
#include "core/ctx.h"
#include "core/db/db.h"

/*
 * What others load when they ask for the keys of all with whom they share a room: nobody may make that large for them. The
 * number of an account's devices is bounded where they are made (DEVICES_MAX, core/user/session.h).
 */
#define DEVICE_KEYS_MAX 16384		/* bytes of what a device publishes of itself, with its signatures */
#define ONE_TIME_KEY_MAX 8192		/* bytes of one */
#define ONE_TIME_KEYS_MAX 1000		/* one-time keys of a device */
#define FALLBACK_KEYS_MAX 16		/* of a device: one for each algorithm */

/*
 * POST /keys/upload for the device of cx. Each part may be NULL. Writes one_time_key_counts into the open object.
 * M_INVALID_PARAM: another user's or device's keys, a one-time key id that is there already with other content;
 * M_BAD_JSON; M_TOO_LARGE. One round trip. TX_RW. One-time keys that were claimed within KEYS_USED_KEPT_MS are passed over.
 *
 * The signature of the device on its keys is kept and handed on as it came ("the same as uploaded"); it is for other clients to
 * verify, and the specification has no error for it here. The server relies on none: where a device signs the master key, that
 * signature is verified by the device's key itself.
 */
enum err keys_upload(struct ctx *cx, const struct json *device_keys, const struct json *one_time, const struct json *fallback,
    struct json_out *o);

/*
 * POST /keys/query: wanted is {user: [devices]}, an empty list means all. Writes device_keys, master_keys,
 * self_signing_keys and user_signing_keys into the open object. One statement. What cx->user sees of
 * signatures: those that the keys' owner made, and his own ("Key and signature security").
 */
enum err keys_query(struct ctx *cx, const struct json *wanted, struct json_out *o);

/* Writes `failures`: the servers of these users (keys of the object) that are not ours, for none can be asked. */
void keys_failures(struct ctx *cx, const struct json *users, struct json_out *o);

#endif
