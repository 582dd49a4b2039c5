/* core/push/verdict.c - what users' rules say of one event; see counts.h. */
#include <string.h>

#include "core/push/counts_impl.h"
#include "core/room/member.h"
#include "core/room/render.h"

#define EVENT "(SELECT * FROM event WHERE nid = $1 AND room_pos IS NOT NULL AND redacted_by IS NULL) e"
STMT(verdict_event,
    "SELECT e.room, (SELECT body FROM name WHERE nid = e.type), (SELECT body FROM name WHERE nid = e.sender),"
    " (SELECT body FROM name WHERE nid = e.state_key), e.content, e.flags, e.at_ver, e.members FROM " EVENT);
STMT(verdict_room,
    "SELECT r.nid, r.id, r.version, s.type, s.since, x.content, x.flags, (SELECT body FROM name WHERE nid = x.sender)"
    " FROM " EVENT " JOIN room r ON r.nid = e.room"
    " CROSS JOIN LATERAL ((SELECT * FROM state WHERE room = e.room AND line = 0 AND type = 1 AND key = 0 AND since <= e.at_ver ORDER BY since DESC LIMIT 1)"
    "	UNION ALL (SELECT * FROM state WHERE room = e.room AND line = 0 AND type = 3 AND key = 0 AND since <= e.at_ver ORDER BY since DESC LIMIT 1)) s"
    " CROSS JOIN LATERAL (SELECT content, flags, sender FROM event WHERE nid = s.event OFFSET 0) x");
/* Who is joined when it comes, and by what name. */
STMT(verdict_members,
    "SELECT u.n, x.content, x.flags FROM " EVENT " CROSS JOIN unnest($2::bigint[]) WITH ORDINALITY u(usr, n)"
    " CROSS JOIN LATERAL (SELECT event, membership FROM state WHERE room = e.room AND line = 0 AND type = 2 AND key = u.usr"
    "	AND since <= e.at_ver ORDER BY since DESC LIMIT 1) s"
    " CROSS JOIN LATERAL (SELECT content, flags FROM event WHERE nid = s.event AND s.membership = 2 OFFSET 0) x");

struct user {
	bool joined;
	const struct json *name;
};

static void
take_members(struct ctx *cx, struct rows *r, struct user *u)
{
	while (db_next(r)) {
		struct user *to = &u[db_i64(r, 0) - 1];
		struct json *v = NULL;

		json_parse(cx->a, db_text(r, 1), strlen(db_text(r, 1)), &v);
		if (db_i64(r, 2) & EV_VERBATIM)
			v = json_get(v, "content");
		to->joined = true;
		to->name = json_get(v, "displayname");
	}
}

/* Is it the reader's own invitation? */
static bool
invites(const struct push_reader *r, const struct push_row *row, const struct push_event *ev)
{
	return row->state_key != NULL && strcmp(row->type, "m.room.member") == 0 && strcmp(row->state_key, r->user) == 0 &&
	    json_str_eq(json_get(json_get(ev->event, "content"), "membership"), "invite");
}

static void
judge(struct ctx *cx, struct push_reader *r, const struct push_row *row, const struct user *u, struct push_event *ev,
    struct push_verdict *out)
{
	struct push_result said;

	if (r->user == NULL || push_reader_ignores(r, row->sender) || (!u->joined && !invites(r, row, ev)))
		return;
	ev->display_name = u->name;
	said = push_match(push_reader_rules(cx->a, r), r->user, ev);
	*out = (struct push_verdict){ said.notify, said.highlight, said.sound, json_get(said.rule, "actions") };
}

enum err
push_verdicts(struct ctx *cx, int64_t event, const int64_t *users, size_t n, struct push_verdict *out)
{
	struct push_reader *readers = arena_calloc(cx->a, n + 1, sizeof *readers);
	struct user *u = arena_calloc(cx->a, n + 1, sizeof *u);
	struct rows r, room, members, who;
	struct push_rooms rooms;
	struct push_event ev;
	enum err e;

	memset(out, 0, n * sizeof *out);
	if (n == 0)
		return M_OK;
	db_queue(cx, &r, DB_ANY, &verdict_event, P_I64(event));
	db_queue(cx, &room, DB_ANY, &verdict_room, P_I64(event));
	db_queue(cx, &members, DB_ANY, &verdict_members, P_I64(event), P_I64S(users, n));
	push_readers_queue(cx, &who, users, n);
	if ((e = db_run(cx)) != M_OK)
		return e;
	push_readers_take_rules(cx, &who, users, n, readers);
	push_rooms_take(cx, &room, &rooms);
	take_members(cx, &members, u);
	if (rooms.n == 0 || !db_next(&r))
		return M_OK;
	const struct push_row row = { .type = db_text(&r, 1), .sender = db_text(&r, 2), .state_key = db_text(&r, 3), .content = db_text(&r, 4),
		.flags = (int)db_i64(&r, 5), .at_ver = db_i64(&r, 6), .members = db_i64(&r, 7) };
	push_event_fill(cx->a, &rooms.v[0], &row, &ev);
	for (size_t i = 0; i < n; i++)
		judge(cx, &readers[i], &row, &u[i], &ev, &out[i]);
	return M_OK;
}

enum err
push_judge_invitation(struct ctx *cx, int64_t usr, const char *room, const char *sender, const char *config, struct push_result *out)
{
	struct push_reader reader = { 0 };
	struct rows who;
	enum err e;

	*out = (struct push_result){ 0 };
	push_readers_queue(cx, &who, &usr, 1);
	if ((e = db_run(cx)) != M_OK)
		return e;
	push_readers_take_rules(cx, &who, &usr, 1, &reader);
	if (reader.user != NULL && !member_blocks_invites(cx->a, config))
		*out = push_invitation(cx->a, &reader, room, sender);
	return M_OK;
}
