/* core/user/account_data.c - what clients keep for a user. */
#include "core/user/account_data.h"

#include <string.h>

#include "core/db/db.h"
#include "core/room/names.h"
#include "core/user/push_rules.h"

STMT(account_data_lock, "SELECT 1 FROM account WHERE usr = $1 FOR NO KEY UPDATE");
STMT(account_data_select, "SELECT content FROM account_data WHERE usr = $1 AND room = 0 AND type = $2");
STMT(account_data_select_room,
    "SELECT d.content FROM account_data d JOIN room r ON r.nid = d.room WHERE d.usr = $1 AND r.id = $2 AND d.type = $3");
STMT(account_data_select_hold, "SELECT content FROM account_data WHERE usr = $1 AND room = 0 AND type = $2 FOR UPDATE");
STMT(account_data_upsert,
    "INSERT INTO account_data (usr, room, type, content) VALUES ($1, 0, $2, $3)"
    " ON CONFLICT (usr, room, type) DO UPDATE SET content = excluded.content");
STMT(account_data_upsert_room,
    "INSERT INTO account_data (usr, room, type, content) SELECT $1, nid, $3, $4 FROM room WHERE id = $2"
    " ON CONFLICT (usr, room, type) DO UPDATE SET content = excluded.content");

enum err
account_data_get(struct ctx *cx, const char *room, const char *type, const char **content)
{
	struct rows r;
	enum err e;

	if (room == NULL)
		e = db_maybe(cx, &r, &account_data_select, P_I64(cx->user_nid), P_TEXT(type));
	else
		e = db_maybe(cx, &r, &account_data_select_room, P_I64(cx->user_nid), P_TEXT(room), P_TEXT(type));
	if (e != M_OK)
		return e;
	if (room == NULL && strcmp(type, "m.push_rules") == 0)
		*content = push_rules_merge(cx->a, cx->user, r.n > 0 ? db_text(&r, 0) : NULL);
	else if (r.n > 0)
		*content = db_text(&r, 0);
	else
		return fail(cx, M_NOT_FOUND, "no account data of this type");
	return M_OK;
}

enum err
account_data_set(struct ctx *cx, const char *room, const char *type, const struct json *content)
{
	const char *text = json_canonical_str(cx->a, content, NULL);
	int64_t n = 0;
	enum err e;

	if (strcmp(type, "m.fully_read") == 0 || strcmp(type, "m.push_rules") == 0)
		return fail(cx, E_PROTECTED_TYPE, "%s cannot be set through this API", type);
	if (!name_fits(type))
		return fail(cx, M_INVALID_PARAM, "the type is longer than 255 bytes");
	if (room == NULL)
		return account_data_store(cx, type, text);
	touch_user(cx, cx->user_nid);
	e = db_exec(cx, &n, &account_data_upsert_room, P_I64(cx->user_nid), P_TEXT(room), P_TEXT(type), P_TEXT(text));
	if (e == M_OK && n == 0)
		return fail(cx, M_NOT_FOUND, "unknown room");
	return e;
}

enum err
account_data_hold(struct ctx *cx)
{
	return db_exec(cx, NULL, &account_data_lock, P_I64(cx->user_nid));
}

enum err
account_data_stored(struct ctx *cx, const char *type, const char **content)
{
	struct rows r;
	enum err e;

	*content = NULL;
	db_queue(cx, NULL, DB_NONE, &account_data_lock, P_I64(cx->user_nid));
	if ((e = db_maybe(cx, &r, &account_data_select_hold, P_I64(cx->user_nid), P_TEXT(type))) == M_OK && r.n > 0)
		*content = db_text(&r, 0);
	return e;
}

enum err
account_data_store(struct ctx *cx, const char *type, const char *content)
{
	touch_user(cx, cx->user_nid);
	return db_exec(cx, NULL, &account_data_upsert, P_I64(cx->user_nid), P_TEXT(type), P_TEXT(content));
}
