/*
 * core/db/async.h - a database connection in an event loop: it never blocks its process.
 *
 * Everything but waiting is that of db.h: statements are queued with db_queue() on
 * a context whose db is async_db(), then async_go() sends them, and some
 * async_step() later says ASYNC_DONE: then the struct rows are filled. Lost
 * connections are opened again by themselves, with pauses.
 *
 *	loop: wait for what async_want() says, then call async_step() until ASYNC_NOTHING
 *
 * The context and rows given to async_go() must live until ASYNC_DONE or ASYNC_LOST.
 * (Looking up a host name may block; on one machine the address is a socket's path.)
 */
#ifndef HEARTH_ASYNC_H
#define HEARTH_ASYNC_H

#include "core/db/db.h"

enum async_event {
	ASYNC_NOTHING,	/* until the next readiness */
	ASYNC_UP,	/* connected, session set up: statements may be sent */
	ASYNC_DONE,	/* what async_go() sent is answered: async_result() */
	ASYNC_LOST,	/* not connected any more; what was on its way is lost */
};
struct async_want {
	int fd;		/* -1: none */
	bool read, write;
	int64_t at;	/* call async_step() at this time (CLOCK_MONOTONIC ms) at the latest */
};
struct async;

struct async *async_new(const char *conninfo);	/* begins to connect at the first step */
void async_free(struct async *as);
struct db *async_db(struct async *as);
struct async_want async_want(const struct async *as);
enum async_event async_step(struct async *as);

bool async_idle(const struct async *as);	/* up, and nothing on its way: async_go() may be called */
/* Sends what is queued (with a BEGIN first after db_begin()). */
void async_go(struct async *as, struct ctx *cx);
enum err async_result(const struct async *as);
/* The payload of the next NOTIFY that came, in the arena, or NULL. */
const char *async_notify(struct async *as, struct arena *a);

#endif
