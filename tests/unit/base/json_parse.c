/* tests/unit/base/json_parse.c - what is JSON and what is not */
#include <criterion/criterion.h>

#include "core/base/json.h"

#define PARSE(a, text, out) json_parse(a, text, sizeof(text) - 1, out)

static enum json_fault
fault_of(const char *text, size_t n)
{
	struct arena *a = arena_new();
	struct json *v = (struct json *)1;
	enum json_fault f = json_parse(a, text, n, &v);

	cr_assert_eq(v != NULL, f == JSON_OK);
	arena_free(a);
	return f;
}

#define FAULT(text, f) cr_expect_eq(fault_of(text, sizeof(text) - 1), f, "%s", text)

Test(json_parse, every_type)
{
	struct arena *a = arena_new();
	struct json *v;

	cr_assert_eq(PARSE(a, " {\"s\":\"x\\n\", \"i\":-12,\"t\":true,\"f\":false,\"n\":null,\"a\":[1,[],{}],\"d\":1.50} ", &v), JSON_OK);
	cr_assert_eq(v->type, JSON_OBJ);
	cr_assert_eq(v->u.obj.n, 7);
	cr_assert_str_eq(v->u.obj.v[0].key, "s");
	cr_assert_str_eq(json_get_str(v, "s"), "x\n");
	cr_assert_eq(json_get_int(v, "i", 0), -12);
	cr_assert(json_get_bool(v, "t", false));
	cr_assert_not(json_get_bool(v, "f", true));
	cr_assert(json_is(json_get(v, "n"), JSON_NULL));
	cr_assert_eq(json_get(v, "a")->u.arr.n, 3);
	cr_assert(json_is(json_get(v, "a")->u.arr.v[2], JSON_OBJ));
	cr_assert(json_is(json_get(v, "d"), JSON_NUM));
	cr_assert_str_eq(json_get(v, "d")->u.str.s, "1.50");
	arena_free(a);
}

Test(json_parse, scalars_at_the_top)
{
	FAULT("true", JSON_OK);
	FAULT("12", JSON_OK);
	FAULT(" null\n", JSON_OK);
	FAULT("\"x\"", JSON_OK);
	FAULT("1.5e-7", JSON_OK);
}

Test(json_parse, what_is_no_json)
{
	FAULT("", JSON_SYNTAX);
	FAULT("  ", JSON_SYNTAX);
	FAULT("{", JSON_SYNTAX);
	FAULT("[1,]", JSON_SYNTAX);
	FAULT("{\"a\":1,}", JSON_SYNTAX);
	FAULT("{\"a\" 1}", JSON_SYNTAX);
	FAULT("{a:1}", JSON_SYNTAX);
	FAULT("{1:1}", JSON_SYNTAX);
	FAULT("{\"a\":1}}", JSON_SYNTAX);
	FAULT("{} {}", JSON_SYNTAX);
	FAULT("1 2", JSON_SYNTAX);
	FAULT("{}x", JSON_SYNTAX);
	FAULT("{}\"", JSON_SYNTAX);
	FAULT("80\"x", JSON_SYNTAX);
	FAULT("{}t", JSON_SYNTAX);
	FAULT("{}-", JSON_SYNTAX);
	FAULT("{}\0", JSON_SYNTAX);
	FAULT("tru", JSON_SYNTAX);
	FAULT("True", JSON_SYNTAX);
	FAULT("NaN", JSON_SYNTAX);
	FAULT("Infinity", JSON_SYNTAX);
	FAULT("'x'", JSON_SYNTAX);
	FAULT("\"x", JSON_SYNTAX);
	FAULT("\"a\nb\"", JSON_SYNTAX);
	FAULT("\"a\tb\"", JSON_SYNTAX);
	FAULT("\"\\'\"", JSON_SYNTAX);
	FAULT("\"\\x41\"", JSON_SYNTAX);
	FAULT("\"\\u12G4\"", JSON_SYNTAX);
	FAULT("\"\\u12", JSON_SYNTAX);
	FAULT("\"\\", JSON_SYNTAX);
	FAULT("\v1", JSON_SYNTAX);
	FAULT("\f1", JSON_SYNTAX);
	FAULT("/* */1", JSON_SYNTAX);
	FAULT("// \n1", JSON_SYNTAX);
	FAULT("\xef\xbb\xbf{}", JSON_SYNTAX);
}

Test(json_parse, numbers)
{
	FAULT("01", JSON_SYNTAX);
	FAULT("-", JSON_SYNTAX);
	FAULT("+1", JSON_SYNTAX);
	FAULT("1.", JSON_SYNTAX);
	FAULT(".5", JSON_SYNTAX);
	FAULT("1e", JSON_SYNTAX);
	FAULT("0x10", JSON_SYNTAX);
	FAULT("--1", JSON_SYNTAX);
}

static enum json_type
type_of(const char *text)
{
	struct arena *a = arena_new();
	struct json *v;
	enum json_type t;

	cr_assert_eq(json_parse(a, text, strlen(text), &v), JSON_OK);
	t = v->type;
	if (t == JSON_NUM)
		cr_assert_str_eq(v->u.str.s, text);
	arena_free(a);
	return t;
}

Test(json_parse, integers_are_what_fits_64_bits)
{
	struct arena *a = arena_new();
	struct json *v;

	cr_assert_eq(PARSE(a, "[9223372036854775807,-9223372036854775808,0]", &v), JSON_OK);
	cr_assert_eq(v->u.arr.v[0]->u.i, INT64_MAX);
	cr_assert_eq(v->u.arr.v[1]->u.i, INT64_MIN);
	cr_assert_eq(v->u.arr.v[2]->type, JSON_INT);
	cr_assert_eq(type_of("9223372036854775808"), JSON_NUM);
	cr_assert_eq(type_of("-9223372036854775809"), JSON_NUM);
	cr_assert_eq(type_of("123456789012345678901234567890"), JSON_NUM);
	cr_assert_eq(type_of("-0"), JSON_NUM);
	cr_assert_eq(type_of("1.0"), JSON_NUM);
	cr_assert_eq(type_of("1E2"), JSON_NUM);
	arena_free(a);
}

Test(json_parse, escapes)
{
	struct arena *a = arena_new();
	struct json *v;

	cr_assert_eq(PARSE(a, "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u65E5\\ud83d\\ude00\"", &v), JSON_OK);
	cr_assert_str_eq(v->u.str.s, "\"\\/\b\f\n\r\tA\xc3\xa9\xe6\x97\xa5\xf0\x9f\x98\x80");
	cr_assert_eq(PARSE(a, "{\"k\\u0000\":\"a\\u0000b\"}", &v), JSON_OK);
	cr_assert_eq(v->u.obj.v[0].key_n, 2);
	cr_assert_eq(v->u.obj.v[0].value->u.str.n, 3);
	cr_assert_arr_eq(v->u.obj.v[0].value->u.str.s, "a\0b\0", 4);
	arena_free(a);
}

Test(json_parse, not_utf8)
{
	FAULT("\"\xff\"", JSON_BAD_UTF8);
	FAULT("\"\xc0\x80\"", JSON_BAD_UTF8);
	FAULT("\"\xe0\x80\xaf\"", JSON_BAD_UTF8);
	FAULT("\"\xed\xa0\x80\"", JSON_BAD_UTF8);
	FAULT("\"\xf4\x90\x80\x80\"", JSON_BAD_UTF8);
	FAULT("\"\xe6\x97\"", JSON_BAD_UTF8);
	FAULT("{\"\x80\":1}", JSON_BAD_UTF8);
	FAULT("\"\xf4\x8f\xbf\xbf\xef\xbf\xbf\"", JSON_OK);
}

Test(json_parse, lone_surrogates)
{
	FAULT("\"\\ud800\"", JSON_BAD_UTF8);
	FAULT("\"\\udc00\"", JSON_BAD_UTF8);
	FAULT("\"\\udc00\\ud800\"", JSON_BAD_UTF8);
	FAULT("\"\\ud800\\u0041\"", JSON_BAD_UTF8);
	FAULT("\"\\ud800\\n\"", JSON_BAD_UTF8);
	FAULT("\"\\ud83d\\ud83d\\ude00\"", JSON_BAD_UTF8);
	FAULT("{\"\\uDFFF\":1}", JSON_BAD_UTF8);
	FAULT("\"\\\\ud800\"", JSON_OK);
	FAULT("\"\\\\\\ud800\"", JSON_BAD_UTF8);
}

static enum json_fault
nested(const char *open, const char *close, int depth)
{
	struct arena *a = arena_new();
	enum json_fault f;
	struct buf b;

	buf_init(&b, a);
	for (int i = 0; i < depth; i++)
		buf_puts(&b, open);
	buf_puts(&b, "1");
	for (int i = 0; i < depth; i++)
		buf_puts(&b, close);
	f = fault_of(b.s, b.n);
	arena_free(a);
	return f;
}

Test(json_parse, depth)
{
	cr_assert_eq(nested("[", "]", JSON_MAX_DEPTH), JSON_OK);
	cr_assert_eq(nested("[", "]", JSON_MAX_DEPTH + 1), JSON_TOO_DEEP);
	cr_assert_eq(nested("{\"a\":", "}", JSON_MAX_DEPTH), JSON_OK);
	cr_assert_eq(nested("{\"a\":", "}", JSON_MAX_DEPTH + 1), JSON_TOO_DEEP);
	cr_assert_eq(nested("[", "", 1000000), JSON_TOO_DEEP);
}

Test(json_parse, too_long)
{
	char *text = malloc(JSON_MAX_TEXT + 1);

	memset(text, ' ', JSON_MAX_TEXT + 1);
	cr_assert_eq(fault_of(text, JSON_MAX_TEXT + 1), JSON_TOO_BIG);
	free(text);
}

Test(json_parse, of_equal_keys_the_last_wins_at_the_first_place)
{
	struct arena *a = arena_new();
	struct json *v;

	cr_assert_eq(PARSE(a, "{\"a\":1,\"b\":2,\"a\":{\"x\":[]},\"c\":3,\"\\u0061\":4,\"c\":5}", &v), JSON_OK);
	cr_assert_eq(v->u.obj.n, 3);
	cr_assert_str_eq(v->u.obj.v[0].key, "a");
	cr_assert_eq(v->u.obj.v[0].value->u.i, 4);
	cr_assert_str_eq(v->u.obj.v[1].key, "b");
	cr_assert_eq(v->u.obj.v[2].value->u.i, 5);
	arena_free(a);
}

Test(json_parse, the_same_in_an_object_of_many_keys)
{
	struct arena *a = arena_new();
	struct json *v;
	struct buf b;

	buf_init(&b, a);
	buf_putc(&b, '{');
	for (int i = 0; i < 60000; i++)
		buf_addf(&b, "%s\"k%d\":%d", i ? "," : "", i * 7919 % 20000, i);
	buf_putc(&b, '}');
	cr_assert_eq(json_parse(a, b.s, b.n, &v), JSON_OK);
	cr_assert_eq(v->u.obj.n, 20000);
	for (int i = 0; i < 20000; i++) {
		const struct json_member *m = &v->u.obj.v[i];

		cr_assert_str_eq(m->key, arena_printf(a, "k%d", i * 7919 % 20000));
		cr_assert_eq(m->value->u.i, 40000 + i);
	}
	arena_free(a);
}

Test(json_parse, the_tree_does_not_point_into_the_text)
{
	struct arena *a = arena_new();
	char text[] = "{\"key\":[\"string\",1.5]}";
	struct json *v;

	cr_assert_eq(PARSE(a, text, &v), JSON_OK);
	memset(text, 'x', sizeof(text));
	cr_assert_str_eq(json_canonical_str(a, v, NULL), "{\"key\":[\"string\",1.5]}");
	arena_free(a);
}

Test(json_parse, wide_containers)
{
	struct arena *a = arena_new();
	struct json *v;
	struct buf b;

	buf_init(&b, a);
	buf_puts(&b, "[0");
	for (int i = 1; i < 5000; i++)
		buf_addf(&b, ",[%d,{\"a\":\"%d\"}]", i, i);
	buf_puts(&b, "]");
	cr_assert_eq(json_parse(a, b.s, b.n, &v), JSON_OK);
	cr_assert_eq(v->u.arr.n, 5000);
	cr_assert_eq(v->u.arr.v[4999]->u.arr.v[0]->u.i, 4999);
	cr_assert_str_eq(json_canonical_str(a, v, NULL), b.s);
	arena_free(a);
}
