/* core/room/member.c - see member.h. */
#include "core/room/member.h"
#include "core/base/id.h"
#include "core/push/counts.h"
#include "core/room/append.h"
#include "core/room/guest.h"
#include "core/room/restricted.h"
#include "core/user/account.h"
#include "core/user/carry_over.h"
#include "core/user/profile.h"

STMT(member_rooms,
    "SELECT r.id FROM local_member m JOIN room r ON r.nid = m.room WHERE m.usr = $1 AND m.membership = 2 ORDER BY r.nid");
STMT(member_rooms_after,
    "SELECT r.id, r.nid FROM local_member m JOIN room r ON r.nid = m.room WHERE m.usr = $1 AND m.membership = 2"
    " AND m.room > $2 ORDER BY m.room LIMIT $3");
STMT(member_forget_row,
    "UPDATE local_member SET forgotten = true FROM room r WHERE r.id = $2 AND room = r.nid AND usr = $1"
    " AND membership IN (4, 5) RETURNING room");
STMT(member_row,
    "SELECT m.membership FROM local_member m JOIN room r ON r.nid = m.room WHERE r.id = $2 AND m.usr = $1");
STMT(member_permission, "SELECT content FROM account_data WHERE usr = $1 AND room = 0 AND type = 'm.invite_permission_config'");

static const enum membership becomes[] = {
	[MEMBER_INVITE] = MEM_INVITE, [MEMBER_JOIN] = MEM_JOIN, [MEMBER_LEAVE] = MEM_LEAVE, [MEMBER_KICK] = MEM_LEAVE,
	[MEMBER_BAN] = MEM_BAN, [MEMBER_UNBAN] = MEM_LEAVE, [MEMBER_KNOCK] = MEM_KNOCK,
};

bool
member_blocks_invites(struct arena *a, const char *config)
{
	struct json *v = NULL;

	if (config != NULL)
		json_parse(a, config, strlen(config), &v);
	return json_str_eq(json_get(v, "default_action"), "block");
}

enum err
member_invitable(struct ctx *cx, const char *user, int64_t *nid)
{
	struct account acc;
	struct rows r;
	enum err e;

	if (!id_is_user(user))
		return fail(cx, M_INVALID_PARAM, "user_id is not a user id");
	if (!name_is_local(cx, user))
		return fail(cx, M_FORBIDDEN, "users of other servers cannot be invited: this server does not federate");
	if ((e = account_find(cx, user, &acc)) != M_OK)
		return e;
	if (strcmp(acc.user, user) != 0)
		return fail(cx, M_NOT_FOUND, "no such user");
	*nid = acc.nid;
	if ((e = db_maybe(cx, &r, &member_permission, P_I64(acc.nid))) != M_OK)
		return e;
	if (r.n > 0 && member_blocks_invites(cx->a, db_text(&r, 0)))
		return fail(cx, M_INVITE_BLOCKED, "%s does not want to be invited", user);
	return M_OK;
}

void
member_strip(struct json *content)
{
	json_del(content, "join_authorised_via_users_server");
	json_del(content, "third_party_invite");
}

/* What is not said already, as it is now. */
static void
add_profile(struct ctx *cx, struct json *content, struct rows *profile)
{
	struct json *name, *avatar;

	profile_take_member(cx, profile, &name, &avatar);
	if (name != NULL && json_get(content, "displayname") == NULL)
		json_set(cx->a, content, "displayname", name);
	if (avatar != NULL && json_get(content, "avatar_url") == NULL)
		json_set(cx->a, content, "avatar_url", avatar);
}

/* Display name and avatar as they are now; absent ones leave no key. */
static void
set_profile(struct ctx *cx, struct json *content, struct rows *profile)
{
	json_del(content, "displayname");
	json_del(content, "avatar_url");
	add_profile(cx, content, profile);
}

/*
 * What the authorization rules leave open: they would let a kick "leave" someone who
 * is not there, and lift a ban by a kick. *done: nothing is to be done.
 */
static enum err
check_action(struct append *ap, enum member_action action, const char *target, bool *done)
{
	struct ctx *cx = ap->cx;
	enum membership m = append_membership(ap, target);

	*done = false;
	switch (action) {
	case MEMBER_JOIN:
		*done = m == MEM_JOIN;
		return !*done && cx->guest ? guest_may_join(ap) : M_OK;
	case MEMBER_LEAVE:
		*done = m == MEM_LEAVE;
		return m != MEM_NONE ? M_OK : fail(cx, M_FORBIDDEN, "you are not in this room");
	case MEMBER_KICK:
		if (m == MEM_JOIN || m == MEM_INVITE || m == MEM_KNOCK)
			return M_OK;
		return fail(cx, M_FORBIDDEN, "that user is not in the room");
	case MEMBER_UNBAN:
		return m == MEM_BAN ? M_OK : fail(cx, M_FORBIDDEN, "that user is not banned");
	case MEMBER_INVITE:
	case MEMBER_BAN:
	case MEMBER_KNOCK:
		break;
	}
	return M_OK;
}

/* The same member event by the same sender again: nothing to say. */
static bool
says_nothing_new(const struct append *ap, const struct draft *d)
{
	const struct slot *s = append_state(ap, d->type, d->state_key);

	return s != NULL && strcmp(s->ev->sender, ap->cx->user) == 0 && json_equal(s->ev->content, d->content);
}

/* Into a room that replaces another one a user takes his settings along. */
static enum err
follow(struct append *ap)
{
	const struct slot *s = append_state(ap, "m.room.create", "");
	const char *old = s != NULL ? json_get_esc(ap->cx->a, json_get(s->ev->content, "predecessor"), "room_id") : NULL;

	return old != NULL ? user_carry_over(ap->cx, old, ap->room.nid, ap->room.id) : M_OK;
}

/* What of a request's body goes into the event. */
static struct json *
content_of(struct ctx *cx, enum member_action action, const struct json *said)
{
	struct json *content, *reason = json_get(said, "reason");

	if (action == MEMBER_JOIN && said != NULL) {
		content = json_copy(cx->a, said);
		member_strip(content);
		json_del(content, "third_party_signed");
		json_del(content, "reason");
	} else {
		content = json_new_obj(cx->a);
	}
	json_set(cx->a, content, "membership", json_new_str(cx->a, membership_name(becomes[action])));
	if (json_is(reason, JSON_STR))
		json_set(cx->a, content, "reason", reason);
	return content;
}

enum err
member_change(struct ctx *cx, enum member_action action, const char *room, const char *target, const struct json *said)
{
	struct json *content = content_of(cx, action, said);
	struct draft d = { .type = "m.room.member", .state_key = target != NULL ? target : cx->user, .content = content };
	bool wants_profile = action == MEMBER_JOIN || action == MEMBER_INVITE || action == MEMBER_KNOCK, done;
	struct append ap;
	struct rows profile;
	int64_t nid = cx->user_nid;
	enum err e;

	if (!id_is_user(d.state_key))
		return fail(cx, M_INVALID_PARAM, "user_id is not a user id");
	if (action == MEMBER_INVITE && (e = member_invitable(cx, d.state_key, &nid)) != M_OK)
		return e;
	append_init(&ap, cx);
	ap.leaving = action == MEMBER_LEAVE;
	append_want_draft(&ap, &d);
	if (action == MEMBER_INVITE || action == MEMBER_KNOCK)
		append_want_stripped(&ap);
	if (action == MEMBER_JOIN) {
		append_want(&ap, "m.room.guest_access", "");
		restricted_want(&ap);
	}
	if (action == MEMBER_JOIN)
		profile_hold(cx, nid);
	if (wants_profile)
		profile_queue_member(cx, &profile, nid);
	if ((e = append_open(&ap, room)) != M_OK || (e = check_action(&ap, action, d.state_key, &done)) != M_OK)
		return e;
	if (done)
		return M_OK;
	if (action == MEMBER_JOIN && (e = restricted_authorise(&ap, content)) != M_OK)
		return e;
	if (wants_profile)
		set_profile(cx, content, &profile);
	if (says_nothing_new(&ap, &d))
		return M_OK;
	if ((e = append_event(&ap, &d, NULL)) != M_OK)
		return e;
	append_close(&ap);
	return action == MEMBER_JOIN ? follow(&ap) : M_OK;
}

enum err
member_put(struct ctx *cx, const char *room, const char *target, struct json *content, const char **event_id)
{
	struct draft d = { .type = "m.room.member", .state_key = target, .content = json_copy(cx->a, content) };
	enum membership m = membership_of(json_get_str(content, "membership"));
	bool own = strcmp(target, cx->user) == 0, with_profile = m == MEM_INVITE || (own && (m == MEM_JOIN || m == MEM_KNOCK));
	int64_t nid = cx->user_nid;
	const struct event *ev;
	struct rows profile;
	struct append ap;
	enum err e;

	if (m == MEM_NONE)
		return fail(cx, M_BAD_JSON, "membership is missing or unknown");
	if (!id_is_user(target))
		return fail(cx, M_INVALID_PARAM, "the state key is not a user id");
	if (m == MEM_INVITE && (e = member_invitable(cx, target, &nid)) != M_OK)
		return e;
	member_strip(d.content);
	append_init(&ap, cx);
	ap.leaving = m == MEM_LEAVE && own;
	append_want_draft(&ap, &d);
	append_want_stripped(&ap);
	append_want(&ap, "m.room.guest_access", "");
	restricted_want(&ap);
	if (own && m == MEM_JOIN)
		profile_hold(cx, nid);
	if (with_profile)
		profile_queue_member(cx, &profile, nid);
	if ((e = append_open(&ap, room)) != M_OK)
		return e;
	if (m == MEM_JOIN && cx->guest && append_membership(&ap, target) != MEM_JOIN && (e = guest_may_join(&ap)) != M_OK)
		return e;
	if (m == MEM_JOIN && own && (e = restricted_authorise(&ap, d.content)) != M_OK)
		return e;
	if (with_profile)	/* a client may have other names for one room */
		add_profile(cx, d.content, &profile);
	if (says_nothing_new(&ap, &d)) {
		*event_id = append_state(&ap, d.type, target)->ev->id;
		return M_OK;
	}
	if ((e = append_event(&ap, &d, &ev)) != M_OK)
		return e;
	append_close(&ap);
	*event_id = ev->id;
	return M_OK;
}

enum err
member_forget(struct ctx *cx, const char *room)
{
	struct rows r, now;
	enum err e;

	db_queue(cx, &r, DB_MAYBE, &member_forget_row, P_I64(cx->user_nid), P_TEXT(room));
	db_queue(cx, &now, DB_MAYBE, &member_row, P_I64(cx->user_nid), P_TEXT(room));
	if ((e = db_run(cx)) != M_OK)
		return e;
	if (now.n == 0)
		return fail(cx, M_FORBIDDEN, "you have not been in this room");
	if (r.n == 0)
		return fail(cx, E_BAD_REQUEST, "you are still in this room");
	mentions_left_queue(cx, cx->user_nid, db_i64(&r, 0));	/* if there were very many when he left */
	touch_user(cx, cx->user_nid);
	return M_OK;
}

enum err
member_joined_rooms(struct ctx *cx, const char ***ids, size_t *n)
{
	struct rows r;
	enum err e;

	*n = 0;
	if ((e = db_query(cx, &r, &member_rooms, P_I64(cx->user_nid))) != M_OK)
		return e;
	*ids = arena_calloc(cx->a, (size_t)r.n + 1, sizeof **ids);
	while (db_next(&r))
		(*ids)[(*n)++] = db_text(&r, 0);
	return M_OK;
}

static enum err
refresh_one(struct ctx *cx, const char *room)
{
	struct draft d = { .type = "m.room.member", .state_key = cx->user };
	struct append ap;
	struct rows profile;
	enum err e;

	append_init(&ap, cx);
	d.content = json_new_obj(cx->a);
	json_set(cx->a, d.content, "membership", json_new_str(cx->a, "join"));
	append_want_draft(&ap, &d);
	profile_queue_member(cx, &profile, cx->user_nid);
	if ((e = append_open(&ap, room)) != M_OK)
		return e == M_FORBIDDEN ? M_OK : e;	/* blocked meanwhile */
	const struct slot *now = append_state(&ap, d.type, cx->user);
	if (now == NULL || now->membership != MEM_JOIN)
		return M_OK;				/* left meanwhile */
	d.content = json_copy(cx->a, now->ev->content);
	member_strip(d.content);
	json_del(d.content, "reason");
	json_del(d.content, "is_direct");
	set_profile(cx, d.content, &profile);
	if (json_equal(json_get(d.content, "displayname"), json_get(now->ev->content, "displayname")) &&
	    json_equal(json_get(d.content, "avatar_url"), json_get(now->ev->content, "avatar_url")))
		return M_OK;
	if ((e = append_event(&ap, &d, NULL)) != M_OK)
		return e == M_FORBIDDEN || e == M_TOO_LARGE ? M_OK : e;	/* a room may forbid it, an event not hold it: its copy stays old */
	append_close(&ap);
	return M_OK;
}

enum err
member_refresh(struct ctx *cx, int64_t after, int64_t *last)
{
	struct rows r;
	enum err e;

	*last = 0;
	if ((e = db_query(cx, &r, &member_rooms_after, P_I64(cx->user_nid), P_I64(after), P_I64(MEMBER_REFRESH_ROOMS))) != M_OK)
		return e;
	while (db_next(&r)) {
		if ((e = refresh_one(cx, db_text(&r, 0))) != M_OK)
			return e;
		*last = db_i64(&r, 1);
	}
	if (r.n < MEMBER_REFRESH_ROOMS)
		*last = 0;
	return M_OK;
}
