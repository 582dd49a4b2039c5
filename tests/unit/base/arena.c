/* tests/unit/base/arena.c - core/base/arena.c and buf.c */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdint.h>

#include "core/base/buf.h"

Test(arena, pieces_are_aligned_and_do_not_overlap)
{
	struct arena *a = arena_new();
	unsigned char *p[500];

	for (size_t i = 0; i < 500; i++) {
		p[i] = arena_alloc(a, i);
		cr_assert_eq((uintptr_t)p[i] % 16, 0);
		memset(p[i], (int)(i & 255), i);
	}
	for (size_t i = 0; i < 500; i++)
		for (size_t j = 0; j < i; j++)
			cr_assert_eq(p[i][j], i & 255);
	arena_free(a);
}

Test(arena, a_large_piece_fits)
{
	struct arena *a = arena_new();
	char *p = arena_zalloc(a, 5 << 20);

	cr_assert_eq(p[(5 << 20) - 1], 0);
	cr_assert_geq(arena_used(a), 5 << 20);
	arena_free(a);
}

Test(arena, the_last_piece_grows_in_place_others_move)
{
	struct arena *a = arena_new();
	char *p = arena_strdup(a, "hello"), *q, *r;

	q = arena_realloc(a, p, 6, 100);
	cr_assert_eq(q, p);
	arena_alloc(a, 1);
	r = arena_realloc(a, q, 100, 200);
	cr_assert_neq(r, q);
	cr_assert_str_eq(r, "hello");
	cr_assert_str_eq(arena_realloc(a, r, 200, 1 << 20), "hello");
	cr_assert_not_null(arena_realloc(a, NULL, 0, 10));
	arena_free(a);
}

Test(arena, strings)
{
	struct arena *a = arena_new();
	char big[1000];

	memset(big, 'x', sizeof(big));
	cr_assert_str_eq(arena_strndup(a, "hello", 3), "hel");
	cr_assert_str_eq(arena_strndup(a, NULL, 0), "");
	cr_assert_str_eq(arena_printf(a, "%d-%s", 7, "x"), "7-x");
	cr_assert_eq(strlen(arena_printf(a, "%.*s!", (int)sizeof(big), big)), sizeof(big) + 1);
	arena_free(a);
}

static int order[4], norder;

static void
note(void *arg)
{
	order[norder++] = *(int *)arg;
}

Test(arena, defers_run_last_first_and_once)
{
	static int one = 1, two = 2, three = 3;
	struct arena *a = arena_new();
	struct arena_mark m;

	arena_defer(a, note, &one);
	m = arena_mark(a);
	arena_defer(a, note, &two);
	arena_defer(a, note, &three);
	arena_rewind(a, m);
	cr_assert_eq(norder, 2);
	cr_assert_eq(order[0], 3);
	cr_assert_eq(order[1], 2);
	arena_free(a);
	cr_assert_eq(norder, 3);
	cr_assert_eq(order[2], 1);
	arena_free(NULL);
}

Test(arena, rewinding_gives_the_memory_back)
{
	struct arena *a = arena_new();
	char *kept = arena_strdup(a, "kept");
	struct arena_mark m = arena_mark(a);
	size_t before = arena_used(a);
	void *p = arena_alloc(a, 100);

	for (int i = 0; i < 100; i++)
		arena_alloc(a, 100000);
	arena_rewind(a, m);
	cr_assert_eq(arena_used(a), before);
	cr_assert_eq(arena_alloc(a, 100), p);
	cr_assert_str_eq(kept, "kept");
	arena_free(a);
}

Test(arena, calloc_that_overflows_ends_the_process, .signal = SIGABRT)
{
	volatile size_t many = SIZE_MAX / 2;

	arena_calloc(arena_new(), many, 3);
}

Test(buf, grows_and_stays_terminated)
{
	struct arena *a = arena_new();
	struct buf b;

	buf_init(&b, a);
	cr_assert_str_eq(b.s, "");
	for (int i = 0; i < 1000; i++) {
		buf_putc(&b, 'a');
		arena_alloc(a, 1);	/* so that it cannot grow in place */
	}
	cr_assert_eq(b.n, 1000);
	cr_assert_eq(strlen(b.s), 1000);
	buf_add(&b, "\0z", 2);
	cr_assert_eq(b.n, 1002);
	cr_assert_eq(b.s[1001], 'z');
	cr_assert_eq(b.s[1002], '\0');
	arena_free(a);
}

Test(buf, numbers_and_formats)
{
	struct arena *a = arena_new();
	struct buf b;

	buf_init(&b, a);
	buf_i64(&b, 0);
	buf_putc(&b, ' ');
	buf_i64(&b, INT64_MIN);
	buf_putc(&b, ' ');
	buf_i64(&b, INT64_MAX);
	cr_assert_str_eq(b.s, "0 -9223372036854775808 9223372036854775807");
	buf_init(&b, a);
	buf_addf(&b, "%0300d|", 5);
	buf_addf(&b, "%s", "x");
	cr_assert_eq(b.n, 302);
	cr_assert_str_eq(b.s + 299, "5|x");
	arena_free(a);
}
