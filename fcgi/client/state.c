/* fcgi/client/state.c - Rooms / Getting events for a room: state and members. */
#include "core/room/read.h"
#include "fcgi/client/client.h"

/* GET /_matrix/client/v3/rooms/{roomId}/state */
enum err
cl_get_room_state(struct req *r)
{
	return read_state(&r->cx, req_param(r, "roomId"), &r->out);
}

/* GET /_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey} */
enum err
cl_get_room_state_with_key(struct req *r)
{
	const char *format = req_query(r, "format");
	bool whole = format != NULL && strcmp(format, "event") == 0;

	if (format != NULL && !whole && strcmp(format, "content") != 0)
		return fail(&r->cx, M_INVALID_PARAM, "format is content or event");
	return read_state_event(&r->cx, req_param(r, "roomId"), req_param(r, "eventType"), req_param(r, "stateKey"), whole, &r->out);
}

/* GET /_matrix/client/v3/rooms/{roomId}/members */
enum err
cl_get_members_by_room(struct req *r)
{
	return read_members(&r->cx, req_param(r, "roomId"), req_query(r, "at"), req_query(r, "membership"),
	    req_query(r, "not_membership"), &r->out);
}

/* GET /_matrix/client/v3/rooms/{roomId}/joined_members */
enum err
cl_get_joined_members_by_room(struct req *r)
{
	return read_joined_members(&r->cx, req_param(r, "roomId"), &r->out);
}
