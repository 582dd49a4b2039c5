/*
 * core/net/http.h - an HTTP client for an event loop: many requests at once, none waits for another.
 *
 *	struct http *h = http_new(conf);
 *	http_start(h, &(struct http_request){ .method = "POST", .url = url, .body = body, .body_n = n }, done, arg);
 *	loop: http_wait(h, fds, nfds, ms);	(it calls done(arg, &answer) of those that ended)
 *
 * WHAT IT GUARDS AGAINST. The url may come from a stranger: https alone (http too with the setting outgoing_http), only
 * public addresses and those of the setting outgoing_allow, whatever the name is resolved to (core/net/easy.h);
 * redirects are not followed; the answer's size and time are bounded; nothing is decompressed; certificates are verified;
 * no user name or password travels.
 *
 * Neither url nor body is ever logged here: they may hold what is secret.
 */
#ifndef HEARTH_NET_HTTP_H
#define HEARTH_NET_HTTP_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/arena.h"
#include "core/base/conf.h"

#define HTTP_TIMEOUT_MS 30000
#define HTTP_ANSWER_MAX ((size_t)64 << 10)

struct http_request {
	const char *method;		/* "POST" */
	const char *url;
	const char *const *headers;	/* "Name: value", ended by NULL; or NULL. With a body: also its Content-Type */
	const char *body;		/* copied; NULL: none */
	size_t body_n;
	int64_t timeout_ms;		/* of the whole, while it is waited for (http_wait()); 0: HTTP_TIMEOUT_MS */
	size_t answer_max;		/* bytes of the body; 0: HTTP_ANSWER_MAX */
};

enum http_fault {
	HTTP_OK,		/* there is an answer, of whatever status */
	HTTP_BAD_URL,		/* no URL, or of a scheme that is not allowed */
	HTTP_REFUSED,		/* an address that must not be called */
	HTTP_NO_HOST,		/* the name has no address */
	HTTP_NO_CONNECTION,
	HTTP_TLS,		/* the certificate does not convince */
	HTTP_TIMEOUT,
	HTTP_TOO_BIG,		/* the answer */
	HTTP_BROKEN,		/* anything else */
};
const char *http_fault_name(enum http_fault f);	/* "timeout": for the log */

struct http_answer {
	enum http_fault fault;
	int status;		/* 0 with a fault */
	const char *body;	/* NUL after it */
	size_t body_n;
	int64_t retry_after_s;	/* header Retry-After, 0: none */
	int64_t us;		/* how long it took */
};

struct http;
struct http *http_new(const struct conf *conf);
void http_free(struct http *h);		/* requests under way are dropped, their done() is not called */

/* done is called once, from http_wait(), never from here. The answer lives until it returns. It may start further requests. */
void http_start(struct http *h, const struct http_request *rq, void (*done)(void *arg, const struct http_answer *ans), void *arg);
size_t http_running(const struct http *h);
/* Until something ended, one of the fds (revents are set; at most HTTP_WAIT_FDS_MAX of them), a signal came, or ms passed. */
#define HTTP_WAIT_FDS_MAX 16
void http_wait(struct http *h, struct pollfd *fds, size_t nfds, int ms);

/* One request, waited for: for who has nothing else to do. The answer's body is the arena's. */
struct http_answer http_fetch(const struct conf *conf, struct arena *a, const struct http_request *rq);

/* May this URL be called as far as its text tells? https (http too with outgoing_http), no user name, no address that must not be called. */
bool http_url_ok(const struct conf *conf, const char *url);
/* Its scheme, host and port ("https://push.example.org:443"), lower case, and its path without the query; false: no URL. */
bool http_url_split(struct arena *a, const char *url, const char **origin, const char **path);

#endif
