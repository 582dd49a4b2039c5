/* core/base/b64.h - hex; base64: written unpadded, read padded or not, standard and URL-safe (Appendices, "Unpadded Base64"). */
#ifndef HEARTH_B64_H
#define HEARTH_B64_H

#include <stdbool.h>
#include "core/base/arena.h"

const char *b64_encode(struct arena *a, const void *p, size_t n);
const char *b64url_encode(struct arena *a, const void *p, size_t n);
const char *hex_encode(struct arena *a, const void *p, size_t n);	/* lower case */
/* Either alphabet, not mixed; NULL when it is not base64. *n bytes. Bits left over at the end are not looked at. */
void *b64_decode(struct arena *a, const char *s, size_t len, size_t *n);

#endif
