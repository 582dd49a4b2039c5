/*
 * core/push/glob.h - the glob patterns of push rules: * is any number of characters, ? is one; nothing is escaped.
 *
 * Case is ignored for ASCII, Latin, Greek and Cyrillic letters. The cost is that of one pass over the text whatever
 * the pattern is (bits of PUSH_GLOB_MAX at once): both come from strangers.
 */
#ifndef HEARTH_PUSH_GLOB_H
#define HEARTH_PUSH_GLOB_H

#include <stdbool.h>
#include <stddef.h>

#define PUSH_GLOB_MAX 512	/* characters; a longer pattern matches nothing */

enum push_glob_mode {
	GLOB_WHOLE,		/* the pattern is that of the whole text */
	GLOB_WORDS,		/* of some part that starts and ends at a word boundary; a word is of [A-Za-z0-9_] */
	GLOB_WORDS_PLAIN,	/* the same, and * and ? are ordinary characters */
};

bool push_glob_fits(const char *pattern, size_t n);
/* Both are UTF-8 and may hold U+0000. */
bool push_glob(enum push_glob_mode mode, const char *pattern, size_t pattern_n, const char *text, size_t n);

#endif
