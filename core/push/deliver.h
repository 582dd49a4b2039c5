/*
 * core/push/deliver.h - telling push gateways what table push holds (Push Gateway API), many at once, for the loop of role `jobs`.
 *
 * A worker takes pushers that are due by a lease (SKIP LOCKED, so workers share them), tells each gateway one thing,
 * and gives the pusher back with what came of it. So each pusher's notifications go one after the other, in their
 * order, and a worker that dies leaves a lease that ends: the notification goes out once more (gateways know it by its
 * event_id). No gateway waits for another: what is due is taken going from gateway to gateway, at most PUSH_PER_GATEWAY
 * calls of one are under way, PUSH_RUNNING in all, and those who failed last take no more than a quarter of these. What a look costs
 * grows with the number of gateways that have something due, not with how much.
 *
 * WHAT IS STILL WORTH TELLING is decided when it is its turn: nothing of an event that was redacted, that its user has read, that his
 * rules silence by now or whose sender he ignores by now (again.h), or of a room that he has left. A gateway that fails is tried again with growing pauses (5 s to 1 hour); when it
 * is back it gets the newest of each room, after PUSH_STALE_MS the newest of all, and what is older than a day is
 * given up; of each kind the newest with a sound or a highlight beside the newest without. The same where very
 * many wait for one pusher. A gateway that does not answer at all is tried by one of its pushers at a time (gateway.h).
 *
 * THE BADGE is the number of unread notifications (unread_badges()). It goes with every event; and by itself when it fell.
 */
#ifndef HEARTH_PUSH_DELIVER_H
#define HEARTH_PUSH_DELIVER_H

#include <stdatomic.h>
#include "core/ctx.h"
#include "core/net/http.h"

#define PUSH_RUNNING 256
#define PUSH_PER_GATEWAY 16		/* or a few more: they are taken by the batch */
#define PUSH_WAITING_MAX 20		/* of one pusher; more: only the newest of each room (see above) */
#define PUSH_STALE_MS (10 * 60 * 1000LL)
#define PUSH_GIVE_UP_MS (24 * 3600 * 1000LL)

/* Shared by the workers of a container, for /_hearth/metrics. */
struct push_counters {
	_Atomic uint64_t delivered, badges, failed, rejected, passed_over;
};

struct delivery;
/* cx: the worker's; its arena is used between marks. counters may be NULL. */
struct delivery *delivery_new(struct ctx *cx, struct http *http, struct push_counters *counters);
/*
 * Takes what is due and starts the calls. When to come again without being woken: ms since 1970, at most a few seconds from now. Calls
 * that ended free places, so come after every http_wait() that ended some (delivery_ended()).
 */
int64_t delivery_step(struct delivery *d);
bool delivery_ended(struct delivery *d);	/* has a call ended since the last step, and left a place to another? */
size_t delivery_running(const struct delivery *d);
/* Gives back what is under way: other workers, or the next, tell it again. Then frees d. */
void delivery_free(struct delivery *d);

#endif
