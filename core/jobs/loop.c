/* core/jobs/loop.c - the loop of role `jobs`; see jobs.h. */
#include "core/jobs/jobs.h"

#include "core/base/clock.h"
#include "core/db/db.h"
#include "core/jobs/jobs_impl.h"
#include "core/net/http.h"
#include "core/push/deliver.h"
#include "core/push/feed.h"
#include "core/sync/listener.h"
#include "core/sync/wake.h"

/* Looks for what nobody told: wake-ups get lost. Without the listening connection they are all there is. */
#define POLL_MS		5000
#define POLL_DEAF_MS	1000
#define FEED_POLL_MS	2000
#define FEED_GAP_MS	100	/* between two looks: what comes in a burst is looked at together */
#define STOP_MS		3000	/* calls under way may end */

struct loop {
	struct ctx cx;
	struct listener *ear;
	struct http *http;
	struct delivery *delivery;
	_Atomic int64_t *turned;
	bool jobs_heard, rooms_heard;
	int64_t jobs_at, feed_at, feed_after, deliver_at;	/* CLOCK_MONOTONIC ms */
};

static void
on_woken(void *arg, const int64_t *keys, size_t n)
{
	struct loop *l = arg;

	for (size_t i = 0; i < n; i++)
		if (keys[i] == WAKE_JOBS)
			l->jobs_heard = true;
		else
			l->rooms_heard = true;
}

static int64_t
in(int64_t ms)
{
	return clock_mono_ms() + ms;
}

/* One job: whatever else is to be done has its turn before the next. */
static void
run_job(struct loop *l)
{
	int64_t wait = listener_up(l->ear) ? POLL_MS : POLL_DEAF_MS, due;
	bool ok;
	int done;

	l->jobs_heard = false;
	done = jobs_run_next(&l->cx, &ok);
	if (done > 0) {
		l->jobs_at = 0;
		return;
	}
	due = done == 0 ? jobs_next_due(&l->cx) : INT64_MAX;
	if (due != INT64_MAX && due - clock_ms() < wait)
		wait = due - clock_ms();
	l->jobs_at = in(wait);
}

static void
feed(struct loop *l)
{
	struct arena_mark m = arena_mark(l->cx.a);
	struct feed_look look;

	l->rooms_heard = false;
	l->cx.now = clock_ms();
	push_feed_look(&l->cx, &look);
	l->feed_after = look.more ? 0 : in(FEED_GAP_MS);
	l->feed_at = look.more ? 0 : in(FEED_POLL_MS);
	if (look.queued)
		l->deliver_at = 0;
	arena_rewind(l->cx.a, m);
}

static void
deliver(struct loop *l)
{
	int64_t wait = delivery_step(l->delivery) - clock_ms();

	l->deliver_at = in(wait);
}

static int
patience(const struct loop *l)
{
	int64_t now = clock_mono_ms(), at = l->jobs_at < l->deliver_at ? l->jobs_at : l->deliver_at;
	int64_t feed_at = l->rooms_heard && l->feed_after < l->feed_at ? l->feed_after : l->feed_at;
	struct async_want w = listener_want(l->ear);

	if (feed_at < at)
		at = feed_at;
	if (w.at < at)
		at = w.at;
	return at <= now ? 0 : at - now > POLL_MS ? POLL_MS : (int)(at - now);
}

static void
hear(struct loop *l)
{
	if (listener_step(l->ear))
		l->jobs_heard = l->rooms_heard = true;	/* what was told before it listened */
}

/* Until something is to be done. */
static void
wait(struct loop *l)
{
	struct async_want w = listener_want(l->ear);
	struct pollfd p = { .fd = w.fd, .events = (short)((w.read ? POLLIN : 0) | (w.write ? POLLOUT : 0)) };

	*l->turned = clock_mono_ms();
	http_wait(l->http, &p, w.fd >= 0, patience(l));
	hear(l);
}

static void
push(struct loop *l)
{
	int64_t now = clock_mono_ms();

	if (l->feed_at <= now || (l->rooms_heard && l->feed_after <= now))
		feed(l);
	if (delivery_ended(l->delivery) || l->deliver_at <= now)
		deliver(l);
}

/* While a job waits for the network (a mail server that is slow), between its transactions: gateways do not wait for it. */
static void
meanwhile(void *arg)
{
	struct loop *l = arg;
	int64_t now = l->cx.now;

	*l->turned = clock_mono_ms();
	http_wait(l->http, NULL, 0, 0);
	hear(l);
	push(l);
	l->cx.now = now;
}

static void
turn(struct loop *l)
{
	if (l->cx.key == NULL && !jobs_prepare(&l->cx)) {
		l->jobs_at = l->feed_at = l->deliver_at = in(POLL_DEAF_MS);
		return;
	}
	if (l->jobs_heard || l->jobs_at <= clock_mono_ms())
		run_job(l);
	push(l);
}

/* Calls under way may end; the rest is told by somebody else. */
static void
wind_up(struct loop *l)
{
	int64_t until = in(STOP_MS), left;

	while (delivery_running(l->delivery) > 0 && (left = until - clock_mono_ms()) > 0)
		http_wait(l->http, NULL, 0, (int)left);
	delivery_free(l->delivery);
	http_free(l->http);
	listener_free(l->ear);
}

int
jobs_main(const struct conf *conf, volatile sig_atomic_t *stop, struct push_counters *counters, _Atomic int64_t *turned)
{
	struct loop l = { .cx = { .a = arena_new(), .conf = conf, .route = "jobs", .meanwhile = meanwhile } };

	l.cx.meanwhile_arg = &l;
	l.turned = turned;
	l.cx.db = db_open(conf->database_url);
	l.ear = listener_new(conf, "", on_woken, NULL, &l);
	l.http = http_new(conf);
	l.delivery = delivery_new(&l.cx, l.http, counters);
	while (!*stop) {
		turn(&l);
		if (!*stop)
			wait(&l);
	}
	wind_up(&l);
	db_close(l.cx.db);
	arena_free(l.cx.a);
	return 0;
}
