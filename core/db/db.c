/* core/db/db.c - queueing and running; see db.h. How results are taken: flow.c; the connection: conn.c. */
#include <assert.h>
#include <stdarg.h>

#include "core/base/clock.h"
#include "core/db/impl.h"

static void
queue_va(struct ctx *cx, struct rows *r, enum db_expect x, const struct stmt *st, va_list ap)
{
	struct db *db = cx->db;
	struct queued q = { .st = st, .r = r, .expect = x, .a = cx->a };

	assert(r != NULL || x == DB_NONE);
	queue_params(db, &q, ap);
	/* Whatever happens, the caller's rows are readable as "none". */
	if (r != NULL)
		*r = (struct rows){ .i = -1, .a = cx->a };
	db->queue.v = db_grow(db->queue.v, &db->queue.cap, db->queue.n + 1, sizeof(*db->queue.v));
	db->queue.v[db->queue.n++] = q;
}

void
db_queue_(struct ctx *cx, struct rows *r, enum db_expect x, const struct stmt *st, ...)
{
	va_list ap;

	va_start(ap, st);
	queue_va(cx, r, x, st, ap);
	va_end(ap);
}

#define QUEUE_AND_RUN(r, x)			\
	do {					\
		va_list ap;			\
						\
		va_start(ap, st);		\
		queue_va(cx, r, x, st, ap);	\
		va_end(ap);			\
		e = db_run(cx);			\
	} while (0)

enum err
db_row_(struct ctx *cx, struct rows *r, const struct stmt *st, ...)
{
	enum err e;

	QUEUE_AND_RUN(r, DB_ONE);
	return e;
}

enum err
db_maybe_(struct ctx *cx, struct rows *r, const struct stmt *st, ...)
{
	enum err e;

	QUEUE_AND_RUN(r, DB_MAYBE);
	return e;
}

enum err
db_query_(struct ctx *cx, struct rows *r, const struct stmt *st, ...)
{
	enum err e;

	QUEUE_AND_RUN(r, DB_ANY);
	return e;
}

enum err
db_exec_(struct ctx *cx, int64_t *affected, const struct stmt *st, ...)
{
	struct rows r;
	enum err e;

	QUEUE_AND_RUN(&r, DB_NONE);
	if (affected != NULL)
		*affected = r.affected;
	return e;
}

/* BEGIN goes ahead of the first statement. */
static bool
send_queue(struct db *db)
{
	size_t i;

	if (db->tx != TX_NONE && !db->begun) {
		if (!db_send(db, &(struct queued){ .st = tx_begin_stmt(db->tx), .expect = DB_NONE }, false))
			return false;
		db->begun = true;
	}
	for (i = 0; i < db->queue.n; i++)
		if (!db_send(db, &db->queue.v[i], false))
			return false;
	return db_sync(db);
}

/* What was asked by db_guard() has been answered: before any other fault, for it came first. */
static void
judge_guard(struct db *db)
{
	if (db->guard != GUARD_ASKED || db->guard_rows.res == NULL)
		return;
	db->guard = db->guard_rows.n > 0 ? GUARD_NONE : GUARD_BROKEN;
	if (db->guard == GUARD_BROKEN)
		db->fault = E_RETRY;
}

enum err
db_run(struct ctx *cx)
{
	struct db *db = cx->db;
	int64_t t0;

	if (db->tx_fault != M_OK || db->queue.n == 0) {
		queue_clear(db);
		return db->tx_fault;
	}
	db->cx = cx;
	db->fault = M_OK;
	db->constraint[0] = '\0';
	if (db_ready(db)) {
		t0 = clock_mono_us();
		db->stats.trips++;
		if (!send_queue(db) || !db_take_all(db)) {
			db_lost(db, NULL);
			/* What the server said before it went (57P01) tells no more than this. */
			db->fault = E_UNAVAILABLE;
		} else {
			judge_guard(db);
		}
		db->stats.us += clock_mono_us() - t0;
	} else {
		db->fault = E_UNAVAILABLE;
	}
	queue_clear(db);
	/* An unexpected number of rows is no error to PostgreSQL: the transaction goes on if its owner wants it to. */
	if (db->tx != TX_NONE && db->fault != M_OK && db->fault != M_NOT_FOUND)
		db->tx_fault = db->fault;
	db->cx = NULL;
	return db->fault;
}

/* ---- a guard */

void
db_guard_(struct ctx *cx, const struct stmt *st, ...)
{
	struct db *db = cx->db;
	va_list ap;

	assert(db->tx != TX_NONE && !db->begun && db->queue.n == 0);
	db->guard = GUARD_ASKED;
	va_start(ap, st);
	queue_va(cx, &db->guard_rows, DB_ANY, st, ap);
	va_end(ap);
}

enum err
db_guarded(struct ctx *cx)
{
	struct db *db = cx->db;

	if (db->guard != GUARD_ASKED)
		return db->guard == GUARD_BROKEN ? E_RETRY : M_OK;
	if (db->tx_fault != M_OK)
		return db->tx_fault;
	db->queue.n = 1;	/* it alone: what else is queued is of no use any more */
	return db_run(cx);
}

/* ---- side by side */

/* What came in faulty, or never will come, is the transaction's fault. */
static void
keep_fault(struct db *db, bool ok)
{
	if (!ok) {
		db_lost(db, NULL);
		db->fault = E_UNAVAILABLE;
	}
	if (db->tx_fault == M_OK)
		db->tx_fault = db->fault;
	db->cx = NULL;
}

uint64_t
db_start(struct ctx *cx)
{
	struct db *db = cx->db;

	assert(db->tx != TX_NONE);
	if (db->guard == GUARD_ASKED) {
		enum err e = db_run(cx);

		if (db->tx_fault == M_OK)
			db->tx_fault = e;
	}
	if (db->tx_fault == M_OK && db->queue.n > 0) {
		db->cx = cx;
		db->fault = M_OK;
		db->stats.trips++;
		if (db_ready(db))
			keep_fault(db, send_queue(db) && db_flush(db));
		else
			db->tx_fault = E_UNAVAILABLE;
		db->cx = NULL;
	}
	queue_clear(db);
	return db->sent.syncs;
}

enum err
db_await(struct ctx *cx, uint64_t started)
{
	struct db *db = cx->db;
	int64_t t0 = clock_mono_us();

	if (db->tx_fault != M_OK || db->sent.synced >= started)
		return db->tx_fault;
	db->cx = cx;
	db->fault = M_OK;
	keep_fault(db, db_take_until(db, started));
	db->stats.us += clock_mono_us() - t0;
	return db->tx_fault;
}

void
db_turn(struct ctx *cx)
{
	struct db *db = cx->db;

	if (db->tx_fault != M_OK || db->sent.n == 0)
		return;
	db->cx = cx;
	db->fault = M_OK;
	keep_fault(db, PQflush(db->pg) >= 0 && PQconsumeInput(db->pg) && db_take_ready(db));
}

void
db_disown(struct ctx *cx)
{
	db_unheed(cx->db);
}

const char *
db_constraint(struct ctx *cx)
{
	return cx->db->constraint;
}

void
db_stats_reset(struct db *db)
{
	db->stats = (struct db_stats){ 0 };
}

struct db_stats
db_stats(const struct db *db)
{
	return db->stats;
}
