/* core/room/hole_learn.c - states that were not known when a hole was filled, see hole.h. */
#include "core/base/id.h"
#include "core/jobs/jobs.h"
#include "core/room/hole.h"
#include "core/room/receive_impl.h"

STMT(hole_unknown,
    "SELECT " STORED_COLS " FROM event e WHERE e.room = $1 AND e.room_pos > $2 AND e.room_pos < $3 AND e.ver IS NULL ORDER BY e.room_pos LIMIT $4");
STMT(hole_know, "UPDATE event SET line = $2, ver = $3, prev_state = $4 WHERE nid = $1");
STMT(hole_room, "SELECT id FROM room WHERE nid = $1");

static enum err
know(struct receive *rc, struct stored *s, struct point before, const struct stored *replaces)
{
	s->before = before;
	db_queue(rc->cx, NULL, DB_NONE, &hole_know, P_I64(s->nid), P_I64(before.line), P_I64(before.ver),
	    P_I64_OR_NULL(replaces != NULL ? replaces->nid : -1, -1));
	return receive_fork_after(rc, s);
}

/* The signature of who authorised a join was looked at when it came in, and is not kept: without it, it would be rejected. */
static struct incoming
as_incoming(struct arena *a, const struct stored *s)
{
	const char *via = json_get_esc(a, s->ev.content, "join_authorised_via_users_server");

	return (struct incoming){ .ev = s->ev, .authoriser = via != NULL ? id_server(via) : NULL };
}

static enum err
learn_one(struct receive *rc, struct stored *s, bool *did)
{
	const struct event *ev = &s->ev;
	const struct incoming in = as_incoming(rc->cx->a, s);
	struct stored *prev[EVENT_PREV_MAX], *auth[EVENT_AUTH_MAX], *replaces;
	struct point before;
	const char *why;
	int flags;
	enum err e;

	for (size_t i = 0; i < ev->nprev; i++) {
		prev[i] = stored_find(&rc->events, ev->prev_ids[i]);
		if (prev[i] == NULL || prev[i]->elsewhere || (prev[i]->flags & EV_OUTLIER) || prev[i]->before.ver < 0)
			return M_OK;
	}
	for (size_t i = 0; i < ev->nauth; i++)
		if ((auth[i] = stored_find(&rc->events, ev->auth_ids[i])) == NULL)
			return M_OK;
	if (ev->nprev == 0 || (e = receive_meet(rc, prev, ev->nprev, &before)) == M_TOO_LARGE)
		return M_OK;
	if (e != M_OK || (e = receive_judge(rc, &in, auth, before, &flags, &why, &replaces)) != M_OK || flags != 0)
		return e;
	*did = true;
	return know(rc, s, before, replaces);
}

/* Reads the lowest of them, with all that they cite. */
static enum err
read_unknown(struct receive *rc, int64_t above, int64_t below, struct stored **v, size_t *n)
{
	struct ctx *cx = rc->cx;
	struct incoming *cited = arena_alloc(cx->a, HOLE_LEARN * sizeof *cited);
	struct rows r;
	enum err e;

	if ((e = db_query(cx, &r, &hole_unknown, P_I64(rc->ap.room.nid), P_I64(above), P_I64(below), P_I64(HOLE_LEARN))) != M_OK)
		return e;
	for (*n = 0; db_next(&r); ++*n) {
		struct stored *s = stored_find(&rc->events, db_text(&r, 1));
		if (s == NULL) {
			if ((e = stored_take(cx, &rc->ap.room, &r, &s)) != M_OK)
				return e;
			stored_put(&rc->events, s);
		}
		v[*n] = s;
		cited[*n] = (struct incoming){ .ev = s->ev };
	}
	return *n > 0 ? receive_load_cited(rc, cited, *n) : M_OK;
}

/* What follows from what was learned stands above it: where nothing was, there is nothing more to be learned. */
static enum err
learn(struct receive *rc, int64_t above, int64_t below, int64_t *next)
{
	struct stored *v[HOLE_LEARN];
	bool any = false;
	size_t n;
	enum err e;

	*next = INT64_MAX;
	if ((e = read_unknown(rc, above, below, v, &n)) != M_OK)
		return e;
	for (size_t i = 0; i < n; i++)
		if ((e = learn_one(rc, v[i], &any)) != M_OK)
			return e;
	if (any && n == HOLE_LEARN)
		*next = v[n - 1]->room_pos;
	return M_OK;
}

enum err
hole_learn(struct receive *rc, int64_t above, int64_t below)
{
	struct ctx *cx = rc->cx;
	int64_t next;
	enum err e;

	if ((e = learn(rc, above, below, &next)) == M_OK && next != INT64_MAX)
		job_add(cx, "hole_learn", arena_printf(cx->a, "%lld:%lld:%lld", (long long)rc->ap.room.nid, (long long)next, (long long)below), NULL, 0);
	return e;
}

enum err
hole_learn_step(struct ctx *cx, int64_t room, int64_t above, int64_t below, int64_t *next)
{
	struct receive rc;
	struct rows r;
	enum err e;

	*next = INT64_MAX;
	if ((e = db_maybe(cx, &r, &hole_room, P_I64(room))) != M_OK || r.n == 0)
		return e;
	receive_init(&rc, cx);
	if ((e = receive_begin(&rc, cx, db_text(&r, 0))) != M_OK)
		return e == M_FORBIDDEN ? M_OK : e;	/* blocked or purged meanwhile */
	if ((e = learn(&rc, above, below, next)) != M_OK)
		return e;
	return receive_close(&rc);
}
