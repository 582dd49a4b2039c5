/*
 * fcgi/park.c - the process that holds waiting requests; see park.h.
 *
 * One loop over: workers' messages (requests that begin to wait), datagrams (what
 * was touched here), the database (what was touched elsewhere), clients that go away,
 * times, and the socket towards the sync workers. Nothing in it blocks: what a full
 * socket does not take stays in the lot's queue.
 *
 * CHANGE OF GUARD. A new park process (SIGHUP) connects to the database first and then waits for the baton (park.h). The
 * old one, told to retire, stops reading, passes the baton with its position in the
 * streams, and sends all who wait to the new one over the socket that workers use too,
 * marked as up to date to that moment. The new one looks at the streams from that position. So no wake-up falls between.
 */
#include "fcgi/park.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include "core/base/clock.h"
#include "core/base/conf.h"
#include "core/base/log.h"
#include "core/sync/news.h"
#include "core/sync/wake.h"
#include "fcgi/lot.h"
#include "fcgi/reply.h"
#include "fcgi/worker.h"

#define READS_MAX 512		/* messages taken per turn, so that no source starves another */
#define HEAVY_TICK_MS 20
#define STOP_SPREAD_MS 2500	/* over which SIGTERM answers those who wait */
#define SOON_MAX 1024
#define TURN_MS 5000		/* it turns at least so often, to be seen alive (fcgi/metrics.h) */
#define READY_PATIENCE_MS 1000	/* a new one does not wait longer for its database */

enum source { SIGNAL, BATON, REQUESTS, WAKES, BACK, NEWS, WAITER };

static struct park {
	const struct env *env;
	struct arena *a;	/* scratch, rewound after each piece of work */
	struct lot *lot;
	struct news *news;
	int ep, signals;
	int64_t born;
	bool in_charge, told_ready, blocked, news_ready;
	int64_t blocked_until;
	bool stopping, done;
	int64_t stop_until;
	int64_t soon[SOON_MAX], soon_at;	/* rooms whose wake-up is not urgent */
	size_t nsoon;
} k;

static void
watch(int op, int fd, enum source src, uint32_t id, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.u64 = (uint64_t)src << 32 | id };

	if (epoll_ctl(k.ep, op, fd, &ev) != 0 && op == EPOLL_CTL_MOD && errno == ENOENT)
		epoll_ctl(k.ep, EPOLL_CTL_ADD, fd, &ev);
}

static void
unwatch(int fd)
{
	epoll_ctl(k.ep, EPOLL_CTL_DEL, fd, NULL);
}

/* As a waiter for parcel.c; it points into the lot. */
static struct waiter
as_waiter(const struct parked *p)
{
	return (struct waiter){ .fd = p->fd, .head = *p->rec, .packed = p->rec + 1 };
}

/* ---- answering */

static void
send_empty(struct waiter *v)
{
	struct reply rp = { .status = 200, .content_type = "application/json" };
	struct buf b;

	rp.body = sync_empty_body(k.a, v->wait, &rp.body_n);
	buf_init(&b, k.a);
	reply_pack(&b, v->head.fcgi_id, &rp);
	/* A few hundred bytes into an empty socket: what does not fit at once has no reader. */
	(void)!send(v->fd, b.s, b.n, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(v->fd);
	waiter_log(k.env, v, (struct db_stats){ 0 }, rp.status);
}

static void
answer(uint32_t ticket)
{
	struct arena_mark mark = arena_mark(k.a);
	struct parked *p = lot_get(k.lot, ticket);
	struct waiter v = as_waiter(p);
	struct sync_wait w;

	v.wait = &w;
	if (sync_wait_unpack(k.a, v.packed, v.head.size, &w) == M_OK)
		send_empty(&v);
	else
		close(v.fd);
	lot_remove(k.lot, ticket);
	arena_rewind(k.a, mark);
}

static void
time_over(uint32_t ticket, int64_t now)
{
	if (lot_get(k.lot, ticket)->deadline > now) {
		lot_ready(k.lot, ticket);	/* a retry */
		return;
	}
	k.env->sh->timed_out++;
	answer(ticket);
}

/* ---- taking in */

static void
take_waiter(struct waiter *v)
{
	uint32_t ticket;

	if (v->wait && k.stopping && v->head.why != PARK_HEAVY) {
		send_empty(v);
		return;
	}
	if (!v->wait || (ticket = lot_add(k.lot, v, clock_mono_ms())) == LOT_NONE) {
		close(v->fd);	/* nginx tries again */
		return;
	}
	k.env->sh->parked++;
	watch(EPOLL_CTL_ADD, v->fd, WAITER, ticket, EPOLLIN | EPOLLRDHUP);
}

static void
take_requests(void)
{
	struct waiter v[PARK_BATCH];
	size_t n = 1;

	for (int i = 0; i < READS_MAX && n > 0; i++) {
		struct arena_mark mark = arena_mark(k.a);

		n = park_message_recv(k.a, k.env->fd[FD_PARK_R], v);
		for (size_t j = 0; j < n; j++)
			take_waiter(&v[j]);
		arena_rewind(k.a, mark);
	}
}

/* Here and in the other containers. The time must not be older than the news. */
static void
wake(const int64_t *keys, size_t n)
{
	lot_wake(k.lot, keys, n, clock_mono_ms());
	news_tell(k.news, keys, n);
}

static void
wake_soon_ones(void)
{
	wake(k.soon, k.nsoon);
	k.nsoon = 0;
}

static void
keep_for_soon(int64_t key)
{
	size_t i = 0;

	while (i < k.nsoon && k.soon[i] != key)
		i++;
	if (i < k.nsoon)
		return;
	if (k.nsoon == SOON_MAX)
		wake_soon_ones();
	if (k.nsoon == 0)
		k.soon_at = clock_mono_ms() + WAKE_SOON_MS;
	k.soon[k.nsoon++] = key;
}

static void
take_wakes(void)
{
	int64_t keys[WAKE_DATAGRAM_KEYS];

	for (int i = 0; i < READS_MAX; i++) {
		ssize_t n = recv(k.env->fd[FD_WAKE_R], keys, sizeof(keys), MSG_DONTWAIT);

		if (n <= 0)
			return;
		n = (ssize_t)((size_t)n / sizeof(*keys));
		for (ssize_t j = n - 1; j >= 0; j--)
			if (keys[j] < 0) {
				keep_for_soon(-keys[j]);
				keys[j] = keys[--n];
			}
		wake(keys, (size_t)n);
	}
}

static void
on_woken(void *arg, const int64_t *keys, size_t n)
{
	lot_wake(k.lot, keys, n, clock_mono_ms());
}

static void
on_found(void *arg, int64_t key, const int64_t *pos, size_t n)
{
	k.env->sh->tail_found++;
	lot_wake_new(k.lot, k.a, key, pos, n, clock_mono_ms());
}

static void
on_all(void *arg)
{
	lot_wake_all(k.lot, clock_mono_ms());
}

/* The peer has nothing to say while it waits: nginx closes when its client has gone. */
static void
client_gone(uint32_t ticket)
{
	struct parked *p = lot_get(k.lot, ticket);

	if (!p)
		return;
	k.env->sh->gone++;
	close(p->fd);
	lot_remove(k.lot, ticket);
}

/* ---- giving back */

/* As many from the ticket on as fit into a message; *next: the one behind them. */
static size_t
gather(uint32_t ticket, struct waiter v[PARK_BATCH], uint32_t tickets[PARK_BATCH])
{
	size_t n = 0, bytes = 0;

	while (ticket != LOT_NONE && n < PARK_BATCH) {
		v[n] = as_waiter(lot_get(k.lot, ticket));
		bytes += sizeof(v->head) + v[n].head.size;
		if (n > 0 && bytes > PARK_MESSAGE_MAX)
			break;
		tickets[n++] = ticket;
		ticket = lot_after(k.lot, ticket);
	}
	return n;
}

static bool
hand_back(const struct waiter *v, const uint32_t *tickets, size_t n)
{
	int rc = park_message_send(k.env->fd[FD_BACK_W], v, n, MSG_DONTWAIT);

	if (rc != 0) {	/* full, or too many descriptors under way */
		k.blocked = true;
		k.blocked_until = clock_mono_ms() + (rc == EAGAIN ? 1000 : 10);
		if (rc == EAGAIN)
			watch(EPOLL_CTL_MOD, k.env->fd[FD_BACK_W], BACK, 0, EPOLLOUT | EPOLLONESHOT);
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		unwatch(v[i].fd);	/* closing alone would not: the message holds it too */
		close(v[i].fd);
		lot_remove(k.lot, tickets[i]);
	}
	k.env->sh->batches++;
	k.env->sh->woken += n;
	return true;
}

static void
flush_ready(void)
{
	struct waiter v[PARK_BATCH];
	uint32_t tickets[PARK_BATCH], first;

	if (k.blocked && clock_mono_ms() < k.blocked_until)
		return;
	k.blocked = false;
	while ((first = lot_first(k.lot, LOT_READY)) != LOT_NONE)
		if (!hand_back(v, tickets, gather(first, v, tickets)))
			return;
}

/* One by one, as many as may be computed now. */
static void
flush_heavy(void)
{
	uint32_t first;

	for (int n = heavy_free(k.env->sh); n > 0 && (first = lot_first(k.lot, LOT_HEAVY)) != LOT_NONE; n--) {
		struct waiter v = as_waiter(lot_get(k.lot, first));

		if (k.blocked || !hand_back(&v, &first, 1))
			return;
	}
}

/* ---- taking charge, retiring, stopping */

static void
take_baton(void)
{
	static char msg[sizeof(int64_t) + PARK_BATON_MAX + 1];
	ssize_t n = recv(k.env->fd[FD_BATON_R], msg, sizeof(msg) - 1, MSG_DONTWAIT);
	const char *position = msg + sizeof(int64_t);
	int64_t at;

	if (k.in_charge || n < (ssize_t)sizeof(at))
		return;
	msg[n] = '\0';
	memcpy(&at, msg, sizeof(at));
	k.in_charge = true;
	unwatch(k.env->fd[FD_BATON_R]);
	lot_known_since(k.lot, at != 0 && *position ? at : clock_mono_ms());
	news_follow(k.news, *position ? position : NULL);
	watch(EPOLL_CTL_ADD, k.env->fd[FD_PARK_R], REQUESTS, 0, EPOLLIN);
	watch(EPOLL_CTL_ADD, k.env->fd[FD_WAKE_R], WAKES, 0, EPOLLIN);
	child_note(k.env, NOTE_PARK_IN_CHARGE);
}

static void
hand_over(int64_t at)
{
	uint32_t pos = 0, ticket;

	while ((ticket = lot_each(k.lot, &pos)) != LOT_NONE) {
		struct parked *p = lot_get(k.lot, ticket);
		struct waiter v = as_waiter(p);

		/* Who is ready has news: it must not pass as up to date. */
		v.head.seen = p->state == LOT_READY ? 1 : at;
		if (p->state == LOT_READY && v.head.why != PARK_HEAVY)
			v.head.why = PARK_WAIT;
		for (int try = 0; try < 3 && park_message_send(k.env->fd[FD_PARK_W], &v, 1, 0) != 0; try++)
			poll(NULL, 0, 10);
		close(p->fd);
	}
}

static void
retire(void)
{
	int64_t at = clock_mono_ms();

	k.done = true;
	if (!k.in_charge)
		return;
	log_info(NULL, "park_hands_over", LI("waiting", (int64_t)(lot_count(k.lot, LOT_WAITING) + lot_count(k.lot, LOT_READY))));
	park_baton_pass(k.env, news_position(k.news), at);
	hand_over(at);
}

static void
stop_begin(void)
{
	atomic_store(&k.env->sh->stopping, 1);
	k.stopping = true;
	k.stop_until = clock_mono_ms() + STOP_SPREAD_MS;
}

/* Answers so many that all are answered when the time is over; ends when nobody is left. */
static void
stop_step(void)
{
	int64_t left = k.stop_until - clock_mono_ms();
	size_t n = lot_count(k.lot, LOT_WAITING), take = left <= 10 ? n : (n * 10 + (size_t)left - 1) / (size_t)left;
	static uint32_t pos;
	uint32_t ticket;

	while (take > 0) {
		if ((ticket = lot_each(k.lot, &pos)) == LOT_NONE) {
			pos = 0;
			continue;
		}
		if (lot_get(k.lot, ticket)->state == LOT_WAITING) {
			answer(ticket);
			take--;
		}
	}
	k.done = lot_count(k.lot, LOT_WAITING) + lot_count(k.lot, LOT_READY) + lot_count(k.lot, LOT_HEAVY) == 0 &&
	    poll(&(struct pollfd){ .fd = k.env->fd[FD_PARK_R], .events = POLLIN }, 1, 0) == 0;
}

static void
take_signal(void)
{
	struct signalfd_siginfo si;

	while (read(k.signals, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGUSR1)
			retire();
		else
			stop_begin();
	}
}

/* ---- the loop */

static void
take(uint64_t tag)
{
	switch ((enum source)(tag >> 32)) {
	case SIGNAL:
		take_signal();
		break;
	case BATON:
		take_baton();
		break;
	case REQUESTS:
		take_requests();
		break;
	case WAKES:
		take_wakes();
		break;
	case BACK:
		k.blocked = false;
		break;
	case NEWS:
		k.news_ready = true;
		break;
	case WAITER:
		client_gone((uint32_t)tag);
		break;
	}
}

/* When news_step() is due without anything having come. */
static int64_t
news_at(void)
{
	int64_t at = news_due(k.news);

	for (int i = 0; i < NEWS_CONNECTIONS; i++)
		if (news_want(k.news, i).at < at)
			at = news_want(k.news, i).at;
	return at;
}

static void
watch_news(void)
{
	for (int i = 0; i < NEWS_CONNECTIONS; i++) {
		struct async_want w = news_want(k.news, i);

		if (w.fd >= 0)
			watch(EPOLL_CTL_MOD, w.fd, NEWS, 0, (w.read ? EPOLLIN : 0) | (w.write ? EPOLLOUT : 0));
	}
}

static int
patience(void)
{
	int64_t now = clock_mono_ms(), at = news_at();
	int ms = lot_patience(k.lot, now);

	if (ms >= 0 && now + ms < at)
		at = now + ms;
	if (k.blocked && k.blocked_until < at)
		at = k.blocked_until;
	if (lot_count(k.lot, LOT_HEAVY) > 0 && now + HEAVY_TICK_MS < at)
		at = now + HEAVY_TICK_MS;
	if (!k.told_ready && k.born + READY_PATIENCE_MS < at)
		at = k.born + READY_PATIENCE_MS;
	if (k.nsoon > 0 && k.soon_at < at)
		at = k.soon_at;
	if (k.stopping && now + 10 < at)
		at = now + 10;
	return at <= now ? 0 : at - now > TURN_MS ? TURN_MS : (int)(at - now);
}

static void
tell_ready(void)
{
	if (k.told_ready || (!k.in_charge && !news_listening(k.news) && clock_mono_ms() < k.born + READY_PATIENCE_MS))
		return;
	k.told_ready = true;
	child_note(k.env, NOTE_READY);
}

static void
turn(void)
{
	struct epoll_event ev[256];
	int64_t now;
	uint32_t ticket;
	int n;

	n = epoll_wait(k.ep, ev, 256, patience());
	for (int i = 0; i < n && !k.done; i++)
		take(ev[i].data.u64);
	if (k.done)
		return;
	now = clock_mono_ms();
	if (k.news_ready || news_at() <= now) {	/* not for each wake-up: it looks at its sockets by itself */
		news_step(k.news);
		watch_news();
		k.news_ready = false;
	}
	k.env->sh->park_turn = now;
	if (k.nsoon > 0 && k.soon_at <= now)
		wake_soon_ones();
	while ((ticket = lot_due(k.lot, now)) != LOT_NONE)
		time_over(ticket, now);
	flush_ready();
	flush_heavy();
	tell_ready();
	if (k.stopping)
		stop_step();
	k.env->sh->waiting = (int64_t)lot_count(k.lot, LOT_WAITING);
	k.env->sh->waiting_heavy = (int64_t)lot_count(k.lot, LOT_HEAVY);
	k.env->sh->listen_up = news_listening(k.news);
	k.env->sh->tail_us = news_tail_us(k.news);
}

int
park_main(const struct env *env)
{
	const struct news_sink sink = { .woken = on_woken, .found = on_found, .all = on_all };
	sigset_t set;

	k.env = env;
	k.born = clock_mono_ms();
	k.a = arena_new();
	k.lot = lot_new(k.born);
	k.news = news_new(env->conf, &sink);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	k.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	k.ep = epoll_create1(EPOLL_CLOEXEC);
	watch(EPOLL_CTL_ADD, k.signals, SIGNAL, 0, EPOLLIN);
	watch(EPOLL_CTL_ADD, env->fd[FD_BATON_R], BATON, 0, EPOLLIN);
	watch_news();
	while (!k.done)
		turn();
	return 0;
}
