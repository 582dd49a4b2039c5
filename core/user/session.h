/*
 * core/user/session.h - who is logged in: devices and their access tokens (Client-Server API, "Client Authentication").
 *
 * Only the SHA-256 of a token is stored. A device has at most one living token
 * for password logins: logging in again on a known device ends the old one.
 */
#ifndef HEARTH_SESSION_H
#define HEARTH_SESSION_H

#include "core/ctx.h"

/*
 * Whose token is it? Fills cx->user, user_nid, device, device_id, guest, admin, unlimited; one
 * round trip. M_UNKNOWN_TOKEN (with soft_logout when it has expired) or
 * M_USER_LOCKED (with soft_logout): then cx is filled all the same, because
 * logout and logout/all are the two requests that a locked user may make.
 */
enum err session_find(struct ctx *cx, const char *token);

/* A login, as its answer shows it. */
struct session {
	const char *user;	/* esc */
	int64_t user_nid, device;
	const char *device_id;	/* esc */
	const char *token;	/* the only time that it exists in clear */
};

/*
 * Logs s->user_nid in: makes the device (device_id NULL: a new random one) and a
 * token, ends the tokens that the device had. name is the display name of a
 * new device, esc, or NULL. Only inside a transaction (TX_RW); queues, then one trip.
 */
enum err session_open(struct ctx *cx, struct session *s, const char *device_id, const char *name);

/* Ends the session of cx, or all of the user's: devices and tokens go, waiting syncs are woken to a 401. TX_RW. */
enum err session_close(struct ctx *cx);
enum err session_close_all(struct ctx *cx, int64_t user_nid, int64_t except_device /* 0: none */);

#endif
