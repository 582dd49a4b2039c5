/* tests/unit/live/typists.c - who types now, against a plain list. */
#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdlib.h>
#include "core/live/typists.h"

Test(typists, the_first_to_end_comes_first)
{
	struct typists *t = typists_new();
	int64_t room = 0, until = 0;

	cr_expect_eq(typists_next(t), INT64_MAX);
	cr_expect_not(typists_ended(t, INT64_MAX - 1, &room, &until));
	typists_put(t, 1, 10, 300, 0);
	typists_put(t, 2, 10, 100, 0);
	typists_put(t, 3, 11, 200, 0);
	typists_put(t, 2, 10, 400, 0);		/* goes on */
	typists_put(t, 3, 11, 50, 60);		/* has stopped */
	typists_put(t, 9, 9, 60, 60);		/* never was */
	cr_expect_eq(typists_next(t), 300);
	cr_expect_not(typists_ended(t, 299, &room, &until));
	cr_expect(typists_ended(t, 300, &room, &until));
	cr_expect_eq(room, 1);
	cr_expect_eq(until, 300);
	cr_expect(typists_ended(t, 1000, &room, &until));
	cr_expect_eq(room, 2);
	cr_expect_eq(until, 400);
	cr_expect_not(typists_ended(t, 1000, &room, &until));
	typists_free(t);
}

#define ROOMS 7
#define USERS 30

Test(typists, random_words_against_a_table)
{
	struct typists *t = typists_new();
	int64_t table[ROOMS][USERS] = { 0 }, now = 0, room, until;
	int ended = 0, expected = 0;

	srand(7);
	for (int step = 0; step < 20000; step++) {
		int r = rand() % ROOMS, u = rand() % USERS;
		int64_t next = INT64_MAX;

		now += rand() % 3;
		while (typists_ended(t, now, &room, &until)) {
			bool found = false;

			for (int k = 0; k < USERS && !found; k++)
				if (table[room][k] == until) {
					table[room][k] = 0;
					found = true;
				}
			cr_assert(found);
			ended++;
		}
		table[r][u] = rand() % 4 ? now + 1 + rand() % 200 : 0;
		typists_put(t, r, u, table[r][u], now);
		for (int i = 0; i < ROOMS; i++)
			for (int k = 0; k < USERS; k++)
				if (table[i][k] != 0 && table[i][k] < next)
					next = table[i][k];
		cr_assert_eq(typists_next(t), next);
		expected += next <= now;
	}
	cr_expect_eq(expected, 0);
	cr_expect_gt(ended, 100);
	typists_free(t);
}
