/* fcgi/client/receipts.c - Receipts; Read and unread markers; Typing Notifications. */
#include <string.h>

#include "core/live/presence.h"
#include "core/live/receipt.h"
#include "core/live/typing.h"
#include "fcgi/client/client.h"

#define TYPING_MS 30000		/* when the client does not say for how long */

/* POST /_matrix/client/v3/rooms/{roomId}/receipt/{receiptType}/{eventId} */
enum err
cl_post_receipt(struct req *r)
{
	struct receipt v = { .kind = receipt_kind_of(req_param(r, "receiptType")), .event = req_param(r, "eventId") };
	const struct json *thread = json_get(r->body, "thread_id");
	enum err e;

	if (v.kind == RECEIPT_NONE)
		return fail(&r->cx, M_INVALID_PARAM, "the type of a receipt is m.read, m.read.private or m.fully_read");
	if (thread && (!json_is(thread, JSON_STR) || thread->u.str.n == 0))
		return fail(&r->cx, M_INVALID_PARAM, "thread_id must be a non-empty string");
	if (thread && v.kind == RECEIPT_FULLY_READ)
		return fail(&r->cx, M_INVALID_PARAM, "m.fully_read is not of a thread");
	if (thread)
		v.thread = json_esc_of(r->cx.a, thread);
	if ((e = receipt_set(&r->cx, req_param(r, "roomId"), &v, 1)) != M_OK)
		return e;
	return reply_empty(r);
}

/* POST /_matrix/client/v3/rooms/{roomId}/read_markers */
enum err
cl_set_read_marker(struct req *r)
{
	static const char *const types[] = { "m.fully_read", "m.read", "m.read.private" };
	struct receipt v[3];
	size_t n = 0;
	enum err e;

	for (size_t i = 0; i < 3; i++) {
		const char *event;

		if ((e = body_opt_esc(r, types[i], &event)) != M_OK)
			return e;
		if (event)
			v[n++] = (struct receipt){ .kind = receipt_kind_of(types[i]), .event = event };
	}
	if ((e = receipt_set(&r->cx, req_param(r, "roomId"), v, n)) != M_OK)
		return e;
	return reply_empty(r);
}

/* PUT /_matrix/client/v3/rooms/{roomId}/typing/{userId} */
enum err
cl_set_typing(struct req *r)
{
	int64_t timeout;
	bool typing;
	enum err e;

	if (strcmp(req_param(r, "userId"), r->cx.user) != 0)
		return fail(&r->cx, M_FORBIDDEN, "this is another user");
	if (!json_get(r->body, "typing"))
		return fail(&r->cx, M_MISSING_PARAM, "typing is missing");
	if ((e = body_opt_bool(r, "typing", false, &typing)) != M_OK ||
	    (e = body_opt_int(r, "timeout", TYPING_MS, &timeout)) != M_OK)
		return e;
	if (typing && timeout < 0)
		return fail(&r->cx, M_INVALID_PARAM, "timeout must not be negative");
	if ((e = typing_set(&r->cx, req_param(r, "roomId"), typing ? timeout : 0)) != M_OK)
		return e;
	presence_active(&r->cx);
	return reply_empty(r);
}
