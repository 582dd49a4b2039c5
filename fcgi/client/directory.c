/* fcgi/client/directory.c - Rooms / Room aliases, and the switch of the published directory. */
#include "core/base/conf.h"
#include "core/room/alias.h"
#include "fcgi/client/client.h"

/* GET /_matrix/client/v3/directory/room/{roomAlias} */
enum err
cl_get_room_id_by_alias(struct req *r)
{
	const char *room;
	enum err e;

	if ((e = alias_find(&r->cx, req_param(r, "roomAlias"), &room)) != M_OK)
		return e;
	json_obj(&r->out, NULL);
	json_esc(&r->out, "room_id", room);
	json_arr(&r->out, "servers");
	json_str(&r->out, NULL, r->cx.conf->server_name);
	json_end(&r->out);
	json_end(&r->out);
	return M_OK;
}

/* PUT /_matrix/client/v3/directory/room/{roomAlias} */
enum err
cl_set_room_alias(struct req *r)
{
	const char *room;
	enum err e;

	if ((e = body_need_esc(r, "room_id", &room)) != M_OK || (e = alias_create(&r->cx, req_param(r, "roomAlias"), room)) != M_OK)
		return e;
	return reply_empty(r);
}

/* DELETE /_matrix/client/v3/directory/room/{roomAlias} */
enum err
cl_delete_room_alias(struct req *r)
{
	enum err e = alias_delete(&r->cx, req_param(r, "roomAlias"));

	return e != M_OK ? e : reply_empty(r);
}

/* GET /_matrix/client/v3/rooms/{roomId}/aliases */
enum err
cl_get_local_aliases(struct req *r)
{
	const char **aliases;
	size_t n;
	enum err e;

	if ((e = alias_list(&r->cx, req_param(r, "roomId"), &aliases, &n)) != M_OK)
		return e;
	json_obj(&r->out, NULL);
	json_arr(&r->out, "aliases");
	for (size_t i = 0; i < n; i++)
		json_esc(&r->out, NULL, aliases[i]);
	json_end(&r->out);
	json_end(&r->out);
	return M_OK;
}

/* GET /_matrix/client/v3/directory/list/room/{roomId} */
enum err
cl_get_room_visibility_on_directory(struct req *r)
{
	bool public;
	enum err e;

	if ((e = directory_get(&r->cx, req_param(r, "roomId"), &public)) != M_OK)
		return e;
	json_obj(&r->out, NULL);
	json_str(&r->out, "visibility", public ? "public" : "private");
	json_end(&r->out);
	return M_OK;
}

/* PUT /_matrix/client/v3/directory/list/room/{roomId} */
enum err
cl_set_room_visibility_on_directory(struct req *r)
{
	const char *visibility;
	bool public;
	enum err e;

	if ((e = body_opt_str(r, "visibility", &visibility)) != M_OK)
		return e;
	public = visibility == NULL || strcmp(visibility, "public") == 0;
	if (!public && strcmp(visibility, "private") != 0)
		return fail(&r->cx, M_INVALID_PARAM, "visibility is public or private");
	if ((e = directory_set(&r->cx, req_param(r, "roomId"), public)) != M_OK)
		return e;
	return reply_empty(r);
}
