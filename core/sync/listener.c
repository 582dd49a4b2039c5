/* core/sync/listener.c - a connection that hears what workers touch; see listener.h. */
#include "core/sync/listener.h"

#include <stdlib.h>
#include "core/base/clock.h"
#include "core/base/conf.h"
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/sync/wake.h"

#define AGAIN_MS 500		/* LISTEN was refused on a connection that stays (a standby that is being promoted): until the next try */

STMT(listener_listen, "LISTEN wake");

struct listener {
	const char *own;
	void (*woken)(void *arg, const int64_t *keys, size_t n);
	void (*other)(void *arg, bool hello);
	void *arg;
	struct async *as;
	struct ctx cx;
	bool up;
	bool refused;		/* was the last try? */
	int64_t again;		/* CLOCK_MONOTONIC ms: when to try LISTEN anew; 0: nothing is to be tried */
};

struct listener *
listener_new(const struct conf *conf, const char *own, void (*woken)(void *arg, const int64_t *keys, size_t n),
    void (*other)(void *arg, bool hello), void *arg)
{
	struct listener *l = calloc(1, sizeof(*l));

	if (l == NULL)
		abort();
	*l = (struct listener){ .own = own, .woken = woken, .other = other, .arg = arg, .as = async_new(conf->database_url) };
	l->cx = (struct ctx){ .a = arena_new(), .db = async_db(l->as), .conf = conf };
	return l;
}

void
listener_free(struct listener *l)
{
	if (l == NULL)
		return;
	async_free(l->as);
	arena_free(l->cx.a);
	free(l);
}

struct async_want
listener_want(const struct listener *l)
{
	struct async_want w = async_want(l->as);

	if (l->again != 0 && l->again < w.at)
		w.at = l->again;
	return w;
}

bool
listener_up(const struct listener *l)
{
	return l->up;
}

static void
hear(struct listener *l)
{
	int64_t keys[WAKE_PAYLOAD_MAX / 3];
	const char *payload;

	for (;;) {
		struct arena_mark mark = arena_mark(l->cx.a);
		size_t n;

		if ((payload = async_notify(l->as, l->cx.a)) == NULL)
			return;
		n = wake_payload_read(payload, l->own, keys, sizeof(keys) / sizeof(*keys));
		if (l->other != NULL && wake_payload_other(payload, l->own))
			l->other(l->arg, n == 0);
		if (n > 0)
			l->woken(l->arg, keys, n);
		arena_rewind(l->cx.a, mark);
	}
}

static void
listen_now(struct listener *l)
{
	l->again = 0;
	db_queue(&l->cx, NULL, DB_NONE, &listener_listen);
	async_go(l->as, &l->cx);
}

static bool
listen_done(struct listener *l)
{
	l->up = async_result(l->as) == M_OK && !failpoint("listener.refused");
	if (!l->up) {
		if (!l->refused)
			log_warn(NULL, "listen_refused", LI("again_ms", AGAIN_MS));
		l->again = clock_mono_ms() + AGAIN_MS;
	}
	l->refused = !l->up;
	return l->up;
}

bool
listener_step(struct listener *l)
{
	enum async_event ev;
	bool began = false;

	while ((ev = async_step(l->as)) != ASYNC_NOTHING)
		switch (ev) {
		case ASYNC_UP:
			listen_now(l);
			break;
		case ASYNC_DONE:
			began = listen_done(l);
			break;
		default:
			l->up = began = false;
			l->again = 0;
			break;
		}
	if (l->again != 0 && l->again <= clock_mono_ms())
		listen_now(l);
	hear(l);
	return began;
}
