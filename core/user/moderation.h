/*
 * core/user/moderation.h - locking and suspending accounts (Client-Server API, "Account moderation", "Server administration").
 *
 * A locked account can do nothing but log out; a suspended one may look, leave and look after its devices. Both are
 * lifted again and end no session; both count from the next request on, and at once for requests that wait.
 * What a suspended user may do stands in fcgi/routes.c.
 */
#ifndef HEARTH_MODERATION_H
#define HEARTH_MODERATION_H

#include "core/ctx.h"

enum moderation { MODERATE_LOCK, MODERATE_SUSPEND };

/*
 * Of an account of this server, for cx->user, who must be an administrator: M_FORBIDDEN, before anything else is looked
 * at, and where the other one is an administrator too. M_INVALID_PARAM: a user of another server, or no id;
 * M_NOT_FOUND: unknown or deactivated.
 */
enum err moderation_get(struct ctx *cx, enum moderation what, const char *user, bool *on);
/* TX_RW. Nobody locks himself out: M_FORBIDDEN. */
enum err moderation_set(struct ctx *cx, enum moderation what, const char *user, bool on);

/* Who may know it: an administrator, or the user himself. *usr: his nid. Else as above. */
enum err moderation_whois(struct ctx *cx, const char *user, int64_t *usr);

#endif
