/*
 * core/user/deactivate.h - the end of an account (Client-Server API, "Account deactivation").
 *
 * At once: nobody can log in, all sessions end. Then the job "deactivate" (core/jobs) leaves the rooms and refuses the
 * invitations. The row of the account stays, so the name is never given to anybody else; so does the hash of the password:
 * only who knows it is told M_USER_DEACTIVATED.
 */
#ifndef HEARTH_DEACTIVATE_H
#define HEARTH_DEACTIVATE_H

#include "core/ctx.h"
#include "core/user/uia.h"

/* cx->user's, as authorized by u. What he showed of himself goes; erase is remembered. Own transaction: none may be open. */
enum err account_deactivate(struct ctx *cx, const struct uia *u, bool erase);

#endif
