/* core/user/openid.c - see openid.h. */
#include "core/user/openid.h"

#include <string.h>

#include "core/crypto/crypto.h"
#include "core/db/db.h"

#define LIFETIME_S 3600

/* The device may be logged out at this moment. */
STMT(openid_put,
    "INSERT INTO openid_token (hash, device, expires_ts) SELECT $1, nid, $3 FROM device WHERE nid = $2 FOR KEY SHARE");
STMT(openid_select,
    "SELECT n.body FROM openid_token t JOIN device d ON d.nid = t.device JOIN account a ON a.usr = d.usr JOIN name n ON n.nid = d.usr"
    " WHERE t.hash = $1 AND t.expires_ts > $2 AND a.deactivated_ts IS NULL AND NOT a.locked");

enum err
openid_token_make(struct ctx *cx, const char **token, int64_t *seconds)
{
	unsigned char hash[SHA256_LEN];
	int64_t n;
	enum err e;

	*token = random_token(cx->a, 32);
	*seconds = LIFETIME_S;
	sha256(*token, strlen(*token), hash);
	if ((e = db_exec(cx, &n, &openid_put, P_BYTES(hash, sizeof hash), P_I64(cx->device), P_I64(cx->now + LIFETIME_S * 1000LL))) != M_OK)
		return e;
	return n ? M_OK : fail(cx, M_UNKNOWN_TOKEN, "unknown access token");
}

enum err
openid_token_find(struct ctx *cx, const char *token, const char **user)
{
	unsigned char hash[SHA256_LEN];
	struct rows r;
	enum err e;

	sha256(token, strlen(token), hash);
	if ((e = db_maybe(cx, &r, &openid_select, P_BYTES(hash, sizeof hash), P_I64(cx->now))) != M_OK)
		return e;
	if (r.n == 0)
		return fail(cx, M_UNKNOWN_TOKEN, "this token is unknown or has expired");
	*user = db_text(&r, 0);
	return M_OK;
}
