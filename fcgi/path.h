/*
 * fcgi/path.h - URLs as they came: splitting first, decoding second.
 *
 * The raw path is split on '/', then each segment is percent-decoded once
 * (Client-Server API, "Sending events to a room": ids hold '/', '+', '%', '?').
 * What cannot be text is refused, never repaired: a broken escape, U+0000,
 * invalid UTF-8.
 */
#ifndef HEARTH_PATH_H
#define HEARTH_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include "core/base/arena.h"

#define PATH_SEGMENTS_MAX 16

struct slice {
	const char *s;
	size_t n;
};

/* Splits "/a/b/" into "a", "b", "" (slices of raw). -1: no leading '/', or more than PATH_SEGMENTS_MAX. */
int path_split(const char *raw, size_t n, struct slice seg[PATH_SEGMENTS_MAX]);

/*
 * Decodes %XX; with plus also '+' to a space (queries only). Returns false when
 * the result is not valid UTF-8 without U+0000. out->s has a NUL behind it.
 */
bool url_decode(struct arena *a, struct slice in, bool plus, struct slice *out);

/*
 * Walks a query string: true with the next pair, still encoded. *pos starts
 * at the query; a pair without '=' has an empty value; empty pairs are skipped.
 */
bool query_next(const char **pos, struct slice *name, struct slice *value);

#endif
