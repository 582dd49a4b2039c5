/* core/room/append_write.c - the writes of an append, all queued: they travel with COMMIT. */
#include <assert.h>

#include "core/base/b64.h"
#include "core/push/counts.h"
#include "core/room/append_impl.h"
#include "core/room/guest.h"
#include "core/room/line.h"
#include "core/room/pdu.h"
#include "core/room/relation.h"

STMT(append_room_insert,
    "INSERT INTO room (nid, id, version, public, last_room_pos, state_ver, extremities, depth, joined, invited, created_ts,"
    " n_a, n_b, n_c, n_d, n_e, end_nid, end_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)");
STMT(append_room_update,
    "UPDATE room SET last_room_pos = $2, state_ver = $3, extremities = $4, depth = $5, joined = $6, invited = $7,"
    " n_a = $8, n_b = $9, n_c = $10, n_d = $11, n_e = $12, end_nid = $13, end_id = $14, last_pos = stream_pos() WHERE nid = $1");
STMT_WARM(append_room_update, "web");
#define NO_SUMS	P_NULL, P_NULL, P_NULL, P_NULL, P_NULL
#define SINGLE_EVENT										\
	"INSERT INTO event (nid, room, room_pos, ts, type, state_key, sender, ver, at_ver, prev_state, thread, flags, id, content, pdu,"	\
	" push_class, members, n_a, n_b, n_c, n_d, n_e, cites, t_a, t_b, t_c, t_d, t_e)"	\
	" VALUES ($2, $1, $3, $4, $5, NULLIF($6::bigint, -1), $7, $8, $8, NULLIF($9::bigint, -1), NULLIF($10::bigint, -1), $11, $12, $13, $14,"	\
	" $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27)"
/* An event written alone: half of what the same costs out of arrays. */
STMT(append_single_event, SINGLE_EVENT);
STMT_WARM(append_single_event, "web");
/*
 * All that a message writes, as most events are: one statement, for each costs PostgreSQL more to begin and to end than such a row
 * does. What it does not change of the room is not written.
 */
STMT(append_message,
    "WITH e AS (" SINGLE_EVENT "),"
    " p AS (" READ_UP_TO_PUT("VALUES ($7, $1, $10, $3)") "),"
    " t AS (INSERT INTO txn (device, key, event, txn_id, ts) SELECT $30::bigint, $31::bytea, $2, $32::text, $33::bigint WHERE $32 IS NOT NULL)"
    " UPDATE room SET last_room_pos = $3, extremities = $28, depth = $29, n_a = $17, n_b = $18, n_c = $19, n_d = $20, n_e = $21,"
    " end_nid = $2, end_id = $12, last_pos = stream_pos() WHERE nid = $1");
STMT_WARM(append_message, "web");
STMT(append_events,
    "INSERT INTO event (nid, room, room_pos, ts, type, state_key, sender, ver, at_ver, prev_state, thread, flags, id, content, pdu,"
    " push_class, members, n_a, n_b, n_c, n_d, n_e, cites)"
    " SELECT nid, $1, room_pos, ts, type, NULLIF(key, -1), sender, ver, ver, NULLIF(prev, -1), NULLIF(thread, -1), flags, id, content, pdu,"
    " class, members, a, b, c, d, e, decode(cites, 'hex')"
    " FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[],"
    " $10::bigint[], $11::bigint[], $12::text[], $13::text[], $14::text[], $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[],"
    " $19::bigint[], $20::bigint[], $21::bigint[], $22::text[])"
    " u(nid, room_pos, ts, type, key, sender, ver, prev, thread, flags, id, content, pdu, class, members, a, b, c, d, e, cites)");
STMT(append_state_single,
    "WITH s AS (INSERT INTO state (room, type, key, since, event, membership) VALUES ($1, $2, $3, $4, $5, NULLIF($6::smallint, 0))) "
    CURRENT_STATE_PUT("VALUES ($1, $2, $3, $4, $5, NULLIF($6::smallint, 0))"));
STMT_WARM(append_state_single, "web");
STMT(append_state_many,
    "WITH u AS MATERIALIZED (SELECT * FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])"
    "	u(type, key, since, event, membership, passed)),"
    " s AS (INSERT INTO state (room, type, key, since, event, membership)"
    "	SELECT $1, type, key, since, event, NULLIF(membership, 0) FROM u) "
    CURRENT_STATE_PUT("SELECT $1, type, key, since, event, NULLIF(membership, 0) FROM u WHERE passed = 0"));
/* joined_pos stays when someone who was in the room is still in it, and when he leaves: it began his last stay. */
STMT(append_local_member,
    "INSERT INTO local_member AS m (usr, room, membership, event, room_pos, sender, stripped, joined_pos)"
    " SELECT usr, $1, membership, NULLIF(event, 0), room_pos, NULLIF(sender, 0), stripped, CASE WHEN membership = 2 THEN stream_pos() END"
    " FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[])"
    " u(usr, membership, event, room_pos, sender, stripped)"
    " ON CONFLICT (usr, room) DO UPDATE SET membership = excluded.membership, event = excluded.event,"
    " room_pos = excluded.room_pos, sender = excluded.sender, stripped = excluded.stripped, oob_pdu = NULL, forgotten = false,"
    " joined_pos = CASE WHEN excluded.membership = 2 AND m.membership <> 2 THEN stream_pos() ELSE m.joined_pos END");
STMT_WARM(append_local_member, "web");
STMT(append_txn_insert, "INSERT INTO txn (device, key, event, txn_id, ts) VALUES ($1, $2, $3, $4, $5)");
STMT_WARM(append_txn_insert, "web");
/* The original waits in redacted_original for a job to erase it; the first redaction stays the one that is named. */
STMT(append_redacted,
    "UPDATE event SET redacted_by = $2, redacted_original = json_build_array(content, pdu, flags)::text,"
    " content = $3, pdu = $4, flags = $5, cites = NULL WHERE nid = $1 AND redacted_by IS NULL");

/* The room's forward extremities, as a bigint[] parameter. */
static struct param
ends(struct append *ap)
{
	size_t n = ap->nleft + ap->nprev;
	int64_t *ext = arena_alloc(ap->cx->a, (n + 1) * sizeof *ext);

	for (size_t i = 0; i < ap->nprev; i++)
		ext[i] = ap->prev[i].nid;
	for (size_t i = 0; i < ap->nleft; i++)
		ext[ap->nprev + i] = ap->left[i];
	return P_I64S(ext, n);
}

static void
write_room(struct append *ap)
{
	const struct room *r = &ap->room;

	if (ap->fresh)
		db_queue(ap->cx, NULL, DB_NONE, &append_room_insert, P_I64(r->nid), P_TEXT(r->id), P_TEXT(r->rv->id), P_BOOL(r->public),
		    P_I64(r->last_room_pos), P_I64(r->state_ver), ends(ap), P_I64(r->depth), P_I64(r->joined), P_I64(r->invited),
		    P_I64(ap->cx->now), SUMS(r->sums), P_I64(ap->prev->nid), P_TEXT(ap->prev->id));
	else
		db_queue(ap->cx, NULL, DB_NONE, &append_room_update, P_I64(r->nid), P_I64(r->last_room_pos), P_I64(r->state_ver),
		    ends(ap), P_I64(r->depth), P_I64(r->joined), P_I64(r->invited), SUMS(r->sums),
		    P_I64(ap->prev->nid), P_TEXT(ap->prev->id));
}

#define EVENT_PARAMS(ap, m, c)									\
	P_I64((ap)->room.nid), P_I64((m)->nid), P_I64((m)->room_pos), P_I64((c)->ts), P_I64((m)->type_nid), P_I64((m)->key_nid),	\
	    P_I64((m)->sender_nid), P_I64((m)->ver), P_I64((m)->prev_state), P_I64((m)->thread), P_I64((c)->flags), P_TEXT((c)->id),	\
	    P_TEXT((c)->content), P_TEXT((c)->pdu), P_I64((m)->class), P_I64((m)->members), SUMS((m)->sums), P_BYTES((c)->cites, (c)->ncites)

static void
write_single_event(struct append *ap, const struct pdu_columns *c)
{
	const struct made *m = ap->made[0];

	if (m->thread < 0)
		db_queue(ap->cx, NULL, DB_NONE, &append_single_event, EVENT_PARAMS(ap, m, c), NO_SUMS);
	else
		db_queue(ap->cx, NULL, DB_NONE, &append_single_event, EVENT_PARAMS(ap, m, c), SUMS(m->thread_sums));
}

/* One event, of a user here, that changes no state. */
static bool
is_message(const struct append *ap)
{
	return ap->nmade == 1 && !ap->fresh && ap->made[0]->key_nid < 0 && ap->nmembers == 0 && name_is_local(ap->cx, ap->made[0]->ev.sender);
}

static void
write_message(struct append *ap)
{
	const struct made *m = ap->made[0];
	bool txn = ap->txn_id != NULL;
	struct pdu_columns col, *c = &col;

	event_columns(ap->cx->a, &m->ev, c);
#define MESSAGE_PARAMS	ends(ap), P_I64(ap->room.depth), P_I64(ap->cx->device), P_BYTES(txn ? ap->txn_key : NULL, txn ? sizeof ap->txn_key : 0),	\
	    P_TEXT(ap->txn_id), P_I64(ap->cx->now)
	if (m->thread < 0)
		db_queue(ap->cx, NULL, DB_NONE, &append_message, EVENT_PARAMS(ap, m, c), NO_SUMS, MESSAGE_PARAMS);
	else
		db_queue(ap->cx, NULL, DB_NONE, &append_message, EVENT_PARAMS(ap, m, c), SUMS(m->thread_sums), MESSAGE_PARAMS);
}

static void
write_events(struct append *ap)
{
	size_t n = ap->nmade;
	struct made **m = ap->made;
	struct pdu_columns *c = arena_alloc(ap->cx->a, n * sizeof *c);
	const char **id = arena_alloc(ap->cx->a, n * sizeof *id), **content = arena_alloc(ap->cx->a, n * sizeof *content),
	    **pdu = arena_alloc(ap->cx->a, n * sizeof *pdu), **cites = arena_alloc(ap->cx->a, n * sizeof *cites);

	for (size_t i = 0; i < n; i++) {
		event_columns(ap->cx->a, &m[i]->ev, &c[i]);
		id[i] = c[i].id;
		content[i] = c[i].content;
		pdu[i] = c[i].pdu;
		cites[i] = c[i].cites != NULL ? hex_encode(ap->cx->a, c[i].cites, c[i].ncites) : NULL;
	}
	if (n == 1) {
		write_single_event(ap, c);
		return;
	}
	assert(m[0]->thread < 0);	/* what is in a thread comes alone: here its sums would be missing */
	db_queue(ap->cx, NULL, DB_NONE, &append_events, P_I64(ap->room.nid), COLUMN(ap, n, m[i]->nid), COLUMN(ap, n, m[i]->room_pos),
	    COLUMN(ap, n, c[i].ts), COLUMN(ap, n, m[i]->type_nid), COLUMN(ap, n, m[i]->key_nid), COLUMN(ap, n, m[i]->sender_nid),
	    COLUMN(ap, n, m[i]->ver), COLUMN(ap, n, m[i]->prev_state), COLUMN(ap, n, m[i]->thread), COLUMN(ap, n, c[i].flags), P_TEXTS(id, n),
	    P_TEXTS(content, n), P_TEXTS(pdu, n), COLUMN(ap, n, m[i]->class), COLUMN(ap, n, m[i]->members), COLUMN(ap, n, m[i]->sums.n[0]),
	    COLUMN(ap, n, m[i]->sums.n[1]), COLUMN(ap, n, m[i]->sums.n[2]), COLUMN(ap, n, m[i]->sums.n[3]), COLUMN(ap, n, m[i]->sums.n[4]),
	    P_TEXTS(cites, n));
}

static void
write_state(struct append *ap)
{
	const struct state_row *s = ap->rows;
	size_t n = ap->nrows;

	if (n == 1)
		db_queue(ap->cx, NULL, DB_NONE, &append_state_single, P_I64(ap->room.nid), P_I64(s->type), P_I64(s->key), P_I64(s->since),
		    P_I64(s->event), P_I64(s->membership));
	else if (n > 1)
		db_queue(ap->cx, NULL, DB_NONE, &append_state_many, P_I64(ap->room.nid), COLUMN(ap, n, s[i].type),
		    COLUMN(ap, n, s[i].key), COLUMN(ap, n, s[i].since), COLUMN(ap, n, s[i].event),
		    COLUMN(ap, n, s[i].membership), COLUMN(ap, n, s[i].passed));
}

void
append_write_members(struct append *ap)
{
	const struct member_row *m = ap->members;
	size_t n = ap->nmembers;
	const char **stripped = arena_alloc(ap->cx->a, (n + 1) * sizeof *stripped);

	for (size_t i = 0; i < n; i++) {
		stripped[i] = m[i].stripped;
		touch_user(ap->cx, m[i].user);
	}
	if (n > 0)
		db_queue(ap->cx, NULL, DB_NONE, &append_local_member, P_I64(ap->room.nid), COLUMN(ap, n, m[i].user),
		    COLUMN(ap, n, m[i].membership), COLUMN(ap, n, m[i].event), COLUMN(ap, n, m[i].room_pos), COLUMN(ap, n, m[i].sender),
		    P_TEXTS(stripped, n));
}

static void
write_txn(struct append *ap)
{
	if (ap->txn_id != NULL)
		db_queue(ap->cx, NULL, DB_NONE, &append_txn_insert, P_I64(ap->cx->device), P_BYTES(ap->txn_key, sizeof ap->txn_key),
		    P_I64(ap->made[0]->nid), P_TEXT(ap->txn_id), P_I64(ap->cx->now));
}

void
append_close(struct append *ap)
{
	bool message;

	if (ap->nmade == 0)
		return;
	message = is_message(ap);
	if (ap->fresh)
		write_room(ap);		/* before what refers to it */
	if (message)
		write_message(ap);
	else
		write_events(ap);
	if (ap->rel != NULL)
		relation_write(ap);
	write_state(ap);
	append_write_members(ap);
	for (size_t i = 0; i < ap->nmade; i++)
		counts_write_event(ap, ap->made[i]);
	if (message) {
		counts_positions_written(ap);
	} else {
		counts_write_positions(ap);
		if (!ap->fresh)
			write_room(ap);
		write_txn(ap);
	}
	for (size_t i = 0; i < ap->nmade && !ap->fresh; i++)
		if (ap->made[i]->key_nid == NAME_EMPTY)
			guest_access_changed(ap->cx, ap->room.nid, ap->made[i]->type_nid, ap->made[i]->ev.content);
	touch_room(ap->cx, ap->room.nid);
}

enum err
append_redact_target(struct append *ap)
{
	struct ctx *cx = ap->cx;
	const struct room_event *t = ap->target;
	const struct made *by = ap->made[ap->nmade - 1];
	struct pdu_columns c = { t->id, ap->room.id, t->type, t->sender, t->state_key, t->ts, t->content, t->pdu, t->flags, NULL, 0 };
	struct event ev, pruned;
	enum err e;

	if (t->because != NULL)
		return M_OK;
	c.cites = db_bytes_of(cx->a, t->cites, &c.ncites);
	if ((e = event_load(cx, ap->room.rv, &c, &ev)) != M_OK)
		return e;
	event_complete(cx, &ev);	/* from what is left, neither hash nor signature would follow */
	pruned = ev;
	pruned.json = event_redact(cx->a, ap->room.rv, ev.json);
	pruned.content = json_get(pruned.json, "content");
	event_columns(cx->a, &pruned, &c);
	db_queue(cx, NULL, DB_NONE, &append_redacted, P_I64(t->nid), P_I64(by->nid), P_TEXT(c.content), P_TEXT(c.pdu),
	    P_I64((t->flags & ~EV_VERBATIM) | c.flags | EV_REDACTED));
	relation_forget(cx, t->nid);
	counts_forget(cx, t->nid);
	if (t->key_nid == NAME_EMPTY)
		guest_access_changed(cx, ap->room.nid, t->type_nid, pruned.content);
	return M_OK;
}
