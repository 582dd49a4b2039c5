/* core/net/http.c - an HTTP client for an event loop; see http.h. */
#include "core/net/http.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/utf8.h"
#include "core/base/version.h"
#include "core/net/easy.h"

#define CONNECT_TIMEOUT_MS 10000L
#define IDLE_CONNECTIONS 64L
#define ABSENCE_MS 50
#define ABSENCE_MAX_MS 10000		/* of one call: who leased something for it (core/push/deliver.c) counts on its end */

struct http {
	const struct conf *conf;
	CURLM *multi;
	struct call *calls;	/* under way */
	size_t n;
	int64_t left;		/* CLOCK_MONOTONIC ms: since then nobody listens; 0: nobody has yet */
};

struct call {
	struct http *h;
	struct call *next, **prev;
	CURL *easy;
	struct curl_slist *headers;
	struct net_guard guard;
	void (*done)(void *arg, const struct http_answer *ans);
	void *arg;
	struct arena *a;
	char *body;		/* of the answer */
	size_t n, cap, max;
	bool too_big;
	int64_t timeout_ms, allowed;	/* allowed: of it, for absence */
};

static const struct {
	CURLcode code;
	enum http_fault fault;
} faults[] = {
	{ CURLE_OK, HTTP_OK },
	{ CURLE_URL_MALFORMAT, HTTP_BAD_URL },
	{ CURLE_UNSUPPORTED_PROTOCOL, HTTP_BAD_URL },
	{ CURLE_COULDNT_RESOLVE_HOST, HTTP_NO_HOST },
	{ CURLE_COULDNT_CONNECT, HTTP_NO_CONNECTION },
	{ CURLE_PEER_FAILED_VERIFICATION, HTTP_TLS },
	{ CURLE_SSL_CONNECT_ERROR, HTTP_TLS },
	{ CURLE_SSL_CACERT_BADFILE, HTTP_TLS },
	{ CURLE_OPERATION_TIMEDOUT, HTTP_TIMEOUT },
	{ CURLE_FILESIZE_EXCEEDED, HTTP_TOO_BIG },
};

const char *
http_fault_name(enum http_fault f)
{
	static const char *const names[] = {
		"ok", "bad_url", "address_refused", "no_host", "no_connection", "tls", "timeout", "too_big", "broken",
	};

	return names[f];
}

static enum http_fault
fault_of(const struct call *c, CURLcode code)
{
	if (c->too_big)
		return HTTP_TOO_BIG;
	if (c->guard.refused && code != CURLE_OK)
		return HTTP_REFUSED;
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
		if (faults[i].code == code)
			return faults[i].fault;
	return HTTP_BROKEN;
}

struct http *
http_new(const struct conf *conf)
{
	struct http *h = calloc(1, sizeof *h);

	if (h == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || (h->multi = curl_multi_init()) == NULL)
		abort();
	h->conf = conf;
	curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, IDLE_CONNECTIONS);
	return h;
}

static void
call_free(struct call *c)
{
	curl_multi_remove_handle(c->h->multi, c->easy);
	curl_easy_cleanup(c->easy);
	curl_slist_free_all(c->headers);
	if ((*c->prev = c->next) != NULL)
		c->next->prev = c->prev;
	c->h->n--;
	arena_free(c->a);	/* holds c itself */
}

void
http_free(struct http *h)
{
	if (h == NULL)
		return;
	while (h->calls != NULL)
		call_free(h->calls);
	curl_multi_cleanup(h->multi);
	free(h);
	curl_global_cleanup();
}

/* ---- one request */

static size_t
take_body(char *p, size_t size, size_t count, void *arg)
{
	struct call *c = arg;
	size_t n = size * count;

	if (n > c->max - c->n) {
		c->too_big = true;
		return 0;
	}
	if (c->n + n + 1 > c->cap) {
		size_t cap = 2 * (c->n + n + 1);

		c->body = arena_realloc(c->a, c->body, c->cap, cap);
		c->cap = cap;
	}
	memcpy(c->body + c->n, p, n);
	c->n += n;
	c->body[c->n] = '\0';
	return n;
}

static void
add_header(struct call *c, const char *line)
{
	struct curl_slist *all = curl_slist_append(c->headers, line);

	if (all == NULL)
		abort();
	c->headers = all;
}

static void
set_body(struct call *c, const struct http_request *rq)
{
	if (rq->body != NULL) {
		curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)rq->body_n);
		curl_easy_setopt(c->easy, CURLOPT_COPYPOSTFIELDS, rq->body);
		add_header(c, "Expect:");	/* no round trip to ask whether the body is welcome */
	}
	curl_easy_setopt(c->easy, CURLOPT_CUSTOMREQUEST, rq->method);
	for (const char *const *p = rq->headers; p != NULL && *p != NULL; p++)
		add_header(c, *p);
	curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers);
}

static void
set_options(struct call *c, const struct http_request *rq)
{
	CURL *easy = c->easy;

	curl_easy_setopt(easy, CURLOPT_PRIVATE, c);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, c->h->conf->outgoing_http ? "http,https" : "https");
	curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "Hearth/" HEARTH_VERSION);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)c->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)c->max);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(easy, CURLOPT_URL, rq->url);
	set_body(c, rq);
}

void
http_start(struct http *h, const struct http_request *rq, void (*done)(void *arg, const struct http_answer *ans), void *arg)
{
	struct arena *a = arena_new();
	struct call *c = arena_zalloc(a, sizeof *c);

	*c = (struct call){ .h = h, .a = a, .done = done, .arg = arg, .easy = net_easy_new(h->conf), .next = h->calls,
		.prev = &h->calls, .max = rq->answer_max ? rq->answer_max : HTTP_ANSWER_MAX,
		.timeout_ms = rq->timeout_ms ? rq->timeout_ms : HTTP_TIMEOUT_MS };
	if (c->next != NULL)
		c->next->prev = &c->next;
	h->calls = c;
	h->n++;
	net_easy_guard(c->easy, &c->guard, h->conf);
	set_options(c, rq);
	curl_multi_add_handle(h->multi, c->easy);
}

size_t
http_running(const struct http *h)
{
	return h->n;
}

static void
end(struct call *c, CURLcode code)
{
	struct http_answer ans = { .fault = fault_of(c, code), .body = c->body ? c->body : "", .body_n = c->n };
	curl_off_t v = 0;
	long status = 0;

	if (ans.fault == HTTP_OK) {
		curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
		ans.status = (int)status;
		if (curl_easy_getinfo(c->easy, CURLINFO_RETRY_AFTER, &v) == CURLE_OK)
			ans.retry_after_s = v;
	}
	if (curl_easy_getinfo(c->easy, CURLINFO_TOTAL_TIME_T, &v) == CURLE_OK)
		ans.us = v;
	c->done(c->arg, &ans);
	call_free(c);
}

/*
 * Who did other things meanwhile (asked the database) did not listen: that is not to the debit of those who are called. libcurl looks at
 * the time before it looks whether an answer is there, and has not sent yet what was started since.
 */
static void
allow_for_absence(struct http *h)
{
	int64_t away = h->left != 0 ? clock_mono_ms() - h->left : 0;

	for (struct call *c = h->calls; c != NULL && away >= ABSENCE_MS; c = c->next) {
		int64_t ms = away < ABSENCE_MAX_MS - c->allowed ? away : ABSENCE_MAX_MS - c->allowed;

		c->allowed += ms;
		c->timeout_ms += ms;
		curl_easy_setopt(c->easy, CURLOPT_TIMEOUT_MS, (long)c->timeout_ms);
	}
}

static void
perform(struct http *h)
{
	CURLMsg *m;
	int running, left;

	allow_for_absence(h);
	curl_multi_perform(h->multi, &running);
	h->left = clock_mono_ms();
	while ((m = curl_multi_info_read(h->multi, &left)) != NULL) {
		struct call *c = NULL;

		if (m->msg == CURLMSG_DONE && curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &c) == CURLE_OK && c != NULL)
			end(c, m->data.result);
	}
}

void
http_wait(struct http *h, struct pollfd *fds, size_t nfds, int ms)
{
	struct curl_waitfd w[HTTP_WAIT_FDS_MAX];
	int64_t begin;

	if (nfds > HTTP_WAIT_FDS_MAX)
		abort();
	for (size_t i = 0; i < nfds; i++)
		w[i] = (struct curl_waitfd){ .fd = fds[i].fd, .events = (short)((fds[i].events & POLLIN ? CURL_WAIT_POLLIN : 0) |
			(fds[i].events & POLLOUT ? CURL_WAIT_POLLOUT : 0)) };
	perform(h);	/* what was started since */
	begin = clock_mono_ms();
	curl_multi_poll(h->multi, w, (unsigned)nfds, ms, NULL);
	h->left += clock_mono_ms() - begin;
	for (size_t i = 0; i < nfds; i++)
		fds[i].revents = (short)((w[i].revents & CURL_WAIT_POLLIN ? POLLIN : 0) |
		    (w[i].revents & CURL_WAIT_POLLOUT ? POLLOUT : 0));
	perform(h);
}

/* ---- one request, waited for */

struct fetched {
	struct arena *a;
	struct http_answer ans;
	bool done;
};

static void
fetch_done(void *arg, const struct http_answer *ans)
{
	struct fetched *f = arg;

	f->ans = *ans;
	f->ans.body = arena_strndup(f->a, ans->body, ans->body_n);
	f->done = true;
}

struct http_answer
http_fetch(const struct conf *conf, struct arena *a, const struct http_request *rq)
{
	struct fetched f = { .a = a };
	struct http *h = http_new(conf);

	http_start(h, rq, fetch_done, &f);
	while (!f.done)
		http_wait(h, NULL, 0, 1000);
	http_free(h);
	return f.ans;
}

/* ---- URLs */

static const char *
part(struct arena *a, CURLU *u, CURLUPart what, unsigned flags)
{
	const char *copy = NULL;
	char *s;

	if (curl_url_get(u, what, &s, flags) == CURLUE_OK) {
		copy = arena_strdup(a, s);
		curl_free(s);
	}
	return copy;
}

/* NULL: libcurl does not take it for a URL. */
static CURLU *
parse(const char *url)
{
	CURLU *u = curl_url();

	if (u == NULL)
		abort();
	if (curl_url_set(u, CURLUPART_URL, url, CURLU_DISALLOW_USER) == CURLUE_OK)
		return u;
	curl_url_cleanup(u);
	return NULL;
}

bool
http_url_split(struct arena *a, const char *url, const char **origin, const char **path)
{
	CURLU *u = parse(url);
	const char *scheme, *host, *port;
	char *s;

	if (u == NULL)
		return false;
	scheme = part(a, u, CURLUPART_SCHEME, 0);
	host = part(a, u, CURLUPART_HOST, 0);
	port = part(a, u, CURLUPART_PORT, CURLU_DEFAULT_PORT);
	*path = part(a, u, CURLUPART_PATH, 0);
	curl_url_cleanup(u);
	/* libcurl decodes a host ("%ff"): what comes of it is to be kept as text. */
	if (scheme == NULL || host == NULL || *host == '\0' || port == NULL || *path == NULL || !utf8_valid(host, strlen(host)))
		return false;
	s = arena_printf(a, "%s://%s:%s", scheme, host, port);
	*origin = s;
	for (; *s != '\0'; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s = (char)(*s - 'A' + 'a');
	return true;
}

/* scheme://host:port where the host may be an address, in brackets when it is of version 6. */
static bool
host_ok(struct arena *a, const struct conf *conf, const char *origin)
{
	const char *host = strstr(origin, "://") + 3, *end = strrchr(host, ':');
	struct ip ip;

	if (*host == '[') {
		host++;
		end--;
	}
	return !ip_parse(arena_strndup(a, host, (size_t)(end - host)), &ip) || net_ip_ok(conf, &ip);
}

bool
http_url_ok(const struct conf *conf, const char *url)
{
	struct arena *a = arena_new();
	const char *origin, *path;
	bool ok = http_url_split(a, url, &origin, &path) && host_ok(a, conf, origin) &&
	    (strncmp(origin, "https://", 8) == 0 || (conf->outgoing_http && strncmp(origin, "http://", 7) == 0));

	arena_free(a);
	return ok;
}
