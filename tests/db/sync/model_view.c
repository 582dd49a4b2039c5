/* tests/db/sync/model_view.c - see model_view.h. */
#include "tests/db/sync/model_view.h"

#define MANY 64

char view_context[200];

struct view *
view_new(const struct client *c, const struct variant *variant)
{
	struct client *d = client_again(c);
	struct view *v = calloc(1, sizeof *v);

	v->a = arena_new();
	v->variant = variant;
	v->user = arena_strdup(v->a, c->user);
	v->nid = c->nid;
	v->device = d->device;
	session_end(d->cx);
	v->rooms = json_new_obj(v->a);
	v->told = json_new_obj(v->a);
	v->redacted = json_new_obj(v->a);
	v->invites = json_new_obj(v->a);
	v->knocks = json_new_obj(v->a);
	v->data = json_new_obj(v->a);
	v->presence = json_new_obj(v->a);
	v->inbox = json_new_obj(v->a);
	v->sent = json_new_obj(v->a);
	v->owed = json_new_obj(v->a);
	v->mention = json_new_obj(v->a);
	v->shared = json_new_obj(v->a);
	return v;
}

static void
set_true(struct view *v, struct json *o, const char *key)
{
	json_set(v->a, o, key, json_new_bool(v->a, true));
}

/* The object under key, made if it is not there. */
static struct json *
child(struct view *v, struct json *o, const char *key)
{
	struct json *c = json_get(o, key);

	if (!c)
		json_set(v->a, o, key, c = json_new_obj(v->a));
	return c;
}

static size_t
length(const struct json *arr)
{
	return arr ? arr->u.arr.n : 0;
}

/* ---- an answer */

static void
take_state(struct view *v, struct json *state, const struct json *events)
{
	for (size_t i = 0; i < length(events); i++) {
		const struct json *ev = events->u.arr.v[i];

		if (json_get(ev, "state_key"))
			json_set(v->a, state, arena_printf(v->a, "%s|%s", json_get_str(ev, "type"), json_get_str(ev, "state_key")),
			    json_get(ev, "event_id"));
	}
}

/* Every event of a timeline, of joined and left rooms: never twice. */
static void
take_event(struct view *v, const char *room, const struct json *ev)
{
	const char *id = json_get_str(ev, "event_id");
	struct json *told = child(v, v->told, room);

	cr_assert_null(json_get(told, id), "%s: %s (%s) is told %s in %s twice", view_context, v->user, v->variant->name, id, room);
	set_true(v, told, id);
	if (at(ev, "unsigned/redacted_because"))
		set_true(v, v->redacted, id);
	if (json_str_eq(json_get(ev, "type"), "m.room.redaction") && json_get(ev, "redacts"))
		set_true(v, v->redacted, json_get_str(ev, "redacts"));
}

static void
take_receipts(struct view *v, struct json *receipts, const struct json *content)
{
	for (size_t e = 0; e < content->u.obj.n; e++) {
		const struct json *kinds = content->u.obj.v[e].value;

		for (size_t k = 0; k < kinds->u.obj.n; k++) {
			const struct json *users = kinds->u.obj.v[k].value;

			for (size_t u = 0; u < users->u.obj.n; u++) {
				const char *thread = json_get_str(users->u.obj.v[u].value, "thread_id");

				json_set(v->a, receipts, arena_printf(v->a, "%s|%s|%s", users->u.obj.v[u].key, kinds->u.obj.v[k].key,
				    thread ? thread : "-"), json_new_str(v->a, content->u.obj.v[e].key));
			}
		}
	}
}

static void
take_joined(struct view *v, const char *id, const struct json *room)
{
	struct json *mine = child(v, v->rooms, id), *state = child(v, mine, "state"), *receipts = child(v, mine, "receipts"),
	    *data = child(v, mine, "data");
	const struct json *events = at(room, "timeline/events"), *s;

	if (!json_get(mine, "timeline") || json_get_bool(json_get(room, "timeline"), "limited", false))
		json_set(v->a, mine, "timeline", json_new_arr(v->a));	/* after a gap the client begins anew */
	cr_assert(!v->variant->after || json_get(room, "state_after"), "%s", view_context);
	cr_assert_null(json_get(room, v->variant->after ? "state" : "state_after"), "%s", view_context);
	take_state(v, state, at(room, v->variant->after ? "state_after/events" : "state/events"));
	if (!v->variant->after)
		take_state(v, state, events);
	for (size_t i = 0; i < length(events); i++) {
		take_event(v, id, events->u.arr.v[i]);
		json_push(v->a, json_get(mine, "timeline"), json_get(events->u.arr.v[i], "event_id"));
	}
	s = at(room, "account_data/events");
	for (size_t i = 0; i < length(s); i++)
		json_set(v->a, data, json_get_str(s->u.arr.v[i], "type"), json_get(s->u.arr.v[i], "content"));
	s = at(room, "ephemeral/events");
	for (size_t i = 0; i < length(s); i++) {
		if (json_str_eq(json_get(s->u.arr.v[i], "type"), "m.typing"))
			json_set(v->a, mine, "typing", at(s->u.arr.v[i], "content/user_ids"));
		else
			take_receipts(v, receipts, json_get(s->u.arr.v[i], "content"));
	}
	json_del(v->invites, id);
	json_del(v->knocks, id);
}

static void
take_rooms(struct view *v, const struct json *rooms)
{
	const struct json *s = json_get(rooms, "join");

	for (size_t i = 0; s && i < s->u.obj.n; i++)
		take_joined(v, s->u.obj.v[i].key, s->u.obj.v[i].value);
	for (int k = 0; k < 2; k++) {
		s = json_get(rooms, k ? "knock" : "invite");
		for (size_t i = 0; s && i < s->u.obj.n; i++) {
			const char *id = s->u.obj.v[i].key;

			json_del(v->rooms, id);
			json_del(k ? v->invites : v->knocks, id);
			json_set(v->a, k ? v->knocks : v->invites, id, s->u.obj.v[i].value);
		}
	}
	s = json_get(rooms, "leave");
	for (size_t i = 0; s && i < s->u.obj.n; i++) {
		const struct json *events = at(s->u.obj.v[i].value, "timeline/events");

		/* The end of an invitation is one event of a room that is not known; who comes to know the room is told its history with it. */
		bool invited = length(events) == 1 && !json_get(v->rooms, s->u.obj.v[i].key);

		for (size_t k = 0; !invited && k < length(events); k++)
			take_event(v, s->u.obj.v[i].key, events->u.arr.v[k]);
		json_del(v->rooms, s->u.obj.v[i].key);
		json_del(v->invites, s->u.obj.v[i].key);
		json_del(v->knocks, s->u.obj.v[i].key);
	}
}

static void
take_lists(struct view *v, const struct json *lists)
{
	const struct json *s = json_get(lists, "changed");

	for (size_t i = 0; i < length(s); i++) {
		json_del(v->owed, s->u.arr.v[i]->u.str.s);
		json_set(v->a, v->mention, s->u.arr.v[i]->u.str.s, json_new_str(v->a, "changed"));
	}
	s = json_get(lists, "left");
	for (size_t i = 0; i < length(s); i++)
		json_set(v->a, v->mention, s->u.arr.v[i]->u.str.s, json_new_str(v->a, "left"));
}

static void
take(struct view *v, const struct json *answer)
{
	const struct json *s = at(answer, "account_data/events");

	for (size_t i = 0; i < length(s); i++)
		json_set(v->a, v->data, json_get_str(s->u.arr.v[i], "type"), json_get(s->u.arr.v[i], "content"));
	s = at(answer, "to_device/events");
	for (size_t i = 0; i < length(s); i++) {
		const char *n = json_get_str(json_get(s->u.arr.v[i], "content"), "n");

		cr_assert_null(json_get(v->inbox, n), "%s: %s (%s): message %s comes twice", view_context, v->user, v->variant->name, n);
		set_true(v, v->inbox, n);
	}
	s = at(answer, "presence/events");
	for (size_t i = 0; i < length(s); i++)
		json_set(v->a, v->presence, json_get_str(s->u.arr.v[i], "sender"), at(s->u.arr.v[i], "content/presence"));
	cr_assert_not_null(json_get(answer, "device_one_time_keys_count"), "%s", view_context);
	cr_assert_not_null(json_get(answer, "device_unused_fallback_key_types"), "%s", view_context);
	take_lists(v, json_get(answer, "device_lists"));
	take_rooms(v, json_get(answer, "rooms"));
}

/* ---- asking */

static struct sync_wait *
ask(struct view *v, bool go_on)
{
	struct sync_wait *w;

	if (go_on && v->waiting)
		return v->waiting;
	w = arena_zalloc(v->a, sizeof *w);
	*w = (struct sync_wait){ .user_nid = v->nid, .device = v->device, .token = client_token(v->a, v->device), .user = v->user, .device_id = "D", .since = v->since,
	    .filter = v->variant->filter, .use_state_after = v->variant->after };
	return w;
}

/* An answer without news: time is over (the client gets the token), or the request goes on waiting, or the client goes away. */
static void
no_news(struct view *v, struct sync_wait *w, unsigned what)
{
	int64_t *rooms = arena_alloc(v->a, (w->nrooms + 1) * sizeof *rooms);

	if (what == 0) {
		v->since = arena_strdup(v->a, w->next);
		v->waiting = NULL;
		return;
	}
	memcpy(rooms, w->rooms, w->nrooms * sizeof *rooms);
	w->rooms = rooms;
	w->next = arena_strdup(v->a, w->next);
	w->counts = w->unused = NULL;
	v->waiting = what == 1 ? w : NULL;
}

void
view_sync(struct ctx *cx, struct view **v, size_t n, unsigned (*dice)(void *arg, unsigned n), void *arg)
{
	struct sync_wait *w[MANY];
	const char *body[MANY];
	enum err err[MANY], e;
	size_t len[MANY];

	for (size_t i = 0; i < n; i++)
		w[i] = ask(v[i], dice && dice(arg, 3) > 0);
	session_next(cx);
	e = sync_compute(cx, w, n, body, len, err);
	cr_assert_eq(e, M_OK, "%s: sync_compute %d", view_context, e);
	for (size_t i = 0; i < n; i++) {
		struct json *answer;

		cr_assert(err[i] == M_OK || err[i] == E_PARK, "%s: %d", view_context, err[i]);
		if (err[i] == E_PARK) {
			no_news(v[i], w[i], dice ? dice(arg, 3) : 0);
			continue;
		}
		v[i]->waiting = NULL;
		if (dice && dice(arg, 6) == 0)
			continue;		/* lost on its way: it will ask again with the same token */
		cr_assert_eq(json_parse(v[i]->a, body[i], len[i], &answer), JSON_OK, "%s: %s", view_context, body[i]);
		take(v[i], answer);
		v[i]->since = json_get_str(answer, "next_batch");
	}
}

void
view_settle(struct ctx *cx, struct view *v)
{
	const char *before = NULL;

	for (int i = 0; i < 20; i++) {
		struct sync_wait *w = ask(v, false), *one = w;
		const char *body;
		struct json *answer;
		enum err err;
		size_t n;

		session_next(cx);
		cr_assert_eq(sync_compute(cx, &one, 1, &body, &n, &err), M_OK);
		if (err == E_PARK)
			return;
		cr_assert_eq(err, M_OK, "%s: %s (%s): %d", view_context, v->user, v->variant->name, err);
		cr_assert_eq(json_parse(v->a, body, n, &answer), JSON_OK, "%s: %s", view_context, body);
		cr_assert(i == 0 || length(at(answer, "to_device/events")) > 0, "%s: %s (%s) is told something twice:\n%s\n%s", view_context,
		    v->user, v->variant->name, before, body);
		before = arena_strdup(v->a, body);
		take(v, answer);
		v->since = json_get_str(answer, "next_batch");
		v->waiting = NULL;
	}
	cr_assert_fail("%s: no end", view_context);
}

void
view_owe(struct view *v, const char *user)
{
	if (v->since)
		set_true(v, v->owed, user);
}

/* ---- comparing */

static const char *
text(struct view *v, const struct json *j)
{
	return j ? json_canonical_str(v->a, j, NULL) : "nothing";
}

#define SAME(v, cond, what, id, mine, fresh)	\
	cr_assert(cond, "%s: %s (%s): %s %s\n mine  %s\n fresh %s", view_context, (v)->user, (v)->variant->name, what, id, text(v, mine),	\
	    text(v, fresh))

static bool
same_keys(const struct json *a, const struct json *b)
{
	if (a->u.obj.n != b->u.obj.n)
		return false;
	for (size_t i = 0; i < a->u.obj.n; i++)
		if (!json_get(b, a->u.obj.v[i].key))
			return false;
	return true;
}

/* Of members a lazily loading client need not know all; whom it knows, it must know as he is. */
static void
same_state(struct view *v, const char *id, const struct json *mine, const struct json *fresh)
{
	if (!v->variant->lazy) {
		SAME(v, json_equal(mine, fresh), "state of", id, mine, fresh);
		return;
	}
	for (size_t i = 0; i < fresh->u.obj.n; i++) {
		const char *key = fresh->u.obj.v[i].key;
		const struct json *known = json_get(mine, key);

		SAME(v, (!known && strncmp(key, "m.room.member|", 14) == 0) || json_equal(known, fresh->u.obj.v[i].value), key, id, mine, fresh);
	}
	for (size_t i = 0; i < mine->u.obj.n; i++)
		SAME(v, strncmp(mine->u.obj.v[i].key, "m.room.member|", 14) == 0 || json_get(fresh, mine->u.obj.v[i].key), "state of", id, mine,
		    fresh);
}

/* Both end in the same events; what is redacted for one is so for the other. */
static void
same_timeline(struct view *v, const struct view *f, const char *id, const struct json *mine, const struct json *fresh)
{
	size_t n = length(mine) < length(fresh) ? length(mine) : length(fresh);

	for (size_t i = 1; i <= n; i++) {
		const struct json *a = mine->u.arr.v[length(mine) - i], *b = fresh->u.arr.v[length(fresh) - i];

		SAME(v, json_equal(a, b), "timeline of", id, mine, fresh);
		SAME(v, v->ignores || !json_get(v->redacted, a->u.str.s) == !json_get(f->redacted, a->u.str.s), "redaction in", id, a, b);
	}
}

static bool
same_typing(const struct json *mine, const struct json *fresh)
{
	return length(mine) == 0 ? length(fresh) == 0 : fresh && json_equal(mine, fresh);
}

static void
same_rooms(struct view *v, const struct view *f)
{
	SAME(v, same_keys(v->rooms, f->rooms), "rooms", "", v->rooms, f->rooms);
	for (size_t i = 0; i < f->rooms->u.obj.n; i++) {
		const char *id = f->rooms->u.obj.v[i].key;
		const struct json *mine = json_get(v->rooms, id), *its = f->rooms->u.obj.v[i].value;

		same_state(v, id, json_get(mine, "state"), json_get(its, "state"));
		same_timeline(v, f, id, json_get(mine, "timeline"), json_get(its, "timeline"));
		SAME(v, json_equal(json_get(mine, "data"), json_get(its, "data")), "account data of", id, json_get(mine, "data"), json_get(its, "data"));
		SAME(v, json_equal(json_get(mine, "receipts"), json_get(its, "receipts")), "receipts in", id, json_get(mine, "receipts"),
		    json_get(its, "receipts"));
		SAME(v, same_typing(json_get(mine, "typing"), json_get(its, "typing")), "typing in", id, json_get(mine, "typing"),
		    json_get(its, "typing"));
	}
}

/* A fresh device is not told of those who are offline. */
static void
same_presence(struct view *v, const struct view *f, const struct json *shared)
{
	for (size_t i = 0; i < shared->u.obj.n; i++) {
		const char *user = shared->u.obj.v[i].key;
		const struct json *mine = json_get(v->presence, user), *its = json_get(f->presence, user);

		SAME(v, its ? mine && json_equal(mine, its) : !mine || json_str_eq(mine, "offline"), "presence of", user, mine, its);
	}
}

/* Who shares a room now. */
static struct json *
sharing(struct view *v)
{
	const char *list = sql("SELECT string_agg(DISTINCT n.body, ' ') FROM local_member a JOIN local_member b ON b.room = a.room"
	    " JOIN name n ON n.nid = b.usr WHERE a.usr = %lld AND b.usr <> a.usr AND a.membership = 2 AND b.membership = 2", (long long)v->nid);
	struct json *out = json_new_obj(v->a);

	for (size_t n; *list; list += n + (list[n] == ' ')) {
		n = strcspn(list, " ");
		set_true(v, out, arena_strndup(v->a, list, n));
	}
	return out;
}

/* Device lists: whoever changed keys and shares a room was named; who came to share one is, or who ceased to, as the last word about him. */
static void
same_lists(struct view *v, struct json *shared)
{
	for (size_t i = 0; i < shared->u.obj.n; i++) {
		const char *user = shared->u.obj.v[i].key;

		SAME(v, !json_get(v->owed, user), "was not told of changed keys of", user, v->owed, v->mention);
		SAME(v, json_get(v->shared, user) || json_str_eq(json_get(v->mention, user), "changed"), "device lists: shares a room anew:", user,
		    v->mention, shared);
		SAME(v, !json_str_eq(json_get(v->mention, user), "left"), "device lists: has not left:", user, v->mention, shared);
	}
	SAME(v, !json_get(v->owed, v->user), "was not told of own keys", "", v->owed, v->mention);
	for (size_t i = 0; i < v->shared->u.obj.n; i++) {
		const char *user = v->shared->u.obj.v[i].key;

		SAME(v, json_get(shared, user) || json_str_eq(json_get(v->mention, user), "left"), "device lists: shares no room:", user, v->mention,
		    shared);
	}
	v->shared = shared;
	v->mention = json_new_obj(v->a);
	v->owed = json_new_obj(v->a);
}

void
view_compare(struct ctx *cx, const struct client *c, struct view *v)
{
	struct variant same = *v->variant;
	struct json *shared = sharing(v);
	struct view *f;

	same.filter = same.fresh;
	f = view_new(c, &same);
	f->ignores = v->ignores;
	view_settle(cx, f);
	same_rooms(v, f);
	SAME(v, json_equal(v->data, f->data), "account data", "", v->data, f->data);
	SAME(v, json_equal(v->invites, f->invites), "invitations", "", v->invites, f->invites);
	SAME(v, json_equal(v->knocks, f->knocks), "knocks", "", v->knocks, f->knocks);
	SAME(v, json_equal(v->inbox, v->sent), "messages to the device", "", v->inbox, v->sent);
	same_presence(v, f, shared);
	same_lists(v, shared);
	sql("DELETE FROM device WHERE nid = %lld", (long long)f->device);
	arena_free(f->a);
	free(f);
}
