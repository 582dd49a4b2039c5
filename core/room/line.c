/* core/room/line.c - see line.h. */
#include "core/room/line.h"
#include "core/base/conf.h"
#include "core/db/db.h"

#define DEPTH_MAX 8	/* a state is looked up along at most so many lines */

/*
 * A look-up for each key. What is a member's event may stand verbatim in content (flag 8).
 */
STMT(line_write_rows,
    "WITH c AS MATERIALIZED (SELECT * FROM unnest($4::bigint[], $5::bigint[], $6::bigint[]) c(type, key, event)),"
    " old AS MATERIALIZED (SELECT c.type, c.key, s.membership FROM c CROSS JOIN LATERAL (SELECT membership FROM current_state"
    "	WHERE room = $1 AND $2 = 0 AND type = c.type AND key = c.key OFFSET 0) s),"
    " new AS (INSERT INTO state (room, line, type, key, since, event, untold, membership)"
    "	SELECT $1, $2, c.type, c.key, $3, NULLIF(c.event, 0), true, CASE WHEN c.type = 2 THEN (SELECT array_position(ARRAY['invite', 'join', 'knock',"
    "	'leave', 'ban'], (CASE WHEN flags & 8 = 0 THEN as_json(content) ELSE as_json(content) -> 'content' END) ->> 'membership')"
    "	FROM event WHERE nid = c.event) END FROM c RETURNING type, key, event, membership),"
    " now AS (" CURRENT_STATE_PUT("SELECT $1, type, key, $3, event, membership FROM new WHERE $2 = 0") ")"
    " SELECT n.key, n.event, (SELECT sender FROM event WHERE nid = n.event), n.membership, o.membership,"
    " (SELECT body FROM name WHERE nid = n.key AND right(body, length($7)) = $7)"
    " FROM new n LEFT JOIN old o ON o.type = n.type AND o.key = n.key WHERE n.type = 2 AND $2 = 0");
STMT(line_find, "SELECT depth, last_ver FROM line WHERE room = $1 AND line = $2");
STMT(line_grow, "UPDATE line SET last_ver = $3 WHERE room = $1 AND line = $2");
STMT(line_insert,
    "INSERT INTO line (room, line, parent, parent_ver, depth, last_ver)"
    " SELECT $1, coalesce(max(line), 0) + 1, $2, $3, $4, $5 FROM line WHERE room = $1 RETURNING line");
/* All that a state has on its lines above line 0, and where it is rooted there. */
STMT(line_overlay,
    "SELECT DISTINCT ON (s.type, s.key) s.type, s.key, coalesce(s.event, 0) FROM state_path($1, $2::int, $3) p"
    " CROSS JOIN LATERAL (SELECT * FROM state_of_line($1, p.line, p.ver) OFFSET 0) s WHERE p.line <> 0 ORDER BY s.type, s.key, p.step");
STMT(line_root, "SELECT ver FROM state_path($1, $2::int, $3) WHERE line = 0");
/* Is it a state: events of the room with a key each, no key twice, a create event among them? What was rejected counts for nothing. */
STMT(line_given_is_state,
    "SELECT count(*) = count(DISTINCT (type, state_key)) AND bool_and(room = $1 AND state_key IS NOT NULL)"
    " AND bool_or(type = 1 AND state_key = 0) IS TRUE FROM (SELECT DISTINCT unnest($2::bigint[]) AS nid) u"
    " CROSS JOIN LATERAL (SELECT room, type, state_key FROM event WHERE nid = u.nid AND flags & 1 = 0 OFFSET 0) e");
STMT(line_given, "SELECT type, key, coalesce(event, 0) FROM state_given($1, $2::int, $3, $4)");

enum err
line_write(struct ctx *cx, int64_t room, int line, int64_t ver, const struct change *v, size_t n, struct changed_member **members,
    size_t *nmembers)
{
	int64_t *types = arena_alloc(cx->a, (n + 1) * sizeof *types), *keys = arena_alloc(cx->a, (n + 1) * sizeof *keys),
	    *events = arena_alloc(cx->a, (n + 1) * sizeof *events);
	struct rows r;
	enum err e;

	for (size_t i = 0; i < n; i++) {
		types[i] = v[i].type;
		keys[i] = v[i].key;
		events[i] = v[i].event;
	}
	if ((e = db_query(cx, &r, &line_write_rows, P_I64(room), P_I64(line), P_I64(ver), P_I64S(types, n), P_I64S(keys, n), P_I64S(events, n),
	    P_TEXT(arena_printf(cx->a, ":%s", cx->conf->server_name)))) != M_OK || members == NULL)
		return e;
	*members = arena_calloc(cx->a, (size_t)r.n + 1, sizeof **members);
	for (*nmembers = 0; db_next(&r);)
		(*members)[(*nmembers)++] = (struct changed_member){ .user = db_i64(&r, 0), .event = db_i64(&r, 1), .sender = db_i64(&r, 2),
			.is = (enum membership)db_i64(&r, 3), .was = (enum membership)db_i64(&r, 4), .id = db_text(&r, 5) };
	return M_OK;
}

static size_t
place_of(const struct change *v, size_t n, int64_t type, int64_t key)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (v[i].type == type && v[i].key == key)
			break;
	return i;
}

/* The changes on top of all that the state has above line 0: for a line rooted there. */
static enum err
flatten(struct ctx *cx, int64_t room, struct point *at, const struct change **v, size_t *n)
{
	struct rows r, root;
	struct change *all;
	size_t k = *n;
	enum err e;

	db_queue(cx, &root, DB_ONE, &line_root, P_I64(room), P_I64(at->line), P_I64(at->ver));
	if ((e = db_query(cx, &r, &line_overlay, P_I64(room), P_I64(at->line), P_I64(at->ver))) != M_OK)
		return e;
	all = arena_alloc(cx->a, (*n + (size_t)r.n + 1) * sizeof *all);
	memcpy(all, *v, *n * sizeof *all);
	while (db_next(&r))
		if (place_of(*v, *n, db_i64(&r, 0), db_i64(&r, 1)) == *n)
			all[k++] = (struct change){ db_i64(&r, 0), db_i64(&r, 1), db_i64(&r, 2) };
	*at = (struct point){ 0, db_i64(&root, 0) };
	*v = all;
	*n = k;
	return M_OK;
}

enum err
point_fork(struct ctx *cx, int64_t room, struct point at, const struct change *v, size_t n, struct point *out)
{
	int64_t ver = at.ver + 1, depth = 0;
	struct rows r;
	enum err e;

	*out = at;
	if (n == 0)
		return M_OK;
	if (at.line != 0) {
		if ((e = db_row(cx, &r, &line_find, P_I64(room), P_I64(at.line))) != M_OK)
			return e;
		if (db_i64(&r, 1) == at.ver) {
			*out = (struct point){ at.line, ver };
			db_queue(cx, NULL, DB_NONE, &line_grow, P_I64(room), P_I64(at.line), P_I64(ver));
			return line_write(cx, room, at.line, ver, v, n, NULL, NULL);
		}
		depth = db_i64(&r, 0);
		if (depth == DEPTH_MAX) {
			if ((e = flatten(cx, room, &at, &v, &n)) != M_OK)
				return e;
			depth = 0;
		}
	}
	if ((e = db_row(cx, &r, &line_insert, P_I64(room), P_I64(at.line), P_I64(at.ver), P_I64(depth + 1), P_I64(ver))) != M_OK)
		return e;
	*out = (struct point){ (int)db_i64(&r, 0), ver };
	return line_write(cx, room, out->line, ver, v, n, NULL, NULL);
}

enum err
point_given(struct ctx *cx, int64_t room, struct point at, const int64_t *events, size_t nevents, struct change **v, size_t *n)
{
	struct rows r, is_state;
	enum err e;

	db_queue(cx, &is_state, DB_ONE, &line_given_is_state, P_I64(room), P_I64S(events, nevents));
	if ((e = db_query(cx, &r, &line_given, P_I64(room), P_I64(at.line), P_I64(at.ver), P_I64S(events, nevents))) != M_OK)
		return e;
	if (!db_bool(&is_state, 0))
		return fail(cx, M_BAD_JSON, "these events are no state: two have the same key, or the create event is missing");
	*v = arena_alloc(cx->a, ((size_t)r.n + 1) * sizeof **v);
	for (*n = 0; db_next(&r);)
		(*v)[(*n)++] = (struct change){ db_i64(&r, 0), db_i64(&r, 1), db_i64(&r, 2) };
	return M_OK;
}
