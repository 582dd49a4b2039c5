/* core/room/create.c - see create.h. */
#include "core/room/create.h"
#include "core/base/conf.h"
#include "core/base/id.h"
#include "core/room/alias.h"
#include "core/room/append.h"
#include "core/room/member.h"
#include "core/user/profile.h"

#define INVITES_MAX 100
#define INITIAL_MAX 1000	/* each is an event to be judged, signed and stored while a worker can do nothing else */

enum preset { PRIVATE_CHAT, TRUSTED_PRIVATE_CHAT, PUBLIC_CHAT };

/* What was asked for, checked. */
struct wish {
	struct ctx *cx;
	const struct json *body;
	const struct room_version *rv;
	enum preset preset;
	bool public, direct;
	const char *alias;			/* whole, esc; or NULL */
	const char **invites;			/* user ids, none twice */
	size_t ninvites;
	struct json *creation_content, *power_override;
	const struct json *name, *topic;	/* strings, or NULL */
	struct draft *initial;			/* initial_state */
	size_t ninitial;
};

/* The users of the invite list that this server has, with what their member events say. */
STMT(create_invitees,
    "SELECT n.body, p.key, p.value, (SELECT content FROM account_data WHERE usr = n.nid AND room = 0 AND type = 'm.invite_permission_config')"
    " FROM unnest($1::text[]) WITH ORDINALITY u(id, i) JOIN name n ON n.body = u.id"
    " JOIN account a ON a.usr = n.nid LEFT JOIN profile p ON p.usr = n.nid AND p.key IN ('displayname', 'avatar_url')"
    " ORDER BY u.i");

/* ---- reading the request */

static enum err
need_type(struct ctx *cx, const struct json *v, enum json_type t, const char *key)
{
	return v == NULL || json_is(v, t) ? M_OK : fail(cx, M_BAD_JSON, "%s has the wrong type", key);
}

/* A member of the body, null counting as absent. */
static enum err
take(const struct wish *w, const char *key, enum json_type t, struct json **out)
{
	*out = json_get(w->body, key);
	if (json_is(*out, JSON_NULL))
		*out = NULL;
	return need_type(w->cx, *out, t, key);
}

static enum err
read_version(struct wish *w)
{
	struct json *v;
	enum err e;

	if ((e = take(w, "room_version", JSON_STR, &v)) != M_OK)
		return e;
	w->rv = room_version_get(v != NULL ? json_esc_of(w->cx->a, v) : w->cx->conf->default_room_version);
	if (w->rv == NULL)
		return fail(w->cx, M_UNSUPPORTED_ROOM_VERSION, "this server does not know that room version");
	return M_OK;
}

static enum err
read_preset(struct wish *w)
{
	static const char *const names[] = { "private_chat", "trusted_private_chat", "public_chat" };
	struct json *visibility, *preset;
	enum err e;

	if ((e = take(w, "visibility", JSON_STR, &visibility)) != M_OK || (e = take(w, "preset", JSON_STR, &preset)) != M_OK)
		return e;
	w->public = json_str_eq(visibility, "public");
	if (visibility != NULL && !w->public && !json_str_eq(visibility, "private"))
		return fail(w->cx, M_INVALID_PARAM, "visibility is public or private");
	w->preset = w->public ? PUBLIC_CHAT : PRIVATE_CHAT;
	if (preset == NULL)
		return M_OK;
	for (enum preset p = PRIVATE_CHAT; p <= PUBLIC_CHAT; p++)
		if (json_str_eq(preset, names[p])) {
			w->preset = p;
			return M_OK;
		}
	return fail(w->cx, M_INVALID_PARAM, "there is no such preset");
}

static enum err
read_alias(struct wish *w)
{
	struct json *v;
	enum err e;

	if ((e = take(w, "room_alias_name", JSON_STR, &v)) != M_OK || v == NULL)
		return e;
	if (v->u.str.n == 0 || memchr(v->u.str.s, ':', v->u.str.n) != NULL || memchr(v->u.str.s, '\0', v->u.str.n) != NULL)
		return fail(w->cx, M_INVALID_PARAM, "room_alias_name is no local part of an alias");
	w->alias = arena_printf(w->cx->a, "#%s:%s", json_esc_of(w->cx->a, v), w->cx->conf->server_name);
	if (!id_is_alias(w->alias))
		return fail(w->cx, M_INVALID_PARAM, "room_alias_name cannot be part of an alias");
	return M_OK;
}

static enum err
read_invites(struct wish *w)
{
	struct json *list, *third;
	enum err e;

	if ((e = take(w, "invite", JSON_ARR, &list)) != M_OK || (e = take(w, "invite_3pid", JSON_ARR, &third)) != M_OK)
		return e;
	if (third != NULL && third->u.arr.n > 0)
		return fail(w->cx, M_THREEPID_DENIED, "this server has no identity server to invite by");
	if (list == NULL)
		return M_OK;
	if (list->u.arr.n > INVITES_MAX)
		return fail(w->cx, E_BAD_REQUEST, "at most %d users can be invited at once", INVITES_MAX);
	w->invites = arena_calloc(w->cx->a, list->u.arr.n + 1, sizeof *w->invites);
	for (size_t i = 0; i < list->u.arr.n; i++) {
		const char *user = json_is(list->u.arr.v[i], JSON_STR) ? json_esc_of(w->cx->a, list->u.arr.v[i]) : NULL;
		bool known = false;
		if (user == NULL)
			return fail(w->cx, M_BAD_JSON, "invite holds something else than user ids");
		if (!id_is_user(user))
			return fail(w->cx, M_INVALID_PARAM, "invite holds something else than user ids");
		for (size_t k = 0; k < w->ninvites; k++)
			known = known || strcmp(w->invites[k], user) == 0;
		if (!known && strcmp(user, w->cx->user) != 0)
			w->invites[w->ninvites++] = user;
	}
	return M_OK;
}

/* The creation and the first memberships are ours to make; everything else the rules judge. */
static enum err
check_initial(struct wish *w, const struct draft *d)
{
	const char *alias = json_get_esc(w->cx->a, d->content, "alias");

	if (strcmp(d->type, "m.room.create") == 0 || strcmp(d->type, "m.room.member") == 0)
		return fail(w->cx, M_INVALID_ROOM_STATE, "initial_state cannot hold %s", d->type);
	if (strcmp(d->type, "m.room.canonical_alias") == 0 &&
	    ((alias != NULL && (w->alias == NULL || strcmp(alias, w->alias) != 0)) || json_get(d->content, "alt_aliases") != NULL))
		return fail(w->cx, M_BAD_ALIAS, "that alias does not point to this room");
	return M_OK;
}

static enum err
read_initial(struct wish *w)
{
	struct json *list;
	enum err e;

	if ((e = take(w, "initial_state", JSON_ARR, &list)) != M_OK || list == NULL)
		return e;
	if (list->u.arr.n > INITIAL_MAX)
		return fail(w->cx, E_BAD_REQUEST, "initial_state has at most %d events", INITIAL_MAX);
	w->initial = arena_calloc(w->cx->a, list->u.arr.n + 1, sizeof *w->initial);
	for (size_t i = 0; i < list->u.arr.n; i++) {
		const struct json *v = list->u.arr.v[i], *key = json_get(v, "state_key");
		struct draft *d = &w->initial[w->ninitial++];
		d->type = json_get_esc(w->cx->a, v, "type");
		d->content = json_get(v, "content");
		if (d->type == NULL || !json_is(d->content, JSON_OBJ) || (key != NULL && !json_is(key, JSON_STR)))
			return fail(w->cx, M_BAD_JSON, "initial_state holds something else than state events");
		d->state_key = key != NULL ? json_esc_of(w->cx->a, key) : "";
		if ((e = check_initial(w, d)) != M_OK)
			return e;
	}
	return M_OK;
}

static enum err
read_wish(struct wish *w)
{
	struct json *name, *topic, *direct;
	enum err e;

	if ((e = read_version(w)) != M_OK || (e = read_preset(w)) != M_OK || (e = read_alias(w)) != M_OK ||
	    (e = read_invites(w)) != M_OK || (e = read_initial(w)) != M_OK || (e = take(w, "name", JSON_STR, &name)) != M_OK ||
	    (e = take(w, "topic", JSON_STR, &topic)) != M_OK || (e = take(w, "is_direct", JSON_BOOL, &direct)) != M_OK ||
	    (e = take(w, "creation_content", JSON_OBJ, &w->creation_content)) != M_OK)
		return e;
	w->name = name;
	w->topic = topic;
	w->direct = direct != NULL && direct->u.b;
	return take(w, "power_level_content_override", JSON_OBJ, &w->power_override);
}

/* ---- the events */

static struct json *
one_string(struct arena *a, const char *key, const char *value)
{
	struct json *o = json_new_obj(a);

	json_set(a, o, key, json_new_str(a, value));
	return o;
}

/* Room version 12: creators are infinitely powerful, so "all invitees are given the same power level" makes them creators. */
static void
add_creators(const struct wish *w, struct json *content)
{
	struct arena *a = w->cx->a;
	const struct json *given = json_get(content, "additional_creators");
	struct json *all = json_new_arr(a);

	if (given != NULL && !json_is(given, JSON_ARR))
		return;		/* the authorization rules refuse it */
	for (size_t i = 0; given != NULL && i < given->u.arr.n; i++)
		json_push(a, all, given->u.arr.v[i]);
	for (size_t i = 0; i < w->ninvites; i++) {
		struct json *user = json_new_esc(a, w->invites[i]);
		bool known = false;
		for (size_t k = 0; k < all->u.arr.n; k++)
			known = known || json_equal(all->u.arr.v[k], user);
		if (!known)
			json_push(a, all, user);
	}
	if (all->u.arr.n > 0)
		json_set(a, content, "additional_creators", all);
}

static struct json *
create_content(const struct wish *w)
{
	struct arena *a = w->cx->a;
	struct json *c = w->creation_content != NULL ? json_copy(a, w->creation_content) : json_new_obj(a);

	json_del(c, "creator");
	if (!w->rv->implicit_creator)
		json_set(a, c, "creator", json_new_esc(a, w->cx->user));
	json_set(a, c, "room_version", json_new_str(a, w->rv->id));
	if (w->rv->privileged_creators && w->preset == TRUSTED_PRIVATE_CHAT)
		add_creators(w, c);
	return c;
}

/* Keys of trees are raw; user ids hold no U+0000 (id_is_user). */
static void
set_level(struct arena *a, struct json *users, const char *user, int level)
{
	size_t n;

	json_set(a, users, esc_to_raw(a, user, &n), json_new_int(a, level));
}

static struct json *
power_content(const struct wish *w)
{
	static const struct { const char *key; int level; } defaults[] = {
		{ "ban", 50 }, { "events_default", 0 }, { "kick", 50 }, { "redact", 50 }, { "state_default", 50 }, { "users_default", 0 },
	}, types[] = {
		{ "m.room.avatar", 50 }, { "m.room.canonical_alias", 50 }, { "m.room.encryption", 100 },
		{ "m.room.history_visibility", 100 }, { "m.room.name", 50 }, { "m.room.power_levels", 100 },
		{ "m.room.server_acl", 100 }, { "m.room.tombstone", 100 },
	};
	struct arena *a = w->cx->a;
	struct json *c = json_new_obj(a), *users = json_new_obj(a), *events = json_new_obj(a);

	for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
		json_set(a, c, defaults[i].key, json_new_int(a, defaults[i].level));
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		json_set(a, events, types[i].key, json_new_int(a, types[i].level));
	/* Version 12 demands it: those who are no creators shall not be able to end the room. */
	if (w->rv->privileged_creators)
		json_set(a, events, "m.room.tombstone", json_new_int(a, 150));
	/* In a private chat everyone may bring others; in a public one that is the moderators' business. */
	json_set(a, c, "invite", json_new_int(a, w->preset == PUBLIC_CHAT ? 50 : 0));
	if (!w->rv->privileged_creators) {
		set_level(a, users, w->cx->user, 100);
		for (size_t i = 0; w->preset == TRUSTED_PRIVATE_CHAT && i < w->ninvites; i++)
			set_level(a, users, w->invites[i], 100);
	}
	json_set(a, c, "events", events);
	json_set(a, c, "users", users);
	for (size_t i = 0; w->power_override != NULL && i < w->power_override->u.obj.n; i++)
		json_set(a, c, w->power_override->u.obj.v[i].key, w->power_override->u.obj.v[i].value);
	return c;
}

/* m.room.topic, "m.topic": the same topic as extensible text. */
static struct json *
topic_content(const struct wish *w)
{
	struct arena *a = w->cx->a;
	struct json *c = json_new_obj(a), *rich = json_new_obj(a), *list = json_new_arr(a), *text = json_new_obj(a);

	json_set(a, text, "body", json_copy(a, w->topic));
	json_set(a, text, "mimetype", json_new_str(a, "text/plain"));
	json_push(a, list, text);
	json_set(a, rich, "m.text", list);
	json_set(a, c, "topic", json_copy(a, w->topic));
	json_set(a, c, "m.topic", rich);
	return c;
}

/* The events before the invitations, in the order that the specification wants. */
struct plan {
	struct draft *v;
	size_t n;
};

static void
plan_add(struct plan *p, const char *type, const char *key, struct json *content)
{
	p->v[p->n++] = (struct draft){ .type = type, .state_key = key, .content = content };
}

static bool
has_initial(const struct wish *w, const char *type)
{
	for (size_t i = 0; i < w->ninitial; i++)
		if (strcmp(w->initial[i].type, type) == 0 && w->initial[i].state_key[0] == '\0')
			return true;
	return false;
}

static void
plan_preset(const struct wish *w, struct plan *p, const char *type, const char *key, const char *value)
{
	if (!has_initial(w, type))	/* initial_state takes precedence */
		plan_add(p, type, "", one_string(w->cx->a, key, value));
}

/*
 * In version 12 the room's id is the hash of the create event, and all that tells the events
 * of two equal wishes of one user apart is their time. Whoever finds his taken (see room_create)
 * tries again, set back at random: by up to a second, then eight, then a minute, so that even hundreds
 * of rooms a second find a place.
 */
static int64_t
create_ts(const struct wish *w)
{
	uint16_t r;

	if (!w->rv->room_id_is_create_hash || w->cx->attempt == 0)
		return w->cx->now;
	random_bytes(&r, sizeof r);
	return w->cx->now - r % (w->cx->attempt > 2 ? 64000 : 125 << 3 * w->cx->attempt);
}

static void
plan_events(const struct wish *w, struct plan *p)
{
	struct arena *a = w->cx->a;
	struct json *join = one_string(a, "membership", "join");
	bool open = w->preset == PUBLIC_CHAT;

	p->v = arena_calloc(a, w->ninitial + 16, sizeof *p->v);
	plan_add(p, "m.room.create", "", create_content(w));
	p->v[0].ts = create_ts(w);
	plan_add(p, "m.room.member", w->cx->user, join);
	plan_add(p, "m.room.power_levels", "", power_content(w));
	if (w->alias != NULL) {
		struct json *c = json_new_obj(a);
		json_set(a, c, "alias", json_new_esc(a, w->alias));
		plan_add(p, "m.room.canonical_alias", "", c);
	}
	plan_preset(w, p, "m.room.join_rules", "join_rule", open ? "public" : "invite");
	plan_preset(w, p, "m.room.history_visibility", "history_visibility", "shared");
	plan_preset(w, p, "m.room.guest_access", "guest_access", open ? "forbidden" : "can_join");
	for (size_t i = 0; i < w->ninitial; i++)
		p->v[p->n++] = w->initial[i];
	if (w->name != NULL) {
		struct json *c = json_new_obj(a);
		json_set(a, c, "name", json_copy(a, w->name));
		plan_add(p, "m.room.name", "", c);
	}
	if (w->topic != NULL)
		plan_add(p, "m.room.topic", "", topic_content(w));
}

static void
put_profile(struct ctx *cx, struct json *content, const char *key, const char *value)
{
	struct json *v = NULL;

	if (key != NULL && json_parse(cx->a, value, strlen(value), &v) == JSON_OK && json_is(v, JSON_STR))
		json_set(cx->a, content, key, v);
}

/* Those of the list whom this server has; rows: create_invitees. M_INVITE_BLOCKED: one of them wants no invitations. */
static enum err
plan_invites(const struct wish *w, struct plan *p, struct rows *r)
{
	struct ctx *cx = w->cx;

	p->v = arena_calloc(cx->a, w->ninvites + 1, sizeof *p->v);
	while (db_next(r)) {
		const char *user = db_text(r, 0);
		if (member_blocks_invites(cx->a, db_text(r, 3)))
			return fail(cx, M_INVITE_BLOCKED, "%s does not want to be invited", user);
		if (p->n == 0 || strcmp(p->v[p->n - 1].state_key, user) != 0) {
			plan_add(p, "m.room.member", user, one_string(cx->a, "membership", "invite"));
			if (w->direct)
				json_set(cx->a, p->v[p->n - 1].content, "is_direct", json_new_bool(cx->a, true));
		}
		put_profile(cx, p->v[p->n - 1].content, db_text(r, 1), db_text(r, 2));
	}
	return M_OK;
}

/* A rule that says no to what was wished is a fault of the wishes. */
static enum err
refused(struct ctx *cx, enum err e)
{
	return e == M_FORBIDDEN ? fail(cx, M_INVALID_ROOM_STATE, "%s", cx->err_text) : e;
}

static enum err
append_all(struct append *ap, const struct plan *first, const struct plan *invites)
{
	enum err e;

	for (size_t i = 0; i < first->n; i++)
		if ((e = append_event(ap, &first->v[i], NULL)) != M_OK)
			return refused(ap->cx, e);
	for (size_t i = 0; i < invites->n; i++)
		if ((e = append_event(ap, &invites->v[i], NULL)) != M_OK && e != M_FORBIDDEN)
			return e;
	return M_OK;
}

enum err
room_create(struct ctx *cx, const struct json *body, struct created *out)
{
	struct wish w = { .cx = cx, .body = body };
	struct plan first = { 0 }, invites = { 0 };
	struct rows own, others;
	const char *id = NULL;
	struct append ap;
	enum err e;

	if ((e = read_wish(&w)) != M_OK)
		return e;
	profile_hold(cx, cx->user_nid);
	db_queue(cx, &others, DB_ANY, &create_invitees, P_TEXTS(w.invites, w.ninvites));
	db_queue(cx, &own, DB_ANY, &create_invitees, P_TEXTS(&cx->user, 1));
	append_init(&ap, cx);
	plan_events(&w, &first);
	for (size_t i = 0; i < first.n; i++)
		append_want_draft(&ap, &first.v[i]);
	for (size_t i = 0; i < w.ninvites; i++)
		names_add(&ap.names, w.invites[i]);
	append_reserve(&ap, first.n + w.ninvites);
	if (!w.rv->room_id_is_create_hash)
		id = arena_printf(cx->a, "!%s:%s", random_letters(cx->a, 18), cx->conf->server_name);
	if ((e = append_open_fresh(&ap, w.rv, id)) != M_OK)
		return e;
	while (db_next(&own))
		put_profile(cx, first.v[1].content, db_text(&own, 1), db_text(&own, 2));
	if ((e = plan_invites(&w, &invites, &others)) != M_OK || (e = append_all(&ap, &first, &invites)) != M_OK)
		return e;
	ap.room.public = w.public;
	append_close(&ap);
	*out = (struct created){ ap.room.id, w.alias };
	e = w.alias != NULL ? alias_insert(cx, w.alias, ap.room.nid) : db_run(cx);
	if (e == M_ALIAS_IN_USE)
		return fail(cx, M_ROOM_IN_USE, "that alias is taken");
	/* The same create event as that of another room. */
	return e == E_CONFLICT && strcmp(db_constraint(cx), "room_id_key") == 0 ? E_RETRY : e;
}
