/*
 * core/sync/sync.h - streams and tokens -> a client's view (Client-Server API, "Syncing").
 *
 * One function answers n requests over one snapshot: an initial sync is n = 1, a
 * batch of woken long-polls is n = 64.
 */
#ifndef HEARTH_SYNC_H
#define HEARTH_SYNC_H

#include "core/base/json.h"
#include "core/ctx.h"

enum sync_kind {
	SYNC_NEW, SYNC_EVENTS /* GET /events */, SYNC_INITIAL /* GET /initialSync */, SYNC_PEEK, /* GET /events of one room: rooms is that one */
};

/*
 * What a waiting request is: all that is needed to compute it again, in any
 * worker. It crosses process borders as bytes (sync_wait_pack), at most 64 KB.
 */
struct sync_wait {
	int64_t user_nid, device;
	const unsigned char *token;	/* SHA-256 of the access token that asks */
	const char *user, *device_id;	/* esc */
	const char *since;		/* the token, as the client sent it; NULL: initial */
	const char *filter;		/* filter JSON (resolved from its id), or NULL */
	bool full_state, use_state_after, unstable_state_after;
	int64_t deadline;		/* CLOCK_MONOTONIC ms: when park answers empty */
	int64_t seen;			/* CLOCK_MONOTONIC ms just before the snapshot: wake-ups since then send it straight back */
	const char *next;		/* the token of the last empty answer: what a time-out answers with, */
	const char *counts, *unused;	/* and with these of the device's keys (JSON), as clients need them in every answer; or NULL */
	const int64_t *rooms;		/* nids whose news wake it (joined rooms) */
	size_t nrooms;
	int kind;			/* enum sync_kind */
};
size_t sync_wait_pack(struct arena *a, const struct sync_wait *w, void **out);
/* The strings and rooms are copies in the arena. M_UNKNOWN: not such a record (another release's). Rooms come back sorted. */
enum err sync_wait_unpack(struct arena *a, const void *p, size_t n, struct sync_wait *w);
/*
 * Is it a request that may take long: an initial sync, all state, or a client that was away for minutes? The
 * clock in its token tells, and, as a token's clock can be forged, what this process noted of its snapshots.
 */
bool sync_wait_heavy(struct arena *a, const struct sync_wait *w);
/* A snapshot at mono (CLOCK_MONOTONIC ms) ended at xmax. */
void sync_wait_note(int64_t xmax, int64_t mono);

/*
 * Makes w, which has its since and filter, a stream of one room that its user need not be in ("Room Previews").
 * M_FORBIDDEN: he may not look into it. In a transaction of its own.
 */
enum err sync_peek(struct ctx *cx, const char *room, struct sync_wait *w);

/* The present position, for a stream that begins now. In a transaction of its own. */
enum err sync_now(struct ctx *cx, const char **token);

/* Checks since and filter of a fresh request: M_INVALID_PARAM and friends. Fills w->filter with JSON. */
enum err sync_check(struct ctx *cx, struct sync_wait *w);

/*
 * Computes n requests in one REPEATABLE READ READ ONLY snapshot (it opens and
 * ends the transaction itself). body[i] is the whole answer in JSON; err[i] is M_OK,
 * E_PARK (nothing new: wait[i]->next, ->counts, ->unused, ->seen and ->rooms are filled), or
 * an error of this request alone: M_UNKNOWN_TOKEN where the session or its token was ended meanwhile, E_SOFT_LOGOUT where all
 * tokens of the device were revoked, M_USER_LOCKED. (A token that has only expired, or that another one of its
 * client has replaced, was good when it asked.) The return value is for all.
 */
enum err sync_compute(struct ctx *cx, struct sync_wait **wait, size_t n, const char **body, size_t *body_n, enum err *err);

/* The JSON of a time-out: for /sync next_batch (w->next, or w->since if it never was computed) and the key counts. Used by park; no database. */
const char *sync_empty_body(struct arena *a, const struct sync_wait *w, size_t *n);

#endif
