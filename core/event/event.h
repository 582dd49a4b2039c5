/*
 * core/event/event.h - PDUs: format, hashes, signatures, ids, redaction, authorization. Pure: no database.
 *
 * An event is its canonical JSON tree plus what code asks for most often,
 * filled by event_read(). What differs between room versions stands in one
 * table, room_version_get().
 */
#ifndef HEARTH_EVENT_H
#define HEARTH_EVENT_H

#include "core/base/json.h"
#include "core/crypto/crypto.h"
#include "core/ctx.h"

enum state_res { RES_V1 = 1, RES_V2, RES_V21 };
/* Spec: Rooms / room version N. One row per version in version.c; every field is a difference some rule looks at. */
struct room_version {
	const char *id;			/* "12" */
	int event_id_format;		/* 1: $x:domain, 3: $+base64, 4: $+base64url */
	enum state_res state_res;
	bool enforce_key_validity;	/* v5+ */
	bool special_aliases_auth;	/* v1-v5: m.room.aliases rule; redaction keeps aliases */
	bool strict_canonical;		/* v6+ */
	bool notifications_pl;		/* v6+: notifications checked in power_levels */
	bool knock;			/* v7+ */
	bool restricted;		/* v8+ */
	bool redact_keeps_authorised;	/* v9+ */
	bool knock_restricted;		/* v10+ */
	bool integer_power_levels;	/* v10+ */
	bool implicit_creator;		/* v11+: creator is the sender of create */
	bool redacts_in_content;	/* v11+ */
	bool redact_v11;		/* v11+: updated redaction rules */
	bool redact_auth_by_domain;	/* v1, v2: m.room.redaction is authorized by level or event id's domain */
	bool room_id_is_create_hash;	/* v12 */
	bool privileged_creators;	/* v12 */
	bool no_create_in_auth;		/* v12: auth_events do not name the create event */
};
const struct room_version *room_version_get(const char *id);	/* NULL: unknown */
const struct room_version *const *room_versions(size_t *n);	/* all, oldest first */

enum membership { MEM_NONE = 0, MEM_INVITE, MEM_JOIN, MEM_KNOCK, MEM_LEAVE, MEM_BAN };
enum membership membership_of(const char *s);	/* MEM_NONE: no such */
const char *membership_name(enum membership m);

struct event {
	const struct room_version *rv;
	struct json *json;	/* the whole PDU */
	struct json *content;
	const char *id;		/* $… */
	const char *room;	/* esc; also set for v12 create events, where the PDU has none */
	const char *type, *sender, *state_key;	/* esc; state_key NULL: no state event */
	int64_t ts, depth;
	const char **auth_ids, **prev_ids;	/* event ids */
	size_t nauth, nprev;
	bool rejected;		/* given by the caller: a rejected event authorizes nothing */
};

/* Checks the format for its version (Server-Server API, PDUs; size limits) and fills *ev. M_BAD_JSON with a text when it is no PDU. */
enum err event_read(struct ctx *cx, const struct room_version *rv, struct json *pdu, struct event *ev);

/*
 * Makes a PDU out of what a client sent: adds room_id, sender, origin_server_ts, auth_events,
 * prev_events, depth, hashes, signature; computes the id. M_TOO_LARGE over the size
 * limits, M_BAD_JSON where the version's canonical JSON forbids a number.
 */
struct event_draft {
	const struct room_version *rv;
	const char *room;	/* NULL: the create event of a v12 room */
	const char *type, *sender, *state_key;	/* esc */
	struct json *content;
	const char *redacts;	/* esc or NULL; top level below v11, in content from v11 on */
	const char **auth_ids, **prev_ids;	/* event ids; see auth_event_keys() */
	const struct sha_ref *auth_hashes;	/* v1, v2 only: may be NULL then hashes are left empty objects */
	size_t nauth, nprev;
	int64_t depth, ts;
};
enum err event_build(struct ctx *cx, const struct event_draft *d, struct event *ev);

/* Content hash (b64), reference hash, event id. Spec: Server-Server API, "Signing Events". */
const char *event_content_hash(struct arena *a, const struct event *ev);
void event_reference_hash(struct arena *a, const struct room_version *rv, const struct json *pdu, unsigned char out[SHA256_LEN]);
const char *event_id_of(struct arena *a, const struct room_version *rv, const struct json *pdu);
/* The redacted form (a new tree). Spec: room version N, "Redactions". */
struct json *event_redact(struct arena *a, const struct room_version *rv, const struct json *pdu);
void event_sign(struct arena *a, const struct room_version *rv, struct json *pdu, const char *server, const struct signing_key *k);
bool event_verify_sig(struct arena *a, const struct room_version *rv, const struct json *pdu, const char *server, const char *key_id, const unsigned char pub[ED25519_PUB]);
/* Signing of any JSON object (Appendices, "Signing JSON"). */
void json_sign(struct arena *a, struct json *obj, const char *server, const struct signing_key *k);
bool json_verify(struct arena *a, const struct json *obj, const char *server, const char *key_id, const unsigned char pub[ED25519_PUB]);

/*
 * Which (type, state_key) an event's auth_events name. Spec: Server-Server API,
 * "Auth events selection". Keys are esc; at most AUTH_KEYS_MAX.
 */
struct state_key { const char *type, *key; };
#define AUTH_KEYS_MAX 8
size_t auth_event_keys(struct ctx *cx, const struct room_version *rv, const char *type, const char *sender,
    const char *state_key, const struct json *content, struct state_key out[AUTH_KEYS_MAX]);

/*
 * The authorization rules (room version N, "Authorization rules"). get() looks up
 * the state to judge by: NULL when absent. M_OK allowed; M_FORBIDDEN with the rule's text.
 */
struct auth_state {
	const struct event *(*get)(void *arg, const char *type, const char *state_key);
	void *arg;
	const struct event *create;	/* v12: not among auth_events; else may be NULL (then get() is asked) */
};
enum err event_auth(struct ctx *cx, const struct event *ev, const struct auth_state *st);

/* Power levels as the rules see them, with the version's defaults and creators. INT64_MAX: a v12 creator. */
int64_t power_of_user(const struct auth_state *st, const struct room_version *rv, const char *user);
int64_t power_for_event(const struct auth_state *st, const struct room_version *rv, const char *type, bool state);
/* name: "invite" "kick" "ban" "redact" "users_default" "events_default" "state_default" */
int64_t power_level(const struct auth_state *st, const struct room_version *rv, const char *name);

#endif
