/*
 * core/event/event.h - PDUs: format, hashes, signatures, ids, redaction, authorization. Pure: no database.
 *
 * An event is its JSON tree plus what code asks for most often. There are three
 * ways to one: event_read() for a PDU from outside (checked), event_build() for
 * a new one of ours (hashed and signed), event_restore() for one that this
 * server stored. What differs between room versions stands in one table, version.c.
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
enum membership membership_of(const char *s);	/* MEM_NONE: no such, or NULL */
const char *membership_name(enum membership m);	/* NULL for MEM_NONE */

/* Limits in raw bytes and entries (Client-Server API, "Size limits"; Room v1 §Event format). */
#define EVENT_MAX 65536		/* the whole PDU, canonical, with signatures */
#define EVENT_KEY_MAX 255	/* type, state_key, every id */
#define EVENT_AUTH_MAX 10
#define EVENT_PREV_MAX 20

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

	/*
	 * The two texts that table event keeps, both canonical JSON: content, and
	 * the object of all other top-level keys that are no columns (columns:
	 * type, state_key, sender, room_id, origin_server_ts, and event_id in v1 and
	 * v2; `unsigned` is not stored). Filled by event_build(), which leaves out what event_complete() adds; else NULL: event_texts().
	 */
	const char *content_text, *rest_text;
	/* Of an event of this server, where it can be: what it cites, which rest_text then leaves out; see cites_pack(). Else NULL. */
	const unsigned char *cites;
	size_t ncites;
};

/*
 * Checks the format for its version (Server-Server API, PDUs; size limits) and
 * fills *ev. M_BAD_JSON with a text when it is no PDU. Checks no hash, signature or rule.
 */
enum err event_read(struct ctx *cx, const struct room_version *rv, struct json *pdu, struct event *ev);

/* Sets content_text and rest_text of an event that was read. */
void event_texts(struct arena *a, struct event *ev);
/*
 * The way back: *ev comes with rv and the columns (id, room, type, sender,
 * state_key, ts, content, cites); adds what rest_text holds and the whole json. M_UNKNOWN
 * when rest is no such text. The authorization rules do not need it: an event
 * that auth_state.get() returns may be just columns, with json NULL.
 */
enum err event_restore(struct ctx *cx, struct event *ev, const char *rest, size_t n);

/*
 * What an event cites as table event keeps it: depth (8 bytes, big-endian), the number of auth events (1 byte), and of each id the
 * hash that it is (32 bytes), auth_events before prev_events. NULL where an id is no such hash, as in room versions 1 and 2.
 */
const unsigned char *cites_pack(struct arena *a, const struct room_version *rv, const struct event *ev, size_t *n);
/* Sets depth, auth_ids, prev_ids of *ev and their numbers. false: these are no such bytes. */
bool cites_unpack(struct arena *a, const struct room_version *rv, const unsigned char *p, size_t n, struct event *ev);

/*
 * Makes a PDU out of what a client sent: adds room_id, sender, origin_server_ts, auth_events,
 * prev_events, depth (cut at the version's limit), hashes; computes the id. M_TOO_LARGE
 * over the size limits, M_BAD_JSON where the version's canonical JSON forbids a number. content is not changed.
 * Not signed: event_complete().
 */
struct event_draft {
	const struct room_version *rv;
	const char *room;	/* NULL: the create event of a v12 room */
	const char *type, *sender, *state_key;	/* esc */
	struct json *content;
	const char *redacts;	/* esc or NULL; top level below v11, in content from v11 on */
	const char **auth_ids, **prev_ids;	/* event ids; see auth_event_keys() */
	/*
	 * v1 and v2 only (event_id_format 1), there required: beside each id its
	 * reference hash, event_reference_b64() of the stored PDU. Else ignored.
	 */
	const char **auth_hashes, **prev_hashes;
	size_t nauth, nprev;
	int64_t depth, ts;
};
enum err event_build(struct ctx *cx, const struct event_draft *d, struct event *ev);
/*
 * What is not stored of an event of this server, for it follows from the rest: its hashes, and the signature as
 * cx->conf->server_name. Whoever asks for the whole PDU gets it signed with the key of today, cx->key: a key is good for events
 * of before it, and no id or hash depends on signatures. Both add to ev->json what is missing there, and nothing else.
 */
void event_add_hashes(struct arena *a, struct event *ev);
void event_complete(struct ctx *cx, struct event *ev);

/* Content hash (b64), reference hash, event id. Spec: Server-Server API, "Signing Events". */
const char *event_content_hash(struct arena *a, const struct event *ev);
/* Is hashes.sha256 the content's? If not, the event is to be used in its redacted form. */
bool event_hash_ok(struct arena *a, const struct event *ev);
void event_reference_hash(struct arena *a, const struct room_version *rv, const struct json *pdu,
    unsigned char out[SHA256_LEN]);
const char *event_reference_b64(struct arena *a, const struct room_version *rv, const struct json *pdu);
/* NULL in v1 and v2 when the PDU has no event_id. */
const char *event_id_of(struct arena *a, const struct room_version *rv, const struct json *pdu);
/* The redacted form (a new top; parts are shared). Spec: room version N, "Redactions". */
struct json *event_redact(struct arena *a, const struct room_version *rv, const struct json *pdu);
/* The same for content alone. type is esc. May return content itself. */
struct json *event_redact_content(struct arena *a, const struct room_version *rv, const char *type,
    struct json *content);
/* Signs the redacted form and puts the signature into pdu. */
void event_sign(struct arena *a, const struct room_version *rv, struct json *pdu, const char *server,
    const struct signing_key *k);
bool event_verify_sig(struct arena *a, const struct room_version *rv, const struct json *pdu, const char *server,
    const char *key_id, const unsigned char pub[ED25519_PUB]);
/* Signing of any JSON object (Appendices, "Signing JSON"). */
void json_sign(struct arena *a, struct json *obj, const char *server, const struct signing_key *k);
bool json_verify(struct arena *a, const struct json *obj, const char *server, const char *key_id,
    const unsigned char pub[ED25519_PUB]);

/*
 * Which (type, state_key) an event's auth_events name. Spec: Server-Server API,
 * "Auth events selection". Keys are esc; at most AUTH_KEYS_MAX, none twice.
 */
struct state_key { const char *type, *key; };
#define AUTH_KEYS_MAX 8
size_t auth_event_keys(struct ctx *cx, const struct room_version *rv, const char *type, const char *sender,
    const char *state_key, const struct json *content, struct state_key out[AUTH_KEYS_MAX]);

/*
 * The authorization rules (room version N, "Authorization rules"), all but those
 * about the list auth_events itself. get() looks up the state to judge by: NULL when
 * absent. M_OK allowed; M_FORBIDDEN with the rule's text.
 */
struct auth_state {
	const struct event *(*get)(void *arg, const char *type, const char *state_key);
	void *arg;
	const struct event *create;	/* v12: not among auth_events; else may be NULL (then get() is asked) */
	/*
	 * Is ev validly signed by this server? Asked for restricted joins alone
	 * (v8+). NULL: only the signature of this very server can be known; an event without signatures is one of its own.
	 */
	bool (*signed_by)(void *arg, const struct event *ev, const char *server);
};
enum err event_auth(struct ctx *cx, const struct event *ev, const struct auth_state *st);
/*
 * The rules about the list (v1-v11 rule 2, v12 rule 3), for received events:
 * no duplicates, none that the selection does not name, none rejected, none of another
 * room, and the create event among them (v1-v11). auth[] are the events that ev->auth_ids names.
 */
enum err auth_events_check(struct ctx *cx, const struct event *ev, const struct event *const *auth, size_t n);

/* Power levels as the rules see them, with the version's defaults and creators. INT64_MAX: a v12 creator. */
int64_t power_of_user(const struct auth_state *st, const struct room_version *rv, const char *user);
int64_t power_for_event(const struct auth_state *st, const struct room_version *rv, const char *type, bool state);
/* name: "invite" "kick" "ban" "redact" "users_default" "events_default" "state_default" */
int64_t power_level(const struct auth_state *st, const struct room_version *rv, const char *name);
/* v12: sender of the create event or one of its additional_creators; before: its one creator. */
bool event_is_creator(const struct event *create, const char *user);

/* The id that an m.room.redaction names (esc), wherever its version has it. NULL: none. */
const char *event_redacts(struct arena *a, const struct event *ev);
/*
 * Is an allowed redaction carried out (room v3+, "Handling redactions")? st: the state at
 * the redaction. Both must be of one room. In v1 and v2 the rules have decided it: true.
 */
bool event_redaction_applies(const struct auth_state *st, const struct event *redaction, const struct event *target);

#endif
