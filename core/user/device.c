/* core/user/device.c - the devices of a user. */
#include "core/user/device.h"

#include "core/db/db.h"

#define COLUMNS "SELECT device_id, display_name, last_seen_ts, last_seen_ip FROM device WHERE usr = $1"
STMT(device_select_all, COLUMNS " ORDER BY nid");
STMT(device_select, COLUMNS " AND device_id = $2");
STMT(device_update, "UPDATE device SET display_name = $3 WHERE usr = $1 AND device_id = $2");
STMT(device_delete_many, "DELETE FROM device WHERE usr = $1 AND device_id = ANY ($2)");

static void
write_members(const struct rows *r, struct json_out *o)
{
	json_esc(o, "device_id", db_text(r, 0));
	if (!db_null(r, 1))
		json_esc(o, "display_name", db_text(r, 1));
	if (!db_null(r, 2))
		json_int(o, "last_seen_ts", db_i64(r, 2));
	if (!db_null(r, 3))
		json_str(o, "last_seen_ip", db_text(r, 3));
}

enum err
device_list(struct ctx *cx, struct json_out *o)
{
	struct rows r;
	enum err e;

	if ((e = db_query(cx, &r, &device_select_all, P_I64(cx->user_nid))) != M_OK)
		return e;
	json_arr(o, "devices");
	while (db_next(&r)) {
		json_obj(o, NULL);
		write_members(&r, o);
		json_end(o);
	}
	json_end(o);
	return M_OK;
}

enum err
device_show(struct ctx *cx, const char *device_id, struct json_out *o)
{
	struct rows r;
	enum err e;

	if ((e = db_maybe(cx, &r, &device_select, P_I64(cx->user_nid), P_TEXT(device_id))) != M_OK)
		return e;
	if (r.n == 0)
		return fail(cx, M_NOT_FOUND, "you have no such device");
	write_members(&r, o);
	return M_OK;
}

enum err
device_rename(struct ctx *cx, const char *device_id, const char *name)
{
	int64_t n;
	enum err e;

	if ((e = db_exec(cx, &n, &device_update, P_I64(cx->user_nid), P_TEXT(device_id), P_TEXT(name))) != M_OK)
		return e;
	return n ? M_OK : fail(cx, M_NOT_FOUND, "you have no such device");
}

enum err
device_delete(struct ctx *cx, const char *const *device_ids, size_t n)
{
	touch_user(cx, cx->user_nid);
	return db_exec(cx, NULL, &device_delete_many, P_I64(cx->user_nid), P_TEXTS(device_ids, n));
}
