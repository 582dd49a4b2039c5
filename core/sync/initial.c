/*
 * core/sync/initial.c - the oldest view of all (Client-Server API, "GET /initialSync", deprecated): a first sync, said otherwise.
 *
 * A list of rooms, each with its newest events, its present state and what the user keeps about it; then receipts,
 * which the specification does not name but clients of then read. Knocking was not known.
 */
#include "core/sync/impl.h"

void
initial_open(struct sync_run *run, struct sync_req *q)
{
	json_out_init(&q->receipts, run->cx->a);
	json_arr(&q->receipts, NULL);
	json_obj(&q->o, NULL);
	json_str(&q->o, "end", q->w->next);
	json_arr(&q->o, "account_data");
	events_data(q, 0, NULL);
	json_end(&q->o);
	json_arr(&q->o, "presence");
	presence_events(run, q);
	json_end(&q->o);
	json_arr(&q->o, "rooms");
	q->news = true;
}

static void
write_messages(struct sync_run *run, struct arena *a, struct sync_req *q, const struct sync_job *j)
{
	int64_t top = j->room->last_room_pos < j->room->top ? j->room->last_room_pos : j->room->top;
	size_t i;

	json_obj(&q->o, "messages");
	json_arr(&q->o, "chunk");
	for (i = 0; i < j->nshown; i++) {
		struct sync_event *e = j->shown[i];

		room_event_write(&q->o, NULL, &e->ev, j->room->id, run->cx->now, j->vis ? visibility_membership(a, j->vis, &e->ev) : MEM_JOIN,
		    e->txn_id && e->txn_device == q->w->device ? e->txn_id : NULL);
	}
	json_end(&q->o);
	json_str(&q->o, "end", room_token(a, top));
	json_str(&q->o, "start", room_token(a, j->before));
	json_end(&q->o);
}

static void
write_state(struct sync_run *run, struct sync_req *q, const struct sync_job *j)
{
	size_t i;

	json_arr(&q->o, "state");
	for (i = 0; i < j->nstate; i++)
		room_event_write(&q->o, NULL, &j->state[i]->ev, j->room->id, run->cx->now, MEM_NONE, NULL);
	json_end(&q->o);
}

/* The receipts of a room go to their own list. */
static void
keep_receipts(struct sync_run *run, struct sync_req *q, const struct sync_job *j)
{
	struct json_out answer = q->o;
	int live = live_news(run, q, j);

	if (!live)
		return;
	q->o = q->receipts;
	live_events(run, q, j, live);
	q->receipts = q->o;
	q->o = answer;
}

void
initial_job(struct sync_run *run, struct arena *a, struct sync_req *q, struct sync_job *j)
{
	size_t i;

	if (j->section == SECT_KNOCK || (j->section == SECT_LEAVE && !q->f->include_leave))
		return;
	json_obj(&q->o, NULL);
	json_esc(&q->o, "room_id", j->room->id);
	json_str(&q->o, "membership", membership_name(j->member ? j->member->membership : MEM_JOIN));
	if (j->section == SECT_INVITE) {
		for (i = 0; j->member && i < j->nstate; i++)
			if (j->state[i]->ev.nid == j->member->event)
				room_event_write(&q->o, "invite", &j->state[i]->ev, j->room->id, run->cx->now, MEM_NONE, NULL);
	} else {
		write_messages(run, a, q, j);
		write_state(run, q, j);
		json_str(&q->o, "visibility", j->room->public ? "public" : "private");
		json_arr(&q->o, "account_data");
		events_data(q, j->room->nid, NULL);
		json_end(&q->o);
		keep_receipts(run, q, j);
	}
	json_end(&q->o);
}

void
initial_rest(struct sync_req *q)
{
	json_end(&q->receipts);
	json_rawn(&q->o, "receipts", q->receipts.b.s, q->receipts.b.n);
}
