/* core/room/receive.c - see receive.h: the lock, judging, one event. receive_write.c has the writes and line 0. */
#include "core/room/receive.h"
#include "core/base/log.h"
#include "core/room/append_impl.h"
#include "core/room/hole.h"
#include "core/room/receive_impl.h"
#include "core/room/relation.h"

STMT(receive_lock,
    "SELECT nid, version, last_room_pos, state_ver, depth, joined, invited, public, blocked OR purged, extremities,"
    " n_a, n_b, n_c, n_d, n_e, cut_ver FROM room WHERE id = $1 FOR NO KEY UPDATE");
/* Some keys of a state. */
STMT(receive_keys,
    "SELECT " STORED_COLS ", k.n FROM unnest($4::text[], $5::text[]) WITH ORDINALITY k(t, s, n)"
    " CROSS JOIN LATERAL (SELECT state_value($1, $2::int, $3, (SELECT nid FROM name WHERE body = k.t), (SELECT nid FROM name WHERE body = k.s))"
    "	AS nid OFFSET 0) x CROSS JOIN LATERAL (SELECT * FROM event WHERE nid = x.nid OFFSET 0) e");

/* The version of line 0 from which on its states are whole: a purge leaves those from the first event that remains. */
STMT(receive_floor,
    "SELECT e.at_ver FROM hole h JOIN event e ON e.room = h.room AND e.room_pos = h.top_pos WHERE h.room = $1 AND h.kind = 3"
    " ORDER BY h.top_pos DESC LIMIT 1");

/* ---- opening */

enum err
receive_begin(struct receive *rc, struct ctx *cx, const char *room_id)
{
	struct room *room;
	struct rows r;
	int64_t *ext;
	size_t n;
	enum err e;

	if ((e = db_maybe(cx, &r, &receive_lock, P_TEXT(room_id))) != M_OK)
		return e;
	if (r.n == 0)
		return fail(cx, M_NOT_FOUND, "this server does not know the room");
	room = &rc->ap.room;
	*room = (struct room){ .nid = db_i64(&r, 0), .id = room_id, .rv = room_version_get(db_text(&r, 1)), .last_room_pos = db_i64(&r, 2),
		.state_ver = db_i64(&r, 3), .depth = db_i64(&r, 4), .joined = db_i64(&r, 5), .invited = db_i64(&r, 6), .public = db_bool(&r, 7),
		.blocked = db_bool(&r, 8) };
	ext = db_i64s(&r, 9, &n);
	for (int i = 0; i < PUSH_SUMS; i++)
		room->sums.n[i] = db_i64(&r, 10 + i);
	rc->cut_ver = db_null(&r, 10 + PUSH_SUMS) ? -1 : db_i64(&r, 10 + PUSH_SUMS);
	if (room->blocked)
		return fail(cx, M_FORBIDDEN, "this room is blocked on this server");
	if (room->rv == NULL) {
		log_error(cx, "room_version_unknown", LI("room", room->nid));
		return fail(cx, M_UNKNOWN, "the room's version is unknown");
	}
	if ((e = stored_load_nids(cx, room, &rc->events, ext, n)) != M_OK)
		return e;
	for (size_t i = 0; i < rc->events.n; i++)
		receive_add_extremity(rc, rc->events.v[i]);
	rc->changed = false;
	return M_OK;
}

void
receive_names(struct receive *rc, const struct incoming *in, size_t n)
{
	struct names *ns = &rc->ap.names;

	for (size_t i = 0; i < n; i++) {
		const struct draft d = { .type = in[i].ev.type, .state_key = in[i].ev.state_key, .content = in[i].ev.content };
		names_add(ns, d.type);
		names_add(ns, in[i].ev.sender);
		if (d.state_key != NULL)
			names_add(ns, d.state_key);
		relation_want(&rc->ap, &d);	/* for the names in it */
	}
	rc->ap.rel = NULL;
}

void
receive_init(struct receive *rc, struct ctx *cx)
{
	*rc = (struct receive){ .cx = cx };
	append_init(&rc->ap, cx);
	stored_map_init(&rc->events, cx->a);
}

enum err
receive_open(struct receive *rc, struct ctx *cx, const char *room_id, const struct incoming *in, size_t n)
{
	enum err e;

	receive_init(rc, cx);
	receive_names(rc, in, n);
	names_queue(&rc->ap.names);
	e = receive_begin(rc, cx, room_id);
	names_take(&rc->ap.names);
	return e;
}

/* ---- judging */

#define KEYS_MAX (AUTH_KEYS_MAX + 2)

/* A state as the rules ask for it. */
struct view {
	struct state_key keys[KEYS_MAX];
	struct stored *v[KEYS_MAX];
	size_t n;
	const struct incoming *in;
};

static const struct event *
view_get(void *arg, const char *type, const char *key)
{
	const struct view *w = arg;

	for (size_t i = 0; i < w->n; i++)
		if (strcmp(w->keys[i].type, type) == 0 && strcmp(w->keys[i].key, key) == 0)
			return w->v[i] != NULL ? &w->v[i]->ev : NULL;
	return NULL;
}

static bool
view_signed(void *arg, const struct event *ev, const char *server)
{
	const struct view *w = arg;

	return incoming_signed_by((void *)(uintptr_t)w->in, ev, server);
}

/* The keys that the rules may ask for, and the event's own last. */
static void
view_keys(struct receive *rc, const struct incoming *in, struct view *w)
{
	const struct event *ev = &in->ev;

	*w = (struct view){ .in = in };
	w->n = auth_event_keys(rc->cx, ev->rv, ev->type, ev->sender, ev->state_key, ev->content, w->keys);
	w->keys[w->n++] = (struct state_key){ "m.room.create", "" };
	if (ev->state_key != NULL)
		w->keys[w->n++] = (struct state_key){ ev->type, ev->state_key };
}

static enum err
view_read(struct receive *rc, struct view *w, struct point at)
{
	struct ctx *cx = rc->cx;
	const char *types[KEYS_MAX], *keys[KEYS_MAX];
	struct rows r;
	enum err e;

	for (size_t i = 0; i < w->n; i++) {
		types[i] = w->keys[i].type;
		keys[i] = w->keys[i].key;
	}
	if ((e = db_query(cx, &r, &receive_keys, P_I64(rc->ap.room.nid), P_I64(at.line), P_I64(at.ver), P_TEXTS(types, w->n),
	    P_TEXTS(keys, w->n))) != M_OK)
		return e;
	while (db_next(&r)) {
		struct stored *s = stored_find(&rc->events, db_text(&r, 1));
		if (s == NULL) {
			if ((e = stored_take(cx, &rc->ap.room, &r, &s)) != M_OK)
				return e;
			stored_put(&rc->events, s);
		}
		w->v[db_i64(&r, STORED_NCOLS) - 1] = s;
	}
	return M_OK;
}

static enum err
judge(struct receive *rc, struct view *w)
{
	struct auth_state st = { .get = view_get, .arg = w, .signed_by = view_signed };

	if (w->in->ev.rv->no_create_in_auth)
		st.create = rc->create != NULL ? &rc->create->ev : NULL;
	return event_auth(rc->cx, &w->in->ev, &st);
}

static enum err
judge_by_auth(struct receive *rc, const struct incoming *in, struct stored *const *auth)
{
	const struct event *ev = &in->ev, *list[EVENT_AUTH_MAX];
	struct view w = { .in = in, .n = ev->nauth };
	enum err e;

	for (size_t i = 0; i < ev->nauth; i++) {
		list[i] = &auth[i]->ev;
		w.v[i] = auth[i];
		w.keys[i] = (struct state_key){ auth[i]->ev.type, auth[i]->ev.state_key != NULL ? auth[i]->ev.state_key : "\n" };
	}
	if ((e = auth_events_check(rc->cx, ev, list, ev->nauth)) != M_OK)
		return e;
	return judge(rc, &w);
}

/* Room v12 §Event format: the room's id names its create event. Nothing can be judged without it. */
static enum err
find_create(struct receive *rc)
{
	const struct room *room = &rc->ap.room;
	const char *id = arena_printf(rc->cx->a, "$%s", room->id + 1);
	enum err e;

	if (!room->rv->no_create_in_auth || rc->create != NULL)
		return M_OK;
	if ((e = stored_load(rc->cx, room, &rc->events, &id, 1)) != M_OK)
		return e;
	rc->create = stored_find(&rc->events, id);
	return M_OK;
}

/* The rules let in any create event of the room's server. A room has one: what holds now, or nothing yet. */
static enum err
is_second_create(struct receive *rc, const struct incoming *in, bool *second)
{
	struct view w = { .n = 1, .keys = { { "m.room.create", "" } } };
	enum err e = M_OK;

	*second = false;
	if (strcmp(in->ev.type, "m.room.create") != 0 || rc->ap.room.state_ver == 0)
		return M_OK;
	if ((e = view_read(rc, &w, (struct point){ 0, rc->ap.room.state_ver })) == M_OK)
		*second = w.v[0] != NULL && strcmp(w.v[0]->ev.id, in->ev.id) != 0;
	return e;
}

enum err
receive_judge(struct receive *rc, const struct incoming *in, struct stored *const *auth, struct point before, int *flags, const char **why,
    struct stored **replaces)
{
	struct ctx *cx = rc->cx;
	struct view w;
	bool second;
	enum err e;

	*flags = 0;
	*why = NULL;
	*replaces = NULL;
	if ((e = find_create(rc)) != M_OK || (e = is_second_create(rc, in, &second)) != M_OK)
		return e;
	if (second) {
		*flags = EV_REJECTED;
		*why = "the room has another create event";
		return M_OK;
	}
	if (before.ver >= 0) {
		view_keys(rc, in, &w);
		if ((e = view_read(rc, &w, before)) != M_OK)
			return e;
		if (in->ev.state_key != NULL)
			*replaces = w.v[w.n - 1];
	}
	e = judge_by_auth(rc, in, auth);
	/* The create event is judged by itself; no state lets it in where there is another. */
	if (e == M_OK && before.ver >= 0 && strcmp(in->ev.type, "m.room.create") != 0)
		e = judge(rc, &w);
	if (e == M_FORBIDDEN) {
		*flags = EV_REJECTED;
		*why = cx->err_text;
		e = M_OK;
	}
	return e;
}

enum err
receive_power(struct receive *rc, const struct incoming *in, struct point before, int64_t *power, const struct json **levels)
{
	struct view w;
	struct auth_state st = { .get = view_get, .arg = &w };
	const struct event *ev;
	enum err e;

	view_keys(rc, in, &w);
	if ((e = view_read(rc, &w, before)) != M_OK)
		return e;
	if (in->ev.rv->no_create_in_auth)
		st.create = rc->create != NULL ? &rc->create->ev : NULL;
	ev = view_get(&w, "m.room.power_levels", "");
	*levels = ev != NULL ? ev->content : NULL;
	*power = power_of_user(&st, in->ev.rv, in->ev.sender);
	return M_OK;
}

static enum err
judge_now(struct receive *rc, const struct incoming *in, struct point before, int *flags, const char **why)
{
	const struct point now = { 0, rc->ap.room.state_ver };
	struct view w;
	enum err e;

	if (*flags != 0 || point_eq(before, now))
		return M_OK;
	view_keys(rc, in, &w);
	if ((e = view_read(rc, &w, now)) != M_OK)
		return e;
	e = judge(rc, &w);
	if (e == M_FORBIDDEN) {
		*flags = EV_SOFT_FAILED;
		*why = rc->cx->err_text;
		e = M_OK;
	}
	return e;
}

enum err
receive_allowed(struct receive *rc, const struct incoming *in, struct point before)
{
	struct view w;
	enum err e;

	if ((e = find_create(rc)) != M_OK)
		return e;
	view_keys(rc, in, &w);
	if ((e = view_read(rc, &w, before)) != M_OK)
		return e;
	return judge(rc, &w);
}

enum err
receive_may_redact(struct receive *rc, const struct stored *redaction, const struct stored *target, bool *may)
{
	const struct incoming as = { .ev = redaction->ev };
	struct view w;
	struct auth_state st = { .get = view_get, .arg = &w };
	enum err e;

	view_keys(rc, &as, &w);
	if ((e = find_create(rc)) != M_OK ||
	    (e = view_read(rc, &w, redaction->before.ver >= 0 ? redaction->before : (struct point){ 0, rc->ap.room.state_ver })) != M_OK)
		return e;
	if (as.ev.rv->no_create_in_auth)
		st.create = rc->create != NULL ? &rc->create->ev : NULL;
	*may = event_redaction_applies(&st, &redaction->ev, &target->ev);
	return M_OK;
}

enum err
receive_cite(struct receive *rc, struct event_draft *d, struct point before)
{
	struct ctx *cx = rc->cx;
	const struct incoming as = { .ev = { .rv = d->rv, .type = d->type, .sender = d->sender, .state_key = d->state_key, .content = d->content } };
	struct view w = { .in = &as };
	enum err e;

	w.n = auth_event_keys(cx, d->rv, d->type, d->sender, d->state_key, d->content, w.keys);
	if ((e = view_read(rc, &w, before)) != M_OK)
		return e;
	d->auth_ids = arena_calloc(cx->a, w.n + 1, sizeof *d->auth_ids);
	d->auth_hashes = arena_calloc(cx->a, w.n + 1, sizeof *d->auth_hashes);
	for (size_t i = 0; i < w.n; i++) {
		if (w.v[i] == NULL)
			continue;
		d->auth_hashes[d->nauth] = d->rv->event_id_format == 1 ? event_reference_b64(cx->a, d->rv, w.v[i]->ev.json) : NULL;
		d->auth_ids[d->nauth++] = w.v[i]->ev.id;
	}
	return M_OK;
}

/* ---- one event */

/* Those of ids that are stored into v, the others into missing. Events of other rooms count as stored: the rules refuse them. */
static size_t
find_all(const struct receive *rc, const char *const *ids, size_t n, struct stored **v, const char **missing, size_t *nmissing, bool with_state)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		struct stored *s = stored_find(&rc->events, ids[i]);
		if (s == NULL || (with_state && (s->elsewhere || (s->flags & EV_OUTLIER) || s->before.ver < 0)))
			missing[(*nmissing)++] = ids[i];
		else
			v[k++] = s;
	}
	return k;
}

/* Rejected and soft-failed events outlive a purge, the states before them do not. */
static enum err
forget_purged_states(struct receive *rc, const char *const *ids, size_t n)
{
	struct rows r;
	bool asked = false;
	int64_t floor = 0;
	enum err e;

	for (size_t i = 0; i < n; i++) {
		struct stored *s = stored_find(&rc->events, ids[i]);
		if (s == NULL || s->elsewhere || s->room_pos != INT64_MIN || s->before.line != 0 || s->before.ver < 0)
			continue;
		if (!asked) {
			if ((e = db_maybe(rc->cx, &r, &receive_floor, P_I64(rc->ap.room.nid))) != M_OK)
				return e;
			floor = r.n > 0 ? db_i64(&r, 0) : 0;
			asked = true;
		}
		if (s->before.ver < floor)
			s->before.ver = -1;
	}
	return M_OK;
}

enum err
receive_load_cited(struct receive *rc, const struct incoming *in, size_t n)
{
	const char **ids;
	size_t k = 0, max = n;
	enum err e;

	for (size_t i = 0; i < n; i++)
		max += in[i].ev.nauth + in[i].ev.nprev;
	ids = arena_alloc(rc->cx->a, (max + 1) * sizeof *ids);
	for (size_t i = 0; i < n; i++) {
		const struct event *ev = &in[i].ev;
		ids[k++] = ev->id;
		for (size_t j = 0; j < ev->nauth; j++)
			ids[k++] = ev->auth_ids[j];
		for (size_t j = 0; j < ev->nprev; j++)
			ids[k++] = ev->prev_ids[j];
	}
	if ((e = stored_load(rc->cx, &rc->ap.room, &rc->events, ids, k)) != M_OK)
		return e;
	return forget_purged_states(rc, ids, k);
}

enum err
receive_given(struct receive *rc, struct point base, const struct given_state *given, struct point *out)
{
	struct change *v;
	size_t n;
	enum err e;

	if ((e = point_given(rc->cx, rc->ap.room.nid, base, given->events, given->n, &v, &n)) != M_OK)
		return e;
	return point_fork(rc->cx, rc->ap.room.nid, base, v, n, out);
}

static struct place
next_place(struct receive *rc, int flags, bool over_hole)
{
	struct room *room = &rc->ap.room;

	if (flags != 0)
		return (struct place){ INT64_MIN, 0, -1 };
	room->last_room_pos += over_hole ? HOLE_STEP : 1;
	rc->changed = true;
	return (struct place){ room->last_room_pos, 0, room->state_ver };
}

enum err
receive_move_on(struct receive *rc, struct stored *s, struct stored *const *prev, size_t nprev, bool linear)
{
	const struct change own = { s->type_nid, s->key_nid, s->nid };
	bool any;
	enum err e;

	if ((!linear && (e = receive_stand(rc)) != M_OK) || (e = receive_cited(rc, prev, nprev, &any)) != M_OK)
		return e;
	receive_add_extremity(rc, s);
	if (!linear)
		return receive_resolve(rc);
	return s->ev.state_key != NULL ? receive_change(rc, &own, 1) : M_OK;
}

/* Do the events cite all forward extremities and nothing else? Then the state before is the room's present one. */
static bool
cites_all(const struct receive *rc, struct stored *const *prev, size_t n)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++) {
		size_t k;
		for (k = 0; k < rc->next && rc->ext[k] != prev[i]; k++)
			;
		if (k == rc->next)
			return false;
		for (k = 0; k < i && prev[k] != prev[i]; k++)
			;
		found += k == i;
	}
	return found == rc->next && n > 0;
}

enum err
receive_event(struct receive *rc, const struct incoming *in, const struct given_state *given, struct received *out)
{
	struct ctx *cx = rc->cx;
	const struct event *ev = &in->ev;
	struct stored **auth = arena_calloc(cx->a, ev->nauth + 1, sizeof *auth), *prev[EVENT_PREV_MAX], *known, *replaces;
	struct point before = { 0, rc->ap.room.state_ver };
	bool linear, hole;
	size_t nprev;
	int flags;
	enum err e;

	*out = (struct received){ .is = RECEIVED_NOT, .missing_auth = arena_calloc(cx->a, ev->nauth + 1, sizeof(char *)),
		.missing_prev = arena_calloc(cx->a, ev->nprev + 1, sizeof(char *)) };
	if (strcmp(ev->room, rc->ap.room.id) != 0) {
		out->why = "the event is of another room";
		return M_OK;
	}
	if ((e = receive_load_cited(rc, in, 1)) != M_OK)
		return e;
	known = stored_find(&rc->events, ev->id);
	if (known != NULL && (known->elsewhere || !(known->flags & EV_OUTLIER))) {
		out->is = known->elsewhere ? RECEIVED_NOT : RECEIVED_KNOWN;
		out->event = known->elsewhere ? NULL : known;
		return M_OK;
	}
	find_all(rc, ev->auth_ids, ev->nauth, auth, out->missing_auth, &out->nmissing_auth, false);
	nprev = find_all(rc, ev->prev_ids, ev->nprev, prev, out->missing_prev, &out->nmissing_prev, true);
	/* Nothing of a room begins without prev_events but its create event, and that is here as an outlier at least. */
	hole = out->nmissing_prev > 0 || ev->nprev == 0;
	if (out->nmissing_auth > 0 || (hole && given == NULL))
		return M_OK;
	linear = !hole && cites_all(rc, prev, nprev);
	if (hole && (e = receive_given(rc, before, given, &before)) == M_BAD_JSON) {
		out->why = cx->err_text;
		return M_OK;
	}
	if (!hole && !linear)
		e = receive_meet(rc, prev, nprev, &before);
	if (e != M_OK || (e = receive_judge(rc, in, auth, before, &flags, &out->why, &replaces)) != M_OK ||
	    (e = judge_now(rc, in, before, &flags, &out->why)) != M_OK)
		return e;
	out->is = flags == 0 ? RECEIVED : flags & EV_REJECTED ? RECEIVED_REJECTED : RECEIVED_SOFT_FAILED;
	int64_t bottom = rc->ap.room.last_room_pos;
	struct place at = next_place(rc, flags, hole);
	if ((e = receive_store(rc, in, known, flags, at, before, replaces, !linear && flags == 0, &out->event)) != M_OK || flags != 0)
		return e;
	if (hole)
		hole_open(cx, rc->ap.room.nid, HOLE_OUTAGE, at.room_pos, &bottom, out->missing_prev, out->nmissing_prev);
	return receive_move_on(rc, out->event, prev, nprev, linear);
}
