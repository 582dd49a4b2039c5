/* tests/unit/sync/wait.c - a waiting request as bytes, and what a time-out answers */
#include <criterion/criterion.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/sync/sync.h"
#include "core/sync/token.h"

/* Any cut and any flipped byte is refused or read as something; never out of bounds (run with make asan). */
Test(wait, damaged_records_are_survived)
{
	struct arena *a = arena_new();
	int64_t rooms[] = { 5, 7, 9000000 };
	static const unsigned char token[32] = { 1, 0, 255 };
	struct sync_wait w = { .user_nid = 1, .device = 2, .token = token, .user = "@u:x", .device_id = "D", .since = "s1", .rooms = rooms, .nrooms = 3 }, back;
	void *p;
	size_t n = sync_wait_pack(a, &w, &p);
	unsigned char *copy = arena_alloc(a, n);

	cr_assert_eq(sync_wait_unpack(a, p, n, &back), M_OK);
	cr_expect_arr_eq(back.token, token, sizeof token);
	for (size_t i = 0; i < n; i++) {
		unsigned char *exact = arena_alloc(a, i + 1);

		memcpy(exact, p, i);
		cr_expect_eq(sync_wait_unpack(a, exact, i, &back), M_UNKNOWN, "%zu bytes", i);
	}
	for (size_t i = 0; i < n; i++)
		for (int bit = 0; bit < 8; bit++) {
			memcpy(copy, p, n);
			copy[i] ^= (unsigned char)(1 << bit);
			if (sync_wait_unpack(a, copy, n, &back) == M_OK)
				cr_expect_leq(back.nrooms, n);
		}
	arena_free(a);
}

Test(wait, large_numbers)
{
	struct arena *a = arena_new();
	int64_t rooms[] = { INT64_MAX / 2, 1 };
	struct sync_wait w = { .user_nid = INT64_MAX, .deadline = INT64_MAX, .seen = -1, .rooms = rooms, .nrooms = 2 }, back;
	void *p;
	size_t n = sync_wait_pack(a, &w, &p);

	cr_assert_eq(sync_wait_unpack(a, p, n, &back), M_OK);
	cr_expect(back.user_nid == INT64_MAX && back.deadline == INT64_MAX && back.seen == -1);
	cr_expect(back.rooms[0] == 1 && back.rooms[1] == INT64_MAX / 2);
	cr_expect_null(back.user);
	cr_expect_null(back.token);
	arena_free(a);
}

Test(wait, time_out_bodies)
{
	struct arena *a = arena_new();
	struct sync_wait w = { .since = "s1", .next = "s2" };
	size_t n;

	cr_expect_str_eq(sync_empty_body(a, &w, &n), "{\"next_batch\":\"s2\"}");
	cr_expect_eq(n, 19);
	w.counts = "{\"signed_curve25519\":5}";
	w.unused = "[]";
	cr_expect_str_eq(sync_empty_body(a, &w, &n),
	    "{\"next_batch\":\"s2\",\"device_one_time_keys_count\":{\"signed_curve25519\":5},\"device_unused_fallback_key_types\":[]}");
	w.counts = w.unused = NULL;
	w.next = NULL;
	cr_expect_str_eq(sync_empty_body(a, &w, &n), "{\"next_batch\":\"s1\"}");
	w.next = "s2";
	w.kind = 1;
	cr_expect_str_eq(sync_empty_body(a, &w, &n), "{\"chunk\":[],\"start\":\"s1\",\"end\":\"s2\"}");
	arena_free(a);
}

Test(wait, what_is_heavy)
{
	struct arena *a = arena_new();
	struct position p = { .epoch = 1, .tag = 1, .xmax = (int64_t)1 << 42, .clock = clock_ms() };
	struct sync_wait w = { .since = NULL };

	cr_expect(sync_wait_heavy(a, &w), "initial");
	w.since = token_encode(a, &p);
	cr_expect_not(sync_wait_heavy(a, &w));
	w.full_state = true;
	cr_expect(sync_wait_heavy(a, &w), "all state");
	w.full_state = false;
	p.clock -= 3600000;
	w.since = token_encode(a, &p);
	cr_expect(sync_wait_heavy(a, &w), "away for an hour");
	arena_free(a);
}

/* A client can put any clock into its token, but not a position that it has not been given. */
Test(wait, a_forged_clock_does_not_make_it_light)
{
	struct arena *a = arena_new();
	const int64_t base = (int64_t)1 << POS_XID_BITS, minute = 60000;
	struct position p = { .epoch = 1, .tag = 1, .xmax = base + 100, .clock = clock_ms() };
	struct sync_wait w = { .since = token_encode(a, &p) };

	for (int64_t t = 0; t <= 20; t++) {
		cr_expect_eq(sync_wait_heavy(a, &w), t > 10, "after %d minutes", (int)t);
		sync_wait_note(base + 100 + t, t * minute + 1);
	}
	p.xmax = base + 118;
	w.since = token_encode(a, &p);
	cr_expect_not(sync_wait_heavy(a, &w), "two minutes");
	arena_free(a);
}
