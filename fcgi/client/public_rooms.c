/* fcgi/client/public_rooms.c - Rooms / Published room directory, Room Summaries. */
#include "core/base/conf.h"
#include "core/room/alias.h"
#include "core/room/directory.h"
#include "fcgi/client/client.h"

/* The directory of another server is that server's to show. */
static enum err
check_server(struct req *r)
{
	const char *server = req_query(r, "server");

	if (server == NULL || *server == '\0' || strcmp(server, r->cx.conf->server_name) == 0)
		return M_OK;
	return fail(&r->cx, M_NOT_FOUND, "this server does not know that server's directory");
}

/* GET /_matrix/client/v3/publicRooms */
enum err
cl_get_public_rooms(struct req *r)
{
	struct directory_query q = { .since = req_query(r, "since") };
	enum err e;

	if ((e = check_server(r)) != M_OK || (e = req_query_int(r, "limit", 0, INT64_MAX, 0, &q.limit)) != M_OK)
		return e;
	return directory_list(&r->cx, &q, &r->out);
}

static enum err
check_room_types(struct req *r, const struct json *types)
{
	for (size_t i = 0; types != NULL && i < types->u.arr.n; i++)
		if (!json_is(types->u.arr.v[i], JSON_STR) && !json_is(types->u.arr.v[i], JSON_NULL))
			return fail(&r->cx, M_BAD_JSON, "room_types holds something else than strings and nulls");
	return M_OK;
}

/* POST /_matrix/client/v3/publicRooms */
enum err
cl_query_public_rooms(struct req *r)
{
	struct directory_query q = { 0 };
	const struct json *term, *types;
	struct json *filter;
	const char *network;
	bool all;
	enum err e;

	if ((e = check_server(r)) != M_OK || (e = body_opt_int(r, "limit", 0, &q.limit)) != M_OK ||
	    (e = body_opt_esc(r, "since", &q.since)) != M_OK || (e = body_opt_obj(r, "filter", &filter)) != M_OK ||
	    (e = body_opt_bool(r, "include_all_networks", false, &all)) != M_OK ||
	    (e = body_opt_str(r, "third_party_instance_id", &network)) != M_OK)
		return e;
	if (q.limit < 0)
		return fail(&r->cx, M_INVALID_PARAM, "limit is negative");
	if (network != NULL && *network != '\0')
		return fail(&r->cx, M_INVALID_PARAM, "there is no such network here");
	term = json_get(filter, "generic_search_term");
	types = json_get(filter, "room_types");
	if ((term != NULL && !json_is(term, JSON_STR) && !json_is(term, JSON_NULL)) ||
	    (types != NULL && !json_is(types, JSON_ARR) && !json_is(types, JSON_NULL)))
		return fail(&r->cx, M_BAD_JSON, "filter holds a value of the wrong type");
	if (json_is(term, JSON_STR) && term->u.str.n > 0)
		q.term = json_esc_of(r->cx.a, term);
	q.room_types = json_is(types, JSON_ARR) ? types : NULL;
	if ((e = check_room_types(r, q.room_types)) != M_OK)
		return e;
	return directory_list(&r->cx, &q, &r->out);
}

/* GET /_matrix/client/v1/room_summary/{roomIdOrAlias}; without a token only what anyone may know. */
enum err
cl_get_room_summary(struct req *r)
{
	const char *room;
	enum err e;

	if ((e = alias_resolve(&r->cx, req_param(r, "roomIdOrAlias"), &room)) != M_OK)
		return e;
	return directory_summary(&r->cx, room, &r->out);
}
