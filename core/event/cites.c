/* core/event/cites.c - depth, auth_events and prev_events of an event of this server in few bytes; see event.h. */
#include "core/event/impl.h"

#include "core/base/b64.h"

#include <limits.h>
#include <string.h>

#define HEAD 9		/* depth, and how many of the ids are auth events */

/* The bytes of an id that is a hash and written as event_id_from_hash() does. */
static bool
put_id(struct arena *a, const struct room_version *rv, const char *id, unsigned char out[SHA256_LEN])
{
	size_t n;
	const void *bytes = id[0] == '$' ? b64_decode(a, id + 1, strlen(id + 1), &n) : NULL;

	if (bytes == NULL || n != SHA256_LEN)
		return false;
	memcpy(out, bytes, SHA256_LEN);
	return strcmp(event_id_from_hash(a, rv, out), id) == 0;
}

const unsigned char *
cites_pack(struct arena *a, const struct room_version *rv, const struct event *ev, size_t *n)
{
	unsigned char *p = arena_alloc(a, HEAD + (ev->nauth + ev->nprev) * SHA256_LEN), *q = p + HEAD;

	if (rv->event_id_format == 1 || ev->nauth > UCHAR_MAX)
		return NULL;
	for (int i = 0; i < 8; i++)
		p[i] = (unsigned char)((uint64_t)ev->depth >> (56 - 8 * i));
	p[8] = (unsigned char)ev->nauth;
	for (size_t i = 0; i < ev->nauth + ev->nprev; i++, q += SHA256_LEN)
		if (!put_id(a, rv, i < ev->nauth ? ev->auth_ids[i] : ev->prev_ids[i - ev->nauth], q))
			return NULL;
	*n = (size_t)(q - p);
	return p;
}

bool
cites_unpack(struct arena *a, const struct room_version *rv, const unsigned char *p, size_t n, struct event *ev)
{
	size_t ids = n >= HEAD ? (n - HEAD) / SHA256_LEN : 0;
	uint64_t depth = 0;

	if (n < HEAD || (n - HEAD) % SHA256_LEN != 0 || p[8] > ids)
		return false;
	for (int i = 0; i < 8; i++)
		depth = depth << 8 | p[i];
	const char **v = arena_calloc(a, ids + 2, sizeof *v);
	for (size_t i = 0; i < ids; i++)
		v[i + (i >= p[8])] = event_id_from_hash(a, rv, p + HEAD + i * SHA256_LEN);	/* each list ends with NULL */
	ev->depth = (int64_t)depth;
	ev->auth_ids = v;
	ev->nauth = p[8];
	ev->prev_ids = v + p[8] + 1;
	ev->nprev = ids - p[8];
	return true;
}
