/* tests/db/e2ee/inbox.c - messages to devices: delivered until acknowledged, however writers overtake each other. */
#include "core/e2ee/inbox.h"
#include "core/jobs/jobs.h"
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

TestSuite(inbox, .init = setup);

static enum err
send(struct ctx *cx, const char *n)
{
	return to_device_send(cx, "t", jsonf(cx, "{'@alice:localhost':{'%s':{'n':'%s'}}}", device, n), arena_printf(cx->a, "PUT %s", n), n);
}

static void
say(struct client *c, const char *n)
{
	cr_assert_eq(CALL(c, send(c->cx, n)), M_OK);
}

/* The messages of alice's last answer. */
static const char *
got(void)
{
	const struct json *v = at(alice->last, "to_device/events");
	struct buf b;

	buf_init(&b, alice->a);
	for (size_t i = 0; v && i < v->u.arr.n; i++)
		buf_addf(&b, "%s%s", i ? " " : "", json_get_str(json_get(v->u.arr.v[i], "content"), "n"));
	return b.s;
}

static const char *
sync_from(const char *since)
{
	alice->since = since;
	alice->last = NULL;
	client_sync(alice);
	return got();
}

Test(inbox, a_message_that_took_long_is_delivered_and_what_came_before_is_not_again)
{
	const char *first, *second, *third;

	sync_from(NULL);
	session_next(bob->cx);
	db_begin(bob->cx, TX_RW);
	cr_assert_eq(send(bob->cx, "slow"), M_OK);	/* it has its position, below the next one */
	say(carol, "quick");
	first = alice->since;
	cr_assert_str_eq(sync_from(first), "quick");
	second = alice->since;
	cr_assert_eq(db_commit(bob->cx), M_OK);
	cr_assert_str_eq(sync_from(second), "slow");
	third = alice->since;
	cr_assert_eq(sql_int("SELECT count(*) FROM to_device"), 1, "only the acknowledged one is gone");
	/* A token counts as often as it is used. */
	cr_assert_str_eq(sync_from(second), "slow");
	cr_assert_str_eq(sync_from(third), "");
	cr_assert_eq(sql_int("SELECT count(*) FROM to_device"), 0);
}

Test(inbox, a_slow_one_below_a_full_answer)
{
	const char *since;

	sync_from(NULL);
	session_next(bob->cx);
	db_begin(bob->cx, TX_RW);
	cr_assert_eq(send(bob->cx, "slow"), M_OK);
	for (int i = 0; i < 150; i++)
		say(carol, arena_printf(carol->a, "%d", i));
	sync_from(alice->since);
	cr_assert_eq(at(alice->last, "to_device/events")->u.arr.n, 100);
	since = alice->since;
	cr_assert_eq(db_commit(bob->cx), M_OK);
	sync_from(since);
	cr_assert_eq(at(alice->last, "to_device/events")->u.arr.n, 51);
	cr_assert_eq(strncmp(got(), "slow 100 101 ", 13), 0, "%s", got());
	cr_assert_eq(sql_int("SELECT count(*) FROM to_device"), 51);
	cr_assert_str_eq(sync_from(alice->since), "");
	cr_assert_eq(sql_int("SELECT count(*) FROM to_device"), 0);
}

Test(inbox, in_a_batch_each_device_gets_its_own)
{
	struct client *two = client_again(alice);
	struct sync_wait w[2] = { { .user_nid = alice->nid, .device = alice->device, .token = client_token(alice->a, alice->device), .user = alice->user, .device_id = "D" },
		{ .user_nid = two->nid, .device = two->device, .token = client_token(two->a, two->device), .user = two->user, .device_id = "D" } };
	struct sync_wait *v[2] = { &w[0], &w[1] };
	const char *body[2];
	size_t n[2];
	enum err err[2];

	client_sync(alice);
	client_sync(two);
	say(bob, "1");
	w[0].since = alice->since;
	w[1].since = two->since;
	session_next(alice->cx);
	cr_assert_eq(sync_compute(alice->cx, v, 2, body, n, err), M_OK);
	cr_assert_eq(err[0], M_OK);
	cr_assert_not_null(strstr(body[0], "\"to_device\":{\"events\":[{\"sender\":\"@bob:localhost\",\"type\":\"t\",\"content\":{\"n\":\"1\"}}]}"));
	cr_assert_eq(err[1], E_PARK);
}

STMT(t_device_drop, "DELETE FROM device WHERE nid = $1");

static enum err
delete_device(struct ctx *cx, void *arg)
{
	return db_exec(cx, NULL, &t_device_drop, P_I64(alice->device));
}

Test(inbox, a_device_that_is_deleted_while_it_is_written_to)
{
	struct step *s;

	session_next(bob->cx);
	db_begin(bob->cx, TX_RW);
	cr_assert_eq(send(bob->cx, "late"), M_OK);
	s = step_start(carol->cx, delete_device, NULL);
	cr_assert(step_waits(s));
	cr_assert_eq(db_commit(bob->cx), M_OK);
	cr_assert_eq(step_end(s), M_OK);
	cr_assert_eq(sql_int("SELECT count(*) FROM to_device"), 1);
	cr_assert_eq(sql_int("SELECT count(*) FROM job WHERE kind = 'to_device_purge'"), 1);
	session_next(carol->cx);
	cr_assert_geq(jobs_run_due(carol->cx), 1);
	cr_assert_eq(sql_int("SELECT count(*) FROM to_device"), 0);
	say(bob, "nobody");
	cr_assert_eq(sql_int("SELECT count(*) FROM to_device"), 0);
}

Test(inbox, a_transaction_that_is_there_twice_at_once)
{
	struct ctx *again = session();

	session_next(bob->cx);
	*again = (struct ctx){ .a = again->a, .db = again->db, .conf = again->conf, .key = again->key, .now = again->now,
	    .user = bob->user, .user_nid = bob->nid, .device = bob->device };
	say(bob, "once");
	db_begin(again, TX_RW);
	cr_assert_eq(send(again, "once"), M_OK);
	cr_assert_eq(db_commit(again), M_OK);
	cr_assert_eq(sql_int("SELECT count(*) FROM to_device"), 1);
}
