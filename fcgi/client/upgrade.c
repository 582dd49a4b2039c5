/* fcgi/client/upgrade.c - Room Upgrades. */
#include "core/room/upgrade.h"
#include "fcgi/client/client.h"

/* POST /_matrix/client/v3/rooms/{roomId}/upgrade */
enum err
cl_upgrade_room(struct req *r)
{
	const char *version, *id;
	struct json *creators;
	enum err e;

	if ((e = body_need_esc(r, "new_version", &version)) != M_OK || (e = body_opt_arr(r, "additional_creators", &creators)) != M_OK ||
	    (e = room_upgrade(&r->cx, req_param(r, "roomId"), version, creators, &id)) != M_OK)
		return e;
	json_obj(&r->out, NULL);
	json_esc(&r->out, "replacement_room", id);
	json_end(&r->out);
	return M_OK;
}
