/* core/sync/answer.c - the JSON of an answer (Client-Server API, "Syncing"). No SQL here. */
#include "core/room/names.h"
#include "core/room/pdu.h"
#include "core/sync/impl.h"

#define HEROES 5		/* named at most */

const char *const section_names[] = { "join", "invite", "knock", "leave" };

/* ---- events */

/* The text that most readers share: who is joined, and did not send it. */
static void
shared_text(struct sync_run *run, struct sync_event *e, bool joined)
{
	struct buf b;

	buf_init(&b, run->cx->a);
	buf_reserve(&b, strlen(e->ev.content) + 512);
	room_event_base(&b, &e->ev, NULL);
	room_event_unsigned(&b, &e->ev, NULL, run->cx->now, joined ? MEM_JOIN : MEM_NONE, NULL);
	e->text[joined] = b.s;
	e->text_n[joined] = b.n;
}

/* event_format "federation": the PDU as it is, and its id, which is not in it from room version 3 on. */
static void
write_pdu(struct ctx cx, struct json_out *o, struct arena *a, const struct sync_room *m, const struct room_event *ev)
{
	struct pdu_columns c = { .id = ev->id, .room = m->id, .type = ev->type, .sender = ev->sender, .state_key = ev->state_key,
	    .ts = ev->ts, .content = ev->content, .pdu = ev->pdu, .flags = ev->flags };
	struct buf b;

	c.cites = db_bytes_of(a, ev->cites, &c.ncites);
	cx.a = a;
	buf_init(&b, a);
	event_assemble(&cx, &b, m->rv, &c);
	if (m->rv->event_id_format > 1 && b.n > 2) {
		b.n--;
		buf_puts(&b, ",\"event_id\":\"");
		buf_puts(&b, ev->id);
		buf_puts(&b, "\"}");
	}
	json_rawn(o, NULL, b.s, b.n);
}

/* membership: the reader's at the event; MEM_NONE for state, where it is not told. */
static void
write_event(struct sync_run *run, struct arena *a, struct sync_req *q, const struct sync_room *m, struct sync_event *e,
    enum membership membership)
{
	const char *txn = e->txn_id && e->txn_device == q->w->device ? e->txn_id : NULL;
	bool joined = membership == MEM_JOIN;
	struct buf own, *b = run->scratch;
	struct json *v;

	if (q->f->federation && m->rv) {
		write_pdu(*run->cx, &q->o, a, m, &e->ev);
		return;
	}
	if (!run->scratch && !txn && !q->f->only_fields && (joined || membership == MEM_NONE)) {
		if (!e->text[joined])
			shared_text(run, e, joined);
		json_rawn(&q->o, NULL, e->text[joined], e->text_n[joined]);
		return;
	}
	if (b == NULL)
		buf_init(b = &own, a);
	b->n = 0;
	room_event_base(b, &e->ev, NULL);
	room_event_unsigned(b, &e->ev, NULL, run->cx->now, membership, txn);
	if (q->f->only_fields && json_parse(a, b->s, b->n, &v) == JSON_OK)
		json_value(&q->o, NULL, filter_fields(a, q->f, v));
	else
		json_rawn(&q->o, NULL, b->s, b->n);
}

static enum membership
membership_at(struct arena *a, const struct sync_job *j, const struct sync_event *e)
{
	return j->vis ? visibility_membership(a, j->vis, &e->ev) : MEM_JOIN;
}

/* ---- what state is sent */

static bool
among(struct sync_event *const *v, size_t n, const struct sync_event *e)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (v[i]->ev.nid == e->ev.nid)
			return true;
	return false;
}

/* Lazy-loading: is this user one whose member event the reader needs with this answer? */
static bool
needed(const struct sync_req *q, const struct sync_job *j, int64_t user)
{
	size_t i;

	if (j->full && user == q->w->user_nid)
		return true;
	for (i = 0; i < j->nshown; i++)
		if (j->shown[i]->ev.sender_nid == user)
			return true;
	return false;
}

/*
 * The members who sent what is shown, oneself and the heroes. They pass whatever
 * the state filter says. Sending them each time is always valid ("redundant"
 * members): what a device has got need not be remembered.
 */
static size_t
add_members(const struct sync_req *q, const struct sync_job *j, struct sync_event **out, size_t n, bool heroes)
{
	const struct sync_room *m = j->room;
	int64_t ver = q->w->use_state_after ? j->v1 : j->v0;
	size_t i;

	for (i = 0; i < m->nmembers; i++) {
		const struct sync_state *s = &m->members[i];

		if (s->since <= ver && s->until > ver && needed(q, j, s->key) && !among(out, n, s->event))
			out[n++] = s->event;
	}
	for (i = 0; heroes && i < m->nheroes; i++)
		if (!among(out, n, m->heroes[i]) && !among(j->shown, j->nshown, m->heroes[i]))
			out[n++] = m->heroes[i];
	return n;
}

static int
by_order(const void *a, const void *b)
{
	const struct room_event *x = &(*(struct sync_event *const *)a)->ev, *y = &(*(struct sync_event *const *)b)->ev;

	if (x->room_pos != y->room_pos)
		return (x->room_pos > y->room_pos) - (x->room_pos < y->room_pos);
	return (x->nid > y->nid) - (x->nid < y->nid);
}

static size_t
state_events(struct arena *a, const struct sync_req *q, const struct sync_job *j, bool heroes, struct sync_event ***out)
{
	const struct event_filter *f = &q->f->state;
	size_t i, k = 0, n = state_pick(a, q, j, out), max = n + j->room->nmembers + j->room->nheroes;
	struct sync_event **v = arena_alloc(a, (max + 1) * sizeof *v);

	for (i = 0; i < n; i++) {
		const struct room_event *ev = &(*out)[i]->ev;

		if (filter_event(f, j->room->id, ev->type, ev->sender, ev->content))
			v[k++] = (*out)[i];
	}
	if (f->lazy_members)
		k = add_members(q, j, v, k, heroes);
	qsort(v, k, sizeof *v, by_order);
	*out = v;
	return k;
}

/* ---- parts of a room */

static void
open_section(struct sync_req *q, enum section s)
{
	if (q->section == (int)s)
		return;
	if (q->section < 0)
		json_obj(&q->o, "rooms");
	else
		json_end(&q->o);
	json_obj(&q->o, section_names[s]);
	q->section = (int)s;
}

static bool
says_joined(struct arena *a, const char *content)
{
	struct json *v;

	return json_parse(a, content, strlen(content), &v) == JSON_OK && json_str_eq(json_get(v, "membership"), "join");
}

/*
 * Of a member who stays joined at most the order among the heroes changes: to be told where there are more of them than are named.
 */
static bool
stays_joined(struct arena *a, const struct sync_room *m, const struct room_event *ev)
{
	return (m->nheroes == 0 || m->joined + m->invited <= HEROES + 1) && ev->prev && ev->line == 0 &&
	    says_joined(a, room_event_content(a, ev)) && says_joined(a, ev->prev[1]);
}

/* Did something change that names or counts the room: members, its name, its alias? */
static bool
summary_news(const struct sync_req *q, const struct sync_job *j)
{
	const struct sync_room *m = j->room;
	size_t i;

	if (j->section != SECT_JOIN)
		return false;
	if (j->full)
		return true;
	for (i = 0; i < m->ndelta; i++) {
		int64_t t = m->delta[i].type;

		if ((t == T_MEMBER || t == T_NAME || t == T_CANONICAL_ALIAS) && position_new(&q->since, m->delta[i].pos) &&
		    !(t == T_MEMBER && stays_joined(q->o.b.a, m, &m->delta[i].event->ev)))
			return true;
	}
	return false;
}

static void
write_summary(struct sync_req *q, const struct sync_job *j)
{
	const struct sync_room *m = j->room;
	size_t i, n = 0;

	json_obj(&q->o, "summary");
	if (m->nheroes > 0) {	/* else the room has a name. One who is alone in it has no heroes, and is told so */
		json_arr(&q->o, "m.heroes");
		for (i = 0; i < m->nheroes && n < HEROES; i++) {
			const struct room_event *ev = &m->heroes[i]->ev;

			if (!ev->state_key || ev->key_nid == q->w->user_nid)
				continue;
			json_esc(&q->o, NULL, ev->state_key);
			n++;
		}
		json_end(&q->o);
	}
	json_int(&q->o, "m.joined_member_count", m->joined);
	json_int(&q->o, "m.invited_member_count", m->invited);
	json_end(&q->o);
}

static void
write_timeline(struct sync_run *run, struct arena *a, struct sync_req *q, const struct sync_job *j)
{
	size_t i;

	json_obj(&q->o, "timeline");
	json_arr(&q->o, "events");
	for (i = 0; i < j->nshown; i++)
		write_event(run, a, q, j->room, j->shown[i], membership_at(a, j, j->shown[i]));
	json_end(&q->o);
	json_bool(&q->o, "limited", j->limited);
	json_str(&q->o, "prev_batch", room_token(a, j->before));
	json_end(&q->o);
}

static void
write_state(struct sync_run *run, struct arena *a, struct sync_req *q, const struct sync_job *j, const char *key,
    struct sync_event **v, size_t n)
{
	size_t i;

	json_obj(&q->o, key);
	json_arr(&q->o, "events");
	for (i = 0; i < n; i++)
		write_event(run, a, q, j->room, v[i], MEM_NONE);
	json_end(&q->o);
	json_end(&q->o);
}

static void
write_data_event(struct sync_req *q, const struct sync_data *d)
{
	json_obj(&q->o, NULL);
	json_esc(&q->o, "type", d->type);
	json_raw(&q->o, "content", d->content);
	json_end(&q->o);
}

/* The account data of a room (0: global) that passes the filter; counts only when write is false. */
static size_t
room_data(struct sync_req *q, int64_t room, const char *id, bool write)
{
	const struct event_filter *f = room ? &q->f->room_data : &q->f->account_data;
	size_t i, n = 0;

	for (i = 0; i < q->ndata; i++) {
		const struct sync_data *d = &q->data[i];

		if (d->room != room || !filter_event(f, id, d->type, NULL, d->content))
			continue;
		n++;
		if (write)
			write_data_event(q, d);
	}
	return n;
}

static void
write_account_data(struct sync_req *q, int64_t room, const char *id)
{
	json_obj(&q->o, "account_data");
	json_arr(&q->o, "events");
	room_data(q, room, id, true);
	json_end(&q->o);
	json_end(&q->o);
}

static const char *
state_key_name(const struct sync_wait *w)
{
	if (!w->use_state_after)
		return "state";
	return w->unstable_state_after ? "org.matrix.msc4222.state_after" : "state_after";
}

/*
 * Empty sections of a room that goes on are left out; state_after is there in any case, for it says that the server
 * knows it. A room that begins or has ended has all that clients look for in one.
 */
static void
write_events(struct sync_run *run, struct arena *a, struct sync_req *q, const struct sync_job *j, struct sync_event **state, size_t nstate)
{
	bool whole = j->full || j->section == SECT_LEAVE;

	if (nstate > 0 || whole || q->w->use_state_after)
		write_state(run, a, q, j, state_key_name(q->w), state, nstate);
	if (j->nshown > 0 || whole || j->limited)
		write_timeline(run, a, q, j);
}

/* A room that one is or was in. */
static void
answer_room(struct sync_run *run, struct arena *a, struct sync_req *q, struct sync_job *j)
{
	bool summary = summary_news(q, j);
	int live = live_news(run, q, j);
	size_t ndata = room_data(q, j->room->nid, j->room->id, false), nstate;
	struct sync_event **state;

	nstate = state_events(a, q, j, summary, &state);
	if (!j->nshown && !j->limited && !nstate && !ndata && !summary && !live && !j->full && j->section == SECT_JOIN &&
	    !counts_news(q, j))
		return;
	open_section(q, j->section);
	json_key_esc(&q->o, j->room->id);
	json_obj(&q->o, NULL);
	if (summary)
		write_summary(q, j);
	write_events(run, a, q, j, state, nstate);
	if (ndata > 0)
		write_account_data(q, j->room->nid, j->room->id);
	if (live || (j->full && j->section == SECT_JOIN))
		live_write(run, q, j, live);
	counts_section(q, j);
	json_end(&q->o);
	q->news = true;
}

static void
answer_stripped(struct sync_req *q, struct sync_job *j)
{
	size_t i;

	open_section(q, j->section);
	json_key_esc(&q->o, j->room->id);
	json_obj(&q->o, NULL);
	json_obj(&q->o, j->section == SECT_INVITE ? "invite_state" : "knock_state");
	if (j->member->stripped) {
		json_raw(&q->o, "events", j->member->stripped);
	} else {
		json_arr(&q->o, "events");
		for (i = 0; i < j->nstate; i++) {
			const struct room_event *ev = &j->state[i]->ev;

			if (ev->state_key)
				room_event_stripped(&q->o, ev->type, ev->sender, ev->state_key,
				    room_event_content(q->o.b.a, ev));
		}
		json_end(&q->o);
	}
	json_end(&q->o);
	json_end(&q->o);
	q->news = true;
}

void
answer_job(struct sync_run *run, struct arena *a, struct sync_req *q, struct sync_job *j)
{
	if (q->w->kind != 0)
		events_job(run, a, q, j);
	else if (j->section == SECT_INVITE || j->section == SECT_KNOCK)
		answer_stripped(q, j);
	else
		answer_room(run, a, q, j);
}

/* ---- the whole */

void
answer_open(struct sync_run *run, struct sync_req *q)
{
	struct position next = run->now;

	json_out_init(&q->o, run->cx->a);
	q->section = -1;
	q->news = q->initial || q->w->full_state;
	if (q->w->kind == 0) {	/* /events delivers no messages, so its tokens acknowledge none */
		next.td_pos = q->inbox->td_pos;
		next.td_id = q->inbox->td_id;
	}
	q->w->next = token_encode(run->cx->a, &next);
	q->w->seen = run->seen;
	if (q->w->kind != 0) {
		events_open(run, q);
		return;
	}
	json_obj(&q->o, NULL);
	json_str(&q->o, "next_batch", q->w->next);
	if (room_data(q, 0, NULL, false) > 0) {
		write_account_data(q, 0, NULL);
		q->news = true;
	}
	keys_write(q);
	presence_section(run, q);
}

void
answer_close(struct sync_run *run, struct sync_req *q)
{
	if (q->w->kind != 0) {
		events_close(q);
		return;
	}
	if (q->section >= 0) {
		json_end(&q->o);
		json_end(&q->o);
	}
	keys_write_counts(q);
	json_end(&q->o);
	q->body = q->o.b.s;
	q->body_n = q->o.b.n;
}
