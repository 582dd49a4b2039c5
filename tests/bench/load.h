/*
 * tests/bench/load.h - many HTTP calls at once against one server (libcurl multi).
 *
 * begin: load_init(). A call is submitted with load_call(); load_run() drives all
 * until a condition holds. A call's done() may submit the next one, so a sender is a
 * chain of calls. One thread; its own CPU time is reported with the results, for
 * it shares the machine with the server.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>

enum load_share { LOAD_OWN_CONNECTION /* HTTP/1.1, kept alive per lane */, LOAD_STREAM /* an HTTP/2 stream of a shared connection */ };

struct call {
	long status;		/* 0: no answer */
	char *body;
	size_t n;
	double start, end;	/* seconds, CLOCK_MONOTONIC */
	void (*done)(struct call *c);
	void *arg;
	long tag;
	void *easy, *headers;	/* private */
	int lane;
};

void load_init(const char *base_url, const char *ca_file);
/* lane: which kept-alive connection (LOAD_OWN_CONNECTION). body NULL: GET. put: PUT instead of POST. The call is freed after done(). */
struct call *load_call(enum load_share share, int lane, const char *token, const char *path, const char *body, bool put,
    void (*done)(struct call *), void *arg, long tag);
/* Drives until *counter reaches want, or seconds went by (false). */
bool load_run(const long *counter, long want, double seconds);
/* One call, waited for; body is malloc'ed by the caller's free(). Ends the program unless the status is 200. */
char *load_ask(const char *token, const char *path, const char *body, bool put);
double now_s(void);

#endif
