/* tests/unit/room/names.c - what is known of names without a database. */
#include <criterion/criterion.h>

#include "core/base/buf.h"
#include "core/room/names.h"

static const char *
repeat(struct arena *a, const char *s, int n)
{
	struct buf b;

	buf_init(&b, a);
	for (int i = 0; i < n; i++)
		buf_puts(&b, s);
	return b.s;
}

/* The limit is of raw bytes; an escape is longer than what it stands for. */
Test(room_names, limits)
{
	struct arena *a = arena_new();

	cr_expect(name_fits(""));
	cr_expect(name_fits(repeat(a, "x", 255)));
	cr_expect_not(name_fits(repeat(a, "x", 256)));
	cr_expect(name_fits(repeat(a, "\\u0000", 255)));
	cr_expect_not(name_fits(repeat(a, "\\u0000", 256)));
	cr_expect(name_fits(repeat(a, "\\\"", 255)));
	cr_expect_not(name_fits(repeat(a, "\\n", 256)));
	cr_expect_not(name_fits(repeat(a, "\xc3\xa9", 128)));
	arena_free(a);
}

Test(room_names, well_known)
{
	struct ctx cx = { .a = arena_new() };
	struct names ns;

	for (int64_t i = 0; i < NAME_WELL_KNOWN; i++)
		cr_expect_eq(name_known(name_well_known(i)), i);
	cr_expect_eq(name_known("m.room.member"), T_MEMBER);
	cr_expect_eq(name_known("m.room.policy"), T_POLICY);
	cr_expect_eq(name_known("m.room.membe"), -1);
	cr_expect_null(name_well_known(NAME_WELL_KNOWN));
	cr_expect_null(name_well_known(-1));

	names_init(&ns, &cx);
	cr_expect_eq(names_add(&ns, "m.room.member"), 0);
	cr_expect_eq(names_add(&ns, ""), 1);
	cr_expect_eq(names_add(&ns, "m.room.member"), 0, "none twice");
	names_queue(&ns);
	cr_expect_not(ns.asked, "nothing to ask");
	cr_expect_eq(names_nid(&ns, ""), NAME_EMPTY);
	cr_expect_eq(names_nid(&ns, "other"), -1);
	for (size_t i = 0; i < 3000; i++)
		cr_assert_eq(names_add(&ns, arena_printf(cx.a, "name %zu", i % 1500)), 2 + i % 1500);
	cr_expect_eq(names_add(&ns, ""), 1, "found among many");
	cr_expect_eq(names_nid(&ns, "m.room.member"), T_MEMBER);
	cr_expect_eq(names_nid(&ns, "name 7"), -1, "not taken yet");
	arena_free(cx.a);
}
