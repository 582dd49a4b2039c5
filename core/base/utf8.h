/* core/base/utf8.h - is it UTF-8? */
#ifndef HEARTH_UTF8_H
#define HEARTH_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Shortest forms only, no surrogates, nothing above U+10FFFF. U+0000 is fine. */
bool utf8_valid(const char *s, size_t n);
size_t utf8_length(const char *s, size_t n);	/* code points of valid UTF-8 */

#endif
