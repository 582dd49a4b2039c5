/*
 * core/sync/news.h - what the park process hears from the database, and tells other containers.
 *
 * Two connections. One LISTENs and does nothing else. The other
 * sends our wake-ups to the other containers (NOTIFY, merged: the first at once, then at most
 * one per wake_interval_ms), and looks every second at the tail of the streams: all
 * rows new since its last look, exactly, whoever wrote them. So a lost wake-up (a crash between
 * COMMIT and datagram, a full queue, a row changed by hand in psql) costs a second, never a message.
 *
 * Each NOTIFY costs PostgreSQL and everybody who listens about 0.4 ms. So containers say now and then that they are there, and
 * one that has heard of no other for a while tells what was touched less often: only the workers of role jobs hear it.
 *
 * While PostgreSQL is away both connect again by themselves; the position of the last
 * look is kept, so nothing that happened meanwhile is missed.
 */
#ifndef HEARTH_NEWS_H
#define HEARTH_NEWS_H

#include "core/db/async.h"

struct news;
struct conf;

/* What was heard. */
struct news_sink {
	void *arg;
	/* Something happened to these keys (core/sync/wake.h). */
	void (*woken)(void *arg, const int64_t *keys, size_t n);
	/* Rows at positions pos (ascending) touch key. */
	void (*found)(void *arg, int64_t key, const int64_t *pos, size_t n);
	/* More than can be told, or the database is another one: anything may have happened. */
	void (*all)(void *arg);
};

#define NEWS_CONNECTIONS 2
struct news *news_new(const struct conf *conf, const struct news_sink *sink);
void news_free(struct news *n);
struct async_want news_want(const struct news *n, int connection);
void news_step(struct news *n);		/* when a connection is ready, or a time has come */
/* When news_step() is due without that. CLOCK_MONOTONIC ms. */
int64_t news_due(const struct news *n);

bool news_listening(const struct news *n);
/* Looks at the tail begin now: from this position (a token), or NULL: from the present. */
void news_follow(struct news *n, const char *position);
bool news_following(const struct news *n);	/* did a first look succeed? */
const char *news_position(const struct news *n);	/* as token: all up to here was told; "" before the first look */
int64_t news_tail_us(const struct news *n);		/* how long the last look took */

void news_tell(struct news *n, const int64_t *keys, size_t count);	/* to the other containers */
bool news_others(const struct news *n);			/* are there any? */

#endif
