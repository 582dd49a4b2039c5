/* tests/unit/base/json_text.c - canonical JSON, esc strings, the writer */
#include <criterion/criterion.h>

#include "core/base/json.h"

static struct json *
parse(struct arena *a, const char *text)
{
	struct json *v;

	cr_assert_eq(json_parse(a, text, strlen(text), &v), JSON_OK, "%s", text);
	return v;
}

static void
expect_canonical(const char *text, const char *want)
{
	struct arena *a = arena_new();
	size_t n;
	const char *got = json_canonical_str(a, parse(a, text), &n);

	cr_expect_str_eq(got, want);
	cr_expect_eq(n, strlen(want));
	arena_free(a);
}

/* Appendices, "Canonical JSON", Examples: all of them. */
Test(json_canonical, examples_of_the_specification)
{
	expect_canonical("{}", "{}");
	expect_canonical("{\n \"one\": 1,\n \"two\": \"Two\"\n}", "{\"one\":1,\"two\":\"Two\"}");
	expect_canonical("{\n \"b\": \"2\",\n \"a\": \"1\"\n}", "{\"a\":\"1\",\"b\":\"2\"}");
	expect_canonical("{\"b\":\"2\",\"a\":\"1\"}", "{\"a\":\"1\",\"b\":\"2\"}");
	expect_canonical("{\"auth\":{\"success\":true,\"mxid\":\"@john.doe:example.com\",\"profile\":{\"display_name\":\"John Doe\","
	    "\"three_pids\":[{\"medium\":\"email\",\"address\":\"john.doe@example.org\"},{\"medium\":\"msisdn\",\"address\":\"123456789\"}]}}}",
	    "{\"auth\":{\"mxid\":\"@john.doe:example.com\",\"profile\":{\"display_name\":\"John Doe\",\"three_pids\":[{\"address\":"
	    "\"john.doe@example.org\",\"medium\":\"email\"},{\"address\":\"123456789\",\"medium\":\"msisdn\"}]},\"success\":true}}");
	expect_canonical("{\"a\": \"日本語\"}", "{\"a\":\"日本語\"}");
	expect_canonical("{\"本\": 2, \"日\": 1}", "{\"日\":1,\"本\":2}");
	expect_canonical("{\"a\": \"\\u65E5\"}", "{\"a\":\"日\"}");
	expect_canonical("{\"a\": null}", "{\"a\":null}");
	expect_canonical("{\"a\": -0, \"b\": 1e10}", "{\"a\":0,\"b\":10000000000}");
}

Test(json_canonical, numbers_without_a_canonical_form_stay_as_they_came)
{
	expect_canonical("[1.0,1.50,1e-2,-1E+3,0e5,-0e0]", "[1.0,1.50,1e-2,-1000,0,0]");
	expect_canonical("[9007199254740992,9223372036854775808,1e16,1e99999999999999999999]",
	    "[9007199254740992,9223372036854775808,1e16,1e99999999999999999999]");
	expect_canonical("[9007199254740991e0,-9007199254740991e0,9007199254740992e0]",
	    "[9007199254740991,-9007199254740991,9007199254740992e0]");
}

/* By code point: U+FF5E before U+1F600, where UTF-16 has it the other way round; a prefix first; NUL lowest. */
Test(json_canonical, keys_are_ordered_by_code_point)
{
	expect_canonical("{\"\xf0\x9f\x98\x80\":1,\"\xef\xbd\x9e\":2}", "{\"\xef\xbd\x9e\":2,\"\xf0\x9f\x98\x80\":1}");
	expect_canonical("{\"ab\":1,\"a\":2,\"\":3,\"B\":4}", "{\"\":3,\"B\":4,\"a\":2,\"ab\":1}");
	expect_canonical("{\"a!\":1,\"a\\u0000\":2,\"a\":3}", "{\"a\":3,\"a\\u0000\":2,\"a!\":1}");
}

Test(json_canonical, many_keys)
{
	struct arena *a = arena_new();
	struct json *v;
	struct buf b, want;

	buf_init(&b, a);
	buf_init(&want, a);
	for (int i = 999; i >= 0; i--)
		buf_addf(&b, "%s\"%03d\":%d", b.n ? "," : "{", i, i);
	for (int i = 0; i < 1000; i++)
		buf_addf(&want, "%s\"%03d\":%d", i ? "," : "{", i, i);
	buf_putc(&b, '}');
	buf_putc(&want, '}');
	v = parse(a, b.s);
	cr_assert_str_eq(json_canonical_str(a, v, NULL), want.s);
	cr_assert_str_eq(v->u.obj.v[0].key, "999");	/* the tree keeps its order */
	arena_free(a);
}

Test(json_canonical, shortest_escapes)
{
	expect_canonical("\"\\u0008\\u0009\\u000A\\u000c\\u000d\\u0022\\u005c\\/\\u007f\\u0000\\u001F\\u000b\"",
	    "\"\\b\\t\\n\\f\\r\\\"\\\\/\x7f\\u0000\\u001f\\u000b\"");
}

Test(json_strict, integers_of_53_bits)
{
	struct arena *a = arena_new();

	cr_assert(json_is_strict(parse(a, "{\"a\":[9007199254740991,-9007199254740991,{\"b\":null}],\"c\":\"1.5\"}")));
	cr_assert_not(json_is_strict(parse(a, "[9007199254740992]")));
	cr_assert_not(json_is_strict(parse(a, "{\"a\":{\"b\":[-9007199254740992]}}")));
	cr_assert_not(json_is_strict(parse(a, "[1.0]")));
	cr_assert_not(json_is_strict(parse(a, "[1e2]")));
	cr_assert_not(json_is_strict(parse(a, "[-0]")));
	arena_free(a);
}

Test(esc, ordinary_ids_are_themselves)
{
	struct arena *a = arena_new();
	const char *id = "@alice:example.org";

	cr_assert_str_eq(esc_from_raw(a, id, strlen(id)), id);
	cr_assert_str_eq(esc_from_raw(a, id, 6), "@alice");
	cr_assert_eq(esc_raw_len(id), strlen(id));
	arena_free(a);
}

Test(esc, there_and_back)
{
	static const char raw[] = "a\0b\"c\\d\ne\x01" "f\x7f日";
	struct arena *a = arena_new();
	const char *esc = esc_from_raw(a, raw, sizeof(raw) - 1), *back;
	size_t n;

	cr_assert_str_eq(esc, "a\\u0000b\\\"c\\\\d\\ne\\u0001f\x7f日");
	cr_assert_not_null(back = esc_to_raw(a, esc, &n));
	cr_assert_eq(n, sizeof(raw) - 1);
	cr_assert_arr_eq(back, raw, sizeof(raw));
	cr_assert_eq(esc_raw_len(esc), n);
	cr_assert(esc_equals_raw(esc, raw, sizeof(raw) - 1));
	cr_assert_not(esc_equals_raw(esc, raw, sizeof(raw) - 2));
	cr_assert_not(esc_equals_raw("a", "ab", 2));
	cr_assert_not(esc_equals_raw("ab", "a", 1));
	arena_free(a);
}

/* One string, one esc string: what add_esc() would not write is refused. */
Test(esc, other_forms_are_refused)
{
	static const char *const bad[] = { "\"", "\n", "\\", "\\x", "\\/", "\\u", "\\u00", "\\u0041", "\\u000a", "\\u000A",
		"\\u001F", "\\u0022", "\\u00e9", "\xff", "\xed\xa0\x80", "a\\" };
	struct arena *a = arena_new();
	size_t n;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		cr_expect_null(esc_to_raw(a, bad[i], &n), "%s", bad[i]);
	arena_free(a);
}

Test(esc, of_trees)
{
	struct arena *a = arena_new();
	struct json *v = parse(a, "{\"plain\":\"x\",\"nul\":\"a\\u0000\",\"n\":1,\"k\\n\":2}"), *s;

	cr_assert_str_eq(json_get_esc(a, v, "plain"), "x");
	cr_assert_str_eq(json_get_esc(a, v, "nul"), "a\\u0000");
	cr_assert_null(json_get_esc(a, v, "n"));
	cr_assert_null(json_get_esc(a, v, "absent"));
	cr_assert_null(json_get_str(v, "nul"));
	cr_assert_eq(json_get_by_esc(v, "k\\n")->u.i, 2);
	cr_assert_str_eq(json_get_by_esc(v, "plain")->u.str.s, "x");
	cr_assert_null(json_get_by_esc(v, "k\\t"));
	cr_assert_null(json_get_by_esc(NULL, "k\\n"));
	s = json_new_esc(a, "a\\u0000\\\"");
	cr_assert_eq(s->u.str.n, 3);
	cr_assert_arr_eq(s->u.str.s, "a\0\"", 3);
	arena_free(a);
}

Test(json_out, commas_come_by_themselves)
{
	struct arena *a = arena_new();
	struct json_out o;
	struct json *v;

	json_out_init(&o, a);
	json_obj(&o, NULL);
	json_str(&o, "s", "a\"b");
	json_str(&o, "null", NULL);
	json_strn(&o, "n", "x\0y", 3);
	json_esc(&o, "e", "\\n");
	json_esc(&o, "en", NULL);
	json_raw(&o, "r", "[1]");
	json_rawn(&o, "rn", "truex", 4);
	json_int(&o, "i", -5);
	json_bool(&o, "b", false);
	json_arr(&o, "a");
	json_end(&o);
	json_arr(&o, "a2");
	json_int(&o, NULL, 1);
	json_obj(&o, NULL);
	json_end(&o);
	json_arr(&o, NULL);
	json_str(&o, NULL, "{");
	json_str(&o, NULL, "[:");
	json_end(&o);
	json_end(&o);
	json_obj(&o, "o");
	json_key_esc(&o, "@a\\\":b");
	json_obj(&o, NULL);
	json_end(&o);
	json_key_esc(&o, "k2");
	json_int(&o, NULL, 2);
	json_value(&o, "v", parse(a, "{\"z\":1,\"y\":[]}"));
	json_end(&o);
	json_end(&o);
	cr_assert_str_eq(o.b.s, "{\"s\":\"a\\\"b\",\"null\":null,\"n\":\"x\\u0000y\",\"e\":\"\\n\",\"en\":null,\"r\":[1],\"rn\":true,"
	    "\"i\":-5,\"b\":false,\"a\":[],\"a2\":[1,{},[\"{\",\"[:\"]],\"o\":{\"@a\\\":b\":{},\"k2\":2,\"v\":{\"y\":[],\"z\":1}}}");
	cr_assert_eq(json_parse(a, o.b.s, o.b.n, &v), JSON_OK);
	arena_free(a);
}

Test(json_out, sixty_levels)
{
	struct arena *a = arena_new();
	struct json_out o;
	struct json *v;

	json_out_init(&o, a);
	for (int i = 0; i < 60; i++)
		if (i % 3)
			json_arr(&o, i % 3 == 1 ? "k" : NULL);
		else
			json_obj(&o, NULL);
	for (int i = 0; i < 60; i++)
		json_end(&o);
	cr_assert_eq(json_parse(a, o.b.s, o.b.n, &v), JSON_OK);
	cr_assert_str_eq(json_canonical_str(a, v, NULL), o.b.s);
	arena_free(a);
}
