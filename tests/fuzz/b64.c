/* tests/fuzz/b64.c - base64 there and back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/b64.h"

#define MUST(x) do { if (!(x)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
back(struct arena *a, const char *text, const void *p, size_t n)
{
	size_t len;
	void *q = b64_decode(a, text, strlen(text), &len);

	MUST(q && len == n && (n == 0 || memcmp(q, p, n) == 0));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	size_t n;
	void *p;

	back(a, b64_encode(a, data, size), data, size);
	back(a, b64url_encode(a, data, size), data, size);
	if ((p = b64_decode(a, (const char *)data, size, &n))) {
		MUST(n <= size / 4 * 3 + 2);
		back(a, b64_encode(a, p, n), p, n);
	}
	arena_free(a);
	return 0;
}
