/* tests/db/e2ee/claim.c - one-time keys: each to one claimer, whatever happens at the same moment; many in one statement. */
#include "core/e2ee/device_keys.h"
#include "core/e2ee/one_time.h"
#include "tests/db/e2ee/device.h"

static struct client *alice, *bob, *carol;
static char device[64];

static void
setup(void)
{
	alice = client_new("alice");
	bob = client_new("bob");
	carol = client_new("carol");
	snprintf(device, sizeof device, "%s", device_name(alice));
}

TestSuite(claim, .init = setup);

static void
upload(struct client *c, const char *one_time, const char *fallback)
{
	struct json_out o;

	session_next(c->cx);
	json_out_init(&o, c->cx->a);
	json_obj(&o, NULL);
	db_begin(c->cx, TX_RW);
	cr_assert_eq(keys_upload(c->cx, NULL, jsonf(c->cx, "%s", one_time), jsonf(c->cx, "%s", fallback), &o), M_OK);
	cr_assert_eq(db_commit(c->cx), M_OK);
}

/* What c gets, in the transaction that is open or in none. */
static const char *
claim(struct client *c)
{
	return WRITTEN(c, keys_claim(c->cx, jsonf(c->cx, "{'@alice:localhost':{'%s':'k'}}", device), &o));
}

static const char *
expected(struct client *c, const char *id, const char *body)
{
	return arena_printf(c->cx->a, "{\"one_time_keys\":{\"@alice:localhost\":{\"%s\":{\"k:%s\":\"%s\"}}}}", device, id, body);
}

Test(claim, two_at_once_do_not_wait_and_get_two_keys)
{
	upload(alice, "{'k:z':'first'}", "{}");
	upload(alice, "{'k:a':'second'}", "{}");
	db_begin(bob->cx, TX_RW);
	db_begin(carol->cx, TX_RW);
	cr_assert_str_eq(claim(bob), expected(bob, "z", "first"));
	cr_assert_str_eq(claim(carol), expected(carol, "a", "second"));
	db_rollback(bob->cx);	/* is not waited for */
	while (sql_int("SELECT count(*) FROM pg_stat_activity WHERE pid = %d AND state <> 'idle'", db_backend_pid(bob->cx->db)) > 0)
		test_pause();
	cr_assert_eq(db_commit(carol->cx), M_OK);
	/* What a failed claimer held is there for the next, and nothing else. */
	cr_assert_str_eq(claim(carol), expected(carol, "z", "first"));
	cr_assert_str_eq(claim(carol), "{\"one_time_keys\":{}}");
}

Test(claim, the_fallback_key_when_the_last_one_is_being_taken)
{
	upload(alice, "{'k:1':'last'}", "{'k:f':'fallback'}");
	db_begin(bob->cx, TX_RW);
	cr_assert_str_eq(claim(bob), expected(bob, "1", "last"));
	cr_assert_str_eq(claim(carol), expected(carol, "f", "fallback"));
	cr_assert_eq(db_commit(bob->cx), M_OK);
	cr_assert_str_eq(claim(bob), expected(bob, "f", "fallback"));
	cr_assert_eq(sql_int("SELECT count(*) FROM key_used"), 2, "the last one-time key, the first use of the fallback key");
}

static enum err
claim_step(struct ctx *cx, void *arg)
{
	const char **out = arg;

	*out = claim(carol);
	return M_OK;
}

Test(claim, two_first_uses_of_a_fallback_key)
{
	const char *got = NULL;
	struct step *s;

	upload(alice, "{}", "{'k:f':'fallback'}");
	db_begin(bob->cx, TX_RW);
	cr_assert_str_eq(claim(bob), expected(bob, "f", "fallback"));
	s = step_start(carol->cx, claim_step, &got);
	cr_assert(step_waits(s));
	cr_assert_eq(db_commit(bob->cx), M_OK);
	cr_assert_eq(step_end(s), M_OK);
	cr_assert_str_eq(got, expected(carol, "f", "fallback"));
	cr_assert_str_eq(sql("SELECT used::text FROM fallback_key"), "true");
}

Test(claim, a_thousand_devices_and_a_query_of_them_are_one_round_trip_each)
{
	struct json *wanted, *users;
	struct json_out o;

	sql("INSERT INTO name (body) SELECT '@u' || i || ':localhost' FROM generate_series(1, 200) i");
	sql("INSERT INTO account (usr, localpart, created_ts) SELECT nid, substr(split_part(body, ':', 1), 2), 0 FROM name"
	    " WHERE body LIKE '@u%%:localhost'");
	sql("INSERT INTO device (usr, device_id, created_ts) SELECT usr, 'E' || d, 0 FROM account, generate_series(1, 5) d"
	    " WHERE localpart LIKE 'u%%'");
	sql("INSERT INTO device_key SELECT nid, '{\"n\":' || nid || '}' FROM device WHERE device_id LIKE 'E%%'");
	sql("INSERT INTO one_time_key (device, algorithm, key_id, body) SELECT nid, 'k', i, '\"' || nid || '\"' FROM device,"
	    " generate_series(1, 2) i WHERE device_id LIKE 'E%%'");
	session_next(bob->cx);
	wanted = json_new_obj(bob->cx->a);
	users = json_new_obj(bob->cx->a);
	for (int i = 1; i <= 200; i++) {
		json_set(bob->cx->a, wanted, arena_printf(bob->cx->a, "@u%d:localhost", i),
		    jsonf(bob->cx, "{'E1':'k','E2':'k','E3':'k','E4':'k','E5':'k'}"));
		json_set(bob->cx->a, users, arena_printf(bob->cx->a, "@u%d:localhost", i), json_new_arr(bob->cx->a));
	}
	json_out_init(&o, bob->cx->a);
	json_obj(&o, NULL);
	/* The first use of a statement on a connection prepares it. */
	cr_assert_eq(keys_claim(bob->cx, json_new_obj(bob->cx->a), &o), M_OK);
	cr_assert_eq(keys_query(bob->cx, json_new_obj(bob->cx->a), &o), M_OK);
	db_stats_reset(bob->cx->db);
	cr_assert_eq(keys_claim(bob->cx, wanted, &o), M_OK);
	cr_assert_eq(db_stats(bob->cx->db).trips, 1);
	cr_assert_eq(db_stats(bob->cx->db).rows, 1000);
	cr_assert_eq(sql_int("SELECT count(*) FROM one_time_key WHERE key_id = '2'"), 1000, "the older ones are gone");
	cr_assert_eq(sql_int("SELECT count(*) FROM one_time_key"), 1000);
	db_stats_reset(bob->cx->db);
	cr_assert_eq(keys_query(bob->cx, users, &o), M_OK);
	cr_assert_eq(db_stats(bob->cx->db).trips, 1);
	cr_assert_eq(db_stats(bob->cx->db).rows, 1200, "1,000 devices, and a row for each user");
}
