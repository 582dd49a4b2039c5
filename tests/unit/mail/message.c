/* tests/unit/mail/message.c - mails as bytes: headers that nothing can be added to, lines that fit, texts that come back */
#include <criterion/criterion.h>
#include <string.h>

#include "core/mail/message.h"

static struct arena *a;

static void
setup(void)
{
	a = arena_new();
}

TestSuite(message, .init = setup);

static const char *
header(const char *text)
{
	struct buf b;

	buf_init(&b, a);
	mail_header_text(&b, text, strlen("Subject: "));
	return b.s;
}

static const char *
quoted(const char *text)
{
	struct buf b;

	buf_init(&b, a);
	mail_quoted_printable(&b, text);
	return b.s;
}

Test(message, headers)
{
	cr_expect_str_eq(header("plain (x)"), "plain (x)");
	cr_expect_str_eq(header("T\xc3\xa4st"), "=?UTF-8?Q?T=C3=A4st?=");
	cr_expect_str_eq(header("a b?=_"), "a b?=_");
	cr_expect_str_eq(header("=?UTF-8?Q?x?="), "=?UTF-8?Q?=3D=3FUTF-8=3FQ=3Fx=3F=3D?=");
	cr_expect_str_eq(header("a\r\nBcc: b"), "=?UTF-8?Q?a__Bcc=3A_b?=");
}

/* Whatever stands in it, a header has no line of its own, and none that is too long; characters are not torn. */
Test(message, long_headers_are_folded)
{
	struct buf b;
	const char *s;
	size_t line = strlen("Subject: ");

	buf_init(&b, a);
	for (int i = 0; i < 60; i++)
		buf_puts(&b, "\xf0\x9f\x94\xa5" "x ");
	s = header(b.s);
	for (const char *p = s; *p; p++, line++) {
		if (*p != '\r')
			continue;
		cr_assert_leq(line, 76);
		cr_assert_eq(strncmp(p, "\r\n =?UTF-8?Q?", 13), 0);
		cr_assert_eq(strncmp(p - 2, "?=", 2), 0);
		line = (size_t)-2;
	}
	cr_assert_leq(line, 76);
	cr_assert_null(strstr(s, "=F0?="));
}

Test(message, bodies)
{
	char *l = arena_alloc(a, 301);
	size_t line = 0;

	cr_expect_str_eq(quoted("a=b\n"), "a=3Db\r\n");
	cr_expect_str_eq(quoted("end \nnext"), "end=20\r\nnext");
	cr_expect_str_eq(quoted("\xc3\xa4\t"), "=C3=A4=09");
	cr_expect_str_eq(quoted("a\rb"), "a=0Db");
	memset(l, 'x', 300);
	l[300] = '\0';
	for (const char *p = quoted(l); *p; p++, line++)
		if (*p == '\r') {
			cr_assert_leq(line, 76);
			line = (size_t)-2;
		}
}

Test(message, whole)
{
	struct mail m = {
		.from_name = "H\xc3\xa4rth\r\nX: y", .from = "noreply@example.org", .to = "a@b", .subject = "Hello", .text = "Hi\n.\nbye\n", .id = "abc", .date = 1795789062000,
	};
	size_t n;
	const char *s = mail_message(a, &m, &n);

	cr_assert_eq(n, strlen(s));
	cr_assert_str_eq(s, "Date: Fri, 27 Nov 2026 14:17:42 +0000\r\nFrom: =?UTF-8?Q?H=C3=A4rth__X=3A_y?=\r\n <noreply@example.org>\r\nTo: a@b\r\n"
	    "Subject: Hello\r\nMessage-ID: <abc@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=UTF-8\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\nAuto-Submitted: auto-generated\r\n\r\nHi\r\n.\r\nbye\r\n");
	m.from_name = "";
	cr_assert_not_null(strstr(mail_message(a, &m, &n), "\r\nFrom: noreply@example.org\r\n"));
}
