/*
 * core/e2ee/inbox.h - messages to devices (Client-Server API, "Send-to-Device messaging").
 *
 * DELIVERY. A message stays until its device has shown, by the token of a later
 * sync, that it got it. A token tells what its answer had seen (a position) and how
 * far it had delivered (the cursor td_pos, td_id: an answer holds INBOX_MAX at most).
 * Acknowledged is what the position had seen at or before the cursor; all else is
 * delivered, in the order (pos, id). So a message whose transaction took long, and
 * which therefore comes up before the cursor, is not lost; and the same token asked
 * twice gives the same messages again. After an answer that holds all there was, the
 * cursor stands behind everything that its position had seen.
 */
#ifndef HEARTH_E2EE_INBOX_H
#define HEARTH_E2EE_INBOX_H

#include "core/base/json.h"
#include "core/ctx.h"
#include "core/db/db.h"
#include "core/sync/token.h"

#define INBOX_MAX 100			/* messages in an answer */
#define TO_DEVICE_CONTENT_MAX 65536	/* bytes of one message */
/* What one request may leave behind: "*" makes a message for each device. */
#define TO_DEVICE_COPIES_MAX 10000
#define TO_DEVICE_BYTES_MAX 16777216

/*
 * PUT /sendToDevice. messages: {user: {device or "*": content}}; devices that do not exist are passed over. The
 * same txn_path (struct req) does it once, also for two workers at once. One statement; wakes the recipients. TX_RW.
 * M_BAD_JSON, M_INVALID_PARAM, M_TOO_LARGE.
 */
enum err to_device_send(struct ctx *cx, const char *type, const struct json *messages, const char *txn_path, const char *txn_id);

/* One device's, as one sync sees it. */
struct inbox {
	int64_t device;
	const struct position *since;	/* NULL: acknowledges nothing */
	const char **messages;		/* JSON of events, in order */
	size_t n;
	int64_t td_pos, td_id;		/* the cursor for the next token */
	bool acknowledged;		/* there are rows that may go: inbox_purge() */
};
void inbox_queue(struct ctx *cx, struct rows *r, const struct inbox *v, size_t n);
/* now: the position of the answer. */
void inbox_take(struct ctx *cx, struct rows *r, struct inbox *v, size_t n, const struct position *now);
/* Deletes what is acknowledged, in a transaction of its own; a failure is only logged: the next sync tries again. */
void inbox_purge(struct ctx *cx, const struct inbox *v, size_t n);

/* For the jobs: a piece of what lay there for a device that is gone; *more: there may be more. */
enum err inbox_purge_device(struct ctx *cx, int64_t device, bool *more);

#endif
