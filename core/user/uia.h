/*
 * core/user/uia.h - User-Interactive Authentication (Client-Server API, section of that name).
 *
 * A session is a row of uia_session, so any worker continues what another one began. It is bound to the endpoint and the user
 * and, from the first stage on that a request completes, to the parameters: what was authorized cannot be changed
 * afterwards. (Before that they may change: clients ask for the flows with an empty body, then use that session
 * with the real one. A stage completed on a fallback page, outside of any request, binds them only when it is the
 * password.) Sessions end after a day.
 *
 * A request that carries `auth` and needs only this one stage is done in one step, with no session and no row: the form of
 * the client-server guide.
 */
#ifndef HEARTH_UIA_H
#define HEARTH_UIA_H

#include "core/base/json.h"
#include "core/crypto/crypto.h"
#include "core/ctx.h"
#include "core/user/email_session.h"

#define EMAIL_STAGE "m.login.email.identity"

#define UIA_STAGES_MAX 4
struct uia_flow {
	const char *stages[UIA_STAGES_MAX + 1];	/* NULL ends */
};

/* What stages leave behind for whoever does what they authorized. NULL: nothing. */
struct uia_proof {
	const char *token;		/* the registration token */
	const char *email_sid;		/* the email_session; its stage may not be completed yet */
	const char *terms;		/* the policies that were shown */
	const char *password_hash;	/* what the password was right for, if it came with this request */
};

struct uia {
	const char *endpoint;		/* the operationId, and the path's parameters if there are any */
	const struct uia_flow *flows;
	size_t nflows;
	const struct json *body;	/* the whole body with `auth` */
	int64_t usr;			/* whose account; 0: nobody's yet */
	enum email_purpose email;	/* what an address must have been validated for, where a flow has that stage */
	bool remember;			/* keep what the session is begun with, for uia_recall(); never tokens */

	/* filled by uia_check() */
	const char *session;		/* NULL: done in one step */
	struct uia_proof proof;
	const char *completed[UIA_STAGES_MAX + 1];
	unsigned char params[SHA256_LEN];
};

/*
 * M_OK: authenticated, do it. E_REPLY_READY: cx->err_body is the 401 to send. M_FORBIDDEN: the session is for another endpoint or
 * other parameters. Opens and ends its own transactions: none may be open.
 */
enum err uia_check(struct ctx *cx, struct uia *u);

/*
 * A client may go on with nothing in its body but `auth` with a session (as the specification's example in "Fallback" does). Then *body
 * becomes what that session was begun with (remember), and *password_hash its password's; else they stay as they are.
 */
enum err uia_recall(struct ctx *cx, const char *endpoint, struct json **body, const char **password_hash);

/* Was this stage completed, now that uia_check() said M_OK? */
bool uia_passed(const struct uia *u, const char *type);

/*
 * Ends the session, in the transaction that does what it authorized. E_RETRY when another request was faster, or the password
 * was changed since it was given in this request. (What was authorized in earlier ones ends by account_set_password().)
 */
enum err uia_finish(struct ctx *cx, const struct uia *u, const char *result);

/* What uia_finish() stored when this request, with its session and parameters, was done before; else *result is NULL. */
enum err uia_replay(struct ctx *cx, const struct uia *u, const char **result);

/* ---- outside of requests: the fallback pages ("Fallback") */

struct uia_page {
	const char *id, *type;
	const char *endpoint;
	int64_t usr;
	const char *localpart, *user;	/* whose account it is about; NULL: nobody's yet */
	struct uia_proof proof;
	bool next;			/* this stage may be completed now */
	bool completed;			/* it was already */
	const char **stages;		/* what was completed so far */
	size_t nstages;
};
/* The stage `type` of a living session. M_NOT_FOUND. */
enum err uia_page_find(struct ctx *cx, const char *id, const char *type, struct uia_page *out);
/* Runs the stage with what was entered (auth: as in a request). M_FORBIDDEN, M_THREEPID_AUTH_FAILED: not passed. E_RETRY: look again. */
enum err uia_page_pass(struct ctx *cx, const struct uia_page *pg, const struct json *auth);
/* May an address be validated for this session, and for what? */
bool uia_page_email_purpose(const struct uia_page *pg, enum email_purpose *purpose);
/* The stage m.login.email.identity will rest on this session of an address. */
enum err uia_page_email(struct ctx *cx, const struct uia_page *pg, const char *sid);

#endif
