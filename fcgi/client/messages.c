/* fcgi/client/messages.c - Rooms / Getting events for a room: timelines and single events. */
#include "core/room/at_time.h"
#include "core/room/read.h"
#include "core/sync/filter.h"
#include "fcgi/client/client.h"

/* The query's filter: a RoomEventFilter as JSON. Read as the timeline part of a whole filter. */
static enum err
take_filter(struct req *r, const struct event_filter **out)
{
	struct arena *a = r->cx.a;
	const char *esc = req_query(r, "filter"), *text;
	struct json *given, *room = json_new_obj(a), *whole = json_new_obj(a);
	struct filter *f = arena_zalloc(a, sizeof *f);
	size_t n;
	enum err e;

	*out = NULL;
	if (esc == NULL || *esc == '\0')
		return M_OK;
	text = esc_to_raw(a, esc, &n);
	if (json_parse(a, text, n, &given) != JSON_OK)
		return fail(&r->cx, M_NOT_JSON, "filter is no JSON");
	json_set(a, room, "timeline", given);
	json_set(a, whole, "room", room);
	if ((e = filter_read(&r->cx, whole, f)) != M_OK)
		return e;
	*out = &f->timeline;
	return M_OK;
}

/* GET /_matrix/client/v3/rooms/{roomId}/messages */
enum err
cl_get_room_events(struct req *r)
{
	struct messages q = { .from = req_query(r, "from"), .to = req_query(r, "to") };
	const char *dir = req_query(r, "dir");
	enum err e;

	if (dir == NULL)
		return fail(&r->cx, M_MISSING_PARAM, "dir is missing");
	q.back = strcmp(dir, "b") == 0;
	if (!q.back && strcmp(dir, "f") != 0)
		return fail(&r->cx, M_INVALID_PARAM, "dir is b or f");
	if ((e = req_query_int(r, "limit", 1, INT64_MAX, READ_LIMIT, &q.limit)) != M_OK || (e = take_filter(r, &q.filter)) != M_OK)
		return e;
	return read_messages(&r->cx, req_param(r, "roomId"), &q, &r->out);
}

/* GET /_matrix/client/v3/rooms/{roomId}/initialSync: deprecated, but there. */
enum err
cl_room_initial_sync(struct req *r)
{
	int64_t limit;
	enum err e;

	if ((e = req_query_int(r, "limit", 0, INT64_MAX, READ_LIMIT, &limit)) != M_OK)
		return e;
	return read_initial(&r->cx, req_param(r, "roomId"), limit, &r->out);
}

/* GET /_matrix/client/v1/rooms/{roomId}/timestamp_to_event */
enum err
cl_get_event_by_timestamp(struct req *r)
{
	const char *dir = req_query(r, "dir");
	int64_t ts;
	enum err e;

	if (dir == NULL || req_query(r, "ts") == NULL)
		return fail(&r->cx, M_MISSING_PARAM, "ts or dir is missing");
	if (strcmp(dir, "b") != 0 && strcmp(dir, "f") != 0)
		return fail(&r->cx, M_INVALID_PARAM, "dir is b or f");
	if ((e = req_query_int(r, "ts", INT64_MIN, INT64_MAX, 0, &ts)) != M_OK)
		return e;
	return at_time_find(&r->cx, req_param(r, "roomId"), ts, *dir == 'b', &r->out);
}

/* GET /_matrix/client/v3/rooms/{roomId}/event/{eventId} */
enum err
cl_get_one_room_event(struct req *r)
{
	return read_event(&r->cx, req_param(r, "roomId"), req_param(r, "eventId"), &r->out);
}

/* GET /_matrix/client/v3/events/{eventId}: deprecated, but there. */
enum err
cl_get_one_event(struct req *r)
{
	return read_event(&r->cx, NULL, req_param(r, "eventId"), &r->out);
}

/* GET /_matrix/client/v3/rooms/{roomId}/context/{eventId} */
enum err
cl_get_event_context(struct req *r)
{
	const struct event_filter *f;
	int64_t limit;
	enum err e;

	if ((e = req_query_int(r, "limit", 0, INT64_MAX, READ_LIMIT, &limit)) != M_OK || (e = take_filter(r, &f)) != M_OK)
		return e;
	return read_context(&r->cx, req_param(r, "roomId"), req_param(r, "eventId"), limit, f, &r->out);
}
