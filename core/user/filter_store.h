/*
 * core/user/filter_store.h - filters kept for later (Client-Server API, "Filtering"). The same filter gets the same id.
 */
#ifndef HEARTH_FILTER_STORE_H
#define HEARTH_FILTER_STORE_H

#include "core/base/json.h"
#include "core/ctx.h"

/* Stores a filter of cx->user; *id is arena memory ("0", "1", ...). The caller has validated it. TX_RW. */
enum err filter_save(struct ctx *cx, const struct json *filter, const char **id);
/* *body: canonical JSON. M_NOT_FOUND for an unknown id, or one that is no number. */
enum err filter_load(struct ctx *cx, int64_t user_nid, const char *id, const char **body);

#endif
