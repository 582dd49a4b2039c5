/* core/room/access.c - see access.h. */
#include "core/room/access.h"
#include "core/base/log.h"

STMT(access_room,
    "SELECT r.nid, r.version, r.last_room_pos, r.state_ver, m.membership, m.forgotten, m.room_pos, m.joined_pos IS NOT NULL,"
    /* where the last stay ended: a ban or a refused invitation after it shows nothing of what was between */
    " (SELECT coalesce((SELECT min(since) FROM state WHERE room = r.nid AND line = 0 AND type = 2 AND key = $2 AND since > s.since), r.state_ver)"
    "	FROM state s WHERE room = r.nid AND line = 0 AND type = 2 AND key = $2 AND membership = 2 ORDER BY since DESC LIMIT 1),"
    " (SELECT (SELECT CASE WHEN flags & 8 = 0 THEN content ELSE (as_json(content) -> 'content')::text END FROM event WHERE nid = s.event) FROM current_state s"
    "	WHERE s.room = r.nid AND s.type = 5 AND s.key = 0)"
    " FROM room r LEFT JOIN local_member m ON m.room = r.nid AND m.usr = $2 WHERE r.id = $1 AND NOT r.purged");
STMT_WARM(access_room, "web");

static bool
world_readable(struct ctx *cx, const char *content)
{
	struct json *c = NULL;

	if (content != NULL)
		json_parse(cx->a, content, strlen(content), &c);
	return history_of(c) == HIST_WORLD_READABLE;
}

enum err
access_open(struct ctx *cx, const char *room, struct room_access *out)
{
	struct rows r;
	enum err e;

	if ((e = db_maybe(cx, &r, &access_room, P_TEXT(room), P_I64(cx->user_nid))) != M_OK)
		return e;
	if (r.n == 0)
		return fail(cx, M_FORBIDDEN, "you are not in this room");
	*out = (struct room_access){ .room = db_i64(&r, 0), .id = room, .rv = room_version_get(db_text(&r, 1)),
		.membership = (enum membership)db_i64(&r, 4), .last_room_pos = db_i64(&r, 2), .state_ver = db_i64(&r, 3) };
	if (out->rv == NULL) {
		log_error(cx, "room_version_unknown", LI("room", out->room));
		return fail(cx, M_UNKNOWN, "the room's version is unknown");
	}
	out->top = out->last_room_pos;
	out->ver = out->state_ver;
	if (out->membership == MEM_JOIN || world_readable(cx, db_text(&r, 9)))
		return M_OK;
	if (!db_bool(&r, 7) || db_bool(&r, 5))
		return fail(cx, M_FORBIDDEN, "you are not in this room");
	out->top = db_i64(&r, 6);
	/* Someone invited or knocking is shown no state but the stripped one. */
	out->ver = out->membership == MEM_LEAVE || out->membership == MEM_BAN ? db_i64(&r, 8) : -1;
	return M_OK;
}

enum err
access_joined(struct ctx *cx, const char *room, struct room_access *out)
{
	enum err e = access_open(cx, room, out);

	if (e == M_OK && out->membership != MEM_JOIN)
		return fail(cx, M_FORBIDDEN, "you are not in this room");
	return e;
}
