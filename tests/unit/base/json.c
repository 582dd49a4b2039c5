/* tests/unit/base/json.c - trees: reading, comparing, building */
#include <criterion/criterion.h>

#include "core/base/json.h"

static struct json *
parse(struct arena *a, const char *text)
{
	struct json *v;

	cr_assert_eq(json_parse(a, text, strlen(text), &v), JSON_OK, "%s", text);
	return v;
}

static bool
equal(const char *x, const char *y)
{
	struct arena *a = arena_new();
	bool r = json_equal(parse(a, x), parse(a, y));

	arena_free(a);
	return r;
}

Test(json, chains_need_no_checks)
{
	struct arena *a = arena_new();
	struct json *v = parse(a, "{\"a\":[1],\"s\":\"x\",\"i\":1.5}");

	cr_assert_null(json_get(json_get(json_get(v, "a"), "b"), "c"));
	cr_assert_null(json_get_str(json_get(v, "nothing"), "x"));
	cr_assert_null(json_get_str(v, "a"));
	cr_assert_eq(json_get_int(v, "s", 7), 7);
	cr_assert_eq(json_get_int(v, "i", 7), 7);
	cr_assert(json_get_bool(v, "s", true));
	cr_assert_not(json_is(NULL, JSON_NULL));
	cr_assert(json_str_eq(json_get(v, "s"), "x"));
	cr_assert_not(json_str_eq(json_get(v, "s"), "xy"));
	cr_assert_not(json_str_eq(json_get(v, "a"), "x"));
	cr_assert_not(json_str_eq(NULL, ""));
	arena_free(a);
}

Test(json, equality)
{
	cr_assert(equal("{\"a\":1,\"b\":[true,null,\"x\",1.5]}", "{ \"b\":[true,null,\"\\u0078\",1.5],\"a\":1}"));
	cr_assert(equal("{\"a\":{\"x\":1,\"y\":2},\"b\":1,\"c\":1}", "{\"c\":1,\"b\":1,\"a\":{\"y\":2,\"x\":1}}"));
	cr_assert_not(equal("{\"a\":1,\"b\":2}", "{\"a\":1,\"b\":3}"));
	cr_assert_not(equal("{\"a\":1,\"b\":2}", "{\"b\":1,\"a\":2}"));
	cr_assert_not(equal("{\"a\":1}", "{\"a\":1,\"b\":2}"));
	cr_assert_not(equal("{\"a\":1}", "{\"b\":1}"));
	cr_assert_not(equal("[1,2]", "[2,1]"));
	cr_assert_not(equal("[1]", "[1,2]"));
	cr_assert_not(equal("\"a\\u0000\"", "\"a\""));
	cr_assert_not(equal("1", "1.0"));
	cr_assert_not(equal("true", "false"));
	cr_assert_not(equal("null", "false"));
	cr_assert(json_equal(NULL, NULL));
}

Test(json, building)
{
	struct arena *a = arena_new();
	struct json *o = json_new_obj(a), *arr = json_new_arr(a);
	char key[] = "key";

	json_set(a, o, key, json_new_str(a, "v"));
	key[0] = 'x';
	json_set(a, o, "i", json_new_int(a, -3));
	json_set(a, o, "arr", arr);
	for (int i = 0; i < 9; i++)
		json_push(a, arr, json_new_int(a, i));
	json_set(a, o, "t", json_new_bool(a, true));
	json_set(a, o, "n", json_new_null(a));
	json_set(a, o, "i", json_new_int(a, 4));
	json_set_esc(a, o, "@x\\n:y", json_new_strn(a, "a\0b", 3));
	json_set_esc(a, o, "@x\\n:y", json_new_esc(a, "a\\u0000b"));
	json_del(o, "t");
	json_del(o, "absent");
	cr_assert_str_eq(json_canonical_str(a, o, NULL),
	    "{\"@x\\n:y\":\"a\\u0000b\",\"arr\":[0,1,2,3,4,5,6,7,8],\"i\":4,\"key\":\"v\",\"n\":null}");
	arena_free(a);
}

Test(json, a_parsed_object_can_grow)
{
	struct arena *a = arena_new();
	struct json *v = parse(a, "{\"a\":1,\"b\":2,\"c\":[1,2,3]}");

	for (int i = 0; i < 100; i++) {
		json_set(a, v, arena_printf(a, "k%02d", i), json_new_int(a, i));
		json_push(a, json_get(v, "c"), json_new_int(a, i));
		if (i % 3 == 0)
			json_del(v, arena_printf(a, "k%02d", i));
	}
	cr_assert_eq(v->u.obj.n, 3 + 66);
	cr_assert_eq(json_get_int(v, "k98", -1), 98);
	cr_assert_eq(json_get(v, "c")->u.arr.n, 103);
	cr_assert_eq(json_get(v, "c")->u.arr.v[102]->u.i, 99);
	arena_free(a);
}

/* The room behind the last element must not be shared between an object and its copies. */
Test(json, copies_are_independent)
{
	struct arena *a = arena_new();
	struct json *v = parse(a, "{\"a\":1,\"b\":2,\"c\":3}"), *x = json_copy(a, v), *y = json_copy(a, v);
	struct json *arr = parse(a, "[1,2,3]"), *arr2 = json_copy(a, arr);

	json_set(a, x, "x", json_new_int(a, 4));
	json_set(a, y, "y", json_new_int(a, 5));
	json_del(y, "a");
	json_set(a, v, "v", json_new_int(a, 6));
	json_push(a, arr, json_new_int(a, 4));
	json_push(a, arr2, json_new_int(a, 5));
	cr_assert_str_eq(json_canonical_str(a, x, NULL), "{\"a\":1,\"b\":2,\"c\":3,\"x\":4}");
	cr_assert_str_eq(json_canonical_str(a, y, NULL), "{\"b\":2,\"c\":3,\"y\":5}");
	cr_assert_str_eq(json_canonical_str(a, v, NULL), "{\"a\":1,\"b\":2,\"c\":3,\"v\":6}");
	cr_assert_str_eq(json_canonical_str(a, arr, NULL), "[1,2,3,4]");
	cr_assert_str_eq(json_canonical_str(a, arr2, NULL), "[1,2,3,5]");
	cr_assert_str_eq(json_canonical_str(a, json_copy(a, json_new_obj(a)), NULL), "{}");
	cr_assert_eq(json_copy(a, json_new_int(a, 9))->u.i, 9);
	arena_free(a);
}
