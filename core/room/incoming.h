/*
 * core/room/incoming.h - a PDU from another server, as far as it can be judged by itself.
 *
 * Server-Server API, "Checks performed on receipt of a PDU", 1 to 3: format, signatures, hash. No database, no network: the
 * caller brings the keys. Do it before any transaction begins; what comes after needs the room's lock (receive.h).
 */
#ifndef HEARTH_INCOMING_H
#define HEARTH_INCOMING_H

#include "core/event/event.h"

/*
 * Public keys of servers. get() gives the key of a server that was valid at ts (strict: room version 5 and later ask for that;
 * else any key that it ever had will do). False: not known.
 */
struct server_keys {
	bool (*get)(void *arg, const char *server, const char *key_id, int64_t ts, bool strict, unsigned char pub[ED25519_PUB]);
	void *arg;
};

struct incoming {
	struct event ev;
	bool pruned;			/* its hash did not fit: ev is what the redaction algorithm leaves of it */
	const char *authoriser;		/* server of content.join_authorised_via_users_server, if it has validly signed; or NULL */
};

/*
 * M_BAD_JSON: no PDU of this room version. M_INVALID_SIGNATURE: its sender's server (in room versions 1 and 2 also the one that its
 * id names) has not validly signed it; an invitation that a third-party invite led to needs no signature of the sender's.
 * Either way the event is to be dropped. `unsigned` is not kept.
 */
enum err incoming_read(struct ctx *cx, const struct room_version *rv, struct json *pdu, const struct server_keys *keys, struct incoming *out);

/* For struct auth_state.signed_by: arg is a struct incoming. */
bool incoming_signed_by(void *arg, const struct event *ev, const char *server);

#endif
