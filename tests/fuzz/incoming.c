/*
 * tests/fuzz/incoming.c - any JSON as a PDU from another server: nothing crashes, and what is let in can be stored and read back.
 *
 * The first byte chooses the room version, and whether what comes is given a hash and a signature that fit (else hardly anything
 * comes through).
 */
#include <assert.h>
#include <string.h>

#include "core/base/conf.h"
#include "core/base/id.h"
#include "core/room/incoming.h"
#include "core/room/pdu.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n);

static bool
key_of(void *arg, const char *server, const char *key_id, int64_t ts, bool strict, unsigned char pub[ED25519_PUB])
{
	const struct signing_key *key = arg;

	(void)ts;
	if (strict && server[0] == 'b')
		return false;
	if (strcmp(key_id, key->id) != 0)
		return false;
	memcpy(pub, key->pub, ED25519_PUB);
	return true;
}

/* As its sender's server, that of its id, and a third would send it. */
static void
dress(struct ctx *cx, const struct room_version *rv, struct json *pdu)
{
	const char *const of[] = { json_get_str(pdu, "sender"), json_get_str(pdu, "event_id"), "@a:a" };

	for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
		const char *server = of[i] != NULL ? id_server(of[i]) : NULL;
		if (server != NULL)
			event_sign(cx->a, rv, pdu, server, cx->key);
	}
}

static void
taken(struct ctx *cx, const struct room_version *rv, struct incoming *in)
{
	struct pdu_columns c;
	struct event back;
	enum err e;

	assert(in->ev.nauth <= EVENT_AUTH_MAX && in->ev.nprev <= EVENT_PREV_MAX);
	assert(json_get(in->ev.json, "unsigned") == NULL);
	assert(in->authoriser == NULL || incoming_signed_by(in, &in->ev, in->authoriser));
	event_columns(cx->a, &in->ev, &c);
	e = event_load(cx, rv, &c, &back);
	assert(e == M_OK);
	assert(strcmp(json_canonical_str(cx->a, back.json, NULL), json_canonical_str(cx->a, in->ev.json, NULL)) == 0);
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t n)
{
	static const struct conf conf = { .server_name = "a" };
	static struct signing_key *key;
	struct ctx cx = { .conf = &conf };
	const struct room_version *const *all;
	struct incoming in;
	struct json *pdu;
	size_t versions;

	if (!n)
		return 0;
	if (!key)
		key = signing_key_new("ed25519:1", (const unsigned char *)"0123456789abcdef0123456789abcdef");
	cx.key = key;
	cx.a = arena_new();
	all = room_versions(&versions);
	const struct room_version *rv = all[(*data & 0x7f) % versions];
	const struct server_keys keys = { key_of, key };
	if (json_parse(cx.a, (const char *)data + 1, n - 1, &pdu) == JSON_OK) {
		if ((*data & 0x80) && json_is(pdu, JSON_OBJ))
			dress(&cx, rv, pdu);
		if (incoming_read(&cx, rv, pdu, &keys, &in) == M_OK)
			taken(&cx, rv, &in);
	}
	arena_free(cx.a);
	return 0;
}
