/* core/room/restricted.c - see restricted.h. */
#include "core/room/restricted.h"

STMT(restricted_met,
    "SELECT EXISTS (SELECT 1 FROM room r JOIN local_member m ON m.room = r.nid AND m.usr = $2 AND m.membership = 2 WHERE r.id = ANY($1))");
STMT(restricted_one_of,
    "SELECT n.body FROM name n JOIN local_member m ON m.usr = n.nid AND m.room = $1 AND m.membership = 2 WHERE n.body = ANY($2) LIMIT 1");
/* Whoever has no level of his own; $2 are those who have. */
STMT(restricted_anyone,
    "SELECT n.body FROM local_member m CROSS JOIN LATERAL (SELECT body FROM name WHERE nid = m.usr) n"
    " WHERE m.room = $1 AND m.membership = 2 AND NOT n.body = ANY($2) LIMIT 1");

void
restricted_want(struct append *ap)
{
	append_want(ap, "m.room.join_rules", "");
	append_want(ap, "m.room.power_levels", "");
}

/* The rooms whose members may join; NULL when the rule is another one. */
static const char **
conditions(struct append *ap, size_t *n)
{
	const struct slot *s = append_state(ap, "m.room.join_rules", "");
	const struct json *content = s != NULL ? s->ev->content : NULL, *rule = json_get(content, "join_rule"), *allow;
	const char **v;

	*n = 0;
	if (!(json_str_eq(rule, "restricted") && ap->room.rv->restricted) &&
	    !(json_str_eq(rule, "knock_restricted") && ap->room.rv->knock_restricted))
		return NULL;
	allow = json_get(content, "allow");
	v = arena_calloc(ap->cx->a, json_is(allow, JSON_ARR) ? allow->u.arr.n + 1 : 1, sizeof *v);
	for (size_t i = 0; json_is(allow, JSON_ARR) && i < allow->u.arr.n; i++) {
		const struct json *c = allow->u.arr.v[i];
		const char *room = json_get_esc(ap->cx->a, c, "room_id");
		if (room != NULL && json_str_eq(json_get(c, "type"), "m.room_membership"))
			v[(*n)++] = room;
	}
	return v;
}

struct levels {
	const char **able, **named;	/* local users who may invite; all who have a level of their own */
	size_t nable, nnamed;
};

static void
add_user(struct append *ap, struct levels *l, const char *user, int64_t invite, const struct auth_state *st)
{
	l->named[l->nnamed++] = user;
	if (name_is_local(ap->cx, user) && power_of_user(st, ap->room.rv, user) >= invite)
		l->able[l->nable++] = user;
}

static void
read_levels(struct append *ap, int64_t invite, const struct auth_state *st, struct levels *l)
{
	const struct slot *pl = append_state(ap, "m.room.power_levels", "");
	const struct json *users = pl != NULL ? json_get(pl->ev->content, "users") : NULL;
	const struct json *more = json_get(st->create->content, "additional_creators");
	size_t nusers = json_is(users, JSON_OBJ) ? users->u.obj.n : 0, nmore = json_is(more, JSON_ARR) ? more->u.arr.n : 0;

	l->able = arena_calloc(ap->cx->a, nusers + nmore + 1, sizeof *l->able);
	l->named = arena_calloc(ap->cx->a, nusers + nmore + 1, sizeof *l->named);
	add_user(ap, l, st->create->sender, invite, st);
	for (size_t i = 0; i < nusers; i++)
		add_user(ap, l, esc_from_raw(ap->cx->a, users->u.obj.v[i].key, users->u.obj.v[i].key_n), invite, st);
	for (size_t i = 0; ap->room.rv->privileged_creators && i < nmore; i++)
		if (json_is(more->u.arr.v[i], JSON_STR))
			add_user(ap, l, json_esc_of(ap->cx->a, more->u.arr.v[i]), invite, st);
}

/* A member of this server who may invite. */
static enum err
find_voucher(struct append *ap, const char **user)
{
	struct ctx *cx = ap->cx;
	struct auth_state st = append_auth_state(ap);
	int64_t invite = power_level(&st, ap->room.rv, "invite");
	struct levels l = { 0 };
	struct rows r;
	enum err e;

	*user = NULL;
	read_levels(ap, invite, &st, &l);
	if ((e = db_maybe(cx, &r, &restricted_one_of, P_I64(ap->room.nid), P_TEXTS(l.able, l.nable))) != M_OK)
		return e;
	if (r.n == 0 && power_level(&st, ap->room.rv, "users_default") >= invite &&
	    (e = db_maybe(cx, &r, &restricted_anyone, P_I64(ap->room.nid), P_TEXTS(l.named, l.nnamed))) != M_OK)
		return e;
	if (r.n > 0)
		*user = db_text(&r, 0);
	return M_OK;
}

enum err
restricted_authorise(struct append *ap, struct json *content)
{
	struct ctx *cx = ap->cx;
	enum membership m = append_membership(ap, cx->user);
	const char **rooms, *user;
	struct rows r;
	size_t n;
	enum err e;

	if (m == MEM_JOIN || m == MEM_INVITE || m == MEM_BAN || append_state(ap, "m.room.create", "") == NULL ||
	    (rooms = conditions(ap, &n)) == NULL)
		return M_OK;
	if ((e = db_row(cx, &r, &restricted_met, P_TEXTS(rooms, n), P_I64(cx->user_nid))) != M_OK)
		return e;
	if (!db_bool(&r, 0))
		return fail(cx, M_FORBIDDEN, "you are in none of the rooms whose members may join this one");
	if ((e = find_voucher(ap, &user)) != M_OK)
		return e;
	if (user == NULL)
		return fail(cx, M_FORBIDDEN, "nobody on this server may let you into this room");
	json_set(cx->a, content, "join_authorised_via_users_server", json_new_esc(cx->a, user));
	return append_fetch(ap, "m.room.member", user);
}
