/* fcgi/client/account_data.c - Client Config: account data, global and per room; Room Tagging. */
#include <string.h>

#include "core/base/id.h"
#include "core/user/account_data.h"
#include "core/user/tag.h"
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

static enum err
tags_check(struct req *r)
{
	if (strcmp(req_param(r, "userId"), r->cx.user) != 0)
		return fail(&r->cx, M_FORBIDDEN, "these are another user's tags");
	if (!id_is_room(req_param(r, "roomId")))
		return fail(&r->cx, M_INVALID_PARAM, "this is not a room id");
	return M_OK;
}

/* GET /_matrix/client/v3/user/{userId}/rooms/{roomId}/tags */
enum err
cl_get_room_tags(struct req *r)
{
	const char *content;
	enum err e;

	if ((e = tags_check(r)) != M_OK || (e = tag_list(&r->cx, req_param(r, "roomId"), &content)) != M_OK)
		return e;
	json_raw(&r->out, NULL, content);
	return M_OK;
}

/* PUT /_matrix/client/v3/user/{userId}/rooms/{roomId}/tags/{tag} */
enum err
cl_set_room_tag(struct req *r)
{
	enum err e;

	if ((e = tags_check(r)) != M_OK ||
	    (e = tag_set(&r->cx, req_param(r, "roomId"), req_param(r, "tag"), r->body)) != M_OK)
		return e;
	return reply_empty(r);
}

/* DELETE /_matrix/client/v3/user/{userId}/rooms/{roomId}/tags/{tag} */
enum err
cl_delete_room_tag(struct req *r)
{
	enum err e;

	if ((e = tags_check(r)) != M_OK || (e = tag_delete(&r->cx, req_param(r, "roomId"), req_param(r, "tag"))) != M_OK)
		return e;
	return reply_empty(r);
}
