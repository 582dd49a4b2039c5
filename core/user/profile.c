/* core/user/profile.c - display name, avatar, free fields. */
#include "core/user/profile.h"

#include <string.h>

#include "core/base/utf8.h"
#include "core/db/db.h"
#include "core/jobs/jobs.h"

#define PROFILE_MAX 65536
#define KEY_MAX 255
/* Both stand in every member event of the user: every room carries them, and every member downloads them. */
#define NAME_MAX 256	/* code points */
#define AVATAR_MAX 1000	/* bytes */

STMT(profile_select,
    "SELECT p.value FROM profile p JOIN name n ON n.nid = p.usr WHERE n.body = $1 AND p.key = $2");
/* One row, without a key, also for an account with an empty profile. */
STMT(profile_select_all,
    "SELECT p.key, p.value FROM name n LEFT JOIN profile p ON p.usr = n.nid LEFT JOIN account a ON a.usr = n.nid"
    " WHERE n.body = $1 AND (p.usr IS NOT NULL OR a.deactivated_ts IS NULL AND a.usr IS NOT NULL) ORDER BY p.key");
STMT(profile_select_member,
    "SELECT key, value FROM profile WHERE usr = $1 AND key IN ('displayname', 'avatar_url')");

/* The lock on the account's row: the limit on the sum holds also for two writers of two fields. */
STMT(profile_lock, "SELECT 1 FROM account WHERE usr = $1 FOR NO KEY UPDATE");
STMT(profile_hold_row, "SELECT 1 FROM account WHERE usr = $1 FOR SHARE");
/* Not of an account that ended while we waited for its row. */
STMT(profile_upsert,
    "INSERT INTO profile (usr, key, value) SELECT usr, $2, $3 FROM account WHERE usr = $1 AND deactivated_ts IS NULL ON CONFLICT (usr, key) DO UPDATE SET value = excluded.value");
STMT(profile_delete, "DELETE FROM profile WHERE usr = $1 AND key = $2");
STMT(profile_size,	/* of {"key":value,...} */
    "SELECT 1 + coalesce(sum(octet_length(key) + octet_length(value) + 4), 1) FROM profile WHERE usr = $1");

enum err
profile_get(struct ctx *cx, const char *user, const char *key, const char **value)
{
	struct rows r;
	enum err e;

	if ((e = db_maybe(cx, &r, &profile_select, P_TEXT(user), P_TEXT(key))) != M_OK)
		return e;
	if (r.n == 0)
		return fail(cx, M_NOT_FOUND, "no such user or profile field");
	*value = db_text(&r, 0);
	return M_OK;
}

enum err
profile_get_all(struct ctx *cx, const char *user, const char **out)
{
	struct json_out o;
	struct rows r;
	enum err e;

	if ((e = db_query(cx, &r, &profile_select_all, P_TEXT(user))) != M_OK)
		return e;
	if (r.n == 0)
		return fail(cx, M_NOT_FOUND, "no such user");
	json_out_init(&o, cx->a);
	json_obj(&o, NULL);
	while (db_next(&r))
		if (!db_null(&r, 0)) {
			json_key_esc(&o, db_text(&r, 0));
			json_raw(&o, NULL, db_text(&r, 1));
		}
	json_end(&o);
	*out = o.b.s;
	return M_OK;
}

void
profile_hold(struct ctx *cx, int64_t user_nid)
{
	db_queue(cx, NULL, DB_NONE, &profile_hold_row, P_I64(user_nid));
}

void
profile_queue_member(struct ctx *cx, struct rows *r, int64_t user_nid)
{
	db_queue(cx, r, DB_ANY, &profile_select_member, P_I64(user_nid));
}

void
profile_take_member(struct ctx *cx, struct rows *r, struct json **name, struct json **avatar)
{
	*name = *avatar = NULL;
	while (db_next(r)) {
		const char *text = db_text(r, 1);
		struct json **to = strcmp(db_text(r, 0), "displayname") == 0 ? name : avatar;

		if (json_parse(cx->a, text, strlen(text), to) != JSON_OK || !json_is(*to, JSON_STR))
			*to = NULL;
	}
}

enum err
profile_for_member(struct ctx *cx, int64_t user_nid, const char **name, const char **avatar)
{
	struct json *n, *a;
	struct rows r;
	enum err e;

	profile_queue_member(cx, &r, user_nid);
	if ((e = db_run(cx)) != M_OK)
		return e;
	profile_take_member(cx, &r, &n, &a);
	*name = n ? n->u.str.s : NULL;
	*avatar = a ? a->u.str.s : NULL;
	return M_OK;
}

/* "displayname", "avatar_url", or a field of the Common Namespaced Identifier Grammar. */
static bool
key_is_valid(const char *key)
{
	bool dot = false;

	if (strcmp(key, "displayname") == 0 || strcmp(key, "avatar_url") == 0)
		return true;
	if (*key < 'a' || *key > 'z' || key[strlen(key) - 1] == '.')
		return false;
	for (const char *p = key; *p; p++) {
		if (*p == '.' && p[1] == '.')
			return false;
		dot |= *p == '.';
		if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || strchr("._-", *p)))
			return false;
	}
	return dot;
}

static enum err
field_check(struct ctx *cx, const char *key, const struct json *value)
{
	if (strlen(key) > KEY_MAX)
		return fail(cx, M_KEY_TOO_LARGE, "the profile key is longer than %d bytes", KEY_MAX);
	if (!key_is_valid(key))
		return fail(cx, M_INVALID_PARAM, "invalid profile key");
	if (value == NULL)
		return M_OK;
	if ((strcmp(key, "displayname") == 0 || strcmp(key, "avatar_url") == 0 || strcmp(key, "m.tz") == 0) &&
	    value->type != JSON_STR)
		return fail(cx, M_BAD_JSON, "%s is a string", key);
	if (strcmp(key, "displayname") == 0 && utf8_length(value->u.str.s, value->u.str.n) > NAME_MAX)
		return fail(cx, M_INVALID_PARAM, "a display name has at most %d characters", NAME_MAX);
	if (strcmp(key, "avatar_url") == 0 && value->u.str.n > AVATAR_MAX)
		return fail(cx, M_INVALID_PARAM, "an avatar's URL has at most %d bytes", AVATAR_MAX);
	return M_OK;
}

enum err
profile_set(struct ctx *cx, const char *key, const struct json *value)
{
	struct rows r;
	enum err e;

	/* Clients of old send null to take their name or avatar away. */
	if (json_is(value, JSON_NULL) && (strcmp(key, "displayname") == 0 || strcmp(key, "avatar_url") == 0))
		value = NULL;
	if ((e = field_check(cx, key, value)) != M_OK)
		return e;
	db_queue(cx, NULL, DB_NONE, &profile_lock, P_I64(cx->user_nid));
	if (value == NULL)
		db_queue(cx, NULL, DB_NONE, &profile_delete, P_I64(cx->user_nid), P_TEXT(key));
	else
		db_queue(cx, NULL, DB_NONE, &profile_upsert, P_I64(cx->user_nid), P_TEXT(key),
		    P_TEXT(json_canonical_str(cx->a, value, NULL)));
	if (strcmp(key, "displayname") == 0 || strcmp(key, "avatar_url") == 0)
		job_add(cx, "profile_refresh", arena_printf(cx->a, "%lld", (long long)cx->user_nid), NULL, 0);
	if ((e = db_row(cx, &r, &profile_size, P_I64(cx->user_nid))) != M_OK)
		return e;
	if (value != NULL && db_i64(&r, 0) > PROFILE_MAX)
		return fail(cx, M_PROFILE_TOO_LARGE, "a profile has at most %d bytes", PROFILE_MAX);
	return M_OK;
}
