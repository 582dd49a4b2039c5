/*
 * core/user/refresh.h - renewing access tokens (Client-Server API, "Refreshing access tokens").
 *
 * Tokens come in pairs, an access token and the refresh token for the next pair. A refresh token that was exchanged stays
 * good until one of the pair that it gave is used: the answer may have been lost. So a device has one pair in
 * force and perhaps pending ones. The first use of a pending one, be it in an ordinary request or in the next
 * exchange, puts its pair in force; the others end then: access tokens expire (a soft logout), refresh tokens go.
 *
 * TWO AT ONCE. The device's row is the lock. Two exchanges of the same token both get a pair; the pair that is used first
 * wins. Of an exchange and the first use of what came of an earlier one, the second sees what the first did.
 *
 * REPLAY. All refresh tokens of a log-in begin alike (the family), so a used-up one is recognised without being
 * kept. Shown within a minute of its end it is a client that met itself: it is refused, no more. Later, a thief
 * has it or had it: all tokens of the device end, and whoever knows the password logs in again (soft logout:
 * the device and its keys stay).
 */
#ifndef HEARTH_REFRESH_H
#define HEARTH_REFRESH_H

#include "core/user/session.h"

/* A refresh token, and the hashes by which it is kept. */
struct refresh_pair {
	const char *token;	/* "<family>.<secret>" */
	unsigned char hash[32], family[32];
};
/* A new one; family: of an earlier one's token, or NULL for a log-in. */
void refresh_make(struct ctx *cx, const char *family, struct refresh_pair *out);

/* The lifetime of an access token in ms, as the settings have it; 0: for ever. */
int64_t access_token_lifetime(const struct ctx *cx, bool refreshable);

/*
 * POST /refresh. Fills out->token, refresh, expires_in. M_UNKNOWN_TOKEN, with soft_logout when the session is still there;
 * M_USER_LOCKED. Own transaction: none may be open.
 */
enum err session_refresh(struct ctx *cx, const char *refresh_token, struct session *out);

/*
 * cx->token_unused was set by session_find(): notes the first use of cx->device's token. Own transaction: none may be
 * open. E_RETRY when somebody was faster: find the token again.
 */
enum err session_first_use(struct ctx *cx, const char *token);

#endif
