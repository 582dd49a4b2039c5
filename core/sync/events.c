/*
 * core/sync/events.c - the old stream of events (Client-Server API, "GET /events", deprecated) as a view of the same streams.
 *
 * A flat list, each event with its room: what is new in joined rooms, what ended a stay,
 * invitations, receipts, typing, presence, account data. Where more is new than a timeline holds (FILTER_LIMIT_MAX) the
 * oldest are left out: clients of this stream cannot be told of gaps.
 */
#include "core/room/access.h"
#include "core/sync/impl.h"

void
events_data(struct sync_req *q, int64_t room, const char *id)
{
	size_t i;

	for (i = 0; i < q->ndata; i++) {
		if (q->data[i].room != room)
			continue;
		json_obj(&q->o, NULL);
		json_esc(&q->o, "type", q->data[i].type);
		json_raw(&q->o, "content", q->data[i].content);
		if (id)
			json_esc(&q->o, "room_id", id);
		json_end(&q->o);
		q->news = true;
	}
}

void
events_open(struct sync_run *run, struct sync_req *q)
{
	if (q->w->kind == SYNC_INITIAL) {
		initial_open(run, q);
		return;
	}
	json_obj(&q->o, NULL);
	json_str(&q->o, "start", q->w->since);
	json_str(&q->o, "end", q->w->next);
	json_arr(&q->o, "chunk");
	presence_events(run, q);
	events_data(q, 0, NULL);
}

/* An invitation or a knock: the member event alone. */
static void
write_member(struct sync_run *run, struct sync_req *q, const struct sync_job *j)
{
	size_t i;

	for (i = 0; i < j->nstate; i++) {
		const struct room_event *ev = &j->state[i]->ev;

		if (ev->nid != j->member->event)
			continue;
		room_event_write(&q->o, NULL, ev, j->room->id, run->cx->now, MEM_NONE, NULL);
		q->news = true;
	}
}

void
events_job(struct sync_run *run, struct arena *a, struct sync_req *q, struct sync_job *j)
{
	int live = live_news(run, q, j);
	size_t i;

	if (q->w->kind == SYNC_INITIAL) {
		initial_job(run, a, q, j);
		return;
	}
	if (j->section == SECT_INVITE || j->section == SECT_KNOCK) {
		write_member(run, q, j);
		return;
	}
	for (i = 0; i < j->nshown; i++) {
		struct sync_event *e = j->shown[i];
		const char *txn = e->txn_id && e->txn_device == q->w->device ? e->txn_id : NULL;

		if (!position_new(&q->since, e->ev.pos))	/* what was before a join is no news */
			continue;
		room_event_write(&q->o, NULL, &e->ev, j->room->id, run->cx->now,
		    j->vis ? visibility_membership(a, j->vis, &e->ev) : MEM_JOIN, txn);
		q->news = true;
	}
	if (j->section == SECT_JOIN)
		events_data(q, j->room->nid, j->room->id);
	if (live) {
		live_events(run, q, j, live);
		q->news = true;
	}
}

void
events_close(struct sync_req *q)
{
	json_end(&q->o);
	if (q->w->kind == SYNC_INITIAL)
		initial_rest(q);
	json_end(&q->o);
	q->body = q->o.b.s;
	q->body_n = q->o.b.n;
}

enum err
sync_now(struct ctx *cx, const char **token)
{
	struct position p;
	enum err e;

	db_begin(cx, TX_RO);
	if ((e = position_now(cx, &p, NULL, 0)) != M_OK || (e = db_commit(cx)) != M_OK) {
		db_rollback(cx);
		return e;
	}
	*token = token_encode(cx->a, &p);
	return M_OK;
}

enum err
sync_peek(struct ctx *cx, const char *room, struct sync_wait *w)
{
	int64_t *nid = arena_alloc(cx->a, sizeof *nid);
	struct room_access acc;
	enum err e;

	db_begin(cx, TX_RO);
	if ((e = access_open(cx, room, &acc)) == M_OK && acc.top < acc.last_room_pos)	/* he has left it */
		e = fail(cx, M_FORBIDDEN, "you are not in this room");
	if (e != M_OK || (e = db_commit(cx)) != M_OK) {
		db_rollback(cx);
		return e;
	}
	*nid = acc.room;
	w->kind = SYNC_PEEK;
	w->rooms = nid;
	w->nrooms = 1;
	return M_OK;
}
