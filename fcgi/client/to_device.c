/* fcgi/client/to_device.c - Send-to-Device messaging. */
#include "core/e2ee/inbox.h"
#include "fcgi/client/client.h"

/* PUT /_matrix/client/v3/sendToDevice/{eventType}/{txnId} */
enum err
cl_send_to_device(struct req *r)
{
	struct json *messages;
	enum err e;

	if ((e = body_opt_obj(r, "messages", &messages)) != M_OK)
		return e;
	if (messages == NULL)
		return fail(&r->cx, M_MISSING_PARAM, "messages is missing");
	if ((e = to_device_send(&r->cx, req_param(r, "eventType"), messages, r->txn_path, req_param(r, "txnId"))) != M_OK)
		return e;
	return reply_empty(r);
}
