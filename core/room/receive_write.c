/* core/room/receive_write.c - see receive.h: storing events, line 0 and the forward extremities. */
#include "core/room/append_impl.h"
#include "core/room/guest.h"
#include "core/room/merge.h"
#include "core/room/pdu.h"
#include "core/room/receive_impl.h"
#include "core/room/relation.h"
#include "core/room/resolve.h"

/* $14: made at the position of another event (a hole is filled), or now. */
STMT(receive_insert,
    "INSERT INTO event (room, room_pos, ts, type, state_key, sender, line, ver, at_ver, prev_state, thread, flags, id, content, pdu, pos,"
    " push_class, members, n_a, n_b, n_c, n_d, n_e, t_a, t_b, t_c, t_d, t_e, cites)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, coalesce($16, stream_pos()),"
    " $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29) RETURNING nid, pos");
/* An outlier becomes real: it is news now, whenever it was stored. How its text stands there (8, 16), the row knows best. */
STMT(receive_real,
    "UPDATE event SET room_pos = $2, line = $3, ver = $4, at_ver = $5, prev_state = $6, thread = $7, flags = ($8 & ~24) | (flags & 24),"
    " pos = coalesce($9, stream_pos()), push_class = $10, members = $11, n_a = $12, n_b = $13, n_c = $14, n_d = $15, n_e = $16,"
    " t_a = $17, t_b = $18, t_c = $19, t_d = $20, t_e = $21 WHERE nid = $1 RETURNING nid, pos");
/* What fills a hole counts for nothing: the sums there are those below it. */
STMT(receive_sums_below,
    "SELECT n_a, n_b, n_c, n_d, n_e FROM event WHERE room = $1 AND room_pos < $2 ORDER BY room_pos DESC LIMIT 1");
STMT(receive_fork, "UPDATE event SET fork = $2 WHERE nid = $1");
STMT(receive_outlier_nids, "SELECT ARRAY(SELECT nextval('event_nid_seq') FROM generate_series(1, $1::bigint))");
STMT(receive_outlier_rows,
    "INSERT INTO event (nid, room, ts, type, state_key, sender, flags, id, content, pdu)"
    " SELECT nid, $1, ts, (SELECT n.nid FROM name n WHERE n.body = u.type), (SELECT n.nid FROM name n WHERE n.body = u.key),"
    " (SELECT n.nid FROM name n WHERE n.body = u.sender), flags, id, content, pdu"
    " FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[], $9::text[], $10::text[])"
    " u(nid, ts, type, key, sender, flags, id, content, pdu)");
STMT(receive_room,
    "UPDATE room SET last_room_pos = $2, state_ver = $3, extremities = $4, depth = $5, joined = $6, invited = $7,"
    " n_a = $9, n_b = $10, n_c = $11, n_d = $12, n_e = $13, cut_ver = $14, full_state_pos = CASE WHEN $8 THEN stream_pos() ELSE full_state_pos END, last_pos = stream_pos() WHERE nid = $1");

#define OUTLIERS_AT_ONCE 1000

/* ---- forward extremities */

void
receive_add_extremity(struct receive *rc, struct stored *s)
{
	*GROW(rc->cx->a, rc->ext, rc->next, rc->ext_cap) = s;
	rc->changed = true;
}

/*
 * A rejected or soft-failed event is no forward extremity, so what it cites was left standing; now that something
 * cites it, what it led on from is no end any more either. At most so many are looked at: longer runs leave an extremity too many.
 */
#define WALK_MAX 100

enum err
receive_cited(struct receive *rc, struct stored *const *prev, size_t n, bool *any)
{
	struct stored **todo = arena_alloc(rc->cx->a, (n + (size_t)WALK_MAX * (EVENT_PREV_MAX + 1)) * sizeof *todo);
	size_t end = n;
	enum err e;

	*any = false;
	memcpy(todo, prev, n * sizeof *todo);
	for (size_t i = 0; i < end; i++) {
		struct stored *s = todo[i];
		for (size_t k = 0; k < rc->next; k++)
			if (rc->ext[k] == s) {
				rc->ext[k] = rc->ext[--rc->next];
				*any = rc->changed = true;
				break;
			}
		if (!(s->flags & (EV_REJECTED | EV_SOFT_FAILED)) || i >= WALK_MAX)
			continue;
		if ((e = stored_load(rc->cx, &rc->ap.room, &rc->events, s->ev.prev_ids, s->ev.nprev)) != M_OK)
			return e;
		for (size_t k = 0; k < s->ev.nprev; k++) {
			struct stored *before = stored_find(&rc->events, s->ev.prev_ids[k]);
			if (before != NULL)
				todo[end++] = before;
		}
	}
	return M_OK;
}

/* ---- states */

enum err
receive_after(struct receive *rc, struct stored *s, struct point *out)
{
	const struct change own = { s->type_nid, s->key_nid, s->nid };
	enum err e;

	*out = stored_after(s);
	if (out->ver >= 0 || s->before.ver < 0)
		return M_OK;
	if ((e = point_fork(rc->cx, rc->ap.room.nid, s->before, &own, 1, out)) != M_OK)
		return e;
	s->fork = out->line;
	db_queue(rc->cx, NULL, DB_NONE, &receive_fork, P_I64(s->nid), P_I64(s->fork));
	return M_OK;
}

static void
add_point(struct point *v, size_t *n, struct point p)
{
	for (size_t i = 0; i < *n; i++)
		if (point_eq(v[i], p))
			return;
	v[(*n)++] = p;
}

/* The different states after some events, with room for two more. */
static enum err
points_after(struct receive *rc, struct stored *const *s, size_t n, struct point **v, size_t *np)
{
	struct point p;
	enum err e;

	*v = arena_alloc(rc->cx->a, (n + 2) * sizeof **v);
	*np = 0;
	for (size_t i = 0; i < n; i++) {
		if ((e = receive_after(rc, s[i], &p)) != M_OK)
			return e;
		add_point(*v, np, p);
	}
	return M_OK;
}

enum err
receive_meet(struct receive *rc, struct stored *const *prev, size_t n, struct point *out)
{
	const struct point now = { 0, rc->ap.room.state_ver };
	struct resolution res;
	struct change *v;
	struct point *pts;
	size_t npts, nv;
	enum err e;

	if ((e = points_after(rc, prev, n, &pts, &npts)) != M_OK)
		return e;
	*out = pts[0];
	if (npts == 1)
		return M_OK;
	n = npts;
	add_point(pts, &n, now);	/* a state that may be nearer than any of those that meet */
	if ((e = resolve_states(rc->cx, &rc->ap.room, pts, npts, n, &res)) != M_OK)
		return e;
	size_t from = resolution_nearest(&res);
	resolution_changes(rc->cx->a, &res, from, &v, &nv);
	return point_fork(rc->cx, rc->ap.room.nid, pts[from], v, nv, out);
}

static void
note_member(struct receive *rc, const struct changed_member *m)
{
	struct append *ap = &rc->ap;
	struct member_row *row = NULL;
	bool joins = m->is == MEM_JOIN && m->was != MEM_JOIN;

	for (size_t i = 0; i < ap->nmembers; i++)
		if (ap->members[i].user == m->user)
			row = &ap->members[i];
	if (row != NULL)
		joins |= row->joins;
	else
		row = GROW(rc->cx->a, ap->members, ap->nmembers, ap->members_cap);
	/* Who has no member event any more has left, as far as he can tell. What an invitation shows is read from the room. */
	*row = (struct member_row){ m->user, m->is != MEM_NONE ? m->is : MEM_LEAVE, m->event, ap->room.last_room_pos, m->sender, NULL, joins };
}

enum err
receive_change(struct receive *rc, const struct change *v, size_t n)
{
	struct room *room = &rc->ap.room;
	struct changed_member *m;
	size_t nm;
	enum err e;

	if (n == 0)
		return M_OK;
	rc->changed = true;
	for (size_t i = 0; i < n; i++)
		if (v[i].key == NAME_EMPTY)
			guest_access_changed(rc->cx, room->nid, v[i].type, NULL);
	if ((e = line_write(rc->cx, room->nid, 0, ++room->state_ver, v, n, &m, &nm)) != M_OK)
		return e;
	for (size_t i = 0; i < nm; i++) {
		room->joined += (m[i].is == MEM_JOIN) - (m[i].was == MEM_JOIN);
		room->invited += (m[i].is == MEM_INVITE) - (m[i].was == MEM_INVITE);
		if (m[i].id != NULL)
			note_member(rc, &m[i]);
	}
	return M_OK;
}

enum err
receive_stand(struct receive *rc)
{
	return points_after(rc, rc->ext, rc->next, &rc->stands, &rc->nstands);
}

static bool
stands_already(const struct receive *rc, const struct point *v, size_t n)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < rc->nstands; k++)
			found += point_eq(v[i], rc->stands[k]);
	return found == n && n == rc->nstands;
}

enum err
receive_resolve(struct receive *rc)
{
	const struct point now = { 0, rc->ap.room.state_ver };
	struct resolution res;
	struct change *v;
	struct point *pts;
	size_t npts, n, at;
	enum err e;

	if ((e = points_after(rc, rc->ext, rc->next, &pts, &npts)) != M_OK)
		return e;
	if (npts == 0 || stands_already(rc, pts, npts))
		return M_OK;
	if (rc->cut_ver >= 0)
		add_point(pts, &npts, (struct point){ 0, rc->cut_ver });
	n = npts;
	add_point(pts, &n, now);
	for (at = 0; !point_eq(pts[at], now); at++)
		;
	if ((e = resolve_states(rc->cx, &rc->ap.room, pts, npts, n, &res)) != M_OK)
		return e;
	resolution_changes(rc->cx->a, &res, at, &v, &n);
	return receive_change(rc, v, n);
}

/* ---- storing */

static enum err
nid_of(struct receive *rc, const char *body, int64_t *nid)
{
	*nid = names_nid(&rc->ap.names, body);
	return *nid >= 0 ? M_OK : name_nid(rc->cx, body, nid);
}

/* What it says about another event. Only what is shown has relations; a redaction has none, its row is for its waiting (receive_relate.c). */
static enum err
relate(struct receive *rc, const struct incoming *in)
{
	const struct draft d = { .type = in->ev.type, .state_key = in->ev.state_key, .content = in->ev.content, .sender = in->ev.sender };
	struct append *ap = &rc->ap;
	enum err e;

	ap->rel = NULL;
	if (strcmp(d.type, "m.room.redaction") != 0)
		relation_want(ap, &d);
	if (ap->rel == NULL)
		return M_OK;
	relation_queue(ap, ap->room.id);
	if ((e = db_run(rc->cx)) == M_OK)
		relation_take(ap);
	return e;
}

/* Only one that comes at the room's end counts. Whether it names the whole room is asked of the state where it says so. */
static enum err
note_counts(struct receive *rc, const struct incoming *in, const struct stored *s, struct made *m, bool live)
{
	const struct json *all = json_get(json_get(in->ev.content, "m.mentions"), "room"), *levels = NULL;
	int64_t power = 0;
	struct rows r;
	enum err e;

	*m = (struct made){ .ev = in->ev, .nid = s->nid, .type_nid = s->type_nid, .sender_nid = s->sender_nid, .room_pos = s->room_pos,
		.thread = rc->ap.rel != NULL ? relation_thread(&rc->ap) : -1 };
	if (s->room_pos == INT64_MIN)
		return M_OK;
	if (live) {
		if (json_is(all, JSON_BOOL) && all->u.b && s->before.ver >= 0 && (e = receive_power(rc, in, s->before, &power, &levels)) != M_OK)
			return e;
		counts_note(&rc->ap, m, power, levels);
		return M_OK;
	}
	if ((e = db_maybe(rc->cx, &r, &receive_sums_below, P_I64(rc->ap.room.nid), P_I64(s->room_pos))) != M_OK)
		return e;
	for (int i = 0; r.n > 0 && i < PUSH_SUMS; i++)
		m->sums.n[i] = db_i64(&r, i);
	return M_OK;
}

#define THREAD_SUMS(m, i)	P_I64_OR_NULL(counted ? (m)->thread_sums.n[i] : -1, -1)
#define COUNTS(m)	P_I64((m)->class), P_I64((m)->members), SUMS((m)->sums), THREAD_SUMS(m, 0), THREAD_SUMS(m, 1), THREAD_SUMS(m, 2),	\
			    THREAD_SUMS(m, 3), THREAD_SUMS(m, 4)

static enum err
write_event(struct receive *rc, const struct stored *s, const struct stored *replaces, bool known, const struct made *m, bool live, struct rows *r)
{
	int64_t prev = replaces != NULL ? replaces->nid : -1;
	bool counted = live && m->thread >= 0;
	struct pdu_columns c;

	if (known)
		return db_row(rc->cx, r, &receive_real, P_I64(s->nid), P_I64_OR_NULL(s->room_pos, INT64_MIN), P_I64(s->before.line),
		    P_I64_OR_NULL(s->before.ver, -1), P_I64_OR_NULL(s->at_ver, -1), P_I64_OR_NULL(prev, -1), P_I64_OR_NULL(m->thread, -1),
		    P_I64(s->flags), P_I64_OR_NULL(s->pos, 0), COUNTS(m));
	event_columns(rc->cx->a, &s->ev, &c);
	return db_row(rc->cx, r, &receive_insert, P_I64(rc->ap.room.nid), P_I64_OR_NULL(s->room_pos, INT64_MIN), P_I64(c.ts), P_I64(s->type_nid),
	    P_I64_OR_NULL(s->key_nid, -1), P_I64(s->sender_nid), P_I64(s->before.line), P_I64_OR_NULL(s->before.ver, -1),
	    P_I64_OR_NULL(s->at_ver, -1), P_I64_OR_NULL(prev, -1), P_I64_OR_NULL(m->thread, -1), P_I64(s->flags | c.flags), P_TEXT(c.id),
	    P_TEXT(c.content), P_TEXT(c.pdu), P_I64_OR_NULL(s->pos, 0), COUNTS(m), P_BYTES(c.cites, c.ncites));
}

static void
write_relation(struct receive *rc, struct made *m)
{
	struct append *ap = &rc->ap;

	if (ap->rel == NULL)
		return;
	ap->made = arena_alloc(rc->cx->a, sizeof *ap->made);
	ap->made[0] = m;
	relation_write(ap);
	ap->made = NULL;
	ap->rel = NULL;
}

enum err
receive_fork_after(struct receive *rc, struct stored *s)
{
	const struct change own = { s->type_nid, s->key_nid, s->nid };
	struct point after;
	enum err e;

	if (s->ev.state_key == NULL || s->before.ver < 0)
		return M_OK;
	if ((e = point_fork(rc->cx, rc->ap.room.nid, s->before, &own, 1, &after)) != M_OK)
		return e;
	if (after.line != s->before.line) {
		s->fork = after.line;
		db_queue(rc->cx, NULL, DB_NONE, &receive_fork, P_I64(s->nid), P_I64(s->fork));
	}
	return M_OK;
}

enum err
receive_store(struct receive *rc, const struct incoming *in, struct stored *known, int flags, struct place at, struct point before,
    const struct stored *replaces, bool fork, struct stored **out)
{
	struct stored *s = known != NULL ? known : arena_zalloc(rc->cx->a, sizeof *s);
	bool live = at.room_pos != INT64_MIN && at.pos == 0;
	struct made *m = arena_zalloc(rc->cx->a, sizeof *m);
	struct rows r;
	enum err e;

	const struct incoming pruned = { .ev = s->ev };
	if (known != NULL && (known->flags & EV_REDACTED))
		in = &pruned;	/* what is not to be known any more counts for nothing, and relates to nothing */
	if (known == NULL) {
		*s = (struct stored){ .ev = in->ev, .key_nid = -1, .fork = -1 };
		if ((e = nid_of(rc, s->ev.type, &s->type_nid)) != M_OK || (e = nid_of(rc, s->ev.sender, &s->sender_nid)) != M_OK ||
		    (s->ev.state_key != NULL && (e = nid_of(rc, s->ev.state_key, &s->key_nid)) != M_OK))
			return e;
	}
	s->flags = (s->flags & (EV_VERBATIM | EV_REDACTED)) | flags;
	s->ev.rejected = (flags & EV_REJECTED) != 0;
	s->room_pos = at.room_pos;
	s->pos = at.pos;
	s->at_ver = at.at_ver;
	s->before = before;
	rc->ap.rel = NULL;
	if ((at.room_pos != INT64_MIN && (e = relate(rc, in)) != M_OK) || (e = note_counts(rc, in, s, m, live)) != M_OK ||
	    (e = write_event(rc, s, replaces, known != NULL, m, live, &r)) != M_OK)
		return e;
	m->nid = s->nid = db_i64(&r, 0);
	s->pos = db_i64(&r, 1);
	write_relation(rc, m);
	if (live)
		counts_write_event(&rc->ap, m);
	stored_put(&rc->events, s);
	*out = s;
	if (at.room_pos != INT64_MIN && (e = receive_relate(rc, s)) != M_OK)
		return e;
	return fork ? receive_fork_after(rc, s) : M_OK;
}

/* ---- outliers */

void
batch_add(struct stored_map *m, const char *id, size_t n)
{
	struct stored *s = arena_zalloc(m->a, sizeof *s);

	s->ev.id = id;
	s->nid = (int64_t)n;
	stored_put(m, s);
}

void
batch_index(struct ctx *cx, struct stored_map *m, const struct incoming *in, size_t n)
{
	stored_map_init(m, cx->a);
	for (size_t i = 0; i < n; i++)
		batch_add(m, in[i].ev.id, i + 1);
}

size_t *
batch_by_chain(struct ctx *cx, const struct stored_map *batch, const struct incoming *in, size_t n)
{
	size_t *order = arena_alloc(cx->a, (n + 1) * sizeof *order), *stack = arena_alloc(cx->a, (n + 1) * sizeof *stack), done = 0;
	size_t *at = arena_calloc(cx->a, n + 1, sizeof *at);	/* the next auth event to look at, plus 1; 0: not met */

	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < n; i++) {
			size_t top = 0;
			if (at[i] != 0 || (pass == 0 && strcmp(in[i].ev.type, "m.room.create") != 0))
				continue;
			at[i] = 1;
			stack[top++] = i;
			while (top > 0) {
				size_t x = stack[top - 1];
				if (at[x] > in[x].ev.nauth) {
					order[done++] = x;
					top--;
					continue;
				}
				const struct stored *next = stored_find(batch, in[x].ev.auth_ids[at[x]++ - 1]);
				if (next != NULL && at[next->nid - 1] == 0) {
					at[next->nid - 1] = 1;
					stack[top++] = (size_t)next->nid - 1;
				}
			}
		}
	return order;
}

static enum err
load_outside(struct receive *rc, const struct stored_map *batch, const struct incoming *in, size_t n)
{
	const char **ids;
	size_t k = 0, max = n;

	for (size_t i = 0; i < n; i++)
		max += in[i].ev.nauth;
	ids = arena_alloc(rc->cx->a, (max + 1) * sizeof *ids);
	for (size_t i = 0; i < n; i++) {
		ids[k++] = in[i].ev.id;
		for (size_t j = 0; j < in[i].ev.nauth; j++)
			if (stored_find(batch, in[i].ev.auth_ids[j]) == NULL)
				ids[k++] = in[i].ev.auth_ids[j];
	}
	return stored_load(rc->cx, &rc->ap.room, &rc->events, ids, k);
}

/* Judges one by its auth events and notes it; NULL when one of them is missing. */
static enum err
take_outlier(struct receive *rc, const struct incoming *in, int64_t nid, struct stored **out)
{
	struct stored *auth[EVENT_AUTH_MAX], *s, *replaces;
	const char *why;
	int flags;
	enum err e;

	*out = NULL;
	if (strcmp(in->ev.room, rc->ap.room.id) != 0)
		return M_OK;
	for (size_t i = 0; i < in->ev.nauth; i++)
		if ((auth[i] = stored_find(&rc->events, in->ev.auth_ids[i])) == NULL)
			return M_OK;
	if ((e = receive_judge(rc, in, auth, (struct point){ 0, -1 }, &flags, &why, &replaces)) != M_OK)
		return e;
	s = arena_zalloc(rc->cx->a, sizeof *s);
	*s = (struct stored){ .ev = in->ev, .nid = nid, .key_nid = -1, .flags = flags | EV_OUTLIER, .room_pos = INT64_MIN, .at_ver = -1,
		.before = { 0, -1 }, .fork = -1 };
	s->ev.rejected = flags != 0;
	if ((e = nid_of(rc, s->ev.type, &s->type_nid)) != M_OK || (e = nid_of(rc, s->ev.sender, &s->sender_nid)) != M_OK ||
	    (s->ev.state_key != NULL && (e = nid_of(rc, s->ev.state_key, &s->key_nid)) != M_OK))
		return e;
	stored_put(&rc->events, s);
	*out = s;
	return M_OK;
}

static void
write_outliers(struct receive *rc, struct stored *const *s, size_t n)
{
	struct arena *a = rc->cx->a;
	int64_t *nid = arena_alloc(a, (n + 1) * sizeof *nid), *ts = arena_alloc(a, (n + 1) * sizeof *ts), *flags = arena_alloc(a, (n + 1) * sizeof *flags);
	const char **text = arena_alloc(a, 6 * (n + 1) * sizeof *text);
	const char **type = text, **key = text + n, **sender = text + 2 * n, **id = text + 3 * n, **content = text + 4 * n, **pdu = text + 5 * n;
	struct pdu_columns c;

	for (size_t i = 0; i < n; i++) {
		event_columns(a, &s[i]->ev, &c);
		s[i]->flags |= c.flags;
		nid[i] = s[i]->nid;
		ts[i] = c.ts;
		flags[i] = s[i]->flags;
		type[i] = c.type;
		key[i] = c.state_key;
		sender[i] = c.sender;
		id[i] = c.id;
		content[i] = c.content;
		pdu[i] = c.pdu;
	}
	db_queue(rc->cx, NULL, DB_NONE, &receive_outlier_rows, P_I64(rc->ap.room.nid), P_I64S(nid, n), P_I64S(ts, n), P_TEXTS(type, n), P_TEXTS(key, n),
	    P_TEXTS(sender, n), P_I64S(flags, n), P_TEXTS(id, n), P_TEXTS(content, n), P_TEXTS(pdu, n));
}

enum err
receive_outliers(struct receive *rc, const struct incoming *in, size_t n, int64_t *nids)
{
	struct ctx *cx = rc->cx;
	struct stored **made = arena_alloc(cx->a, (n + 1) * sizeof *made), *s;
	struct stored_map batch;
	struct rows r;
	int64_t *fresh;
	size_t *order, nmade = 0, k;
	enum err e;

	if (n == 0)
		return M_OK;
	batch_index(cx, &batch, in, n);
	receive_names(rc, in, n);	/* known already where receive_open() was told of them; else at least all at once */
	names_queue(&rc->ap.names);
	if (rc->ap.names.asked && (e = db_run(cx)) != M_OK)
		return e;
	names_take(&rc->ap.names);
	if ((e = load_outside(rc, &batch, in, n)) != M_OK || (e = db_row(cx, &r, &receive_outlier_nids, P_I64((int64_t)n))) != M_OK)
		return e;
	fresh = db_i64s(&r, 0, &k);
	order = batch_by_chain(cx, &batch, in, n);
	for (size_t i = 0; i < n; i++) {
		size_t x = order[i];
		if ((s = stored_find(&rc->events, in[x].ev.id)) == NULL) {
			if ((e = take_outlier(rc, &in[x], fresh[i], &s)) != M_OK)
				return e;
			if (s != NULL)
				made[nmade++] = s;
		}
		if (nids != NULL)
			nids[x] = s != NULL && !s->elsewhere ? s->nid : 0;
	}
	for (size_t i = 0; i < nmade; i += OUTLIERS_AT_ONCE)
		write_outliers(rc, made + i, nmade - i < OUTLIERS_AT_ONCE ? nmade - i : OUTLIERS_AT_ONCE);
	return db_run(cx);
}

/* ---- the end */

enum err
receive_close(struct receive *rc)
{
	struct room *room = &rc->ap.room;
	int64_t *ext = arena_alloc(rc->cx->a, (rc->next + 1) * sizeof *ext);
	enum err e;

	if (!rc->changed)
		return db_run(rc->cx);
	room->depth = 0;
	for (size_t i = 0; i < rc->next; i++) {
		ext[i] = rc->ext[i]->nid;
		if (rc->ext[i]->ev.depth > room->depth)
			room->depth = rc->ext[i]->ev.depth;
	}
	append_write_members(&rc->ap);
	counts_write_positions(&rc->ap);
	db_queue(rc->cx, NULL, DB_NONE, &receive_room, P_I64(room->nid), P_I64(room->last_room_pos), P_I64(room->state_ver), P_I64S(ext, rc->next),
	    P_I64(room->depth), P_I64(room->joined), P_I64(room->invited), P_BOOL(rc->replaced), SUMS(room->sums), P_I64_OR_NULL(rc->cut_ver, -1));
	touch_room(rc->cx, room->nid);
	if ((e = db_run(rc->cx)) != M_OK || rc->next <= ENDS_MAX || rc->merging)
		return e;
	return merge_ends(rc->cx, room->id);
}
