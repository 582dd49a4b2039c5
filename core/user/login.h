/*
 * core/user/login.h - logging in (Client-Server API, "Legacy API" / "Login").
 */
#ifndef HEARTH_LOGIN_H
#define HEARTH_LOGIN_H

#include "core/base/json.h"
#include "core/ctx.h"
#include "core/user/account.h"
#include "core/user/session.h"
#include "core/user/uia.h"

struct login {
	struct credentials who;
	struct session_wish device;
};

/* Opens and ends its own transaction: no transaction may be open (hashing is slow on purpose). */
enum err login_password(struct ctx *cx, const struct login *l, struct session *out);

/* The same without a password, by a token of login_token.h: it is gone afterwards, whatever becomes of it. M_FORBIDDEN: unknown, used, too old. */
enum err login_by_token(struct ctx *cx, const char *token, const struct session_wish *device, struct session *out);

/* A new password for cx->user, as authorized by u; ends the sessions of his other devices if asked to. Own transaction, as above. */
enum err password_change(struct ctx *cx, const struct uia *u, const char *password, bool logout_devices);

/*
 * A new password for the account whose e-mail address u was authorized by (EMAIL_RESET); ends all its sessions if asked to. Own
 * transaction. M_THREEPID_NOT_FOUND: no account has the address any more, or not so that it may reset the password.
 */
enum err password_reset(struct ctx *cx, const struct uia *u, const char *password, bool logout_devices);

#endif
