/*
 * fcgi/client/sync.c - GET /sync (Client-Server API, "Syncing"), and its predecessors, GET /events and GET /initialSync.
 *
 * The handler only checks what was asked. Whether there is news is computed by
 * the front, alone or with others (fcgi/waiters.c, core/sync/sync.h), now and each time
 * that the waiting request is woken.
 */
#include "core/base/clock.h"
#include "core/base/conf.h"
#include "core/live/presence.h"
#include "core/sync/filter.h"
#include "core/sync/sync.h"
#include "fcgi/client/client.h"

/* The raw text of a query parameter; NULL when it is absent or empty. Texts with U+0000 are cut there, which no caller takes. */
static const char *
query_raw(struct req *r, const char *name)
{
	const char *s = req_query(r, name);
	size_t n;

	return s && *s ? esc_to_raw(r->cx.a, s, &n) : NULL;
}

static enum err
read_presence(struct req *r, enum presence_state *state, bool *said)
{
	const char *s = req_query(r, "set_presence");

	*state = PRESENCE_ONLINE;
	*said = s != NULL;
	if (!s || presence_state_read(s, state))
		return M_OK;
	return fail(&r->cx, M_INVALID_PARAM, "set_presence must be online, offline or unavailable");
}

/* A client that reads the unstable name (MSC4222) is answered with it. */
static enum err
read_state_after(struct req *r, struct sync_wait *w)
{
	bool stable, unstable;
	enum err e;

	if ((e = req_query_bool(r, "use_state_after", false, &stable)) != M_OK ||
	    (e = req_query_bool(r, "org.matrix.msc4222.use_state_after", false, &unstable)) != M_OK)
		return e;
	w->use_state_after = stable || unstable;
	w->unstable_state_after = unstable && !stable;
	return M_OK;
}

static void
who_waits(struct req *r, struct sync_wait *w, int64_t timeout)
{
	w->user_nid = r->cx.user_nid;
	w->device = r->cx.device;
	w->token = r->cx.token;
	w->user = r->cx.user;
	w->device_id = r->cx.device_id;
	w->deadline = clock_mono_ms() + timeout;
}

enum err
cl_sync(struct req *r)
{
	struct sync_wait *w = arena_zalloc(r->cx.a, sizeof *w);
	enum presence_state presence;
	int64_t timeout;
	bool said;
	enum err e;

	if (req_query(r, "from"))
		return fail(&r->cx, M_INVALID_PARAM, "there is no parameter from: did you mean since?");
	if ((e = read_presence(r, &presence, &said)) != M_OK ||
	    (e = req_query_int(r, "timeout", 0, INT64_MAX, 0, &timeout)) != M_OK ||
	    (e = req_query_bool(r, "full_state", false, &w->full_state)) != M_OK ||
	    (e = read_state_after(r, w)) != M_OK)
		return e;
	if (timeout > r->cx.conf->sync_timeout_max_ms)
		timeout = r->cx.conf->sync_timeout_max_ms;
	who_waits(r, w, timeout);
	w->since = query_raw(r, "since");
	w->filter = query_raw(r, "filter");
	if ((e = sync_check(&r->cx, w)) != M_OK)
		return e;
	presence_synced(&r->cx, presence, said, timeout);
	r->wait = w;
	return E_PARK;
}

static enum err
read_from(struct req *r, struct sync_wait *w)
{
	if (r->cx.guest && !req_query(r, "room_id"))
		return fail(&r->cx, M_GUEST_ACCESS_FORBIDDEN, "guests may ask for the events of one room only");
	w->since = query_raw(r, "from");
	return w->since ? M_OK : sync_now(&r->cx, &w->since);
}

/*
 * GET /_matrix/client/v3/events: deprecated, but there. It begins now when there is no token. With room_id it previews one room
 * ("Room Previews").
 */
enum err
cl_get_events(struct req *r)
{
	struct sync_wait *w = arena_zalloc(r->cx.a, sizeof *w);
	const char *room = req_query(r, "room_id");
	int64_t timeout;
	enum err e;

	if ((e = req_query_int(r, "timeout", 0, INT64_MAX, 0, &timeout)) != M_OK || (e = read_from(r, w)) != M_OK)
		return e;
	if (timeout > r->cx.conf->sync_timeout_max_ms)
		timeout = r->cx.conf->sync_timeout_max_ms;
	w->kind = SYNC_EVENTS;
	w->filter = "{\"room\":{\"timeline\":{\"limit\":100}}}";
	who_waits(r, w, timeout);
	if ((e = sync_check(&r->cx, w)) != M_OK || (room != NULL && (e = sync_peek(&r->cx, room, w)) != M_OK))
		return e;
	presence_synced(&r->cx, PRESENCE_ONLINE, false, timeout);
	r->wait = w;
	return E_PARK;
}

/* GET /_matrix/client/v3/initialSync: deprecated, but there. */
enum err
cl_initial_sync(struct req *r)
{
	struct sync_wait *w = arena_zalloc(r->cx.a, sizeof *w);
	int64_t limit;
	bool archived;
	enum err e;

	if ((e = req_query_int(r, "limit", 0, INT64_MAX, FILTER_LIMIT, &limit)) != M_OK ||
	    (e = req_query_bool(r, "archived", false, &archived)) != M_OK)
		return e;
	w->kind = SYNC_INITIAL;
	w->use_state_after = true;	/* the present state, not that of the timeline's start */
	w->filter = arena_printf(r->cx.a,
	    "{\"room\":{\"include_leave\":%s,\"timeline\":{\"limit\":%d},\"ephemeral\":{\"types\":[\"m.receipt\"]}}}", archived ? "true" : "false", (int)(limit < FILTER_LIMIT_MAX ? limit : FILTER_LIMIT_MAX));
	who_waits(r, w, 0);
	if ((e = sync_check(&r->cx, w)) != M_OK)
		return e;
	r->wait = w;
	return E_PARK;
}
