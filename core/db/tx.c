/*
 * core/db/tx.c - transactions.
 *
 * Nobody waits for a ROLLBACK, nor for the COMMIT of a transaction that only
 * read: they leave at once, and their answers are taken by whoever runs next.
 */
#include <assert.h>

#include "core/db/impl.h"

STMT(tx_begin_ro, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
STMT(tx_begin_rw, "BEGIN");	/* READ COMMITTED READ WRITE: db_session sees to it, once and not each time */
STMT(tx_commit, "COMMIT");
STMT(tx_rollback, "ROLLBACK");

const struct stmt *
tx_begin_stmt(enum tx_mode mode)
{
	return mode == TX_RO ? &tx_begin_ro : &tx_begin_rw;
}

void
db_begin(struct ctx *cx, enum tx_mode mode)
{
	struct db *db = cx->db;

	assert(db->tx == TX_NONE && mode != TX_NONE);
	/* Statements queued outside would slip into the transaction. */
	assert(db->queue.n == 0);
	db->tx = mode;
	db->begun = false;
	db->tx_fault = M_OK;
	db->guard = GUARD_NONE;
}

bool
db_in_tx(const struct ctx *cx)
{
	return cx->db->tx != TX_NONE;
}

static void
over(struct db *db)
{
	db->tx = TX_NONE;
	db->begun = false;
	db->guard = GUARD_NONE;
	db->tx_fault = M_OK;
}

/* Ends the transaction without waiting, for anything in it. */
static void
leave(struct ctx *cx, const struct stmt *st)
{
	struct db *db = cx->db;

	db_unheed(db);
	if (db->begun && db->pg != NULL) {
		db->cx = cx;
		if (!db_send(db, &(struct queued){ .st = st, .expect = DB_NONE }, true) || !db_sync(db) || !db_flush(db))
			db_lost(db, NULL);
		db->cx = NULL;
	}
	over(db);
}

enum err
db_commit(struct ctx *cx)
{
	struct db *db = cx->db;
	enum err e;
	size_t i;

	assert(db->tx != TX_NONE);
	if (db->tx_fault != M_OK)
		return db->tx_fault;
	if (!db->begun && db->queue.n == 0) {
		over(db);
		return M_OK;
	}
	if (db->tx == TX_RO) {
		if ((e = db_run(cx)) == M_OK)
			leave(cx, &tx_commit);
		return e;
	}
	/* COMMIT does not look at row counts: whoever needs a row must have run its statement before. */
	for (i = 0; i < db->queue.n; i++)
		assert(db->queue.v[i].expect != DB_ONE);
	if (db->guard == GUARD_ASKED && (e = db_run(cx)) != M_OK)
		return e;
	db_queue(cx, NULL, DB_NONE, &tx_commit);
	if ((e = db_run(cx)) != M_OK)
		return e;
	over(db);
	/* PostgreSQL answers COMMIT of a failed transaction with ROLLBACK and no error. */
	return strcmp(db->tag, "COMMIT") == 0 ? M_OK : M_UNKNOWN;
}

void
db_rollback(struct ctx *cx)
{
	struct db *db = cx->db;
	/* Of what was sent side by side the end is awaited: it tells which statements were not prepared after all. */
	bool under_way = db->pg != NULL && db->sent.synced < db->sent.syncs;

	queue_clear(db);
	if (db->tx != TX_NONE)
		leave(cx, &tx_rollback);
	if (under_way && db->pg != NULL)
		db_take_all(db);
}
