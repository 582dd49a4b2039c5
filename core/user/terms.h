/*
 * core/user/terms.h - the documents that people who register accept (Client-Server API, "Terms of service at registration").
 *
 * What was shown is kept with the authentication session, so that it is recorded which versions a user has accepted, even when
 * the setting changes meanwhile.
 */
#ifndef HEARTH_TERMS_H
#define HEARTH_TERMS_H

#include "core/base/json.h"
#include "core/ctx.h"

#define TERMS_STAGE "m.login.terms"

/* The policies as JSON (setting `terms`), NULL when there are none. */
const char *terms_current(const struct conf *conf);

/* TX_RW, queued: usr has accepted these policies. */
void terms_consent(struct ctx *cx, int64_t usr, const char *policies);

#endif
