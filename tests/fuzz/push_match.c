/*
 * tests/fuzz/push_match.c - push rules against events, both from anywhere. The input is rules, a zero byte, an event. A
 * verdict is always the same one, comes from an enabled rule, never for one's own event, and survives merging.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/push/match.h"
#include "core/user/push_rules.h"

#define MUST(x) do { if (!(x)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	const char *text = arena_strndup(a, (const char *)data, size), *event = "{}", *merged;
	struct json *rules, *all;
	struct push_event ev = { .members = 2, .sender_power = 50 };
	struct json *v;

	if (strlen(text) < size)
		event = text + strlen(text) + 1;
	if (json_parse(a, text, strlen(text), &rules) == JSON_OK && json_parse(a, event, strlen(event), &v) == JSON_OK) {
		struct push_result one, two;

		ev.event = v;
		ev.power_levels = json_get(v, "content");
		ev.display_name = json_get(ev.power_levels, "body");
		one = push_match(rules, "@alice:x", &ev);
		two = push_match(rules, "@alice:x", &ev);
		MUST(one.rule == two.rule && one.notify == two.notify && one.highlight == two.highlight && one.sound == two.sound);
		MUST(one.rule || (!one.notify && !one.highlight && !one.sound));
		MUST(!one.rule || json_get_bool(one.rule, "enabled", true));
		MUST(one.notify || (!one.highlight && !one.sound));
		MUST(!json_str_eq(json_get(v, "sender"), "@alice:x") || !one.rule);
		merged = push_rules_merge(a, "@alice:x", text);
		MUST(json_parse(a, merged, strlen(merged), &all) == JSON_OK);
		push_match(all, "@alice:x", &ev);
	}
	arena_free(a);
	return 0;
}
