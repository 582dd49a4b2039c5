/* tests/unit/base/id.c - Appendices, "Identifier Grammar" */
#include <criterion/criterion.h>

#include "core/base/id.h"

#define HASH "acR1l0raoZnm60CBwAVgqbZqoO_mYU81xysh1u7XcJk"

static const char *
repeat(struct arena *a, const char *before, char c, size_t n, const char *after)
{
	char *s = arena_alloc(a, n + 1);

	memset(s, c, n);
	s[n] = '\0';
	return arena_printf(a, "%s%s%s", before, s, after);
}

#define YES(f, s) cr_expect(f(s), "%s should be one", s)
#define NO(f, s) cr_expect_not(f(s), "%s should be none", s)

Test(id, server_names)
{
	struct arena *a = arena_new();

	YES(id_is_server, "matrix.org");
	YES(id_is_server, "matrix.org:8888");
	YES(id_is_server, "1.2.3.4");
	YES(id_is_server, "1.2.3.4:1234");
	YES(id_is_server, "[1234:5678::abcd]");
	YES(id_is_server, "[1234:5678::abcd]:5678");
	YES(id_is_server, "localhost");
	YES(id_is_server, "MATRIX.org");
	NO(id_is_server, "");
	NO(id_is_server, ":80");
	NO(id_is_server, "a:");
	NO(id_is_server, "a:123456");
	NO(id_is_server, "a:8x");
	NO(id_is_server, "a:-1");
	NO(id_is_server, "a:1:2");
	NO(id_is_server, "a_b");
	NO(id_is_server, "a b");
	NO(id_is_server, "a/b");
	NO(id_is_server, "é.org");
	NO(id_is_server, "::1");
	NO(id_is_server, "[::1");
	NO(id_is_server, "[]");
	NO(id_is_server, "[::g]");
	NO(id_is_server, "[1.2.3.4]");
	NO(id_is_server, "[::1]x");
	NO(id_is_server, "[::1]:");
	NO(id_is_server, "[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc]");
	YES(id_is_server, repeat(a, "", 'a', 255, ""));
	NO(id_is_server, repeat(a, "", 'a', 256, ""));
	arena_free(a);
}

Test(id, users)
{
	struct arena *a = arena_new();

	YES(id_is_user, "@alice:example.org");
	YES(id_is_user, "@a.b_c=d-e/f+g:[::1]:8448");
	/* historical ones: "any legal non-surrogate Unicode code points except : and NUL, and the empty string" */
	YES(id_is_user, "@:example.org");
	YES(id_is_user, "@Älice Ω:example.org");
	YES(id_is_user, "@a\\n\\\"\\\\\\u0001:example.org");
	NO(id_is_user, "@a\\u0000b:example.org");
	NO(id_is_user, "alice:example.org");
	NO(id_is_user, "@alice");
	NO(id_is_user, "@alice:");
	NO(id_is_user, "@alice:ex ample");
	NO(id_is_user, "@a:b:c");
	NO(id_is_user, "");
	NO(id_is_user, "@");
	NO(id_is_user, "@:");
	NO(id_is_user, "!alice:example.org");
	YES(id_is_user, repeat(a, "@", 'a', 250, ":abc"));
	NO(id_is_user, repeat(a, "@", 'a', 251, ":abc"));
	arena_free(a);
}

/* 250 quotes are 500 bytes as an esc string and 250 as an id. */
Test(id, sizes_count_raw_bytes)
{
	char id[600] = "@";

	for (int i = 0; i < 250; i++)
		memcpy(id + 1 + 2 * i, "\\\"", 3);
	memcpy(id + 501, ":abc", 5);
	YES(id_is_user, id);
	memcpy(id + 501, ":abcd", 6);
	NO(id_is_user, id);
}

Test(id, rooms)
{
	YES(id_is_room, "!abc:example.org");
	YES(id_is_room, "!" HASH);
	NO(id_is_room, "!");
	NO(id_is_room, "!:example.org");
	NO(id_is_room, "!abc");
	NO(id_is_room, "!" HASH "x");
	NO(id_is_room, "!acR1l0raoZnm60CBwAVgqbZqoO/mYU81xysh1u7XcJk");
	NO(id_is_room, "!a\\u0000:example.org");
	NO(id_is_room, "#abc:example.org");
}

Test(id, aliases)
{
	YES(id_is_alias, "#abc:example.org");
	YES(id_is_alias, "#ä b/c?:example.org:8448");
	NO(id_is_alias, "#:example.org");
	NO(id_is_alias, "#abc");
	NO(id_is_alias, "#abc:");
	NO(id_is_alias, "#a\\u0000:example.org");
	NO(id_is_alias, "abc:example.org");
}

Test(id, events)
{
	YES(id_is_event, "$" HASH);
	YES(id_is_event, "$acR1l0raoZnm60CBwAVgqbZqoO/mYU81xysh1u7XcJk");
	YES(id_is_event, "$143273582443PhrSn:example.org");
	NO(id_is_event, "$");
	NO(id_is_event, "$abc");
	NO(id_is_event, "$acR1l0raoZnm60CBwAVgqbZqoO/mYU81xysh1u7Xc_k");
	NO(id_is_event, HASH);
	NO(id_is_event, "$:example.org");
}

Test(id, parts)
{
	struct arena *a = arena_new();

	cr_assert_str_eq(id_server("@a:b:80"), "b:80");
	cr_assert_null(id_server("@a"));
	cr_assert_str_eq(id_localpart(a, "@alice:b:80"), "alice");
	cr_assert_str_eq(id_localpart(a, "@:b"), "");
	cr_assert_str_eq(id_localpart(a, ""), "");
	arena_free(a);
}

Test(id, new_localparts)
{
	YES(localpart_is_new, "alice");
	YES(localpart_is_new, "a-z0.9_=/+");
	NO(localpart_is_new, "");
	NO(localpart_is_new, "Alice");
	NO(localpart_is_new, "a b");
	NO(localpart_is_new, "a:b");
	NO(localpart_is_new, "é");
	NO(localpart_is_new, "a\\n");
}
