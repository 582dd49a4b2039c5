/* core/user/email_session.c - proving that an e-mail address is one's own; see email_session.h. */
#include "core/user/email_session.h"

#include <string.h>

#include "core/base/conf.h"
#include "core/base/email.h"
#include "core/crypto/crypto.h"
#include "core/db/db.h"
#include "core/jobs/jobs.h"
#include "core/user/ratelimit.h"

#define LINK_MAX 2000
#define MINUTE (60 * 1000LL)

static const char *const purposes[] = { [EMAIL_REGISTER] = "register", [EMAIL_ADD] = "add", [EMAIL_RESET] = "reset" };

STMT(email_known, "SELECT bool_or(can_reset) FROM threepid WHERE medium = 'email' AND address = $1");
/*
 * No row comes back when there is nothing to send. A session that has ended or was used begins anew under its old sid; one that
 * lives keeps its token, so the links of all its mails are good. Once validated it ends when it would have: one click must not be
 * made to count for ever by asking again and again.
 */
#define ENDED "(s.expires_ts <= $9 OR s.used_by IS NOT NULL OR s.token IS NULL)"
STMT(email_session_put,
    "INSERT INTO email_session AS s (sid, purpose, address, client_secret, send_attempt, token, next_link, expires_ts, created_ts)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
    " ON CONFLICT (purpose, address, client_secret) DO UPDATE SET send_attempt = excluded.send_attempt,"
    " next_link = excluded.next_link,"
    " expires_ts = CASE WHEN s.validated_ts IS NULL OR " ENDED " THEN excluded.expires_ts ELSE s.expires_ts END,"
    " token = CASE WHEN excluded.token IS NULL OR " ENDED " THEN excluded.token ELSE s.token END,"
    " validated_ts = CASE WHEN " ENDED " THEN NULL ELSE s.validated_ts END,"
    " used_by = NULL"
    " WHERE s.send_attempt < excluded.send_attempt RETURNING sid");
STMT(email_session_sid, "SELECT sid FROM email_session WHERE purpose = $1 AND address = $2 AND client_secret = $3");
STMT(email_session_look,
    "SELECT purpose, address, token, client_secret, validated_ts IS NOT NULL, next_link, expires_ts FROM email_session WHERE sid = $1");
/* $4: the token that was looked at; the session may have begun anew since. */
STMT(email_session_validate,
    "UPDATE email_session SET validated_ts = coalesce(validated_ts, $2),"
    " expires_ts = CASE WHEN validated_ts IS NULL THEN greatest(expires_ts, $3) ELSE expires_ts END WHERE sid = $1 AND token = $4");
/* One without a token looks like one whose mail was not answered yet: nobody learns here which addresses are known. */
STMT(email_session_check,
    "SELECT validated_ts IS NOT NULL AND token IS NOT NULL FROM email_session"
    " WHERE sid = $1 AND purpose = $2 AND ($3::bytea IS NULL OR client_secret = $3) AND expires_ts > $4"
    " AND (used_by IS NULL OR used_by = $5)");
STMT(email_session_take,
    "UPDATE email_session SET used_by = $3"
    " WHERE sid = $1 AND purpose = $2 AND validated_ts IS NOT NULL AND token IS NOT NULL AND expires_ts > $4"
    " AND used_by IS NULL RETURNING address, validated_ts, false");
STMT(email_session_taken,
    "SELECT address, validated_ts, true FROM email_session WHERE sid = $1 AND purpose = $2 AND used_by = $3 AND expires_ts > $4");

bool
email_secret_ok(const char *s)
{
	size_t n = strlen(s);

	return n > 0 && n <= 255 && strspn(s, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.=_-") == n;
}

bool
email_next_link_ok(struct arena *a, const char *link, const char **host)
{
	size_t at = strncmp(link, "https://", 8) == 0 ? 8 : strncmp(link, "http://", 7) == 0 ? 7 : 0, n;

	if (at == 0 || strlen(link) > LINK_MAX)
		return false;
	for (const char *p = link; *p; p++)
		if ((unsigned char)*p <= ' ' || (unsigned char)*p > '~' || strchr("\"<>\\^`{|}", *p) != NULL)
			return false;
	/* No user@: what a reader takes for the host must be it. */
	n = strspn(link + at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]");
	*host = arena_strndup(a, link + at, n);
	return n > 0 && (link[at + n] == '\0' || strchr("/?#", link[at + n]) != NULL);
}

/* Is name one of a comma-separated list? Letters of either case are the same. */
bool
email_listed(const char *list, const char *name)
{
	size_t n = strlen(name), len;

	for (; *list; list += len + (list[len] == ',')) {
		size_t skip = strspn(list, " ");

		len = strcspn(list, ",");
		if (skip + n <= len && strncasecmp(list + skip, name, n) == 0 && strspn(list + skip + n, " ") >= len - skip - n)
			return true;
	}
	return false;
}

static enum err
request_check(struct ctx *cx, const struct email_request *rq, const char **address)
{
	const char *host;

	*address = NULL;
	if (!email_secret_ok(rq->client_secret))
		return fail(cx, M_INVALID_PARAM, "client_secret is 1 to 255 of 0-9 a-z A-Z . = _ -");
	if ((*address = email_canonical(cx->a, rq->address)) == NULL)
		return fail(cx, M_INVALID_PARAM, "this is no e-mail address");
	if (rq->next_link != NULL && !email_next_link_ok(cx->a, rq->next_link, &host))
		return fail(cx, M_INVALID_PARAM, "next_link must be an http or https URL");
	if (cx->conf->email_domains != NULL && *cx->conf->email_domains != '\0' &&
	    !email_listed(cx->conf->email_domains, email_domain(*address)))
		return fail(cx, M_THREEPID_DENIED, "addresses of this domain are not taken here");
	return M_OK;
}

/* May this address be proven for this purpose? With email_tell_known the answer is told. */
static enum err
known_check(struct ctx *cx, enum email_purpose purpose, const struct rows *known, bool *fits)
{
	*fits = purpose == EMAIL_RESET ? db_bool(known, 0) : db_null(known, 0);
	if (*fits || !cx->conf->email_tell_known)
		return M_OK;
	if (purpose == EMAIL_RESET)
		return fail(cx, M_THREEPID_NOT_FOUND, "no account has this address");
	return fail(cx, M_THREEPID_IN_USE, "an account has this address already");
}

static enum err
session_put(struct ctx *cx, const struct email_request *rq, const char *address, bool fits, const char **sid)
{
	unsigned char *secret = arena_alloc(cx->a, SHA256_LEN);
	const char *new_sid = random_token(cx->a, 15);
	struct rows r, old;
	enum err e;

	sha256(rq->client_secret, strlen(rq->client_secret), secret);
	db_queue(cx, &r, DB_MAYBE, &email_session_put, P_TEXT(new_sid), P_TEXT(purposes[rq->purpose]), P_TEXT(address),
	    P_BYTES(secret, SHA256_LEN), P_I64(rq->send_attempt), P_TEXT(fits ? random_token(cx->a, 18) : NULL), P_TEXT(rq->next_link),
	    P_I64(cx->now + cx->conf->email_valid_min * MINUTE), P_I64(cx->now));
	db_queue(cx, &old, DB_ONE, &email_session_sid, P_TEXT(purposes[rq->purpose]), P_TEXT(address), P_BYTES(secret, SHA256_LEN));
	if ((e = db_run(cx)) != M_OK)
		return e;
	*sid = db_text(&old, 0);
	if (r.n == 0)
		return M_OK;	/* this one was sent already */
	if ((e = ratelimit_take(cx, RATE_MAIL_TO, address)) != M_OK)
		return e;
	job_add(cx, "mail", *sid, NULL, 0);
	return M_OK;
}

enum err
email_request(struct ctx *cx, const struct email_request *rq, const char **sid)
{
	const char *address;
	struct rows known;
	bool fits;
	enum err e;

	if ((e = request_check(cx, rq, &address)) != M_OK || (e = ratelimit_take(cx, RATE_MAIL, rq->remote_addr)) != M_OK)
		return e;
	db_begin(cx, TX_RW);
	if ((e = db_row(cx, &known, &email_known, P_TEXT(address))) == M_OK &&
	    (e = known_check(cx, rq->purpose, &known, &fits)) == M_OK && (e = session_put(cx, rq, address, fits, sid)) == M_OK)
		e = db_commit(cx);
	if (e != M_OK)
		db_rollback(cx);
	return e;
}

/* ---- the mail's link */

static enum email_purpose
purpose_of(const char *name)
{
	enum email_purpose p = EMAIL_REGISTER;

	while (p < EMAIL_RESET && strcmp(purposes[p], name) != 0)
		p++;
	return p;
}

static bool
same_text(const char *a, const char *b)
{
	return a != NULL && strlen(a) == strlen(b) && ct_equal(a, b, strlen(a));
}

/* As email_token_submit(), without the writing. */
static enum err
token_check(struct ctx *cx, const char *sid, const char *client_secret, const char *token, struct email_validation *out)
{
	unsigned char secret[SHA256_LEN];
	const void *kept;
	struct rows r;
	size_t n;
	enum err e;

	if ((e = db_maybe(cx, &r, &email_session_look, P_TEXT(sid))) != M_OK)
		return e;
	if (r.n == 0 || !same_text(db_text(&r, 2), token))
		return fail(cx, M_TOKEN_INCORRECT, "this is not the token of the mail");
	if (client_secret != NULL) {
		sha256(client_secret, strlen(client_secret), secret);
		kept = db_bytes(&r, 3, &n);
		if (n != sizeof secret || !ct_equal(kept, secret, n))
			return fail(cx, M_TOKEN_INCORRECT, "this is not the token of the mail");
	}
	if (db_i64(&r, 6) <= cx->now)
		return fail(cx, M_SESSION_EXPIRED, "it took too long: ask for another mail");
	*out = (struct email_validation){
		.purpose = purpose_of(db_text(&r, 0)), .address = db_text(&r, 1), .validated = db_bool(&r, 4), .next_link = db_text(&r, 5),
	};
	return M_OK;
}

enum err
email_token_look(struct ctx *cx, const char *sid, const char *token, struct email_validation *out)
{
	return token_check(cx, sid, NULL, token, out);
}

enum err
email_token_submit(struct ctx *cx, const char *sid, const char *client_secret, const char *token, struct email_validation *out)
{
	int64_t n;
	enum err e;

	if ((e = token_check(cx, sid, client_secret, token, out)) != M_OK || (e = db_exec(cx, &n, &email_session_validate, P_TEXT(sid),
	    P_I64(cx->now), P_I64(cx->now + cx->conf->email_valid_min * MINUTE), P_TEXT(token))) != M_OK)
		return e;
	out->validated = true;
	return n > 0 ? M_OK : fail(cx, M_TOKEN_INCORRECT, "this is not the token of the mail");
}

/* ---- credentials */

static enum err
session_check(struct ctx *cx, enum email_purpose purpose, const char *sid, struct param secret, bool *validated)
{
	struct rows r;
	enum err e;

	if ((e = db_maybe(cx, &r, &email_session_check, P_TEXT(sid), P_TEXT(purposes[purpose]), secret, P_I64(cx->now),
	    P_I64_OR_NULL(cx->user_nid, 0))) != M_OK)
		return e;
	if (r.n == 0)
		return fail(cx, M_THREEPID_AUTH_FAILED, "this validation is unknown or has ended");
	*validated = db_bool(&r, 0);
	return M_OK;
}

enum err
email_creds_check(struct ctx *cx, enum email_purpose purpose, const char *sid, const char *client_secret, bool *validated)
{
	unsigned char secret[SHA256_LEN];

	sha256(client_secret, strlen(client_secret), secret);
	return session_check(cx, purpose, sid, P_BYTES(secret, sizeof secret), validated);
}

enum err
email_session_validated(struct ctx *cx, enum email_purpose purpose, const char *sid, bool *validated)
{
	return session_check(cx, purpose, sid, P_NULL, validated);
}

enum err
email_session_use(struct ctx *cx, enum email_purpose purpose, const char *sid, int64_t usr, struct email_proof *out)
{
	struct rows r, again;
	enum err e;

	db_queue(cx, &r, DB_MAYBE, &email_session_take, P_TEXT(sid), P_TEXT(purposes[purpose]), P_I64(usr), P_I64(cx->now));
	db_queue(cx, &again, DB_MAYBE, &email_session_taken, P_TEXT(sid), P_TEXT(purposes[purpose]), P_I64(usr), P_I64(cx->now));
	if ((e = db_run(cx)) != M_OK)
		return e;
	if (r.n == 0 && again.n == 0)
		return fail(cx, M_THREEPID_AUTH_FAILED, "the address is not validated: open the link in the mail");
	*out = (struct email_proof){ .address = db_text(&again, 0), .validated_ts = db_i64(&again, 1), .again = r.n == 0 };
	return M_OK;
}
