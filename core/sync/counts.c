/*
 * core/sync/counts.c - unread counts in an answer (Client-Server API, "Receiving notifications"; core/push/counts.h).
 *
 * Every joined room in an answer has its counts, of the same snapshot as its events. They also come alone: after a receipt of the
 * user's own, after an event that a filter hides but that may count, and, for all rooms with something unread, after a
 * change of his push rules or of whom he ignores.
 */
#include "core/room/names.h"
#include "core/sync/impl.h"

/* Where a change of rules can make a difference. */
STMT(sync_my_unread,
    "SELECT m.room FROM unnest(ARRAY(SELECT room FROM local_member WHERE usr = $1 AND membership = 2)) m(room)"
    " CROSS JOIN LATERAL (SELECT last_room_pos FROM room WHERE nid = m.room OFFSET 0) r"
    " CROSS JOIN LATERAL (SELECT coalesce(max(room_pos) FILTER (WHERE thread = 0), 0) AS u, coalesce(max(room_pos), 0) AS main"
    "	FROM read_up_to WHERE usr = $1 AND room = m.room AND thread <= 0 OFFSET 0) p"
    " WHERE r.last_room_pos > p.main OR (SELECT true FROM thread_count t WHERE t.room = m.room AND t.last_pos > p.u LIMIT 1)");

/* ---- whose rules */

static bool
wanted(const struct sync_req *q)
{
	return q->w->kind == 0;
}

static void
learn(struct sync_run *run, struct sync_req *q, const struct push_reader *r)
{
	struct ring_user *u = ring_user(run->ring, q->w->user_nid);

	q->reader = push_reader_copy(run->cx->a, r);
	if (u && !u->reader)
		ring_user_reader(run->ring, u, q->reader);
}

/* ---- light requests */

void
counts_queue(struct sync_run *run, struct counts_load *l, struct sync_req **q, size_t n)
{
	struct ctx *cx = run->cx;
	size_t i, k, all = 0, m = 0;

	*l = (struct counts_load){ .q = q, .n = n, .users = arena_alloc(cx->a, (n + 1) * sizeof *l->users) };
	for (i = 0; i < n; i++)
		all += wanted(q[i]) ? q[i]->nrooms : 0;
	l->v = arena_calloc(cx->a, all + 1, sizeof *l->v);
	for (i = 0; i < n; i++) {
		if (!wanted(q[i]) || q[i]->nrooms == 0)
			continue;
		if (!q[i]->reader)
			l->users[l->nusers++] = q[i]->w->user_nid;
		q[i]->unread = l->v + m;
		for (k = 0; k < q[i]->nrooms; k++)
			l->v[m++] = (struct unread_room){ .reader = q[i]->reader, .usr = q[i]->w->user_nid, .room = q[i]->rooms[k] };
	}
	push_readers_queue(cx, &l->readers, l->users, l->nusers);
	unread_queue(cx, &l->unread, l->v, all);
}

void
counts_take(struct sync_run *run, struct counts_load *l)
{
	struct push_reader *found = arena_calloc(run->cx->a, l->nusers + 1, sizeof *found);
	size_t i, k, at = 0;

	push_readers_take(run->cx, &l->readers, l->users, l->nusers, found);
	for (i = 0; i < l->n; i++) {
		struct sync_req *q = l->q[i];

		if (!q->unread || q->reader)
			continue;
		learn(run, q, &found[at++]);
		for (k = 0; k < q->nrooms; k++)
			q->unread[k].reader = q->reader;
	}
	unread_take(run->cx, &l->unread);
	for (i = 0; i < l->n; i++)
		for (k = 0; l->q[i]->unread && k < l->q[i]->nrooms; k++)
			l->q[i]->alone |= l->q[i]->unread[k].lacking;
}

/* ---- a request alone */

void
counts_alone_queue(struct sync_run *run, struct rows *r, const struct sync_req *q)
{
	*r = (struct rows){ 0 };
	if (wanted(q) && !q->reader)
		push_readers_queue(run->cx, r, &q->w->user_nid, 1);
}

void
counts_alone_take(struct sync_run *run, struct rows *r, struct sync_req *q)
{
	struct push_reader found;

	if (r->res) {
		push_readers_take(run->cx, r, &q->w->user_nid, 1, &found);
		learn(run, q, &found);
	}
	/* Now, for the pieces have memory of their own. */
	if (q->reader && (q->reader->nignored > 0 || push_modes_custom(&q->reader->modes)))
		push_reader_rules(run->cx->a, q->reader);
}

void
counts_rooms_queue(struct sync_run *run, struct rows *r, const struct sync_req *q)
{
	*r = (struct rows){ 0 };
	if (wanted(q) && !q->initial && (q->rules_news || q->ignored_news))
		db_queue(run->cx, r, DB_ANY, &sync_my_unread, P_I64(q->w->user_nid));
}

void
counts_piece_queue(struct sync_run *run, struct unread_load *l, struct sync_req *q, struct sync_job *jobs, size_t n)
{
	struct unread_room *v = arena_calloc(run->cx->a, n + 1, sizeof *v);
	size_t i, k = 0;

	for (i = 0; wanted(q) && i < n; i++)
		if (jobs[i].section == SECT_JOIN) {
			jobs[i].unread = &v[k];
			v[k++] = (struct unread_room){ .reader = q->reader, .usr = q->w->user_nid, .room = jobs[i].room_nid };
		}
	unread_queue(run->cx, l, v, k);
}

/* ---- what a reader is told of a room */

/* mode: the reader's in the room. What he says is read up to there, and the device that said it knows that. */
static bool
may_count(const struct sync_req *q, unsigned mode, const struct sync_event *e)
{
	const struct room_event *ev = &e->ev;

	if (!position_new(&q->since, ev->pos) || ignores(q, ev->sender))
		return false;
	if (ev->sender_nid == q->w->user_nid)
		return ev->type_nid != T_MEMBER && !(e->txn_id && e->txn_device == q->w->device);
	return ev->type_nid == T_REDACTION || (mode & (MODE_CUSTOM | MODE_SENDERS)) != 0 ||
	    (e->push_class >= PUSH_OTHER && (mode & MODE_CLASS(e->push_class)) != 0) ||
	    (e->push_class >= PUSH_QUIET && (mode & MODE_MENTION) != 0 && (!ev->content || strstr(ev->content, "\"m.mentions\"") != NULL));
}

bool
counts_news(const struct sync_req *q, const struct sync_job *j)
{
	const struct sync_room *m = j->room;
	unsigned mode;
	size_t i;

	if (!j->unread)
		return false;
	if (q->rules_news || q->ignored_news)
		return true;
	for (i = 0; i < m->nreceipts; i++)
		if (m->receipts[i].usr == q->w->user_nid && position_new(&q->since, m->receipts[i].pos))
			return true;
	mode = push_mode_in(&q->reader->modes, m->id);
	for (i = 0; i < m->ntl; i++)
		if (may_count(q, mode, m->tl[i]))
			return true;
	return false;
}

static void
write_counts(struct sync_req *q, const char *key, struct unread n)
{
	json_obj(&q->o, key);
	json_int(&q->o, "highlight_count", n.highlight);
	json_int(&q->o, "notification_count", n.notify);
	json_end(&q->o);
}

void
counts_section(struct sync_req *q, const struct sync_job *j)
{
	const struct unread_room *u = j->unread;
	bool threads = q->f->timeline.thread_counts;
	size_t i;

	if (!u)
		return;
	write_counts(q, "unread_notifications", threads ? u->main : u->all);
	if (!threads || u->nthreads == 0)
		return;
	json_obj(&q->o, "unread_thread_notifications");
	for (i = 0; i < u->nthreads; i++)
		if (u->threads[i].root_id) {
			json_key_esc(&q->o, u->threads[i].root_id);
			write_counts(q, NULL, u->threads[i].n);
		}
	json_end(&q->o);
}
