/*
 * core/db/db.h - the only door to PostgreSQL.
 *
 * Statements are named constants beside the code that owns the table:
 *	STMT(profile_select, "SELECT value FROM profile WHERE usr = $1 AND key = $2");
 *	...
 *	struct rows r;
 *	if ((e = db_row(cx, &r, &profile_select, P_I64(usr), P_TEXT(key))) != M_OK)
 *		return e;		(no row: M_NOT_FOUND)
 *	*value = db_text(&r, 0);
 * They are prepared on first use of a connection; a test prepares them all.
 * The search_path is hearth, so tables are named bare.
 *
 * ROUND TRIPS. Everything travels in libpq's pipeline mode. db_queue() only
 * queues; db_run() sends what is queued and waits for all of it: one round
 * trip. db_exec/row/maybe/query are db_queue()+db_run(), so what was queued
 * before goes along. BEGIN is queued by db_begin() and travels with the first
 * statement; db_commit() takes what is still queued with it.
 *
 * SIDE BY SIDE. Who has several batches to read, and work to do with each, sends the next one before he waits for
 * the last, so that PostgreSQL and he work at the same time:
 *	t = db_start(cx);		(what is queued leaves; nothing is waited for)
 *	... other work, now and then db_turn(cx) ...
 *	e = db_await(cx, t);		(all that was sent up to there has come)
 * Inside a transaction only. db_run() in between waits for all that is under way. Who gives up calls db_disown() (the end of the
 * transaction does) before the arenas go in which results were to live.
 *
 * A GUARD. Something that a transaction rests on and that was so a moment ago need not be waited for before its first statement:
 *	db_begin(cx, TX_RW);
 *	db_guard(cx, &session_check, ...);	(travels with whatever is run first)
 * Gives it no row, then it is not so: that db_run() fails with E_RETRY, and only db_rollback() is allowed. COMMIT never leaves before the
 * answer is known. Whoever ends such a transaction because of another fault asks db_guarded() first: what was found may not hold.
 *
 * ERRORS. 40001, 40P01: E_RETRY. Lock or statement time-out, connection lost,
 * too many connections: E_UNAVAILABLE. 23505, 23P01: E_CONFLICT (db_constraint() names it).
 * Anything else is ours: logged with statement name and SQLSTATE (never
 * parameters), M_UNKNOWN. After an error inside a transaction only
 * db_rollback() is allowed.
 */
#ifndef HEARTH_DB_H
#define HEARTH_DB_H

#include "core/ctx.h"

struct stmt {
	const char *name, *sql;
};
#define STMT(id, text)							\
	static const struct stmt id = { #id, text };			\
	static const struct stmt *const id##_ref			\
	    __attribute__((section("stmts"), used)) = &id
extern const struct stmt *const __start_stmts[], *const __stop_stmts[];

/*
 * WARMING. Beside a statement that a role's requests begin with or wait for: STMT_WARM(profile_select, "web sync"). A process of
 * one of these roles (db_role_set()) prepares and plans it as soon as it has nothing else to do.
 */
struct warm {
	const struct stmt *st;
	const char *roles;	/* separated by spaces */
};
#define STMT_WARM(id, names)						\
	static const struct warm id##_warm = { &id, names };		\
	static const struct warm *const id##_warm_ref			\
	    __attribute__((section("warm"), used)) = &id##_warm
extern const struct warm *const __start_warm[], *const __stop_warm[];

enum param_type { PT_END, PT_TEXT, PT_I64, PT_BOOL, PT_BYTES, PT_I64S, PT_TEXTS, PT_NULL, PT_DOUBLE };
struct param {
	enum param_type type;
	const void *p;
	size_t n;
	int64_t i;
	double d;
};
#define P_TEXT(s)	((struct param){ .type = PT_TEXT, .p = (const char *)(s) })	/* NULL: SQL NULL */
#define P_I64(v)	((struct param){ .type = PT_I64, .i = (v) })
#define P_BOOL(v)	((struct param){ .type = PT_BOOL, .i = (v) })
#define P_DOUBLE(v)	((struct param){ .type = PT_DOUBLE, .d = (v) })
#define P_BYTES(q, len)	((struct param){ .type = PT_BYTES, .p = (q), .n = (len) })
#define P_I64S(q, len)	((struct param){ .type = PT_I64S, .p = (const int64_t *)(q), .n = (len) })	/* bigint[] */
#define P_TEXTS(q, len)	((struct param){ .type = PT_TEXTS, .p = (const char *const *)(q), .n = (len) })	/* text[]; NULL elements: NULL */
#define P_NULL		((struct param){ .type = PT_NULL })
#define P_END		((struct param){ .type = PT_END })
/* An int64 that is NULL when it equals none. */
#define P_I64_OR_NULL(v, none) ((v) == (none) ? P_NULL : P_I64(v))

enum db_expect { DB_ANY, DB_ONE /* else M_NOT_FOUND */, DB_MAYBE /* 0 or 1 */, DB_NONE /* no result rows looked at */ };

/* A result. Lives until the arena is rewound. After db_row/db_maybe it stands on its row; after db_query before the first. */
struct rows {
	void *res;		/* PGresult */
	int n;			/* rows returned */
	int i;			/* the current one */
	int64_t affected;	/* by INSERT, UPDATE, DELETE */
	struct arena *a;
};

/* P_END closes the parameters; the macros add it. r may be NULL for db_exec and db_queue with DB_NONE. */
enum err db_row_(struct ctx *cx, struct rows *r, const struct stmt *st, ...);
enum err db_maybe_(struct ctx *cx, struct rows *r, const struct stmt *st, ...);	/* no row: M_OK and r->n == 0 */
enum err db_query_(struct ctx *cx, struct rows *r, const struct stmt *st, ...);
enum err db_exec_(struct ctx *cx, int64_t *affected, const struct stmt *st, ...);	/* affected may be NULL */
void db_queue_(struct ctx *cx, struct rows *r, enum db_expect x, const struct stmt *st, ...);
#define db_row(cx, r, ...)	db_row_(cx, r, __VA_ARGS__, P_END)
#define db_maybe(cx, r, ...)	db_maybe_(cx, r, __VA_ARGS__, P_END)
#define db_query(cx, r, ...)	db_query_(cx, r, __VA_ARGS__, P_END)
#define db_exec(cx, n, ...)	db_exec_(cx, n, __VA_ARGS__, P_END)
#define db_queue(cx, r, x, ...)	db_queue_(cx, r, x, __VA_ARGS__, P_END)
/* Sends what is queued, waits, fills every struct rows. The first fault in order of the queue, or M_OK. */
enum err db_run(struct ctx *cx);

/* A GUARD, above: once, right after db_begin(). db_guarded(): M_OK, E_RETRY or what went wrong; a round trip if it was not asked yet. */
void db_guard_(struct ctx *cx, const struct stmt *st, ...);
#define db_guard(cx, ...)	db_guard_(cx, __VA_ARGS__, P_END)
enum err db_guarded(struct ctx *cx);

/* SIDE BY SIDE, above. A fault of what was started is the transaction's: whoever awaits next gets it. */
uint64_t db_start(struct ctx *cx);
enum err db_await(struct ctx *cx, uint64_t started);
void db_turn(struct ctx *cx);		/* takes in what has come, without waiting: else PostgreSQL stands still when the socket is full */
void db_disown(struct ctx *cx);		/* what is under way is nobody's any more */

/* Reading the current row. NULL columns: NULL, 0, false. Text is arena memory (it lives as long as the result). */
bool db_next(struct rows *r);		/* to the next row; false after the last */
bool db_null(const struct rows *r, int col);
const char *db_text(const struct rows *r, int col);
int64_t db_i64(const struct rows *r, int col);
bool db_bool(const struct rows *r, int col);
const void *db_bytes(const struct rows *r, int col, size_t *n);
const void *db_bytes_of(struct arena *a, const char *text, size_t *n);	/* the same of a bytea that db_text() gave */
int64_t *db_i64s(const struct rows *r, int col, size_t *n);		/* bigint[] */
const char **db_texts(const struct rows *r, int col, size_t *n);	/* text[] */

/*
 * Transactions. TX_RW is READ COMMITTED (take the room's lock, then read in a
 * separate statement); TX_RO is REPEATABLE READ READ ONLY (one snapshot).
 */
enum tx_mode { TX_NONE, TX_RO, TX_RW };
void db_begin(struct ctx *cx, enum tx_mode mode);
enum err db_commit(struct ctx *cx);	/* checks that COMMIT did commit */
void db_rollback(struct ctx *cx);	/* also drops what is queued; fine when no transaction is open */
bool db_in_tx(const struct ctx *cx);
const char *db_constraint(struct ctx *cx);	/* the constraint of the last E_CONFLICT, or "" */

/* Connections: one per process, opened at first use, opened again after it was lost. */
struct db *db_open(const char *conninfo);	/* does not connect yet */
void db_close(struct db *db);
void db_role_set(const char *role);	/* "web", "sync", …: application_name is "hearth <role>". Process lifetime */
int64_t db_connection(const struct db *db);	/* the how manieth it is: another one may be to a database that was restored meanwhile */
int db_backend_pid(const struct db *db);	/* of the server's process; 0: not connected */
enum err db_alive(struct ctx *cx);	/* one round trip to see: M_OK or E_UNAVAILABLE */
/* One step of warming up, a few ms. Is there one to do? */
void db_warm(struct ctx *cx);
bool db_warm_due(struct db *db);
/* For the access log: since the last db_stats_reset(). */
struct db_stats { int trips; int64_t rows; int64_t bytes /* of memory that results took */; int64_t us; };
void db_stats_reset(struct db *db);
struct db_stats db_stats(const struct db *db);

#endif
