/* tests/db/user/uia.c - authentication sessions: what they are bound to, in which order stages go, that they end. */
#include <string.h>

#include "core/user/account.h"
#include "core/user/hash_gate.h"
#include "core/user/uia.h"
#include "tests/db/harness.h"

static const struct uia_flow flows[] = {
	{ { "m.login.password", "m.login.dummy" } },
	{ { "m.login.dummy" } },
};
static const struct uia_flow only_password[] = { { { "m.login.password" } } };

static struct ctx *cx;
static int64_t alice;

static void
setup(void)
{
	struct account_new n = { .localpart = "alice" };
	struct account acc;

	cx = session();
	n.password_hash = gated_password_hash(cx, "pw");
	cr_assert_eq(account_create(cx, &n, &acc), M_OK);
	alice = acc.nid;
}

TestSuite(uia, .init = setup);

static struct json *
parse(const char *text)
{
	struct json *v;

	cr_assert_eq(json_parse(cx->a, text, strlen(text), &v), JSON_OK, "%s", text);
	return v;
}

static struct uia
of(const struct uia_flow *f, size_t n, int64_t usr, const char *body)
{
	return (struct uia){ .endpoint = "test", .flows = f, .nflows = n, .usr = usr, .body = parse(body) };
}

static enum err
check(const struct uia_flow *f, size_t n, int64_t usr, const char *body)
{
	struct uia u = of(f, n, usr, body);

	return uia_check(cx, &u);
}

static const char *
asked(const char *key)
{
	return json_get_str(parse(cx->err_body), key);
}

#define PASSWORD "\"type\":\"m.login.password\",\"user\":\"alice\",\"password\":\"%s\""

Test(uia, stages_go_in_order_of_a_flow)
{
	const char *id;

	cr_assert_eq(check(flows, 1, alice, "{}"), E_REPLY_READY);
	id = asked("session");
	cr_assert_eq(json_get(parse(cx->err_body), "completed"), NULL);
	/* the second stage first */
	cr_assert_eq(check(flows, 1, alice, arena_printf(cx->a, "{\"auth\":{\"type\":\"m.login.dummy\",\"session\":\"%s\"}}", id)),
	    E_REPLY_READY);
	cr_assert_str_eq(asked("errcode"), "M_FORBIDDEN");
	cr_assert_str_eq(asked("session"), id);
	/* the first one: not done yet, but completed */
	cr_assert_eq(check(flows, 1, alice,
	    arena_printf(cx->a, "{\"auth\":{" PASSWORD ",\"session\":\"%s\"}}", "pw", id)), E_REPLY_READY);
	cr_assert_null(asked("errcode"));
	cr_assert(json_str_eq(json_get(parse(cx->err_body), "completed")->u.arr.v[0], "m.login.password"));
	/* it is not checked again */
	cr_assert_eq(check(flows, 1, alice,
	    arena_printf(cx->a, "{\"auth\":{" PASSWORD ",\"session\":\"%s\"}}", "wrong", id)), E_REPLY_READY);
	cr_assert_null(asked("errcode"));
	cr_assert_eq(check(flows, 1, alice, arena_printf(cx->a, "{\"auth\":{\"type\":\"m.login.dummy\",\"session\":\"%s\"}}", id)), M_OK);
	/* and all done, the session alone is enough */
	cr_assert_eq(check(flows, 1, alice, arena_printf(cx->a, "{\"auth\":{\"session\":\"%s\"}}", id)), M_OK);
}

Test(uia, never_without_auth_even_if_a_dummy_is_enough)
{
	cr_assert_eq(check(flows, 2, alice, "{}"), E_REPLY_READY);
	cr_assert_eq(check(flows, 2, alice, "{\"auth\":{}}"), E_REPLY_READY);
	cr_assert_eq(check(flows, 2, alice, "{\"auth\":null}"), E_REPLY_READY);
	cr_assert_eq(check(flows, 2, alice, "{\"auth\":{\"type\":\"m.login.dummy\"}}"), M_OK);
	cr_assert_eq(check(flows, 2, alice, "{\"auth\":[]}"), M_BAD_JSON);
}

Test(uia, wrong_password_keeps_the_session)
{
	const char *id;

	cr_assert_eq(check(only_password, 1, alice, arena_printf(cx->a, "{\"auth\":{" PASSWORD "}}", "wrong")), E_REPLY_READY);
	cr_assert_str_eq(asked("errcode"), "M_FORBIDDEN");
	id = asked("session");
	cr_assert_eq(check(only_password, 1, alice,
	    arena_printf(cx->a, "{\"auth\":{" PASSWORD ",\"session\":\"%s\"}}", "pw", id)), M_OK);
}

Test(uia, bound_to_endpoint_user_and_parameters)
{
	struct uia u = of(flows, 1, alice, "{\"x\":1}");
	const char *id, *body;

	cr_assert_eq(uia_check(cx, &u), E_REPLY_READY);
	id = asked("session");
	body = arena_printf(cx->a, "{\"x\":1,\"auth\":{" PASSWORD ",\"session\":\"%s\"}}", "pw", id);
	cr_assert_eq(check(flows, 1, alice, body), E_REPLY_READY);
	body = arena_printf(cx->a, "{\"x\":1,\"auth\":{\"type\":\"m.login.dummy\",\"session\":\"%s\"}}", id);

	u = of(flows, 1, alice, body);
	u.endpoint = "other";
	cr_assert_eq(uia_check(cx, &u), M_FORBIDDEN);
	cr_assert_eq(check(flows, 1, alice + 1, body), E_REPLY_READY);
	cr_assert_str_neq(asked("session"), id);
	cr_assert_eq(check(flows, 1, alice,
	    arena_printf(cx->a, "{\"x\":2,\"auth\":{\"type\":\"m.login.dummy\",\"session\":\"%s\"}}", id)), M_FORBIDDEN);
	cr_assert_eq(check(flows, 1, alice, body), M_OK);
}

Test(uia, parameters_may_change_before_the_first_stage)
{
	const char *id;

	cr_assert_eq(check(flows, 2, 0, "{}"), E_REPLY_READY);
	id = asked("session");
	cr_assert_eq(check(flows, 2, 0,
	    arena_printf(cx->a, "{\"username\":\"x\",\"auth\":{\"type\":\"m.login.dummy\",\"session\":\"%s\"}}", id)), M_OK);
	cr_assert_eq(check(flows, 2, 0,
	    arena_printf(cx->a, "{\"username\":\"y\",\"auth\":{\"session\":\"%s\"}}", id)), M_FORBIDDEN);
}

Test(uia, good_once_and_for_a_day)
{
	struct uia u = of(only_password, 1, alice, arena_printf(cx->a, "{}"));
	const char *id, *body;

	cr_assert_eq(uia_check(cx, &u), E_REPLY_READY);
	id = asked("session");
	body = arena_printf(cx->a, "{\"auth\":{" PASSWORD ",\"session\":\"%s\"}}", "pw", id);
	u = of(only_password, 1, alice, body);
	cr_assert_eq(uia_check(cx, &u), M_OK);
	cr_assert_str_eq(u.session, id);
	cr_assert_eq(uia_finish(cx, &u, ""), M_OK);
	cr_assert_eq(uia_finish(cx, &u, ""), E_RETRY);
	cr_assert_eq(uia_check(cx, &u), E_REPLY_READY);

	cr_assert_eq(check(only_password, 1, alice, "{}"), E_REPLY_READY);
	id = asked("session");
	sql("UPDATE uia_session SET created_ts = created_ts - 86400001");
	cr_assert_eq(check(only_password, 1, alice,
	    arena_printf(cx->a, "{\"auth\":{" PASSWORD ",\"session\":\"%s\"}}", "pw", id)), E_REPLY_READY);
}

Test(uia, another_accounts_password_does_not_count)
{
	struct account_new n = { .localpart = "bob", .password_hash = gated_password_hash(cx, "pw") };
	struct account bob;

	cr_assert_eq(account_create(cx, &n, &bob), M_OK);
	cr_assert_eq(check(only_password, 1, bob.nid, arena_printf(cx->a, "{\"auth\":{" PASSWORD "}}", "pw")), E_REPLY_READY);
	cr_assert_str_eq(asked("errcode"), "M_FORBIDDEN");
}

Test(uia, no_hash_of_a_password_alone_is_kept)
{
	const char *same;

	cr_assert_eq(check(only_password, 1, alice, "{\"new_password\":\"one\"}"), E_REPLY_READY);
	same = sql("SELECT params FROM uia_session");
	cr_assert_eq(check(only_password, 1, alice, "{\"new_password\":\"two\",\"password\":\"x\"}"), E_REPLY_READY);
	cr_assert_eq(sql_int("SELECT count(DISTINCT params) FROM uia_session"), 1, "%s", same);
}

/* ---- the password is changed while what the old one authorized is not done yet */

static enum err
set_password(struct ctx *c, const char *password)
{
	enum err e;

	db_begin(c, TX_RW);
	if ((e = account_set_password(c, alice, gated_password_hash(c, password))) == M_OK)
		e = db_commit(c);
	if (e != M_OK)
		db_rollback(c);
	return e;
}

static enum err
set_password_step(struct ctx *c, void *unused)
{
	return set_password(c, "new");
}

Test(uia, a_new_password_ends_what_the_old_one_authorized)
{
	struct ctx *b = session();
	const char *id, *body;
	struct uia u;

	/* in an earlier request, or on the fallback page */
	cr_assert_eq(check(flows, 1, alice, "{}"), E_REPLY_READY);
	id = asked("session");
	cr_assert_eq(check(flows, 1, alice, arena_printf(cx->a, "{\"auth\":{" PASSWORD ",\"session\":\"%s\"}}", "pw", id)), E_REPLY_READY);
	body = arena_printf(cx->a, "{\"auth\":{\"type\":\"m.login.dummy\",\"session\":\"%s\"}}", id);
	cr_assert_eq(set_password(b, "new"), M_OK);
	cr_assert_eq(check(flows, 1, alice, body), E_REPLY_READY);
	cr_assert_str_neq(asked("session"), id);
	/* in this request: it is run again, and refused */
	u = of(only_password, 1, alice, arena_printf(cx->a, "{\"auth\":{" PASSWORD "}}", "new"));
	cr_assert_eq(uia_check(cx, &u), M_OK);
	session_next(b);
	cr_assert_eq(set_password(b, "newer"), M_OK);
	db_begin(cx, TX_RW);
	cr_assert_eq(uia_finish(cx, &u, ""), E_RETRY);
	db_rollback(cx);
	cr_assert_eq(uia_check(cx, &u), E_REPLY_READY);
	cr_assert_str_eq(asked("errcode"), "M_FORBIDDEN");
}

Test(uia, a_new_password_waits_for_what_the_old_one_does)
{
	struct ctx *b = session();
	struct uia u = of(only_password, 1, alice, arena_printf(cx->a, "{\"auth\":{" PASSWORD "}}", "pw"));
	struct step *s;

	cr_assert_eq(uia_check(cx, &u), M_OK);
	db_begin(cx, TX_RW);
	cr_assert_eq(uia_finish(cx, &u, ""), M_OK);
	s = step_start(b, set_password_step, NULL);
	cr_assert(step_waits(s));
	cr_assert_eq(db_commit(cx), M_OK);
	cr_assert_eq(step_end(s), M_OK);
}
