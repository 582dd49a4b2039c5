/* tests/db/room/guest.c - guests who have to leave: in batches, whoever changes guest access, and against a join at the same moment. */
#include "core/jobs/jobs.h"
#include "core/room/guest.h"
#include "tests/db/room/world.h"

#define OPEN "{\"preset\":\"public_chat\",\"initial_state\":[{\"type\":\"m.room.guest_access\",\"content\":{\"guest_access\":\"can_join\"}}]}"
#define CLOSED "{\"guest_access\":\"forbidden\"}"

static struct ctx *
guest(const char *name)
{
	struct ctx *g = user(name);

	sql("UPDATE account SET kind = 'guest' WHERE localpart = '%s'", name);
	g->guest = true;
	return g;
}

static long long
guests_in(void)
{
	return sql_int("SELECT count(*) FROM local_member m JOIN account a ON a.usr = m.usr WHERE a.kind = 'guest' AND m.membership = 2");
}

/* As the job's runs do it, until nobody is left. How many runs. */
static int
run_leaves(struct ctx *cx, const char *room)
{
	int64_t nid = sql_int("SELECT nid FROM room WHERE id = '%s'", room), last = 0;
	int runs = 0;

	do {
		OK(cx, TX_RW, guests_leave(cx, nid, last, &last));
		runs++;
	} while (last != 0);
	return runs;
}

Test(room_guest, all_leave_in_batches_users_stay)
{
	struct ctx *a = user("alice"), *b = user("bob");
	const char *room = make_room(a, OPEN);

	cr_assert_eq(join(b, room), M_OK);
	for (int i = 0; i < GUEST_LEAVES + 1; i++) {
		struct ctx *g = guest(arena_printf(a->a, "g%d", i));

		cr_assert_eq(join(g, room), M_OK);
		session_end(g);
	}
	cr_assert_eq(sql_int("SELECT count(*) FROM job WHERE kind = 'guests_leave'"), 0);
	cr_assert_eq(run_leaves(b, room), 1, "while guests may be here nobody leaves");
	cr_assert_eq(guests_in(), GUEST_LEAVES + 1);
	cr_assert_eq(set_state(a, room, "m.room.guest_access", CLOSED), M_OK);
	cr_assert_eq(sql_int("SELECT count(*) FROM job WHERE kind = 'guests_leave'"), 1);
	cr_assert_eq(run_leaves(b, room), 2);
	cr_assert_eq(guests_in(), 0);
	cr_assert_eq(sql_int("SELECT joined FROM room"), 2);
	check_rooms();
}

Test(room_guest, the_job_goes_on_by_itself)
{
	struct ctx *a = user("alice"), *g = guest("g"), *jobs = session();
	const char *room = make_room(a, OPEN);

	cr_assert_eq(join(g, room), M_OK);
	cr_assert_eq(set_state(a, room, "m.room.guest_access", CLOSED), M_OK);
	cr_assert_geq(jobs_run_due(jobs), 1);
	cr_assert_eq(guests_in(), 0);
	cr_assert_eq(sql_int("SELECT count(*) FROM job WHERE kind = 'guests_leave'"), 0);
	cr_assert_eq(join(g, room), M_GUEST_ACCESS_FORBIDDEN);
}

Test(room_guest, a_redacted_permission_is_none)
{
	struct ctx *a = user("alice"), *g = guest("g");
	const char *room = make_room(a, OPEN), *permission = sql("SELECT id FROM event WHERE type = 6"), *id;
	struct txn none = { 0 };

	cr_assert_eq(join(g, room), M_OK);
	permission = arena_strdup(a->a, permission);
	OK(a, TX_RW, room_redact(a, room, permission, json_new_obj(a->a), &none, &id));
	cr_assert_eq(sql_int("SELECT count(*) FROM job WHERE kind = 'guests_leave'"), 1);
	run_leaves(user_again("alice"), room);
	cr_assert_eq(guests_in(), 0);
}

static enum err
join_step(struct ctx *cx, void *room)
{
	return join(cx, *(const char **)room);
}

/* Whoever joins while guests are being sent away stands at the room's lock, and is refused. */
Test(room_guest, a_join_while_they_leave)
{
	struct ctx *a = user("alice"), *g = guest("g"), *late = guest("late"), *jobs = session();
	const char *room = make_room(a, OPEN);
	int64_t nid, last;
	struct step *s;

	cr_assert_eq(join(g, room), M_OK);
	cr_assert_eq(set_state(a, room, "m.room.guest_access", CLOSED), M_OK);
	nid = sql_int("SELECT nid FROM room");
	db_begin(jobs, TX_RW);
	cr_assert_eq(guests_leave(jobs, nid, 0, &last), M_OK);
	s = step_start(late, join_step, &room);
	cr_assert(step_waits(s));
	cr_assert_eq(db_commit(jobs), M_OK);
	cr_assert_eq(step_end(s), M_GUEST_ACCESS_FORBIDDEN);
	cr_assert_eq(guests_in(), 0);
}

/* The change waits for a join that was first; the job then finds who came in by it. */
static enum err
close_step(struct ctx *cx, void *room)
{
	return set_state(cx, *(const char **)room, "m.room.guest_access", CLOSED);
}

Test(room_guest, a_join_just_before_the_change)
{
	struct ctx *a = user("alice"), *g = guest("g");
	const char *room = make_room(a, OPEN);
	struct step *s;

	db_begin(g, TX_RW);
	cr_assert_eq(member_change(g, MEMBER_JOIN, room, NULL, NULL), M_OK);
	cr_assert_eq(db_run(g), M_OK);
	s = step_start(a, close_step, &room);
	cr_assert(step_waits(s));
	cr_assert_eq(db_commit(g), M_OK);
	cr_assert_eq(step_end(s), M_OK);
	cr_assert_eq(guests_in(), 1);
	run_leaves(user_again("alice"), room);
	cr_assert_eq(guests_in(), 0);
}

Test(room_guest, guests_that_nobody_uses_go)
{
	struct ctx *a = user("alice"), *g = guest("old"), *jobs = session();
	const char *room = make_room(a, OPEN);

	cr_assert_eq(join(g, room), M_OK);
	(void)guest("looker");
	(void)guest("new");
	sql("UPDATE account SET created_ts = 1");
	sql("UPDATE device SET created_ts = 1, last_seen_ts = CASE a.localpart WHEN 'new' THEN %lld END FROM account a WHERE a.usr = device.usr",
	    (long long)a->now);
	sql("INSERT INTO job (kind) VALUES ('guests_cleanup')");
	cr_assert_geq(jobs_run_due(jobs), 2);
	cr_assert_str_eq(sql("SELECT string_agg(localpart, ' ' ORDER BY localpart) FROM account WHERE deactivated_ts IS NULL"), "alice new");
	cr_assert_eq(guests_in(), 0, "the room is left by the job deactivate");
	/* who was in a room keeps his row, and his name with it */
	sql("UPDATE account SET deactivated_ts = 1 WHERE deactivated_ts IS NOT NULL");
	sql("UPDATE job SET run_ts = 0 WHERE kind = 'guests_cleanup'");
	cr_assert_geq(jobs_run_due(jobs), 1);
	cr_assert_str_eq(sql("SELECT string_agg(localpart, ' ' ORDER BY localpart) FROM account"), "alice new old");
}
