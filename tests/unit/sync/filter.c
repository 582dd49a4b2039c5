/* tests/unit/sync/filter.c - filters: what is refused, and what passes. */
#include <criterion/criterion.h>
#include "core/sync/filter.h"

static struct ctx cx;

static void
setup(void)
{
	cx = (struct ctx){ .a = arena_new() };
}

static void
teardown(void)
{
	arena_free(cx.a);
}

TestSuite(filter, .init = setup, .fini = teardown);

static enum err
try(const char *text)
{
	const struct filter *f;

	return filter_parse(&cx, text, &f);
}

static const struct filter *
get(const char *text)
{
	const struct filter *f = NULL;

	cr_assert_eq(filter_parse(&cx, text, &f), M_OK, "%s", text);
	return f;
}

/* Does an event of this type pass the timeline of a filter? */
static bool
type_passes(const char *timeline, const char *type)
{
	const struct filter *f = get(arena_printf(cx.a, "{\"room\":{\"timeline\":%s}}", timeline));

	return filter_event(&f->timeline, "!r:x", type, "@a:x", "{}");
}

Test(filter, what_is_no_filter_is_refused_with_the_right_code)
{
	cr_expect_eq(try("{"), M_NOT_JSON);
	cr_expect_eq(try("[]"), M_BAD_JSON);
	cr_expect_eq(try("{\"room\":1}"), M_BAD_JSON);
	cr_expect_eq(try("{\"presence\":[]}"), M_BAD_JSON);
	cr_expect_eq(try("{\"room\":{\"timeline\":\"x\"}}"), M_BAD_JSON);
	cr_expect_eq(try("{\"room\":{\"rooms\":\"!a:b\"}}"), M_BAD_JSON);
	cr_expect_eq(try("{\"room\":{\"rooms\":[\"a\"]}}"), M_INVALID_PARAM);
	cr_expect_eq(try("{\"room\":{\"timeline\":{\"senders\":[\"a\"]}}}"), M_INVALID_PARAM);
	cr_expect_eq(try("{\"room\":{\"timeline\":{\"types\":[1]}}}"), M_BAD_JSON);
	cr_expect_eq(try("{\"room\":{\"timeline\":{\"limit\":\"1\"}}}"), M_BAD_JSON);
	cr_expect_eq(try("{\"room\":{\"timeline\":{\"limit\":1.5}}}"), M_BAD_JSON);
	cr_expect_eq(try("{\"room\":{\"timeline\":{\"limit\":-1}}}"), M_INVALID_PARAM);
	cr_expect_eq(try("{\"room\":{\"state\":{\"lazy_load_members\":1}}}"), M_BAD_JSON);
	cr_expect_eq(try("{\"event_format\":\"xml\"}"), M_INVALID_PARAM);
	cr_expect_eq(try("{\"event_fields\":[1]}"), M_BAD_JSON);
	cr_expect_eq(try("{\"unknown\":1,\"room\":{\"x\":[]},\"presence\":null}"), M_OK);
}

Test(filter, limit_has_a_default_and_a_maximum_and_may_be_zero)
{
	cr_expect_eq(filter_none()->timeline.limit, FILTER_LIMIT);
	cr_expect_eq(get("{\"room\":{\"timeline\":{}}}")->timeline.limit, FILTER_LIMIT);
	cr_expect_eq(get("{\"room\":{\"timeline\":{\"limit\":0}}}")->timeline.limit, 0);
	cr_expect_eq(get("{\"room\":{\"timeline\":{\"limit\":9007199254740991}}}")->timeline.limit, FILTER_LIMIT_MAX);
}

Test(filter, no_filter_lets_everything_pass)
{
	const struct filter *f = filter_none();

	cr_expect(filter_event(&f->timeline, "!r:x", "a", "@a:x", "{}"));
	cr_expect(filter_event(&f->account_data, NULL, "m.direct", NULL, "{}"));
	cr_expect(filter_room(f, "!r:x"));
	cr_expect_not(f->include_leave);
	cr_expect_not(f->state.lazy_members);
}

Test(filter, types_with_wildcards_and_exclusion_first)
{
	cr_expect(type_passes("{\"types\":[\"m.room.*\"]}", "m.room.message"));
	cr_expect_not(type_passes("{\"types\":[\"m.room.*\"]}", "m.roo"));
	cr_expect(type_passes("{\"types\":[\"*\"]}", ""));
	cr_expect(type_passes("{\"types\":[\"m.*.*e\"]}", "m.room.message"));
	cr_expect_not(type_passes("{\"types\":[\"m.*x*e\"]}", "m.room.message"));
	cr_expect(type_passes("{\"types\":[\"b\",\"a\",\"m.x\"]}", "a"));
	cr_expect_not(type_passes("{\"types\":[\"a\"],\"not_types\":[\"a\"]}", "a"));
	cr_expect_not(type_passes("{\"not_types\":[\"m.*\"]}", "m.room.topic"));
	cr_expect(type_passes("{\"not_types\":[]}", "a"));
	cr_expect_not(type_passes("{\"types\":[]}", "a"), "an empty list matches nothing");
	cr_expect_not(type_passes("{\"types\":[\"a?\"]}", "ab"), "only the star is special");
}

Test(filter, many_stars_take_no_exponential_time)
{
	char pattern[256], type[256];

	for (int i = 0; i < 120; i++) {
		pattern[2 * i] = '*';
		pattern[2 * i + 1] = 'a';
	}
	pattern[240] = 'b';
	pattern[241] = 0;
	memset(type, 'a', 250);
	type[250] = 0;
	cr_expect_not(type_passes(arena_printf(cx.a, "{\"types\":[\"%s\"]}", pattern), type));
}

Test(filter, senders_rooms_and_urls)
{
	const struct filter *f = get("{\"room\":{\"not_rooms\":[\"!b:x\"],\"rooms\":[\"!a:x\",\"!b:x\"],"
	    "\"timeline\":{\"senders\":[\"@a:x\",\"@b:x\"],\"not_senders\":[\"@b:x\"],\"rooms\":[\"!a:x\"],\"contains_url\":true}}}");

	cr_expect(filter_room(f, "!a:x"));
	cr_expect_not(filter_room(f, "!b:x"));
	cr_expect_not(filter_room(f, "!c:x"));
	cr_expect(filter_event(&f->timeline, "!a:x", "t", "@a:x", "{\"url\":\"mxc://a\"}"));
	cr_expect_not(filter_event(&f->timeline, "!a:x", "t", "@b:x", "{\"url\":\"mxc://a\"}"));
	cr_expect_not(filter_event(&f->timeline, "!c:x", "t", "@a:x", "{\"url\":\"mxc://a\"}"));
	cr_expect_not(filter_event(&f->timeline, "!a:x", "t", "@a:x", "{}"));
	cr_expect_not(filter_event(&f->timeline, "!a:x", "t", "@a:x", "{\"file\":{\"url\":\"mxc://a\"}}"), "only at the top");
	f = get("{\"room\":{\"timeline\":{\"contains_url\":false}}}");
	cr_expect(filter_event(&f->timeline, "!a:x", "t", "@a:x", "{}"));
	cr_expect_not(filter_event(&f->timeline, "!a:x", "t", "@a:x", "{\"url\":\"mxc://a\"}"));
}

static const char *
fields(const char *list, const char *event)
{
	const struct filter *f = get(arena_printf(cx.a, "{\"event_fields\":%s}", list));
	struct json *v = NULL;

	json_parse(cx.a, event, strlen(event), &v);
	return json_canonical_str(cx.a, filter_fields(cx.a, f, v), NULL);
}

Test(filter, event_fields_keep_what_is_named)
{
	const char *ev = "{\"type\":\"t\",\"content\":{\"body\":\"b\",\"a.b\":1,\"c\":{\"d\":2,\"e\":3}},\"sender\":\"@a:x\"}";

	cr_expect_str_eq(fields("[\"type\",\"content.body\"]", ev), "{\"content\":{\"body\":\"b\"},\"type\":\"t\"}");
	cr_expect_str_eq(fields("[\"content.a\\\\.b\",\"content.c.e\"]", ev), "{\"content\":{\"a.b\":1,\"c\":{\"e\":3}}}");
	cr_expect_str_eq(fields("[\"content.c\",\"content.c.d\",\"content.x.y\",\"type.x\"]", ev), "{\"content\":{\"c\":{\"d\":2,\"e\":3}}}");
	cr_expect_str_eq(fields("[]", ev), "{}");
	cr_expect_str_eq(fields("[\"content.body\",\"content\"]", "{\"type\":\"t\"}"), "{}");
}
