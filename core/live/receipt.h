/*
 * core/live/receipt.h - how far users have read (Client-Server API, "Receipts", "Read and unread markers").
 *
 * One row per (room, user, thread, kind): a write costs the same in a room of two
 * and of ten thousand. A receipt never goes backwards: one for an earlier event
 * than the present one changes nothing, and that is no error. Threads as in the column
 * receipt.thread: RECEIPT_UNTHREADED, RECEIPT_MAIN, or the nid of the root's event.
 * m.fully_read is account data of the room, kept in the same manner.
 */
#ifndef HEARTH_RECEIPT_H
#define HEARTH_RECEIPT_H

#include "core/base/json.h"
#include "core/ctx.h"

enum receipt_kind { RECEIPT_NONE, RECEIPT_READ, RECEIPT_PRIVATE, RECEIPT_FULLY_READ };
enum { RECEIPT_UNTHREADED = 0, RECEIPT_MAIN = -1 };

enum receipt_kind receipt_kind_of(const char *type);	/* RECEIPT_NONE: no such type */

struct receipt {
	enum receipt_kind kind;
	const char *event;	/* esc */
	const char *thread;	/* esc: "main" or the root's event id; NULL: unthreaded */
};
/*
 * Sets n receipts (at most 3) of cx->user in a room. TX_RW. M_FORBIDDEN: not in the room;
 * M_NOT_FOUND: no such event in it; M_INVALID_PARAM: a thread that does not hold the event.
 */
enum err receipt_set(struct ctx *cx, const char *room, const struct receipt *v, size_t n);

#endif
