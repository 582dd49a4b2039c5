/* tests/db/sync/client.c - see client.h. */
#include "tests/db/sync/client.h"

static struct json *
parsed(struct arena *a, const char *text)
{
	struct json *v = NULL;

	if (json_parse(a, text, strlen(text), &v) != JSON_OK)	/* a text that is only made when it failed: an answer may have many megabytes */
		cr_assert_fail("no JSON: %.1000s", text);
	return v;
}

static struct client *
device_of(const char *user, int64_t nid)
{
	struct client *c = calloc(1, sizeof *c);

	c->cx = session();
	c->a = arena_new();
	c->user = arena_strdup(c->a, user);
	c->nid = nid;
	c->device = sql_int("INSERT INTO device (usr, device_id, created_ts)"
	    " VALUES (%lld, 'D' || (SELECT count(*) FROM device), 0) RETURNING nid", (long long)nid);
	sql("INSERT INTO access_token (hash, device, usr, created_ts) VALUES (sha256('%lld'), %lld, %lld, 0)", (long long)c->device,
	    (long long)c->device, (long long)nid);
	c->cx->user = c->user;
	c->cx->user_nid = nid;
	c->cx->device = c->device;
	c->cx->device_id = "D";
	c->rooms = json_new_obj(c->a);
	c->invites = json_new_obj(c->a);
	c->left = json_new_obj(c->a);
	c->data = json_new_obj(c->a);
	return c;
}

const unsigned char *
client_token(struct arena *a, int64_t device)
{
	const char *text = arena_printf(a, "%lld", (long long)device);
	unsigned char *hash = arena_alloc(a, SHA256_LEN);

	sha256(text, strlen(text), hash);
	return hash;
}

struct client *
client_new(const char *name)
{
	char user[100];
	int64_t nid;

	snprintf(user, sizeof user, "@%s:localhost", name);
	nid = sql_int("INSERT INTO name (body) VALUES ('%s') RETURNING nid", user);
	sql("INSERT INTO account (usr, localpart, created_ts) VALUES (%lld, '%s', 0)", (long long)nid, name);
	return device_of(user, nid);
}

struct client *
client_again(const struct client *c)
{
	return device_of(c->user, c->nid);
}

/* ---- acting */

const char *
client_room(struct client *c, const char *body)
{
	struct created out = { 0 };
	enum err e = CALL(c, room_create(c->cx, parsed(c->cx->a, body), &out));

	cr_assert_eq(e, M_OK, "createRoom: %d %s", e, c->cx->err_text);
	return arena_strdup(c->a, out.room_id);
}

const char *
client_say(struct client *c, const char *room, const char *text)
{
	const char *id = NULL;
	const struct txn t = { .path = arena_printf(c->a, "PUT %s %s", room, text), .id = arena_strdup(c->a, text) };
	enum err e = CALL(c, room_send(c->cx, room, "m.room.message",
	    parsed(c->cx->a, arena_printf(c->cx->a, "{\"body\":\"%s\"}", text)), &t, &id));

	return e == M_OK ? arena_strdup(c->a, id) : NULL;
}

enum err
client_state(struct client *c, const char *room, const char *type, const char *key, const char *content)
{
	const char *id;

	return CALL(c, room_put_state(c->cx, room, type, key, parsed(c->cx->a, content), &id));
}

enum err
client_member(struct client *c, enum member_action action, const char *room, const struct client *target)
{
	return CALL(c, member_change(c->cx, action, room, target ? target->user : NULL, NULL));
}

void
client_data(struct client *c, const char *room, const char *type, const char *content)
{
	sql("INSERT INTO account_data (usr, room, type, content) VALUES (%lld, coalesce((SELECT nid FROM room WHERE id = '%s'), 0), '%s', '%s')"
	    " ON CONFLICT (usr, room, type) DO UPDATE SET content = excluded.content", (long long)c->nid, room ? room : "", type, content);
}

/* ---- remembering */

static void
apply_state(struct client *c, struct json *state, const struct json *events)
{
	size_t i;

	for (i = 0; events && i < events->u.arr.n; i++) {
		const struct json *ev = events->u.arr.v[i];

		if (json_get(ev, "state_key"))
			json_set(c->a, state, arena_printf(c->a, "%s|%s", json_get_str(ev, "type"), json_get_str(ev, "state_key")),
			    json_get(ev, "event_id"));
	}
}

static void
apply_joined(struct client *c, const char *id, const struct json *room)
{
	struct json *mine = json_get(c->rooms, id), *tl = at(room, "timeline/events");
	size_t i;

	if (!mine) {
		json_set(c->a, c->rooms, id, mine = json_new_obj(c->a));
		json_set(c->a, mine, "state", json_new_obj(c->a));
		json_set(c->a, mine, "seen", json_new_arr(c->a));
	}
	cr_assert(!c->after || json_get(room, "state_after"));
	cr_assert_null(json_get(room, c->after ? "state" : "state_after"));
	apply_state(c, json_get(mine, "state"), at(room, c->after ? "state_after/events" : "state/events"));
	if (!c->after)
		apply_state(c, json_get(mine, "state"), tl);
	if (json_get_bool(json_get(room, "timeline"), "limited", false))
		json_set(c->a, mine, "seen", json_new_arr(c->a));	/* a gap: the client begins a new timeline */
	for (i = 0; tl && i < tl->u.arr.n; i++)
		json_push(c->a, json_get(mine, "seen"), json_get(tl->u.arr.v[i], "event_id"));
	json_del(c->invites, id);
	json_del(c->left, id);
}

static void
apply(struct client *c, const struct json *answer)
{
	const struct json *s;
	size_t i;

	s = at(answer, "rooms/join");
	for (i = 0; s && i < s->u.obj.n; i++)
		apply_joined(c, s->u.obj.v[i].key, s->u.obj.v[i].value);
	s = at(answer, "rooms/invite");
	for (i = 0; s && i < s->u.obj.n; i++) {
		json_set(c->a, c->invites, s->u.obj.v[i].key, s->u.obj.v[i].value);
		json_del(c->rooms, s->u.obj.v[i].key);
	}
	s = at(answer, "rooms/leave");
	for (i = 0; s && i < s->u.obj.n; i++) {
		json_set(c->a, c->left, s->u.obj.v[i].key, s->u.obj.v[i].value);
		json_del(c->rooms, s->u.obj.v[i].key);
		json_del(c->invites, s->u.obj.v[i].key);
	}
	s = at(answer, "account_data/events");
	for (i = 0; s && i < s->u.arr.n; i++)
		json_set(c->a, c->data, json_get_str(s->u.arr.v[i], "type"), json_get(s->u.arr.v[i], "content"));
}

static enum err
ask(struct client *c, const char *since, bool full_state, struct json **out, const char **next)
{
	struct sync_wait w = { .user_nid = c->nid, .device = c->device, .token = client_token(c->a, c->device), .user = c->user, .device_id = "D", .since = since,
	    .filter = c->filter, .full_state = full_state, .use_state_after = c->after };
	struct sync_wait *v = &w;
	const char *body = NULL;
	size_t n = 0;
	enum err err = M_OK, e;

	session_next(c->cx);
	cr_assert_eq(sync_check(c->cx, &w), M_OK, "%s", c->cx->err_text);
	e = sync_compute(c->cx, &v, 1, &body, &n, &err);
	cr_assert_eq(e, M_OK, "sync_compute: %d", e);
	cr_assert_not(db_in_tx(c->cx));
	*out = NULL;
	if (err == M_OK) {
		cr_assert_eq(strlen(body), n);
		*out = parsed(c->a, body);
		*next = json_get_str(*out, "next_batch");
		cr_assert_not_null(*next);
	} else if (err == E_PARK) {
		*next = arena_strdup(c->a, w.next);
	}
	return err;
}

enum err
client_full(struct client *c, bool full_state)
{
	const char *next = NULL;
	enum err e = ask(c, c->since, full_state, &c->last, &next);

	if (e == M_OK)
		apply(c, c->last);
	if (next)
		c->since = next;
	return e;
}

enum err
client_sync(struct client *c)
{
	return client_full(c, false);
}

struct json *
client_ask(struct client *c, const char *since, enum err *e)
{
	const char *next;
	struct json *v;

	*e = ask(c, since, false, &v, &next);
	return v;
}

/* ---- reading */

struct json *
at(const struct json *v, const char *path)
{
	char key[300];
	size_t n;

	for (;; path += n + 1) {
		n = strcspn(path, "/");
		snprintf(key, sizeof key, "%.*s", (int)n, path);
		if (!path[n] || !v)
			return json_get(v, key);
		v = json_get(v, key);
	}
}

struct json *
room_in(const struct json *answer, const char *section, const char *room)
{
	return json_get(json_get(json_get(answer, "rooms"), section), room);
}

const char *
events_text(struct arena *a, const struct json *events)
{
	struct buf b;
	size_t i;

	buf_init(&b, a);
	for (i = 0; events && i < events->u.arr.n; i++) {
		const struct json *ev = events->u.arr.v[i], *content = json_get(ev, "content");
		const char *type = json_get_str(ev, "type"), *body = json_get_str(content, "body");

		if (!body)
			body = json_get_str(content, "membership");
		if (!body)
			body = json_get_str(ev, "state_key");
		buf_addf(&b, "%s%s:%s", i ? " " : "", strncmp(type, "m.room.", 7) == 0 ? type + 7 : type, body ? body : "");
	}
	return b.s;
}
