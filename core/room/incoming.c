/* core/room/incoming.c - see incoming.h. */
#include "core/room/incoming.h"
#include "core/base/id.h"

/* Has the server signed it with one of the keys that are known of it? */
static bool
is_signed(struct ctx *cx, const struct event *ev, const char *server, const struct server_keys *keys)
{
	const struct json *sigs = json_get(json_get(ev->json, "signatures"), server);
	unsigned char pub[ED25519_PUB];

	for (size_t i = 0; json_is(sigs, JSON_OBJ) && i < sigs->u.obj.n; i++) {
		const char *key_id = sigs->u.obj.v[i].key;

		if (strncmp(key_id, "ed25519:", 8) == 0 && keys->get(keys->arg, server, key_id, ev->ts, ev->rv->enforce_key_validity, pub) &&
		    event_verify_sig(cx->a, ev->rv, ev->json, server, key_id, pub))
			return true;
	}
	return false;
}

static bool
by_third_party(const struct event *ev)
{
	return strcmp(ev->type, "m.room.member") == 0 && json_str_eq(json_get(ev->content, "membership"), "invite") &&
	    json_is(json_get(ev->content, "third_party_invite"), JSON_OBJ);
}

enum err
incoming_read(struct ctx *cx, const struct room_version *rv, struct json *pdu, const struct server_keys *keys, struct incoming *out)
{
	const char *server, *via;
	enum err e;

	*out = (struct incoming){ 0 };
	if (json_is(pdu, JSON_OBJ))
		json_del(pdu, "unsigned");
	if ((e = event_read(cx, rv, pdu, &out->ev)) != M_OK)
		return e;
	if (!by_third_party(&out->ev) && !is_signed(cx, &out->ev, id_server(out->ev.sender), keys))
		return fail(cx, M_INVALID_SIGNATURE, "the event is not signed by its sender's server");
	if (rv->event_id_format == 1) {
		server = id_server(out->ev.id);
		if (server == NULL || !is_signed(cx, &out->ev, server, keys))
			return fail(cx, M_INVALID_SIGNATURE, "the event is not signed by the server of its id");
	}
	via = rv->restricted ? json_get_esc(cx->a, out->ev.content, "join_authorised_via_users_server") : NULL;
	server = via != NULL ? id_server(via) : NULL;
	if (server != NULL && is_signed(cx, &out->ev, server, keys))
		out->authoriser = server;
	if (event_hash_ok(cx->a, &out->ev))
		return M_OK;
	out->pruned = true;
	return event_read(cx, rv, event_redact(cx->a, rv, pdu), &out->ev);
}

bool
incoming_signed_by(void *arg, const struct event *ev, const char *server)
{
	const struct incoming *in = arg;

	return ev == &in->ev && in->authoriser != NULL && strcmp(in->authoriser, server) == 0;
}
