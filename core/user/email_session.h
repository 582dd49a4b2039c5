/*
 * core/user/email_session.h - proving that an e-mail address is one's own (…/email/requestToken, "threepid_creds").
 *
 * A client asks for a mail with a secret of its own; the mail's link holds a token; who comes by it has read the
 * address's mail. Then (sid, client_secret) are credentials for what the session was begun for, once, until it expires.
 * Purposes do not mix: what was validated to register resets no password.
 *
 * Nobody learns here whether an account has an address (unless the setting email_tell_known is on): sessions, answers and
 * the number of mails are the same; the mail itself tells it to the address's owner, and holds no token then.
 */
#ifndef HEARTH_EMAIL_SESSION_H
#define HEARTH_EMAIL_SESSION_H

#include "core/ctx.h"

enum email_purpose { EMAIL_REGISTER, EMAIL_ADD, EMAIL_RESET };

struct email_request {
	enum email_purpose purpose;
	const char *address;		/* as typed */
	const char *client_secret;	/* raw */
	int64_t send_attempt;
	const char *next_link;		/* raw, or NULL */
	const char *remote_addr;	/* for the rate limit */
};
/*
 * Begins or continues a session and, when send_attempt is larger than before, queues one mail. *sid: arena. Opens and ends its own
 * transaction. M_INVALID_PARAM, M_THREEPID_DENIED (domain), M_LIMIT_EXCEEDED; with email_tell_known
 * M_THREEPID_IN_USE or M_THREEPID_NOT_FOUND. Only when smtp_enabled().
 */
enum err email_request(struct ctx *cx, const struct email_request *rq, const char **sid);

/* [0-9a-zA-Z.=_-]{1,255}: client_secret and sid. */
bool email_secret_ok(const char *s);
/* An absolute http(s) URL of printable ASCII. *host: host[:port] in the arena, of characters that need no escape. */
bool email_next_link_ok(struct arena *a, const char *link, const char **host);

/* Is name one of a comma-separated list (a setting)? Letters of either case are the same. */
bool email_listed(const char *list, const char *name);

/* What a mail's link leads to. */
struct email_validation {
	enum email_purpose purpose;
	const char *address;
	bool validated;
	const char *next_link;		/* NULL: none */
};
/* Whose link is it? M_TOKEN_INCORRECT (also for an unknown sid), M_SESSION_EXPIRED. Changes nothing. */
enum err email_token_look(struct ctx *cx, const char *sid, const char *token, struct email_validation *out);
/* The same, and the address counts as validated. client_secret NULL: not looked at. Idempotent. */
enum err email_token_submit(struct ctx *cx, const char *sid, const char *client_secret, const char *token, struct email_validation *out);

/* Are these credentials of a living session for this purpose? *validated tells whether its mail was answered. M_THREEPID_AUTH_FAILED: no. */
enum err email_creds_check(struct ctx *cx, enum email_purpose purpose, const char *sid, const char *client_secret, bool *validated);
/* The same for one whose credentials were checked before. */
enum err email_session_validated(struct ctx *cx, enum email_purpose purpose, const char *sid, bool *validated);

/*
 * TX_RW. Uses the session up: *address and *validated_ts. M_THREEPID_AUTH_FAILED when it is not validated, or was used. usr: who
 * uses it, as session's used_by; a second time by the same *again is true.
 */
struct email_proof {
	const char *address;
	int64_t validated_ts;
	bool again;
};
enum err email_session_use(struct ctx *cx, enum email_purpose purpose, const char *sid, int64_t usr, struct email_proof *out);

#endif
