/* fcgi/client/room.c - Rooms / Creation, Listing rooms. */
#include "core/room/create.h"
#include "core/room/member.h"
#include "fcgi/client/client.h"

/* POST /_matrix/client/v3/createRoom */
enum err
cl_create_room(struct req *r)
{
	struct created c;
	enum err e;

	if ((e = room_create(&r->cx, r->body, &c)) != M_OK)
		return e;
	json_obj(&r->out, NULL);
	if (c.alias != NULL)
		json_esc(&r->out, "room_alias", c.alias);
	json_esc(&r->out, "room_id", c.room_id);
	json_end(&r->out);
	return M_OK;
}

/* GET /_matrix/client/v3/joined_rooms */
enum err
cl_get_joined_rooms(struct req *r)
{
	const char **ids;
	size_t n;
	enum err e;

	if ((e = member_joined_rooms(&r->cx, &ids, &n)) != M_OK)
		return e;
	json_obj(&r->out, NULL);
	json_arr(&r->out, "joined_rooms");
	for (size_t i = 0; i < n; i++)
		json_esc(&r->out, NULL, ids[i]);
	json_end(&r->out);
	json_end(&r->out);
	return M_OK;
}
