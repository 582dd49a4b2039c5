/*
 * core/user/threepid.h - e-mail addresses that stand for an account (Client-Server API, "Adding Account Administrative Contact Information").
 *
 * An address belongs to at most one account of this server. One that was added by proving also the password (or at the
 * registration) may reset the password; one that was added with an access token alone may not, else whoever
 * steals a token has the account. No identity server is asked or told anything.
 */
#ifndef HEARTH_THREEPID_H
#define HEARTH_THREEPID_H

#include "core/base/json.h"
#include "core/ctx.h"
#include "core/user/uia.h"

/* The array `threepids` of cx->user into o. */
enum err threepid_list(struct ctx *cx, struct json_out *o);

/* TX_RW. M_THREEPID_IN_USE: another account has it. One's own: can_reset may be gained, never lost. */
enum err threepid_put(struct ctx *cx, int64_t usr, const char *address, int64_t validated_ts, bool can_reset);

/*
 * Adds the address of a validated session of purpose EMAIL_ADD to cx->user. u: once it is authenticated (E_REPLY_READY before);
 * NULL: by the access token alone. Again after a lost answer: M_OK. M_THREEPID_AUTH_FAILED, M_THREEPID_IN_USE. Own
 * transactions.
 */
enum err threepid_add(struct ctx *cx, struct uia *u, const char *sid, const char *client_secret);

/* TX_RW. Of cx->user; M_OK also when he has no such address. address: as typed. */
enum err threepid_delete(struct ctx *cx, const char *medium, const char *address);
/* TX_RW, queued: all of an account that ends. */
void threepid_delete_all(struct ctx *cx, int64_t usr);

#endif
