/* core/room/summary.c - see summary.h. */
#include "core/room/summary.h"
#include "core/base/id.h"
#include "core/room/names.h"
#include "core/room/render.h"
#include "core/room/visibility.h"

STMT(summary_rooms,
    "SELECT k.n, r.nid, r.id, r.version, r.joined, r.public, r.blocked, (SELECT membership FROM local_member WHERE room = r.nid AND usr = $2)"
    " FROM unnest($1::bigint[]) WITH ORDINALITY k(nid, n) JOIN room r ON r.nid = k.nid AND NOT r.purged");
/* The types of take_state(). */
STMT(summary_state,
    "SELECT k.n, t.type, e.content, e.flags FROM unnest($1::bigint[]) WITH ORDINALITY k(room, n)"
    " CROSS JOIN unnest('{1,4,5,6,7,8,9,10,11}'::bigint[]) t(type)"
    " CROSS JOIN LATERAL (SELECT event FROM current_state WHERE room = k.room AND type = t.type AND key = 0 OFFSET 0) s"
    " CROSS JOIN LATERAL (SELECT content, flags FROM event WHERE nid = s.event OFFSET 0) e");
STMT(summary_joined_of,
    "SELECT r.id FROM room r WHERE r.id = ANY($1) AND EXISTS (SELECT 1 FROM local_member m WHERE m.room = r.nid AND m.usr = $2"
    " AND m.membership = 2)");
STMT(summary_nids_of, "SELECT k.n, r.nid FROM unnest($1::text[]) WITH ORDINALITY k(id, n) JOIN room r ON r.id = k.id");

/* A string that says something: an empty name is no name. */
static const char *
text_of(struct arena *a, const struct json *c, const char *key)
{
	const char *s = json_get_esc(a, c, key);

	return s != NULL && *s != '\0' ? s : NULL;
}

/* m.room.topic: the plain text among the representations of m.topic, else the old key. */
static const char *
topic_of(struct arena *a, const struct json *c)
{
	const struct json *list = json_get(json_get(c, "m.topic"), "m.text");

	for (size_t i = 0; json_is(list, JSON_ARR) && i < list->u.arr.n; i++) {
		const struct json *v = list->u.arr.v[i], *type = json_get(v, "mimetype");
		if ((type == NULL || json_str_eq(type, "text/plain")) && text_of(a, v, "body") != NULL)
			return text_of(a, v, "body");
	}
	return text_of(a, c, "topic");
}

static void
take_join_rules(struct arena *a, struct room_summary *s, const struct json *c)
{
	const struct json *allow = json_get(c, "allow");
	const char *rule = text_of(a, c, "join_rule");

	if (rule != NULL)
		s->join_rule = rule;
	if (strcmp(s->join_rule, "restricted") != 0 && strcmp(s->join_rule, "knock_restricted") != 0)
		return;
	if (!json_is(allow, JSON_ARR))
		return;
	s->allowed = arena_calloc(a, allow->u.arr.n + 1, sizeof *s->allowed);
	for (size_t i = 0; i < allow->u.arr.n; i++) {
		const char *room = text_of(a, allow->u.arr.v[i], "room_id");
		if (room != NULL && json_str_eq(json_get(allow->u.arr.v[i], "type"), "m.room_membership"))
			s->allowed[s->nallowed++] = room;
	}
}

static void
take_state(struct arena *a, struct room_summary *s, int64_t type, const struct json *c)
{
	switch (type) {
	case T_CREATE: s->room_type = text_of(a, c, "type"); break;
	case T_JOIN_RULES: take_join_rules(a, s, c); break;
	case T_HISTORY_VISIBILITY: s->world_readable = history_of(c) == HIST_WORLD_READABLE; break;
	case T_GUEST_ACCESS: s->guest_can_join = json_str_eq(json_get(c, "guest_access"), "can_join"); break;
	case T_NAME: s->name = text_of(a, c, "name"); break;
	case T_TOPIC: s->topic = topic_of(a, c); break;
	case T_AVATAR: s->avatar_url = text_of(a, c, "url"); break;
	case T_CANONICAL_ALIAS: s->canonical_alias = text_of(a, c, "alias"); break;
	case T_ENCRYPTION: s->encryption = text_of(a, c, "algorithm"); break;
	default: break;
	}
}

/* Which of the rooms that joining depends on is the reader in? Asks only when it matters. */
static enum err
load_allowed(struct ctx *cx, struct room_summary *out, size_t n)
{
	size_t total = 0, k = 0, nin = 0;
	const char **ids, **in;
	struct rows r;
	enum err e;

	for (size_t i = 0; i < n; i++)
		total += out[i].nallowed;
	if (total == 0 || cx->user == NULL)
		return M_OK;
	ids = arena_calloc(cx->a, total, sizeof *ids);
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < out[i].nallowed; j++)
			ids[k++] = out[i].allowed[j];
	if ((e = db_query(cx, &r, &summary_joined_of, P_TEXTS(ids, k), P_I64(cx->user_nid))) != M_OK)
		return e;
	in = arena_calloc(cx->a, (size_t)r.n + 1, sizeof *in);
	while (db_next(&r))
		in[nin++] = db_text(&r, 0);
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < out[i].nallowed; j++)
			out[i].allowed_here = out[i].allowed_here || id_among(out[i].allowed[j], in, nin);
	return M_OK;
}

enum err
summary_load(struct ctx *cx, const int64_t *rooms, size_t n, struct room_summary *out)
{
	struct rows r, st;
	enum err e;

	for (size_t i = 0; i < n; i++)
		out[i] = (struct room_summary){ .room = rooms[i], .join_rule = "invite" };
	if (n == 0)
		return M_OK;
	db_queue(cx, &r, DB_ANY, &summary_rooms, P_I64S(rooms, n), P_I64(cx->user != NULL ? cx->user_nid : -1));
	db_queue(cx, &st, DB_ANY, &summary_state, P_I64S(rooms, n));
	if ((e = db_run(cx)) != M_OK)
		return e;
	while (db_next(&r)) {
		struct room_summary *s = &out[db_i64(&r, 0) - 1];
		s->id = db_text(&r, 2);
		s->version = db_text(&r, 3);
		s->joined = db_i64(&r, 4);
		s->public = db_bool(&r, 5);
		s->blocked = db_bool(&r, 6);
		s->membership = (enum membership)db_i64(&r, 7);
	}
	while (db_next(&st)) {
		const char *content = db_text(&st, 2);
		struct json *c = NULL;
		json_parse(cx->a, content, strlen(content), &c);
		take_state(cx->a, &out[db_i64(&st, 0) - 1], db_i64(&st, 1), db_i64(&st, 3) & EV_VERBATIM ? json_get(c, "content") : c);
	}
	return load_allowed(cx, out, n);
}

enum err
summary_nids(struct ctx *cx, const char *const *ids, size_t n, int64_t *nids)
{
	struct rows r;
	enum err e;

	memset(nids, 0, n * sizeof *nids);
	if (n == 0)
		return M_OK;
	if ((e = db_query(cx, &r, &summary_nids_of, P_TEXTS(ids, n))) != M_OK)
		return e;
	while (db_next(&r))
		nids[db_i64(&r, 0) - 1] = db_i64(&r, 1);
	return M_OK;
}

bool
summary_accessible(const struct room_summary *s)
{
	if (s->id == NULL || s->blocked)
		return false;
	if (s->membership == MEM_JOIN || s->membership == MEM_INVITE || s->world_readable)
		return true;
	if (s->membership == MEM_BAN)
		return false;
	if (strcmp(s->join_rule, "public") == 0 || strcmp(s->join_rule, "knock") == 0 || strcmp(s->join_rule, "knock_restricted") == 0)
		return true;
	return strcmp(s->join_rule, "restricted") == 0 && s->allowed_here;
}

static void
write_opt(struct json_out *o, const char *key, const char *esc)
{
	if (esc != NULL)
		json_esc(o, key, esc);
}

void
summary_write(struct json_out *o, const struct room_summary *s, bool whole)
{
	if (whole && s->nallowed > 0) {
		json_arr(o, "allowed_room_ids");
		for (size_t i = 0; i < s->nallowed; i++)
			json_esc(o, NULL, s->allowed[i]);
		json_end(o);
	}
	write_opt(o, "avatar_url", s->avatar_url);
	write_opt(o, "canonical_alias", s->canonical_alias);
	if (whole)
		write_opt(o, "encryption", s->encryption);
	json_bool(o, "guest_can_join", s->guest_can_join);
	json_esc(o, "join_rule", s->join_rule);
	write_opt(o, "name", s->name);
	json_int(o, "num_joined_members", s->joined);
	json_esc(o, "room_id", s->id);
	write_opt(o, "room_type", s->room_type);
	if (whole)
		json_esc(o, "room_version", s->version);
	write_opt(o, "topic", s->topic);
	json_bool(o, "world_readable", s->world_readable);
}
