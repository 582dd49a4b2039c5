/*
 * core/user/openid.h - proving to a third party who one is (Client-Server API, "OpenID"; Server-Server API, "OpenID").
 *
 * The token is good at the federation's userinfo alone, for an hour, and ends with the device that asked for it.
 */
#ifndef HEARTH_OPENID_H
#define HEARTH_OPENID_H

#include "core/ctx.h"

/* TX_RW. For cx->user; *seconds: how long it is good. */
enum err openid_token_make(struct ctx *cx, const char **token, int64_t *seconds);

/* Whose is it? *user: esc. M_UNKNOWN_TOKEN: unknown, too old, or of an account that is locked or gone. */
enum err openid_token_find(struct ctx *cx, const char *token, const char **user);

#endif
