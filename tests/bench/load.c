/* tests/bench/load.c - see load.h. */
#include "tests/bench/load.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#define LANES 64

static CURLM *streams, *idle, *lanes[LANES];	/* a multi handle per lane: its connection pool is the lane's own */
static const char *base, *ca;

/* Thousands of streams: what has happened on a socket, not all of them, is what is looked at. */
static int ready = -1;			/* epoll */
static double stream_timer = -1;	/* now_s() at which curl wants to be called; < 0: not at all */

double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int
stream_socket(CURL *e, curl_socket_t fd, int what, void *arg, void *known)
{
	struct epoll_event ev = { .events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u), .data.fd = fd };

	(void)e;
	(void)arg;
	if (what == CURL_POLL_REMOVE)
		epoll_ctl(ready, EPOLL_CTL_DEL, fd, NULL);
	else if (epoll_ctl(ready, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &ev) == 0)
		curl_multi_assign(streams, fd, &ready);
	return 0;
}

static int
stream_timeout(CURLM *m, long ms, void *arg)
{
	(void)m;
	(void)arg;
	stream_timer = ms < 0 ? -1 : now_s() + (double)ms / 1e3;
	return 0;
}

void
load_init(const char *base_url, const char *ca_file)
{
	curl_global_init(CURL_GLOBAL_ALL);
	base = base_url;
	ca = ca_file;
	ready = epoll_create1(EPOLL_CLOEXEC);
	streams = curl_multi_init();
	idle = curl_multi_init();	/* only to poll with */
	curl_multi_setopt(streams, CURLMOPT_SOCKETFUNCTION, stream_socket);
	curl_multi_setopt(streams, CURLMOPT_TIMERFUNCTION, stream_timeout);
	curl_multi_setopt(streams, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
	curl_multi_setopt(streams, CURLMOPT_MAX_HOST_CONNECTIONS, 200L);
	curl_multi_setopt(streams, CURLMOPT_MAX_CONCURRENT_STREAMS, 100L);
}

static size_t
take(char *p, size_t size, size_t count, void *arg)
{
	struct call *c = arg;
	size_t n = size * count;

	c->body = realloc(c->body, c->n + n + 1);
	memcpy(c->body + c->n, p, n);
	c->n += n;
	c->body[c->n] = '\0';
	return n;
}

struct call *
load_call(enum load_share share, int lane, const char *token, const char *path, const char *body, bool put,
    void (*done)(struct call *), void *arg, long tag)
{
	struct call *c = calloc(1, sizeof(*c));
	struct curl_slist *h = NULL;
	char line[4096];
	CURL *e = curl_easy_init();
	CURLM *m;

	c->done = done;
	c->arg = arg;
	c->tag = tag;
	c->easy = e;
	c->lane = lane;
	snprintf(line, sizeof(line), "%s%s", base, path);
	curl_easy_setopt(e, CURLOPT_URL, line);
	if (token != NULL) {
		snprintf(line, sizeof(line), "Authorization: Bearer %s", token);
		h = curl_slist_append(h, line);
	}
	h = curl_slist_append(h, "Expect:");
	c->headers = h;
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, h);
	curl_easy_setopt(e, CURLOPT_CAINFO, ca);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(e, CURLOPT_PRIVATE, c);
	if (body != NULL)
		curl_easy_setopt(e, CURLOPT_COPYPOSTFIELDS, body);
	if (put)
		curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, "PUT");
	if (share == LOAD_STREAM) {
		curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
		curl_easy_setopt(e, CURLOPT_PIPEWAIT, 1L);
		m = streams;
	} else {
		curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
		if (lanes[lane] == NULL)
			lanes[lane] = curl_multi_init();
		m = lanes[lane];
	}
	c->start = now_s();
	curl_multi_add_handle(m, e);
	return c;
}

static void
reap(CURLM *m)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(m, &left)) != NULL) {
		struct call *c;
		CURL *e = msg->easy_handle;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(e, CURLINFO_PRIVATE, (char **)&c);
		if (msg->data.result == CURLE_OK)
			curl_easy_getinfo(e, CURLINFO_RESPONSE_CODE, &c->status);
		else
			fprintf(stderr, "bench: %s\n", curl_easy_strerror(msg->data.result));
		c->end = now_s();
		curl_multi_remove_handle(m, e);
		c->done(c);
		curl_slist_free_all(c->headers);
		curl_easy_cleanup(e);
		free(c->body);
		free(c);
	}
}

static void
streams_perform(void)
{
	struct epoll_event ev[64];
	int running, n = epoll_wait(ready, ev, 64, 0);

	for (int i = 0; i < n; i++)
		curl_multi_socket_action(streams, ev[i].data.fd, (ev[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
		    (ev[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) | (ev[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0), &running);
	if (stream_timer >= 0 && now_s() >= stream_timer) {
		stream_timer = -1;
		curl_multi_socket_action(streams, CURL_SOCKET_TIMEOUT, 0, &running);
	}
	reap(streams);
}

/* Waits on every lane's sockets and on the streams' at once. */
bool
load_run(const long *counter, long want, double seconds)
{
	double until = now_s() + seconds;

	while (*counter < want) {
		static struct curl_waitfd extra[LANES + 1];
		unsigned nextra = 0;
		double wait;
		int running;

		for (int i = 0; i < LANES; i++) {
			fd_set r, w, x;
			int max;

			if (lanes[i] == NULL)
				continue;
			curl_multi_perform(lanes[i], &running);
			reap(lanes[i]);
			FD_ZERO(&r);
			FD_ZERO(&w);
			FD_ZERO(&x);
			curl_multi_fdset(lanes[i], &r, &w, &x, &max);
			if (max >= 0)
				extra[nextra++] = (struct curl_waitfd){ .fd = max, .events =
				    (short)(CURL_WAIT_POLLIN | (FD_ISSET(max, &w) ? CURL_WAIT_POLLOUT : 0)) };
		}
		streams_perform();
		if (*counter >= want)
			break;
		if ((wait = until - now_s()) < 0)
			return false;
		if (stream_timer >= 0 && stream_timer - now_s() < wait)
			wait = stream_timer - now_s();
		extra[nextra].fd = ready;
		extra[nextra++].events = CURL_WAIT_POLLIN;
		curl_multi_poll(idle, extra, nextra, wait < 0 ? 0 : wait > 0.02 ? 20 : (int)(wait * 1e3 + 0.5), NULL);
	}
	return true;
}

static void
ask_done(struct call *c)
{
	long *done = c->arg;

	if (c->status != 200) {
		fprintf(stderr, "bench: HTTP %ld: %s\n", c->status, c->body ? c->body : "");
		exit(1);
	}
	*(char **)(done + 1) = c->body;
	c->body = NULL;
	*done = 1;
}

char *
load_ask(const char *token, const char *path, const char *body, bool put)
{
	struct { long done; char *body; } answer = { 0, NULL };

	load_call(LOAD_OWN_CONNECTION, LANES - 1, token, path, body, put, ask_done, &answer, 0);
	if (!load_run(&answer.done, 1, 120)) {
		fprintf(stderr, "bench: no answer: %s\n", path);
		exit(1);
	}
	return answer.body;
}
