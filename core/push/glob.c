/*
 * core/push/glob.c - see glob.h.
 *
 * A pattern is its pieces between stars, looked for one after the other, each as far left as it is: what follows then
 * has the most room. A piece is found by Shift-And: bit i says that its first i+1 characters end here.
 */
#include <stdint.h>
#include <string.h>

#include "core/base/utf8.h"
#include "core/push/glob.h"

#define WORDS (PUSH_GLOB_MAX / 64)
#define SLOTS (2 * PUSH_GLOB_MAX)
#define FREE UINT32_MAX		/* no character */

enum edge { ANYWHERE, BOUNDARY, END };	/* END: of the whole text */

struct piece {
	size_t n, words, slots;			/* slots: a power of two */
	uint32_t chars[PUSH_GLOB_MAX];
	bool any[PUSH_GLOB_MAX];		/* it is a ? */
	uint64_t anys[WORDS];
	uint32_t keys[SLOTS];
	uint64_t masks[SLOTS][WORDS];		/* where the character of this slot may stand */
};

/* The character at the start of s. What is no UTF-8 counts byte by byte. */
static size_t
take_char(const char *s, size_t left, uint32_t *c)
{
	unsigned char b = (unsigned char)*s;
	size_t n = b < 0xC2 ? 1 : b < 0xE0 ? 2 : b < 0xF0 ? 3 : b < 0xF5 ? 4 : 1, i;

	if (n == 1 || n > left) {
		*c = b;
		return 1;
	}
	*c = b & (0x7FU >> n);
	for (i = 1; i < n; i++)
		*c = *c << 6 | ((unsigned char)s[i] & 0x3F);
	return n;
}

static uint32_t
fold(uint32_t c)
{
	if (c < 0x80)
		return c >= 'A' && c <= 'Z' ? c + 32 : c;
	if ((c >= 0xC0 && c <= 0xDE && c != 0xD7) || (c >= 0x391 && c <= 0x3A9 && c != 0x3A2) || (c >= 0x410 && c <= 0x42F))
		return c + 32;
	if (c >= 0x400 && c <= 0x40F)
		return c + 80;
	if ((c >= 0x100 && c <= 0x137 && c != 0x130 && c != 0x131) || (c >= 0x14A && c <= 0x177))
		return c | 1;
	if (c >= 0x139 && c <= 0x148)
		return c + (c & 1);
	return c;
}

static bool
is_word(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/* "the start or end of the value, or any character not in the sets" */
static bool
is_boundary(const char *s, size_t n, size_t at)
{
	return at == 0 || at == n || !is_word(s[at - 1]) || !is_word(s[at]);
}

static bool
edge_is(enum edge want, const char *s, size_t n, size_t at, size_t end)
{
	return want == ANYWHERE || (want == END ? at == end : is_boundary(s, n, at));
}

static size_t
slot_of(const struct piece *p, uint32_t c)
{
	size_t i = c & (p->slots - 1);

	while (p->keys[i] != FREE && p->keys[i] != c)
		i = (i + 1) & (p->slots - 1);
	return i;
}

/* The piece at the start of s, up to a star; how many bytes it takes. */
static size_t
take_piece(struct piece *p, const char *s, size_t n, bool plain)
{
	size_t at = 0, i;
	uint32_t c;

	for (p->n = 0; at < n && (plain || s[at] != '*'); p->n++) {
		at += take_char(s + at, n - at, &c);
		p->chars[p->n] = fold(c);
		p->any[p->n] = !plain && c == '?';
	}
	p->words = p->n / 64 + 1 < WORDS ? p->n / 64 + 1 : WORDS;
	for (p->slots = 2; p->slots < 2 * p->n; p->slots *= 2)
		;
	memset(p->anys, 0, sizeof p->anys);
	memset(p->keys, 0xFF, p->slots * sizeof *p->keys);
	for (i = 0; i < p->n; i++)
		if (p->any[i])
			p->anys[i / 64] |= UINT64_C(1) << (i % 64);
	for (i = 0; i < p->n; i++) {
		size_t slot = slot_of(p, p->chars[i]);

		if (p->keys[slot] == FREE) {
			p->keys[slot] = p->chars[i];
			memcpy(p->masks[slot], p->anys, sizeof p->anys);
		}
		p->masks[slot][i / 64] |= UINT64_C(1) << (i % 64);
	}
	return at;
}

/* Looks for the piece in s from *at on; *at becomes the place after it. */
static bool
find_piece(const struct piece *p, const char *s, size_t n, size_t *at, enum edge start, enum edge end)
{
	uint64_t live[WORDS] = { 0 }, last = UINT64_C(1) << ((p->n - 1) % 64);
	size_t i = *at, w;

	while (i < n) {
		bool begins = edge_is(start, s, n, i, 0);
		uint64_t carry = begins, some = 0;
		const uint64_t *mask;
		uint32_t c;
		size_t slot;

		i += take_char(s + i, n - i, &c);
		slot = slot_of(p, fold(c));
		mask = p->keys[slot] == FREE ? p->anys : p->masks[slot];
		for (w = 0; w < p->words; w++) {
			uint64_t out = live[w] >> 63;

			live[w] = (live[w] << 1 | carry) & mask[w];
			some |= live[w];
			carry = out;
		}
		if (live[(p->n - 1) / 64] & last && edge_is(end, s, n, i, n)) {
			*at = i;
			return true;
		}
		if (!some && start == END)
			return false;
	}
	return false;
}

bool
push_glob_fits(const char *pattern, size_t n)
{
	return n <= PUSH_GLOB_MAX || (n <= (size_t)4 * PUSH_GLOB_MAX && utf8_length(pattern, n) <= PUSH_GLOB_MAX);
}

bool
push_glob(enum push_glob_mode mode, const char *pattern, size_t pattern_n, const char *text, size_t n)
{
	enum edge edge = mode == GLOB_WHOLE ? END : BOUNDARY;
	size_t from = 0, at = 0;
	struct piece p;

	if (!push_glob_fits(pattern, pattern_n))
		return false;
	for (;;) {
		bool first = from == 0, last;

		from += take_piece(&p, pattern + from, pattern_n - from, mode == GLOB_WORDS_PLAIN);
		last = from == pattern_n;
		if (p.n > 0 && !find_piece(&p, text, n, &at, first ? edge : ANYWHERE, last ? edge : ANYWHERE))
			return false;
		if (last)
			return p.n > 0 || !first || mode != GLOB_WHOLE || n == 0;
		from++;
	}
}
