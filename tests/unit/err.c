/* tests/unit/err.c - core/err.c */
#include <criterion/criterion.h>

#include "core/ctx.h"

Test(err, statuses_and_codes)
{
	cr_assert_eq(err_status(M_OK), 200);
	cr_assert_eq(err_status(M_FORBIDDEN), 403);
	cr_assert_str_eq(err_code(M_FORBIDDEN), "M_FORBIDDEN");
	cr_assert_eq(err_status(E_BAD_METHOD), 405);
	for (enum err e = M_OK + 1; e < ERR_COUNT; e++) {
		cr_expect(err_status(e) >= 200 && err_status(e) < 600);
		cr_expect_eq(strncmp(err_code(e), "M_", 2), 0);
	}
}

Test(err, fail_keeps_the_text)
{
	struct arena *a = arena_new();
	struct ctx cx = { .a = a };

	cr_assert_eq(fail(&cx, M_NOT_FOUND, "no %s %d", "room", 5), M_NOT_FOUND);
	cr_assert_str_eq(cx.err_text, "no room 5");
	arena_free(a);
}

Test(err, touched_rooms_and_users_are_sets)
{
	struct arena *a = arena_new();
	struct ctx cx = { .a = a };

	for (int round = 0; round < 2; round++)
		for (int64_t i = 0; i < 100; i++) {
			touch_room(&cx, i);
			touch_user(&cx, 1000 + i / 2);
		}
	cr_assert_eq(cx.touched.nrooms, 100);
	cr_assert_eq(cx.touched.nusers, 50);
	for (int64_t i = 0; i < 100; i++)
		cr_assert_eq(cx.touched.rooms[i], i);
	cr_assert_eq(cx.touched.users[49], 1049);
	arena_free(a);
}
