/* core/room/purge_history.c - a step of deleting a room's history, see purge.h. */
#include "core/base/conf.h"
#include "core/room/names.h"
#include "core/room/pdu.h"
#include "core/room/purge.h"
#include "core/room/render.h"

#define STATE_ROWS 2000
#define RECEIPTS 1000

STMT(purge_lock, "SELECT id, version FROM room WHERE nid = $1 FOR NO KEY UPDATE");
/* In statements of their own: one that waits for a lock goes on with the snapshot from before. */
STMT(purge_oldest,
    "SELECT e.nid, e.room_pos, e.pos FROM event e WHERE e.room = $1 AND e.room_pos <= least($2, (SELECT least(r.last_room_pos - 1,"
    "	(SELECT min((SELECT x.room_pos FROM event x WHERE x.nid = u.nid)) - 1 FROM unnest(r.extremities) u(nid)))"
    "	FROM room r WHERE r.nid = $1)) ORDER BY e.room_pos LIMIT $3");
STMT(purge_first,
    "SELECT e.room_pos, e.at_ver, e.id, (SELECT body FROM name WHERE nid = e.type), (SELECT body FROM name WHERE nid = e.sender),"
    " (SELECT body FROM name WHERE nid = e.state_key), e.ts, e.content, e.pdu, e.flags, e.cites"
    " FROM event e WHERE e.room = $1 AND e.room_pos > $2 ORDER BY e.room_pos LIMIT 1");
/* The oldest state of line 0 that an event above $2 stands on: such as cite what was not the end of the room any more. Or what ends were cut at. */
STMT(purge_behind,
    "SELECT least((SELECT min(ver) FROM event WHERE room = $1 AND room_pos > $2 AND line = 0 AND ver > 0 AND ver < at_ver),"
    " (SELECT cut_ver FROM room WHERE nid = $1))");
/*
 * The forks, and whether an event above $2 stands on them or on one of theirs; or a soft-failed one, which may yet be cited, that came after
 * what goes now ($3).
 */
STMT(purge_forks,
    "WITH RECURSIVE live(line, parent) AS (SELECT l.line, l.parent FROM line l WHERE l.room = $1 AND l.line <> 0 AND coalesce("
    "	(SELECT true FROM event e WHERE e.room = $1 AND e.line <> 0 AND e.line = l.line AND e.room_pos > $2 LIMIT 1),"
    "	(SELECT true FROM event e WHERE e.room = $1 AND e.fork = l.line AND e.room_pos > $2 LIMIT 1),"
    "	(SELECT true FROM event e WHERE e.room = $1 AND e.line <> 0 AND e.line = l.line AND e.room_pos IS NULL AND e.flags & 5 = 0 AND e.pos > $3 LIMIT 1),"
    "	(SELECT true FROM event e WHERE e.room = $1 AND e.fork = l.line AND e.room_pos IS NULL AND e.flags & 5 = 0 AND e.pos > $3 LIMIT 1))"
    " UNION SELECT p.line, p.parent FROM live c JOIN line p ON p.room = $1 AND p.line = c.parent AND p.line <> 0)"
    " SELECT l.line, l.parent, l.parent_ver, l.line IN (SELECT line FROM live) FROM line l WHERE l.room = $1 AND l.line <> 0");
/* Of some keys of line 0, the rows that hold no longer at version $2; the oldest of a key first. */
#define STATE_ROWS_OF(keys)										\
	"WITH k AS MATERIALIZED (" keys "), d AS (DELETE FROM state WHERE ctid = ANY (ARRAY(SELECT s.ctid FROM k"	\
	"	CROSS JOIN LATERAL (SELECT since FROM state WHERE room = $1 AND line = 0 AND type = k.type AND key = k.key"	\
	"		AND since <= $2 ORDER BY since DESC LIMIT 1) m"							\
	"	CROSS JOIN LATERAL (SELECT ctid FROM state WHERE room = $1 AND line = 0 AND type = k.type AND key = k.key"	\
	"		AND since < m.since ORDER BY since LIMIT $3) s LIMIT $3)) RETURNING type, key, since, event),"		\
	" u AS (UPDATE event SET prev_state = NULL WHERE nid = ANY (ARRAY(SELECT s.event FROM d CROSS JOIN LATERAL"		\
	"	(SELECT event FROM state WHERE room = $1 AND line = 0 AND type = d.type AND key = d.key AND since > d.since"	\
	"		ORDER BY since LIMIT 1) s)))"									\
	" SELECT event FROM d"
STMT(purge_state_rows, STATE_ROWS_OF("SELECT DISTINCT type, state_key AS key FROM event WHERE nid = ANY ($4) AND state_key IS NOT NULL"));
/* In the end all keys are looked at: forks may have held rows back, and state resolution replaces some without an event in the timeline. */
STMT(purge_state_rest, STATE_ROWS_OF("SELECT type, key FROM current_state WHERE room = $1"));
STMT(purge_fork_rows, "DELETE FROM state WHERE room = $1 AND line = ANY ($2) RETURNING event");
STMT(purge_fork_lines, "DELETE FROM line WHERE room = $1 AND line = ANY ($2)");
/* What stood on them and is not in the timeline (any more): of the state before it nothing is known now. */
STMT(purge_fork_events,
    "UPDATE event SET line = 0, ver = NULL, fork = NULL WHERE room = $1 AND (line <> 0 AND line = ANY ($2) OR fork = ANY ($2))");
/* Which of the events does state still consist of? Key by key: what is left of their keys, on all lines. */
STMT(purge_held,
    "SELECT DISTINCT s.event FROM (SELECT DISTINCT type, state_key FROM event WHERE nid = ANY ($2) AND state_key IS NOT NULL) k"
    " CROSS JOIN (SELECT 0 AS line UNION ALL SELECT line FROM line WHERE room = $1 AND line <> 0) l"
    " CROSS JOIN LATERAL (SELECT event FROM state WHERE room = $1 AND line = l.line AND type = k.type AND key = k.state_key OFFSET 0) s"
    " WHERE s.event = ANY ($2)");
/* What the events said about others; threads that go on without them count anew. */
STMT(purge_relations,
    "WITH d AS (DELETE FROM event_relation WHERE event = ANY ($1) RETURNING target, rel_type, sender),"
    " g AS (SELECT target AS root, sender AS usr, count(*) AS n FROM d WHERE rel_type = 27 AND target <> ALL ($1) GROUP BY 1, 2),"
    " u AS (UPDATE thread_user t SET n = t.n - g.n FROM g WHERE t.root = g.root AND t.usr = g.usr)"
    " UPDATE thread t SET n = t.n - s.n, latest_pos = coalesce((SELECT r.room_pos FROM event_relation r WHERE r.target = t.root"
    "	AND r.rel_type = 27 AND r.event <> ALL ($1) ORDER BY r.room_pos DESC LIMIT 1), 0)"
    " FROM (SELECT root, sum(n) AS n FROM g GROUP BY 1) s WHERE t.root = s.root");
/* Messages in threads whose root goes, and what hangs on them. */
STMT(purge_threaded,
    "WITH RECURSIVE c(event, depth) AS (SELECT r.event, 1 FROM event_relation r WHERE r.target = ANY ($1)"
    " UNION SELECT r.event, c.depth + 1 FROM c CROSS JOIN LATERAL (SELECT event FROM event_relation WHERE target = c.event OFFSET 0) r"
    "	WHERE c.depth < 4)"
    " UPDATE event SET thread = NULL, push_class = 0, t_a = NULL, t_b = NULL, t_c = NULL, t_d = NULL, t_e = NULL"
    " WHERE nid = ANY (ARRAY(SELECT event FROM c)) AND thread = ANY ($1)");
/* They are no longer among what is counted (core/push/counts.h), and the sums of the main timeline do not hold them. */
STMT(purge_mentions, "DELETE FROM mention WHERE event = ANY ($1) OR thread = ANY ($1)");
STMT(purge_thread_counts, "DELETE FROM thread_count WHERE root = ANY ($1)");
STMT(purge_targets,
    "UPDATE event_relation SET target = NULL, target_id = (SELECT e.id FROM event e WHERE e.nid = event_relation.target)"
    " WHERE target = ANY ($1)");
STMT(purge_thread_users, "DELETE FROM thread_user WHERE root = ANY ($1)");
STMT(purge_threads, "DELETE FROM thread WHERE root = ANY ($1)");
/* Who repeats a request still gets its answer. */
STMT(purge_txns, "UPDATE txn SET answer = (SELECT e.id FROM event e WHERE e.nid = txn.event), event = NULL WHERE event = ANY ($1)");
STMT(purge_originals, "UPDATE event SET redacted_original = NULL WHERE redacted_by = ANY ($1) AND redacted_original IS NOT NULL");
STMT(purge_events,
    "DELETE FROM event WHERE nid = ANY ($1) AND nid <> ALL ($2) AND CASE WHEN room_pos IS NULL THEN flags & 4 <> 0 ELSE room_pos <= $3 END"
    " AND (state_key IS NULL OR NOT type IN (1, 2, 3, 4, 13))"
    " AND NOT ($4 AND (SELECT right(body, length($5)) FROM name WHERE nid = sender) = $5)");
/* What state still consists of. */
STMT(purge_off_timeline,
    "WITH e AS (UPDATE event SET room_pos = NULL, thread = NULL, flags = flags | 4 WHERE nid = ANY ($1) RETURNING nid, room, type, state_key)"
    " UPDATE state SET untold = true WHERE ctid = ANY (ARRAY(SELECT s.ctid FROM e CROSS JOIN LATERAL (SELECT ctid FROM state WHERE room = e.room"
    "	AND line = 0 AND type = e.type AND key = e.state_key AND event = e.nid OFFSET 0) s))");
/* Also one that was filled in part, where it now begins among what filled it. */
STMT(purge_holes, "DELETE FROM hole WHERE room = $1 AND coalesce(next_pos, top_pos - 1) < $2");
STMT(purge_hole, "INSERT INTO hole (room, top_pos, kind, prev) VALUES ($1, $2, 3, $3)");
STMT(purge_note, "UPDATE room SET purged_pos = greatest(purged_pos, $2) WHERE nid = $1");
STMT(purge_receipts,
    "DELETE FROM receipt WHERE ctid = ANY (ARRAY(SELECT ctid FROM receipt r WHERE r.room = $1 AND (r.room_pos < $2"
    "	OR r.thread > 0 AND (SELECT true FROM event WHERE nid = r.thread) IS NULL) LIMIT $3))");

/* What a step is about. */
struct step {
	struct ctx *cx;
	int64_t room;
	const char *id;
	const struct room_version *rv;
	bool keep_local;
	int64_t *events, *all;	/* taken out of the timeline; these and those that state lets go of */
	size_t n, nall;
	int64_t top;		/* room_pos of the newest of them */
	int64_t pos;		/* stream position of the newest of them */
	int64_t first;		/* room_pos of the first event that remains */
	int64_t ver;		/* version of the state that must stay readable, and all after it */
	const char **cited;	/* what the first event that remains names before it */
	size_t ncited;
	int64_t *dead;		/* lines that nobody needs */
	size_t ndead;
};

static void
take_events(struct step *s, struct rows *r)
{
	s->events = arena_calloc(s->cx->a, (size_t)r->n + 1, sizeof *s->events);
	while (db_next(r)) {
		s->events[s->n++] = db_i64(r, 0);
		s->top = db_i64(r, 1);
		s->pos = db_i64(r, 2) > s->pos ? db_i64(r, 2) : s->pos;
	}
}

static enum err
take_first(struct step *s, struct rows *r)
{
	struct pdu_columns c = { db_text(r, 2), s->id, db_text(r, 3), db_text(r, 4), db_text(r, 5), db_i64(r, 6), db_text(r, 7), db_text(r, 8),
		(int)db_i64(r, 9), NULL, 0 };
	struct event ev;
	enum err e;

	c.cites = db_bytes(r, 10, &c.ncites);
	s->first = db_i64(r, 0);
	s->ver = db_i64(r, 1);
	if ((e = event_load(s->cx, s->rv, &c, &ev)) != M_OK)
		return e;
	s->cited = ev.prev_ids;
	s->ncited = ev.nprev;
	return M_OK;
}

/* A fork that is needed holds its root, too: the states of line 0 from there on. */
static void
take_forks(struct step *s, struct rows *r)
{
	s->dead = arena_calloc(s->cx->a, (size_t)r->n + 1, sizeof *s->dead);
	while (db_next(r)) {
		if (!db_bool(r, 3))
			s->dead[s->ndead++] = db_i64(r, 0);
		else if (db_i64(r, 1) == 0 && db_i64(r, 2) < s->ver)
			s->ver = db_i64(r, 2);
	}
}

static enum err
delete_state(struct step *s, bool *more)
{
	struct ctx *cx = s->cx;
	struct rows rows, forks = { 0 };
	enum err e;

	if (s->n == PURGE_EVENTS)	/* as many rows cease to hold with the events of one step, or fewer */
		db_queue(cx, &rows, DB_ANY, &purge_state_rows, P_I64(s->room), P_I64(s->ver), P_I64(STATE_ROWS), P_I64S(s->events, s->n));
	else
		db_queue(cx, &rows, DB_ANY, &purge_state_rest, P_I64(s->room), P_I64(s->ver), P_I64(STATE_ROWS));
	if (s->ndead > 0) {
		db_queue(cx, &forks, DB_ANY, &purge_fork_rows, P_I64(s->room), P_I64S(s->dead, s->ndead));
		db_queue(cx, NULL, DB_NONE, &purge_fork_lines, P_I64(s->room), P_I64S(s->dead, s->ndead));
		db_queue(cx, NULL, DB_NONE, &purge_fork_events, P_I64(s->room), P_I64S(s->dead, s->ndead));
	}
	if ((e = db_run(cx)) != M_OK)
		return e;
	*more = rows.n == STATE_ROWS;
	s->all = arena_calloc(cx->a, s->n + (size_t)rows.n + (size_t)forks.n + 1, sizeof *s->all);
	for (; s->nall < s->n; s->nall++)
		s->all[s->nall] = s->events[s->nall];
	while (db_next(&rows))
		if (!db_null(&rows, 0))
			s->all[s->nall++] = db_i64(&rows, 0);
	while (forks.res != NULL && db_next(&forks))
		if (!db_null(&forks, 0))
			s->all[s->nall++] = db_i64(&forks, 0);
	return M_OK;
}

/* In the order of what refers to what. */
static enum err
delete_events(struct step *s)
{
	struct ctx *cx = s->cx;
	const char *local = arena_printf(cx->a, ":%s", cx->conf->server_name);
	int64_t *held;
	size_t nheld = 0;
	struct rows r;
	enum err e;

	if ((e = db_query(cx, &r, &purge_held, P_I64(s->room), P_I64S(s->all, s->nall))) != M_OK)
		return e;
	held = arena_alloc(cx->a, ((size_t)r.n + 1) * sizeof *held);
	while (db_next(&r))
		held[nheld++] = db_i64(&r, 0);
	db_queue(cx, NULL, DB_NONE, &purge_relations, P_I64S(s->events, s->n));
	db_queue(cx, NULL, DB_NONE, &purge_threaded, P_I64S(s->events, s->n));
	db_queue(cx, NULL, DB_NONE, &purge_mentions, P_I64S(s->events, s->n));
	db_queue(cx, NULL, DB_NONE, &purge_thread_counts, P_I64S(s->events, s->n));
	db_queue(cx, NULL, DB_NONE, &purge_targets, P_I64S(s->events, s->n));
	db_queue(cx, NULL, DB_NONE, &purge_thread_users, P_I64S(s->events, s->n));
	db_queue(cx, NULL, DB_NONE, &purge_threads, P_I64S(s->events, s->n));
	db_queue(cx, NULL, DB_NONE, &purge_txns, P_I64S(s->events, s->n));
	db_queue(cx, NULL, DB_NONE, &purge_originals, P_I64S(s->events, s->n));
	db_queue(cx, NULL, DB_NONE, &purge_events, P_I64S(s->all, s->nall), P_I64S(held, nheld), P_I64(s->top), P_BOOL(s->keep_local),
	    P_TEXT(local));
	db_queue(cx, NULL, DB_NONE, &purge_off_timeline, P_I64S(s->events, s->n));
	if (s->n > 0) {
		db_queue(cx, NULL, DB_NONE, &purge_holes, P_I64(s->room), P_I64(s->first));
		db_queue(cx, NULL, DB_NONE, &purge_hole, P_I64(s->room), P_I64(s->first), P_TEXTS(s->cited, s->ncited));
		db_queue(cx, NULL, DB_NONE, &purge_note, P_I64(s->room), P_I64(s->pos));
	}
	return db_run(cx);
}

enum err
purge_history_step(struct ctx *cx, int64_t room, int64_t upto, bool keep_local, bool *more)
{
	struct step s = { .cx = cx, .room = room, .keep_local = keep_local, .top = INT64_MIN };
	struct rows lock, oldest, first, forks, behind;
	int64_t receipts;
	bool rows = false;
	enum err e;

	*more = false;
	db_queue(cx, &lock, DB_MAYBE, &purge_lock, P_I64(room));
	db_queue(cx, &oldest, DB_ANY, &purge_oldest, P_I64(room), P_I64(upto), P_I64(PURGE_EVENTS));
	if ((e = db_run(cx)) != M_OK || lock.n == 0)
		return e;
	s.id = db_text(&lock, 0);
	s.rv = room_version_get(db_text(&lock, 1));
	take_events(&s, &oldest);
	db_queue(cx, &first, DB_MAYBE, &purge_first, P_I64(room), P_I64(s.top));
	db_queue(cx, &forks, DB_ANY, &purge_forks, P_I64(room), P_I64(s.top), P_I64(s.pos));
	db_queue(cx, &behind, DB_ONE, &purge_behind, P_I64(room), P_I64(s.top));
	if ((e = db_run(cx)) != M_OK || first.n == 0 || s.rv == NULL || (e = take_first(&s, &first)) != M_OK)
		return e;
	take_forks(&s, &forks);
	if (!db_null(&behind, 0) && db_i64(&behind, 0) < s.ver)
		s.ver = db_i64(&behind, 0);
	if ((e = delete_state(&s, &rows)) != M_OK || (s.nall > 0 && (e = delete_events(&s)) != M_OK))
		return e;
	*more = s.n == PURGE_EVENTS || rows;
	if (*more)
		return M_OK;
	/* The last: receipts are many for few events, so they are gone through only now; until then nobody is shown those for deleted events. */
	e = db_exec(cx, &receipts, &purge_receipts, P_I64(room), P_I64(s.first), P_I64(RECEIPTS));
	*more = receipts == RECEIPTS;
	return e;
}
