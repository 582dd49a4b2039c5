/* core/e2ee/device_list.c - see device_list.h. */
#include "core/e2ee/device_list.h"

#include "core/base/json.h"

/* The row of state s flips between joined and not joined. */
#define FLIPS										\
	"(s.membership = 2) <> coalesce((SELECT p.membership = 2 FROM state p WHERE p.room = s.room AND p.line = 0 AND p.type = 2"	\
	" AND p.key = s.key AND p.since < s.since ORDER BY p.since DESC LIMIT 1), false)"
#define JOINED_NOW									\
	"coalesce((SELECT p.membership = 2 FROM current_state p WHERE p.room = s.room AND p.type = 2 AND p.key = s.key), false)"

/*
 * Candidates by kind: 1 changed something that all see who share a room; 3 changed something
 * for this user alone; 4 shares a room anew; 5 left a room. Kinds 1 and 5 depend on
 * whether a room is shared now.
 */
STMT(device_lists_select,
    "WITH cand AS ("
    " SELECT usr, 1 AS kind FROM (SELECT usr, observer FROM device_change WHERE pos >= $2 OR pos = ANY($3) OFFSET 0) d WHERE observer = 0"
    " UNION SELECT usr, 3 FROM device_change WHERE observer = $1 AND observer <> 0 AND (pos >= $2 OR pos = ANY($3))"
    /* others who came to, or went from, rooms of mine */
    " UNION SELECT s.key, CASE WHEN " JOINED_NOW " THEN 4 ELSE 5 END FROM room r CROSS JOIN LATERAL"
    "	(SELECT * FROM state WHERE room = r.nid AND line = 0 AND (pos >= $2 OR pos = ANY($3)) AND type = 2 OFFSET 0) s"
    "	WHERE r.nid = ANY(ARRAY(SELECT room FROM local_member WHERE usr = $1 AND membership = 2))"
    "	AND (r.last_pos >= $2 OR r.last_pos = ANY($3)) AND s.key <> $1 AND " FLIPS
    /* all whom I came to */
    " UNION SELECT s.key, 4 FROM local_member m CROSS JOIN LATERAL"
    "	(SELECT key FROM current_state WHERE room = m.room AND type = 2 AND membership = 2 OFFSET 0) s"
    "	WHERE m.usr = $1 AND m.membership = 2 AND (m.joined_pos >= $2 OR m.joined_pos = ANY($3)) AND s.key <> $1"
    /* all whom I went from: as of my leave */
    " UNION SELECT s.key, 5 FROM local_member m JOIN event e ON e.nid = m.event CROSS JOIN LATERAL"
    "	(SELECT key FROM state_of_room(m.room, e.at_ver) WHERE type = 2 AND membership = 2 OFFSET 0) s"
    "	WHERE m.usr = $1 AND m.membership IN (4, 5) AND m.joined_pos IS NOT NULL AND (m.pos >= $2 OR m.pos = ANY($3))"
    "	AND (e.pos >= $2 OR e.pos = ANY($3)) AND s.key <> $1)"	/* forgetting a room later is not leaving it */
    " SELECT n.body, bool_or(c.kind IN (3, 4) OR (c.kind = 1 AND sh.yes)), bool_or(c.kind = 5 AND NOT sh.yes)"
    " FROM cand c CROSS JOIN LATERAL (SELECT body FROM name WHERE nid = c.usr OFFSET 0) n LEFT JOIN LATERAL (SELECT c.usr = $1 OR EXISTS ("
    "	SELECT FROM current_state b JOIN local_member a ON a.room = b.room AND a.usr = $1 AND a.membership = 2"
    "	WHERE b.key = c.usr AND b.type = 2 AND b.membership = 2) AS yes"
    "	WHERE c.kind IN (1, 5)) sh ON true GROUP BY n.body");

STMT(device_lists_members,
    "SELECT s.room, s.key, s.pos, j.joined, n.body,"
    " CASE WHEN NOT j.joined THEN ARRAY(SELECT b.room FROM current_state b WHERE b.key = s.key AND b.type = 2 AND b.membership = 2) END"
    " FROM unnest($1::bigint[], $2::bigint[]) AS q(room, lo) CROSS JOIN LATERAL"
    " (SELECT * FROM state WHERE room = q.room AND line = 0 AND pos >= q.lo AND type = 2 OFFSET 0) s"
    " CROSS JOIN LATERAL (SELECT " JOINED_NOW " AS joined OFFSET 0) j JOIN name n ON n.nid = s.key WHERE " FLIPS);

STMT(device_lists_names, "SELECT nid, body FROM name WHERE nid = ANY($1)");

void
device_change_wake(struct ctx *cx, struct rows *r)
{
	touch_user(cx, cx->user_nid);
	while (db_next(r))
		if (!db_null(r, 0))
			touch_room(cx, db_i64(r, 0));
}

void
device_lists_queue(struct ctx *cx, struct rows *r, int64_t usr, const struct position *since)
{
	db_queue(cx, r, DB_ANY, &device_lists_select, P_I64(usr), P_POSITION(since));
}

void
device_lists_members_queue(struct ctx *cx, struct rows *r, const int64_t *rooms, const int64_t *lo, size_t n)
{
	db_queue(cx, r, DB_ANY, &device_lists_members, P_I64S(rooms, n), P_I64S(lo, n));
}

void
device_lists_names_queue(struct ctx *cx, struct rows *r, const int64_t *users, size_t n)
{
	db_queue(cx, r, DB_ANY, &device_lists_names, P_I64S(users, n));
}

static void
write_list(struct json_out *o, const char *key, struct rows *r, bool left)
{
	int before = r->i;

	json_arr(o, key);
	while (db_next(r))
		if (left ? db_bool(r, 2) : db_bool(r, 1) && !db_bool(r, 2))
			json_esc(o, NULL, db_text(r, 0));
	json_end(o);
	r->i = before;
}

enum err
device_lists_between(struct ctx *cx, const char *from, const char *to, struct json_out *o)
{
	struct position since, until, now;
	struct epochs h;
	struct rows r;
	enum err e;

	if (!token_decode(cx->a, from, &since) || !token_decode(cx->a, to, &until))
		return fail(cx, M_INVALID_PARAM, "from and to must be tokens of /sync");
	if ((e = position_now(cx, &now, &h, since.epoch)) != M_OK)
		return e;
	if (token_judge(&since, &now, &h) == TOKEN_LOST)
		since = (struct position){ 0 };		/* everything is new for it */
	device_lists_queue(cx, &r, cx->user_nid, &since);
	if ((e = db_run(cx)) != M_OK)
		return e;
	write_list(o, "changed", &r, false);
	write_list(o, "left", &r, true);
	return M_OK;
}
