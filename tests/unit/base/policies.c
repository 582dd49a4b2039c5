/* tests/unit/base/policies.c - the setting `terms` */
#include <criterion/criterion.h>

#include "core/base/policies.h"

#define EN "\"en\":{\"name\":\"N\",\"url\":\"https://example.org/a?b=c&d\"}"

Test(policies, good_and_bad)
{
	struct arena *a = arena_new();
	static const char *const good[] = {
		"", "{\"p\":{\"version\":\"1.0\"," EN "}}", "{\"p\":{\"version\":\"1\"," EN ",\"en-GB\":{\"name\":\"x\",\"url\":\"http://x/\"}},\"q\":{\"version\":\"2\"," EN "}}",
	};
	static const char *const bad[] = {
		"{}", "[]", "x", "{\"p\":1}", "{\"p\":{" EN "}}", "{\"p\":{\"version\":1," EN "}}", "{\"p\":{\"version\":\"1 0\"," EN "}}", "{\"p\":{\"version\":\"1\"}}",
		"{\"a b\":{\"version\":\"1\"," EN "}}", "{\"\":{\"version\":\"1\"," EN "}}", "{\"p\":{\"version\":\"1\",\"en\":{\"name\":\"N\"}}}", "{\"p\":{\"version\":\"1\",\"en\":{\"url\":\"https://x/\"}}}",
		"{\"p\":{\"version\":\"1\",\"en\":{\"name\":\"N\",\"url\":\"javascript:alert(1)\"}}}", "{\"p\":{\"version\":\"1\",\"en\":{\"name\":\"N\",\"url\":\"https://\"}}}",
		"{\"p\":{\"version\":\"1\",\"en\":{\"name\":\"N\",\"url\":\"https://x/\\\"><script>\"}}}", "{\"p\":{\"version\":\"1\",\"en\":{\"name\":\"N\",\"url\":\"https://x/ y\"}}}",
		"{\"p\":{\"version\":\"1\",\"e n\":{\"name\":\"N\",\"url\":\"https://x/\"}}}", "{\"p\":{\"version\":\"1\",\"en\":\"x\"}}",
	};

	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		cr_expect_null(policies_fault(a, good[i]), "%s", good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_expect_not_null(policies_fault(a, bad[i]), "%s", bad[i]);
	arena_free(a);
}
