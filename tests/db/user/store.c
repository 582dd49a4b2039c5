/* tests/db/user/store.c - profiles, account data, filters: limits, and two writers at once. */
#include <string.h>

#include "core/user/account.h"
#include "core/user/account_data.h"
#include "core/user/filter_store.h"
#include "core/user/profile.h"
#include "tests/db/harness.h"

static struct ctx *cx;
static struct account alice;

static void
become(struct ctx *c)
{
	c->user = "@alice:localhost";
	c->user_nid = alice.nid;
}

static void
setup(void)
{
	struct account_new n = { .localpart = "alice" };

	cx = session();
	cr_assert_eq(account_create(cx, &n, &alice), M_OK);
	become(cx);
}

TestSuite(store, .init = setup);

static struct json *
parse(struct ctx *c, const char *text)
{
	struct json *v;

	cr_assert_eq(json_parse(c->a, text, strlen(text), &v), JSON_OK, "%s", text);
	return v;
}

static struct json *
long_string(struct ctx *c, size_t n)
{
	char *s = arena_alloc(c->a, n + 1);

	memset(s, 'x', n);
	s[n] = '\0';
	return json_new_str(c->a, s);
}

static enum err
set_big(struct ctx *c, void *arg)
{
	enum err e;

	db_begin(c, TX_RW);
	e = profile_set(c, arg, long_string(c, 40000));
	if (e != M_OK) {
		db_rollback(c);
		return e;
	}
	return db_commit(c);
}

Test(store, profile_sum_holds_for_two_at_once)
{
	struct ctx *b = session();
	char one[] = "org.one", two[] = "org.two";
	struct step *s;

	become(b);
	db_begin(cx, TX_RW);
	cr_assert_eq(profile_set(cx, one, long_string(cx, 40000)), M_OK);
	s = step_start(b, set_big, two);
	cr_assert(step_waits(s));
	cr_assert_eq(db_commit(cx), M_OK);
	cr_assert_eq(step_end(s), M_PROFILE_TOO_LARGE);
	cr_assert_eq(sql_int("SELECT count(*) FROM profile WHERE key LIKE 'org.%%'"), 1);
}

Test(store, profile_of_members_and_null)
{
	const char *name, *avatar;

	cr_assert_eq(profile_for_member(cx, alice.nid, &name, &avatar), M_OK);
	cr_assert_str_eq(name, "alice");
	cr_assert_null(avatar);
	cr_assert_eq(profile_set(cx, "avatar_url", json_new_str(cx->a, "mxc://a/b")), M_OK);
	cr_assert_eq(profile_set(cx, "displayname", json_new_null(cx->a)), M_OK);
	cr_assert_eq(profile_for_member(cx, alice.nid, &name, &avatar), M_OK);
	cr_assert_null(name);
	cr_assert_str_eq(avatar, "mxc://a/b");
	/* many changes, one job */
	cr_assert_eq(sql_int("SELECT count(*) FROM job WHERE kind = 'profile_refresh'"), 1);
	cr_assert_eq(profile_set(cx, "org.x", json_new_null(cx->a)), M_OK);
	cr_assert_str_eq(sql("SELECT value FROM profile WHERE key = 'org.x'"), "null");
}

Test(store, account_data_with_nul_and_news)
{
	long long before = sql_int("SELECT coalesce(max(pos), 0) FROM account_data");
	const char *text;

	cr_assert_eq(account_data_set(cx, NULL, "t\\u0000", parse(cx, "{\"b\":\"\\u0000\",\"a\":1}")), M_OK);
	cr_assert_eq(account_data_get(cx, NULL, "t\\u0000", &text), M_OK);
	cr_assert_str_eq(text, "{\"a\":1,\"b\":\"\\u0000\"}");
	cr_assert_eq(cx->touched.nusers, 1);
	cr_assert_gt(sql_int("SELECT pos FROM account_data"), before);
	before = sql_int("SELECT pos FROM account_data");
	cr_assert_eq(account_data_set(cx, NULL, "t\\u0000", parse(cx, "{}")), M_OK);
	cr_assert_gt(sql_int("SELECT pos FROM account_data"), before);
	cr_assert_eq(account_data_set(cx, "!nowhere:localhost", "t", parse(cx, "{}")), M_NOT_FOUND);
	cr_assert_eq(account_data_get(cx, "!nowhere:localhost", "t", &text), M_NOT_FOUND);
	cr_assert_eq(account_data_set(cx, NULL, "m.push_rules", parse(cx, "{}")), E_PROTECTED_TYPE);
	cr_assert_eq(err_status(E_PROTECTED_TYPE), 405);
}

static enum err
save(struct ctx *c, void *arg)
{
	const char **id = arg;
	enum err e;

	db_begin(c, TX_RW);
	if ((e = filter_save(c, parse(c, "{\"b\":2}"), id)) == M_OK)
		return db_commit(c);
	db_rollback(c);
	return e;
}

Test(store, two_new_filters_at_once_get_two_ids)
{
	struct ctx *b = session();
	const char *one, *two, *again, *body;
	struct step *s;

	become(b);
	db_begin(cx, TX_RW);
	cr_assert_eq(filter_save(cx, parse(cx, "{\"a\":1}"), &one), M_OK);
	s = step_start(b, save, &two);
	cr_assert(step_waits(s));
	cr_assert_eq(db_commit(cx), M_OK);
	cr_assert_eq(step_end(s), M_OK);
	cr_assert_str_eq(one, "0");
	cr_assert_str_eq(two, "1");
	cr_assert_eq(save(cx, &again), M_OK);
	cr_assert_str_eq(again, "1");
	cr_assert_eq(filter_load(cx, alice.nid, "1", &body), M_OK);
	cr_assert_str_eq(body, "{\"b\":2}");
	cr_assert_eq(filter_load(cx, alice.nid, "-1", &body), M_NOT_FOUND);
	cr_assert_eq(filter_load(cx, alice.nid, "99999999999", &body), M_NOT_FOUND);
	cr_assert_eq(filter_load(cx, alice.nid + 1, "1", &body), M_NOT_FOUND);
}
