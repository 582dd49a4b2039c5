/* core/push/feed.c - from the streams into table push; see feed.h. */
#include "core/push/feed.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/failpoint.h"
#include "core/base/sorted.h"
#include "core/db/db.h"
#include "core/push/counts_impl.h"
#include "core/room/names.h"
#include "core/sync/token.h"

#define FRESH_MS (60 * 1000)	/* a position is moved on at least so often: what lies behind it stays little */

STMT(feed_hold, "SELECT since, until, at_pos, at_nid, looked_ts FROM push_feed FOR UPDATE SKIP LOCKED");
/* After the position was taken: who has none then had none for what the position has seen. */
STMT(feed_any_pusher, "SELECT EXISTS (SELECT FROM pusher)");
STMT(feed_events,
    "SELECT * FROM ("
    "  (SELECT nid, pos, room, type, sender, state_key FROM event WHERE pos >= greatest($1::bigint, $3::bigint) AND (pos, nid) > ($3, $4)"
    "	AND room_pos IS NOT NULL ORDER BY pos, nid LIMIT $5)"
    "  UNION ALL (SELECT nid, pos, room, type, sender, state_key FROM event WHERE pos = ANY($2) AND (pos, nid) > ($3, $4)"
    "	AND room_pos IS NOT NULL ORDER BY pos, nid LIMIT $5)) e ORDER BY pos, nid LIMIT $5");
/*
 * Members with a pusher, from the smaller side: the members of the room, or those who have a pusher at all ($2 of them, about).
 */
STMT(feed_members,
    "SELECT r.nid, u.usr FROM unnest($1::bigint[]) k(room) CROSS JOIN LATERAL"
    " (SELECT nid, joined FROM room WHERE nid = k.room OFFSET 0) r CROSS JOIN LATERAL ("
    "  SELECT m.usr FROM local_member m WHERE m.room = r.nid AND m.membership = 2 AND r.joined <= $2"
    "	AND EXISTS (SELECT FROM pusher p WHERE p.usr = m.usr)"
    "  UNION ALL SELECT p.usr FROM (SELECT DISTINCT usr FROM pusher) p CROSS JOIN LATERAL ("
    "	SELECT FROM local_member m WHERE m.usr = p.usr AND m.room = r.nid AND m.membership = 2 OFFSET 0) m WHERE r.joined > $2"
    " ) u ORDER BY 1, 2");
STMT(feed_with_pusher, "SELECT DISTINCT usr FROM pusher WHERE usr = ANY($1) ORDER BY usr");
STMT(feed_readers,
    "SELECT DISTINCT r.usr FROM (SELECT usr FROM receipt WHERE pos >= $1 UNION ALL SELECT usr FROM receipt WHERE pos = ANY($2)) r"
    " WHERE (SELECT true FROM pusher p WHERE p.usr = r.usr LIMIT 1)");
/* Invitations to rooms that this server is not in: their event is no row of its own, they are what the user is to the room. */
STMT(feed_invitations,
    "SELECT m.pos, m.usr, m.room, (SELECT id FROM room WHERE nid = m.room), (SELECT body FROM name WHERE nid = m.sender),"
    " (SELECT content FROM account_data WHERE usr = m.usr AND room = 0 AND type = 'm.invite_permission_config')"
    " FROM (SELECT * FROM local_member WHERE pos >= $1 UNION ALL SELECT * FROM local_member WHERE pos = ANY($2) OFFSET 0) m"
    " WHERE m.membership = 1 AND m.event IS NULL AND m.oob_pdu IS NOT NULL AND m.sender IS NOT NULL AND NOT m.forgotten"
    " AND (SELECT true FROM pusher p WHERE p.usr = m.usr LIMIT 1)");
STMT(feed_count, "SELECT count(DISTINCT usr) FROM pusher");
/*
 * Whoever has a back-off keeps it. Rows of pushers that go at this moment are passed over; those that
 * are found are held, so they cannot go before the COMMIT.
 */
STMT(feed_push,
    "WITH said AS (SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[])"
    "	WITH ORDINALITY s(usr, event, room, pos, highlight, sound, n)),"
    " p AS (UPDATE pusher p SET gen = gen + 1, due_ts = CASE WHEN failures > 0 THEN coalesce(due_ts, $7) ELSE least(due_ts, $7) END"
    "	WHERE usr = ANY($1) AND EXISTS (SELECT FROM said s WHERE s.usr = p.usr AND s.pos >= p.pos) RETURNING nid, usr, pos)"
    " INSERT INTO push (pusher, event, room, ts, highlight, sound, judged)"
    "	SELECT p.nid, s.event, s.room, $7, s.highlight <> 0, s.sound, $8 FROM said s JOIN p ON p.usr = s.usr AND s.pos >= p.pos ORDER BY s.n");
/* What was told as 0 cannot fall. */
STMT(feed_badge,
    "UPDATE pusher SET badge = true, gen = gen + 1, due_ts = coalesce(due_ts, $2)"
    " WHERE usr = ANY($1) AND unread IS DISTINCT FROM 0");
STMT(feed_lazily, "SELECT set_config('synchronous_commit', 'off', true)");	/* lost, a position is only found again */
STMT(feed_move, "UPDATE push_feed SET since = $1, until = $2, at_pos = $3, at_nid = $4, looked_ts = $5");

struct feed_event {
	int64_t nid, pos, room, type, sender, key;
};

struct look {
	struct ctx *cx;
	struct position since, until, now;
	bool lost, idle;		/* there is no position that counts; nobody has a pusher: in both cases what is now is begun with */
	bool fresh_until;		/* until is that of this look */
	int64_t at_pos, at_nid, looked_ts;
	struct feed_event *ev;
	size_t n;
	bool full;			/* there may be more events before until */

	int64_t *rooms, *room_of, *users;	/* users[i], with a pusher, is in room_of[i]; by room */
	size_t nrooms, nusers;
	int64_t *people;		/* with a pusher, among those that events speak of; ascending */
	size_t npeople;
	int64_t *badges;
	size_t nbadges;
	struct rows invitations;
	struct {
		int64_t *usr, *event, *room, *pos, *highlight;
		const char **sound;
		size_t n, cap;
	} say;
};

static int
cmp(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static size_t
sort_unique(int64_t *v, size_t n)
{
	size_t k = 0;

	qsort(v, n, sizeof *v, cmp);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || v[i] != v[i - 1])
			v[k++] = v[i];
	return k;
}

/* ---- where we are */

/* false: nothing to look at. Judges the stored position: one that the database has lost begins anew, at the present. */
static bool
place(struct look *l, struct rows *held, struct rows *any, const struct epochs *epochs)
{
	struct arena *a = l->cx->a;
	const char *since = db_text(held, 0), *until = db_text(held, 1);

	l->at_pos = db_i64(held, 2);
	l->at_nid = db_i64(held, 3);
	l->looked_ts = db_i64(held, 4);
	l->lost = !token_decode(a, since, &l->since) || token_judge(&l->since, &l->now, epochs) == TOKEN_LOST;
	l->idle = !db_bool(any, 0);
	if (l->lost || l->idle)
		return false;
	l->fresh_until = until == NULL || !token_decode(a, until, &l->until) ||
	    token_judge(&l->until, &l->now, epochs) == TOKEN_LOST;
	if (l->fresh_until) {
		l->until = l->now;
		l->at_pos = l->at_nid = 0;
	}
	return true;
}

/* ---- what is new */

static enum err
load_events(struct look *l)
{
	struct ctx *cx = l->cx;
	struct rows r;
	enum err e;

	if ((e = db_query(cx, &r, &feed_events, P_POSITION(&l->since), P_I64(l->at_pos), P_I64(l->at_nid), P_I64(FEED_EVENTS))) != M_OK)
		return e;
	l->ev = arena_calloc(cx->a, (size_t)r.n + 1, sizeof *l->ev);
	while (db_next(&r)) {
		struct feed_event *ev = &l->ev[l->n];

		*ev = (struct feed_event){ db_i64(&r, 0), db_i64(&r, 1), db_i64(&r, 2), db_i64(&r, 3), db_i64(&r, 4),
			db_null(&r, 5) ? -1 : db_i64(&r, 5) };
		l->at_pos = ev->pos;
		l->at_nid = ev->nid;
		/* The statement's snapshot is later than the position: what that had not seen comes with the next look. */
		l->n += !position_new(&l->until, ev->pos);
	}
	l->full = r.n == FEED_EVENTS && l->at_pos < l->until.xmax;
	return M_OK;
}

static void
collect(struct look *l)
{
	struct arena *a = l->cx->a;
	size_t np = 0;

	l->rooms = arena_calloc(a, l->n + 1, sizeof *l->rooms);
	l->people = arena_calloc(a, 2 * l->n + 1, sizeof *l->people);
	for (size_t i = 0; i < l->n; i++) {
		l->rooms[i] = l->ev[i].room;
		l->people[np++] = l->ev[i].sender;
		if (l->ev[i].type == T_MEMBER)
			l->people[np++] = l->ev[i].key;
	}
	l->nrooms = sort_unique(l->rooms, l->n);
	l->npeople = sort_unique(l->people, np);
}

/* About how many users have a pusher; asked once a minute, for it only says which way is shorter. */
static enum err
count_users(struct ctx *cx, int64_t *count)
{
	static int64_t n, asked_ts;
	struct rows r;
	enum err e;

	if (asked_ts == 0 || cx->now - asked_ts > FRESH_MS || cx->now < asked_ts) {
		if ((e = db_row(cx, &r, &feed_count)) != M_OK)
			return e;
		n = db_i64(&r, 0);
		asked_ts = cx->now;
	}
	*count = n;
	return M_OK;
}

static enum err
load_users(struct look *l)
{
	struct ctx *cx = l->cx;
	struct rows members, people, readers = { .i = -1 };
	int64_t count;
	enum err e;

	if ((e = count_users(cx, &count)) != M_OK)
		return e;
	db_queue(cx, &members, DB_ANY, &feed_members, P_I64S(l->rooms, l->nrooms), P_I64(count));
	db_queue(cx, &people, DB_ANY, &feed_with_pusher, P_I64S(l->people, l->npeople));
	if (!l->full) {
		db_queue(cx, &readers, DB_ANY, &feed_readers, P_POSITION(&l->since));
		db_queue(cx, &l->invitations, DB_ANY, &feed_invitations, P_POSITION(&l->since));
	}
	if ((e = db_run(cx)) != M_OK)
		return e;
	l->room_of = arena_calloc(cx->a, (size_t)members.n + 1, sizeof *l->room_of);
	l->users = arena_calloc(cx->a, (size_t)members.n + 1, sizeof *l->users);
	while (db_next(&members)) {
		l->room_of[l->nusers] = db_i64(&members, 0);
		l->users[l->nusers++] = db_i64(&members, 1);
	}
	l->npeople = 0;
	while (db_next(&people))
		l->people[l->npeople++] = db_i64(&people, 0);
	/* Who sends has read; who comes or goes has other rooms than before. */
	l->badges = arena_calloc(cx->a, l->npeople + (size_t)readers.n + 1, sizeof *l->badges);
	memcpy(l->badges, l->people, l->npeople * sizeof *l->badges);
	l->nbadges = l->npeople;
	while (db_next(&readers))
		l->badges[l->nbadges++] = db_i64(&readers, 0);
	l->nbadges = sort_unique(l->badges, l->nbadges);
	return M_OK;
}

/* ---- what rules say */

static void
say(struct look *l, const struct feed_event *ev, int64_t usr, const struct push_verdict *v)
{
	struct arena *a = l->cx->a;
	size_t i = l->say.n++, cap = l->say.cap;

	if (i == cap) {
		size_t n = l->say.cap = cap ? 2 * cap : 64;

#define GROW(x) l->say.x = arena_realloc(a, l->say.x, cap * sizeof *l->say.x, n * sizeof *l->say.x)
		GROW(usr), GROW(event), GROW(room), GROW(pos), GROW(highlight), GROW(sound);
#undef GROW
	}
	l->say.usr[i] = usr;
	l->say.event[i] = ev->nid;
	l->say.room[i] = ev->room;
	l->say.pos[i] = ev->pos;
	l->say.highlight[i] = v->highlight;
	l->say.sound[i] = v->sound ? esc_from_raw(a, v->sound, strlen(v->sound)) : NULL;
}

/* The members of its room, but not the sender; and whom it invites. */
static size_t
hearers(const struct look *l, const struct feed_event *ev, int64_t *out)
{
	size_t n = 0;

	for (size_t i = i64_place(l->room_of, l->nusers, ev->room); i < l->nusers && l->room_of[i] == ev->room; i++)
		if (l->users[i] != ev->sender)
			out[n++] = l->users[i];
	if (ev->type != T_MEMBER || ev->key == ev->sender || !i64_in(l->people, l->npeople, ev->key))
		return n;
	for (size_t i = 0; i < n; i++)
		if (out[i] == ev->key)
			return n;
	out[n++] = ev->key;
	return n;
}

/* In memory of its own: each user's rules may be a hundred kilobytes. */
static enum err
judge_one(struct look *l, const struct feed_event *ev, const int64_t *users, size_t n)
{
	struct ctx cx = *l->cx;
	struct push_verdict *v;
	enum err e;

	cx.a = arena_new();
	v = arena_calloc(cx.a, n, sizeof *v);
	e = push_verdicts(&cx, ev->nid, users, n, v);
	for (size_t k = 0; e == M_OK && k < n; k++)
		if (v[k].notify)
			say(l, ev, users[k], &v[k]);
	arena_free(cx.a);
	return e;
}

static enum err
judge(struct look *l)
{
	int64_t *users = arena_calloc(l->cx->a, l->nusers + 1, sizeof *users);
	size_t asked = 0;
	enum err e;

	for (size_t i = 0; i < l->n; i++) {
		size_t n = hearers(l, &l->ev[i], users);

		if (n == 0)
			continue;
		if (asked > 0 && asked + n > FEED_VERDICTS) {	/* the rest is for the next look */
			l->n = i;
			l->at_pos = l->ev[i - 1].pos;
			l->at_nid = l->ev[i - 1].nid;
			l->full = true;
			return M_OK;
		}
		asked += n;
		if ((e = judge_one(l, &l->ev[i], users, n)) != M_OK)
			return e;
	}
	return M_OK;
}

/* One after the other, in memory of its own: there are few, and each may have long rules. */
static enum err
judge_invitation(struct look *l, const struct rows *r)
{
	const struct feed_event ev = { .pos = db_i64(r, 0), .room = db_i64(r, 2) };
	int64_t usr = db_i64(r, 1);
	struct ctx cx = *l->cx;
	struct push_result said;
	enum err e;

	cx.a = arena_new();
	e = push_judge_invitation(&cx, usr, db_text(r, 3), db_text(r, 4), db_text(r, 5), &said);
	if (e == M_OK && said.notify)
		say(l, &ev, usr, &(struct push_verdict){ .notify = true, .highlight = said.highlight, .sound = said.sound });
	arena_free(cx.a);
	return e;
}

/* With the last piece of a long way: what is told with an earlier one would be told again. */
static enum err
judge_invitations(struct look *l)
{
	enum err e = M_OK;

	while (e == M_OK && !l->full && l->invitations.res != NULL && db_next(&l->invitations))
		if (!position_new(&l->until, db_i64(&l->invitations, 0)))
			e = judge_invitation(l, &l->invitations);
	return e;
}

/* ---- writing */

static void
queue_move(struct look *l)
{
	struct ctx *cx = l->cx;
	const char *since, *until = NULL;

	if (l->lost || l->idle)
		since = token_encode(cx->a, &l->now);
	else if (l->full) {
		since = token_encode(cx->a, &l->since);
		until = token_encode(cx->a, &l->until);
	} else
		since = token_encode(cx->a, &l->until);
	db_queue(cx, NULL, DB_NONE, &feed_move, P_TEXT(since), P_TEXT(until), P_I64(until ? l->at_pos : 0), P_I64(until ? l->at_nid : 0),
	    P_I64(cx->now));
}

static void
queue_all(struct look *l, struct feed_look *out)
{
	struct ctx *cx = l->cx;

	if (l->say.n > 0)
		db_queue(cx, NULL, DB_NONE, &feed_push, P_I64S(l->say.usr, l->say.n), P_I64S(l->say.event, l->say.n),
		    P_I64S(l->say.room, l->say.n), P_I64S(l->say.pos, l->say.n), P_I64S(l->say.highlight, l->say.n),
		    P_TEXTS(l->say.sound, l->say.n), P_I64(cx->now), P_I64(l->now.nxip > 0 ? l->now.xip[0] : l->now.xmax));
	else
		db_queue(cx, NULL, DB_NONE, &feed_lazily);
	if (l->nbadges > 0)
		db_queue(cx, NULL, DB_NONE, &feed_badge, P_I64S(l->badges, l->nbadges), P_I64(cx->now + FEED_BADGE_MS));
	queue_move(l);
	out->more = l->full || (!l->fresh_until && !l->lost && !l->idle);
	out->queued = l->say.n + l->nbadges > 0;
}

static enum err
look(struct look *l, struct feed_look *out)
{
	struct ctx *cx = l->cx;
	struct rows held, any, pos;
	struct epochs epochs;
	enum err e;

	db_queue(cx, &held, DB_MAYBE, &feed_hold);
	position_queue(cx, &pos, 1);
	db_queue(cx, &any, DB_ONE, &feed_any_pusher);
	if ((e = db_run(cx)) != M_OK || held.n == 0 || (e = position_read(cx, &pos, &l->now, &epochs)) != M_OK)
		return e;
	if (place(l, &held, &any, &epochs)) {
		if ((e = load_events(l)) != M_OK)
			return e;
		collect(l);
		if ((e = load_users(l)) != M_OK || (e = judge(l)) != M_OK || (e = judge_invitations(l)) != M_OK)
			return e;
	}
	/* Nothing happened: nothing is written. */
	if (!l->lost && (l->idle || l->at_pos == 0) && l->nbadges == 0 && l->say.n == 0 && cx->now - l->looked_ts < FRESH_MS &&
	    cx->now >= l->looked_ts)
		return M_OK;
	if (failpoint("push.feed"))
		return E_UNAVAILABLE;
	queue_all(l, out);
	return db_commit(cx);
}

enum err
push_feed_look(struct ctx *cx, struct feed_look *out)
{
	struct look l = { .cx = cx };
	enum err e;

	*out = (struct feed_look){ 0 };
	db_begin(cx, TX_RW);
	e = look(&l, out);
	if (db_in_tx(cx))
		db_rollback(cx);
	if (e != M_OK)
		*out = (struct feed_look){ 0 };
	return e;
}
