/*
 * fcgi/accept.c - the loop of a worker; see worker.h.
 *
 * A worker blocks while it serves a request, so it begins one only when the request
 * is complete in the socket's buffer (or so large that it never will be: then
 * its peer is sending). nginx sends requests whole; one that is half there
 * waits in a small table and holds up nobody.
 */
#include <errno.h>
#include <fcgiapp.h>
#include <fcgios.h>
#include <fastcgi.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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
#include "core/db/db.h"
#include "core/db/server_key.h"
#include "core/room/known.h"
#include "core/sync/wake.h"
#include "core/user/session.h"
#include "fcgi/metrics.h"
#include "fcgi/routes.h"
#include "fcgi/worker.h"

#define PEER_TIMEOUT_S 10	/* for the rest of a request */
#define SEND_TIMEOUT_S 30
#define PENDING_MAX 128

enum source { LISTENER, BACK, SIGNAL, PENDING };
enum stage { SERVING, DRAINING /* empty the queues, then end */, RETIRING /* take nothing new */ };

struct pending {
	int fd;			/* -1: free */
	int64_t until;
};
struct loop {
	struct worker w;
	int ep, listener, back, signals;
	enum stage stage;
	struct pending pending[PENDING_MAX];
	int npending;
};

struct ctx
worker_ctx(struct worker *w)
{
	struct ctx cx = { .a = w->a, .db = w->db, .conf = w->env->conf, .known = w->known, .sessions = w->sessions, .now = clock_ms() };

	if (!w->key && server_key_load(&cx, &w->key) != M_OK)
		w->key = NULL;
	cx.key = w->key;
	return cx;
}

static void
watch(struct loop *l, int fd, enum source src, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.u64 = (uint64_t)src << 32 | (uint32_t)fd };

	if (epoll_ctl(l->ep, EPOLL_CTL_ADD, fd, &ev) != 0)
		log_error(NULL, "epoll_add", LI("errno", errno));
}

/* The end of STDIN closes a request (FastCGI Specification 1.0, 5.3). */
static bool
has_end(const unsigned char *p, size_t n)
{
	for (size_t at = 0; n - at >= FCGI_HEADER_LEN;) {
		size_t content = (size_t)p[at + 4] << 8 | p[at + 5], padding = p[at + 6];

		if (p[at] != FCGI_VERSION_1 || (p[at + 1] == FCGI_STDIN && content == 0))
			return true;	/* of a broken one libfcgi will say so */
		if (n - at < FCGI_HEADER_LEN + content + padding)
			return false;
		at += FCGI_HEADER_LEN + content + padding;
	}
	return false;
}

enum arrival { COMPLETE, HALF, GONE };

static enum arrival
arrival(int fd)
{
	static unsigned char peek[65536];
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };
	ssize_t n = recv(fd, peek, sizeof(peek), MSG_PEEK | MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? HALF : GONE;
	if (n == 0)
		return GONE;
	if ((size_t)n == sizeof(peek) || has_end(peek, (size_t)n))
		return COMPLETE;
	return poll(&p, 1, 0) > 0 ? GONE : HALF;	/* the rest will not come */
}

static void
pending_drop(struct loop *l, struct pending *p)
{
	close(p->fd);
	p->fd = -1;
	l->npending--;
}

static void
pending_add(struct loop *l, int fd)
{
	struct pending *slot = &l->pending[0];

	/* A free place, or else that of the one which waits longest. */
	for (int i = 1; i < PENDING_MAX && slot->fd >= 0; i++)
		if (l->pending[i].fd < 0 || l->pending[i].until < slot->until)
			slot = &l->pending[i];
	if (slot->fd >= 0)
		pending_drop(l, slot);
	*slot = (struct pending){ fd, clock_mono_ms() + PEER_TIMEOUT_S * 1000 };
	l->npending++;
	watch(l, fd, PENDING, EPOLLIN | EPOLLRDHUP | EPOLLET);
}

/* More of a half-sent request has come. */
static void
pending_look(struct loop *l, int fd)
{
	struct pending *p = l->pending;
	enum arrival a;

	while (p < l->pending + PENDING_MAX && p->fd != fd)
		p++;
	if (p == l->pending + PENDING_MAX || (a = arrival(fd)) == HALF)
		return;
	if (a == GONE) {
		pending_drop(l, p);
		return;
	}
	epoll_ctl(l->ep, EPOLL_CTL_DEL, fd, NULL);
	p->fd = -1;
	l->npending--;
	serve(&l->w, fd);
}

static void
pending_expire(struct loop *l)
{
	int64_t now = clock_mono_ms();

	for (int i = 0; i < PENDING_MAX && l->npending > 0; i++)
		if (l->pending[i].fd >= 0 && l->pending[i].until <= now)
			pending_drop(l, &l->pending[i]);
}

static void
connection_setup(int fd)
{
	const struct timeval in = { .tv_sec = PEER_TIMEOUT_S }, out = { .tv_sec = SEND_TIMEOUT_S };
	const int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &in, sizeof(in));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &out, sizeof(out));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));	/* fails on unix sockets, and may */
}

/* False when nobody is in the queue, or nobody can be taken from it now. */
static bool
accept_one(struct loop *l)
{
	int fd = accept4(l->listener, NULL, NULL, SOCK_CLOEXEC);
	enum arrival a;

	if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
		return true;
	if (fd < 0) {
		if (errno != EAGAIN)	/* no descriptors left: some are given back in a moment */
			poll(NULL, 0, 10);
		return false;
	}
	connection_setup(fd);
	if ((a = arrival(fd)) == HALF) {	/* nginx connects first and writes a moment later */
		poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 2);
		a = arrival(fd);
	}
	if (a == COMPLETE)
		serve(&l->w, fd);
	else if (a == HALF)
		pending_add(l, fd);
	else
		close(fd);
	return true;
}

/*
 * What has gathered while the workers were busy is computed at once: what a batch costs is by far more than what one more in it
 * does, so a queue that has grown is gone after one round of it.
 */
static bool
take_batch(struct loop *l)
{
	struct arena_mark mark = arena_mark(l->w.a);
	struct waiter v[WAITERS_MAX];
	size_t n = park_gathered_recv(l->w.a, l->back, v);

	if (n > 0) {
		db_stats_reset(l->w.db);
		waiters_run(&l->w, v, n, true);
	}
	arena_rewind(l->w.a, mark);
	return n > 0;
}

static void
take_signal(struct loop *l)
{
	struct signalfd_siginfo si;

	if (read(l->signals, &si, sizeof(si)) != sizeof(si))
		return;
	l->stage = si.ssi_signo == SIGTERM ? DRAINING : RETIRING;
	epoll_ctl(l->ep, EPOLL_CTL_DEL, l->listener, NULL);
	if (l->back >= 0)
		epoll_ctl(l->ep, EPOLL_CTL_DEL, l->back, NULL);
}

static void
take(struct loop *l, uint64_t tag)
{
	int fd = (int)(uint32_t)tag;

	switch ((enum source)(tag >> 32)) {
	case LISTENER:
		accept_one(l);
		break;
	case BACK:
		take_batch(l);
		break;
	case SIGNAL:
		take_signal(l);
		break;
	case PENDING:
		pending_look(l, fd);
		break;
	}
}

/* Everybody who is in a queue is served: the kernel has told nginx that they are connected. */
static void
drain(struct loop *l)
{
	while (accept_one(l))
		;
	while (l->back >= 0 && take_batch(l))
		;
}

static void
loop_init(struct loop *l, const struct env *env)
{
	sigset_t set;

	memset(l, 0, sizeof(*l));
	for (int i = 0; i < PENDING_MAX; i++)
		l->pending[i].fd = -1;
	l->w = (struct worker){ .env = env, .a = arena_new(), .db = db_open(env->conf->database_url), .known = known_new(), .sessions = sessions_new() };
	l->listener = env->fd[strcmp(env->role, "sync") == 0 ? FD_SYNC : strcmp(env->role, "login") == 0 ? FD_LOGIN : FD_WEB];
	l->back = strcmp(env->role, "sync") == 0 ? env->fd[FD_BACK_R] : -1;
	/* Blocked always (a read of libfcgi must not end by EINTR), taken between requests. */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	l->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	l->ep = epoll_create1(EPOLL_CLOEXEC);
	watch(l, l->signals, SIGNAL, EPOLLIN);
	watch(l, l->listener, LISTENER, EPOLLIN | EPOLLEXCLUSIVE);
	if (l->back >= 0)
		watch(l, l->back, BACK, EPOLLIN | EPOLLEXCLUSIVE);
	wake_setup(env->fd[FD_WAKE_W]);
}

static bool
may_warm(const struct loop *l)
{
	return l->stage == SERVING && db_warm_due(l->w.db);
}

/* Nobody waits for this process: it prepares for those who will. */
static void
use_leisure(struct loop *l)
{
	struct arena_mark mark = arena_mark(l->w.a);
	struct ctx cx = { .a = l->w.a, .db = l->w.db, .conf = l->w.env->conf, .now = clock_ms() };

	db_warm(&cx);
	if (db_backend_pid(l->w.db) != 0)
		(void)worker_ctx(&l->w);	/* the key, too */
	arena_rewind(l->w.a, mark);
}

int
worker_main(const struct env *env)
{
	static struct loop l;
	struct epoll_event ev[8];

	routes_init();
	health_setup(env);
	FCGX_Init();
	loop_init(&l, env);
	child_note(env, NOTE_READY);
	while (l.stage == SERVING || l.npending > 0) {
		int n = epoll_wait(l.ep, ev, 8, may_warm(&l) ? 0 : l.npending > 0 ? 500 : -1);

		if (n == 0 && may_warm(&l))
			use_leisure(&l);
		for (int i = 0; i < n; i++)
			take(&l, ev[i].data.u64);
		pending_expire(&l);
		if (l.stage == DRAINING)
			drain(&l);
	}
	db_close(l.w.db);
	known_free(l.w.known);
	sessions_free(l.w.sessions);
	return 0;
}
