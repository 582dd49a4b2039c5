/*
 * tests/fuzz/page.c - what comes back from clients as the token of a page, and wake-ups of foreign make: numbers that are taken
 * are written back as they were.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/numbers.h"
#include "core/room/render.h"
#include "core/sync/wake.h"

#define MUST(x) do { if (!(x)) abort(); } while (0)
#define KEYS 20

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
wake(const char *text)
{
	int64_t keys[KEYS + 1] = { [KEYS] = 7 }, again[KEYS];
	char out[WAKE_PAYLOAD_MAX + 1];
	size_t n = wake_payload_read(text, "own", keys, KEYS);

	MUST(n <= KEYS && keys[KEYS] == 7);
	for (size_t i = 0; i < n; i++)
		MUST(keys[i] >= 0 && (WAKE_IS_USER(keys[i]) || WAKE_NID(keys[i]) > 0));
	MUST(wake_payload(out, "other", keys, n) == n && strlen(out) <= WAKE_PAYLOAD_MAX);
	MUST(wake_payload_read(out, "own", again, KEYS) == n && memcmp(keys, again, n * sizeof *keys) == 0);
	MUST(wake_payload_read(out, "other", again, KEYS) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	const char *text = arena_strndup(a, (const char *)data, size);
	int64_t v[KEYS], pos;
	struct buf b;
	size_t n;

	for (const char *mark = "_."; *mark != '\0'; mark++)
		if ((n = numbers_read(text, *mark, v, KEYS)) > 0) {
			MUST(n <= KEYS);
			buf_init(&b, a);
			numbers_write(&b, *mark, v, n);
			MUST(strcmp(b.s, text) == 0);
		}
	if (room_token_read(text, &pos))
		MUST(strcmp(room_token(a, pos), text) == 0);
	wake(text);
	arena_free(a);
	return 0;
}
