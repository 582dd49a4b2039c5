/* core/user/uia_impl.h - what uia.c and uia_page.c share. */
#ifndef HEARTH_UIA_IMPL_H
#define HEARTH_UIA_IMPL_H

#include "core/user/uia.h"

#define UIA_SESSION_MS (24LL * 3600 * 1000)

/* Runs a stage. M_FORBIDDEN, M_THREEPID_AUTH_FAILED: not passed, may be tried again. Fills u->proof. */
enum err uia_stage_run(struct ctx *cx, struct uia *u, const char *type, const struct json *auth);
static inline bool
uia_not_passed(enum err e)
{
	return e == M_FORBIDDEN || e == M_THREEPID_AUTH_FAILED;
}

#endif
