/* core/live/presence.c - who is there; see presence.h. */
#include "core/live/presence.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/base/conf.h"

#define SLOTS 65536
#define AGAIN_MS 30000		/* a sign of life is good for that much longer than needed, so it need not be written again sooner */

/* What a device's state counts for at $1: what has run out is offline, who did nothing for long is unavailable. */
#define COUNTS "CASE WHEN until <= $1 THEN 0 WHEN state = 2 AND active_ts <= $1 - 300000 THEN 1 ELSE state END"

STMT(presence_row, "INSERT INTO presence (usr) VALUES ($1) ON CONFLICT DO NOTHING");
/* Two devices of a user come one after the other, else each would merge without the other. */
STMT(presence_lock, "SELECT 1 FROM presence WHERE usr = $1 FOR NO KEY UPDATE");
/* A sync without a word of its own does not undo what the user said, unless that was that he is offline. Who comes is active. */
STMT(presence_sign,
    "INSERT INTO presence_device AS d (device, usr, state, until, active_ts) VALUES ($2, $3, $4, $5, $1)"
    " ON CONFLICT (device) DO UPDATE SET until = greatest(d.until, excluded.until),"
    " state = CASE WHEN $6 OR d.state = 0 OR d.until <= $1 THEN excluded.state ELSE d.state END,"
    " active_ts = CASE WHEN d.state = 0 OR d.until <= $1 OR ($6 AND d.state = 1 AND excluded.state = 2) THEN $1 ELSE d.active_ts END");
STMT(presence_did, "UPDATE presence_device SET active_ts = $1 WHERE device = $2 AND active_ts < $1");
STMT(presence_said,
    "INSERT INTO presence_device (device, usr, state, until, active_ts) VALUES ($2, $3, $4, $5, $1)"
    " ON CONFLICT (device) DO UPDATE SET state = excluded.state, active_ts = excluded.active_ts,"
    " until = greatest(presence_device.until, excluded.until)");
STMT(presence_merge,
    "UPDATE presence p SET state = m.state, active_ts = greatest(p.active_ts, m.active_ts) FROM ("
    "	SELECT coalesce(max(" COUNTS "), 0) AS state, coalesce(max(active_ts), 0) AS active_ts FROM presence_device WHERE usr = $2) m"
    " WHERE p.usr = $2 AND p.state <> m.state");
STMT(presence_status, "UPDATE presence SET status_msg = $2 WHERE usr = $1 AND status_msg IS DISTINCT FROM $2");
/*
 * All users who are seen, and whose devices say something else by now. After a crash of the database no device has said anything
 * (the table is unlogged): it takes until the next sign of life, about a minute, until that means that nobody is there.
 */
STMT(presence_sweep,
    "WITH m AS MATERIALIZED ("
    "	SELECT u.usr, coalesce(d.state, 0) AS state, coalesce(d.active_ts, 0) AS active_ts FROM presence u"
    "	CROSS JOIN LATERAL (SELECT max(" COUNTS ") AS state, max(active_ts) AS active_ts FROM presence_device WHERE usr = u.usr) d"
    "	WHERE (d.state IS NOT NULL OR (SELECT started < clock_timestamp() - interval '2 minutes' FROM stream_epoch"
    "		WHERE epoch = current_setting('hearth.epoch')::bigint)) AND u.state <> 0 AND u.state IS DISTINCT FROM d.state ORDER BY u.usr FOR NO KEY UPDATE OF u SKIP LOCKED)"
    " UPDATE presence p SET state = m.state, active_ts = greatest(p.active_ts, m.active_ts) FROM m"
    " WHERE p.usr = ANY(ARRAY(SELECT usr FROM m)) AND p.usr = m.usr AND p.state <> m.state");
/* Oneself, and whoever is in a room with $1. */
STMT(presence_select,
    "SELECT u.nid, " PRESENCE_COLS " FROM name u LEFT JOIN presence p ON p.usr = u.nid WHERE u.body = $2"
    " AND EXISTS (SELECT 1 FROM account WHERE usr = u.nid)"
    " AND (u.nid = $1 OR EXISTS (SELECT 1 FROM local_member a JOIN local_member b ON b.room = a.room AND b.usr = u.nid AND b.membership = 2"
    "	WHERE a.usr = $1 AND a.membership = 2))");

static const char *const names[] = { "offline", "unavailable", "online" };

bool
presence_state_read(const char *name, enum presence_state *out)
{
	for (int i = 0; i < 3; i++)
		if (strcmp(names[i], name) == 0) {
			*out = (enum presence_state)i;
			return true;
		}
	return false;
}

/* ---- what was written last */

/* Of one device at a time; two that meet in a slot only cost each other writes. Times in ms, state in the low bits. */
struct slot {
	_Atomic int64_t device, until, active;
};
static struct slot *slots;

void
presence_setup(void)
{
	void *p = mmap(NULL, SLOTS * sizeof *slots, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		abort();
	slots = p;
}

static struct slot *
slot_of(int64_t device)
{
	struct slot *s;

	if (!slots)
		presence_setup();	/* a process by itself */
	s = &slots[(uint64_t)device % SLOTS];
	if (atomic_load(&s->device) != device) {
		atomic_store(&s->device, device);
		atomic_store(&s->until, 0);
		atomic_store(&s->active, 0);
	}
	return s;
}

/* ---- signs of life */

static void
merge_queue(struct ctx *cx)
{
	db_queue(cx, NULL, DB_NONE, &presence_merge, P_I64(cx->now), P_I64(cx->user_nid));
}

static void
hold_queue(struct ctx *cx)
{
	db_queue(cx, NULL, DB_NONE, &presence_row, P_I64(cx->user_nid));
	db_queue(cx, NULL, DB_NONE, &presence_lock, P_I64(cx->user_nid));
}

void
presence_synced(struct ctx *cx, enum presence_state state, bool said, int64_t timeout_ms)
{
	int64_t until = cx->now + timeout_ms + PRESENCE_GRACE_MS;
	struct slot *s;

	if (!cx->conf->presence || state == PRESENCE_OFFLINE)
		return;
	s = slot_of(cx->device);
	if (atomic_load(&s->until) >> 2 >= until && (atomic_load(&s->until) & 3) == (int64_t)state)
		return;
	until += AGAIN_MS;
	db_begin(cx, TX_RW);
	hold_queue(cx);
	db_queue(cx, NULL, DB_NONE, &presence_sign, P_I64(cx->now), P_I64(cx->device), P_I64(cx->user_nid), P_I64(state), P_I64(until),
	    P_BOOL(said));
	merge_queue(cx);
	if (db_commit(cx) == M_OK) {
		atomic_store(&s->until, until << 2 | (int64_t)state);
		return;
	}
	db_rollback(cx);
	cx->err_text = NULL;	/* not worth a sync; the next one tries again */
}

void
presence_active(struct ctx *cx)
{
	struct slot *s;

	if (!cx->conf->presence || cx->device == 0)
		return;
	s = slot_of(cx->device);
	if (atomic_load(&s->active) > cx->now - PRESENCE_ACTIVE_MS / 2)
		return;
	atomic_store(&s->active, cx->now);
	db_queue(cx, NULL, DB_NONE, &presence_lock, P_I64(cx->user_nid));	/* who never was there does not come by this */
	db_queue(cx, NULL, DB_NONE, &presence_did, P_I64(cx->now), P_I64(cx->device));
	merge_queue(cx);
}

enum err
presence_set(struct ctx *cx, enum presence_state state, const char *status_msg)
{
	if (status_msg != NULL && esc_raw_len(status_msg) > PRESENCE_STATUS_MAX)
		return fail(cx, M_INVALID_PARAM, "a status message has at most %d bytes", PRESENCE_STATUS_MAX);
	if (!cx->conf->presence)
		return M_OK;
	atomic_store(&slot_of(cx->device)->until, 0);
	hold_queue(cx);
	db_queue(cx, NULL, DB_NONE, &presence_said, P_I64(cx->now), P_I64(cx->device), P_I64(cx->user_nid), P_I64(state),
	    P_I64(cx->now + PRESENCE_GRACE_MS + AGAIN_MS));
	merge_queue(cx);
	db_queue(cx, NULL, DB_NONE, &presence_status, P_I64(cx->user_nid), P_TEXT(status_msg));
	return M_OK;
}

/* ---- reading */

/* first: the column that PRESENCE_COLS begin with. */
static void
read_at(const struct rows *r, int first, struct presence *out)
{
	*out = (struct presence){ .usr = db_i64(r, first), .pos = db_i64(r, first + 1),
	    .state = (enum presence_state)db_i64(r, first + 2), .status_msg = db_text(r, first + 3), .user = db_text(r, first + 4),
	    .active_ts = db_i64(r, first + 5) };
}

void
presence_read(const struct rows *r, struct presence *out)
{
	read_at(r, 0, out);
}

void
presence_write(struct json_out *o, const struct presence *p, int64_t now)
{
	int64_t ago = now > p->active_ts ? now - p->active_ts : 0;

	json_str(o, "presence", names[p->state]);
	if (p->active_ts > 0)
		json_int(o, "last_active_ago", ago);
	if (p->status_msg)
		json_esc(o, "status_msg", p->status_msg);
	if (p->state == PRESENCE_ONLINE)
		json_bool(o, "currently_active", ago < PRESENCE_ACTIVE_MS);
}

enum err
presence_get(struct ctx *cx, const char *user, struct presence *out)
{
	struct rows r;
	enum err e = db_maybe(cx, &r, &presence_select, P_I64(cx->user_nid), P_TEXT(user));

	if (e != M_OK)
		return e;
	if (r.n == 0)
		return fail(cx, M_FORBIDDEN, "you are not allowed to see their presence");
	read_at(&r, 1, out);
	if (!cx->conf->presence)
		*out = (struct presence){ 0 };
	return M_OK;
}

/* ---- the job */

enum err
presence_sweep_run(struct ctx *cx, struct job *j)
{
	return db_exec(cx, NULL, &presence_sweep, P_I64(cx->now));
}
