/* core/push/gateway.c - see gateway.h. */
#include "core/push/gateway.h"

#include "core/base/clock.h"
#include "core/db/db.h"

/* Not by a call that began before the last outage was over, nor by another than the probe. */
STMT(gateway_fail,
    "INSERT INTO push_gateway AS g (gateway, failures, failing_ts, due_ts) VALUES ($1, 1, $2, $3) ON CONFLICT (gateway) DO UPDATE"
    " SET failures = g.failures + 1, failing_ts = CASE WHEN g.failures > 0 THEN g.failing_ts ELSE excluded.failing_ts END,"
    "	due_ts = excluded.due_ts WHERE g.failures = 0 AND g.due_ts <= $4 OR g.failures > 0 AND g.due_ts = $5 RETURNING failures");
STMT(gateway_up, "UPDATE push_gateway SET failures = 0, due_ts = $2 WHERE gateway = $1 AND failures > 0 AND due_ts = $3");
/* No more than can be told soon. Whoever holds one of them does something with it that matters more. */
STMT(gateway_resume,
    "UPDATE pusher SET due_ts = $2 WHERE nid = ANY(ARRAY(SELECT nid FROM pusher WHERE gateway = $1 AND (failures > 0) = true"
    "	AND due_ts > $2 AND error NOT LIKE 'status %' ORDER BY due_ts LIMIT 1000 FOR UPDATE SKIP LOCKED))");

bool
gateway_silent(enum http_fault f)
{
	return f != HTTP_OK && f != HTTP_BAD_URL && f != HTTP_TOO_BIG;
}

static uint32_t
hash(const char *s)
{
	uint32_t h = 2166136261U;	/* FNV-1a */

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 16777619U;
	return h;
}

/* Two gateways that meet in a slot only make each other begin anew. */
bool
silence_grows(struct silence *s, const char *gateway)
{
	uint32_t h = hash(gateway), i = h % (sizeof s->slot / sizeof *s->slot);

	if (s->slot[i].gateway != h) {
		s->slot[i].gateway = h;
		s->slot[i].n = 0;
	}
	if (s->slot[i].n < GATEWAY_SILENT)
		s->slot[i].n++;
	return s->slot[i].n == GATEWAY_SILENT;
}

void
silence_ends(struct silence *s, const char *gateway)
{
	uint32_t h = hash(gateway), i = h % (sizeof s->slot / sizeof *s->slot);

	if (s->slot[i].gateway == h)
		s->slot[i].n = 0;
}

enum err
gateway_failed(struct ctx *cx, const char *gateway, int64_t started_ts, int64_t lease, int64_t due_ts, bool *first)
{
	struct rows r;
	enum err e = db_maybe(cx, &r, &gateway_fail, P_TEXT(gateway), P_I64(clock_ms()), P_I64(due_ts), P_I64(started_ts), P_I64(lease));

	*first = e == M_OK && r.n > 0 && db_i64(&r, 0) == 1;
	return e;
}

enum err
gateway_back(struct ctx *cx, const char *gateway, int64_t lease)
{
	int64_t now = clock_ms(), n;
	enum err e;

	if ((e = db_exec(cx, &n, &gateway_up, P_TEXT(gateway), P_I64(now), P_I64(lease))) != M_OK || n == 0)
		return e;
	return db_exec(cx, NULL, &gateway_resume, P_TEXT(gateway), P_I64(now));
}
