/*
 * core/sync/listener.h - a connection that hears what workers touch (NOTIFY wake, core/sync/wake.h), and does nothing else.
 *
 * For an event loop; it connects again by itself. What happened while it was away was not heard: whoever listens
 * looks for himself when listener_step() says that listening began.
 */
#ifndef HEARTH_LISTENER_H
#define HEARTH_LISTENER_H

#include "core/db/async.h"

struct listener;
struct conf;

/*
 * own: the container whose own wake-ups are passed over, "" for none; it must live as long as the listener. Called from
 * listener_step(): woken (the keys live until it returns) and, if not NULL, other: for each time that another container says something; hello:
 * it says only that it is there.
 */
struct listener *listener_new(const struct conf *conf, const char *own, void (*woken)(void *arg, const int64_t *keys, size_t n),
    void (*other)(void *arg, bool hello), void *arg);
void listener_free(struct listener *l);
struct async_want listener_want(const struct listener *l);
bool listener_step(struct listener *l);		/* true: it listens from now on, and did not before */
bool listener_up(const struct listener *l);

#endif
