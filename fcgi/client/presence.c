/* fcgi/client/presence.c - Presence. */
#include <string.h>

#include "core/live/presence.h"
#include "fcgi/client/client.h"

/* GET /_matrix/client/v3/presence/{userId}/status */
enum err
cl_get_presence(struct req *r)
{
	struct presence p;
	enum err e;

	if ((e = presence_get(&r->cx, req_param(r, "userId"), &p)) != M_OK)
		return e;
	json_obj(&r->out, NULL);
	presence_write(&r->out, &p, r->cx.now);
	json_end(&r->out);
	return M_OK;
}

/* PUT /_matrix/client/v3/presence/{userId}/status */
enum err
cl_set_presence(struct req *r)
{
	const char *name, *status;
	enum presence_state state;
	enum err e;

	if (strcmp(req_param(r, "userId"), r->cx.user) != 0)
		return fail(&r->cx, M_FORBIDDEN, "this is another user");
	if ((e = body_need_esc(r, "presence", &name)) != M_OK || (e = body_opt_esc(r, "status_msg", &status)) != M_OK)
		return e;
	if (!presence_state_read(name, &state))
		return fail(&r->cx, M_INVALID_PARAM, "presence must be online, offline or unavailable");
	if ((e = presence_set(&r->cx, state, status)) != M_OK)
		return e;
	return reply_empty(r);
}
