/*
 * core/sync/token.h - stream positions, and the sync tokens made of them.
 *
 * Every row that a sync can show has pos = epoch << 42 | id of the transaction
 * that wrote it last. A position is what one reader's snapshot had seen: all
 * positions below xmax, except those then in progress. A row is new for it when
 *	pos >= xmax OR pos = ANY(xip)
 * and visible now by PostgreSQL's own rules; so nothing is missed, whatever order
 * transactions commit in, nothing is shown twice, and no reader waits.
 *
 * USAGE: in the REPEATABLE READ READ ONLY transaction that reads the streams
 *	struct rows r;
 *	position_queue(cx, &r, oldest epoch among the tokens in hand, or 0);
 *	... further db_queue() ...
 *	db_run(cx); position_read(cx, &r, &now, &epochs);
 * and in SQL
 *	"... WHERE (pos >= $1 OR pos = ANY($2))", P_POSITION(&since)
 *
 * EPOCHS. Transaction ids can come again after a crash, a restore or a promotion,
 * so each life of the database has an epoch (sql/migrations/0001_streams.sql), and
 * a token of an older one stays good: what was written since has a greater pos.
 * Only when the database lost what the token had seen (token_judge) the client
 * starts afresh.
 */
#ifndef HEARTH_TOKEN_H
#define HEARTH_TOKEN_H

#include "core/ctx.h"
#include "core/db/db.h"

#define POS_XID_BITS 42
#define POS_EPOCH_MAX (((int64_t)1 << 21) - 1)
#define POSITION_XIP_MAX 2048

/* All zero: has seen nothing (an initial sync: every row is new). */
struct position {
	int64_t epoch;		/* 0: has seen nothing */
	int64_t tag;		/* random, tells an epoch from its namesake in a copy of the database */
	int64_t xmax;		/* as pos: the first not seen */
	int64_t *xip;		/* as pos, ascending: in progress then, all below xmax */
	size_t nxip;
	uint64_t lsn;		/* the flushed WAL position */
	int64_t clock;		/* ms since 1970: for what ends without a row (typing) */
	int64_t td_pos, td_id;	/* to-device messages: delivered up to and including this (pos, id) */
};
/* Two parameters: "(pos >= $1 OR pos = ANY($2))". */
#define P_POSITION(p) P_I64((p)->xmax), P_I64S((p)->xip, (p)->nxip)

bool position_new(const struct position *p, int64_t pos);	/* had p not seen pos? */

/* The epochs of the database from the oldest asked for to the present one. */
struct epoch {
	int64_t epoch, tag;
	uint64_t lsn;		/* where it began */
	const char *home;	/* the cluster, database and tables it was lived in */
};
struct epochs {
	struct epoch *v;
	size_t n;
};

/* The present position. oldest: the smallest epoch that is to be judged (0: none). The clock is cx->now, the to-device cursor 0. */
void position_queue(struct ctx *cx, struct rows *r, int64_t oldest);
enum err position_read(struct ctx *cx, struct rows *r, struct position *now, struct epochs *h);
/* Both, with its own db_run(). h may be NULL. */
enum err position_now(struct ctx *cx, struct position *now, struct epochs *h, int64_t oldest);

/* URL-safe text: a version letter, then b64url. Arena memory. */
const char *token_encode(struct arena *a, const struct position *p);
/* false: not a token of ours (M_INVALID_PARAM). Takes any bytes; what it accepts is in range. */
bool token_decode(struct arena *a, const char *s, struct position *p);

enum token_state {
	TOKEN_GOOD,
	TOKEN_LOST,	/* the database has lost, or never had, what it had seen: answer as if there were no token */
};
enum token_state token_judge(const struct position *t, const struct position *now, const struct epochs *h);

#endif
