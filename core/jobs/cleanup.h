/* core/jobs/cleanup.h - the clean-ups that jobs run; one per table whose rows end. */
#ifndef HEARTH_CLEANUP_H
#define HEARTH_CLEANUP_H

#include <stdint.h>

#include "core/ctx.h"

struct cleanup {
	const struct stmt *stmt;	/* $1: what is older goes */
	int64_t age;			/* ms */
};
extern const struct cleanup cleanup_of_txn, cleanup_of_uia, cleanup_of_nonce, cleanup_of_login_token,
    cleanup_of_openid_token, cleanup_of_redacted, cleanup_of_typing, cleanup_of_presence, cleanup_of_ratelimit, cleanup_of_key_used,
    cleanup_of_connection, cleanup_of_email, cleanup_of_gateway;

struct job;
enum err cleanup_run(struct ctx *cx, const struct cleanup *c, struct job *j);

#endif
