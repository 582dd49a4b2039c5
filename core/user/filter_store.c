/* core/user/filter_store.c - filters kept for later. */
#include "core/user/filter_store.h"

#include <string.h>

#include "core/crypto/crypto.h"
#include "core/db/db.h"

/* Ids count per user: the lock on the account's row makes one of two writers wait, so no id is given twice. */
STMT(filter_lock, "SELECT 1 FROM account WHERE usr = $1 FOR NO KEY UPDATE");
STMT(filter_insert,
    "INSERT INTO filter (usr, id, hash, body) SELECT $1, coalesce(max(id) + 1, 0), $2, $3 FROM filter WHERE usr = $1"
    " ON CONFLICT (usr, hash) DO NOTHING");
STMT(filter_select_id, "SELECT id FROM filter WHERE usr = $1 AND hash = $2");
STMT(filter_select, "SELECT body FROM filter WHERE usr = $1 AND id = $2");

enum err
filter_save(struct ctx *cx, const struct json *filter, const char **id)
{
	unsigned char hash[SHA256_LEN];
	struct rows r;
	size_t n;
	const char *body = json_canonical_str(cx->a, filter, &n);
	enum err e;

	sha256(body, n, hash);
	db_queue(cx, NULL, DB_NONE, &filter_lock, P_I64(cx->user_nid));
	db_queue(cx, NULL, DB_NONE, &filter_insert, P_I64(cx->user_nid), P_BYTES(hash, sizeof hash), P_TEXT(body));
	if ((e = db_row(cx, &r, &filter_select_id, P_I64(cx->user_nid), P_BYTES(hash, sizeof hash))) != M_OK)
		return e;
	*id = arena_printf(cx->a, "%lld", (long long)db_i64(&r, 0));
	return M_OK;
}

enum err
filter_load(struct ctx *cx, int64_t user_nid, const char *id, const char **body)
{
	struct rows r;
	size_t n = strlen(id);
	enum err e;

	if (n == 0 || n > 9 || id[strspn(id, "0123456789")] != '\0')
		return fail(cx, M_NOT_FOUND, "unknown filter");
	if ((e = db_maybe(cx, &r, &filter_select, P_I64(user_nid), P_I64(strtol(id, NULL, 10)))) != M_OK)
		return e;
	if (r.n == 0)
		return fail(cx, M_NOT_FOUND, "unknown filter");
	*body = db_text(&r, 0);
	return M_OK;
}
