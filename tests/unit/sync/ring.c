/* tests/unit/sync/ring.c - what a worker remembers of its users stays bounded. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include "core/sync/ring.h"

#define BIG 60000

/* One client that alternates between two big filters, or often changes whom he ignores, among users who all are known. */
Test(ring, users_who_are_known_do_not_fill_the_memory)
{
	const struct position now = { .epoch = 1, .xmax = ((int64_t)1 << POS_XID_BITS) + 10 };
	const char *id[2] = { "0", "1" }, *ignored[1];
	struct ring *g = ring_new();
	char *big = malloc(BIG + 1);

	memset(big, 'x', BIG);
	big[BIG] = '\0';
	ignored[0] = big;
	for (int i = 0; i < 1000; i++) {
		struct rows none = { .i = -1 };
		struct ring_user *u;

		ring_take(g, &none, &now);
		if (!(u = ring_user(g, 7)))
			u = ring_user_put(g, 7, (int64_t[]){ 3, 5 }, 2);
		ring_user_filter(g, u, id[i % 2], big);
		ring_user_ignores(g, u, ignored, 1);
		cr_assert_eq(u->nrooms, 2);
	}
	cr_expect_lt(ring_users_memory(g), 3 * (size_t)RING_USERS_BYTES);
	ring_free(g);
	free(big);
}
