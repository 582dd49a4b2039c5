/* core/push/deliver.c - telling push gateways; see deliver.h. */
#include "core/push/deliver.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/crypto/crypto.h"
#include "core/db/db.h"
#include "core/push/counts.h"
#include "core/push/deliver_impl.h"
#include "core/push/gateway.h"
#include "core/push/notification.h"

#define BATCH 32
#define WALK 100		/* gateways of one look */
#define WALKS 8			/* of one step, at most: with very many gateways the rest has its turn at the next */
#define LEASE_MARGIN_MS 15000		/* beyond the call's own time-out */
#define LOOK_MS 2000			/* leases of the dead are found by then */
#define BUSY_MS 250			/* what is due must wait for a place */
#define PAUSE_MIN_MS 5000
#define PAUSE_MAX_MS (3600 * 1000LL)

#define GATEWAYS(from)													\
	"WITH RECURSIVE w(gateway, n) AS ((SELECT gateway, 1 FROM pusher WHERE due_ts IS NOT NULL AND gateway > " from		\
	"	ORDER BY gateway LIMIT 1)"											\
	"	UNION ALL SELECT (SELECT p.gateway FROM pusher p WHERE p.due_ts IS NOT NULL AND p.gateway > w.gateway"		\
	"		ORDER BY p.gateway LIMIT 1), n + 1 FROM w WHERE w.gateway IS NOT NULL AND n < 100)"
/* Whether it cannot be reached, and until when it is to be left alone: gateway.h. */
#define DOWN	" LEFT JOIN LATERAL (SELECT due_ts FROM push_gateway WHERE gateway = w.gateway AND failures > 0 OFFSET 0) g ON true"
/*
 * From gateway to gateway, beginning behind $6: of each what has been due longest, but no more than PUSH_PER_GATEWAY, and of one
 * that cannot be reached a single pusher, when that is due, with which the gateway is leased, too. So
 * whatever waits for one costs the others nothing, and costs itself a step of the walk. $4: gateways that are full; $5: is
 * there room for those that failed last? Answers the gateway that the walk has come to, NULL: the last; and what was taken.
 * ARRAY: the inner part runs once, whatever the plan.
 */
STMT(deliver_claim,
    GATEWAYS("$6") ","
    " q AS MATERIALIZED (SELECT w.gateway, p.nid, g.due_ts IS NOT NULL AS probe FROM w CROSS JOIN (VALUES (false), (true)) f(failing)" DOWN
    "	CROSS JOIN LATERAL (SELECT nid FROM pusher WHERE gateway = w.gateway AND (failures > 0) = f.failing AND due_ts <= $1"
    "		AND (lease_ts IS NULL OR lease_ts <= $1)"
    "		AND (g.due_ts IS NULL OR NOT f.failing OR (SELECT true FROM pusher o WHERE o.gateway = w.gateway AND (o.failures > 0) = false"
    "			AND o.due_ts <= $1 AND (o.lease_ts IS NULL OR o.lease_ts <= $1) LIMIT 1) IS NULL)"
    "		ORDER BY due_ts LIMIT CASE WHEN g.due_ts IS NULL THEN 16 ELSE 1 END FOR UPDATE SKIP LOCKED) p"
    "	WHERE w.gateway <> ALL($4) AND (g.due_ts IS NULL OR g.due_ts <= $1) AND (NOT f.failing AND g.due_ts IS NULL OR $5) LIMIT $3),"
    " d AS (UPDATE push_gateway SET due_ts = $2 WHERE gateway = ANY(ARRAY(SELECT gateway FROM q WHERE probe)) AND failures > 0"
    "	AND due_ts <= $1 RETURNING gateway),"
    " u AS (UPDATE pusher SET lease_ts = $2 WHERE nid = ANY(ARRAY(SELECT nid FROM q WHERE NOT probe OR gateway IN (SELECT gateway FROM d)))"
    "	RETURNING nid)"
    " SELECT CASE WHEN (SELECT count(*) FROM q) = $3 THEN (SELECT max(gateway) FROM q)"
    "	WHEN (SELECT max(n) FROM w) = 100 THEN (SELECT max(gateway) FROM w) END, ARRAY(SELECT nid FROM u)");
/* When something is due that can be told then; and how many gateways were looked at. */
STMT(deliver_next,
    GATEWAYS("''") " SELECT min(greatest(p.due_ts, g.due_ts)), (SELECT max(n) FROM w)"
    " FROM w CROSS JOIN (VALUES (false), (true)) f(failing)" DOWN
    " CROSS JOIN LATERAL (SELECT due_ts FROM pusher WHERE gateway = w.gateway AND (failures > 0) = f.failing AND due_ts IS NOT NULL"
    "	AND lease_ts IS NULL ORDER BY due_ts LIMIT 1) p");
STMT(deliver_lazily, "SELECT set_config('synchronous_commit', 'off', true)");	/* lost, it is told twice */
/* $1, $2, $3: pusher, push, lease; $4: gen as it was read; $5: now; $6: unread. Something that came meanwhile makes it due again. */
STMT(deliver_told,
    "WITH gone AS (DELETE FROM push WHERE pusher = $1 AND nid = $2)"
    " UPDATE pusher SET lease_ts = NULL, success_ts = $5::bigint, failing_ts = NULL, failures = 0, error = NULL, unread = $6,"
    "	badge = badge AND gen <> $4,"
    "	due_ts = CASE WHEN gen <> $4 OR EXISTS (SELECT FROM push WHERE pusher = $1 AND nid <> $2) THEN $5::bigint END"
    " WHERE nid = $1 AND lease_ts = $3");
/* $4: now; $5: when to look again at what is there and could not be told (its event went a moment ago; what is behind it waits). */
STMT(deliver_nothing,
    "WITH p AS (UPDATE pusher p SET lease_ts = NULL, badge = badge AND p.gen <> k.gen, due_ts = CASE WHEN p.gen <> k.gen THEN $4::bigint"
    "	WHEN EXISTS (SELECT FROM push WHERE pusher = p.nid) THEN $5::bigint END"
    " FROM unnest($1::bigint[], $2::bigint[]) k(nid, gen) WHERE p.nid = k.nid AND p.lease_ts = $3 RETURNING gateway)"
    " UPDATE push_gateway SET due_ts = $4 WHERE gateway = ANY(ARRAY(SELECT gateway FROM p)) AND failures > 0 AND due_ts = $3");
STMT(deliver_failed,
    "UPDATE pusher SET lease_ts = NULL, failures = failures + 1, failing_ts = coalesce(failing_ts, $3), error = $4, due_ts = $5"
    " WHERE nid = $1 AND lease_ts = $2");
/* Unless its user has set it anew since. */
STMT(deliver_rejected, "DELETE FROM pusher WHERE nid = $1 AND updated_ts = $2");
STMT(deliver_release,
    "WITH p AS (UPDATE pusher SET lease_ts = NULL WHERE nid = ANY($1) AND lease_ts = ANY($2) RETURNING gateway)"
    " UPDATE push_gateway SET due_ts = $3 WHERE gateway = ANY(ARRAY(SELECT gateway FROM p)) AND failures > 0 AND due_ts = ANY($2)");

struct delivery {
	struct ctx *cx;
	struct http *http;
	struct push_counters *counters;
	struct call *calls[PUSH_RUNNING];
	size_t n;
	bool ended;
	char *from;		/* malloc: the gateway behind which the next walk begins; NULL: the first */
	struct silence silence;
};

/* One notification under way; lives in its own arena. */
struct call {
	struct delivery *d;
	struct arena *a;
	size_t at;		/* in calls */
	int64_t started_ts;
	struct tell t;
};

struct delivery *
delivery_new(struct ctx *cx, struct http *http, struct push_counters *counters)
{
	static struct push_counters nobody_reads;
	struct delivery *d = calloc(1, sizeof *d);

	if (d == NULL)
		abort();
	*d = (struct delivery){ .cx = cx, .http = http, .counters = counters ? counters : &nobody_reads };
	return d;
}

bool
delivery_ended(struct delivery *d)
{
	return d->ended;
}

size_t
delivery_running(const struct delivery *d)
{
	return d->n;
}

/* Of those that take no more than their share of the places. */
static bool
failing(const struct tell *t)
{
	return t->failures > 0 || t->gateway_failures > 0;
}

/* While its gateway is still full, nothing can begin because of its end. */
static void
call_end(struct call *c)
{
	struct delivery *d = c->d;
	size_t same = 0;

	d->calls[c->at] = d->calls[--d->n];
	d->calls[c->at]->at = c->at;
	for (size_t i = 0; i < d->n; i++)
		same += strcmp(d->calls[i]->t.gateway, c->t.gateway) == 0;
	if (same < PUSH_PER_GATEWAY || failing(&c->t) || d->n + BATCH >= PUSH_RUNNING)
		d->ended = true;
	arena_free(c->a);
}

/* ---- what came of a call */

/* Nobody is hurt by what is told twice after a crash of the database: not worth waiting for its disk. */
static void
write_told(struct call *c)
{
	struct ctx *cx = c->d->cx;
	const struct tell *t = &c->t;

	db_begin(cx, TX_RW);
	db_queue(cx, NULL, DB_NONE, &deliver_lazily);
	db_queue(cx, NULL, DB_NONE, &deliver_told, P_I64(t->pusher), P_I64(t->push), P_I64(t->lease), P_I64(t->gen), P_I64(clock_ms()),
	    P_I64(t->unread));
	if (db_commit(cx) != M_OK)
		db_rollback(cx);	/* the lease ends, and it is told again */
	if (t->push != 0)
		c->d->counters->delivered++;
	else
		c->d->counters->badges++;
	if (t->failures > 0)
		log_info(cx, "push_back", LS("account", t->user), LS("gateway", t->gateway), LI("failures", t->failures));
}

static void
write_rejected(struct call *c)
{
	struct ctx *cx = c->d->cx;
	const struct tell *t = &c->t;
	int64_t n = 0;

	c->d->counters->rejected++;
	log_info(cx, "pusher_rejected", LS("account", t->user), LS("gateway", t->gateway));
	if (db_exec(cx, &n, &deliver_rejected, P_I64(t->pusher), P_I64(t->updated_ts)) == M_OK && n == 0)
		(void)db_exec(cx, NULL, &deliver_release, P_I64S(&t->pusher, 1), P_I64S(&t->lease, 1), P_I64(clock_ms()));
}

/* Growing from 5 s to an hour, and a little different for each, lest all come at once when their gateway is back. */
static int64_t
pause_ms(int failures, int64_t retry_after_s)
{
	int64_t ms = failures > 9 ? PAUSE_MAX_MS : (int64_t)PAUSE_MIN_MS << failures;
	unsigned char dice;

	if (retry_after_s > PAUSE_MAX_MS / 1000)
		retry_after_s = PAUSE_MAX_MS / 1000;
	if (ms < retry_after_s * 1000)
		ms = retry_after_s * 1000;
	if (ms > PAUSE_MAX_MS)
		ms = PAUSE_MAX_MS;
	random_bytes(&dice, 1);
	return ms + ms * dice / 1024;
}

static void
write_failed(struct call *c, const struct http_answer *ans)
{
	struct ctx *cx = c->d->cx;
	const struct tell *t = &c->t;
	const char *why = ans->fault == HTTP_OK ? arena_printf(c->a, "status %d", ans->status) : http_fault_name(ans->fault);
	int64_t now = clock_ms();
	bool first = t->failures == 0;

	c->d->counters->failed++;
	if (gateway_silent(ans->fault) && (silence_grows(&c->d->silence, t->gateway) || t->gateway_failures > 0))
		(void)gateway_failed(cx, t->gateway, c->started_ts, t->lease, now + pause_ms(t->gateway_failures, 0), &first);
	if (first)	/* of an outage once */
		log_warn(cx, "push_failed", LS("account", t->user), LS("gateway", t->gateway), LS("why", why));
	(void)db_exec(cx, NULL, &deliver_failed, P_I64(t->pusher), P_I64(t->lease), P_I64(now), P_TEXT(why),
	    P_I64(now + pause_ms(t->failures, ans->retry_after_s)));
}

static void
on_answer(void *arg, const struct http_answer *ans)
{
	struct call *c = arg;
	struct ctx *cx = c->d->cx;
	struct arena_mark m = arena_mark(cx->a);
	bool ok = ans->fault == HTTP_OK && ans->status >= 200 && ans->status < 300;

	if (failpoint("push.answered"))
		ok = false;
	if (!gateway_silent(ans->fault)) {
		silence_ends(&c->d->silence, c->t.gateway);
		if (c->t.gateway_failures > 0)
			(void)gateway_back(cx, c->t.gateway, c->t.lease);
	}
	if (ok && push_answer_rejects(c->a, ans->body, ans->body_n, c->t.pushkey))
		write_rejected(c);
	else if (ok)
		write_told(c);
	else
		write_failed(c, ans);
	arena_rewind(cx->a, m);
	call_end(c);
}

static void
start(struct delivery *d, const struct tell *t)
{
	static const char *const headers[] = { "Content-Type: application/json", NULL };
	struct arena *a = arena_new();
	struct call *c = arena_zalloc(a, sizeof *c);
	struct http_request rq = { .method = "POST", .url = t->url, .headers = headers, .timeout_ms = d->cx->conf->push_timeout_ms };

	rq.body = push_notification_body(d->cx->a, &t->what, &rq.body_n);
	*c = (struct call){ .d = d, .a = a, .at = d->n, .started_ts = clock_ms(), .t = *t };
	c->t.what = (struct push_notification){ 0 };	/* the rest of what it points to ends with the step */
	c->t.url = NULL;
	c->t.gateway = arena_strdup(a, t->gateway);
	c->t.pushkey = arena_strdup(a, t->pushkey);
	c->t.user = arena_strdup(a, t->user);
	d->calls[d->n++] = c;
	http_start(d->http, &rq, on_answer, c);
}

/* ---- taking what is due */

/* Gateways that have as many calls under way as one may. */
static const char **
full_gateways(const struct delivery *d, size_t *n)
{
	const char **v = arena_calloc(d->cx->a, d->n + 1, sizeof *v);

	*n = 0;
	for (size_t i = 0; i < d->n; i++) {
		size_t same = 0;

		for (size_t k = 0; k <= i; k++)
			same += strcmp(d->calls[k]->t.gateway, d->calls[i]->t.gateway) == 0;
		if (same == PUSH_PER_GATEWAY)
			v[(*n)++] = d->calls[i]->t.gateway;
	}
	return v;
}

static bool
room_for_failing(const struct delivery *d)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n; i++)
		n += failing(&d->calls[i]->t);
	return n < PUSH_RUNNING / 4;
}

/* *whole: the walk has gone by all gateways. */
static enum err
claim(struct delivery *d, int64_t lease, const int64_t **pushers, size_t *n, bool *whole)
{
	struct ctx *cx = d->cx;
	size_t nfull, max = PUSH_RUNNING - d->n < BATCH ? PUSH_RUNNING - d->n : BATCH;
	const char **full = full_gateways(d, &nfull);
	struct rows r;
	enum err e;

	*n = 0;
	if ((e = db_row(cx, &r, &deliver_claim, P_I64(cx->now), P_I64(lease), P_I64((int64_t)max), P_TEXTS(full, nfull),
	    P_BOOL(room_for_failing(d)), P_TEXT(d->from ? d->from : ""))) != M_OK)
		return e;
	*whole = d->from == NULL && db_null(&r, 0);
	free(d->from);
	d->from = NULL;
	if (!db_null(&r, 0) && (d->from = strdup(db_text(&r, 0))) == NULL)
		abort();
	*pushers = db_i64s(&r, 1, n);
	return M_OK;
}

static enum err
give_back(struct ctx *cx, const struct tell *v, size_t n, int64_t lease)
{
	int64_t *nid = arena_calloc(cx->a, n + 1, sizeof *nid), *gen = arena_calloc(cx->a, n + 1, sizeof *gen);
	size_t k = 0;

	for (size_t i = 0; i < n; i++)
		if (!v[i].worth) {
			nid[k] = v[i].pusher;
			gen[k++] = v[i].gen;
		}
	return k == 0 ? M_OK : db_exec(cx, NULL, &deliver_nothing, P_I64S(nid, k), P_I64S(gen, k), P_I64(lease), P_I64(cx->now),
		P_I64(cx->now + PAUSE_MIN_MS));
}

/* One batch. */
static enum err
take(struct delivery *d, bool *whole)
{
	struct ctx *cx = d->cx;
	int64_t lease = cx->now + cx->conf->push_timeout_ms + LEASE_MARGIN_MS, dropped;
	const int64_t *pushers;
	struct tell *v;
	size_t n, took;
	enum err e;

	if ((e = claim(d, lease, &pushers, &took, whole)) != M_OK || took == 0)
		return e;
	if (failpoint("push.claimed"))
		return E_UNAVAILABLE;
	if ((e = tell_load(cx, pushers, took, &v, &n, &dropped)) != M_OK || (e = give_back(cx, v, n, lease)) != M_OK) {
		(void)db_exec(cx, NULL, &deliver_release, P_I64S(pushers, took), P_I64S(&lease, 1), P_I64(clock_ms()));
		return e;
	}
	d->counters->passed_over += (uint64_t)dropped;
	for (size_t i = 0; i < n; i++)
		if (v[i].worth && v[i].lease == lease)
			start(d, &v[i]);
	return M_OK;
}

static int64_t
next_due(struct delivery *d)
{
	struct ctx *cx = d->cx;
	int64_t now = clock_ms(), at = now + LOOK_MS, due;
	struct rows r;

	if (db_row(cx, &r, &deliver_next) != M_OK)
		return at;
	due = db_null(&r, 0) ? at : db_i64(&r, 0);
	if (due <= now || db_i64(&r, 1) == WALK)	/* there may be others behind */
		due = now + BUSY_MS;
	return due < at ? due : at;
}

int64_t
delivery_step(struct delivery *d)
{
	struct ctx *cx = d->cx;
	struct arena_mark m = arena_mark(cx->a);
	enum err e = M_OK;
	bool whole = false;
	int64_t at = 0;

	d->ended = false;
	for (int i = 0; i < WALKS && e == M_OK && !whole && d->n < PUSH_RUNNING; i++) {
		cx->now = clock_ms();
		e = take(d, &whole);
	}
	/* What was taken just now may leave more of the same pusher; its end brings us here again. */
	at = e == M_OK ? next_due(d) : clock_ms() + LOOK_MS;
	arena_rewind(cx->a, m);
	return at;
}

void
delivery_free(struct delivery *d)
{
	struct arena_mark m = arena_mark(d->cx->a);
	int64_t *nid = arena_calloc(d->cx->a, d->n + 1, sizeof *nid), *lease = arena_calloc(d->cx->a, d->n + 1, sizeof *lease);

	for (size_t i = 0; i < d->n; i++) {
		nid[i] = d->calls[i]->t.pusher;
		lease[i] = d->calls[i]->t.lease;
	}
	if (d->n > 0)
		(void)db_exec(d->cx, NULL, &deliver_release, P_I64S(nid, d->n), P_I64S(lease, d->n), P_I64(clock_ms()));
	for (size_t i = 0; i < d->n; i++)
		arena_free(d->calls[i]->a);
	arena_rewind(d->cx->a, m);
	free(d->from);
	free(d);
}
