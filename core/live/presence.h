/*
 * core/live/presence.h - who is there (Client-Server API, "Presence").
 *
 * Each device gives signs of life (a sync, a word of its user); table
 * presence_device holds what it said last and until when that counts. What others see of a
 * user is merged from his devices into one row of table presence, which
 * is written only when it changes. So a change is one row, however many rooms and members see
 * it; nobody is woken for it but small rooms (core/sync/news.c), others see it with their next answer.
 *
 * Signs of life are written about twice a minute per device: a table in memory that
 * all processes share remembers the last one. Idle and gone by time: a job (presence_sweep_run).
 */
#ifndef HEARTH_PRESENCE_H
#define HEARTH_PRESENCE_H

#include "core/base/json.h"
#include "core/ctx.h"
#include "core/db/db.h"

enum presence_state { PRESENCE_OFFLINE, PRESENCE_UNAVAILABLE, PRESENCE_ONLINE };

#define PRESENCE_IDLE_MS (5 * 60 * 1000)	/* without activity: unavailable ("Idle timeout") */
#define PRESENCE_ACTIVE_MS 60000		/* active that lately: currently_active */
#define PRESENCE_GRACE_MS 30000			/* without a sync: offline */

void presence_setup(void);	/* before processes are forked, so that they share the table */

bool presence_state_read(const char *name, enum presence_state *out);	/* false: no such state */

/* cx->user's device syncs, and the answer may take so long. said: it names the state itself. Opens and ends its own transaction; never fails. */
void presence_synced(struct ctx *cx, enum presence_state state, bool said, int64_t timeout_ms);
/* cx->user did something. Inside a transaction: travels with its next statement or COMMIT. */
void presence_active(struct ctx *cx);
#define PRESENCE_STATUS_MAX 1024	/* bytes of a status message: everyone who shares a room is sent it */
/* TX_RW. status_msg: esc or NULL: none. M_INVALID_PARAM: it is too long. */
enum err presence_set(struct ctx *cx, enum presence_state state, const char *status_msg);

struct presence {
	int64_t usr, pos, active_ts;
	enum presence_state state;
	const char *user, *status_msg;	/* esc */
};
/* A row that was read by "SELECT " PRESENCE_COLS " FROM presence p …". */
#define PRESENCE_COLS							\
	"p.usr, p.pos, p.state, p.status_msg, (SELECT body FROM name WHERE nid = p.usr),"	\
	" greatest(p.active_ts, (SELECT max(active_ts) FROM presence_device d WHERE d.usr = p.usr))"
void presence_read(const struct rows *r, struct presence *out);
/* The members of `content`. */
void presence_write(struct json_out *o, const struct presence *p, int64_t now);

/* user: esc. M_FORBIDDEN: cx->user shares no room with him, or there is no such user. */
enum err presence_get(struct ctx *cx, const char *user, struct presence *out);

struct job;
enum err presence_sweep_run(struct ctx *cx, struct job *j);

#endif
