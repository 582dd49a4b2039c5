/* tests/fuzz/path.c - paths and query strings: matching, decoding, parameters */
#include <stdlib.h>
#include <string.h>

#include "core/base/utf8.h"
#include "fcgi/path.h"
#include "fcgi/routes.h"

#define MUST(x) do { if (!(x)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
decode(struct arena *a, struct slice in)
{
	struct slice out;
	struct buf b;

	if (!url_decode(a, in, false, &out))
		return;
	MUST(out.n <= in.n && strlen(out.s) == out.n && utf8_valid(out.s, out.n));
	/* Encoded again, byte by byte, it means the same. */
	buf_init(&b, a);
	for (size_t i = 0; i < out.n; i++)
		buf_addf(&b, "%%%02X", (unsigned char)out.s[i]);
	in = (struct slice){ b.s, b.n };
	MUST(url_decode(a, in, true, &in) && in.n == out.n && memcmp(in.s, out.s, in.n) == 0);
}

static void
match(struct arena *a, enum http_method method, const char *path, size_t n)
{
	struct req r = { .method = method };
	enum err e;

	r.cx.a = a;
	e = route_find(&r, path, n);
	MUST(e == M_OK || e == M_UNRECOGNIZED || e == E_BAD_METHOD || e == E_BAD_REQUEST);
	if (e != M_OK)
		return;
	MUST(r.route && r.route->method == method);
	for (int i = 0; i < r.nparams; i++) {
		size_t len;

		MUST(req_param(&r, r.params[i].name) == r.params[i].value);
		MUST(esc_to_raw(a, r.params[i].value, &len));
	}
}

static void
query(struct arena *a, const char *q)
{
	struct req r = { .query = q };
	const char *pos = q, **all, *name;
	struct slice k, v;
	int64_t i;
	bool b;

	r.cx.a = a;
	while (query_next(&pos, &k, &v)) {
		MUST(k.s >= q && v.s + v.n <= q + strlen(q));
		decode(a, v);
		if (!url_decode(a, k, true, &k))
			continue;
		name = arena_strndup(a, k.s, k.n);
		MUST((req_query(&r, name) != NULL) == (req_query_all(&r, name, &all) > 0));
		req_query_int(&r, name, -5, 5, 0, &i);
		MUST(i >= -5 && i <= 5);
		req_query_bool(&r, name, true, &b);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	const char *text = arena_strndup(a, (const char *)data, size);
	size_t n = strcspn(text, "?");

	routes_init();
	if (size > 0)
		match(a, (enum http_method)(data[0] % 5), text + 1, n > 0 ? n - 1 : 0);
	match(a, HTTP_GET, text, n);
	if (text[n] == '?' && size < 2000)
		query(a, text + n + 1);
	arena_free(a);
	return 0;
}
