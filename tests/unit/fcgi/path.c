/* tests/unit/fcgi/path.c - splitting and decoding URLs */
#include <criterion/criterion.h>
#include <string.h>

#include "fcgi/path.h"

Test(path, split)
{
	struct slice seg[PATH_SEGMENTS_MAX];

	cr_assert_eq(path_split("/a/bc//", 7, seg), 4);
	cr_expect(seg[0].n == 1 && memcmp(seg[0].s, "a", 1) == 0);
	cr_expect(seg[1].n == 2 && memcmp(seg[1].s, "bc", 2) == 0);
	cr_expect_eq(seg[2].n, 0);
	cr_expect_eq(seg[3].n, 0);
	cr_expect_eq(path_split("/", 1, seg), 1);
	cr_expect_eq(path_split("", 0, seg), -1);
	cr_expect_eq(path_split("a/b", 3, seg), -1);
	cr_expect_eq(path_split("/a/b", 2, seg), 1, "only n bytes are looked at");
	cr_expect_eq(path_split("/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16", 40 - 1, seg), 16);
	cr_expect_eq(path_split("/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/", 40, seg), -1);
}

static const char *
decoded(const char *s, bool plus)
{
	static char out[100];
	struct arena *a = arena_new();
	struct slice d;
	bool ok = url_decode(a, (struct slice){ s, strlen(s) }, plus, &d);

	if (ok) {
		cr_expect_eq(strlen(d.s), d.n);
		snprintf(out, sizeof(out), "%s", d.s);
	}
	arena_free(a);
	return ok ? out : NULL;
}

Test(path, decode)
{
	cr_expect_str_eq(decoded("", false), "");
	cr_expect_str_eq(decoded("a%2Fb%2f%25", false), "a/b/%");
	cr_expect_str_eq(decoded("%252F", false), "%2F", "once");
	cr_expect_str_eq(decoded("a+b", false), "a+b");
	cr_expect_str_eq(decoded("a+b%2B", true), "a b+");
	cr_expect_str_eq(decoded("%F0%9F%98%80", false), "\xf0\x9f\x98\x80");
	cr_expect_null(decoded("%", false));
	cr_expect_null(decoded("%2", false));
	cr_expect_null(decoded("%2g", false));
	cr_expect_null(decoded("% 2", false));
	cr_expect_null(decoded("%+2", false));
	cr_expect_null(decoded("%00", false));
	cr_expect_null(decoded("\xc3", false));
	cr_expect_null(decoded("%c3(", false));
}

Test(path, query)
{
	const char *pos = "&a=1&&b&=x&c=d=e&";
	static const char *const want[][2] = { { "a", "1" }, { "b", "" }, { "", "x" }, { "c", "d=e" } };
	struct slice k, v;

	for (int i = 0; i < 4; i++) {
		cr_assert(query_next(&pos, &k, &v));
		cr_expect(k.n == strlen(want[i][0]) && memcmp(k.s, want[i][0], k.n) == 0, "%d", i);
		cr_expect(v.n == strlen(want[i][1]) && memcmp(v.s, want[i][1], v.n) == 0, "%d", i);
	}
	cr_expect_not(query_next(&pos, &k, &v));
	pos = "";
	cr_expect_not(query_next(&pos, &k, &v));
}
