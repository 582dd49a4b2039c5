/* core/user/ratelimit.c - token buckets: in shared memory, and in the table ratelimit. */
#include "core/user/ratelimit.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/base/conf.h"
#include "core/crypto/crypto.h"
#include "core/db/db.h"

#define SETS 16384
#define WAYS 4
#define KEY_LEN 16
#define TAG_SHIFT 44	/* below it: ms since 1970, for another 500 years */
#define MINUTE 60000

/*
 * One statement, so that of two at once the second sees what the first left. $2 burst, $3 tokens per ms, $4 now; the
 * clocks of containers differ a little, hence greatest().
 */
#define AVAILABLE "least($2::float8, l.tokens + greatest(0, $4 - l.ts) * $3::float8)"
STMT(ratelimit_upsert,
    "INSERT INTO ratelimit AS l (key, tokens, ts, granted) VALUES ($1, $2::float8 - 1, $4, true)"
    " ON CONFLICT (key) DO UPDATE SET"
    " tokens = " AVAILABLE " - (" AVAILABLE " >= 1)::int, granted = " AVAILABLE " >= 1, ts = greatest(l.ts, $4)"
    " RETURNING granted, ceil((1 - tokens) / $3::float8)::bigint, tokens < $2::float8 - 1.5");
STMT_WARM(ratelimit_upsert, "web sync");
STMT(ratelimit_forget, "DELETE FROM ratelimit WHERE key = $1");

struct limit {
	int64_t n, per_ms, burst;	/* n tokens come in per_ms */
};

static struct limit
limit_of(const struct conf *conf, enum rate_class c)
{
	switch (c) {
	case RATE_READ:
		return (struct limit){ conf->rate_read_per_s, 1000, conf->rate_read_burst };
	case RATE_WRITE:
		return (struct limit){ conf->rate_write_per_s, 1000, conf->rate_write_burst };
	case RATE_LOGIN:
		return (struct limit){ conf->rate_login_per_min, MINUTE, conf->rate_login_burst };
	case RATE_REGISTER:
		return (struct limit){ conf->rate_register_per_min, MINUTE, conf->rate_register_burst };
	case RATE_MAIL:
		return (struct limit){ conf->rate_mail_per_hour, 60 * MINUTE, conf->rate_mail_burst };
	case RATE_MAIL_TO:
		return (struct limit){ conf->rate_mail_to_per_hour, 60 * MINUTE, conf->rate_mail_to_burst };
	case RATE_PASSWORD:
		break;
	}
	return (struct limit){ conf->rate_password_per_min, MINUTE, conf->rate_password_burst };
}

static enum err
refuse(struct ctx *cx, int64_t wait_ms)
{
	cx->retry_after_ms = wait_ms > 0 ? wait_ms : 1;
	cx->err_extra = arena_printf(cx->a, "\"retry_after_ms\":%lld", (long long)cx->retry_after_ms);
	return fail(cx, M_LIMIT_EXCEEDED, "too many requests, wait a moment");
}

/*
 * Who is counted. Whoever has an IPv6 address has 2^64 of them: a network of that size is one. Names may hold anything
 * but are hashed at once.
 */
static void
key_of(struct ctx *cx, enum rate_class c, const char *who, bool is_address, unsigned char key[SHA256_LEN])
{
	unsigned char v6[16];
	const char *text;

	if (is_address && inet_pton(AF_INET6, who, v6) == 1)
		who = arena_printf(cx->a, "%02x%02x:%02x%02x:%02x%02x:%02x%02x", v6[0], v6[1], v6[2], v6[3], v6[4], v6[5], v6[6], v6[7]);
	text = arena_printf(cx->a, "%d %s", (int)c, who);
	sha256(text, strlen(text), key);
}

/* ---- in memory */

/*
 * A bucket is one word: which key (the upper bits), and the time at which it will be full again. It is full when that is
 * past, so a slot needs no cleaning: it is free then. A killed process leaves nothing half done.
 */
static _Atomic uint64_t (*table)[WAYS];

void
ratelimit_init(void)
{
	void *p = mmap(NULL, sizeof *table * SETS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		abort();
	table = p;
}

/* The slot with the tag, or a free one, or the one that is free soonest. */
static _Atomic uint64_t *
slot_find(_Atomic uint64_t set[WAYS], uint64_t tag, uint64_t *seen)
{
	const uint64_t full_at = ((uint64_t)1 << TAG_SHIFT) - 1;
	_Atomic uint64_t *best = NULL;

	for (int i = 0; i < WAYS; i++) {
		uint64_t v = atomic_load(&set[i]);

		if (v >> TAG_SHIFT == tag && v != 0) {
			*seen = v;
			return &set[i];
		}
		if (best == NULL || (v & full_at) < (*seen & full_at)) {
			best = &set[i];
			*seen = v;
		}
	}
	return best;
}

/* 0: taken; else how many ms are missing. */
static int64_t
bucket_take(int64_t now, const struct limit *l, const unsigned char *hash)
{
	const uint64_t mask = ((uint64_t)1 << TAG_SHIFT) - 1;
	uint64_t h, tag, seen;
	_Atomic uint64_t *slot;
	int64_t step = (l->per_ms + l->n - 1) / l->n, at;

	memcpy(&h, hash, sizeof h);
	tag = h >> TAG_SHIFT;
	do {
		slot = slot_find(table[h % SETS], tag, &seen);
		at = seen >> TAG_SHIFT == tag ? (int64_t)(seen & mask) : 0;
		if (at > now + step * l->burst)
			at = 0;		/* the clock was set back: nobody shall wait for it */
		at = (at > now ? at : now) + step;
		if (at - now > step * l->burst)
			return at - now - step * l->burst;
	} while (!atomic_compare_exchange_weak(slot, &seen, tag << TAG_SHIFT | ((uint64_t)at & mask)));
	return 0;
}

static enum err
take_local(struct ctx *cx, const struct limit *l, const unsigned char *hash)
{
	int64_t missing = table != NULL ? bucket_take(cx->now, l, hash) : 0;

	return missing > 0 ? refuse(cx, missing) : M_OK;
}

bool
ratelimit_once(struct ctx *cx, const char *what, int64_t every_ms)
{
	const struct limit l = { 1, every_ms, 1 };
	unsigned char hash[SHA256_LEN];

	sha256(what, strlen(what), hash);
	return table == NULL || bucket_take(cx->now, &l, hash) == 0;
}

/* ---- in the database */

static void
queue(struct ctx *cx, enum rate_class c, const unsigned char *key, struct rows *r)
{
	struct limit l = limit_of(cx->conf, c);

	db_queue(cx, r, DB_ONE, &ratelimit_upsert, P_BYTES(key, KEY_LEN), P_DOUBLE((double)l.burst),
	    P_DOUBLE((double)l.n / (double)l.per_ms), P_I64(cx->now));
}

static enum err
granted(struct ctx *cx, const struct rows *r)
{
	return db_bool(r, 0) ? M_OK : refuse(cx, db_i64(r, 1));
}

enum err
ratelimit_take(struct ctx *cx, enum rate_class c, const char *address)
{
	unsigned char *key;
	struct limit l = limit_of(cx->conf, c);
	struct rows r;
	enum err e;

	if (!cx->conf->rate_limits || cx->unlimited)
		return M_OK;
	key = arena_alloc(cx->a, SHA256_LEN);
	key_of(cx, c, cx->user != NULL ? cx->user : address, cx->user == NULL, key);
	if (c == RATE_READ || c == RATE_WRITE)
		return take_local(cx, &l, key);
	queue(cx, c, key, &r);
	return (e = db_run(cx)) == M_OK ? granted(cx, &r) : e;
}

void
ratelimit_password_queue(struct ctx *cx, const char *localpart, struct rows *r)
{
	unsigned char *key = arena_alloc(cx->a, SHA256_LEN);

	r->n = 0;
	if (!cx->conf->rate_limits)
		return;
	key_of(cx, RATE_PASSWORD, localpart, false, key);
	queue(cx, RATE_PASSWORD, key, r);
}

enum err
ratelimit_password_taken(struct ctx *cx, struct rows *r)
{
	return r->n == 0 ? M_OK : granted(cx, r);
}

enum err
ratelimit_password_right(struct ctx *cx, const char *localpart, const struct rows *r)
{
	unsigned char key[SHA256_LEN];

	if (r->n == 0 || !db_bool(r, 2))
		return M_OK;
	key_of(cx, RATE_PASSWORD, localpart, false, key);
	return db_exec(cx, NULL, &ratelimit_forget, P_BYTES(key, KEY_LEN));
}
