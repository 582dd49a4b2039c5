/*
 * core/base/id.h - the grammar of identifiers (Appendices, "Identifier Grammar").
 *
 * All take esc strings (core/base/json.h). Sizes count raw bytes (at most 255).
 * Only a historical user id may have nothing between the sigil and the colon.
 */
#ifndef HEARTH_ID_H
#define HEARTH_ID_H

#include <stdbool.h>
#include "core/base/arena.h"

#define ID_MAX 255

bool id_is_user(const char *s);		/* historical ids too: any localpart without ':' and NUL */
bool id_is_room(const char *s);		/* !x:domain, or !<43 base64url> */
bool id_is_alias(const char *s);
bool id_is_event(const char *s);	/* $x:domain, or $<43 base64, either alphabet> */
bool id_is_server(const char *s);	/* host[:port], IPv4, [IPv6] */
/* What follows the first ':', NULL when there is none. Points into s. */
const char *id_server(const char *s);
/* The part between the sigil and the first ':'. */
const char *id_localpart(struct arena *a, const char *s);
bool id_among(const char *s, const char *const *v, size_t n);	/* is it one of those? Any esc strings */
bool localpart_is_new(const char *s);	/* a-z0-9._=-/+ and not empty: may be registered today */

#endif
