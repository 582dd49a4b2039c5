/*
 * core/e2ee/device_keys.h - publishing and asking for keys (Client-Server API, "Key management API").
 */
#ifndef HEARTH_E2EE_DEVICE_KEYS_H
#define HEARTH_E2EE_DEVICE_KEYS_H

#include "core/base/json.h"
#include "core/ctx.h"
#include "core/db/db.h"

#define DEVICE_KEYS_MAX 65536		/* bytes of what a device publishes of itself */
#define ONE_TIME_KEY_MAX 8192		/* bytes of one */
#define ONE_TIME_KEYS_MAX 1000		/* one-time keys of a device */

/*
 * POST /keys/upload for the device of cx. Each part may be NULL. Writes one_time_key_counts into the open object.
 * M_INVALID_PARAM: another user's or device's keys, a one-time key id that is there already with other content;
 * M_INVALID_SIGNATURE; M_BAD_JSON; M_TOO_LARGE. One round trip. TX_RW.
 *
 * The self-signature is verified when the key named ed25519:<device> is an ed25519 key. A text that is
 * none can verify nothing, here or anywhere; it is kept and handed on as it is.
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
