/*
 * core/user/registration_token.h - tokens that let people register (Client-Server API, "Token-authenticated registration").
 *
 * A use counts in the transaction that makes the account, so none is lost by a
 * registration that fails, and no token is used more often than it allows.
 */
#ifndef HEARTH_REGISTRATION_TOKEN_H
#define HEARTH_REGISTRATION_TOKEN_H

#include "core/base/json.h"
#include "core/ctx.h"
#include "core/user/uia.h"

#define REGISTRATION_TOKEN_STAGE "m.login.registration_token"

/* token: esc. Neither unknown nor expired nor used up. */
enum err registration_token_valid(struct ctx *cx, const char *token, bool *valid);

/* The stage: M_FORBIDDEN when the token in auth is not valid; else it is u->proof.token. */
enum err registration_token_stage(struct ctx *cx, struct uia *u, const struct json *auth);

/* TX_RW. Counts the use of the token that u was authorized by. M_FORBIDDEN: others were faster. */
enum err registration_token_use(struct ctx *cx, const struct uia *u);

#endif
