/* tests/fuzz/form.c - forms from anywhere, and the pages that show what stood in them: no text becomes markup. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/utf8.h"
#include "fcgi/html.h"

#define MUST(x) do { if (!(x)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t
count(const char *s, const char *of)
{
	size_t n = 0;

	for (; (s = strpbrk(s, of)) != NULL; s++)
		n++;
	return n;
}

/* How much markup a page has does not depend on its text. */
static void
page(struct req *r, const char *text)
{
	static const char *const marks = "<>\"'";
	size_t plain;

	MUST(html_message(r, 200, "x", "x") == M_OK);
	plain = count(r->out.b.s, marks);
	r->nheaders = 0;
	MUST(html_message(r, 200, text, text) == M_OK);
	MUST(count(r->out.b.s, marks) == plain);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "session", "username", "password", "" };
	struct arena *a = arena_new();
	struct req r = { .body_raw = arena_strndup(a, (const char *)data, size) };

	r.cx.a = a;
	r.body_n = strlen(r.body_raw);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const char *v = form_value(&r, names[i]);

		if (v != NULL) {
			MUST(utf8_valid(v, strlen(v)));
			page(&r, v);
		}
	}
	if (utf8_valid(r.body_raw, r.body_n))
		page(&r, r.body_raw);
	arena_free(a);
	return 0;
}
