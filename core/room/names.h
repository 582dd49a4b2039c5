/*
 * core/room/names.h - texts as numbers: user ids, event types, state keys.
 *
 * Table name holds every such text once (as an esc string, core/base/json.h);
 * everything else holds its nid. A user's nid is also the nid of the state key of
 * that user's member events.
 *
 * The process remembers nids that it saw committed: a name made by a
 * transaction that then rolled back does not exist, so what this transaction
 * made itself is not remembered until it is met again (name_select tells). A
 * connection that was opened anew begins without: it may be to a restored database.
 *
 * Making a name waits for another transaction that makes the same one. So make
 * them before taking a room's lock (names_queue() in the same round trip), and
 * all at once: the statement sorts them, so two such transactions cannot wait
 * for each other.
 */
#ifndef HEARTH_NAMES_H
#define HEARTH_NAMES_H

#include "core/ctx.h"
#include "core/db/db.h"

/* The nids that migrations 0002 and 0011 give to well-known names (a db test compares). */
enum {
	NAME_EMPTY = 0, T_CREATE, T_MEMBER, T_POWER_LEVELS, T_JOIN_RULES, T_HISTORY_VISIBILITY, T_GUEST_ACCESS,
	T_NAME, T_TOPIC, T_AVATAR, T_CANONICAL_ALIAS, T_ENCRYPTION, T_TOMBSTONE, T_THIRD_PARTY_INVITE, T_SERVER_ACL,
	T_PINNED_EVENTS, T_MESSAGE, T_ENCRYPTED, T_REDACTION, T_REACTION, T_SPACE_CHILD, T_SPACE_PARENT, T_ALIASES,
	T_STICKER, T_POLICY, REL_ANNOTATION, REL_REPLACE, REL_THREAD, REL_REFERENCE, NAME_WELL_KNOWN,
};

/* The text of a well-known nid (0 .. NAME_WELL_KNOWN - 1). */
const char *name_well_known(int64_t nid);

/* The nid if this process knows it without asking, else -1. */
int64_t name_known(const char *body);

/* Finds or makes one. M_TOO_LARGE when it is longer than 255 raw bytes. Not inside TX_RO. */
enum err name_nid(struct ctx *cx, const char *body, int64_t *nid);

/* Finds one: M_NOT_FOUND (no text for the client) when there is none. */
enum err name_find(struct ctx *cx, const char *body, int64_t *nid);

/*
 * The texts of nids, arena memory; NULL where there is no such name. At most one round trip, none when this process knows
 * them all. What is found is remembered, so not in a transaction that may have made it: in TX_RO.
 */
enum err name_texts(struct ctx *cx, const int64_t *nids, size_t n, const char **texts);

/*
 * Many at once:
 *	struct names ns;
 *	names_init(&ns, cx);
 *	size_t i = names_add(&ns, "@a:x");
 *	names_queue(&ns);		(nothing is queued when all are known)
 *	... further db_queue() ...; db_run(cx)
 *	names_take(&ns);
 *	ns.nid[i]
 */
struct names {
	struct ctx *cx;
	const char **body;
	int64_t *nid;		/* -1 until taken */
	size_t n, cap;
	uint32_t *slots;	/* where there are many: a hash table of index + 1 */
	size_t nslots;
	struct rows found;
	bool asked;
};
void names_init(struct names *ns, struct ctx *cx);
size_t names_add(struct names *ns, const char *body);	/* its index; the same text gets the same index */
void names_queue(struct names *ns);
void names_take(struct names *ns);
int64_t names_nid(const struct names *ns, const char *body);	/* after names_take(); -1 when it was not added */

/* Does a user or alias belong to this server? */
bool name_is_local(const struct ctx *cx, const char *id);

/* Are these at most 255 raw bytes? (esc strings; the limit of ids, types and state keys) */
bool name_fits(const char *body);

#endif
