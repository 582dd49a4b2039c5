/* core/room/merge.c - see merge.h. */
#include "core/room/merge.h"
#include "core/room/receive_impl.h"
#include <stdlib.h>

#define SENDERS_MAX 10	/* users who are tried: nearly always the first may */

STMT(merge_senders,
    "SELECT n.body FROM local_member m JOIN name n ON n.nid = m.usr WHERE m.room = $1 AND m.membership = 2 ORDER BY m.usr LIMIT $2");

/* An event of this server in the state after some of the ends. M_FORBIDDEN: this user may not. */
static enum err
build(struct receive *rc, const char *sender, struct stored *const *prev, size_t n, struct point before, struct incoming *out)
{
	struct ctx *cx = rc->cx;
	const struct room_version *rv = rc->ap.room.rv;
	struct event_draft d = { .rv = rv, .room = rc->ap.room.id, .type = MERGE_TYPE, .sender = sender, .content = json_new_obj(cx->a),
		.nprev = n, .depth = 1, .ts = cx->now };
	enum err e;

	d.prev_ids = arena_calloc(cx->a, n + 1, sizeof *d.prev_ids);
	d.prev_hashes = arena_calloc(cx->a, n + 1, sizeof *d.prev_hashes);
	for (size_t i = 0; i < n; i++) {
		d.prev_ids[i] = prev[i]->ev.id;
		d.prev_hashes[i] = rv->event_id_format == 1 ? event_reference_b64(cx->a, rv, prev[i]->ev.json) : NULL;
		if (prev[i]->ev.depth >= d.depth)
			d.depth = prev[i]->ev.depth < INT64_MAX ? prev[i]->ev.depth + 1 : INT64_MAX;
	}
	if ((e = receive_cite(rc, &d, before)) != M_OK)
		return e;
	*out = (struct incoming){ 0 };
	return event_build(cx, &d, &out->ev);
}

/* The event by the first of them who may send it in this state. */
static enum err
build_first(struct receive *rc, const char *const *senders, size_t nsenders, struct stored *const *prev, size_t n, struct point before,
    struct incoming *in, bool *found)
{
	enum err e;

	*found = false;
	for (size_t i = 0; i < nsenders && !*found; i++) {
		if ((e = build(rc, senders[i], prev, n, before, in)) != M_OK)
			return e;
		if ((e = receive_allowed(rc, in, before)) != M_OK && e != M_FORBIDDEN)
			return e;
		*found = e == M_OK;
	}
	return M_OK;
}

static enum err
merge_some(struct receive *rc, const char *const *senders, size_t nsenders, bool *done)
{
	size_t n = rc->next < EVENT_PREV_MAX ? rc->next : EVENT_PREV_MAX;
	struct stored *prev[EVENT_PREV_MAX];
	struct point before;
	struct received out;
	struct incoming in;
	bool found;
	enum err e;

	memcpy(prev, rc->ext, n * sizeof(struct stored *));
	*done = false;
	/* Where the ends meet is written down: not again at each event that comes when nobody may bring them together. */
	if ((e = build_first(rc, senders, nsenders, prev, n, (struct point){ 0, rc->ap.room.state_ver }, &in, &found)) != M_OK || !found)
		return e;
	if ((e = receive_meet(rc, prev, n, &before)) == M_TOO_LARGE)
		return M_OK;	/* nothing was written: they stay apart */
	if (e != M_OK ||
	    (e = build_first(rc, senders, nsenders, prev, n, before, &in, &found)) != M_OK || !found)
		return e;
	if ((e = receive_event(rc, &in, NULL, &out)) == M_OK)
		*done = out.is == RECEIVED;
	return e;
}

static int
newest_first(const void *a, const void *b)
{
	const struct stored *x = *(struct stored *const *)a, *y = *(struct stored *const *)b;

	return (x->room_pos < y->room_pos) - (x->room_pos > y->room_pos);
}

/* What the oldest ends led to stays in line 0: its version takes part in resolution from now on. */
static void
cut_ends(struct receive *rc)
{
	qsort(rc->ext, rc->next, sizeof(struct stored *), newest_first);
	rc->next = ENDS_KEPT;
	rc->cut_ver = rc->ap.room.state_ver;
	rc->changed = true;
}

enum err
merge_ends(struct ctx *cx, const char *room_id)
{
	struct receive rc;
	struct rows r;
	const char *senders[SENDERS_MAX];
	size_t n = 0;
	bool done = true;
	enum err e;

	receive_init(&rc, cx);
	rc.merging = true;
	if ((e = receive_begin(&rc, cx, room_id)) != M_OK ||
	    (e = db_query(cx, &r, &merge_senders, P_I64(rc.ap.room.nid), P_I64(SENDERS_MAX))) != M_OK)
		return e;
	while (db_next(&r))
		senders[n++] = db_text(&r, 0);
	while (done && rc.next > EVENT_PREV_MAX)
		if ((e = merge_some(&rc, senders, n, &done)) != M_OK)
			return e;
	if (rc.next > ENDS_MAX)
		cut_ends(&rc);
	return receive_close(&rc);
}
