/* core/push/again.c - see again.h. */
#include "core/push/again.h"

#include <string.h>

#include "core/push/counts_impl.h"

/* Events in their order, so that those who wait for one are asked together. The last column: as far as the streams are seen here. */
STMT(again_rows,
    "SELECT q.pusher, q.nid, p.usr, q.event, q.room, q.n,"
    "	current_setting('hearth.epoch')::bigint << 42 | pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
    " FROM unnest($1::bigint[]) k(nid) CROSS JOIN LATERAL (SELECT nid, usr FROM pusher WHERE nid = k.nid OFFSET 0) p"
    " CROSS JOIN LATERAL (SELECT max(pos) AS pos FROM account_data WHERE usr = p.usr AND room = 0"
    "	AND type IN ('m.push_rules', 'm.ignored_user_list', 'm.invite_permission_config') OFFSET 0) d"
    " CROSS JOIN LATERAL (SELECT *, row_number() OVER (ORDER BY nid DESC) AS n FROM push"
    "	WHERE pusher = p.nid AND d.pos >= judged OFFSET 0) q"
    " ORDER BY q.event, q.room");
STMT(again_invitation,
    "SELECT (SELECT id FROM room WHERE nid = m.room), (SELECT body FROM name WHERE nid = m.sender),"
    " (SELECT content FROM account_data WHERE usr = m.usr AND room = 0 AND type = 'm.invite_permission_config')"
    " FROM local_member m WHERE m.usr = $1 AND m.room = $2 AND m.membership = 1 AND m.sender IS NOT NULL");
STMT(again_drop, "DELETE FROM push d USING unnest($1::bigint[], $2::bigint[]) k(pusher, nid) WHERE d.pusher = k.pusher AND d.nid = k.nid");
STMT(again_keep,
    "UPDATE push d SET judged = $5, highlight = k.highlight <> 0, sound = k.sound"
    " FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[]) k(pusher, nid, highlight, sound)"
    " WHERE d.pusher = k.pusher AND d.nid = k.nid");

struct again {
	int64_t pusher, nid, usr, event, room;
	bool notify, highlight;
	const char *sound;	/* esc */
};

void
push_again_queue(struct ctx *cx, struct rows *r, const int64_t *pushers, size_t n)
{
	*r = (struct rows){ 0 };
	if (n > 0)
		db_queue(cx, r, DB_ANY, &again_rows, P_I64S(pushers, n));
}

/* What the verdict says, in memory that outlives it. */
static void
said(struct arena *a, struct again *g, bool notify, bool highlight, const char *sound)
{
	g->notify = notify;
	g->highlight = highlight;
	g->sound = notify && sound ? esc_from_raw(a, sound, strlen(sound)) : NULL;
}

/* cx has memory of its own, a is the caller's. */
static enum err
judge_event(struct ctx *cx, struct arena *a, struct again *g, size_t n)
{
	struct push_verdict *v = arena_calloc(cx->a, n, sizeof *v);
	int64_t *users = arena_calloc(cx->a, n, sizeof *users);
	enum err e;

	for (size_t i = 0; i < n; i++)
		users[i] = g[i].usr;
	if ((e = push_verdicts(cx, g->event, users, n, v)) != M_OK)
		return e;
	for (size_t i = 0; i < n; i++)
		said(a, &g[i], v[i].notify, v[i].highlight, v[i].sound);
	return M_OK;
}

static enum err
judge_invitation(struct ctx *cx, struct arena *a, struct again *g)
{
	struct push_result word;
	struct rows r;
	enum err e;

	if ((e = db_maybe(cx, &r, &again_invitation, P_I64(g->usr), P_I64(g->room))) != M_OK || r.n == 0)
		return e;
	e = push_judge_invitation(cx, g->usr, db_text(&r, 0), db_text(&r, 1), db_text(&r, 2), &word);
	if (e == M_OK)
		said(a, g, word.notify, word.highlight, word.sound);
	return e;
}

/* How many, from the first on, are of the same event. */
static size_t
together(const struct again *g, size_t n)
{
	size_t k = 1;

	while (g->event != 0 && k < n && g[k].event == g->event)
		k++;
	return k;
}

static enum err
judge(struct ctx *cx, struct again *g, size_t n)
{
	enum err e = M_OK;

	for (size_t i = 0, k; i < n && e == M_OK; i += k) {
		struct ctx own = *cx;	/* each user's rules may be a hundred kilobytes */

		k = together(g + i, n - i);
		own.a = arena_new();
		e = g[i].event != 0 ? judge_event(&own, cx->a, g + i, k) : judge_invitation(&own, cx->a, g + i);
		arena_free(own.a);
	}
	return e;
}

static enum err
write(struct ctx *cx, const struct again *g, size_t n, int64_t judged, int64_t *dropped)
{
	int64_t *pusher[2], *nid[2], *highlight = arena_calloc(cx->a, n, sizeof *highlight);
	const char **sound = arena_calloc(cx->a, n, sizeof *sound);
	size_t k[2] = { 0, 0 };

	for (int i = 0; i < 2; i++) {
		pusher[i] = arena_calloc(cx->a, n, sizeof *pusher[i]);
		nid[i] = arena_calloc(cx->a, n, sizeof *nid[i]);
	}
	for (size_t i = 0; i < n; i++) {
		bool keep = g[i].notify;
		size_t to = k[keep]++;

		pusher[keep][to] = g[i].pusher;
		nid[keep][to] = g[i].nid;
		if (keep) {
			highlight[to] = g[i].highlight;
			sound[to] = g[i].sound;
		}
	}
	*dropped = (int64_t)k[0];
	if (k[0] > 0)
		db_queue(cx, NULL, DB_NONE, &again_drop, P_I64S(pusher[0], k[0]), P_I64S(nid[0], k[0]));
	if (k[1] > 0)
		db_queue(cx, NULL, DB_NONE, &again_keep, P_I64S(pusher[1], k[1]), P_I64S(nid[1], k[1]), P_I64S(highlight, k[1]),
		    P_TEXTS(sound, k[1]), P_I64(judged));
	return db_run(cx);
}

enum err
push_again(struct ctx *cx, struct rows *r, int64_t *dropped)
{
	struct again *g = arena_calloc(cx->a, (size_t)r->n + 1, sizeof *g);
	size_t n = 0, old = (size_t)r->n;
	int64_t judged = 0;
	enum err e;

	*dropped = 0;
	if (r->n == 0)
		return M_OK;
	while (db_next(r)) {
		/* Of whom more than PUSH_AGAIN_MAX are newer, to the end: they are not asked about, and go. */
		struct again *v = &g[db_i64(r, 5) > PUSH_AGAIN_MAX ? --old : n++];
		*v = (struct again){ .pusher = db_i64(r, 0), .nid = db_i64(r, 1), .usr = db_i64(r, 2), .event = db_i64(r, 3), .room = db_i64(r, 4) };
		judged = db_i64(r, 6);
	}
	if ((e = judge(cx, g, n)) != M_OK)
		return e;
	return write(cx, g, (size_t)r->n, judged, dropped);
}
