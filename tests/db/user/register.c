/* tests/db/user/register.c - registration and its authentication session, also for two at once. */
#include <string.h>

#include "core/user/account.h"
#include "core/user/register.h"
#include "core/user/uia.h"
#include "tests/db/harness.h"

static struct conf open_conf;

static struct ctx *
open_session(void)
{
	struct ctx *cx = session();

	open_conf = *cx->conf;
	open_conf.registration = REG_OPEN;
	open_conf.registration_shared_secret = "secret";
	cx->conf = &open_conf;
	return cx;
}

static struct json *
parse(struct ctx *cx, const char *text)
{
	struct json *v;

	cr_assert_eq(json_parse(cx->a, text, strlen(text), &v), JSON_OK, "%s", text);
	return v;
}

static enum err
reg(struct ctx *cx, const char *name, const char *body, struct session *out)
{
	struct registration r = { .username = name, .password = "pw" };

	return register_user(cx, &r, parse(cx, body), out);
}

static const char *
session_asked(struct ctx *cx, const char *name, const char *body)
{
	struct session s;

	cr_assert_eq(reg(cx, name, body, &s), E_REPLY_READY);
	return json_get_str(parse(cx, cx->err_body), "session");
}

#define ONE_STEP "{\"auth\":{\"type\":\"m.login.dummy\"}}"

Test(register, one_step_makes_account_profile_device_and_token)
{
	struct ctx *cx = open_session();
	struct session s;

	cr_assert_eq(reg(cx, "Alice", ONE_STEP, &s), M_OK);
	cr_assert_str_eq(s.user, "@alice:localhost");
	cr_assert_str_eq(sql("SELECT value FROM profile WHERE key = 'displayname'"), "\"alice\"");
	cr_assert_eq(sql_int("SELECT count(*) FROM access_token t JOIN device d ON d.nid = t.device WHERE d.device_id = '%s'",
	    s.device_id), 1);
	cr_assert_eq(sql_int("SELECT count(*) FROM uia_session"), 0);
	cr_assert_eq(session_find(cx, s.token), M_OK);
	cr_assert_str_eq(cx->user, "@alice:localhost");
	cr_assert_eq(cx->user_nid, s.user_nid);
}

Test(register, the_token_itself_is_nowhere)
{
	struct ctx *cx = open_session();
	struct session s;

	cr_assert_eq(reg(cx, "alice", ONE_STEP, &s), M_OK);
	cr_assert_eq(sql_int("SELECT count(*) FROM access_token t WHERE t::text LIKE '%%%s%%' OR encode(hash, 'escape') = '%s'",
	    s.token, s.token), 0);
	cr_assert_neq(sql("SELECT password_hash FROM account")[0], 'p');
}

/* The answer was lost: whoever has the session asks again, and is logged in to the account that it made. */
Test(register, replay_gives_the_same_account)
{
	struct ctx *cx = open_session();
	const char *id = session_asked(cx, "alice", "{\"username\":\"alice\"}");
	const char *body = arena_printf(cx->a, "{\"username\":\"alice\",\"auth\":{\"type\":\"m.login.dummy\",\"session\":\"%s\"}}", id);
	struct session one, two;

	cr_assert_eq(reg(cx, "alice", body, &one), M_OK);
	cr_assert_eq(reg(cx, "alice", body, &two), M_OK);
	cr_assert_eq(one.user_nid, two.user_nid);
	cr_assert_str_neq(one.token, two.token);
	cr_assert_eq(sql_int("SELECT count(*) FROM account"), 1);
}

Test(register, a_used_session_is_good_for_no_other_request)
{
	struct ctx *cx = open_session();
	const char *id = session_asked(cx, "alice", "{\"username\":\"alice\"}");
	struct session s;

	cr_assert_eq(reg(cx, "alice", arena_printf(cx->a,
	    "{\"username\":\"alice\",\"auth\":{\"type\":\"m.login.dummy\",\"session\":\"%s\"}}", id), &s), M_OK);
	cr_assert_eq(reg(cx, "bob", arena_printf(cx->a,
	    "{\"username\":\"bob\",\"auth\":{\"type\":\"m.login.dummy\",\"session\":\"%s\"}}", id), &s), E_REPLY_READY);
	cr_assert_eq(sql_int("SELECT count(*) FROM account"), 1);
}

struct attempt {
	const char *body;
	struct session s;
};

static enum err
attempt(struct ctx *cx, void *arg)
{
	struct attempt *at = arg;

	return reg(cx, "alice", at->body, &at->s);
}

/* Two connections, one name: the first holds the row of the name until it commits. */
Test(register, race_for_a_name)
{
	struct ctx *a = open_session(), *b = open_session();
	struct account_new n = { .localpart = "alice" };
	struct attempt at = { .body = ONE_STEP };
	struct account acc;
	struct step *s;

	db_begin(a, TX_RW);
	cr_assert_eq(account_create(a, &n, &acc), M_OK);
	s = step_start(b, attempt, &at);
	cr_assert(step_waits(s));
	cr_assert_eq(db_commit(a), M_OK);
	cr_assert_eq(step_end(s), M_USER_IN_USE);
	cr_assert_eq(sql_int("SELECT count(*) FROM account"), 1);
}

Test(register, race_that_the_first_one_gives_up)
{
	struct ctx *a = open_session(), *b = open_session();
	struct account_new n = { .localpart = "alice" };
	struct attempt at = { .body = ONE_STEP };
	struct account acc;
	struct step *s;

	db_begin(a, TX_RW);
	cr_assert_eq(account_create(a, &n, &acc), M_OK);
	s = step_start(b, attempt, &at);
	cr_assert(step_waits(s));
	db_rollback(a);
	cr_assert_eq(step_end(s), M_OK);
	cr_assert_str_eq(at.s.user, "@alice:localhost");
}

/* One authentication session, two requests without a name at once: it makes one account. */
Test(register, race_with_one_session)
{
	struct ctx *a = open_session(), *b = open_session();
	const char *id = session_asked(a, NULL, "{}");
	const char *body = arena_printf(a->a, "{\"auth\":{\"type\":\"m.login.dummy\",\"session\":\"%s\"}}", id);
	struct registration r = { 0 };
	struct uia u = { .endpoint = "register", .session = id };
	struct session s;
	struct step *st;
	struct attempt at = { .body = body };

	sha256("{}", 2, u.params);	/* the body without auth, as uia_check() takes it */
	db_begin(a, TX_RW);
	cr_assert_eq(uia_finish(a, &u, "somebody"), M_OK);
	st = step_start(b, attempt, &at);
	cr_assert(step_waits(st));
	cr_assert_eq(db_commit(a), M_OK);
	cr_assert_eq(step_end(st), E_RETRY);
	cr_assert_eq(sql_int("SELECT count(*) FROM account"), 0);
	/* and run again, it finds what the first one made (here: nobody of that name) */
	cr_assert_eq(register_user(b, &r, parse(b, body), &s), M_NOT_FOUND);
}

Test(register, name_known_from_rooms_before)
{
	struct ctx *cx = open_session();
	long long nid = sql_int("INSERT INTO name (body) VALUES ('@alice:localhost') RETURNING nid");
	struct session s;

	cr_assert_eq(reg(cx, "alice", ONE_STEP, &s), M_OK);
	cr_assert_eq(s.user_nid, nid);
}

Test(register, modes)
{
	struct ctx *cx = open_session();
	struct session s;

	open_conf.registration = REG_CLOSED;
	cr_assert_eq(reg(cx, "alice", ONE_STEP, &s), M_FORBIDDEN);
	cr_assert_eq(register_available(cx, "alice"), M_FORBIDDEN);
	open_conf.registration = REG_TOKEN;
	cr_assert_eq(reg(cx, "alice", ONE_STEP, &s), E_REPLY_READY, "it is another stage that it wants");
	cr_assert_eq(register_available(cx, "alice"), M_OK);
	cr_assert_eq(sql_int("SELECT count(*) FROM account"), 0);
}

Test(register, nonce_expires_and_is_good_once)
{
	struct ctx *cx = open_session();
	struct registration r = { .username = "alice", .password = "pw", .privileged = true };
	struct shared_secret s = { .mac = "0000000000000000000000000000000000000000" };
	struct session out;

	cr_assert_eq(register_nonce_new(cx, &s.nonce), M_OK);
	cr_assert_eq(register_by_secret(cx, &r, &s, &out), M_FORBIDDEN);	/* known, but the mac is wrong */
	sql("UPDATE register_nonce SET expires_ts = 1");
	cr_assert_eq(register_by_secret(cx, &r, &s, &out), E_BAD_REQUEST);
	open_conf.registration_shared_secret = "";
	cr_assert_eq(register_nonce_new(cx, &s.nonce), E_BAD_REQUEST);
	cr_assert_eq(sql_int("SELECT count(*) FROM account"), 0);
}
