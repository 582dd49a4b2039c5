/*
 * core/user/register.h - new accounts (Client-Server API, "Account registration and management").
 *
 * Names are checked before the user-interactive authentication and, by the
 * unique key, again after it. All in one transaction: name, account, profile,
 * first device, token, and the end of the authentication session.
 */
#ifndef HEARTH_REGISTER_H
#define HEARTH_REGISTER_H

#include "core/base/json.h"
#include "core/ctx.h"
#include "core/user/session.h"

struct registration {
	const char *username;		/* raw; NULL: a random name */
	const char *password;		/* NULL: none, or remembered: */
	const char *password_hash;	/* of a password that an earlier request of the same session gave, or NULL */
	const char *displayname;	/* raw, NULL: the localpart */
	struct session_wish device;
	const char *guest_token;	/* of the guest who becomes this user; NULL: a new account */
	bool inhibit_login;		/* no device, no token */
	bool admin, privileged;		/* by shared secret: may be an administrator, may take a reserved name */
};

/*
 * POST /register: the setting `registration` decides, body is what the client sent (with `auth`). out->token is
 * NULL with inhibit_login. E_REPLY_READY while the authentication is not complete.
 * Opens and ends its own transactions.
 */
enum err register_recall(struct ctx *cx, struct json **body, const char **password_hash);	/* uia_recall(), before body is read */
enum err register_user(struct ctx *cx, const struct registration *r, const struct json *body, struct session *out);

/*
 * POST /register?kind=guest: an account without a password, where the setting `guests` allows it. name: of its device, esc or
 * NULL. M_GUEST_ACCESS_FORBIDDEN. Own transaction.
 */
enum err register_guest(struct ctx *cx, const char *name, struct session *out);

/* Would it be free? M_USER_IN_USE, M_INVALID_USERNAME. */
enum err register_available(struct ctx *cx, const char *username);

/* Would a registration token (esc) let somebody in? M_FORBIDDEN when registration is closed. */
enum err register_token_valid(struct ctx *cx, const char *token, bool *valid);

/* The shared secret's door (/_synapse/admin/v1/register): a nonce is good once and for a minute. E_BAD_REQUEST without a secret. */
enum err register_nonce_new(struct ctx *cx, const char **nonce);
struct shared_secret {
	const char *nonce, *mac;	/* hex HMAC-SHA1 over nonce, user, password, admin[, user_type], NUL between them */
	const char *user_type;		/* NULL: not part of the mac */
};
enum err register_by_secret(struct ctx *cx, const struct registration *r, const struct shared_secret *s, struct session *out);

#endif
