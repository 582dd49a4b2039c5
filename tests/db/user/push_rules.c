/* tests/db/user/push_rules.c - changing push rules: what is stored, who is woken, and two writers at once. */
#include <string.h>

#include "core/user/account.h"
#include "core/user/account_data.h"
#include "core/user/push_rules.h"
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

TestSuite(push_rules_db, .init = setup);

static enum err
put(struct ctx *c, const char *id)
{
	struct json *body;

	json_parse(c->a, "{\"actions\":[\"notify\"]}", 22, &body);
	return push_rule_put(c, "sender", id, body, NULL, NULL);
}

Test(push_rules_db, only_differences_are_stored)
{
	const char *text;

	cr_assert_eq(push_rule_enable(cx, "override", ".m.rule.master", true), M_OK);
	cr_assert_eq(cx->touched.nusers, 1);
	cr_assert_eq(account_data_stored(cx, "m.push_rules", &text), M_OK);
	cr_assert_str_eq(text, "{\"global\":{\"override\":[{\"enabled\":true,\"rule_id\":\".m.rule.master\"}]}}");
	cr_assert_eq(account_data_get(cx, NULL, "m.push_rules", &text), M_OK);
	cr_assert_str_eq(text, push_rules_merge(cx->a, cx->user, "{\"global\":{\"override\":[{\"enabled\":true,\"rule_id\":\".m.rule.master\"}]}}"));
}

Test(push_rules_db, no_change_is_no_news)
{
	long long pos;

	cr_assert_eq(put(cx, "@b:x"), M_OK);
	pos = sql_int("SELECT pos FROM account_data");
	cx->touched.nusers = 0;
	cr_assert_eq(put(cx, "@b:x"), M_OK);
	cr_assert_eq(sql_int("SELECT pos FROM account_data"), pos);
	cr_assert_eq(cx->touched.nusers, 0);
}

Test(push_rules_db, there_is_a_limit)
{
	const char *text = arena_printf(cx->a, "{\"actions\":[{\"set_tweak\":\"x\",\"value\":\"%060000d\"}],\"pattern\":\"a\"}", 0);
	struct json *body;

	cr_assert_eq(json_parse(cx->a, text, strlen(text), &body), JSON_OK);
	cr_assert_eq(push_rule_put(cx, "content", "a", body, NULL, NULL), M_OK);
	cr_assert_eq(push_rule_put(cx, "content", "b", body, NULL, NULL), M_OK);
	cr_assert_eq(push_rule_put(cx, "content", "c", body, NULL, NULL), M_TOO_LARGE);
}

/* Looking into messages costs with each of them; names of rooms are many where many are muted. */
Test(push_rules_db, there_is_a_limit_to_what_looks_into_messages)
{
	struct json *word, *room;
	int i;

	cr_assert_eq(json_parse(cx->a, "{\"actions\":[],\"pattern\":\"a\"}", 28, &word), JSON_OK);
	cr_assert_eq(json_parse(cx->a, "{\"actions\":[],\"conditions\":[{\"kind\":\"event_match\",\"key\":\"room_id\",\"pattern\":\"!a\"}]}", 83, &room), JSON_OK);
	for (i = 0; i < PUSH_LOOKS_MAX; i++)
		cr_assert_eq(push_rule_put(cx, "content", arena_printf(cx->a, "w%d", i), word, NULL, NULL), M_OK);
	cr_expect_eq(push_rule_put(cx, "content", "w", word, NULL, NULL), M_TOO_LARGE);
	cr_expect_eq(push_rule_put(cx, "override", "r", room, NULL, NULL), M_OK);
}

static enum err
put_in_tx(struct ctx *c, void *arg)
{
	enum err e;

	db_begin(c, TX_RW);
	if ((e = put(c, arg)) == M_OK)
		return db_commit(c);
	db_rollback(c);
	return e;
}

Test(push_rules_db, two_new_rules_at_once_are_both_kept)
{
	static char other[] = "@two:x";
	struct ctx *b = session();
	struct json *rules;
	struct step *s;

	become(b);
	db_begin(cx, TX_RW);
	cr_assert_eq(put(cx, "@one:x"), M_OK);
	s = step_start(b, put_in_tx, other);
	cr_assert(step_waits(s));
	cr_assert_eq(db_commit(cx), M_OK);
	cr_assert_eq(step_end(s), M_OK);
	cr_assert_eq(push_rules_get_kind(cx, "sender", &rules), M_OK);
	cr_assert_eq(rules->u.arr.n, 2);
}
