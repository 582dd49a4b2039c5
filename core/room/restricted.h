/*
 * core/room/restricted.h - joining rooms whose join rule asks for membership of another room
 * (Client-Server API, "Restricted rooms"; Room v8, v10).
 *
 * The authorization rules only see that a member with the power to invite vouches for the
 * join; that the condition was met is for that member's server to check. Here that
 * server is this one.
 */
#ifndef HEARTH_RESTRICTED_H
#define HEARTH_RESTRICTED_H

#include "core/room/append.h"

/* What has to be wanted before append_open(). */
void restricted_want(struct append *ap);
/*
 * After append_open(), for a join of cx->user: finds who vouches for it and writes it into content. Leaves content
 * alone where nobody has to: other join rules, invited users, members. Where the condition is not met
 * the rules will refuse the join; M_FORBIDDEN with a better text where it is met but nobody here may invite.
 */
enum err restricted_authorise(struct append *ap, struct json *content);

#endif
