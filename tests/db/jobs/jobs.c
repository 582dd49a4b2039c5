/* tests/db/jobs/jobs.c - jobs run once each, again when added meanwhile, later when they fail; rows that end are removed. */
#include <string.h>

#include "core/jobs/jobs.h"
#include "core/jobs/jobs_impl.h"
#include "tests/db/harness.h"

#define DAY (24 * 3600 * 1000LL)

static void
add(struct ctx *cx, const char *kind, const char *key, int64_t ts)
{
	job_add(cx, kind, key, NULL, ts);
	cr_assert_eq(db_run(cx), M_OK);
}

Test(jobs, due_ones_run_once_and_go)
{
	struct ctx *cx = session();

	add(cx, "profile_refresh", "1", 0);	/* of nobody: nothing to do, which is success */
	add(cx, "profile_refresh", "2", 0);
	add(cx, "profile_refresh", "2", 0);
	add(cx, "profile_refresh", "3", cx->now + DAY);
	cr_assert_eq(jobs_run_due(cx), 2);
	cr_assert_str_eq(sql("SELECT string_agg(key, ' ') FROM job"), "3");
	cr_assert_eq(jobs_run_due(cx), 0);
}

Test(jobs, kinds_of_another_release_are_left_alone)
{
	struct ctx *cx = session();

	add(cx, "of_tomorrow", "", 0);
	cr_assert_eq(jobs_run_due(cx), 0);
	cr_assert_eq(sql_int("SELECT attempts FROM job"), 0);
}

Test(jobs, added_again_moves_ahead_never_back)
{
	struct ctx *cx = session();

	add(cx, "profile_refresh", "1", 1000);
	add(cx, "profile_refresh", "1", 2000);
	cr_assert_eq(sql_int("SELECT run_ts FROM job"), 1000);
	add(cx, "profile_refresh", "1", 0);
	cr_assert_eq(sql_int("SELECT run_ts FROM job"), 0);
	cr_assert_eq(sql_int("SELECT count(*) FROM job"), 1);
}

/* Another worker has the row; it was added once more meanwhile: its end must not take the row away. */
Test(jobs, a_worker_that_has_it_keeps_others_off)
{
	struct ctx *cx = session(), *b = session();

	add(cx, "profile_refresh", "1", 0);
	sql("UPDATE job SET run_ts = %lld", (long long)cx->now + 60000);	/* a lease, as job_claim takes it */
	cr_assert_eq(jobs_run_due(b), 0);
	add(b, "profile_refresh", "1", 0);
	cr_assert_eq(sql_int("SELECT gen FROM job"), 1);
	cr_assert_eq(jobs_run_due(b), 1);
	cr_assert_eq(sql_int("SELECT count(*) FROM job"), 0);
}

Test(jobs, two_workers_share)
{
	struct ctx *cx = session(), *b = session();

	for (int i = 0; i < 5; i++)
		add(cx, "profile_refresh", arena_printf(cx->a, "%d", i), 0);
	/* b stands in the middle of a claim: its row is passed over, the others are not waited for */
	sql("BEGIN; SELECT 1 FROM job WHERE key = '0' FOR UPDATE");
	cr_assert_eq(jobs_run_due(b), 4);
	sql("COMMIT");
	cr_assert_eq(jobs_run_due(cx), 1);
}

Test(jobs, a_failure_comes_back_later_and_is_told)
{
	struct ctx *cx = session();
	long long pause;

	add(cx, "uia_cleanup", "", 0);
	sql("ALTER TABLE uia_session RENAME TO gone");
	cr_assert_eq(jobs_run_due(cx), 0);
	cr_assert_eq(sql_int("SELECT attempts FROM job"), 1);
	cr_assert_str_neq(sql("SELECT error FROM job"), "");
	pause = sql_int("SELECT run_ts - %lld FROM job", (long long)cx->now);
	cr_assert_geq(pause, 4000);
	cr_assert_leq(pause, 3600 * 1000);
	sql("ALTER TABLE gone RENAME TO uia_session; UPDATE job SET run_ts = 0");
	cr_assert_eq(jobs_run_due(cx), 1);
	cr_assert_eq(sql_int("SELECT count(*) FROM job WHERE attempts = 0 AND error IS NULL AND run_ts > 0"), 1);
}

Test(jobs, what_has_served_its_time_goes_the_rest_stays)
{
	struct ctx *cx = session();

	sql("SELECT admin.create_user('alice', 'pw')");
	sql("INSERT INTO device (usr, device_id, created_ts) SELECT usr, 'D', 0 FROM account");
	for (int old = 0; old < 2; old++) {
		long long at = (long long)cx->now - (old ? DAY + 1000 : 1000);

		sql("INSERT INTO txn (device, key, txn_id, ts) SELECT nid, 'k%d', 't', %lld FROM device", old, at);
		sql("INSERT INTO uia_session (id, endpoint, params, created_ts) VALUES ('%d', 'e', '', %lld)", old, at);
		sql("INSERT INTO register_nonce VALUES ('%d', %lld)", old, (long long)cx->now + (old ? -1000 : DAY));
		sql("INSERT INTO login_token (hash, usr, expires_ts) SELECT 'l%d', usr, %lld FROM device",
		    old, (long long)cx->now + (old ? -1000 : DAY));
		sql("INSERT INTO openid_token (hash, device, expires_ts) SELECT 'o%d', nid, %lld FROM device",
		    old, (long long)cx->now + (old ? -1000 : DAY));
	}
	sql("INSERT INTO job (kind) VALUES ('txn_cleanup'), ('uia_cleanup'), ('nonce_cleanup'), ('login_token_cleanup'), ('openid_token_cleanup'), ('redacted_erase')");
	cr_assert_eq(jobs_run_due(cx), 6);
	cr_assert_eq(sql_int("SELECT count(*) FROM txn"), 1);
	cr_assert_str_eq(sql("SELECT string_agg(id, '') FROM uia_session"), "0");
	cr_assert_str_eq(sql("SELECT string_agg(nonce, '') FROM register_nonce"), "0");
	cr_assert_str_eq(sql("SELECT string_agg(encode(hash, 'escape'), '') FROM login_token"), "l0");
	cr_assert_str_eq(sql("SELECT string_agg(encode(hash, 'escape'), '') FROM openid_token"), "o0");
	/* they come back by themselves */
	cr_assert_eq(sql_int("SELECT count(*) FROM job WHERE run_ts > %lld", (long long)cx->now), 6);
}

Test(jobs, redacted_originals_are_erased_after_a_week)
{
	struct ctx *cx = session();

	sql("INSERT INTO room (nid, id, version, created_ts) VALUES (1, '!r', '12', 0)");
	for (int i = 0; i < 2; i++) {	/* event i was redacted 6 or 8 days ago by event 10 + i */
		sql("INSERT INTO event (nid, room, ts, type, sender, id, content, pdu) VALUES (%d, 1, %lld, 18, 0, '$r%d', '{}', '{}')",
		    10 + i, (long long)cx->now - (6 + 2 * i) * DAY, i);
		sql("INSERT INTO event (nid, room, ts, type, sender, id, content, pdu, redacted_by, redacted_original)"
		    " VALUES (%d, 1, 0, 16, 0, '$e%d', '{}', '{}', %d, 'secret')", i, i, 10 + i);
	}
	add(cx, "redacted_erase", "", 0);
	cr_assert_eq(jobs_run_due(cx), 1);
	cr_assert_str_eq(sql("SELECT string_agg(id, '') FROM event WHERE redacted_original IS NOT NULL"), "$e0");
}

Test(jobs, a_full_batch_goes_on_at_once)
{
	struct ctx *cx = session();

	sql("INSERT INTO uia_session (id, endpoint, params, created_ts) SELECT i::text, 'e', '', 0 FROM generate_series(1, 2500) i");
	add(cx, "uia_cleanup", "", 0);
	cr_assert_eq(jobs_run_due(cx), 3);
	cr_assert_eq(sql_int("SELECT count(*) FROM uia_session"), 0);
}
