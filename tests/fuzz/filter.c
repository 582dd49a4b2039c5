/*
 * tests/fuzz/filter.c - filters from anywhere. The input is a filter, a zero byte, and the type of an event. What is taken
 * for a filter judges the event without fault, agrees with itself, and is not undone by its own exclusions.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/sync/filter.h"

#define MUST(x) do { if (!(x)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
judge(struct ctx *cx, const struct filter *f, const char *text)
{
	const struct event_filter *part[] = { &f->timeline, &f->state, &f->ephemeral, &f->room_data, &f->account_data, &f->presence };
	const char *type = esc_from_raw(cx->a, text, strlen(text)), *content = "{\"body\":\"b\",\"url\":\"mxc://a/b\"}";
	size_t i;

	for (i = 0; i < sizeof part / sizeof *part; i++) {
		bool once = filter_event(part[i], "!r:x", type, "@a:x", content);

		MUST(part[i]->limit >= 0 && part[i]->limit <= FILTER_LIMIT_MAX);
		MUST(once == filter_event(part[i], "!r:x", type, "@a:x", content));
		MUST(!part[i]->any || once);
		MUST(!(part[i]->types.given && part[i]->types.n + part[i]->types.nglobs == 0) || !once);
	}
	filter_room(f, "!r:x");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ctx cx = { .a = arena_new() };
	const char *text = arena_strndup(cx.a, (const char *)data, size), *type = "";
	const struct filter *f;
	struct json *ev = NULL, *v;

	if (strlen(text) < size)
		type = text + strlen(text) + 1;
	if (filter_parse(&cx, text, &f) == M_OK) {
		judge(&cx, f, "m.room.message");
		if (json_parse(cx.a, arena_printf(cx.a, "\"%s\"", type), strlen(type) + 2, &v) == JSON_OK && !strchr(type, '\\'))
			judge(&cx, f, type);
		json_parse(cx.a, text, strlen(text), &ev);
		json_canonical_str(cx.a, filter_fields(cx.a, f, ev), NULL);
	}
	arena_free(cx.a);
	return 0;
}
