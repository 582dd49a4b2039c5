/*
 * core/e2ee/device_list.h - whose devices or keys changed, for whom (Client-Server API, "Tracking the device list for a user").
 *
 * Table device_change holds the last change of each user, with its stream position; who
 * shares a room sees it. `changed` are also those who newly share a room, `left` those
 * who share none any more: both follow from the member events of the rooms.
 */
#ifndef HEARTH_E2EE_DEVICE_LIST_H
#define HEARTH_E2EE_DEVICE_LIST_H

#include "core/ctx.h"
#include "core/db/db.h"
#include "core/sync/token.h"

/* For statements that note a change: `from` is SQL that gives (usr, observer). */
#define DEVICE_CHANGE_NOTE(from)					\
	"INSERT INTO device_change (usr, observer) " from " ON CONFLICT (usr, observer) DO UPDATE SET pos = 0"

/* Wakes whoever sees changes of cx->user: rows of one column, room nids (NULL: none), as such statements return them. */
void device_change_wake(struct ctx *cx, struct rows *r);

/* What changed for usr since a position; rows of (user, changed, left). One statement. */
void device_lists_queue(struct ctx *cx, struct rows *r, int64_t usr, const struct position *since);

/* Joins and leaves of rooms, for many readers: rows of (room, usr, pos, joined now, user id, rooms he is in if not joined). */
void device_lists_members_queue(struct ctx *cx, struct rows *r, const int64_t *rooms, const int64_t *lo, size_t n);

/* Rows of (nid, user id). */
void device_lists_names_queue(struct ctx *cx, struct rows *r, const int64_t *users, size_t n);

/*
 * GET /keys/changes between two tokens: users as two arrays of the open object. TX_RO.
 * The present is what counts for the end (to is only checked to be a token). M_INVALID_PARAM: no tokens.
 */
struct json_out;
enum err device_lists_between(struct ctx *cx, const char *from, const char *to, struct json_out *o);

#endif
