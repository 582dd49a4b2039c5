/*
 * core/room/append.h - the one way by which events of this server get into a room.
 *
 *	struct append ap;
 *	append_init(&ap, cx);
 *	append_want_draft(&ap, &draft);		(the state that the draft will be judged by)
 *	append_want(&ap, "m.room.name", "");	(further state that the caller looks at)
 *	if ((e = append_open(&ap, room_id)) != M_OK)
 *		return e;			(one round trip: lock, state, extremities, transaction id)
 *	... decide by append_state(&ap, type, key) ...
 *	if ((e = append_event(&ap, &draft, &ev)) != M_OK)
 *		return e;			(authorize, build, sign: no SQL)
 *	append_close(&ap);			(queues all writes: they travel with COMMIT)
 *
 * So a send is: this, COMMIT: two round trips, and one before them for an access token that is not remembered (core/user/session.h).
 *
 * The room's row is locked FOR NO KEY UPDATE, and what is read under the lock is
 * read by later statements: one statement that waits for a lock goes on
 * with the snapshot it had before. Nothing may wait for the network between open and COMMIT.
 *
 * Several events may follow each other; each is judged by the state that those before
 * it left. An event that is refused changes nothing, so a caller may go on after it.
 *
 * VERSIONS. An event's (line, ver) is the state before it. Events made here are on line 0
 * and have ver = at_ver = the room's state_ver before; a state event makes state_ver + 1,
 * and its row in table state begins there.
 */
#ifndef HEARTH_APPEND_H
#define HEARTH_APPEND_H

#include "core/event/event.h"
#include "core/push/class.h"
#include "core/room/names.h"
#include "core/room/render.h"

struct room {
	int64_t nid;
	const char *id;			/* esc */
	const struct room_version *rv;
	int64_t last_room_pos, state_ver, depth;
	int64_t joined, invited;
	struct push_sums sums;		/* of the main timeline, as of the last event */
	bool public, blocked;		/* blocked: or purged (purge.h) */
	int64_t state_edits;		/* of messages alone: known.h */
};

#define TXN_KEY_LEN 16

/* What someone wants to say. All strings esc. */
struct draft {
	const char *type, *state_key;	/* state_key NULL: no state event */
	struct json *content;
	const char *redacts;
	const char *sender;		/* NULL: cx->user */
	int64_t ts;			/* 0: cx->now */
};

/* One (type, key) of the room's state, as far as this append knows it. */
struct slot {
	const char *type, *key;
	int64_t type_nid, key_nid;
	const struct event *ev;		/* NULL: no such state. From the table: columns and content only */
	int64_t nid;			/* ev's */
	enum membership membership;	/* of member events */
	int row;			/* index of the row made by this append, or -1: its row is in the table */
};

struct append {
	struct ctx *cx;
	struct room room;
	bool leaving;			/* set before append_open(): also out of a blocked room one may go */
	bool message;			/* set before append_open(): one event, no state, and nothing else of the room in this transaction */
	bool fresh;			/* the room's row does not exist yet (createRoom) */
	struct names names;

	struct slot *slots;
	size_t nslots, slots_cap;

	const char *txn_id;		/* see append_txn() */
	unsigned char txn_key[TXN_KEY_LEN];
	bool txn_look;			/* false: COMMIT tells (E_RETRY) when it was used already */
	const char *txn_event;		/* the event id that this transaction id has made already, or NULL */

	const char *target_id;		/* see append_want_target() */
	struct room_event *target;	/* NULL: no such event in this room */
	bool target_elsewhere;		/* it exists in another room */

	struct relation *rel;		/* what the draft says about another event, or NULL: relation.h */
	const struct draft *rel_draft;

	struct prev *prev;		/* the forward extremities that the next event cites */
	size_t nprev;
	int64_t *left;			/* those beyond the 20 that one event may cite */
	size_t nleft;
	bool merged;			/* merge_ends() was asked to bring them together */
	struct ref_hash *hashes;	/* room versions 1 and 2 */
	size_t nhashes;

	size_t nids;			/* how many nids to reserve; 1 unless the caller says more */
	int64_t *nid;
	struct made **made;
	size_t nmade;
	struct state_row *rows;
	size_t nrows, rows_cap;
	struct member_row *members;
	size_t nmembers, members_cap;
	struct rows r_lock, r_state, r_prev, r_txn, r_target;
};

void append_init(struct append *ap, struct ctx *cx);

/* Before append_open(): what to read. */
void append_want(struct append *ap, const char *type, const char *key);
void append_want_draft(struct append *ap, const struct draft *d);
/* What an invitation shows (Client-Server API, "Stripped state"), for drafts that invite a user of this server. */
void append_want_stripped(struct append *ap);
/* The event that a redaction names. */
void append_want_target(struct append *ap, const char *event_id);
/* Idempotence: path is what scopes the transaction id (struct req, txn_path); afterwards look at ap->txn_event. */
void append_txn(struct append *ap, const char *path, const char *txn_id);
/* What a transaction id has made already, or NULL. One round trip. */
enum err append_txn_made(struct ctx *cx, const char *path, const char **event_id);
/* How many events append_event() may be called for. Default 1. */
void append_reserve(struct append *ap, size_t events);

/* M_FORBIDDEN when there is no such room, or it is blocked. Not inside TX_RO. */
enum err append_open(struct append *ap, const char *room_id);
/* For a room that does not exist yet: takes nids and names. room_id NULL: it follows from the create event (v12). */
enum err append_open_fresh(struct append *ap, const struct room_version *rv, const char *room_id);

/* What was read or made since; NULL when there is no such state. It must have been wanted. */
const struct slot *append_state(const struct append *ap, const char *type, const char *key);
/* Reads one more under the lock, where what was read says that it is needed. One round trip, none if it is known. */
enum err append_fetch(struct append *ap, const char *type, const char *key);
/* The same for the authorization rules and power levels. */
struct auth_state append_auth_state(struct append *ap);
enum membership append_membership(const struct append *ap, const char *user);

/*
 * Judges, builds and notes an event. M_FORBIDDEN with the rule's text, or
 * event_build()'s faults. *ev (may be NULL) lives as long as the arena.
 */
enum err append_event(struct append *ap, const struct draft *d, const struct event **ev);
/* Carries out the redaction that was just appended on ap->target; queues. */
enum err append_redact_target(struct append *ap);

/* Queues the writes of all that append_event() noted, and the wake-ups. Call once, also when there was nothing. */
void append_close(struct append *ap);

#endif
