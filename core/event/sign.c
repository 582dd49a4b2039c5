/*
 * core/event/sign.c - signatures of JSON objects (Appendices, "Signing JSON") and of
 * events (Server-Server API, "Signing Events").
 */
#include "core/event/impl.h"

#include "core/base/b64.h"
#include "core/base/conf.h"

#include <string.h>

const char *
signed_text(struct arena *a, const struct json *obj, size_t *n)
{
	struct json *rest = json_copy(a, obj);

	json_del(rest, "signatures");
	json_del(rest, "unsigned");
	return json_canonical_str(a, rest, n);
}

/* A copy of obj[key] to write in; an empty object when there is none. Others may share the original. */
static struct json *
own_object(struct arena *a, struct json *obj, const char *key)
{
	struct json *old = json_get(obj, key), *copy = json_is(old, JSON_OBJ) ? json_copy(a, old) : json_new_obj(a);

	json_set(a, obj, key, copy);
	return copy;
}

/* Signs what is seen of it and puts the signature into obj. */
static void
add_signature(struct arena *a, struct json *obj, const struct json *seen, const char *server,
    const struct signing_key *k)
{
	unsigned char sig[ED25519_SIG];
	struct json *mine;
	const char *text;
	size_t n;

	text = signed_text(a, seen, &n);
	ed25519_sign(k, text, n, sig);
	mine = own_object(a, own_object(a, obj, "signatures"), server);
	json_set(a, mine, k->id, json_new_str(a, b64_encode(a, sig, sizeof(sig))));
}

void
json_sign(struct arena *a, struct json *obj, const char *server, const struct signing_key *k)
{
	add_signature(a, obj, obj, server, k);
}

bool
json_verify(struct arena *a, const struct json *obj, const char *server, const char *key_id,
    const unsigned char pub[ED25519_PUB])
{
	const struct json *sig = json_get(json_get(json_get(obj, "signatures"), server), key_id);
	const unsigned char *bytes;
	const char *text;
	size_t n;

	if (strncmp(key_id, "ed25519:", 8) != 0 || !json_is(sig, JSON_STR) ||
	    !(bytes = b64_decode(a, sig->u.str.s, sig->u.str.n, &n)) || n != ED25519_SIG)
		return false;
	text = signed_text(a, obj, &n);
	return ed25519_verify(pub, text, n, bytes);
}

void
event_sign(struct arena *a, const struct room_version *rv, struct json *pdu, const char *server,
    const struct signing_key *k)
{
	add_signature(a, pdu, event_redact(a, rv, pdu), server, k);
}

void
event_add_hashes(struct arena *a, struct event *ev)
{
	struct json *hashes;

	if (json_get(ev->json, "hashes") != NULL)
		return;
	hashes = json_new_obj(a);
	json_set(a, hashes, "sha256", json_new_str(a, event_content_hash(a, ev)));
	json_set(a, ev->json, "hashes", hashes);
}

void
event_complete(struct ctx *cx, struct event *ev)
{
	event_add_hashes(cx->a, ev);
	if (json_get(ev->json, "signatures") == NULL)
		event_sign(cx->a, ev->rv, ev->json, cx->conf->server_name, cx->key);
}

bool
event_verify_sig(struct arena *a, const struct room_version *rv, const struct json *pdu, const char *server,
    const char *key_id, const unsigned char pub[ED25519_PUB])
{
	return json_verify(a, event_redact(a, rv, pdu), server, key_id, pub);
}
