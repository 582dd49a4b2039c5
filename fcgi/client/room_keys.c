/* fcgi/client/room_keys.c - Server-side key backups. */
#include <string.h>

#include "core/e2ee/backup.h"
#include "fcgi/client/client.h"

/* ---- versions */

static enum err
read_version(struct req *r, const char **algorithm, const struct json **auth_data)
{
	enum err e;

	if ((e = body_need_esc(r, "algorithm", algorithm)) != M_OK)
		return e;
	*auth_data = json_get(r->body, "auth_data");
	return *auth_data ? M_OK : fail(&r->cx, M_MISSING_PARAM, "auth_data is missing");
}

/* POST /_matrix/client/v3/room_keys/version */
enum err
cl_post_room_keys_version(struct req *r)
{
	const struct json *auth_data;
	const char *algorithm, *version;
	enum err e;

	if ((e = read_version(r, &algorithm, &auth_data)) != M_OK ||
	    (e = backup_create(&r->cx, algorithm, auth_data, &version)) != M_OK)
		return e;
	json_obj(&r->out, NULL);
	json_str(&r->out, "version", version);
	json_end(&r->out);
	return M_OK;
}

static enum err
show(struct req *r, const char *version)
{
	enum err e;

	json_obj(&r->out, NULL);
	if ((e = backup_show(&r->cx, version, &r->out)) != M_OK)
		return e;
	json_end(&r->out);
	return M_OK;
}

/* GET /_matrix/client/v3/room_keys/version */
enum err
cl_get_room_keys_version_current(struct req *r)
{
	return show(r, NULL);
}

/* GET /_matrix/client/v3/room_keys/version/{version} */
enum err
cl_get_room_keys_version(struct req *r)
{
	return show(r, req_param(r, "version"));
}

/* PUT /_matrix/client/v3/room_keys/version/{version} */
enum err
cl_put_room_keys_version(struct req *r)
{
	const char *version = req_param(r, "version"), *algorithm, *again;
	const struct json *auth_data;
	enum err e;

	if ((e = read_version(r, &algorithm, &auth_data)) != M_OK || (e = body_opt_esc(r, "version", &again)) != M_OK)
		return e;
	if (again != NULL && strcmp(again, version) != 0)
		return fail(&r->cx, M_INVALID_PARAM, "version is another one than in the path");
	if ((e = backup_update(&r->cx, version, algorithm, auth_data)) != M_OK)
		return e;
	return reply_empty(r);
}

/* DELETE /_matrix/client/v3/room_keys/version/{version} */
enum err
cl_delete_room_keys_version(struct req *r)
{
	enum err e = backup_delete(&r->cx, req_param(r, "version"));

	return e == M_OK ? reply_empty(r) : e;
}

/* ---- keys: of all rooms, of a room, of a session */

struct place {
	const char *version, *room, *session;
};

static enum err
read_place(struct req *r, int depth, struct place *p)
{
	p->version = req_query(r, "version");
	p->room = depth > 0 ? req_param(r, "roomId") : NULL;
	p->session = depth > 1 ? req_param(r, "sessionId") : NULL;
	return p->version ? M_OK : fail(&r->cx, M_MISSING_PARAM, "version is missing");
}

static enum err
put(struct req *r, int depth)
{
	struct place p;
	enum err e;

	json_obj(&r->out, NULL);
	if ((e = read_place(r, depth, &p)) != M_OK ||
	    (e = backup_put(&r->cx, p.version, p.room, p.session, r->body, &r->out)) != M_OK)
		return e;
	json_end(&r->out);
	return M_OK;
}

static enum err
get(struct req *r, int depth)
{
	struct place p;
	enum err e;

	if ((e = read_place(r, depth, &p)) != M_OK)
		return e;
	return backup_get(&r->cx, p.version, p.room, p.session, &r->out);
}

static enum err
forget(struct req *r, int depth)
{
	struct place p;
	enum err e;

	json_obj(&r->out, NULL);
	if ((e = read_place(r, depth, &p)) != M_OK ||
	    (e = backup_forget(&r->cx, p.version, p.room, p.session, &r->out)) != M_OK)
		return e;
	json_end(&r->out);
	return M_OK;
}

/* PUT, GET, DELETE /_matrix/client/v3/room_keys/keys */
enum err
cl_put_room_keys(struct req *r)
{
	return put(r, 0);
}

enum err
cl_get_room_keys(struct req *r)
{
	return get(r, 0);
}

enum err
cl_delete_room_keys(struct req *r)
{
	return forget(r, 0);
}

/* PUT, GET, DELETE /_matrix/client/v3/room_keys/keys/{roomId} */
enum err
cl_put_room_keys_by_room_id(struct req *r)
{
	return put(r, 1);
}

enum err
cl_get_room_keys_by_room_id(struct req *r)
{
	return get(r, 1);
}

enum err
cl_delete_room_keys_by_room_id(struct req *r)
{
	return forget(r, 1);
}

/* PUT, GET, DELETE /_matrix/client/v3/room_keys/keys/{roomId}/{sessionId} */
enum err
cl_put_room_key_by_session_id(struct req *r)
{
	return put(r, 2);
}

enum err
cl_get_room_key_by_session_id(struct req *r)
{
	return get(r, 2);
}

enum err
cl_delete_room_key_by_session_id(struct req *r)
{
	return forget(r, 2);
}
