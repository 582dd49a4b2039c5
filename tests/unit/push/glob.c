/* tests/unit/push/glob.c - globs of push rules: a table, every short pattern against the plain definition, and hostile ones. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/push/glob.h"

struct row {
	enum push_glob_mode mode;
	const char *pattern, *text;
	bool want;
};

static bool
is(enum push_glob_mode mode, const char *pattern, const char *text)
{
	return push_glob(mode, pattern, strlen(pattern), text, strlen(text));
}

Test(push_glob, table)
{
	static const struct row rows[] = {
		/* the specification's examples */
		{ GLOB_WHOLE, "lunc?*", "Lunch plans", true },
		{ GLOB_WHOLE, "lunc?*", "LUNCH", true },
		{ GLOB_WHOLE, "lunc?*", " lunch", false },
		{ GLOB_WHOLE, "lunc?*", "lunc", false },
		{ GLOB_WORDS, "ex*ple", "An example event.", true },
		{ GLOB_WORDS, "ex*ple", "exple", true },
		{ GLOB_WORDS, "ex*ple", "An exciting triple-whammy", true },
		{ GLOB_WORDS, "ex*ple", "hex apple", false },
		{ GLOB_WORDS, "ex*ple", "an examples", false },

		{ GLOB_WHOLE, "", "", true },
		{ GLOB_WHOLE, "", "a", false },
		{ GLOB_WHOLE, "*", "", true },
		{ GLOB_WHOLE, "**", "abc", true },
		{ GLOB_WHOLE, "a*a", "a", false },
		{ GLOB_WHOLE, "*b", "abab", true },
		{ GLOB_WHOLE, "a?c", "a*c", true },
		{ GLOB_WHOLE, "[a]", "a", false },
		{ GLOB_WHOLE, "a.c", "abc", false },
		{ GLOB_WHOLE, "\\*", "\\x", true },
		{ GLOB_WHOLE, "?", "ж", true },
		{ GLOB_WHOLE, "??", "ж", false },
		{ GLOB_WHOLE, "ЖÄΣŠĹ", "жäσšĺ", true },
		{ GLOB_WHOLE, "x", "×", false },

		{ GLOB_WORDS, "cake", "Cake!", true },
		{ GLOB_WORDS, "cake", "cakes", false },
		{ GLOB_WORDS, "cake", "pancake", false },
		{ GLOB_WORDS, "cake", "pancake cake", true },
		{ GLOB_WORDS, "cake", "my_cake", false },
		{ GLOB_WORDS, "cake", "жcakeж", true },
		{ GLOB_WORDS, "cake*lie", "cakes are a lie", true },
		{ GLOB_WORDS, "cake*lie", "cakes are a lien", false },
		{ GLOB_WORDS, "*cake", "pancake", true },
		{ GLOB_WORDS, "a b", "x a b y", true },
		{ GLOB_WORDS, "@room", "hi @room!", true },
		{ GLOB_WORDS_PLAIN, "a*", "abc", false },
		{ GLOB_WORDS_PLAIN, "a*?", "so A*? it is", true },
		{ GLOB_WORDS_PLAIN, "?", "a", false },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		cr_expect_eq(is(rows[i].mode, rows[i].pattern, rows[i].text), rows[i].want, "%s on %s", rows[i].pattern, rows[i].text);
	cr_expect(push_glob(GLOB_WHOLE, "a\0?", 3, "A\0b", 3));
	cr_expect_not(push_glob(GLOB_WHOLE, "a\0b", 3, "a", 1));
}

/* The definition: does the pattern take exactly text[0..n)? */
static bool
plain(const char *p, const char *s, size_t n)
{
	if (*p == '\0')
		return n == 0;
	if (*p == '*')
		return plain(p + 1, s, n) || (n > 0 && plain(p, s + 1, n - 1));
	return n > 0 && (*p == '?' || *p == *s) && plain(p + 1, s + 1, n - 1);
}

static bool
edge(const char *s, size_t at)
{
	return at == 0 || s[at] == '\0' || s[at - 1] == ' ' || s[at] == ' ';
}

static bool
plain_words(const char *p, const char *s)
{
	for (size_t i = 0; i <= strlen(s); i++)
		for (size_t k = i; k <= strlen(s); k++)
			if (edge(s, i) && edge(s, k) && plain(p, s + i, k - i))
				return true;
	return false;
}

/* The i-th string over an alphabet of n characters. */
static void
nth(char *out, size_t i, const char *alphabet, size_t n)
{
	for (; i > 0; i = (i - 1) / n)
		*out++ = alphabet[(i - 1) % n];
	*out = '\0';
}

Test(push_glob, every_short_pattern_by_the_definition)
{
	char p[16] = "", s[16] = "";

	for (size_t i = 0; i < 3906; i++)
		for (size_t k = 0; k < 364; k++) {
			nth(p, i, "ab *?", 5);
			nth(s, k, "ab ", 3);
			cr_assert_eq(is(GLOB_WHOLE, p, s), plain(p, s, strlen(s)), "'%s' on '%s'", p, s);
			cr_assert_eq(is(GLOB_WORDS, p, s), plain_words(p, s), "'%s' in '%s'", p, s);
		}
}

Test(push_glob, long_patterns)
{
	size_t n = 60000;
	char *text = malloc(n + 1), p[PUSH_GLOB_MAX + 2];

	memset(text, 'a', n);
	text[n] = '\0';
	memset(p, 'a', PUSH_GLOB_MAX);
	p[PUSH_GLOB_MAX] = '\0';
	cr_expect(push_glob(GLOB_WHOLE, p, PUSH_GLOB_MAX, text, PUSH_GLOB_MAX));
	cr_expect_not(push_glob(GLOB_WHOLE, p, PUSH_GLOB_MAX, text, PUSH_GLOB_MAX + 1));
	for (size_t i = 63; i < 66; i++) {		/* at the edges of a word of bits */
		cr_expect(push_glob(GLOB_WHOLE, p, i, text, i));
		cr_expect_not(push_glob(GLOB_WHOLE, p, i, text, i - 1));
	}
	p[PUSH_GLOB_MAX] = 'a';
	cr_expect_not(push_glob(GLOB_WHOLE, p, PUSH_GLOB_MAX + 1, text, PUSH_GLOB_MAX + 1));
	cr_expect_not(push_glob_fits(p, PUSH_GLOB_MAX + 1));
	/* What takes a backtracking matcher for ever. */
	for (size_t i = 0; i < PUSH_GLOB_MAX - 1; i++)
		p[i] = i % 2 ? '*' : 'a';
	p[PUSH_GLOB_MAX - 1] = 'b';
	cr_expect_not(push_glob(GLOB_WHOLE, p, PUSH_GLOB_MAX, text, n));
	cr_expect_not(push_glob(GLOB_WORDS, p, PUSH_GLOB_MAX, text, n));
	free(text);
}
