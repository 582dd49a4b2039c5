/* tests/db/user/refresh.c - renewing access tokens: lost answers, replay, two at once; and tokens that are good for one log-in. */
#include <string.h>

#include "core/user/account.h"
#include "core/user/login.h"
#include "core/user/login_token.h"
#include "core/user/openid.h"
#include "core/user/refresh.h"
#include "tests/db/harness.h"

static struct ctx *cx;
static struct account alice;
static struct session first;

static void
log_in(const char *device, struct session *s)
{
	*s = (struct session){ .user_nid = alice.nid };
	db_begin(cx, TX_RW);
	cr_assert_eq(session_open(cx, s, &(struct session_wish){ .device_id = device, .refresh = true }), M_OK);
	cr_assert_eq(db_commit(cx), M_OK);
}

static void
setup(void)
{
	struct account_new n = { .localpart = "alice" };

	cx = session();
	cr_assert_eq(account_create(cx, &n, &alice), M_OK);
	log_in("D", &first);
}

TestSuite(refresh, .init = setup);

/* As the dispatcher does it. "ok", "soft" or "gone". */
static const char *
use_as(struct ctx *c, const char *token)
{
	enum err e;

	c->err_extra = NULL;
	if ((e = session_find(c, token)) == M_OK && c->token_unused && (e = session_first_use(c, token)) == E_RETRY)
		return use_as(c, token);
	if (e == M_OK)
		return "ok";
	cr_assert_eq(e, M_UNKNOWN_TOKEN, "%d", (int)e);
	return c->err_extra != NULL ? "soft" : "gone";
}

static const char *
use(const char *token)
{
	struct ctx *c = session();
	const char *said = use_as(c, token);

	session_end(c);
	return said;
}

static const char *
refresh(const char *token, struct session *out)
{
	enum err e;

	cx->err_extra = NULL;
	if ((e = session_refresh(cx, token, out)) == M_OK)
		return "ok";
	cr_assert_eq(e, M_UNKNOWN_TOKEN, "%d", (int)e);
	return cx->err_extra != NULL ? "soft" : "gone";
}

#define SAYS(call, what) cr_assert_str_eq(call, what)

Test(refresh, the_new_pair_takes_over_at_its_first_use)
{
	struct session two, three;

	cr_assert_eq(first.expires_in, 300000);
	SAYS(use(first.token), "ok");
	SAYS(refresh(first.refresh, &two), "ok");
	cr_assert_str_eq(two.device_id, "D");
	cr_assert_str_eq(two.user, "@alice:localhost");
	SAYS(use(first.token), "ok");		/* nobody has seen the new one yet */
	SAYS(use(two.token), "ok");
	SAYS(use(first.token), "soft");
	SAYS(refresh(first.refresh, &three), "soft");
	SAYS(use(two.token), "ok");		/* a client that met itself has harmed nobody */
	SAYS(refresh(two.refresh, &three), "ok");
	SAYS(use(three.token), "ok");
	cr_assert_eq(sql_int("SELECT count(*) FROM refresh_token"), 1);
}

Test(refresh, a_lost_answer_is_asked_for_again)
{
	struct session lost, got, next;

	SAYS(refresh(first.refresh, &lost), "ok");
	SAYS(refresh(first.refresh, &got), "ok");
	SAYS(use(got.token), "ok");
	SAYS(use(lost.token), "soft");
	SAYS(refresh(lost.refresh, &next), "soft");
	SAYS(use(got.token), "ok");
	/* also when the next thing that is used is the refresh token */
	SAYS(refresh(got.refresh, &lost), "ok");
	SAYS(refresh(lost.refresh, &next), "ok");
	SAYS(use(got.token), "soft");
	SAYS(use(lost.token), "ok");
	SAYS(use(next.token), "ok");
	SAYS(use(lost.token), "soft");
}

Test(refresh, lost_answers_do_not_pile_up)
{
	struct session s[20];

	for (int i = 0; i < 20; i++) {
		cx->now++;
		SAYS(refresh(first.refresh, &s[i]), "ok");
	}
	cr_assert_eq(sql_int("SELECT count(*) FROM refresh_token"), 17);
	SAYS(use_as(cx, s[0].token), "soft");
	SAYS(use_as(cx, s[19].token), "ok");
	cx->now += 3600 * 1000 + 1;
	SAYS(refresh(s[19].refresh, &s[0]), "ok");
	cr_assert_leq(sql_int("SELECT count(*) FROM access_token"), 2);
}

Test(refresh, expired_tokens_go_with_a_later_exchange)
{
	struct session s = first;

	for (int i = 0; i < 4; i++) {
		SAYS(refresh(s.refresh, &s), "ok");
		SAYS(use_as(cx, s.token), "ok");
		cx->now += 2 * 3600 * 1000;
	}
	cr_assert_leq(sql_int("SELECT count(*) FROM access_token"), 2);
	cr_assert_eq(sql_int("SELECT count(*) FROM refresh_token"), 1);
}

/* Who shows a used-up token later has it from somebody: nobody keeps a session by it, and the device's keys stay. */
Test(refresh, a_replay_ends_the_tokens_of_the_device)
{
	struct session two, other, again;

	log_in("E", &other);
	SAYS(refresh(first.refresh, &two), "ok");
	SAYS(use_as(cx, two.token), "ok");
	cx->now += 61 * 1000;
	SAYS(refresh(first.refresh, &again), "soft");
	SAYS(use_as(cx, two.token), "soft");
	SAYS(refresh(two.refresh, &again), "soft");
	SAYS(refresh(first.refresh, &again), "soft");
	cr_assert_eq(sql_int("SELECT count(*) FROM device"), 2);
	SAYS(use_as(cx, other.token), "ok");
	log_in("D", &again);			/* the same device goes on */
	SAYS(use_as(cx, again.token), "ok");
	SAYS(refresh(two.refresh, &two), "gone");
	SAYS(use_as(cx, again.token), "ok");
}

Test(refresh, what_is_no_token_revokes_nothing)
{
	struct session s;

	SAYS(refresh("", &s), "gone");
	SAYS(refresh(".", &s), "gone");
	SAYS(refresh(first.token, &s), "gone");
	SAYS(refresh("nonsense.nonsense", &s), "gone");
	SAYS(use(first.token), "ok");
	SAYS(use(first.refresh), "gone");	/* nor is it an access token */
}

Test(refresh, logout_takes_it_along)
{
	struct session s;

	SAYS(use_as(cx, first.token), "ok");
	db_begin(cx, TX_RW);
	cr_assert_eq(session_close(cx), M_OK);
	cr_assert_eq(db_commit(cx), M_OK);
	SAYS(refresh(first.refresh, &s), "gone");
	cr_assert_eq(sql_int("SELECT count(*) FROM refresh_token"), 0);
}

Test(refresh, locked_and_deactivated)
{
	struct session s;

	sql("UPDATE account SET locked = true");
	cr_assert_eq(session_refresh(cx, first.refresh, &s), M_USER_LOCKED);
	cr_assert_str_eq(cx->err_extra, "\"soft_logout\":true");
	sql("UPDATE account SET locked = false, deactivated_ts = 1");
	SAYS(refresh(first.refresh, &s), "gone");
}

static enum err
refresh_step(struct ctx *c, void *arg)
{
	return session_refresh(c, first.refresh, arg);
}

/* Both get a pair; the one that is used first wins. */
Test(refresh, two_at_once_get_two_pairs)
{
	struct ctx *b = session();
	struct session two;
	struct step *s;

	db_begin(cx, TX_RW);
	db_queue(cx, NULL, DB_NONE, &(struct stmt){ "test_lock", "SELECT 1 FROM device FOR NO KEY UPDATE" });
	cr_assert_eq(db_run(cx), M_OK);
	s = step_start(b, refresh_step, &two);
	cr_assert(step_waits(s));
	cr_assert_eq(db_commit(cx), M_OK);
	cr_assert_eq(step_end(s), M_OK);
	SAYS(use(two.token), "ok");
}

static enum err
use_step(struct ctx *c, void *arg)
{
	cr_assert_str_eq(use_as(c, *(const char **)arg), "soft");
	return M_OK;
}

/* The second stands at the device's row, and finds itself too late. */
Test(refresh, two_first_uses_at_once_one_wins)
{
	struct ctx *b = session();
	struct session one, two;
	struct step *s;

	SAYS(refresh(first.refresh, &one), "ok");
	SAYS(refresh(first.refresh, &two), "ok");
	db_begin(cx, TX_RW);
	db_queue(cx, NULL, DB_NONE, &(struct stmt){ "test_lock", "SELECT 1 FROM device FOR NO KEY UPDATE" });
	cr_assert_eq(db_run(cx), M_OK);
	s = step_start(b, use_step, &two.token);
	cr_assert(step_waits(s));
	sql("SET statement_timeout = '5s'");
	db_queue(cx, NULL, DB_NONE, &(struct stmt){ "test_settle",
	    "WITH me AS (UPDATE refresh_token r SET pending = false FROM access_token t WHERE t.pair = r.hash AND t.hash = sha256($1::text::bytea)"
	    " RETURNING r.hash), d AS (DELETE FROM refresh_token WHERE hash <> (SELECT hash FROM me))"
	    " UPDATE access_token SET expires_ts = 1 WHERE pair IS DISTINCT FROM (SELECT hash FROM me)" }, P_TEXT(one.token));
	cr_assert_eq(db_commit(cx), M_OK);
	cr_assert_eq(step_end(s), M_OK);
	SAYS(use(one.token), "ok");
}

static enum err
exchange_then_settle(struct ctx *c, void *arg)
{
	return session_first_use(c, *(const char **)arg);
}

/* An exchange and the first use of what came of an earlier one: whoever is second sees the other. */
Test(refresh, exchange_against_first_use)
{
	struct ctx *b = session();
	struct session one, two;
	struct step *s;

	SAYS(refresh(first.refresh, &one), "ok");
	cr_assert_eq(session_find(b, one.token), M_OK);
	db_begin(cx, TX_RW);
	db_queue(cx, NULL, DB_NONE, &(struct stmt){ "test_lock", "SELECT 1 FROM device FOR NO KEY UPDATE" });
	cr_assert_eq(db_run(cx), M_OK);
	s = step_start(b, exchange_then_settle, &one.token);
	cr_assert(step_waits(s));
	/* what an exchange leaves, made by the one who holds the lock */
	db_queue(cx, NULL, DB_NONE, &(struct stmt){ "test_put",
	    "INSERT INTO refresh_token (hash, family, device, pending, since_ts) SELECT 'late', family, device, true, 1 FROM refresh_token LIMIT 1" });
	cr_assert_eq(db_commit(cx), M_OK);
	cr_assert_eq(step_end(s), M_OK);
	cr_assert_eq(sql_int("SELECT count(*) FROM refresh_token"), 1);
	SAYS(refresh(first.refresh, &two), "soft");
	SAYS(use(one.token), "ok");
}

Test(refresh, without_it_tokens_last_as_the_settings_say)
{
	struct conf c = *cx->conf;
	struct session s = { .user_nid = alice.nid };

	c.session_lifetime_s = 10;
	cx->conf = &c;
	db_begin(cx, TX_RW);
	cr_assert_eq(session_open(cx, &s, &(struct session_wish){ .device_id = "D" }), M_OK);
	cr_assert_eq(db_commit(cx), M_OK);
	cr_assert_eq(s.expires_in, 10000);
	cr_assert_null(s.refresh);
	SAYS(use(s.token), "ok");
	cx->now += 10001;
	SAYS(use_as(cx, s.token), "soft");
	SAYS(refresh(first.refresh, &s), "gone");	/* the log-in ended it */
}

Test(refresh, a_thousand_devices_and_one)
{
	struct session s;

	sql("INSERT INTO device (usr, device_id, created_ts, last_seen_ts) SELECT usr, 'd' || i, 0, i FROM account, generate_series(1, 998) i");
	log_in("E", &s);
	cr_assert_eq(sql_int("SELECT count(*) FROM device"), DEVICES_MAX);
	log_in("F", &s);
	cr_assert_eq(sql_int("SELECT count(*) FROM device"), DEVICES_MAX);
	cr_assert_eq(sql_int("SELECT count(*) FROM device WHERE device_id = 'd1'"), 0);
	SAYS(use(s.token), "ok");
	SAYS(use(first.token), "ok");
}

/* ---- tokens for one log-in */

static const struct uia authorized = { .endpoint = "generateLoginToken" };

static const char *
login_token(void)
{
	const char *token;
	int64_t ms;

	cr_assert_eq(session_find(cx, first.token), M_OK);
	cr_assert_eq(login_token_make(cx, &authorized, &token, &ms), M_OK);
	cr_assert_eq(ms, 120000);
	return token;
}

static enum err
by_token(struct ctx *c, void *token)
{
	struct session s;

	return login_by_token(c, *(const char **)token, &(struct session_wish){ 0 }, &s);
}

Test(refresh, a_login_token_is_good_once)
{
	const char *token = login_token(), *late = login_token();

	cr_assert_eq(by_token(cx, &token), M_OK);
	cr_assert_eq(by_token(cx, &token), M_FORBIDDEN);
	cr_assert_eq(by_token(cx, &first.token), M_FORBIDDEN);
	cx->now += 120001;
	cr_assert_eq(by_token(cx, &late), M_FORBIDDEN);
	cr_assert_eq(sql_int("SELECT count(*) FROM login_token"), 0);
	cr_assert_eq(sql_int("SELECT count(*) FROM device"), 2);
}

Test(refresh, a_login_token_shown_by_two_at_once)
{
	struct ctx *b = session();
	const char *token = login_token(), *user;
	struct step *s;
	int64_t usr;

	db_begin(cx, TX_RW);
	cr_assert_eq(login_token_take(cx, token, &usr, &user), M_OK);
	s = step_start(b, by_token, &token);
	cr_assert(step_waits(s));
	cr_assert_eq(db_commit(cx), M_OK);
	cr_assert_eq(step_end(s), M_FORBIDDEN);
	cr_assert_eq(sql_int("SELECT count(*) FROM device"), 1);
}

Test(refresh, a_login_token_of_a_locked_account_is_gone)
{
	const char *token = login_token();

	sql("UPDATE account SET locked = true");
	cr_assert_eq(by_token(cx, &token), M_USER_LOCKED);
	sql("UPDATE account SET locked = false");
	cr_assert_eq(by_token(cx, &token), M_FORBIDDEN);
}

/* Whoever ends all sessions ends what could begin one, too; and a log-in by token at that moment is among them, or comes too late. */
static enum err
close_step(struct ctx *c, void *unused)
{
	struct uia u = { .endpoint = "changePassword" };

	cr_assert_eq(session_find(c, first.token), M_OK);
	return password_change(c, &u, "new", true);
}

Test(refresh, a_new_password_ends_login_tokens)
{
	struct ctx *b = session();
	const char *token = login_token(), *late = login_token(), *user;
	struct session s = { 0 };
	struct step *st;

	db_begin(cx, TX_RW);
	cr_assert_eq(login_token_take(cx, token, &s.user_nid, &user), M_OK);
	st = step_start(b, close_step, NULL);
	cr_assert(step_waits(st));
	cr_assert_eq(session_open(cx, &s, &(struct session_wish){ .device_id = "THIEF" }), M_OK);
	cr_assert_eq(db_commit(cx), M_OK);
	cr_assert_eq(step_end(st), M_OK);
	cr_assert_eq(sql_int("SELECT count(*) FROM device WHERE device_id = 'THIEF'"), 0);
	cr_assert_eq(by_token(cx, &late), M_FORBIDDEN);
	SAYS(use(first.token), "ok");
}

/* The same for one that is being made: its device is held, or gone. */
static enum err
make_step(struct ctx *c, void *unused)
{
	const char *token;
	int64_t ms;

	cr_assert_eq(session_find(c, first.token), M_OK);
	return login_token_make(c, &authorized, &token, &ms);
}

Test(refresh, a_login_token_is_not_made_after_the_end_of_its_session)
{
	struct ctx *b = session();
	struct step *st;

	db_begin(cx, TX_RW);
	cr_assert_eq(session_close_all(cx, alice.nid, 0), M_OK);
	st = step_start(b, make_step, NULL);
	cr_assert(step_waits(st));
	cr_assert_eq(db_commit(cx), M_OK);
	cr_assert_eq(step_end(st), M_UNKNOWN_TOKEN);
	cr_assert_eq(sql_int("SELECT count(*) FROM login_token"), 0);
}

static enum err
close_all_step(struct ctx *c, void *unused)
{
	enum err e;

	db_begin(c, TX_RW);
	if ((e = session_close_all(c, alice.nid, 0)) == M_OK)
		e = db_commit(c);
	return e;
}

Test(refresh, a_login_token_that_is_being_made_ends_with_all_sessions)
{
	struct ctx *b = session();
	struct step *st;

	/* somebody stands between the token and its COMMIT */
	sql("BEGIN; INSERT INTO login_token (hash, usr, expires_ts) SELECT 'x', usr, 9999999999999 FROM device FOR KEY SHARE");
	st = step_start(b, close_all_step, NULL);
	cr_assert(step_waits(st));
	sql("COMMIT");
	cr_assert_eq(step_end(st), M_OK);
	cr_assert_eq(sql_int("SELECT count(*) FROM login_token"), 0);
}

Test(refresh, a_new_password_ends_login_tokens_also_where_sessions_stay)
{
	const char *token = login_token();

	db_begin(cx, TX_RW);
	cr_assert_eq(account_set_password(cx, alice.nid, "hash"), M_OK);
	cr_assert_eq(db_commit(cx), M_OK);
	cr_assert_eq(by_token(cx, &token), M_FORBIDDEN);
	SAYS(use(first.token), "ok");
}

Test(refresh, openid_tokens)
{
	const char *token, *user;
	int64_t seconds;

	cr_assert_eq(session_find(cx, first.token), M_OK);
	cr_assert_eq(openid_token_make(cx, &token, &seconds), M_OK);
	cr_assert_eq(openid_token_find(cx, token, &user), M_OK);
	cr_assert_str_eq(user, "@alice:localhost");
	SAYS(use(token), "gone");
	cr_assert_eq(openid_token_find(cx, first.token, &user), M_UNKNOWN_TOKEN);
	cx->now += seconds * 1000 + 1;
	cr_assert_eq(openid_token_find(cx, token, &user), M_UNKNOWN_TOKEN);
	cx->now -= seconds * 1000;
	sql("DELETE FROM device");
	cr_assert_eq(openid_token_find(cx, token, &user), M_UNKNOWN_TOKEN);
}
