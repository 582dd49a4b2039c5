/*
 * core/user/turn.h - credentials for the TURN server (Client-Server API, "Voice over IP").
 *
 * As coturn's use-auth-secret has it: the user name is the time at which it ends and the user, the password its
 * HMAC-SHA1 with the secret that both servers know. Nothing is stored.
 */
#ifndef HEARTH_TURN_H
#define HEARTH_TURN_H

#include "core/ctx.h"

struct turn {
	const char **uris;
	size_t nuris;		/* 0: there is no TURN server */
	const char *username, *password;	/* username: esc */
	int64_t ttl;		/* seconds */
};
void turn_credentials(struct ctx *cx, struct turn *out);

#endif
