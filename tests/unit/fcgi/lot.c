/* tests/unit/fcgi/lot.c - who waits for what, until when */
#include <criterion/criterion.h>
#include <string.h>

#include "core/sync/token.h"
#include "core/sync/wake.h"
#include "fcgi/lot.h"

#define NOW 1000000

static struct arena *a;
static struct lot *lot;
static int next_fd;

static void
setup(void)
{
	a = arena_new();
	lot = lot_new(NOW - 100000);
	next_fd = 0;
}

static void
teardown(void)
{
	lot_free(lot);
	arena_free(a);
}

TestSuite(lot, .init = setup, .fini = teardown);

static uint32_t
park_full(int64_t user, const int64_t *rooms, size_t n, int64_t seen, int64_t deadline, enum park_why why, const char *next)
{
	struct sync_wait w = { .user_nid = user, .device = 3, .user = "@u:x", .device_id = "D", .since = "s1", .next = next,
		.rooms = rooms, .nrooms = n, .seen = seen, .deadline = deadline };
	struct waiter v = { .fd = next_fd++, .wait = &w };
	struct sync_wait back;

	v.head.why = (uint8_t)why;
	cr_assert(park_pack(a, &v));
	cr_assert_eq(sync_wait_unpack(a, v.packed, v.head.size, &back), M_OK);
	v.wait = &back;
	return lot_add(lot, &v, NOW);
}

static uint32_t
park_at(int64_t user, int64_t room, int64_t seen, int64_t deadline)
{
	return park_full(user, &room, 1, seen, deadline, PARK_WAIT, "s2");
}

static uint32_t
park(int64_t user, int64_t room)
{
	return park_at(user, room, NOW, NOW + 30000);
}

static size_t
ready(void)
{
	return lot_count(lot, LOT_READY);
}

static void
wake_room(int64_t room)
{
	int64_t key = WAKE_ROOM(room);

	lot_wake(lot, &key, 1, NOW);
}

static void
wake_user(int64_t user)
{
	int64_t key = WAKE_USER(user);

	lot_wake(lot, &key, 1, NOW);
}

Test(lot, wakes_who_waits_for_the_room)
{
	uint32_t one = park(1, 10), two = park(2, 10);

	park(3, 11);
	wake_room(10);
	cr_expect_eq(ready(), 2);
	cr_expect_eq(lot_count(lot, LOT_WAITING), 1);
	cr_expect_eq(lot_first(lot, LOT_READY), one);
	cr_expect_eq(lot_after(lot, one), two);
	cr_expect_eq(lot_after(lot, two), LOT_NONE);
	wake_room(10);
	cr_expect_eq(ready(), 2, "once");
	wake_room(99);
	cr_expect_eq(ready(), 2);
}

Test(lot, wakes_the_user_and_no_room_of_the_same_number)
{
	park(10, 1);
	park(1, 10);
	wake_user(10);
	cr_expect_eq(ready(), 1);
	cr_expect_eq(lot_get(lot, lot_first(lot, LOT_READY))->fd, 0);
}

Test(lot, groups_by_key)
{
	static const int64_t both[] = { 20, 21 };
	static const int64_t keys[] = { WAKE_ROOM(21), WAKE_ROOM(20) };

	park(1, 20);
	park(2, 21);
	park_full(3, both, 2, NOW, NOW + 1000, PARK_WAIT, "s2");
	park(4, 20);
	lot_wake(lot, keys, 2, NOW);
	cr_assert_eq(ready(), 4);
	static const int want[] = { 1, 2, 0, 3 };
	uint32_t t = lot_first(lot, LOT_READY);
	for (int i = 0; i < 4; i++, t = lot_after(lot, t))
		cr_expect_eq(lot_get(lot, t)->fd, want[i]);
}

Test(lot, a_wake_up_between_snapshot_and_parking_sends_it_back)
{
	wake_room(10);			/* at NOW */
	park_at(1, 10, NOW - 5, NOW + 1000);	/* saw less */
	cr_expect_eq(ready(), 1);
	park_at(1, 10, NOW, NOW + 1000);	/* the same millisecond: who knows */
	cr_expect_eq(ready(), 2);
	park_at(1, 10, NOW + 1, NOW + 1000);
	cr_expect_eq(ready(), 2);
	park_at(1, 11, NOW - 5, NOW + 1000);	/* another room */
	cr_expect_eq(ready(), 2);
	wake_user(7);
	park_at(7, 11, NOW - 5, NOW + 1000);
	cr_expect_eq(ready(), 3);
}

Test(lot, what_is_older_than_memory_goes_back)
{
	park_at(1, 10, NOW - LOT_RING_MS - 1, NOW + 1000);
	cr_expect_eq(ready(), 1);
	lot_known_since(lot, NOW - 10);
	park_at(1, 10, NOW - 11, NOW + 1000);
	cr_expect_eq(ready(), 2);
	park_at(1, 10, NOW - 10, NOW + 1000);
	cr_expect_eq(ready(), 2);
}

Test(lot, a_storm_of_wake_ups_shortens_memory)
{
	for (int64_t i = 0; i < (1 << 17); i++)
		wake_room(100 + i);
	park_at(1, 10, NOW - 5, NOW + 1000);
	cr_expect_eq(ready(), 0, "all of it is remembered");
	wake_room(5);	/* one too many */
	park_at(1, 10, NOW - 5, NOW + 1000);
	cr_expect_eq(ready(), 1);
}

Test(lot, head_seen_comes_first)
{
	struct sync_wait w = { .user_nid = 1, .user = "@u:x", .device_id = "D", .seen = NOW - LOT_RING_MS - 5, .deadline = NOW + 10 };
	struct waiter v = { .wait = &w };

	v.head.seen = NOW;
	cr_assert(park_pack(a, &v));
	lot_add(lot, &v, NOW);
	cr_expect_eq(lot_count(lot, LOT_WAITING), 1);
}

Test(lot, times)
{
	uint32_t soon = park_at(1, 10, NOW, NOW + 100), late = park_at(2, 10, NOW, NOW + 400000);

	cr_expect_eq(lot_due(lot, NOW), LOT_NONE);
	cr_expect_leq(lot_patience(lot, NOW), 200);
	cr_expect_geq(lot_patience(lot, NOW), 64);
	cr_expect_eq(lot_due(lot, NOW + 99), LOT_NONE);
	cr_assert_eq(lot_due(lot, NOW + 200), soon);
	lot_remove(lot, soon);
	cr_expect_eq(lot_due(lot, NOW + 200), LOT_NONE);
	for (int64_t t = NOW + 200; t < NOW + 400000; t += 50)
		cr_assert_eq(lot_due(lot, t), LOT_NONE);
	cr_assert_eq(lot_due(lot, NOW + 400100), late);
	lot_remove(lot, late);
	cr_expect_eq(lot_patience(lot, NOW), -1);
}

Test(lot, time_stands_still_for_a_while)
{
	uint32_t one = park_at(1, 10, NOW, NOW + 100), two = park_at(2, 10, NOW, NOW + 200000);

	cr_expect_neq(lot_due(lot, NOW + 900000), LOT_NONE);
	lot_remove(lot, one);
	cr_expect_eq(lot_due(lot, NOW + 900000), two);
}

Test(lot, retry_comes_back_within_a_second)
{
	int64_t room = 10;
	uint32_t t = park_full(1, &room, 1, 0, NOW + 30000, PARK_RETRY, NULL);

	cr_expect_eq(ready(), 0);
	cr_expect_eq(lot_due(lot, NOW + 1100), t);
	cr_expect_gt(lot_get(lot, t)->deadline, NOW + 1100);
	wake_room(10);
	cr_expect_eq(ready(), 1, "or with news");
}

Test(lot, heavy_ones_wait_apart)
{
	uint32_t t = park_full(1, NULL, 0, 0, NOW, PARK_HEAVY, NULL);

	cr_expect_eq(lot_first(lot, LOT_HEAVY), t);
	cr_expect_eq(ready(), 0);
	wake_user(1);
	cr_expect_eq(lot_due(lot, NOW + 900000), LOT_NONE);
	cr_expect_eq(ready(), 0);
	lot_remove(lot, t);
	cr_expect_eq(lot_count(lot, LOT_HEAVY), 0);
}

Test(lot, tickets_are_not_confused)
{
	uint32_t old = park(1, 10), new;

	lot_remove(lot, old);
	cr_expect_null(lot_get(lot, old));
	new = park(2, 11);
	cr_expect_neq(old, new);
	cr_expect_null(lot_get(lot, old));
	wake_room(10);	/* its entry may still be there, the place is another's */
	cr_expect_eq(ready(), 0);
	lot_remove(lot, old);
	cr_expect_not_null(lot_get(lot, new));
}

Test(lot, rows_wake_only_who_had_not_seen_them)
{
	int64_t xip[] = { (int64_t)1 << 42 | 50 };
	struct position seen = { .epoch = 1, .tag = 1, .xmax = (int64_t)1 << 42 | 100, .xip = xip, .nxip = 1 };
	const char *token = token_encode(a, &seen);
	int64_t room = 10, pos[2] = { (int64_t)1 << 42 | 40, (int64_t)1 << 42 | 99 };
	struct arena *scratch = arena_new();

	park_full(1, &room, 1, NOW, NOW + 1000, PARK_WAIT, token);
	lot_wake_new(lot, scratch, WAKE_ROOM(10), pos, 2, NOW);
	cr_expect_eq(ready(), 0, "all seen");
	pos[0] = xip[0];
	lot_wake_new(lot, scratch, WAKE_ROOM(10), pos, 2, NOW);
	cr_expect_eq(ready(), 1, "was in progress");
	park_full(2, &room, 1, NOW + 1, NOW + 1000, PARK_WAIT, token);
	pos[0] = (int64_t)1 << 42 | 100;
	lot_wake_new(lot, scratch, WAKE_ROOM(10), pos, 1, NOW);
	cr_expect_eq(ready(), 2, "is later");
	park_full(3, &room, 1, NOW + 1, NOW + 1000, PARK_WAIT, "not a token");
	lot_wake_new(lot, scratch, WAKE_ROOM(10), pos, 1, NOW);
	cr_expect_eq(ready(), 3);
	arena_free(scratch);
}

Test(lot, everybody)
{
	park(1, 10);
	park(2, 20);
	lot_wake_all(lot, NOW);
	cr_expect_eq(ready(), 2);
	park_at(3, 30, NOW, NOW + 10);
	cr_expect_eq(ready(), 3, "and who is under way");
}

/* A thousand users of 50 rooms come, are woken or go, ten times over. */
Test(lot, dead_entries_and_memory_stay_bounded)
{
	static uint32_t t[1000];
	int64_t rooms[50];
	size_t before = lot_memory(lot);

	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 1000; i++) {
			for (int k = 0; k < 50; k++)
				rooms[k] = 1 + (i * 7 + k * 13 + round * 101) % 1500;
			t[i] = park_full(i + 1, rooms, 50, NOW + 1, NOW + 30000, PARK_WAIT, "sAdPggOID9AUAmInhC_2ioNCgNAAA");
			cr_assert_neq(t[i], LOT_NONE);
		}
		if (round == 0)
			cr_expect_leq((lot_memory(lot) - before) / 1000, 1024, "%zu bytes a waiter", (lot_memory(lot) - before) / 1000);
		for (int i = 0; i < 500; i++)
			lot_remove(lot, t[i]);
		lot_wake_all(lot, NOW - 10);
		for (int i = 500; i < 1000; i++)
			lot_remove(lot, t[i]);
		cr_expect_lt(lot_dead(lot), 30000);
	}
	for (int i = 0; i < 2000; i++)
		lot_remove(lot, park(1, 10000 + i));
	cr_expect_lt(lot_dead(lot), 200, "%zu", lot_dead(lot));
}

/* Against a model that looks at everybody. */
Test(lot, same_as_a_model)
{
	static struct {
		uint32_t ticket;
		int64_t user, rooms[5];
		bool in;
	} m[300];
	unsigned seed = 7;
	size_t expected = 0;

	for (int step = 0; step < 60000; step++) {
		int i = rand_r(&seed) % 300, what = rand_r(&seed) % 10;
		int64_t n = 1 + rand_r(&seed) % 60;

		if (!m[i].in && what < 7) {
			m[i].user = 1 + rand_r(&seed) % 100;
			for (int k = 0; k < 5; k++)
				m[i].rooms[k] = 1 + (rand_r(&seed) % 12) * 5 + k;
			m[i].ticket = park_full(m[i].user, m[i].rooms, 5, NOW + 1, NOW + 30000, PARK_WAIT, "s2");
			m[i].in = true;
		} else if (m[i].in && what < 2) {
			lot_remove(lot, m[i].ticket);
			m[i].in = false;
		} else if (what >= 8) {
			bool user = what == 8;

			expected = 0;
			for (int k = 0; k < 300; k++) {
				bool hit = m[k].in && user && m[k].user == n;

				for (int j = 0; j < 5 && m[k].in && !user; j++)
					hit |= m[k].rooms[j] == n;
				if (hit)
					expected++, m[k].in = false;
			}
			if (user)
				wake_user(n);
			else
				wake_room(n);
			cr_assert_eq(ready(), expected);
			while (lot_first(lot, LOT_READY) != LOT_NONE)
				lot_remove(lot, lot_first(lot, LOT_READY));
		}
		if (step % 64 == 0) {
			arena_free(a);
			a = arena_new();
		}
	}
}
