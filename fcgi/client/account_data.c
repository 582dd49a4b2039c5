/* fcgi/client/account_data.c - Client Config: account data, global and per room. */
#include <string.h>

#include "core/base/id.h"
#include "core/user/account_data.h"
#include "fcgi/client/client.h"

static enum err
own_data(struct req *r)
{
	if (strcmp(req_param(r, "userId"), r->cx.user) != 0)
		return fail(&r->cx, M_FORBIDDEN, "this is another user's account data");
	return M_OK;
}

static enum err
get(struct req *r, const char *room)
{
	const char *content;
	enum err e;

	if ((e = own_data(r)) != M_OK)
		return e;
	if (room != NULL && !id_is_room(room))
		return fail(&r->cx, M_INVALID_PARAM, "this is not a room id");
	if ((e = account_data_get(&r->cx, room, req_param(r, "type"), &content)) != M_OK)
		return e;
	json_raw(&r->out, NULL, content);
	return M_OK;
}

static enum err
set(struct req *r, const char *room)
{
	enum err e;

	if ((e = own_data(r)) != M_OK)
		return e;
	if (room != NULL && !id_is_room(room))
		return fail(&r->cx, M_INVALID_PARAM, "this is not a room id");
	if ((e = account_data_set(&r->cx, room, req_param(r, "type"), r->body)) != M_OK)
		return e;
	return reply_empty(r);
}

/* GET /_matrix/client/v3/user/{userId}/account_data/{type} */
enum err
cl_get_account_data(struct req *r)
{
	return get(r, NULL);
}

/* PUT /_matrix/client/v3/user/{userId}/account_data/{type} */
enum err
cl_set_account_data(struct req *r)
{
	return set(r, NULL);
}

/* GET /_matrix/client/v3/user/{userId}/rooms/{roomId}/account_data/{type} */
enum err
cl_get_account_data_per_room(struct req *r)
{
	return get(r, req_param(r, "roomId"));
}

/* PUT /_matrix/client/v3/user/{userId}/rooms/{roomId}/account_data/{type} */
enum err
cl_set_account_data_per_room(struct req *r)
{
	return set(r, req_param(r, "roomId"));
}
