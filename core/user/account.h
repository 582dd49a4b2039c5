/*
 * core/user/account.h - accounts of this server: names, creation, passwords.
 *
 * A localpart is lower-case and unique for ever: the account of a deactivated
 * user stays, so that nobody can take over the name.
 */
#ifndef HEARTH_ACCOUNT_H
#define HEARTH_ACCOUNT_H

#include "core/base/json.h"
#include "core/ctx.h"

struct account {
	int64_t nid;
	const char *user, *localpart;	/* @alice:example.org, alice */
	const char *password_hash;	/* NULL: cannot log in by password */
	bool admin, guest, deactivated, locked;
};

/*
 * The account of a localpart or full user id, as people type it (letters of either case). M_NOT_FOUND also
 * for users of other servers. One round trip.
 */
enum err account_find(struct ctx *cx, const char *name, struct account *out);

/*
 * Turns what somebody asked to be called into a localpart: *localpart is lower-case. M_INVALID_USERNAME
 * when the grammar does not allow it; or when it is reserved (only digits: guests; a leading '_': application
 * services) unless privileged.
 */
enum err account_name_check(struct ctx *cx, const char *username, bool privileged, const char **localpart);
/* M_USER_IN_USE when an account has the localpart. One round trip. */
enum err account_name_free(struct ctx *cx, const char *localpart);
const char *account_name_random(struct ctx *cx);
const char *account_name_guest(struct ctx *cx);		/* digits only; may be taken */

/* Too short or too long to be a password (1 .. 512 bytes): M_WEAK_PASSWORD, M_INVALID_PARAM. */
enum err account_password_ok(struct ctx *cx, const char *password);

struct account_new {
	const char *localpart;		/* checked */
	const char *password_hash;	/* NULL: none */
	const char *displayname;	/* raw; NULL: the localpart */
	bool admin, guest;
};
/* TX_RW. Name, account and profile in one statement; two at once: one gets M_USER_IN_USE. Fills out->nid, user, localpart. */
enum err account_create(struct ctx *cx, const struct account_new *n, struct account *out);

/* TX_RW. A guest becomes a user, with a password (hash NULL: none). M_USER_IN_USE when he is no guest any more. */
enum err account_upgrade(struct ctx *cx, int64_t usr, const char *hash);

/*
 * TX_RW. hash NULL: no more password logins. What the old password or a mail has authorized and nobody has done yet ends: the account's
 * authentication sessions, its login tokens, other validations of its addresses for a reset.
 */
enum err account_set_password(struct ctx *cx, int64_t usr, const char *hash);

/* What a client sent as password login, for login.c and the UIA stage m.login.password. */
struct credentials {
	const char *name;	/* localpart or user id, esc; NULL when it was a third-party identifier */
	const char *email;	/* canonical; NULL also for identifiers that nobody has here (phone numbers, nonsense) */
	const char *password;
	bool third_party;
};
/* Reads `identifier`, or the older `user`, or `medium` and `address`, and `password`, from body. */
enum err credentials_read(struct ctx *cx, const struct json *body, struct credentials *out);
/*
 * Are they right? An unknown user takes as long as a wrong password; both are M_FORBIDDEN. Fills *out. Too many
 * wrong ones for the same name, known or not: M_LIMIT_EXCEEDED. No transaction may be open.
 */
enum err credentials_check(struct ctx *cx, const struct credentials *c, struct account *out);

#endif
