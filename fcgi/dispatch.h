/*
 * fcgi/dispatch.h - what is the same for every request.
 *
 * Match, authenticate, limit, read the body, open the transaction, run the
 * handler, commit (and run it again when PostgreSQL asks for that), turn the
 * outcome into an answer. All of it is driven by the row of routes[].
 */
#ifndef HEARTH_DISPATCH_H
#define HEARTH_DISPATCH_H

#include "fcgi/req.h"

/* A request as it came. Missing values are "". */
struct raw_request {
	const char *method, *uri, *authorization, *remote_addr, *user_agent, *id;
	/* Reads up to n bytes of the body; less only at its end. */
	size_t (*body)(void *arg, char *p, size_t n);
	void *arg;
};

/*
 * Runs the request to its end. r->cx has arena, db, conf, key and now; the rest is
 * filled here. Gives the answer in *rp (arena memory), or returns E_PARK: r->wait is to be computed or parked
 * and there is no answer yet. Any other value is only for the log.
 */
enum err dispatch(struct req *r, const struct raw_request *in, struct reply *rp);

/* The answer of a failure, as the specification wants it ("Standard error response"). */
void dispatch_error(struct req *r, enum err e, struct reply *rp);

#endif
