/*
 * core/e2ee/one_time.h - one-time and fallback keys: claiming, and what their device is told of them.
 */
#ifndef HEARTH_E2EE_ONE_TIME_H
#define HEARTH_E2EE_ONE_TIME_H

#include "core/base/json.h"
#include "core/ctx.h"
#include "core/db/db.h"
#include "core/sync/token.h"

/*
 * POST /keys/claim: wanted is {user: {device: algorithm}}. Writes `one_time_keys` into the open
 * object. TX_RW; one statement for all. Each one-time key goes to one claimer, the
 * oldest first; a fallback key when there is none left. Their devices learn of it.
 */
enum err keys_claim(struct ctx *cx, const struct json *wanted, struct json_out *o);

#define KEYS_USED_KEPT_MS (24 * 3600 * 1000LL)	/* rows of key_used; see migrations 0010 and 0055 */
/* SQL: what key_used keeps of a claimed one-time key; t has algorithm, key_id and body. */
#define ONE_TIME_KEY_HASH(t) "sha256(convert_to(" t ".algorithm || ':' || " t ".key_id || ' ' || " t ".body, 'UTF8'))"

/* What one device is told. */
struct key_counts {
	int64_t device;
	const struct position *since;	/* NULL: initial */
	const char *counts, *unused;	/* JSON: an object that always has signed_curve25519; an array */
	bool news;			/* keys were taken since */
};
void key_counts_queue(struct ctx *cx, struct rows *r, const struct key_counts *v, size_t n);
void key_counts_take(struct ctx *cx, struct rows *r, struct key_counts *v);
/* The object, from rows or parts as the database joins them: "\"alg\":5,\"alg\":3", or NULL. */
const char *key_counts_object(struct arena *a, const char *parts);

/* An array parameter out of the xip lists of positions: texts that SQL casts to bigint[]. */
struct param position_xips(struct arena *a, const struct position *const *p, size_t n);

#endif
