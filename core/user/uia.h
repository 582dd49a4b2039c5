/*
 * core/user/uia.h - User-Interactive Authentication (Client-Server API, section of that name).
 *
 * A session is a row of uia_session, so any worker continues what another one
 * began. It is bound to the endpoint and the user and, from the first completed
 * stage on, to the parameters: what was authorized cannot be changed afterwards.
 * (Before that they may change: clients ask for the flows with an empty body,
 * then use that session with the real one.) Sessions end after a day.
 *
 * A request that carries `auth` and needs only this one stage is done in one
 * step, with no session and no row: the form of the client-server guide.
 */
#ifndef HEARTH_UIA_H
#define HEARTH_UIA_H

#include "core/base/json.h"
#include "core/ctx.h"

#define UIA_STAGES_MAX 4
struct uia_flow {
	const char *stages[UIA_STAGES_MAX + 1];	/* NULL ends */
};

struct uia {
	const char *endpoint;		/* the operationId, and the path's parameters if there are any */
	const struct uia_flow *flows;
	size_t nflows;
	const struct json *body;	/* the whole body with `auth` */
	int64_t usr;			/* whose account; 0: nobody's yet */

	const char *session;		/* filled by uia_check(); NULL: done in one step */
};

/* M_OK: authenticated, do it. E_REPLY_READY: cx->err_body is the 401 to send. Opens and ends its own transactions. */
enum err uia_check(struct ctx *cx, struct uia *u);

/* Ends the session, in the transaction that does what it authorized. E_RETRY when another request was faster. */
enum err uia_finish(struct ctx *cx, const struct uia *u, const char *result);

/* What uia_finish() stored when this request, with its session and parameters, was done before; else *result is NULL. */
enum err uia_replay(struct ctx *cx, const struct uia *u, const char **result);

#endif
