/* fcgi/client/filter.c - Filtering: filters kept by the server. */
#include <string.h>

#include "core/sync/filter.h"
#include "core/user/filter_store.h"
#include "fcgi/client/client.h"

static enum err
own_filters(struct req *r)
{
	if (strcmp(req_param(r, "userId"), r->cx.user) != 0)
		return fail(&r->cx, M_FORBIDDEN, "these are another user's filters");
	return M_OK;
}

/* POST /_matrix/client/v3/user/{userId}/filter */
enum err
cl_define_filter(struct req *r)
{
	const char *id;
	enum err e;

	if ((e = own_filters(r)) != M_OK || (e = filter_check(&r->cx, r->body)) != M_OK ||
	    (e = filter_save(&r->cx, r->body, &id)) != M_OK)
		return e;
	json_obj(&r->out, NULL);
	json_str(&r->out, "filter_id", id);
	json_end(&r->out);
	return M_OK;
}

/* GET /_matrix/client/v3/user/{userId}/filter/{filterId} */
enum err
cl_get_filter(struct req *r)
{
	const char *body;
	enum err e;

	if ((e = own_filters(r)) != M_OK ||
	    (e = filter_load(&r->cx, r->cx.user_nid, req_param(r, "filterId"), &body)) != M_OK)
		return e;
	json_raw(&r->out, NULL, body);
	return M_OK;
}
