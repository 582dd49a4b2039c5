/*
 * core/room/receive_relate.c - what received events do to others: redactions, and relations that came before what they are about.
 *
 * Between servers nothing comes in order. A relation to an event that is not here waits as a row of event_relation without target; so
 * does a redaction (rel_type m.room.redaction), which is no relation and goes when it was carried out or refused (Room v3 §Handling
 * redactions: a redaction counts only once its target is known and its sender may).
 */
#include "core/room/append_impl.h"
#include "core/room/receive_impl.h"
#include "core/room/relation.h"

STMT(receive_target, "SELECT " ROOM_EVENT_COLS " FROM event e WHERE e.nid = $1");
STMT(receive_wait,
    "INSERT INTO event_relation (event, rel_type, type, sender, room_pos, ts, target_id) VALUES ($1, 18, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING");
/* Any message may say that it relates to another one as m.room.redaction: that is none. */
STMT(receive_waiting,
    "SELECT event FROM event_relation WHERE target IS NULL AND target_id = $1 AND rel_type = 18 AND type = 18 ORDER BY room_pos LIMIT 1000");
STMT(receive_waited, "DELETE FROM event_relation WHERE event = $1 AND rel_type = 18");
/* Only within a room. What was said in a thread before its root came stays in the main timeline, but the thread counts it. */
STMT(receive_found,
    "WITH u AS (UPDATE event_relation r SET target = $2, target_id = NULL WHERE r.target_id = $1 AND r.target IS NULL"
    "	AND (r.rel_type <> 18 OR r.type <> 18)"
    "	AND (SELECT room FROM event WHERE nid = r.event) = $3 RETURNING r.rel_type, r.sender, r.room_pos),"
    " t AS (INSERT INTO thread AS t (root, room, n, latest_pos) SELECT $2, $3, count(*), max(room_pos) FROM u WHERE rel_type = 27 HAVING count(*) > 0"
    "	ON CONFLICT (root) DO UPDATE SET n = t.n + excluded.n, latest_pos = greatest(t.latest_pos, excluded.latest_pos))"
    " INSERT INTO thread_user AS t (root, usr, n) SELECT $2, sender, count(*) FROM u WHERE rel_type = 27 GROUP BY sender"
    " ON CONFLICT (root, usr) DO UPDATE SET n = t.n + excluded.n");

/* Both are stored. Not allowed: nothing happens, and nothing will. */
static enum err
redact(struct receive *rc, const struct stored *redaction, struct stored *target)
{
	struct append *ap = &rc->ap;
	struct made *by;
	struct rows r;
	bool may;
	enum err e;

	if (target->elsewhere || target->type_nid == T_CREATE)
		return M_OK;
	if ((e = receive_may_redact(rc, redaction, target, &may)) != M_OK || !may)
		return e;
	if ((e = db_row(rc->cx, &r, &receive_target, P_I64(target->nid))) != M_OK)
		return e;
	by = arena_zalloc(rc->cx->a, sizeof *by);
	by->nid = redaction->nid;
	ap->target = arena_alloc(rc->cx->a, sizeof *ap->target);
	room_event_read(&r, ap->target);
	ap->made = arena_alloc(rc->cx->a, sizeof *ap->made);
	ap->made[0] = by;
	ap->nmade = 1;
	e = append_redact_target(ap);
	ap->made = NULL;
	ap->nmade = 0;
	ap->target = NULL;
	if (e == M_OK && !(target->flags & EV_REDACTED)) {	/* it may be an outlier that becomes real after this */
		target->ev.json = event_redact(rc->cx->a, rc->ap.room.rv, target->ev.json);
		target->ev.content = json_get(target->ev.json, "content");
		target->flags |= EV_REDACTED;
	}
	return e;
}

static enum err
carry_out(struct receive *rc, const struct stored *s)
{
	const char *id = event_redacts(rc->cx->a, &s->ev);
	struct stored *target;
	enum err e;

	if (id == NULL || !name_fits(id))
		return M_OK;
	if ((e = stored_load(rc->cx, &rc->ap.room, &rc->events, &id, 1)) != M_OK)
		return e;
	target = stored_find(&rc->events, id);
	if (target != NULL)
		return redact(rc, s, target);
	db_queue(rc->cx, NULL, DB_NONE, &receive_wait, P_I64(s->nid), P_I64(s->type_nid), P_I64(s->sender_nid), P_I64(s->room_pos), P_I64(s->ev.ts),
	    P_TEXT(id));
	return M_OK;
}

enum err
receive_relate(struct receive *rc, struct stored *s)
{
	struct ctx *cx = rc->cx;
	int64_t *redactions;
	size_t nredactions = 0;
	struct rows r;
	enum err e;

	db_queue(cx, NULL, DB_NONE, &receive_found, P_TEXT(s->ev.id), P_I64(s->nid), P_I64(rc->ap.room.nid));
	if ((e = db_query(cx, &r, &receive_waiting, P_TEXT(s->ev.id))) != M_OK)
		return e;
	redactions = arena_alloc(cx->a, ((size_t)r.n + 1) * sizeof *redactions);
	while (db_next(&r))
		redactions[nredactions++] = db_i64(&r, 0);
	if ((e = stored_load_nids(cx, &rc->ap.room, &rc->events, redactions, nredactions)) != M_OK)
		return e;
	for (size_t i = 0; i < nredactions; i++) {
		const struct stored *by = stored_of_nid(&rc->events, redactions[i]);
		const char *id = by != NULL && !by->elsewhere ? event_redacts(cx->a, &by->ev) : NULL;
		db_queue(cx, NULL, DB_NONE, &receive_waited, P_I64(redactions[i]));
		if (id != NULL && strcmp(id, s->ev.id) == 0 && (e = redact(rc, by, s)) != M_OK)
			return e;
	}
	return s->type_nid == T_REDACTION ? carry_out(rc, s) : M_OK;
}
