/*
 * core/sync/timeline.c - from what was loaded to what one reader sees. Pure.
 *
 * New events of a room are a suffix of its order (the room's lock makes them
 * commit in the order of room_pos), so a timeline is picked from the newest event down to the
 * first that is not new.
 */
#include "core/room/names.h"
#include "core/sync/impl.h"

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

bool
ignores(const struct sync_req *q, const char *user)
{
	return q->nignored > 0 && bsearch(&user, q->ignored, q->nignored, sizeof *q->ignored, by_text) != NULL;
}

/* Does the reader want, and may he see, this event? Ignored users: state is still sent (Client-Server API, "Ignoring Users"). */
static bool
wanted(struct arena *a, const struct sync_req *q, const struct sync_job *j, const struct sync_event *e)
{
	const struct room_event *ev = &e->ev;
	bool own_end = j->member && ev->nid == j->member->event;

	if (j->vis && !own_end && !visibility_allows(a, j->vis, ev))
		return false;
	if (e->lost && !own_end && !q->w->use_state_after)
		return false;
	if (!ev->state_key && ignores(q, ev->sender))
		return false;
	return filter_event(&q->f->timeline, j->room->id, ev->type, ev->sender, ev->content);
}

static void
reverse(struct sync_event **v, size_t n)
{
	size_t i;

	for (i = 0; i < n / 2; i++) {
		struct sync_event *t = v[i];

		v[i] = v[n - 1 - i];
		v[n - 1 - i] = t;
	}
}

/* What follows from the events shown: where the timeline begins, for /messages and for the state. */
static void
timeline_bounds(const struct sync_req *q, struct sync_job *j, size_t scanned)
{
	const struct sync_room *m = j->room;

	j->v0 = j->v1 = j->section == SECT_LEAVE ? j->vis->joined_until : m->state_ver;
	if (j->nshown > 0) {
		const struct room_event *first = &j->shown[0]->ev;

		j->before = first->room_pos - 1;
		if (first->at_ver >= 0 && first->at_ver < j->v1)
			j->v0 = first->at_ver;
	}
	j->vs = q->w->use_state_after || j->hid_state ? j->v1 : j->v0;
	if (j->nshown > 0)
		return;
	if (!j->limited || m->ntl == 0)	/* none and limited: a purge has taken all up to where he left */
		j->before = m->ntl > 0 ? m->tl[0]->ev.room_pos : m->last_room_pos < m->top ? m->last_room_pos : m->top;
	else	/* limit 0: the gap ends with the newest event; else nothing was found as far as we looked */
		j->before = q->f->timeline.limit == 0 ? m->tl[0]->ev.room_pos : m->tl[scanned - 1]->ev.room_pos - 1;
}

/*
 * Here the timeline ends, for the client knows what is below. Who comes back into a room sees the newest of what he
 * may see, but nothing a second time: what came while he was in it before.
 */
static bool
known(struct arena *a, const struct sync_req *q, const struct sync_job *j, const struct sync_event *e)
{
	if (q->initial || position_new(&q->since, e->ev.pos))
		return false;
	return !j->fresh || j->vis == NULL || visibility_was_in(a, j->vis, &e->ev);
}

static bool
same_key(struct sync_event *const *v, size_t n, const struct sync_event *e)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (v[i]->ev.key_nid == e->ev.key_nid && v[i]->ev.type_nid == e->ev.type_nid)
			return true;
	return false;
}

/*
 * Would it undo, for a client that takes its state from timelines, a newer state event that the timeline hides (by the
 * filter, or because the reader may not see it)? `state` tells that newer one, but comes before the timeline. So
 * the timeline begins above.
 */
static bool
undoes(const struct sync_req *q, struct sync_event *const *hidden, size_t n, const struct sync_event *e)
{
	return !q->w->use_state_after && e->ev.state_key && same_key(hidden, n, e);
}

bool
timeline_pick(struct arena *a, const struct sync_req *q, struct sync_job *j)
{
	const struct sync_room *m = j->room;
	size_t i, n = 0, nhidden = 0, bytes = 0, max = (size_t)q->f->timeline.limit;
	struct sync_event **hidden = arena_alloc(a, (m->ntl + 1) * sizeof *hidden);	/* state that no newer one shown replaces */
	bool end = m->whole, below_hidden = false;

	j->shown = arena_alloc(a, (max + 1) * sizeof *j->shown);
	j->limited = j->hid_state = false;
	for (i = 0; i < m->ntl; i++) {
		struct sync_event *e = m->tl[i];

		if (e->ev.room_pos > m->top)
			continue;
		if (known(a, q, j, e)) {
			end = true;
			break;
		}
		if (i > 0 && m->tl[i - 1]->ev.room_pos - e->ev.room_pos >= HOLE_GAP) {
			j->limited = end = true;
			break;
		}
		if (!wanted(a, q, j, e)) {
			if (e->ev.state_key && !e->lost) {
				below_hidden = true;
				if (!same_key(j->shown, n, e))
					hidden[nhidden++] = e;
			}
			continue;
		}
		bytes += e->ev.content ? strlen(e->ev.content) : e->size;
		if (n == max || undoes(q, hidden, nhidden, e) || (n > 0 && q->told + bytes > ANSWER_BYTES)) {
			j->limited = end = true;
			break;
		}
		j->shown[n++] = e;
		j->hid_state |= below_hidden;
	}
	if (!end && m->ntl < SCAN_MAX && !m->cut)
		return false;
	/* At the bottom of what a purge has left, and there was more that the reader had not seen. */
	j->limited |= !end || (i == m->ntl && !j->fresh && position_new(&q->since, m->purged_pos));
	reverse(j->shown, n);
	j->nshown = n;
	j->bytes = bytes;
	timeline_bounds(q, j, i);
	return true;
}

static bool
at(const struct sync_state *s, int64_t ver)
{
	return s->since <= ver && ver < s->until;
}

struct sync_event *
member_at(const struct sync_room *m, int64_t usr, int64_t ver)
{
	size_t i;

	for (i = 0; i < m->nmembers; i++)
		if (m->members[i].key == usr && at(&m->members[i], ver))
			return m->members[i].event;
	return NULL;
}

/* ---- state */

static bool
shows_key(const struct sync_job *j, int64_t type, int64_t key)
{
	size_t i;

	for (i = 0; i < j->nshown; i++)
		if (j->shown[i]->ev.key_nid == key && j->shown[i]->ev.type_nid == type)
			return true;
	return false;
}

/*
 * `state` is the change up to the timeline's start: for keys that the timeline sets too,
 * the value before it. But the resolved state can also change without an event in the
 * timeline (state resolution; a filter that hides the event): what is in force at the end
 * and is told by no event shown must be told here.
 */
static bool
untold(const struct sync_job *j, const struct sync_state *s)
{
	return s->since > j->v0 && at(s, j->v1) && !shows_key(j, s->type, s->key);
}

static bool
told_later(const struct sync_state *s, const struct sync_state **late, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (late[i]->type == s->type && late[i]->key == s->key)
			return true;
	return false;
}

static size_t
delta_pick(struct arena *a, const struct sync_req *q, const struct sync_job *j, struct sync_event **out)
{
	const struct sync_room *m = j->room;
	const struct sync_state **late = arena_alloc(a, (m->ndelta + 1) * sizeof *late);
	size_t i, n = 0, nlate = 0;

	for (i = 0; i < m->ndelta; i++)
		if (position_new(&q->since, m->delta[i].pos) && untold(j, &m->delta[i])) {
			late[nlate++] = &m->delta[i];
			out[n++] = m->delta[i].event;
		}
	for (i = 0; i < m->ndelta; i++)
		if (position_new(&q->since, m->delta[i].pos) && at(&m->delta[i], j->v0) &&
		    !told_later(&m->delta[i], late, nlate))
			out[n++] = m->delta[i].event;
	return n;
}

/* Is there, among those that began behind the version asked for, another event for the key? */
static bool
replaced_later(struct sync_event *const *late, size_t n, const struct room_event *ev)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (late[i]->ev.type_nid == ev->type_nid && late[i]->ev.key_nid == ev->key_nid)
			return true;
	return false;
}

/* First those that began behind the version asked for and that the timeline does not tell; then the others, without what these replace. */
static size_t
full_pick(const struct sync_req *q, const struct sync_job *j, struct sync_event **out)
{
	size_t i, n = 0, nlate;

	for (i = 0; i < j->nstate; i++)
		if (j->state[i]->late && !shows_key(j, j->state[i]->ev.type_nid, j->state[i]->ev.key_nid))
			out[n++] = j->state[i];
	for (i = 0, nlate = n; i < j->nstate; i++) {
		const struct room_event *ev = &j->state[i]->ev;

		if (j->state[i]->late || replaced_later(out, nlate, ev))
			continue;
		/* loaded at the end instead of the start: then what the timeline shows is in it, too */
		if (q->w->use_state_after || j->vs == j->v0 || !shows_key(j, ev->type_nid, ev->key_nid))
			out[n++] = j->state[i];
	}
	return n;
}

size_t
state_pick(struct arena *a, const struct sync_req *q, const struct sync_job *j, struct sync_event ***out)
{
	const struct sync_room *m = j->room;
	size_t i, n = 0;

	*out = arena_alloc(a, (m->ndelta + j->nstate + 1) * sizeof **out);
	if (j->full)
		return full_pick(q, j, *out);
	if (!q->w->use_state_after)
		return delta_pick(a, q, j, *out);
	for (i = 0; i < m->ndelta; i++)
		if (position_new(&q->since, m->delta[i].pos) && at(&m->delta[i], j->v1))
			(*out)[n++] = m->delta[i].event;
	return n;
}
