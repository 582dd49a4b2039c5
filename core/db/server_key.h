/*
 * core/db/server_key.h - the server's signing key, kept in the database (table signing_key): every container has the same.
 */
#ifndef HEARTH_SERVER_KEY_H
#define HEARTH_SERVER_KEY_H

#include "core/crypto/crypto.h"
#include "core/ctx.h"

/* The key that signs now. M_UNKNOWN when the database was not migrated for cx->conf->server_name; the log says so. */
enum err server_key_load(struct ctx *cx, struct signing_key **out);

#endif
