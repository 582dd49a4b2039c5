/*
 * core/user/seen.h - when and from where devices are used (Client-Server API, "Device Management", "GET /admin/whois").
 *
 * Noted at most every SEEN_EVERY_MS per device and address in a container, after the answer has left and without a
 * flush: so it costs requests nothing. Kept SEEN_KEPT_MS, 20 addresses a device.
 */
#ifndef HEARTH_SEEN_H
#define HEARTH_SEEN_H

#include "core/base/json.h"
#include "core/ctx.h"

#define SEEN_EVERY_MS (5 * 60 * 1000LL)
#define SEEN_KEPT_MS (28 * 24 * 3600 * 1000LL)

/* Of cx->device, if somebody has asked with a token. user_agent as the client wrote it. No transaction may be open. */
void seen_note(struct ctx *cx, const char *ip, const char *user_agent);

/* The devices of a user, as the member "devices" of whois' answer. */
enum err seen_write(struct ctx *cx, int64_t usr, struct json_out *o);

#endif
