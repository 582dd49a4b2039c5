/* tests/db/jobs/deactivate.c - leaving the rooms of a deactivated account, in batches, and once more. */
#include "core/jobs/jobs.h"
#include "tests/db/room/world.h"

Test(deactivate, rooms_are_left_in_batches_and_looked_for_again)
{
	struct ctx *cx = user("alice");

	for (int i = 0; i < 25; i++)
		make_room(cx, "{}");
	sql("SELECT admin.deactivate('alice')");
	sql("DELETE FROM job WHERE kind <> 'deactivate'");
	cr_assert_geq(jobs_run_due(cx), 2);
	cr_assert_eq(sql_int("SELECT count(*) FROM local_member WHERE membership = 2"), 0);
	cr_assert_eq(sql_int("SELECT count(*) FROM event WHERE type = 2"), 50);
	cr_assert_eq(sql_int("SELECT count(*) FROM job WHERE run_ts > extract(epoch FROM now()) * 1000 + 30000"), 1, "once more, later");
	/* What was under way when it ended. */
	sql("UPDATE local_member SET membership = 1 WHERE room = (SELECT min(room) FROM local_member)");
	sql("UPDATE job SET run_ts = 0");
	cr_assert_geq(jobs_run_due(cx), 1);
	cr_assert_eq(sql_int("SELECT count(*) FROM job WHERE kind = 'deactivate'"), 0);
}
