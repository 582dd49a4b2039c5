/* tests/fuzz/id.c - identifiers: whatever is taken for one has its parts, and a size within the limit. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/id.h"
#include "core/base/json.h"
#include "core/base/utf8.h"

#define MUST(x) do { if (!(x)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
named(struct arena *a, const char *s)
{
	const char *local = id_localpart(a, s), *server = id_server(s);

	MUST(esc_raw_len(s) <= ID_MAX);
	MUST(server && id_is_server(server));
	MUST(strcmp(arena_printf(a, "%c%s:%s", *s, local, server), s) == 0);
	MUST(!strstr(s, "\\u0000"));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	const char *s = (const char *)data;

	/* Ids are esc strings of UTF-8; their predicates may be asked of nothing else. */
	if (utf8_valid(s, size)) {
		s = esc_from_raw(a, s, size);
		MUST(id_is_user(s) + id_is_room(s) + id_is_alias(s) + id_is_event(s) + id_is_server(s) <= 1);
		if (id_is_user(s) || id_is_alias(s))
			named(a, s);
		if ((id_is_room(s) || id_is_event(s)) && id_server(s))
			named(a, s);
		if (localpart_is_new(s) && size <= 200)
			MUST(id_is_user(arena_printf(a, "@%s:example.org", s)));
	}
	arena_free(a);
	return 0;
}
