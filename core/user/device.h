/*
 * core/user/device.h - the devices of cx->user (Client-Server API, "Device Management").
 */
#ifndef HEARTH_DEVICE_H
#define HEARTH_DEVICE_H

#include "core/base/json.h"
#include "core/ctx.h"

/* Writes the devices as array "devices" into o, or one as members of the open object. M_NOT_FOUND: no such device. */
enum err device_list(struct ctx *cx, struct json_out *o);
enum err device_show(struct ctx *cx, const char *device_id, struct json_out *o);
/* TX_RW. name: esc. */
enum err device_rename(struct ctx *cx, const char *device_id, const char *name);
/* TX_RW. Ends their sessions too; ids that do not exist are passed over. */
enum err device_delete(struct ctx *cx, const char *const *device_ids, size_t n);

#endif
