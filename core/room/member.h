/*
 * core/room/member.h - who is in a room (Client-Server API, "Room membership").
 *
 * All are decided under the room's lock: an invitation and a ban at the same
 * moment happen one after the other, and the second is judged by what the first
 * left. All of them in TX_RW.
 */
#ifndef HEARTH_MEMBER_H
#define HEARTH_MEMBER_H

#include "core/base/json.h"
#include "core/ctx.h"

enum member_action { MEMBER_INVITE, MEMBER_JOIN, MEMBER_LEAVE, MEMBER_KICK, MEMBER_BAN, MEMBER_UNBAN, MEMBER_KNOCK };

/*
 * Changes target's membership; JOIN, LEAVE and KNOCK are about cx->user (target NULL). said: the request's body or NULL;
 * its reason goes into the event, of a join everything that is not for servers to say.
 * M_OK also when nothing had to be done: joined already, left already, the same invitation again.
 * M_FORBIDDEN: not allowed, unknown room; M_NOT_FOUND: to invite a user whom this server does not have; M_INVITE_BLOCKED: or who
 * wants no invitations.
 */
enum err member_change(struct ctx *cx, enum member_action action, const char *room, const char *target, const struct json *said);

/*
 * PUT of an m.room.member event: content as the client wrote it, without what
 * only a server may say, and with the profile where it says none. *event_id as room_put_state().
 */
enum err member_put(struct ctx *cx, const char *room, const char *target, struct json *content, const char **event_id);

/* After a leave or ban: the room vanishes from the user's view until a new invitation. E_BAD_REQUEST while in it. */
enum err member_forget(struct ctx *cx, const char *room);

/* The ids of the rooms that cx->user is in. */
enum err member_joined_rooms(struct ctx *cx, const char ***ids, size_t *n);

/*
 * Carries cx->user's changed display name and avatar into the member events of the rooms that he
 * has joined, in the order of their nids: at most MEMBER_REFRESH_ROOMS rooms behind `after`, because each stays
 * locked until COMMIT. *last is where to go on, 0 when all are done. Rooms that carry the profile already get no event.
 */
#define MEMBER_REFRESH_ROOMS 20
enum err member_refresh(struct ctx *cx, int64_t after, int64_t *last);

/* May this server invite user? Checks the id, the account, and whether he wants to be invited (M_INVITE_BLOCKED). *nid is the user's. */
enum err member_invitable(struct ctx *cx, const char *user, int64_t *nid);
/* Is this the content of an m.invite_permission_config that blocks all? NULL: there is none ("Invite permission"). */
bool member_blocks_invites(struct arena *a, const char *config);

/* Keys of member events that only servers write (Client-Server API, m.room.member): taken out of content. */
void member_strip(struct json *content);

#endif
