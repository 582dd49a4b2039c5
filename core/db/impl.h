/*
 * core/db/impl.h - inside core/db: the connection, what is queued and what is on its way.
 *
 * A statement is copied into the queue, so that db_rollback() can drop it and a
 * caller's stack may go; db_run() hands the queue to libpq with one Sync after it
 * and takes results off the `sent` list in order until that Sync comes back.
 * Results that nobody waits for (ROLLBACK, the COMMIT of a read-only transaction)
 * stay on the list and are taken off by whoever runs next.
 */
#ifndef HEARTH_DB_IMPL_H
#define HEARTH_DB_IMPL_H

#include <libpq-fe.h>
#include <stdarg.h>

#include "core/db/db.h"

#define DB_PARAMS_MAX 40

/* A statement on this connection. STALE: its plan broke, it must be deallocated first. */
enum slot_state { SLOT_NONE, SLOT_SENT, SLOT_READY, SLOT_STALE };
struct slot {
	const struct stmt *st;
	enum slot_state state;
};

struct value {
	size_t off;		/* in queue.bytes */
	int len, format;
	bool null;
};

struct queued {
	const struct stmt *st;
	struct rows *r;
	enum db_expect expect;
	struct arena *a;
	size_t value;		/* its first in queue.values */
	int nvalues;
};

enum sent_kind { SENT_STMT, SENT_PREPARE, SENT_DEALLOCATE, SENT_PLAN, SENT_SYNC };
struct sent {
	enum sent_kind kind;
	struct slot *slot;
	struct rows *r;
	enum db_expect expect;
	struct arena *a;
	bool unheeded;		/* nobody waits for it: its errors are nothing */
	bool answered;
};

struct db {
	const char *conninfo;
	PGconn *pg;
	int64_t connections;	/* opened so far */
	bool farewell;		/* PostgreSQL said that it ends this session */
	struct slot *slots;
	size_t nslots;		/* a power of two */
	size_t warmed;		/* warm.c: those before are done on this connection */
	bool tried;		/* warm.c: to connect */

	struct {
		struct queued *v;
		size_t n, cap;
		struct value *values;
		size_t nvalues, values_cap;
		char *bytes;
		size_t nbytes, bytes_cap;
	} queue;
	struct {
		struct sent *v;
		size_t head, n, cap;
		uint64_t syncs, synced;		/* batches sent, batches answered */
	} sent;

	enum tx_mode tx;
	bool begun;		/* BEGIN has been sent */
	enum err tx_fault;	/* after it only db_rollback() is of use */
	enum { GUARD_NONE, GUARD_ASKED /* no answer yet */, GUARD_BROKEN } guard;
	struct rows guard_rows;

	struct ctx *cx;		/* of the call in hand, for the log */
	enum err fault;		/* the first of the batch */
	char constraint[64];
	char tag[16];		/* command tag of the last statement */
	int64_t away_until, away_ms;	/* back-off: monotonic clock, and the next pause */
	struct db_stats stats;
};

/* params.c: copies the parameters up to PT_END into the queue. */
void queue_params(struct db *db, struct queued *q, va_list ap);
size_t queue_text(struct db *db, const char *s);	/* one more value; its index */
/* tx.c */
const struct stmt *tx_begin_stmt(enum tx_mode mode);
/* conn.c */
extern const char *db_role;
struct slot *db_slot(struct db *db, const struct stmt *st);
bool db_ready(struct db *db);		/* connected; else the back-off runs */
void db_lost(struct db *db, const char *why);
PGconn *db_socket(const struct db *db, bool wait);	/* wait: connected (or failed) when it returns */
bool db_session_send(struct db *db);	/* pipeline mode, and what every session is told first; its answer is on its way */
/* flow.c: sending and taking */
void *db_grow(void *p, size_t *cap, size_t need, size_t size);
bool db_send(struct db *db, const struct queued *q, bool unheeded);
bool db_send_plan(struct db *db, struct slot *slot, const char *explain);	/* prepares it, then that */
bool db_sync(struct db *db);
bool db_flush(struct db *db);		/* what the socket takes at once */
bool db_take_all(struct db *db);	/* waits until nothing is on its way */
bool db_take_until(struct db *db, uint64_t sync);	/* waits until that batch is answered */
void db_unheed(struct db *db);		/* nobody waits for what is on its way */
bool db_take_ready(struct db *db);	/* only what has come already */
void queue_clear(struct db *db);

#endif
