/* core/db/server_key.c - see server_key.h; `hearth migrate` makes the first key. */
#include "core/base/log.h"
#include "core/db/db.h"
#include "core/db/server_key.h"

STMT(server_key_select,
    "SELECT s.server_name, k.key_id, k.seed FROM server s LEFT JOIN signing_key k ON k.expired_ts IS NULL"
    " ORDER BY k.created_ts DESC, k.key_id LIMIT 1");

enum err
server_key_load(struct ctx *cx, struct signing_key **out)
{
	struct rows r;
	const unsigned char *seed;
	size_t n;
	enum err e;

	if ((e = db_maybe(cx, &r, &server_key_select)) != M_OK)
		return e;
	if (r.n == 0 || db_null(&r, 1)) {
		log_error(cx, "no_signing_key", LS("hint", "run hearth migrate"));
		return M_UNKNOWN;
	}
	if (strcmp(db_text(&r, 0), cx->conf->server_name) != 0) {
		log_error(cx, "other_server", LS("server_name", cx->conf->server_name), LS("database_of", db_text(&r, 0)));
		return M_UNKNOWN;
	}
	seed = db_bytes(&r, 2, &n);
	if (n != ED25519_SEED)
		return M_UNKNOWN;
	*out = signing_key_new(db_text(&r, 1), seed);
	return M_OK;
}
