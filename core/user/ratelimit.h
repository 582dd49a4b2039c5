/*
 * core/user/ratelimit.h - how often somebody may ask (Client-Server API, "Rate limiting").
 *
 * A token bucket per (class, who): it holds `burst` tokens at most and fills at the class's rate (settings rate_*).
 * Reads and writes are counted in memory that the processes of a container share, so they cost no database work;
 * log-ins and registrations, where guessing must not be multiplied by containers, in the table ratelimit.
 *
 * M_LIMIT_EXCEEDED carries retry_after_ms in the body, and in cx->retry_after_ms for the header. The setting
 * rate_limits turns all off; cx->unlimited (administrators, application services) is never limited.
 */
#ifndef HEARTH_RATELIMIT_H
#define HEARTH_RATELIMIT_H

#include "core/ctx.h"

enum rate_class {
	RATE_READ, RATE_WRITE,		/* in memory */
	RATE_LOGIN, RATE_REGISTER,	/* in the database, by address */
	RATE_PASSWORD,			/* in the database, by account: wrong passwords */
	RATE_MAIL, RATE_MAIL_TO,	/* in the database, by network address and by e-mail address: mails */
};

/* The memory, by the master before it forks. Without it (tests, tools) reads and writes are unlimited. */
void ratelimit_init(void);

/* Takes a token of cx->user, or of the address when nobody is logged in. One round trip for the classes of the database. */
enum err ratelimit_take(struct ctx *cx, enum rate_class c, const char *address);

/*
 * True at most once in every_ms for the same text, counted in memory over the processes of a container; whatever the
 * setting rate_limits says. For what need not be done more often. Always true without the memory.
 */
bool ratelimit_once(struct ctx *cx, const char *what, int64_t every_ms);

/*
 * Tries to guess a password count by account, from wherever they come: one is taken before the password is
 * checked, and a right one forgets them all. The taking is queued: db_run(), then ratelimit_password_taken(). The
 * forgetting costs a round trip, but only when there was something to forget.
 */
struct rows;
void ratelimit_password_queue(struct ctx *cx, const char *localpart, struct rows *r);
enum err ratelimit_password_taken(struct ctx *cx, struct rows *r);
enum err ratelimit_password_right(struct ctx *cx, const char *localpart, const struct rows *r);

#endif
