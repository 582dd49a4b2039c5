/* core/room/guest.c - see guest.h. */
#include "core/room/guest.h"

#include <string.h>

#include "core/jobs/jobs.h"
#include "core/room/member.h"

STMT(guest_room, "SELECT id FROM room WHERE nid = $1");
STMT(guest_members,
    "SELECT m.usr, n.body FROM local_member m JOIN account a ON a.usr = m.usr AND a.kind = 'guest' JOIN name n ON n.nid = m.usr"
    " WHERE m.room = $1 AND m.membership = 2 AND m.usr > $2 ORDER BY m.usr LIMIT $3");

static bool
can_join(const struct json *content)
{
	return json_str_eq(json_get(content, "guest_access"), "can_join");
}

enum err
guest_may_join(const struct append *ap)
{
	const struct slot *s = append_state(ap, "m.room.guest_access", "");

	if (s != NULL && can_join(s->ev->content))
		return M_OK;
	return fail(ap->cx, M_GUEST_ACCESS_FORBIDDEN, "guests may not join this room");
}

void
guest_access_changed(struct ctx *cx, int64_t room, int64_t type_nid, const struct json *content)
{
	if (type_nid == T_GUEST_ACCESS && !can_join(content))
		job_add(cx, "guests_leave", arena_printf(cx->a, "%lld", (long long)room), NULL, 0);
}

/* Holds the room's lock from here on: who joins now waits, and is refused. */
static enum err
still_forbidden(struct ctx *cx, const char *id, bool *forbidden)
{
	struct append ap;
	enum err e;

	*forbidden = false;
	append_init(&ap, cx);
	append_want(&ap, "m.room.guest_access", "");
	if ((e = append_open(&ap, id)) != M_OK)
		return e == M_FORBIDDEN ? M_OK : e;	/* blocked, or gone */
	*forbidden = guest_may_join(&ap) != M_OK;
	return M_OK;
}

enum err
guests_leave(struct ctx *cx, int64_t room, int64_t after, int64_t *last)
{
	struct json *said = json_new_obj(cx->a);
	struct rows r, guests;
	bool forbidden;
	enum err e;

	*last = 0;
	if ((e = db_maybe(cx, &r, &guest_room, P_I64(room))) != M_OK || r.n == 0)
		return e;
	if ((e = still_forbidden(cx, db_text(&r, 0), &forbidden)) != M_OK || !forbidden)
		return e;
	if ((e = db_query(cx, &guests, &guest_members, P_I64(room), P_I64(after), P_I64(GUEST_LEAVES))) != M_OK)
		return e;
	json_set(cx->a, said, "reason", json_new_str(cx->a, "Guests may no longer be in this room"));
	while (db_next(&guests)) {
		cx->user_nid = db_i64(&guests, 0);
		cx->user = db_text(&guests, 1);
		if ((e = member_change(cx, MEMBER_LEAVE, db_text(&r, 0), NULL, said)) != M_OK && e != M_FORBIDDEN)
			return e;
		if (guests.n == GUEST_LEAVES)
			*last = cx->user_nid;
	}
	return M_OK;
}
