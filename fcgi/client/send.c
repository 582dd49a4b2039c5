/* fcgi/client/send.c - Rooms / Sending events, Redactions, state by PUT. */
#include "core/live/presence.h"
#include "core/room/send.h"
#include "fcgi/client/client.h"

static enum err
reply_event_id(struct req *r, const char *id)
{
	presence_active(&r->cx);
	json_obj(&r->out, NULL);
	json_esc(&r->out, "event_id", id);
	json_end(&r->out);
	return M_OK;
}

static enum err
send_event(struct req *r, const char *txn_id)
{
	const struct txn txn = { r->txn_path, txn_id };
	const char *id;
	enum err e;

	if ((e = room_send(&r->cx, req_param(r, "roomId"), req_param(r, "eventType"), r->body, &txn, &id)) != M_OK)
		return e;
	return reply_event_id(r, id);
}

/* PUT /_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId} */
enum err
cl_send_message(struct req *r)
{
	return send_event(r, req_param(r, "txnId"));
}

/* POST /_matrix/client/v3/rooms/{roomId}/send/{eventType}: in no specification any more, but in the guide and in old clients. */
enum err
cl_send_message_post(struct req *r)
{
	return send_event(r, NULL);
}

static enum err
redact(struct req *r, const char *txn_id)
{
	const struct txn txn = { r->txn_path, txn_id };
	const char *reason, *id;
	enum err e;

	if ((e = body_opt_esc(r, "reason", &reason)) != M_OK ||
	    (e = room_redact(&r->cx, req_param(r, "roomId"), req_param(r, "eventId"), r->body, &txn, &id)) != M_OK)
		return e;
	return reply_event_id(r, id);
}

/* PUT /_matrix/client/v3/rooms/{roomId}/redact/{eventId}/{txnId} */
enum err
cl_redact_event(struct req *r)
{
	return redact(r, req_param(r, "txnId"));
}

/* POST /_matrix/client/v3/rooms/{roomId}/redact/{eventId} */
enum err
cl_redact_event_post(struct req *r)
{
	return redact(r, NULL);
}

/* PUT /_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey} */
enum err
cl_set_room_state_with_key(struct req *r)
{
	const char *id;
	enum err e;

	if ((e = room_put_state(&r->cx, req_param(r, "roomId"), req_param(r, "eventType"), req_param(r, "stateKey"), r->body,
	    &id)) != M_OK)
		return e;
	return reply_event_id(r, id);
}
