/* fcgi/client/spaces.c - Spaces. */
#include "core/room/hierarchy.h"
#include "fcgi/client/client.h"

/* GET /_matrix/client/v1/rooms/{roomId}/hierarchy */
enum err
cl_get_space_hierarchy(struct req *r)
{
	struct hierarchy_query q = { .from = req_query(r, "from") };
	enum err e;

	if ((e = req_query_bool(r, "suggested_only", false, &q.suggested_only)) != M_OK ||
	    (e = req_query_int(r, "limit", 1, INT64_MAX, HIERARCHY_LIMIT, &q.limit)) != M_OK ||
	    (e = req_query_int(r, "max_depth", 0, INT64_MAX, HIERARCHY_DEPTH, &q.max_depth)) != M_OK)
		return e;
	return hierarchy_list(&r->cx, req_param(r, "roomId"), &q, &r->out);
}
