/* fcgi/client/membership.c - Rooms / Room membership. */
#include "core/room/alias.h"
#include "core/room/member.h"
#include "fcgi/client/client.h"

/* The optional reason of all of them. */
static enum err
check_reason(struct req *r)
{
	const struct json *reason = json_get(r->body, "reason");

	if (reason != NULL && !json_is(reason, JSON_STR) && !json_is(reason, JSON_NULL))
		return fail(&r->cx, M_BAD_JSON, "reason is no string");
	return M_OK;
}

static enum err
change(struct req *r, enum member_action action, const char *room, const char *target)
{
	enum err e;

	if ((e = check_reason(r)) != M_OK)
		return e;
	return member_change(&r->cx, action, room, target, r->body);
}

static enum err
enter(struct req *r, enum member_action action, const char *room)
{
	enum err e;

	if ((e = change(r, action, room, NULL)) != M_OK)
		return e;
	json_obj(&r->out, NULL);
	json_esc(&r->out, "room_id", room);
	json_end(&r->out);
	return M_OK;
}

/* POST /_matrix/client/v3/rooms/{roomId}/join */
enum err
cl_join_room_by_id(struct req *r)
{
	return enter(r, MEMBER_JOIN, req_param(r, "roomId"));
}

/* POST /_matrix/client/v3/join/{roomIdOrAlias} */
enum err
cl_join_room(struct req *r)
{
	const char *room;
	enum err e;

	if ((e = alias_resolve(&r->cx, req_param(r, "roomIdOrAlias"), &room)) != M_OK)
		return e;
	return enter(r, MEMBER_JOIN, room);
}

/* POST /_matrix/client/v3/knock/{roomIdOrAlias} */
enum err
cl_knock_room(struct req *r)
{
	const char *room;
	enum err e;

	if ((e = alias_resolve(&r->cx, req_param(r, "roomIdOrAlias"), &room)) != M_OK)
		return e;
	return enter(r, MEMBER_KNOCK, room);
}

/* POST /_matrix/client/v3/rooms/{roomId}/leave */
enum err
cl_leave_room(struct req *r)
{
	enum err e = change(r, MEMBER_LEAVE, req_param(r, "roomId"), NULL);

	return e != M_OK ? e : reply_empty(r);
}

static enum err
change_other(struct req *r, enum member_action action)
{
	const char *target;
	enum err e;

	if ((e = body_need_esc(r, "user_id", &target)) != M_OK || (e = change(r, action, req_param(r, "roomId"), target)) != M_OK)
		return e;
	return reply_empty(r);
}

/* POST /_matrix/client/v3/rooms/{roomId}/invite, also by third-party identifier: for that an identity server is needed. */
enum err
cl_invite_user(struct req *r)
{
	if (json_get(r->body, "user_id") == NULL && json_get(r->body, "medium") != NULL)
		return fail(&r->cx, M_THREEPID_DENIED, "this server has no identity server to invite by");
	return change_other(r, MEMBER_INVITE);
}

/* POST /_matrix/client/v3/rooms/{roomId}/kick */
enum err
cl_kick(struct req *r)
{
	return change_other(r, MEMBER_KICK);
}

/* POST /_matrix/client/v3/rooms/{roomId}/ban */
enum err
cl_ban(struct req *r)
{
	return change_other(r, MEMBER_BAN);
}

/* POST /_matrix/client/v3/rooms/{roomId}/unban */
enum err
cl_unban(struct req *r)
{
	return change_other(r, MEMBER_UNBAN);
}

/* POST /_matrix/client/v3/rooms/{roomId}/forget */
enum err
cl_forget_room(struct req *r)
{
	enum err e = member_forget(&r->cx, req_param(r, "roomId"));

	return e != M_OK ? e : reply_empty(r);
}
