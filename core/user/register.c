/* core/user/register.c - new accounts. */
#include "core/user/register.h"

#include <string.h>

#include "core/base/conf.h"
#include "core/base/log.h"
#include "core/crypto/crypto.h"
#include "core/db/db.h"
#include "core/mail/smtp.h"
#include "core/user/account.h"
#include "core/user/hash_gate.h"
#include "core/user/registration_token.h"
#include "core/user/terms.h"
#include "core/user/threepid.h"
#include "core/user/uia.h"

#define ENDPOINT "register"
#define NONCE_MS (60 * 1000)

STMT(register_nonce_put, "INSERT INTO register_nonce (nonce, expires_ts) VALUES ($1, $2)");
STMT(register_nonce_select, "SELECT 1 FROM register_nonce WHERE nonce = $1 AND expires_ts > $2");
STMT(register_nonce_take, "DELETE FROM register_nonce WHERE nonce = $1");

/*
 * What the settings ask of whoever registers. Where the e-mail address is optional, the flow without it ends with a dummy,
 * so that neither is the beginning of the other ("Dummy Auth").
 */
static size_t
flows_make(const struct conf *conf, struct uia_flow flows[2])
{
	struct uia_flow base = { { NULL } };
	size_t n = 0;

	if (conf->registration == REG_TOKEN)
		base.stages[n++] = REGISTRATION_TOKEN_STAGE;
	if (terms_current(conf) != NULL)
		base.stages[n++] = TERMS_STAGE;
	flows[0] = flows[1] = base;
	switch (smtp_enabled(conf) ? conf->registration_email : WANT_OFF) {
	case WANT_REQUIRED:
		flows[0].stages[n] = EMAIL_STAGE;
		return 1;
	case WANT_OPTIONAL:
		flows[0].stages[n] = "m.login.dummy";
		flows[1].stages[n] = EMAIL_STAGE;
		return 2;
	case WANT_OFF:
		break;
	}
	if (n == 0)
		flows[0].stages[0] = "m.login.dummy";
	return 1;
}

/* Inside the transaction: what stages proved becomes the account's. */
static enum err
keep_proofs(struct ctx *cx, const struct uia *u, int64_t usr)
{
	struct email_proof proof;
	enum err e;

	if (uia_passed(u, TERMS_STAGE))
		terms_consent(cx, usr, u->proof.terms);
	if (!uia_passed(u, EMAIL_STAGE))
		return M_OK;
	if ((e = email_session_use(cx, EMAIL_REGISTER, u->proof.email_sid, usr, &proof)) != M_OK)
		return e;
	return threepid_put(cx, usr, proof.address, proof.validated_ts, true);
}

/*
 * A guest goes on as a user. Whoever else knows the guest's token must not go on with him: all his sessions end, and
 * the device that the request names goes on with a new token.
 */
static enum err
upgrade(struct ctx *cx, const struct registration *r, const struct uia *u, const struct account *guest, const char *hash,
    struct session *out)
{
	enum err e;

	out->user = guest->user;
	out->user_nid = guest->nid;
	if ((e = account_upgrade(cx, guest->nid, hash)) != M_OK || (e = keep_proofs(cx, u, guest->nid)) != M_OK ||
	    (!r->inhibit_login && (e = session_open(cx, out, &r->device)) != M_OK))
		return e;
	return session_close_all(cx, guest->nid, out->device);
}

/* Inside the transaction: the account and, unless inhibited, its first session. */
static enum err
create(struct ctx *cx, const struct registration *r, const struct uia *u, const struct account_new *n, struct session *out)
{
	struct account acc;
	enum err e;

	if ((e = account_create(cx, n, &acc)) != M_OK || (u != NULL && (e = keep_proofs(cx, u, acc.nid)) != M_OK))
		return e;
	out->user = acc.user;
	out->user_nid = acc.nid;
	return r->inhibit_login ? M_OK : session_open(cx, out, &r->device);
}

/* What made it possible can do so only once: the authentication session, or the nonce. */
static enum err
consume(struct ctx *cx, const struct uia *u, const char *nonce, const char *localpart)
{
	int64_t n;
	enum err e;

	if (u != NULL && uia_passed(u, REGISTRATION_TOKEN_STAGE) && (e = registration_token_use(cx, u)) != M_OK)
		return e;
	if (u != NULL)
		return uia_finish(cx, u, localpart);
	if ((e = db_exec(cx, &n, &register_nonce_take, P_TEXT(nonce))) != M_OK)
		return e;
	return n ? M_OK : fail(cx, E_BAD_REQUEST, "unknown nonce");
}

static enum err
create_committed(struct ctx *cx, const struct registration *r, const struct uia *u, const char *nonce, const struct account *guest,
    struct session *out)
{
	struct account_new n = { .displayname = r->displayname, .admin = r->admin };
	enum err e;

	*out = (struct session){ 0 };
	if (guest != NULL)
		n.localpart = guest->localpart;
	else if (r->username == NULL)
		n.localpart = account_name_random(cx);
	else if ((e = account_name_check(cx, r->username, r->privileged, &n.localpart)) != M_OK)
		return e;
	if (r->password != NULL)
		n.password_hash = gated_password_hash(cx, r->password);
	else
		n.password_hash = r->password_hash;
	db_begin(cx, TX_RW);
	if ((e = consume(cx, u, nonce, n.localpart)) == M_OK)
		e = guest != NULL ? upgrade(cx, r, u, guest, n.password_hash, out) : create(cx, r, u, &n, out);
	if (e == M_OK)
		e = db_commit(cx);
	if (e != M_OK) {
		db_rollback(cx);
		return e;
	}
	log_info(cx, guest != NULL ? "guest_upgraded" : "account_created", LS("account", out->user));
	return M_OK;
}

/* By giving it again; or by the session that was begun with it and made the account. */
static bool
knows_password(struct ctx *cx, const struct registration *r, const struct account *acc)
{
	if (acc->password_hash == NULL)
		return true;
	if (r->password != NULL)
		return gated_password_check(cx, r->password, acc->password_hash);
	return r->password_hash != NULL && strcmp(r->password_hash, acc->password_hash) == 0;
}

/*
 * The answer to the request that made the account was lost: the same session with the same parameters gets
 * another one, as a new login. The password must be known, for it is no part of the parameters: who gave somebody else
 * the session to register with shall not follow him in.
 */
static enum err
answer_again(struct ctx *cx, const struct registration *r, const char *localpart, struct session *out)
{
	struct account acc;
	enum err e;

	*out = (struct session){ 0 };
	if ((e = account_find(cx, localpart, &acc)) != M_OK)
		return e;
	if (acc.deactivated || acc.locked || !knows_password(cx, r, &acc))
		return fail(cx, M_USER_IN_USE, "this user name is taken");
	out->user = acc.user;
	out->user_nid = acc.nid;
	if (r->inhibit_login)
		return M_OK;
	db_begin(cx, TX_RW);
	if ((e = session_open(cx, out, &r->device)) == M_OK)
		e = db_commit(cx);
	if (e != M_OK)
		db_rollback(cx);
	return e;
}

static enum err
registration_allowed(struct ctx *cx)
{
	if (cx->conf->registration != REG_CLOSED)
		return M_OK;
	return fail(cx, M_FORBIDDEN, "registration is closed on this server");
}

/* Whom a guest's token names; his localpart must be the name that is asked for. */
static enum err
guest_find(struct ctx *cx, const struct registration *r, struct account *out)
{
	enum err e;

	if (r->username == NULL)
		return fail(cx, M_MISSING_PARAM, "username is missing: it must be the guest's");
	if ((e = session_find(cx, r->guest_token)) != M_OK)
		return e == M_UNKNOWN_TOKEN || e == M_USER_LOCKED ? fail(cx, M_FORBIDDEN, "this is no guest's token") : e;
	if (!cx->guest)
		return fail(cx, M_FORBIDDEN, "this is no guest's token");
	if ((e = account_find(cx, cx->user, out)) != M_OK)
		return e;
	return strcmp(out->localpart, r->username) == 0 ? M_OK : fail(cx, M_FORBIDDEN, "this is another guest's token");
}

/* Who asks for the guest himself has no session here: it was looked at as a parameter. */
static enum err
guest_of(struct ctx *cx, const struct registration *r, struct account *out)
{
	enum err e = guest_find(cx, r, out);

	cx->user = cx->device_id = NULL;
	cx->user_nid = cx->device = 0;
	cx->guest = cx->suspended = cx->unlimited = cx->token_unused = false;
	cx->err_extra = NULL;
	return e;
}

enum err
register_recall(struct ctx *cx, struct json **body, const char **password_hash)
{
	return uia_recall(cx, ENDPOINT, body, password_hash);
}

enum err
register_user(struct ctx *cx, const struct registration *r, const struct json *body, struct session *out)
{
	struct uia_flow flows[2];
	struct uia u = { .endpoint = ENDPOINT, .flows = flows, .body = body, .email = EMAIL_REGISTER, .remember = true };
	const char *localpart, *made;
	struct account guest;
	enum err e;

	u.nflows = flows_make(cx->conf, flows);
	if ((e = registration_allowed(cx)) != M_OK ||
	    (r->password != NULL && (e = account_password_ok(cx, r->password)) != M_OK) ||
	    (r->username != NULL && (e = account_name_check(cx, r->username, r->privileged || r->guest_token, &localpart)) != M_OK))
		return e;
	if ((e = uia_replay(cx, &u, &made)) != M_OK)
		return e;
	if (made != NULL)
		return answer_again(cx, r, made, out);
	if (r->guest_token != NULL)
		e = guest_of(cx, r, &guest);
	else if (r->username != NULL)
		e = account_name_free(cx, localpart);
	if (e != M_OK || (e = uia_check(cx, &u)) != M_OK)
		return e;
	return create_committed(cx, r, &u, NULL, r->guest_token != NULL ? &guest : NULL, out);
}

static enum err
guest_committed(struct ctx *cx, const char *name, struct session *out)
{
	struct registration r = { .device.name = name };
	struct account_new n = { .localpart = account_name_guest(cx), .guest = true };
	enum err e;

	*out = (struct session){ 0 };
	db_begin(cx, TX_RW);
	if ((e = create(cx, &r, NULL, &n, out)) == M_OK)
		e = db_commit(cx);
	if (e != M_OK)
		db_rollback(cx);
	return e;
}

enum err
register_guest(struct ctx *cx, const char *name, struct session *out)
{
	enum err e;

	if (!cx->conf->guests)
		return fail(cx, M_GUEST_ACCESS_FORBIDDEN, "this server has no guest accounts");
	do
		e = guest_committed(cx, name, out);
	while (e == M_USER_IN_USE);		/* a number that another one has */
	if (e == M_OK)
		log_info(cx, "guest_created", LS("account", out->user));
	return e;
}

enum err
register_available(struct ctx *cx, const char *username)
{
	const char *localpart;
	enum err e;

	if ((e = registration_allowed(cx)) != M_OK ||
	    (e = account_name_check(cx, username, false, &localpart)) != M_OK)
		return e;
	return account_name_free(cx, localpart);
}

enum err
register_token_valid(struct ctx *cx, const char *token, bool *valid)
{
	enum err e = registration_allowed(cx);

	return e == M_OK ? registration_token_valid(cx, token, valid) : e;
}

/* ---- by shared secret */

static enum err
secret_known(struct ctx *cx)
{
	if (cx->conf->registration_shared_secret == NULL || *cx->conf->registration_shared_secret == '\0')
		return fail(cx, E_BAD_REQUEST, "registration by shared secret is not enabled");
	return M_OK;
}

enum err
register_nonce_new(struct ctx *cx, const char **nonce)
{
	enum err e;

	if ((e = secret_known(cx)) != M_OK)
		return e;
	*nonce = random_token(cx->a, 24);
	return db_exec(cx, NULL, &register_nonce_put, P_TEXT(*nonce), P_I64(cx->now + NONCE_MS));
}

static bool
mac_is_right(struct ctx *cx, const struct registration *r, const struct shared_secret *s)
{
	const char *want;
	struct buf b;

	buf_init(&b, cx->a);
	buf_puts(&b, s->nonce);
	buf_putc(&b, '\0');
	buf_puts(&b, r->username);
	buf_putc(&b, '\0');
	buf_puts(&b, r->password);
	buf_putc(&b, '\0');
	buf_puts(&b, r->admin ? "admin" : "notadmin");
	if (s->user_type != NULL) {
		buf_putc(&b, '\0');
		buf_puts(&b, s->user_type);
	}
	want = hmac_sha1_hex(cx->a, cx->conf->registration_shared_secret, b.s, b.n);
	return strlen(s->mac) == strlen(want) && ct_equal(s->mac, want, strlen(want));
}

enum err
register_by_secret(struct ctx *cx, const struct registration *r, const struct shared_secret *s, struct session *out)
{
	const char *localpart;
	struct rows row;
	enum err e;

	if ((e = secret_known(cx)) != M_OK || (e = account_password_ok(cx, r->password)) != M_OK ||
	    (e = account_name_check(cx, r->username, r->privileged, &localpart)) != M_OK)
		return e;
	if ((e = db_maybe(cx, &row, &register_nonce_select, P_TEXT(s->nonce), P_I64(cx->now))) != M_OK)
		return e;
	if (row.n == 0)
		return fail(cx, E_BAD_REQUEST, "unknown nonce");
	if (!mac_is_right(cx, r, s))
		return fail(cx, M_FORBIDDEN, "the mac is wrong");
	return create_committed(cx, r, NULL, s->nonce, NULL, out);
}
