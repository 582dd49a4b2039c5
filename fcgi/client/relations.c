/* fcgi/client/relations.c - Event relationships, Threading. */
#include "core/room/relation_read.h"
#include "fcgi/client/client.h"

static enum err
list(struct req *r, const char *rel_type, const char *type)
{
	struct relations_query q = { .rel_type = rel_type, .type = type, .from = req_query(r, "from"), .to = req_query(r, "to") };
	const char *dir = req_query(r, "dir");
	enum err e;

	q.back = dir == NULL || strcmp(dir, "b") == 0;
	if (!q.back && strcmp(dir, "f") != 0)
		return fail(&r->cx, M_INVALID_PARAM, "dir is b or f");
	if ((e = req_query_int(r, "limit", 1, INT64_MAX, RELATIONS_LIMIT, &q.limit)) != M_OK ||
	    (e = req_query_bool(r, "recurse", false, &q.recurse)) != M_OK)
		return e;
	return relations_list(&r->cx, req_param(r, "roomId"), req_param(r, "eventId"), &q, &r->out);
}

/* GET /_matrix/client/v1/rooms/{roomId}/relations/{eventId} */
enum err
cl_get_relating_events(struct req *r)
{
	return list(r, NULL, NULL);
}

/* GET /_matrix/client/v1/rooms/{roomId}/relations/{eventId}/{relType} */
enum err
cl_get_relating_events_with_rel_type(struct req *r)
{
	return list(r, req_param(r, "relType"), NULL);
}

/* GET /_matrix/client/v1/rooms/{roomId}/relations/{eventId}/{relType}/{eventType} */
enum err
cl_get_relating_events_with_rel_type_and_event_type(struct req *r)
{
	return list(r, req_param(r, "relType"), req_param(r, "eventType"));
}

/* GET /_matrix/client/v1/rooms/{roomId}/threads */
enum err
cl_get_thread_roots(struct req *r)
{
	const char *include = req_query(r, "include");
	bool participated = include != NULL && strcmp(include, "participated") == 0;
	int64_t limit;
	enum err e;

	if (include != NULL && !participated && strcmp(include, "all") != 0)
		return fail(&r->cx, M_INVALID_PARAM, "include is all or participated");
	if ((e = req_query_int(r, "limit", 1, INT64_MAX, RELATIONS_LIMIT, &limit)) != M_OK)
		return e;
	return threads_list(&r->cx, req_param(r, "roomId"), participated, req_query(r, "from"), limit, &r->out);
}
