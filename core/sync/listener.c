/* core/sync/listener.c - a connection that hears what workers touch; see listener.h. */
#include "core/sync/listener.h"

#include <stdlib.h>
#include "core/base/conf.h"
#include "core/sync/wake.h"

STMT(listener_listen, "LISTEN wake");

struct listener {
	const char *own;
	void (*woken)(void *arg, const int64_t *keys, size_t n);
	void *arg;
	struct async *as;
	struct ctx cx;
	bool up;
};

struct listener *
listener_new(const struct conf *conf, const char *own, void (*woken)(void *arg, const int64_t *keys, size_t n), void *arg)
{
	struct listener *l = calloc(1, sizeof(*l));

	if (l == NULL)
		abort();
	*l = (struct listener){ .own = own, .woken = woken, .arg = arg, .as = async_new(conf->database_url) };
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
	return async_want(l->as);
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
		if ((n = wake_payload_read(payload, l->own, keys, sizeof(keys) / sizeof(*keys))) > 0)
			l->woken(l->arg, keys, n);
		arena_rewind(l->cx.a, mark);
	}
}

bool
listener_step(struct listener *l)
{
	enum async_event ev;
	bool began = false;

	while ((ev = async_step(l->as)) != ASYNC_NOTHING)
		switch (ev) {
		case ASYNC_UP:
			db_queue(&l->cx, NULL, DB_NONE, &listener_listen);
			async_go(l->as, &l->cx);
			break;
		case ASYNC_DONE:
			l->up = began = async_result(l->as) == M_OK;
			break;
		default:
			l->up = began = false;
			break;
		}
	hear(l);
	return began;
}
