/* core/push/deliver_impl.h - what is to be told to a gateway; between deliver.c and tell.c. */
#ifndef HEARTH_PUSH_DELIVER_IMPL_H
#define HEARTH_PUSH_DELIVER_IMPL_H

#include "core/ctx.h"
#include "core/push/notification.h"

/* One pusher that was taken, and the first thing it has to tell. */
struct tell {
	int64_t pusher, gen, lease, updated_ts;
	int64_t push;			/* push.nid; 0: the badge alone */
	int64_t unread;			/* told with it */
	int failures;
	int gateway_failures;		/* > 0: the gateway cannot be reached, and this is the probe (gateway.h) */
	const char *user, *pushkey;	/* esc */
	const char *gateway, *url;
	bool worth;			/* else there is nothing to tell */
	struct push_notification what;
};
/*
 * For n pushers that this worker has leased: removes from their rows of table push what is not worth telling any more (*dropped of
 * them), and loads what comes first. All arena memory. Pushers that are gone are not among *out.
 */
enum err tell_load(struct ctx *cx, const int64_t *pushers, size_t n, struct tell **out, size_t *nout, int64_t *dropped);

#endif
