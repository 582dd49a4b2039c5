/* tests/unit/fcgi/req.c - what handlers ask of a request: query, body, answers */
#include <criterion/criterion.h>
#include <string.h>

#include "fcgi/req.h"

static struct req r;

static void
setup(void)
{
	memset(&r, 0, sizeof(r));
	r.cx.a = arena_new();
	r.query = "";
	json_out_init(&r.out, r.cx.a);
}

static void
teardown(void)
{
	arena_free(r.cx.a);
}

static void
body(const char *text)
{
	cr_assert_eq(json_parse(r.cx.a, text, strlen(text), &r.body), JSON_OK);
}

TestSuite(req, .init = setup, .fini = teardown);

Test(req, query_values)
{
	const char **all;

	r.query = "dir=b&from=t1%2b2&x=a+b&dir=f&empty=&flag&q=%22&bad=%ff&%66oo=1";
	cr_expect_str_eq(req_query(&r, "dir"), "f", "the last wins");
	cr_expect_str_eq(req_query(&r, "from"), "t1+2");
	cr_expect_str_eq(req_query(&r, "x"), "a b");
	cr_expect_str_eq(req_query(&r, "empty"), "");
	cr_expect_str_eq(req_query(&r, "flag"), "");
	cr_expect_str_eq(req_query(&r, "q"), "\\\"", "esc");
	cr_expect_str_eq(req_query(&r, "foo"), "1", "names are decoded too");
	cr_expect_null(req_query(&r, "bad"));
	cr_expect_null(req_query(&r, "none"));
	cr_expect_eq(req_query_all(&r, "dir", &all), 2);
	cr_expect_str_eq(all[0], "b");
	cr_expect_str_eq(all[1], "f");
	cr_expect_eq(req_query_all(&r, "none", &all), 0);
}

static enum err
int_of(const char *query, int64_t *v)
{
	r.query = query;
	return req_query_int(&r, "n", 0, 1000, 7, v);
}

Test(req, query_integers)
{
	static const char *const bad[] = { "n=", "n=x", "n=1x", "n=+1", "n=%201", "n=1.5", "n=-1", "n=1001", "n=99999999999999999999" };
	int64_t v;

	cr_expect(int_of("", &v) == M_OK && v == 7);
	cr_expect(int_of("n=0", &v) == M_OK && v == 0);
	cr_expect(int_of("n=1000", &v) == M_OK && v == 1000);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		cr_expect_eq(int_of(bad[i], &v), M_INVALID_PARAM, "%s", bad[i]);
}

Test(req, query_booleans)
{
	bool v = false;

	r.query = "a=true&b=false&c=1&d";
	cr_expect(req_query_bool(&r, "a", false, &v) == M_OK && v);
	cr_expect(req_query_bool(&r, "b", true, &v) == M_OK && !v);
	cr_expect(req_query_bool(&r, "none", true, &v) == M_OK && v);
	cr_expect_eq(req_query_bool(&r, "c", false, &v), M_INVALID_PARAM);
	cr_expect_eq(req_query_bool(&r, "d", false, &v), M_INVALID_PARAM);
}

Test(req, body_strings)
{
	const char *s;

	body("{\"s\":\"a\\\"b\",\"null\":null,\"n\":1,\"zero\":\"a\\u0000b\"}");
	cr_expect(body_need_str(&r, "s", &s) == M_OK);
	cr_expect_str_eq(s, "a\"b");
	cr_expect(body_need_esc(&r, "s", &s) == M_OK);
	cr_expect_str_eq(s, "a\\\"b");
	cr_expect_eq(body_need_str(&r, "none", &s), M_MISSING_PARAM);
	cr_expect_eq(body_need_str(&r, "null", &s), M_MISSING_PARAM);
	cr_expect_eq(body_need_str(&r, "n", &s), M_BAD_JSON);
	cr_expect_eq(body_need_str(&r, "zero", &s), M_BAD_JSON);
	cr_expect(body_need_esc(&r, "zero", &s) == M_OK);
	cr_expect_str_eq(s, "a\\u0000b");
	cr_expect_eq(body_need_esc(&r, "none", &s), M_MISSING_PARAM);
	cr_expect(body_opt_str(&r, "none", &s) == M_OK && s == NULL);
	cr_expect(body_opt_str(&r, "null", &s) == M_OK && s == NULL);
	cr_expect(body_opt_str(&r, "n", &s) == M_BAD_JSON && s == NULL);
	cr_expect(body_opt_esc(&r, "n", &s) == M_BAD_JSON && s == NULL);
}

Test(req, body_other_types)
{
	struct json *v;
	int64_t i;
	bool b;

	body("{\"o\":{},\"a\":[],\"t\":true,\"i\":5,\"d\":1.5,\"null\":null}");
	cr_expect(body_opt_obj(&r, "o", &v) == M_OK && v);
	cr_expect(body_opt_obj(&r, "null", &v) == M_OK && !v);
	cr_expect(body_opt_obj(&r, "a", &v) == M_BAD_JSON && !v);
	cr_expect(body_opt_arr(&r, "a", &v) == M_OK && v);
	cr_expect(body_opt_arr(&r, "o", &v) == M_BAD_JSON && !v);
	cr_expect(body_opt_bool(&r, "t", false, &b) == M_OK && b);
	cr_expect(body_opt_bool(&r, "none", true, &b) == M_OK && b);
	cr_expect(body_opt_bool(&r, "i", true, &b) == M_BAD_JSON && b);
	cr_expect(body_opt_int(&r, "i", 0, &i) == M_OK && i == 5);
	cr_expect(body_opt_int(&r, "none", 9, &i) == M_OK && i == 9);
	cr_expect_eq(body_opt_int(&r, "d", 0, &i), M_BAD_JSON);
}

Test(req, answers)
{
	cr_expect_eq(reply_empty(&r), M_OK);
	cr_expect_str_eq(r.out.b.s, "{}");
	setup();
	cr_expect_eq(reply_redirect(&r, "https://x/"), M_OK);
	cr_expect_eq(r.status, 302);
	cr_expect_str_eq(r.headers[0].name, "Location");
	cr_expect_str_eq(r.headers[0].value, "https://x/");
	setup();
	cr_expect_eq(reply_raw(&r, "text/plain", "abc", 3), M_OK);
	cr_expect_str_eq(r.content_type, "text/plain");
	cr_expect_str_eq(r.out.b.s, "abc");
}
