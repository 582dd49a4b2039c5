/* core/room/import.c - see import.h. */
#include "core/room/import.h"
#include "core/room/hole.h"
#include "core/room/receive_impl.h"
#include <stdlib.h>

STMT(import_room, "INSERT INTO room (id, version, created_ts) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING");
/* Was there anything of it here, and is a user of this server in it? */
STMT(import_known,
    "SELECT (SELECT max(room_pos) FROM event WHERE room = $1), EXISTS (SELECT 1 FROM local_member WHERE room = $1 AND membership = 2)");
STMT(import_resident, "UPDATE room SET resident = true WHERE nid = $1");

static int
by_key(const void *a, const void *b)
{
	const struct event *x = &(*(const struct incoming *const *)a)->ev, *y = &(*(const struct incoming *const *)b)->ev;
	int d = strcmp(x->type, y->type);

	return d != 0 ? d : strcmp(x->state_key, y->state_key);
}

/* A state: state events of the room, no key twice, a create event among them. */
static enum err
check_state(struct ctx *cx, const struct import *im)
{
	const struct incoming **v = arena_alloc(cx->a, (im->nstate + 1) * sizeof *v);
	bool create = false;

	for (size_t i = 0; i < im->nstate; i++) {
		v[i] = &im->state[i];
		if (v[i]->ev.state_key == NULL || strcmp(v[i]->ev.room, im->room) != 0)
			return fail(cx, M_BAD_JSON, "the state holds what is no state of the room");
		create = create || (strcmp(v[i]->ev.type, "m.room.create") == 0 && v[i]->ev.state_key[0] == '\0');
	}
	qsort(v, im->nstate, sizeof *v, by_key);
	for (size_t i = 1; i < im->nstate; i++)
		if (by_key(&v[i - 1], &v[i]) == 0)
			return fail(cx, M_BAD_JSON, "the state holds two events for one type and state key");
	return create ? M_OK : fail(cx, M_BAD_JSON, "the state has no create event");
}

/* Stores chain and state; the nids of what counts as state. */
static enum err
store_state(struct receive *rc, const struct import *im, struct given_state *out)
{
	size_t n = im->nchain + im->nstate, k = 0;
	struct incoming *all = arena_alloc(rc->cx->a, (n + 1) * sizeof *all);
	int64_t *nids = arena_calloc(rc->cx->a, n + 1, sizeof *nids), *state = arena_alloc(rc->cx->a, (im->nstate + 1) * sizeof *state);
	enum err e;

	memcpy(all, im->state, im->nstate * sizeof *all);
	memcpy(all + im->nstate, im->chain, im->nchain * sizeof *all);
	if ((e = receive_outliers(rc, all, n, nids)) != M_OK)
		return e;
	for (size_t i = 0; i < im->nstate; i++) {
		const struct stored *s = nids[i] != 0 ? stored_find(&rc->events, im->state[i].ev.id) : NULL;
		if (s != NULL && !(s->flags & EV_REJECTED))
			state[k++] = s->nid;
	}
	*out = (struct given_state){ state, k };
	return M_OK;
}

/* The join comes in: its state is line 0 already. bottom: the last event of the room that was here; NULL: none. */
static enum err
enter(struct receive *rc, const struct import *im, const int64_t *bottom, struct received *out)
{
	struct room *room = &rc->ap.room;
	const struct event *ev = &im->join->ev;
	struct stored *auth[EVENT_AUTH_MAX], *prev[EVENT_PREV_MAX], *replaces, *known;
	const struct point before = { 0, room->state_ver };
	const char *missing[EVENT_PREV_MAX];
	size_t nmissing = 0, nprev = 0;
	int flags;
	enum err e;

	if ((e = receive_load_cited(rc, im->join, 1)) != M_OK)
		return e;
	for (size_t i = 0; i < ev->nauth; i++)
		if ((auth[i] = stored_find(&rc->events, ev->auth_ids[i])) == NULL)
			return fail(rc->cx, M_BAD_JSON, "the auth chain is not complete");
	for (size_t i = 0; i < ev->nprev; i++) {
		struct stored *s = stored_find(&rc->events, ev->prev_ids[i]);
		if (s != NULL && !(s->flags & EV_OUTLIER) && s->before.ver >= 0)
			prev[nprev++] = s;
		else
			missing[nmissing++] = ev->prev_ids[i];
	}
	known = stored_find(&rc->events, ev->id);
	if (known != NULL && !(known->flags & EV_OUTLIER))
		return fail(rc->cx, M_FORBIDDEN, "this join is in the past");
	if ((e = receive_judge(rc, im->join, auth, before, &flags, &out->why, &replaces)) != M_OK)
		return e;
	if (flags != 0)
		return fail(rc->cx, M_FORBIDDEN, "the join is refused: %s", out->why);
	room->last_room_pos += bottom != NULL && nmissing > 0 ? HOLE_STEP : 1;
	struct place at = { room->last_room_pos, 0, room->state_ver };
	if ((e = receive_store(rc, im->join, known, 0, at, before, replaces, false, &out->event)) != M_OK)
		return e;
	out->is = RECEIVED;
	rc->next = 0;	/* what the room ended with here is history */
	if (nmissing > 0)
		hole_open(rc->cx, room->nid, HOLE_JOIN, at.room_pos, bottom, missing, nmissing);
	return receive_move_on(rc, out->event, prev, nprev, true);
}

enum err
import_join(struct ctx *cx, const struct import *im, struct received *out)
{
	struct receive rc;
	struct given_state given;
	struct change *v;
	struct rows known;
	int64_t bottom;
	size_t n;
	enum err e;

	*out = (struct received){ .is = RECEIVED_NOT };
	if (strcmp(im->join->ev.room, im->room) != 0)
		return fail(cx, M_BAD_JSON, "the join is of another room");
	if ((e = check_state(cx, im)) != M_OK)
		return e;
	receive_init(&rc, cx);
	receive_names(&rc, im->state, im->nstate);
	receive_names(&rc, im->chain, im->nchain);
	receive_names(&rc, im->join, 1);
	names_queue(&rc.ap.names);
	db_queue(cx, NULL, DB_NONE, &import_room, P_TEXT(im->room), P_TEXT(im->rv->id), P_I64(cx->now));
	if ((e = receive_begin(&rc, cx, im->room)) != M_OK)
		return e;
	names_take(&rc.ap.names);
	if (rc.ap.room.rv != im->rv)
		return fail(cx, M_INCOMPATIBLE_ROOM_VERSION, "this server knows the room by another version");
	if ((e = db_row(cx, &known, &import_known, P_I64(rc.ap.room.nid))) != M_OK || (e = store_state(&rc, im, &given)) != M_OK)
		return e;
	if (db_bool(&known, 1)) {
		if ((e = receive_event(&rc, im->join, &given, out)) != M_OK)
			return e;
		return receive_close(&rc);
	}
	bottom = db_i64(&known, 0);
	db_queue(cx, NULL, DB_NONE, &import_resident, P_I64(rc.ap.room.nid));
	if ((e = point_given(cx, rc.ap.room.nid, (struct point){ 0, rc.ap.room.state_ver }, given.events, given.n, &v, &n)) != M_OK ||
	    (e = receive_change(&rc, v, n)) != M_OK || (e = enter(&rc, im, db_null(&known, 0) ? NULL : &bottom, out)) != M_OK)
		return e;
	rc.replaced = true;
	rc.cut_ver = -1;
	return receive_close(&rc);
}
