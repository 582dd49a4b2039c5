/* core/db/flow.c - what goes to the server and what comes back. */
#include <assert.h>
#include <errno.h>
#include <poll.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/db/impl.h"

/* Longer than any statement may run (statement_timeout): the server or the way to it is gone. */
#define SILENCE_MS 20000

void *
db_grow(void *p, size_t *cap, size_t need, size_t size)
{
	size_t n = *cap == 0 ? 16 : *cap;

	if (need <= *cap)
		return p;
	while (n < need)
		n *= 2;
	if ((p = reallocarray(p, n, size)) == NULL) {
		fputs("level=error event=out_of_memory\n", stderr);
		abort();
	}
	*cap = n;
	return p;
}

void
queue_clear(struct db *db)
{
	db->queue.n = db->queue.nvalues = db->queue.nbytes = 0;
}

/* ---- sending */

static struct sent *
note(struct db *db, enum sent_kind kind, struct slot *slot, bool unheeded)
{
	struct sent *s;

	db->sent.v = db_grow(db->sent.v, &db->sent.cap, db->sent.n + 1, sizeof(*db->sent.v));
	s = &db->sent.v[db->sent.n++];
	*s = (struct sent){ .kind = kind, .slot = slot, .unheeded = unheeded };
	return s;
}

static bool
prepare(struct db *db, struct slot *slot, bool unheeded)
{
	char sql[100];

	if (slot->state == SLOT_STALE) {
		snprintf(sql, sizeof(sql), "DEALLOCATE \"%s\"", slot->st->name);
		if (!PQsendQueryParams(db->pg, sql, 0, NULL, NULL, NULL, NULL, 0))
			return false;
		note(db, SENT_DEALLOCATE, slot, unheeded);
	}
	if (!PQsendPrepare(db->pg, slot->st->name, slot->st->sql, 0, NULL))
		return false;
	note(db, SENT_PREPARE, slot, unheeded);
	slot->state = SLOT_SENT;
	return true;
}

bool
db_send(struct db *db, const struct queued *q, bool unheeded)
{
	const char *values[DB_PARAMS_MAX];
	int lengths[DB_PARAMS_MAX], formats[DB_PARAMS_MAX], i;
	struct slot *slot = db_slot(db, q->st);
	struct sent *s;

	if ((slot->state == SLOT_NONE || slot->state == SLOT_STALE) && !prepare(db, slot, unheeded))
		return false;
	for (i = 0; i < q->nvalues; i++) {
		const struct value *v = &db->queue.values[q->value + (size_t)i];

		values[i] = v->null ? NULL : db->queue.bytes + v->off;
		lengths[i] = v->len;
		formats[i] = v->format;
	}
	if (!PQsendQueryPrepared(db->pg, q->st->name, q->nvalues, values, lengths, formats, 0))
		return false;
	s = note(db, SENT_STMT, slot, unheeded);
	s->r = q->r;
	s->expect = q->expect;
	s->a = q->a;
	return true;
}

bool
db_send_plan(struct db *db, struct slot *slot, const char *explain)
{
	if (!prepare(db, slot, true) || !PQsendQueryParams(db->pg, explain, 0, NULL, NULL, NULL, NULL, 0))
		return false;
	note(db, SENT_PLAN, slot, true);
	return true;
}

bool
db_sync(struct db *db)
{
	if (!PQpipelineSync(db->pg))
		return false;
	note(db, SENT_SYNC, NULL, false);
	db->sent.syncs++;
	return true;
}

bool
db_flush(struct db *db)
{
	return PQflush(db->pg) >= 0;
}

/* ---- errors */

static bool
is(const char *state, const char *s)
{
	return strncmp(state, s, strlen(s)) == 0;
}

/*
 * SQLSTATE to what the caller does about it. A statement whose plan no longer fits
 * the tables (a migration ran) is prepared anew when the handler runs again; the function that
 * raised it tells it from other 0A000, in every language of messages.
 */
static enum err
judge(struct db *db, struct slot *slot, const PGresult *res, const char *state)
{
	const char *fn = PQresultErrorField(res, PG_DIAG_SOURCE_FUNCTION);

	if (is(state, "40001") || is(state, "40P01"))
		return E_RETRY;
	if (is(state, "23505") || is(state, "23P01"))
		return E_CONFLICT;
	if (is(state, "0A000") && fn != NULL && strcmp(fn, "RevalidateCachedQuery") == 0) {
		slot->state = SLOT_STALE;
		return E_RETRY;
	}
	if (is(state, "26000")) {	/* somebody's DEALLOCATE ALL */
		slot->state = SLOT_NONE;
		return E_RETRY;
	}
	if (is(state, "08P01"))		/* a wrong number of parameters: ours */
		return M_UNKNOWN;
	/* lock and statement time-out; resources (too many connections, disk full); shutting down; a primary that became a standby */
	if (is(state, "55P03") || is(state, "57") || is(state, "53") || is(state, "08") || is(state, "25P03") ||
	    (is(state, "25006") && db->tx != TX_RO))
		return E_UNAVAILABLE;
	return M_UNKNOWN;
}

static void
failed(struct db *db, struct sent *s, const PGresult *res)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *constraint = PQresultErrorField(res, PG_DIAG_CONSTRAINT_NAME);
	enum err e;

	/* Without a code it is libpq's own, at a Sync the server's farewell: the connection is gone, which others notice. */
	if (state == NULL || s->kind == SENT_SYNC)
		return;
	e = judge(db, s->slot, res, state);
	/* 25P02: what was sent side by side with the statement that ended the transaction. */
	if (s->unheeded || (is(state, "25P02") && db->fault != M_OK))
		return;
	/* Messages of class 42 name tables and columns, others may quote what a user wrote. */
	if (e == M_UNKNOWN)
		log_error(db->cx, "db_error", LS("stmt", s->slot->st->name), LS("sqlstate", state),
		    LS("constraint", constraint),
		    LS("message", is(state, "42") || is(state, "08P01") ? PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY) : ""));
	else if (e == E_UNAVAILABLE)
		log_warn(db->cx, "db_unavailable", LS("stmt", s->slot->st->name), LS("sqlstate", state));
	if (e == E_CONFLICT)
		snprintf(db->constraint, sizeof(db->constraint), "%s", constraint != NULL ? constraint : "");
	if (db->fault == M_OK)
		db->fault = e;
}

/* ---- taking */

static void
clear(void *res)
{
	PQclear(res);
}

static void
surprise(struct db *db, const struct sent *s, int n)
{
	log_error(db->cx, "db_rows", LS("stmt", s->slot->st->name), LI("rows", n));
	if (db->fault == M_OK)
		db->fault = M_UNKNOWN;
}

static void
succeeded(struct db *db, struct sent *s, PGresult *res)
{
	int n = PQntuples(res);
	const char *affected = PQcmdTuples(res);

	snprintf(db->tag, sizeof(db->tag), "%s", PQcmdStatus(res));
	db->stats.rows += n;
	db->stats.bytes += (int64_t)PQresultMemorySize(res);
	if (s->r != NULL) {
		*s->r = (struct rows){ .res = res, .n = n, .affected = strtoll(affected, NULL, 10), .a = s->a };
		s->r->i = s->expect == DB_ANY || s->expect == DB_NONE ? -1 : 0;
		arena_defer(s->a, clear, res);
	}
	if (n > 1 && (s->expect == DB_ONE || s->expect == DB_MAYBE))
		surprise(db, s, n);
	else if (n == 0 && s->expect == DB_ONE && db->fault == M_OK)
		db->fault = M_NOT_FOUND;
	if (s->r == NULL)
		PQclear(res);
}

/* One result for s. */
static void
take(struct db *db, struct sent *s, PGresult *res)
{
	ExecStatusType st = PQresultStatus(res);
	bool ok = st == PGRES_TUPLES_OK || st == PGRES_COMMAND_OK;

	s->answered = true;
	if (st == PGRES_FATAL_ERROR)
		failed(db, s, res);
	switch (s->kind) {
	case SENT_PREPARE:
		if (ok)
			s->slot->state = SLOT_READY;
		else if (s->slot->state != SLOT_STALE)
			s->slot->state = SLOT_NONE;
		break;
	case SENT_DEALLOCATE:
		if (!ok)
			s->slot->state = SLOT_STALE;
		break;
	case SENT_STMT:
		if (ok) {
			succeeded(db, s, res);
			return;
		}
		break;
	case SENT_PLAN:
	case SENT_SYNC:
		break;
	}
	PQclear(res);
}

/* Takes off what libpq has whole. False: the connection is gone. */
bool
db_take_ready(struct db *db)
{
	int nothing = 0;

	while (db->sent.head < db->sent.n && !PQisBusy(db->pg)) {
		struct sent *s = &db->sent.v[db->sent.head];
		PGresult *res = PQgetResult(db->pg);

		if (res != NULL) {
			nothing = 0;
			take(db, s, res);
			if (s->kind == SENT_SYNC) {	/* every other result has a NULL after it */
				db->sent.head++;
				db->sent.synced++;
			}
		} else if (s->answered) {
			db->sent.head++;
		} else if (PQstatus(db->pg) != CONNECTION_OK || ++nothing > 1) {
			return false;
		}
	}
	if (db->sent.head == db->sent.n)
		db->sent.head = db->sent.n = 0;
	return PQstatus(db->pg) == CONNECTION_OK;
}

bool
db_take_all(struct db *db)
{
	return db_take_until(db, db->sent.syncs);
}

bool
db_take_until(struct db *db, uint64_t sync)
{
	while (db_take_ready(db)) {
		struct pollfd p = { .fd = PQsocket(db->pg), .events = POLLIN };
		int rc;

		if (db->sent.synced >= sync)
			return true;
		if ((rc = PQflush(db->pg)) < 0)
			return false;
		if (rc > 0)
			p.events |= POLLOUT;
		rc = poll(&p, 1, SILENCE_MS);
		if (rc == 0 || (rc < 0 && errno != EINTR))
			return false;
		/* At the end of the stream libpq still hands out what came before it. */
		if (rc > 0 && (p.revents & ~POLLOUT) != 0 && PQconsumeInput(db->pg) == 0) {
			db_take_ready(db);
			return false;
		}
	}
	return false;
}

void
db_unheed(struct db *db)
{
	for (size_t i = db->sent.head; i < db->sent.n; i++) {
		struct sent *s = &db->sent.v[i];

		s->unheeded = true;
		s->r = NULL;
		s->expect = DB_NONE;
	}
}
