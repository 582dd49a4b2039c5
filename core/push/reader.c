/* core/push/reader.c - users with their rules, and events as rules see them; see counts.h and counts_impl.h. */
#include <stdlib.h>
#include <string.h>

#include "core/push/counts_impl.h"
#include "core/room/render.h"
#include "core/user/push_rules.h"

STMT(push_readers,
    "SELECT u.n, (SELECT body FROM name WHERE nid = u.usr),"
    " (SELECT content FROM account_data WHERE usr = u.usr AND room = 0 AND type = 'm.push_rules'),"
    " (SELECT content FROM account_data WHERE usr = u.usr AND room = 0 AND type = 'm.ignored_user_list')"
    " FROM unnest($1::bigint[]) WITH ORDINALITY u(usr, n)");
STMT_WARM(push_readers, "sync");

STMT(push_rooms, PUSH_ROOMS_OF("(SELECT DISTINCT unnest($1::bigint[]) AS room)"));

/* ---- readers */

static struct json *
parsed(struct arena *a, const char *text)
{
	struct json *v = NULL;

	if (text != NULL)
		json_parse(a, text, strlen(text), &v);
	return v;
}

/* {"ignored_users": {"@mallory:example.org": {}}}; oneself cannot be ignored. */
static void
read_ignored(struct arena *a, struct push_reader *r, const char *text)
{
	const struct json *users = json_get(parsed(a, text), "ignored_users");

	if (!json_is(users, JSON_OBJ))
		return;
	r->ignored = arena_calloc(a, users->u.obj.n + 1, sizeof *r->ignored);
	for (size_t i = 0; i < users->u.obj.n; i++) {
		const char *id = esc_from_raw(a, users->u.obj.v[i].key, users->u.obj.v[i].key_n);

		if (r->user == NULL || strcmp(id, r->user) != 0)
			r->ignored[r->nignored++] = id;
	}
}

static void
init(struct arena *a, struct push_reader *r, int64_t usr, const char *user, const char *stored, const char *ignored)
{
	*r = (struct push_reader){ .usr = usr, .user = user, .stored = stored };
	if (user != NULL)
		read_ignored(a, r, ignored);
}

void
push_reader_init(struct arena *a, struct push_reader *r, int64_t usr, const char *user, const char *stored, const char *ignored)
{
	init(a, r, usr, user, stored, ignored);
	if (user != NULL)
		push_modes_read(a, stored != NULL ? push_reader_rules(a, r) : NULL, &r->modes);
}

static const char **
copy_names(struct arena *a, const char *const *v, size_t n)
{
	const char **out = arena_alloc(a, (n + 1) * sizeof *out);

	for (size_t i = 0; i < n; i++)
		out[i] = arena_strdup(a, v[i]);
	return out;
}

struct push_reader *
push_reader_copy(struct arena *a, const struct push_reader *r)
{
	struct push_reader *c = arena_alloc(a, sizeof *c);

	*c = *r;
	c->rules = NULL;
	c->user = r->user != NULL ? arena_strdup(a, r->user) : NULL;
	c->stored = r->stored != NULL ? arena_strdup(a, r->stored) : NULL;
	c->ignored = copy_names(a, r->ignored, r->nignored);
	c->modes.senders = copy_names(a, r->modes.senders, r->modes.nsenders);
	c->modes.rooms = arena_alloc(a, (r->modes.n + 1) * sizeof *c->modes.rooms);
	for (size_t i = 0; i < r->modes.n; i++)
		c->modes.rooms[i] = (struct push_room_mode){ arena_strdup(a, r->modes.rooms[i].room), r->modes.rooms[i].mode };
	return c;
}

const struct json *
push_reader_rules(struct arena *a, struct push_reader *r)
{
	if (r->rules == NULL)
		r->rules = parsed(a, push_rules_merge(a, r->user, r->stored));
	return r->rules;
}

void
push_readers_queue(struct ctx *cx, struct rows *r, const int64_t *users, size_t n)
{
	*r = (struct rows){ 0 };
	if (n > 0)
		db_queue(cx, r, DB_ANY, &push_readers, P_I64S(users, n));
}

void
push_readers_take(struct ctx *cx, struct rows *r, const int64_t *users, size_t n, struct push_reader *out)
{
	while (n > 0 && db_next(r)) {
		size_t i = (size_t)db_i64(r, 0) - 1;

		push_reader_init(cx->a, &out[i], users[i], db_text(r, 1), db_text(r, 2), db_text(r, 3));
	}
}

void
push_readers_take_rules(struct ctx *cx, struct rows *r, const int64_t *users, size_t n, struct push_reader *out)
{
	while (n > 0 && db_next(r)) {
		size_t i = (size_t)db_i64(r, 0) - 1;

		init(cx->a, &out[i], users[i], db_text(r, 1), db_text(r, 2), db_text(r, 3));
	}
}

bool
push_reader_ignores(const struct push_reader *r, const char *user)
{
	for (size_t i = 0; i < r->nignored; i++)
		if (strcmp(r->ignored[i], user) == 0)
			return true;
	return false;
}

struct push_result
push_invitation(struct arena *a, struct push_reader *r, const char *room, const char *sender)
{
	const char *text = arena_printf(a, "{\"content\":{\"membership\":\"invite\"},\"room_id\":\"%s\",\"sender\":\"%s\",\"state_key\":\"%s\","
	    "\"type\":\"m.room.member\"}", room, sender, r->user);
	struct push_event ev = { .event = parsed(a, text) };

	if (push_reader_ignores(r, sender))
		return (struct push_result){ 0 };
	return push_match(push_reader_rules(a, r), r->user, &ev);
}

/* ---- rooms */

void
push_rooms_queue(struct ctx *cx, struct rows *r, const int64_t *rooms, size_t n)
{
	*r = (struct rows){ 0 };
	if (n > 0)
		db_queue(cx, r, DB_ANY, &push_rooms, P_I64S(rooms, n));
}

static struct json *
content_of(struct arena *a, const char *text, int flags)
{
	struct json *v = parsed(a, text);

	return flags & EV_VERBATIM ? json_get(v, "content") : v;
}

void
push_rooms_take(struct ctx *cx, struct rows *r, struct push_rooms *out)
{
	struct arena *a = cx->a;
	struct push_room *m = NULL;

	*out = (struct push_rooms){ .v = arena_calloc(a, (size_t)r->n + 1, sizeof *out->v) };
	while (r->res != NULL && db_next(r)) {
		struct event ev = { .sender = db_text(r, 7), .content = content_of(a, db_text(r, 5), (int)db_i64(r, 6)) };

		if (m == NULL || m->nid != db_i64(r, 0)) {
			m = &out->v[out->n++];
			*m = (struct push_room){ .nid = db_i64(r, 0), .id = db_text(r, 1), .rv = room_version_get(db_text(r, 2)) };
			m->power = arena_calloc(a, 101, sizeof *m->power);
		}
		ev.rv = m->rv;
		ev.room = m->id;
		ev.state_key = "";
		ev.id = "";
		ev.type = db_i64(r, 3) == 1 ? "m.room.create" : "m.room.power_levels";
		if (db_i64(r, 3) == 1)
			m->create = ev;
		else
			m->power[m->npower++] = (struct push_power){ db_i64(r, 4), ev };
	}
}

const struct push_room *
push_room_find(const struct push_rooms *rooms, int64_t nid)
{
	size_t lo = 0, hi = rooms->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (rooms->v[mid].nid < nid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < rooms->n && rooms->v[lo].nid == nid ? &rooms->v[lo] : NULL;
}

/* ---- events */

struct at {
	const struct push_room *room;
	const struct event *power;
};

static const struct event *
state_get(void *arg, const char *type, const char *key)
{
	const struct at *at = arg;

	if (*key != '\0')
		return NULL;
	if (strcmp(type, "m.room.power_levels") == 0)
		return at->power;
	return strcmp(type, "m.room.create") == 0 && at->room->create.id != NULL ? &at->room->create : NULL;
}

void
push_event_fill(struct arena *a, const struct push_room *room, const struct push_row *row, struct push_event *ev)
{
	struct at at = { .room = room };
	struct auth_state st = { .get = state_get, .arg = &at, .create = room->create.id != NULL ? &room->create : NULL };
	struct json *tree = json_new_obj(a);

	const struct push_power *power = NULL;
	for (size_t i = 0; i < room->npower; i++)
		if (room->power[i].since <= row->at_ver && (power == NULL || room->power[i].since > power->since))
			power = &room->power[i];
	at.power = power != NULL ? &power->ev : NULL;
	json_set(a, tree, "content", content_of(a, row->content, row->flags));
	json_set(a, tree, "room_id", json_new_esc(a, room->id));
	json_set(a, tree, "sender", json_new_esc(a, row->sender));
	if (row->state_key != NULL)
		json_set(a, tree, "state_key", json_new_esc(a, row->state_key));
	json_set(a, tree, "type", json_new_esc(a, row->type));
	*ev = (struct push_event){ .event = tree, .members = row->members, .power_levels = at.power != NULL ? at.power->content : NULL,
		.sender_power = room->rv != NULL ? power_of_user(&st, room->rv, row->sender) : 0 };
}
