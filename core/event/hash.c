/* core/event/hash.c - content hash, reference hash, event id (Server-Server API, "Signing Events"). */
#include "core/event/impl.h"

#include "core/base/b64.h"

#include <string.h>

/* The hash of obj's canonical form without these top-level keys. */
static void
hash_without(struct arena *a, const struct json *obj, const char *const *keys, unsigned char out[SHA256_LEN])
{
	struct json *rest = json_copy(a, obj);
	const char *text;
	size_t n;

	for (; *keys; keys++)
		json_del(rest, *keys);
	text = json_canonical_str(a, rest, &n);
	sha256(text, n, out);
}

static void
content_hash(struct arena *a, const struct json *pdu, unsigned char out[SHA256_LEN])
{
	hash_without(a, pdu, (const char *const[]){ "unsigned", "signatures", "hashes", NULL }, out);
}

const char *
event_content_hash(struct arena *a, const struct event *ev)
{
	unsigned char hash[SHA256_LEN];

	content_hash(a, ev->json, hash);
	return b64_encode(a, hash, sizeof(hash));
}

/* The bytes are compared, not their base64: a hash may come padded. */
bool
event_hash_ok(struct arena *a, const struct event *ev)
{
	const struct json *claimed = json_get(json_get(ev->json, "hashes"), "sha256");
	unsigned char hash[SHA256_LEN];
	const void *bytes;
	size_t n;

	if (!json_is(claimed, JSON_STR) || !(bytes = b64_decode(a, claimed->u.str.s, claimed->u.str.n, &n)))
		return false;
	content_hash(a, ev->json, hash);
	return n == sizeof(hash) && memcmp(bytes, hash, n) == 0;
}

void
event_reference_hash(struct arena *a, const struct room_version *rv, const struct json *pdu,
    unsigned char out[SHA256_LEN])
{
	hash_without(a, event_redact(a, rv, pdu), (const char *const[]){ "signatures", "unsigned", NULL }, out);
}

const char *
event_reference_b64(struct arena *a, const struct room_version *rv, const struct json *pdu)
{
	unsigned char hash[SHA256_LEN];

	event_reference_hash(a, rv, pdu, hash);
	return b64_encode(a, hash, sizeof(hash));
}

const char *
event_id_of(struct arena *a, const struct room_version *rv, const struct json *pdu)
{
	unsigned char hash[SHA256_LEN];

	if (rv->event_id_format == 1)
		return json_get_esc(a, pdu, "event_id");
	event_reference_hash(a, rv, pdu, hash);
	return event_id_from_hash(a, rv, hash);
}

const char *
event_id_from_hash(struct arena *a, const struct room_version *rv, const unsigned char hash[SHA256_LEN])
{
	return arena_printf(a, "$%s", rv->event_id_format == 3 ? b64_encode(a, hash, SHA256_LEN)
	    : b64url_encode(a, hash, SHA256_LEN));
}
