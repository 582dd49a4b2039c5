/* tests/db/e2ee/device.c - see device.h. */
#include "tests/db/e2ee/device.h"

#include <stdarg.h>

struct json *
jsonf(struct ctx *cx, const char *fmt, ...)
{
	char text[4000];
	struct json *v;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	cr_assert_lt(n, (int)sizeof text);
	for (int i = 0; i < n; i++)
		if (text[i] == '\'')
			text[i] = '"';
	cr_assert_eq(json_parse(cx->a, text, (size_t)n, &v), JSON_OK, "no JSON: %s", text);
	return v;
}

const char *
device_name(const struct client *c)
{
	return sql("SELECT device_id FROM device WHERE nid = %lld", (long long)c->device);
}
