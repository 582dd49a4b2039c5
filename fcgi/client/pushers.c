/* fcgi/client/pushers.c - Push Notifications: pushers. */
#include "core/push/pusher.h"
#include "fcgi/client/client.h"

/* GET /_matrix/client/v3/pushers */
enum err
cl_get_pushers(struct req *r)
{
	enum err e;

	json_obj(&r->out, NULL);
	if ((e = pusher_list(&r->cx, &r->out)) != M_OK)
		return e;
	json_end(&r->out);
	return M_OK;
}

/* POST /_matrix/client/v3/pushers/set */
enum err
cl_post_pusher(struct req *r)
{
	enum err e = pusher_set(&r->cx, r->body);

	return e == M_OK ? reply_empty(r) : e;
}
