/*
 * core/ctx.h - the context that every core function gets first, and errors.
 *
 * One struct ctx per request or job: its arena, its database connection, the
 * process's settings, who asks, and what the transaction touched (the wake-ups
 * that follow the COMMIT).
 */
#ifndef HEARTH_CTX_H
#define HEARTH_CTX_H

#include <stdbool.h>
#include <stdint.h>
#include "core/base/arena.h"

enum err {
	M_OK = 0,
#define X(name, status, code) name,
#include "core/err.def"
#undef X
	ERR_COUNT
};

struct conf;
struct db;
struct known_rooms;
struct known_sessions;
struct signing_key;

/* What a transaction changed, as room (negative: touch_room_soon) and user nids; see core/sync/wake.h. */
struct touched {
	int64_t *rooms, *users;
	size_t nrooms, nusers;
};

struct ctx {
	struct arena *a;
	struct db *db;			/* NULL until the first statement needs it is not allowed: always set */
	const struct conf *conf;
	const struct signing_key *key;	/* the server's ed25519 key */
	struct known_rooms *known;	/* the process's memory of rooms (core/room/known.h), or NULL */
	struct known_sessions *sessions;	/* and of access tokens (core/user/session.h), or NULL */
	int64_t now;			/* ms since 1970, at the start of the request */
	int attempt;			/* how often this transaction was begun anew (E_RETRY); 0 at first */

	/* who asks; user is NULL without a token */
	const char *user;		/* esc user id */
	int64_t user_nid;
	int64_t device;			/* device nid */
	const char *device_id;
	const unsigned char *token;	/* SHA-256 of the access token */
	bool guest, admin;
	bool suspended;			/* may look, but say and change next to nothing */
	bool unlimited;			/* no rate limits: administrators, application services */
	bool token_unused;		/* the access token came of a refresh and is seen for the first time: core/user/refresh.h */

	const char *req_id, *route;	/* for the log */

	/* Who waits for the network with no transaction open calls this every few hundredths of a second; NULL: nothing else is to be done. */
	void (*meanwhile)(void *arg);
	void *meanwhile_arg;

	/* the error that fail() stored */
	const char *err_text;		/* for the client, arena or literal */
	const char *err_extra;		/* further members as raw JSON: "\"soft_logout\":true", or NULL */
	const char *err_body;		/* E_REPLY_READY: the whole body */
	int64_t retry_after_ms;		/* M_LIMIT_EXCEEDED */

	struct touched touched;
};

/* Stores the text for the client and returns e: `return fail(cx, M_FORBIDDEN, "...")`. */
enum err fail(struct ctx *cx, enum err e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
#ifdef __clang_analyzer__	/* it does not see into err.c: e, and not perhaps M_OK */
#define fail(cx, e, ...) ((fail)(cx, e, __VA_ARGS__), e)
#endif

int err_status(enum err e);		/* HTTP status */
const char *err_code(enum err e);	/* "M_FORBIDDEN" */

/* Notes what the transaction changes. Cleared by ctx_rewind() when a transaction is run again. */
void touch_room(struct ctx *cx, int64_t room);
/* The same for what is not urgent and comes in swarms (receipts, typing): such wake-ups wait a moment and go together. */
void touch_room_soon(struct ctx *cx, int64_t room);
void touch_user(struct ctx *cx, int64_t user);

#endif
