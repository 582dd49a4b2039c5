/* core/room/read_old.c - one room as the oldest clients ask for it, see read.h. */
#include "core/room/read.h"
#include "core/room/read_impl.h"

STMT(read_old_data,
    "SELECT d.type, d.content FROM account_data d WHERE d.usr = $1 AND d.room = $2 AND d.content <> '{}' ORDER BY d.type");
STMT(read_old_public, "SELECT public FROM room WHERE nid = $1");

/* Oldest first, as nowhere else. */
static void
turn(struct page *pg)
{
	for (size_t i = 0; i < pg->n / 2; i++) {
		struct room_event ev = pg->ev[i];
		pg->ev[i] = pg->ev[pg->n - 1 - i];
		pg->ev[pg->n - 1 - i] = ev;
	}
}

static enum err
write_messages(struct ctx *cx, const struct room_access *acc, int64_t limit, struct json_out *o)
{
	struct position now;
	struct page pg = { .acc = acc, .back = true, .at = acc->top, .stop = INT64_MIN,
		.limit = (size_t)(limit < READ_LIMIT_MAX ? limit : READ_LIMIT_MAX) };
	enum err e;

	if ((e = page_read(cx, &pg)) != M_OK)
		return e;
	turn(&pg);
	json_obj(o, "messages");
	if (pg.n > 0 && (e = page_write(cx, &pg, o, "chunk")) != M_OK)
		return e;
	if (pg.n == 0) {
		json_arr(o, "chunk");
		json_end(o);
	}
	/* From here both /messages and the stream of events (/events?room_id) go on. */
	if ((e = position_now(cx, &now, NULL, 0)) != M_OK)
		return e;
	json_str(o, "end", token_encode(cx->a, &now));
	json_str(o, "start", room_token(cx->a, pg.at));
	json_end(o);
	return M_OK;
}

enum err
read_initial(struct ctx *cx, const char *room, int64_t limit, struct json_out *o)
{
	struct room_access acc;
	struct rows data, public;
	enum err e;

	if ((e = access_open(cx, room, &acc)) != M_OK)
		return e;
	if (acc.ver < 0)
		return fail(cx, M_FORBIDDEN, "you are not in this room");
	db_queue(cx, &data, DB_ANY, &read_old_data, P_I64(cx->user_nid), P_I64(acc.room));
	db_queue(cx, &public, DB_ONE, &read_old_public, P_I64(acc.room));
	json_obj(o, NULL);
	json_esc(o, "room_id", acc.id);
	json_str(o, "membership", acc.membership != MEM_NONE ? membership_name(acc.membership) : "leave");
	if ((e = db_run(cx)) != M_OK || (e = write_messages(cx, &acc, limit, o)) != M_OK)
		return e;
	json_str(o, "visibility", db_bool(&public, 0) ? "public" : "private");
	json_arr(o, "account_data");
	while (db_next(&data)) {
		json_obj(o, NULL);
		json_esc(o, "type", db_text(&data, 0));
		json_raw(o, "content", db_text(&data, 1));
		json_end(o);
	}
	json_end(o);
	json_arr(o, "state");
	if ((e = read_state_at(cx, &acc, acc.ver, false, o)) != M_OK)
		return e;
	json_end(o);
	json_end(o);
	return M_OK;
}
