/* tests/db/push/world.h - users with pushers, and what waits for their gateways. */
#ifndef HEARTH_TESTS_PUSH_WORLD_H
#define HEARTH_TESTS_PUSH_WORLD_H

#include "core/push/deliver.h"
#include "core/push/feed.h"
#include "core/push/pusher.h"
#include "tests/db/room/world.h"

/* A pusher of cx's device, whose gateway is at this URL (with outgoing_http, and 127.0.0.0/8 allowed). Its nid. */
long long pusher_at(struct ctx *cx, const char *key, const char *url);
long long pusher_of(struct ctx *cx, const char *key);	/* at a gateway that does not exist */
const struct conf *push_conf(void);	/* as test_conf(), but those calls are allowed, and time out quickly */

/* A worker of role jobs, as far as it delivers. */
struct worker {
	struct ctx *cx;
	struct http *http;
	struct delivery *d;
	struct push_counters n;
};

struct worker *worker(void);
void until_ended(struct worker *w);	/* all calls that are under way */

/* One look at the streams; how it ended. */
struct feed_look look(struct ctx *cx);
/* Looks until there is no more; how many looks. */
int look_all(struct ctx *cx);
/* The bodies of the messages that wait for a pusher, in order, joined by spaces; other events count as their type. */
const char *waiting(long long pusher);

#endif
