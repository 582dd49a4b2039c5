/* tests/db/user/email.c - validating addresses: what two connections may do at once, and what a session is good for. */
#include <string.h>

#include "core/base/conf.h"
#include "core/user/account.h"
#include "core/user/email_session.h"
#include "core/user/threepid.h"
#include "tests/db/harness.h"

static struct conf mailing;	/* a server that sends mail */

static struct ctx *
mail_session(void)
{
	struct ctx *cx = session();

	mailing = *cx->conf;
	mailing.rate_limits = false;
	mailing.smtp_url = "smtp://127.0.0.1:9";
	mailing.smtp_from = "h@example.org";
	mailing.email_valid_min = 60;
	mailing.email_domains = mailing.email_next_hosts = "";
	mailing.rate_mail_per_hour = mailing.rate_mail_burst = 100;
	mailing.rate_mail_to_per_hour = mailing.rate_mail_to_burst = 2;
	cx->conf = &mailing;
	return cx;
}

static int64_t
user(struct ctx *cx, const char *name)
{
	struct account_new n = { .localpart = name };
	struct account acc;

	cr_assert_eq(account_create(cx, &n, &acc), M_OK);
	return acc.nid;
}

struct ask {
	struct email_request rq;
	const char *sid;
};

static enum err
ask_step(struct ctx *cx, void *arg)
{
	struct ask *k = arg;

	return email_request(cx, &k->rq, &k->sid);
}

static struct ask
asking(enum email_purpose p, const char *address, const char *secret, int64_t attempt)
{
	return (struct ask){ .rq = { .purpose = p, .address = address, .client_secret = secret, .send_attempt = attempt, .remote_addr = "127.0.0.1" } };
}

/* A validated session, as after the click. */
static const char *
validated(struct ctx *cx, enum email_purpose p, const char *address, const char *secret)
{
	struct ask k = asking(p, address, secret, 1);
	struct email_validation v;

	cr_assert_eq(ask_step(cx, &k), M_OK);
	cr_assert_eq(email_token_submit(cx, k.sid, secret, sql("SELECT token FROM email_session WHERE sid = '%s'", k.sid), &v), M_OK);
	cr_assert(v.validated);
	return k.sid;
}

Test(email_session, the_same_attempt_on_two_connections_sends_one_mail)
{
	struct ctx *a = mail_session(), *b = mail_session();
	struct ask one = asking(EMAIL_ADD, "A@example.org", "s", 1), two = asking(EMAIL_ADD, "a@example.org", "s", 1);
	struct step *s;

	/* somebody stands between a's row and its COMMIT */
	sql("BEGIN; INSERT INTO email_session (sid, purpose, address, client_secret, send_attempt, token, created_ts, expires_ts)"
	    " VALUES ('x', 'add', 'a@example.org', sha256('s'), 1, 't', 0, %lld)", (long long)a->now + 1000000);
	s = step_start(b, ask_step, &two);
	cr_assert(step_waits(s));
	sql("COMMIT");
	cr_assert_eq(step_end(s), M_OK);
	cr_assert_str_eq(two.sid, "x");
	cr_assert_eq(sql_int("SELECT count(*) FROM job WHERE kind = 'mail'"), 0);
	cr_assert_eq(ask_step(a, &one), M_OK);
	cr_assert_str_eq(one.sid, "x");
	cr_assert_eq(sql_int("SELECT count(*) FROM job WHERE kind = 'mail'"), 0);
	one.rq.send_attempt = 2;
	cr_assert_eq(ask_step(a, &one), M_OK);
	cr_assert_str_eq(sql("SELECT key FROM job WHERE kind = 'mail'"), "x");
	cr_assert_str_eq(sql("SELECT token FROM email_session"), "t");
}

Test(email_session, a_mail_that_is_one_too_many_counts_as_not_asked_for)
{
	struct ctx *cx = mail_session();
	struct ask k = asking(EMAIL_ADD, "a@example.org", "s", 0);

	mailing.rate_limits = true;
	for (k.rq.send_attempt = 1; k.rq.send_attempt <= 2; k.rq.send_attempt++)
		cr_assert_eq(ask_step(cx, &k), M_OK);
	cr_assert_eq(ask_step(cx, &k), M_LIMIT_EXCEEDED);
	cr_assert_gt(cx->retry_after_ms, 0);
	cr_assert_eq(sql_int("SELECT send_attempt FROM email_session"), 2);
	k.rq.address = "b@example.org";
	cr_assert_eq(ask_step(cx, &k), M_OK, "another address is another's");
	/* and by who asks, whatever for */
	mailing.rate_mail_burst = 1;
	k.rq.remote_addr = "192.0.2.1";
	k.rq.address = "c@example.org";
	cr_assert_eq(ask_step(cx, &k), M_OK);
	k.rq.address = "d@example.org";
	cr_assert_eq(ask_step(cx, &k), M_LIMIT_EXCEEDED);
	cr_assert_eq(sql_int("SELECT count(*) FROM email_session WHERE address = 'd@example.org'"), 0);
}

struct put {
	int64_t usr;
	const char *sid, *secret;
};

static enum err
add_step(struct ctx *cx, void *arg)
{
	const struct put *p = arg;

	cx->user_nid = p->usr;
	cx->user = "@x:localhost";
	return threepid_add(cx, NULL, p->sid, p->secret);
}

Test(email_session, of_two_accounts_one_gets_the_address)
{
	struct ctx *a = mail_session(), *b = mail_session();
	int64_t alice = user(a, "alice"), bob = user(a, "bob");
	struct put pa = { alice, validated(a, EMAIL_ADD, "x@example.org", "sa"), "sa" }, pb = { bob, validated(a, EMAIL_ADD, "x@example.org", "sb"), "sb" };
	struct step *s;

	db_begin(a, TX_RW);
	cr_assert_eq(threepid_put(a, alice, "x@example.org", 1, false), M_OK);
	s = step_start(b, add_step, &pb);
	cr_assert(step_waits(s));
	cr_assert_eq(db_commit(a), M_OK);
	cr_assert_eq(step_end(s), M_THREEPID_IN_USE);
	cr_assert_eq(add_step(a, &pa), M_OK);
	cr_assert_eq(add_step(a, &pa), M_OK, "again, after a lost answer");
	cr_assert_eq(sql_int("SELECT usr FROM threepid"), alice);
	/* what did not succeed used nothing up */
	sql("DELETE FROM threepid");
	session_next(b);
	cr_assert_eq(add_step(b, &pb), M_OK);
	pa.usr = bob;
	cr_assert_eq(add_step(a, &pa), M_THREEPID_AUTH_FAILED, "alice has used it");
}

Test(email_session, an_account_that_ends_meanwhile_gets_none)
{
	struct ctx *a = mail_session(), *b = mail_session();
	int64_t alice = user(a, "alice");
	struct put p = { alice, validated(a, EMAIL_ADD, "x@example.org", "s"), "s" };
	struct step *s;

	sql("BEGIN; UPDATE account SET deactivated_ts = 1");
	s = step_start(b, add_step, &p);
	cr_assert(step_waits(s));
	sql("COMMIT");
	cr_assert_neq(step_end(s), M_OK);
	cr_assert_eq(sql_int("SELECT count(*) FROM threepid"), 0);
}

Test(email_session, can_reset_is_gained_and_never_lost)
{
	struct ctx *cx = mail_session();
	int64_t alice = user(cx, "alice");
	bool v;
	const char *sid = validated(cx, EMAIL_ADD, "x@example.org", "s");

	cr_assert_eq(threepid_put(cx, alice, "x@example.org", 1, false), M_OK);
	cr_assert_str_eq(sql("SELECT can_reset FROM threepid"), "f");
	cr_assert_eq(threepid_put(cx, alice, "x@example.org", 1, true), M_OK);
	cr_assert_eq(threepid_put(cx, alice, "x@example.org", 1, false), M_OK);
	cr_assert_str_eq(sql("SELECT can_reset FROM threepid"), "t");
	/* purposes do not mix, secrets neither */
	cr_assert_eq(email_creds_check(cx, EMAIL_ADD, sid, "s", &v), M_OK);
	cr_assert(v);
	cr_assert_eq(email_creds_check(cx, EMAIL_RESET, sid, "s", &v), M_THREEPID_AUTH_FAILED);
	cr_assert_eq(email_creds_check(cx, EMAIL_REGISTER, sid, "s", &v), M_THREEPID_AUTH_FAILED);
	cr_assert_eq(email_creds_check(cx, EMAIL_ADD, sid, "S", &v), M_THREEPID_AUTH_FAILED);
	sql("UPDATE email_session SET expires_ts = %lld", (long long)cx->now);
	cr_assert_eq(email_creds_check(cx, EMAIL_ADD, sid, "s", &v), M_THREEPID_AUTH_FAILED);
}

/* One that has ended, or was used, begins anew when a mail is asked for again: the old click is no proof any more. */
Test(email_session, an_ended_one_begins_anew)
{
	struct ctx *cx = mail_session();
	struct ask k = asking(EMAIL_ADD, "x@example.org", "s", 2);
	const char *sid = validated(cx, EMAIL_ADD, "x@example.org", "s"), *token = sql("SELECT token FROM email_session");
	bool v;

	cr_assert_eq(ask_step(cx, &k), M_OK);
	cr_assert_eq(email_creds_check(cx, EMAIL_ADD, sid, "s", &v), M_OK);
	cr_assert(v, "it lives: asked for again it stays validated");
	sql("UPDATE email_session SET expires_ts = 1");
	k.rq.send_attempt = 3;
	cr_assert_eq(ask_step(cx, &k), M_OK);
	cr_assert_str_eq(k.sid, sid);
	cr_assert_eq(email_creds_check(cx, EMAIL_ADD, sid, "s", &v), M_OK);
	cr_assert_not(v);
	cr_assert_str_neq(sql("SELECT token FROM email_session"), token);
}

Test(email_session, domains_of_the_settings)
{
	struct ctx *cx = mail_session();
	struct ask k = asking(EMAIL_REGISTER, "x@Example.org", "s", 1);

	mailing.email_domains = "example.com , Example.ORG";
	cr_assert_eq(ask_step(cx, &k), M_OK);
	k.rq.address = "x@sub.example.org";
	cr_assert_eq(ask_step(cx, &k), M_THREEPID_DENIED);
	k.rq.address = "x@xample.org";
	cr_assert_eq(ask_step(cx, &k), M_THREEPID_DENIED);
	cr_assert(email_listed("a,b", "b") && email_listed(" a ", "A") && email_listed("a,,b", "b"));
	cr_assert_not(email_listed("", "a") || email_listed("ab", "a") || email_listed("a b", "a") || email_listed("a", "ab"));
}

Test(email_session, what_is_told_when_the_settings_say_so)
{
	struct ctx *cx = mail_session();
	struct ask k = asking(EMAIL_REGISTER, "x@example.org", "s", 1);

	cr_assert_eq(threepid_put(cx, user(cx, "alice"), "x@example.org", 1, true), M_OK);
	mailing.email_tell_known = true;
	cr_assert_eq(ask_step(cx, &k), M_THREEPID_IN_USE);
	k.rq.purpose = EMAIL_RESET;
	cr_assert_eq(ask_step(cx, &k), M_OK);
	k.rq.address = "y@example.org";
	cr_assert_eq(ask_step(cx, &k), M_THREEPID_NOT_FOUND);
	cr_assert_eq(sql_int("SELECT count(*) FROM email_session"), 1);
}

/* Of an address that an account has a mail tells, to its owner; whoever asks for it sees what he sees of any other that is not confirmed. */
Test(email_session, a_known_address_looks_like_one_that_was_not_confirmed)
{
	struct ctx *cx = mail_session();
	struct ask known = asking(EMAIL_REGISTER, "x@example.org", "s", 1), other = asking(EMAIL_REGISTER, "y@example.org", "s", 1);
	bool v = true;

	cr_assert_eq(threepid_put(cx, user(cx, "alice"), "x@example.org", 1, true), M_OK);
	for (int p = EMAIL_REGISTER; p <= EMAIL_RESET; p++) {
		known.rq.purpose = other.rq.purpose = (enum email_purpose)p;
		cr_assert_eq(ask_step(cx, &known), M_OK);
		cr_assert_eq(ask_step(cx, &other), M_OK);
		cr_assert_eq(email_creds_check(cx, known.rq.purpose, known.sid, "s", &v), M_OK);
		cr_assert_not(v);
		cr_assert_eq(email_creds_check(cx, other.rq.purpose, other.sid, "s", &v), M_OK);
		cr_assert_not(v);
	}
}

/* Confirmed while nobody had it, then another one's: it proves nothing any more once it was asked for again. */
Test(email_session, a_confirmed_one_without_a_token_is_no_proof)
{
	struct ctx *cx = mail_session();
	const char *sid = validated(cx, EMAIL_REGISTER, "x@example.org", "s");
	struct ask k = asking(EMAIL_REGISTER, "x@example.org", "s", 2);
	bool v;

	cr_assert_eq(threepid_put(cx, user(cx, "alice"), "x@example.org", 1, true), M_OK);
	cr_assert_eq(ask_step(cx, &k), M_OK);
	cr_assert_str_eq(k.sid, sid);
	cr_assert_eq(email_creds_check(cx, EMAIL_REGISTER, sid, "s", &v), M_OK);
	cr_assert_not(v);
}

/* One click must not let somebody choose passwords for as long as he keeps asking. */
Test(email_session, a_confirmed_one_does_not_live_longer_by_asking_again)
{
	struct ctx *cx = mail_session();
	const char *sid = validated(cx, EMAIL_ADD, "x@example.org", "s");
	struct ask k = asking(EMAIL_ADD, "x@example.org", "s", 2);
	int64_t end = sql_int("SELECT expires_ts FROM email_session");
	bool v;

	cx->now += 1000000;
	cr_assert_eq(ask_step(cx, &k), M_OK);
	cr_assert_eq(sql_int("SELECT expires_ts FROM email_session"), end);
	cx->now = end;
	cr_assert_eq(email_creds_check(cx, EMAIL_ADD, sid, "s", &v), M_THREEPID_AUTH_FAILED);
	k.rq.send_attempt = 3;
	cr_assert_eq(ask_step(cx, &k), M_OK);
	cr_assert_gt(sql_int("SELECT expires_ts FROM email_session"), end, "it has begun anew");
}

struct click {
	const char *sid, *token;
};

static enum err
click_step(struct ctx *cx, void *arg)
{
	const struct click *c = arg;
	struct email_validation v;

	return email_token_submit(cx, c->sid, NULL, c->token, &v);
}

/* The click was looked at, then its session begins anew: what it would confirm now is another mail's. */
Test(email_session, a_click_confirms_its_own_mail_alone)
{
	struct ctx *cx = mail_session();
	struct ask k = asking(EMAIL_ADD, "x@example.org", "s", 1);
	struct click c;
	struct step *s;

	cr_assert_eq(ask_step(cx, &k), M_OK);
	c = (struct click){ k.sid, sql("SELECT token FROM email_session") };
	c.token = arena_strdup(cx->a, c.token);
	sql("BEGIN; UPDATE email_session SET token = 'another'");
	s = step_start(session(), click_step, &c);
	cr_assert(step_waits(s));
	sql("COMMIT");
	cr_assert_eq(step_end(s), M_TOKEN_INCORRECT);
	cr_assert_str_eq(sql("SELECT validated_ts FROM email_session"), "");
}

/* Somebody else's click, or an earlier one's, must not choose the password once more. */
Test(email_session, a_new_password_ends_other_resets)
{
	struct ctx *cx = mail_session();
	int64_t alice = user(cx, "alice");
	const char *mine, *yours, *adding;
	bool v;

	cr_assert_eq(threepid_put(cx, alice, "x@example.org", 1, true), M_OK);
	cr_assert_eq(threepid_put(cx, user(cx, "bob"), "y@example.org", 1, true), M_OK);
	mine = validated(cx, EMAIL_RESET, "x@example.org", "s");
	yours = validated(cx, EMAIL_RESET, "y@example.org", "s");
	adding = validated(cx, EMAIL_ADD, "z@example.org", "s");
	db_begin(cx, TX_RW);
	cr_assert_eq(account_set_password(cx, alice, "hash"), M_OK);
	cr_assert_eq(db_commit(cx), M_OK);
	cr_assert_eq(email_creds_check(cx, EMAIL_RESET, mine, "s", &v), M_THREEPID_AUTH_FAILED);
	cr_assert_eq(email_creds_check(cx, EMAIL_RESET, yours, "s", &v), M_OK);
	cr_assert_eq(email_creds_check(cx, EMAIL_ADD, adding, "s", &v), M_OK);
}
