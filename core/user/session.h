/*
 * core/user/session.h - who is logged in: devices and their access tokens (Client-Server API, "Client Authentication").
 *
 * Only the SHA-256 of a token is stored. Logging in on a known device ends the
 * tokens that it had. How an access token is renewed: refresh.h.
 */
#ifndef HEARTH_SESSION_H
#define HEARTH_SESSION_H

#include "core/ctx.h"

/* A user has no more devices than this: a further log-in ends the session that was not seen for the longest time. */
#define DEVICES_MAX 1000

/*
 * Whose token is it? Fills cx->user, user_nid, device, device_id, guest, admin, suspended, unlimited, token_unused; one
 * round trip. M_UNKNOWN_TOKEN (with soft_logout when it has expired) or
 * M_USER_LOCKED (with soft_logout): then cx is filled all the same, because
 * logout and logout/all are the two requests that a locked user may make.
 */
enum err session_find(struct ctx *cx, const char *token);

/*
 * The same without a round trip, in a transaction just begun: fills cx as it was when this process last found this token, and asks with the
 * transaction's first statement whether it still is (db_guard(): E_RETRY when it is not, when anything about the account is another than
 * it was, too). False: not remembered; nothing is done. A revoked token so stops at once, in every process. Two generations of
 * SESSIONS_MAX, one memory per worker (ctx.sessions); tokens that have yet to be used for the first time, and those of locked accounts, are not in it.
 */
#define SESSIONS_MAX 4096
struct known_sessions *sessions_new(void);
void sessions_free(struct known_sessions *m);
bool session_assume(struct ctx *cx, const char *token);

/* How the device shall be that somebody logs in on. All esc. */
struct session_wish {
	const char *device_id;	/* NULL: a new random one */
	const char *name;	/* the display name of a new device, or NULL */
	bool refresh;		/* the client can renew its access token */
};

/* A login, as its answer shows it. */
struct session {
	const char *user;	/* esc */
	int64_t user_nid, device;
	const char *device_id;	/* esc */
	const char *token;	/* the only time that it exists in clear */
	const char *refresh;	/* likewise; NULL: the client cannot renew its token */
	int64_t expires_in;	/* ms, of token; 0: it stays good */
};

/*
 * Logs s->user_nid in: makes the device and its tokens, ends those that the device had.
 * Only inside a transaction (TX_RW); queues, then one trip. M_FORBIDDEN: the device id is one of the user's cross-signing keys.
 */
enum err session_open(struct ctx *cx, struct session *s, const struct session_wish *w);

/* Ends the session of cx, or all of the user's: devices and tokens go (also those by which he could log in), waiting syncs are woken to a 401. TX_RW. */
enum err session_close(struct ctx *cx);
enum err session_close_all(struct ctx *cx, int64_t user_nid, int64_t except_device /* 0: none */);

#endif
