/*
 * core/user/login_token.h - tokens by which a user logs in a further device (Client-Server API, "POST /login/get_token").
 *
 * One log-in each, within the setting login_token_lifetime_s (0: there are none). Each costs an authentication of its own.
 */
#ifndef HEARTH_LOGIN_TOKEN_H
#define HEARTH_LOGIN_TOKEN_H

#include "core/ctx.h"
#include "core/user/uia.h"

bool login_token_offered(const struct ctx *cx);

/* For cx->user, as authorized by u. *ms: how long it is good. M_UNRECOGNIZED when none are offered. Own transaction: none may be open. */
enum err login_token_make(struct ctx *cx, const struct uia *u, const char **token, int64_t *ms);

/*
 * TX_RW. Takes the token (of two at once one gets it): *usr is whose it was, *user his id, and the account's row is held until COMMIT
 * (FOR SHARE), so that who locks or deactivates it waits. M_FORBIDDEN; M_USER_LOCKED, M_USER_DEACTIVATED.
 */
enum err login_token_take(struct ctx *cx, const char *token, int64_t *usr, const char **user);

#endif
