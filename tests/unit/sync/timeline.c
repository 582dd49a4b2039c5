/* tests/unit/sync/timeline.c - what one reader sees of what was loaded: where a timeline ends, and which state goes with it. */
#include <criterion/criterion.h>

#include "core/room/names.h"
#include "core/sync/impl.h"

#define NOW INT64_MAX
#define TOPIC_A 1	/* keys of state */
#define TOPIC_B 2

static struct arena *a;
static struct sync_wait w;
static struct sync_req q;
static struct sync_room room;
static struct sync_job job;
static int64_t xip[] = { 50 };

static void
setup(void)
{
	a = arena_new();
	w = (struct sync_wait){ .user_nid = 1000, .user = "@r:x" };
	q = (struct sync_req){ .w = &w, .f = filter_none(), .since = { .epoch = 1, .xmax = 100, .xip = xip, .nxip = 1 } };
	room = (struct sync_room){ .nid = 1, .id = "!r:x", .top = INT64_MAX, .whole = true, .state_ver = 10 };
	room.tl = arena_calloc(a, 2000, sizeof *room.tl);
	room.delta = arena_calloc(a, 20, sizeof *room.delta);
	job = (struct sync_job){ .room = &room, .room_nid = 1, .section = SECT_JOIN };
}

static void
teardown(void)
{
	arena_free(a);
}

TestSuite(timeline, .init = setup, .fini = teardown);

/* The next older event. */
static struct sync_event *
older(int64_t room_pos, int64_t pos, int64_t at_ver)
{
	struct sync_event *e = arena_zalloc(a, sizeof *e);

	e->ev = (struct room_event){ .nid = 1000 + room_pos, .room = 1, .pos = pos, .room_pos = room_pos, .at_ver = at_ver,
	    .type_nid = T_MESSAGE, .key_nid = -1, .id = "$e", .type = "m.room.message", .sender = "@s:x", .content = "{}" };
	return room.tl[room.ntl++] = e;
}

static struct sync_event *
older_state(int64_t room_pos, int64_t pos, int64_t at_ver, int64_t key)
{
	struct sync_event *e = older(room_pos, pos, at_ver);

	e->ev.type_nid = T_TOPIC;
	e->ev.type = "m.room.topic";
	e->ev.key_nid = key;
	e->ev.state_key = "k";
	return e;
}

static void
changed(int64_t key, int64_t since, int64_t until, int64_t pos, int64_t nid)
{
	struct sync_event *e = arena_zalloc(a, sizeof *e);

	e->ev = (struct room_event){ .nid = nid, .type_nid = T_TOPIC, .key_nid = key, .type = "m.room.topic", .state_key = "k",
	    .sender = "@s:x", .content = "{}" };
	room.delta[room.ndelta++] = (struct sync_state){ .since = since, .until = until, .pos = pos, .type = T_TOPIC, .key = key, .event = e };
}

/* The events of `state`, as "nid nid". */
static const char *
state(void)
{
	struct sync_event **v;
	size_t i, n = state_pick(a, &q, &job, &v);
	struct buf b;

	buf_init(&b, a);
	for (i = 0; i < n; i++)
		buf_addf(&b, "%s%lld", i ? " " : "", (long long)v[i]->ev.nid);
	return b.s;
}

Test(timeline, ends_at_the_first_event_that_is_not_new)
{
	older(9, 130, 10);
	older(8, 50, 10);		/* in progress at the token: new, though its id is older than the next one's */
	older(7, 90, 10);
	older(6, 120, 10);		/* cannot be, and is not looked at */
	cr_assert(timeline_pick(a, &q, &job));
	cr_assert_eq(job.nshown, 2);
	cr_expect_eq(job.shown[0]->ev.room_pos, 8, "oldest first");
	cr_expect_eq(job.shown[1]->ev.room_pos, 9);
	cr_expect_not(job.limited);
	cr_expect_eq(job.before, 7);
}

Test(timeline, is_limited_when_one_more_is_new)
{
	int64_t i;

	for (i = 30; i > 19; i--)
		older(i, 200, 10);
	room.whole = false;
	cr_assert(timeline_pick(a, &q, &job));
	cr_expect_eq(job.nshown, FILTER_LIMIT);
	cr_expect(job.limited);
	cr_expect_eq(job.before, 20);
}

Test(timeline, asks_for_more_until_it_is_full_or_has_looked_far_enough)
{
	struct filter f = *filter_none();
	int64_t i;

	f.timeline.any = false;
	f.timeline.types.given = true;		/* nothing passes */
	q.f = &f;
	room.whole = false;
	for (i = 5000; i > 4900; i--)
		older(i, 200, 10);
	cr_expect_not(timeline_pick(a, &q, &job));
	for (; i > 5000 - SCAN_MAX; i--)
		older(i, 200, 10);
	cr_assert(timeline_pick(a, &q, &job));
	cr_expect_eq(job.nshown, 0);
	cr_expect(job.limited, "nobody knows what is further down");
	cr_expect_eq(job.before, 5000 - SCAN_MAX);
}

Test(timeline, does_not_cross_a_hole)
{
	older(((int64_t)1 << 40) + 7, 200, 10);
	older(6, 200, 9);
	cr_assert(timeline_pick(a, &q, &job));
	cr_expect_eq(job.nshown, 1);
	cr_expect(job.limited);
	cr_expect_eq(job.before, ((int64_t)1 << 40) + 6);
}

Test(timeline, of_a_room_left_ends_at_the_leave)
{
	static struct sync_member m = { .membership = MEM_LEAVE, .event = 1005, .room_pos = 5 };
	static struct visibility vis = { .user = 1000, .joined_until = 4 };

	job.section = SECT_LEAVE;
	job.member = &m;
	job.vis = &vis;
	room.top = 5;
	older(6, 200, 5);
	older(5, 200, 3);
	older(4, 200, 3);
	cr_assert(timeline_pick(a, &q, &job));
	cr_assert_eq(job.nshown, 2);
	cr_expect_eq(job.shown[1]->ev.room_pos, 5);
	cr_expect_eq(job.v1, 4);
	cr_expect_eq(job.v0, 3);
}

Test(timeline, limit_zero_shows_nothing_and_says_so)
{
	struct filter f = *filter_none();

	f.timeline.limit = 0;
	q.f = &f;
	older(9, 200, 9);
	room.whole = false;
	cr_assert(timeline_pick(a, &q, &job));
	cr_expect_eq(job.nshown, 0);
	cr_expect(job.limited);
	cr_expect_eq(job.before, 9, "the gap ends with the newest event");
	cr_expect_eq(job.v0, 10);
}

Test(timeline, state_is_what_held_at_the_start)
{
	older_state(9, 200, 8, TOPIC_A);	/* makes version 9 */
	older(8, 200, 8);
	changed(TOPIC_A, 7, 9, 150, 70);	/* in the gap, replaced in the timeline */
	changed(TOPIC_A, 9, NOW, 200, 1009);
	changed(TOPIC_A, 6, 7, 140, 60);	/* replaced in the gap */
	changed(TOPIC_B, 5, NOW, 90, 50);	/* known already */
	cr_assert(timeline_pick(a, &q, &job));
	cr_expect_eq(job.v0, 8);
	cr_expect_str_eq(state(), "70");
	w.use_state_after = true;
	cr_expect_str_eq(state(), "1009");
}

Test(timeline, state_that_no_event_tells_is_told)
{
	older(9, 200, 8);
	changed(TOPIC_A, 7, 9, 150, 70);	/* held at the start ... */
	changed(TOPIC_A, 9, NOW, 200, 90);	/* ... and was put back by state resolution, without an event here */
	cr_assert(timeline_pick(a, &q, &job));
	cr_expect_str_eq(state(), "90", "once, as it is now");
	w.use_state_after = true;
	cr_expect_str_eq(state(), "90");
}

Test(timeline, full_state_behind_a_filter_that_hides_state)
{
	struct filter f = *filter_none();

	f.timeline.any = false;
	f.timeline.not_types = (struct filter_list){ .v = (const char *[]){ "m.room.topic" }, .n = 1, .given = true };
	q.f = &f;
	job.fresh = job.full = true;
	older_state(9, 200, 8, TOPIC_A);
	older(8, 200, 8);
	cr_assert(timeline_pick(a, &q, &job));
	cr_expect_eq(job.vs, 10, "as of the end: the timeline does not tell what changed in it");
	f.timeline.any = true;
	cr_assert(timeline_pick(a, &q, &job));
	cr_expect_eq(job.vs, 8);
}
