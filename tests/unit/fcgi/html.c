/* tests/unit/fcgi/html.c - pages: nothing from outside becomes markup, every page has its headers; forms as they are sent */
#include <criterion/criterion.h>
#include <string.h>

#include "fcgi/html.h"

static struct req r;

static void
setup(void)
{
	memset(&r, 0, sizeof(r));
	r.cx.a = arena_new();
	json_out_init(&r.out, r.cx.a);
}

TestSuite(html, .init = setup);

static const char *
header(const char *name)
{
	for (int i = 0; i < r.nheaders; i++)
		if (strcmp(r.headers[i].name, name) == 0)
			return r.headers[i].value;
	return "";
}

Test(html, text_is_text)
{
	html_text(&r, "<a href=\"x\" b='y'>&amp;");
	cr_assert_str_eq(r.out.b.s, "&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;amp;");
}

Test(html, a_page)
{
	cr_assert_eq(html_message(&r, 404, "T<b>", "P<i>"), M_OK);
	cr_assert_eq(r.status, 404);
	cr_assert_str_eq(r.content_type, "text/html; charset=utf-8");
	cr_assert_null(strstr(r.out.b.s, "<b>"));
	cr_assert_null(strstr(r.out.b.s, "<i>"));
	cr_assert_not_null(strstr(header("Content-Security-Policy"), "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"));
	cr_assert_str_eq(header("X-Frame-Options"), "DENY");
	cr_assert_str_eq(header("Referrer-Policy"), "no-referrer");
	cr_assert_str_eq(header("Cache-Control"), "no-store");
}

Test(html, a_form_may_lead_on)
{
	html_begin(&r, "T");
	cr_assert_eq(html_end(&r, 200, "https://app.example.org"), M_OK);
	cr_assert_not_null(strstr(header("Content-Security-Policy"), "form-action 'self' https://app.example.org; "));
}

Test(html, forms)
{
	r.body_raw = "a=1&b=x+y%26%C3%A4&=z&c&a=2&d=%&e=%ff&f=%00&g%61=h";
	cr_expect_str_eq(form_value(&r, "a"), "2");
	cr_expect_str_eq(form_value(&r, "b"), "x y&\xc3\xa4");
	cr_expect_str_eq(form_value(&r, "c"), "");
	cr_expect_str_eq(form_value(&r, "ga"), "h");
	cr_expect_null(form_value(&r, "d"));
	cr_expect_null(form_value(&r, "e"));
	cr_expect_null(form_value(&r, "f"));
	cr_expect_null(form_value(&r, "nope"));
}
