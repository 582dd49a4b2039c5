/* core/push/tell.c - what a pusher has to tell, as of now; see deliver_impl.h. */
#include <string.h>

#include "core/db/db.h"
#include "core/event/event.h"
#include "core/push/again.h"
#include "core/push/counts.h"
#include "core/push/deliver.h"
#include "core/push/deliver_impl.h"
#include "core/room/names.h"
#include "core/room/render.h"

/*
 * Not worth telling: the event is gone or redacted; read; its user is no member, and it does not invite him; too old. And of
 * the others, where a gateway has missed them or they are too many, all but the newest, and the newest that makes itself heard.
 * $2: what came before is given up; $3: of gateways that fail since before, only the newest of all is kept; $4: too many.
 */
STMT(tell_drop,
    "WITH w AS MATERIALIZED (SELECT q.pusher, q.nid, q.room, q.highlight OR q.sound IS NOT NULL AS loud,"
    "	p.failures > 0 OR coalesce(g.failures > 0 OR q.ts < g.due_ts, false) AS missed,"
    "	least(p.failing_ts, CASE WHEN g.failures > 0 OR q.ts < g.due_ts THEN g.failing_ts END) AS failing_ts,"
    "	q.ts < $2 OR e.redacted_by IS NOT NULL OR NOT coalesce(CASE WHEN q.event = 0 THEN m.membership = 1 AND m.oob"
    "		ELSE e.type IS NOT NULL AND (m.membership = 2 OR m.membership = 1 AND e.type = 2 AND e.state_key = p.usr) END, false)"
    "	OR EXISTS (SELECT FROM read_up_to u WHERE u.usr = p.usr AND u.room = q.room AND u.thread IN (0, coalesce(e.thread, -1))"
    "		AND u.room_pos >= e.room_pos)"
    "	OR EXISTS (SELECT FROM account a WHERE a.usr = p.usr AND a.locked) AS dead"
    "	FROM push q CROSS JOIN LATERAL (SELECT * FROM pusher WHERE nid = q.pusher OFFSET 0) p"
    "	LEFT JOIN LATERAL (SELECT type, state_key, redacted_by, room_pos, thread FROM event WHERE nid = q.event OFFSET 0) e ON true"
    "	LEFT JOIN LATERAL (SELECT membership, oob_pdu IS NOT NULL AS oob FROM local_member WHERE usr = p.usr AND room = q.room OFFSET 0) m ON true"
    "	LEFT JOIN LATERAL (SELECT * FROM push_gateway WHERE gateway = p.gateway OFFSET 0) g ON true"
    "	WHERE q.pusher = ANY($1)),"
    " v AS (SELECT *, count(*) FILTER (WHERE NOT dead) OVER (PARTITION BY pusher) AS waiting,"
    "	max(nid) FILTER (WHERE NOT dead) OVER (PARTITION BY pusher, room, loud) AS newest_here,"
    "	max(nid) FILTER (WHERE NOT dead) OVER (PARTITION BY pusher, loud) AS newest FROM w)"
    " DELETE FROM push d USING v WHERE d.pusher = v.pusher AND d.nid = v.nid AND (v.dead"
    "	OR v.missed AND v.failing_ts < $3 AND v.nid < v.newest"
    "	OR (v.missed OR v.waiting > $4) AND v.nid < v.newest_here)");
STMT(tell_pushers,
    "SELECT p.nid, p.usr, (SELECT body FROM name WHERE nid = p.usr), p.app_id, p.pushkey, p.updated_ts, p.data, p.gateway, p.gen,"
    "	p.badge AND NOT a.locked, p.unread, p.failures, p.lease_ts, coalesce(p.failing_ts < $2, false), q.nid, q.event, q.highlight, q.sound, q.room,"
    "	(SELECT failures FROM push_gateway WHERE gateway = p.gateway AND due_ts = p.lease_ts)"
    " FROM unnest($1::bigint[]) k(nid) JOIN pusher p ON p.nid = k.nid JOIN account a ON a.usr = p.usr"
    " LEFT JOIN LATERAL (SELECT * FROM push WHERE pusher = p.nid ORDER BY nid LIMIT 1) q ON true");

/* The newest of a key of the room's state. */
#define STATE(type, key)						\
	"(SELECT ARRAY[x.content, x.flags::text] FROM (SELECT event FROM current_state WHERE room = e.room"	\
	"	AND type = " type " AND key = " key " OFFSET 0) s"			\
	" CROSS JOIN LATERAL (SELECT content, flags FROM event WHERE nid = s.event OFFSET 0) x)"
STMT(tell_events,
    "SELECT " ROOM_EVENT_COLS ", (SELECT id FROM room WHERE nid = e.room), " STATE("7", "0") ", " STATE("10", "0") ", " STATE("2", "e.sender")
    " FROM unnest($1::bigint[]) k(nid) CROSS JOIN LATERAL (SELECT * FROM event WHERE nid = k.nid OFFSET 0) e");

STMT(tell_invitations,
    "SELECT k.n, m.oob_pdu, m.stripped, m.id, m.version FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY k(usr, room, n)"
    " CROSS JOIN LATERAL (SELECT m.oob_pdu, m.stripped, r.id, r.version FROM local_member m JOIN room r ON r.nid = m.room"
    "	WHERE m.usr = k.usr AND m.room = k.room AND m.membership = 1 AND m.oob_pdu IS NOT NULL OFFSET 0) m");

/* What is loaded beside a struct tell. */
struct loaded {
	int64_t usr, room, event, told;	/* event 0: none, or an invitation to the room; told: the number told last, -1: never */
	bool badge;
};

static enum err
load_pushers(struct ctx *cx, const int64_t *pushers, size_t n, struct tell *v, struct loaded *l, size_t *nout)
{
	struct rows r;
	enum err e;

	if ((e = db_query(cx, &r, &tell_pushers, P_I64S(pushers, n), P_I64(cx->now - PUSH_GIVE_UP_MS))) != M_OK)
		return e;
	for (*nout = 0; db_next(&r); (*nout)++, v++, l++) {
		struct json *data = NULL;

		json_parse(cx->a, db_text(&r, 6), strlen(db_text(&r, 6)), &data);
		*v = (struct tell){ .pusher = db_i64(&r, 0), .user = db_text(&r, 2), .pushkey = db_text(&r, 4),
			.updated_ts = db_i64(&r, 5), .gateway = db_text(&r, 7), .gen = db_i64(&r, 8), .failures = (int)db_i64(&r, 11),
			.lease = db_i64(&r, 12), .push = db_i64(&r, 14), .gateway_failures = (int)db_i64(&r, 19), .url = json_get_str(data, "url") };
		v->what = (struct push_notification){ .app_id = db_text(&r, 3), .pushkey = v->pushkey, .pushkey_ts = v->updated_ts,
			.data = data, .highlight = db_bool(&r, 16), .sound = db_text(&r, 17) };
		/* A badge that could not be told for a day is given up like an event. */
		*l = (struct loaded){ .usr = db_i64(&r, 1), .room = db_i64(&r, 18), .event = db_i64(&r, 15),
			.badge = db_bool(&r, 9) && !db_bool(&r, 13),
			.told = db_null(&r, 10) ? -1 : db_i64(&r, 10) };
	}
	return M_OK;
}

/* A string that says something, in the content of a state event: {content, flags}. */
static const char *
state_text(struct arena *a, const struct rows *r, int col, const char *key)
{
	size_t n;
	const char **v = db_texts(r, col, &n), *s;
	struct json *c;

	if (v == NULL || n != 2 || json_parse(a, v[0], strlen(v[0]), &c) != JSON_OK)
		return NULL;
	if (strtoll(v[1], NULL, 10) & EV_VERBATIM)
		c = json_get(c, "content");
	s = json_get_esc(a, c, key);
	return s != NULL && *s != '\0' ? s : NULL;
}

static const char *
membership_text(struct arena *a, const char *content)
{
	struct json *c;

	return json_parse(a, content, strlen(content), &c) == JSON_OK ? json_get_esc(a, c, "membership") : NULL;
}

static void
describe(struct ctx *cx, const struct rows *r, struct push_notification *to, const char *user)
{
	struct room_event ev;

	room_event_read(r, &ev);
	to->id = ev.id;
	to->type = ev.type;
	to->sender = ev.sender;
	to->content = room_event_content(cx->a, &ev);
	to->member_event = ev.type_nid == T_MEMBER && ev.state_key != NULL;
	to->user_is_target = to->member_event && strcmp(ev.state_key, user) == 0;
	to->membership = to->member_event ? membership_text(cx->a, to->content) : NULL;
	to->room_id = db_text(r, ROOM_EVENT_NCOLS);
	to->room_name = state_text(cx->a, r, ROOM_EVENT_NCOLS + 1, "name");
	to->room_alias = state_text(cx->a, r, ROOM_EVENT_NCOLS + 2, "alias");
	to->sender_name = state_text(cx->a, r, ROOM_EVENT_NCOLS + 3, "displayname");
}

static enum err
load_events(struct ctx *cx, struct tell *v, const struct loaded *l, size_t n)
{
	int64_t *events = arena_calloc(cx->a, n + 1, sizeof *events);
	size_t k = 0;
	struct rows r;
	enum err e;

	/* Pushers of one room often wait for the same event: it is loaded once. */
	for (size_t i = 0; i < n; i++) {
		size_t j = 0;

		while (j < k && events[j] != l[i].event)
			j++;
		if (j == k && l[i].event != 0)
			events[k++] = l[i].event;
	}
	if (k == 0)
		return M_OK;
	if ((e = db_query(cx, &r, &tell_events, P_I64S(events, k))) != M_OK)
		return e;
	while (db_next(&r))
		for (size_t i = 0; i < n; i++)
			if (l[i].event == db_i64(&r, 0))
				describe(cx, &r, &v[i].what, v[i].user);
	return M_OK;
}

/* ---- invitations from elsewhere, which have no event here */

/* A string that says something, in the stripped state that came with it. */
static const char *
stripped_text(struct arena *a, const struct json *stripped, const char *type, const char *state_key, const char *key)
{
	for (size_t i = 0; json_is(stripped, JSON_ARR) && i < stripped->u.arr.n; i++) {
		const struct json *ev = stripped->u.arr.v[i];
		const char *ev_key = json_get_esc(a, ev, "state_key"), *s;

		if (!json_str_eq(json_get(ev, "type"), type) || ev_key == NULL || strcmp(ev_key, state_key) != 0)
			continue;
		s = json_get_esc(a, json_get(ev, "content"), key);
		return s != NULL && *s != '\0' ? s : NULL;
	}
	return NULL;
}

static void
describe_invitation(struct ctx *cx, const struct rows *r, struct push_notification *to)
{
	const struct room_version *rv = room_version_get(db_text(r, 4));
	struct json *pdu = NULL, *stripped = NULL;
	const char *sender;

	json_parse(cx->a, db_text(r, 1), strlen(db_text(r, 1)), &pdu);
	if (!db_null(r, 2))
		json_parse(cx->a, db_text(r, 2), strlen(db_text(r, 2)), &stripped);
	if (rv == NULL || (sender = json_get_esc(cx->a, pdu, "sender")) == NULL || !json_is(json_get(pdu, "content"), JSON_OBJ))
		return;
	to->id = event_id_of(cx->a, rv, pdu);
	to->type = "m.room.member";
	to->sender = sender;
	to->content = json_canonical_str(cx->a, json_get(pdu, "content"), NULL);
	to->member_event = to->user_is_target = true;
	to->membership = "invite";
	to->room_id = db_text(r, 3);
	to->room_name = stripped_text(cx->a, stripped, "m.room.name", "", "name");
	to->room_alias = stripped_text(cx->a, stripped, "m.room.canonical_alias", "", "alias");
	to->sender_name = stripped_text(cx->a, stripped, "m.room.member", sender, "displayname");
}

static enum err
load_invitations(struct ctx *cx, struct tell *v, const struct loaded *l, size_t n)
{
	int64_t *usr = arena_calloc(cx->a, n + 1, sizeof *usr), *room = arena_calloc(cx->a, n + 1, sizeof *room);
	size_t *of = arena_calloc(cx->a, n + 1, sizeof *of), k = 0;
	struct rows r;
	enum err e;

	for (size_t i = 0; i < n; i++)
		if (v[i].push != 0 && l[i].event == 0) {
			usr[k] = l[i].usr;
			room[k] = l[i].room;
			of[k++] = i;
		}
	if (k == 0)
		return M_OK;
	if ((e = db_query(cx, &r, &tell_invitations, P_I64S(usr, k), P_I64S(room, k))) != M_OK)
		return e;
	while (db_next(&r))
		describe_invitation(cx, &r, &v[of[db_i64(&r, 0) - 1]].what);
	return M_OK;
}

static enum err
load_badges(struct ctx *cx, struct tell *v, const struct loaded *l, size_t n)
{
	int64_t *users = arena_calloc(cx->a, n + 1, sizeof *users);
	struct badge *badges = arena_calloc(cx->a, n + 1, sizeof *badges);
	enum err e;

	for (size_t i = 0; i < n; i++)
		users[i] = l[i].usr;
	if (n == 0 || (e = unread_badges(cx, users, n, badges)) != M_OK)
		return n == 0 ? M_OK : e;
	for (size_t i = 0; i < n; i++)
		v[i].what.unread = v[i].unread = badges[i].notifications;
	return M_OK;
}

enum err
tell_load(struct ctx *cx, const int64_t *pushers, size_t n, struct tell **out, size_t *nout, int64_t *dropped)
{
	struct tell *v = *out = arena_calloc(cx->a, n + 1, sizeof *v);
	struct loaded *l = arena_calloc(cx->a, n + 1, sizeof *l);
	struct rows again;
	int64_t more;
	enum err e;

	/* Before the rest is chosen from: the newest that is kept must be one that is told. */
	push_again_queue(cx, &again, pushers, n);
	if ((e = db_run(cx)) != M_OK || (e = push_again(cx, &again, &more)) != M_OK ||
	    (e = db_exec(cx, dropped, &tell_drop, P_I64S(pushers, n), P_I64(cx->now - PUSH_GIVE_UP_MS), P_I64(cx->now - PUSH_STALE_MS),
	    P_I64(PUSH_WAITING_MAX))) != M_OK ||
	    (e = load_pushers(cx, pushers, n, v, l, nout)) != M_OK || (e = load_events(cx, v, l, *nout)) != M_OK ||
	    (e = load_invitations(cx, v, l, *nout)) != M_OK || (e = load_badges(cx, v, l, *nout)) != M_OK)
		return e;
	*dropped += more;
	for (size_t i = 0; i < *nout; i++)
		v[i].worth = v[i].url != NULL && (v[i].push != 0 ? v[i].what.id != NULL
			: l[i].badge && (l[i].told < 0 || v[i].unread < l[i].told));
	return M_OK;
}
