/* tests/unit/base/email.c - which texts are addresses, and that two spellings of one address become one */
#include <criterion/criterion.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/email.h"

static struct arena *a;

static void
setup(void)
{
	a = arena_new();
}

static void
teardown(void)
{
	arena_free(a);
}

TestSuite(email, .init = setup, .fini = teardown);

Test(email, spellings_become_one)
{
	static const char *const v[][2] = {
		{ "bob@example.com", "bob@example.com" }, { "Bob@Example.COM", "bob@example.com" },
		{ "Strau\xc3\x9f@Example.com", "strauss@example.com" },			/* the specification's own */
		{ "\xe2\x84\xaa@example.org", "k@example.org" },			/* KELVIN SIGN */
		{ "e\xcc\x81@example.org", "\xc3\xa9@example.org" },			/* one accent, two spellings */
		{ "B\xc3\x9c""CHER@B\xc3\x9c""CHER.example", "b\xc3\xbc""cher@b\xc3\xbc""cher.example" },
		{ "a.b+tag_x!#$%&'*/=?^`{|}~-@x-1.example", "a.b+tag_x!#$%&'*/=?^`{|}~-@x-1.example" }, { "a@localhost", "a@localhost" },
	};

	for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
		const char *s = email_canonical(a, v[i][0]);

		cr_assert_not_null(s, "%s", v[i][0]);
		cr_expect_str_eq(s, v[i][1]);
		cr_expect_str_eq(email_canonical(a, s), s, "folded once is folded");
	}
}

Test(email, what_is_none)
{
	static const char *const v[] = {
		"", "@", "a", "a@", "@b", "a@b@c", "a b@c", " a@b", "a@b ", "a@b.", "a@.b", "a@b..c", ".a@b", "a.@b", "a..b@c", "a@-b", "a@b-", "a@b-.c",
		"a@b.-c", "a@[127.0.0.1]", "\"a\"@b", "<a@b>", "a@b>", "a,b@c", "a;b@c", "a(x)@b", "a@b\r\nBcc: c@d", "a@b\n", "a\t@b", "mailto:a@b",
		"a\\@b", "a@b_c", "a@b/c", "\x80@b", "a@\xff", "a\xe2\x80\x8b@b", "a\xc2\xa0@b", "a\xe2\x80\xa8@b", "a@\xe3\x80\x82", "a\xef\xbc\xa0\x62@c", "a\x7f@b",
	};

	for (size_t i = 0; i < sizeof v / sizeof *v; i++)
		cr_expect_null(email_canonical(a, v[i]), "%s", v[i]);
}

static const char *
times(const char *part, int n)
{
	struct buf b;

	buf_init(&b, a);
	while (n-- > 0)
		buf_puts(&b, part);
	return b.s;
}

Test(email, lengths)
{
	const char *labels = times("bbb.", 62), *s = arena_printf(a, "a@%sbbbb", labels);

	cr_assert_not_null(email_canonical(a, arena_printf(a, "%s@example.org", times("a", 64))));
	cr_assert_null(email_canonical(a, arena_printf(a, "%s@example.org", times("a", 65))));
	cr_assert_eq(strlen(s), EMAIL_MAX);
	cr_assert_not_null(email_canonical(a, s));
	cr_assert_null(email_canonical(a, arena_printf(a, "%sb", s)));
	cr_assert_not_null(email_canonical(a, arena_printf(a, "a@%s", times("b", 63))));
	cr_assert_null(email_canonical(a, arena_printf(a, "a@%s", times("b", 64))), "a label of 64");
}

Test(email, senders)
{
	const char *name, *address;

	cr_assert(email_mailbox(a, "Hearth of T\xc3\xa4st <Noreply@Example.org>", &name, &address));
	cr_expect_str_eq(name, "Hearth of T\xc3\xa4st");
	cr_expect_str_eq(address, "noreply@example.org");
	cr_assert(email_mailbox(a, "a@b", &name, &address));
	cr_expect_str_eq(name, "");
	cr_assert(email_mailbox(a, "<a@b>", &name, &address));
	cr_expect_str_eq(name, "");
	cr_expect_not(email_mailbox(a, "", &name, &address));
	cr_expect_not(email_mailbox(a, "x <a@b", &name, &address));
	cr_expect_not(email_mailbox(a, "x <>", &name, &address));
	cr_expect_not(email_mailbox(a, "<", &name, &address));
	cr_expect_not(email_mailbox(a, "x <a@b> y", &name, &address));
	cr_expect_not(email_mailbox(a, "x\nBcc: c@d <a@b>", &name, &address));
	cr_expect_str_eq(email_domain("a@b.c"), "b.c");
}
