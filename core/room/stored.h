/*
 * core/room/stored.h - events of a room as the database has them: what judging another event asks of them.
 */
#ifndef HEARTH_STORED_H
#define HEARTH_STORED_H

#include "core/db/db.h"
#include "core/room/append.h"
#include "core/room/line.h"

struct stored {
	struct event ev;	/* whole, but of an event of another room (elsewhere): only what the rules about auth_events look at */
	int64_t nid, type_nid, sender_nid, key_nid;	/* key_nid -1: no state event */
	int flags;
	bool elsewhere;		/* it is of another room */
	int64_t room_pos, pos, at_ver;	/* room_pos INT64_MIN: none; at_ver -1: none */
	struct point before;	/* the state before it */
	int fork;		/* -1: the state after it is on its own line */
	uint32_t sets, last;	/* for resolve.c */
	bool conflicted, filled;
};

/* Of the table event called e. A statement's own columns come behind these. */
#define STORED_NCOLS 19
#define STORED_COLS							\
	"e.nid, e.id, e.flags, e.line, e.ver, e.fork, e.room_pos, e.pos, e.at_ver, e.type, e.sender, e.state_key, "	\
	"(SELECT body FROM name WHERE nid = e.type), (SELECT body FROM name WHERE nid = e.sender), "	\
	"(SELECT body FROM name WHERE nid = e.state_key), e.ts, e.content, CASE WHEN e.room = $1 THEN e.pdu END, e.cites"
/* A row of a statement whose $1 is the room's nid. */
enum err stored_take(struct ctx *cx, const struct room *room, const struct rows *r, struct stored **out);

/* The state after it: ver -1 when that is not known, or when its fork was never made (soft-failed state). */
struct point stored_after(const struct stored *s);

/* Events by id: a hash table that grows. */
struct stored_map {
	struct arena *a;
	struct stored **slots, **v;	/* v: in the order they came */
	size_t n, cap, nslots;
};
void stored_map_init(struct stored_map *m, struct arena *a);
struct stored *stored_find(const struct stored_map *m, const char *id);	/* NULL: not in it */
void stored_put(struct stored_map *m, struct stored *s);
struct stored *stored_of_nid(const struct stored_map *m, int64_t nid);	/* looks at all */

/* Adds those of some events that are stored and not in the map yet. One round trip, none when all are. */
enum err stored_load(struct ctx *cx, const struct room *room, struct stored_map *m, const char *const *ids, size_t n);
enum err stored_load_nids(struct ctx *cx, const struct room *room, struct stored_map *m, const int64_t *nids, size_t n);

/*
 * BARE. What others decide the number and size of, as auth chains, is loaded without what it says: ev has neither content nor json nor rest, prev_ids
 * only where there is one (nprev is right). At most max events are in the map afterwards: M_TOO_LARGE.
 */
enum err stored_bare(struct ctx *cx, const struct room *room, struct stored_map *m, const char *const *ids, size_t n, size_t max);
enum err stored_bare_nids(struct ctx *cx, const struct room *room, struct stored_map *m, const int64_t *nids, size_t n, size_t max);
/* The same with their whole auth chains. */
enum err stored_bare_chains(struct ctx *cx, const struct room *room, struct stored_map *m, const int64_t *nids, size_t n, size_t max);
/*
 * Adds to bare events what the authorization rules read of them: content (of member events no more than that), and json of redactions. Those that have it are
 * passed over. *bytes is what may still be read: it falls; M_TOO_LARGE.
 */
enum err stored_fill(struct ctx *cx, struct stored *const *v, size_t n, size_t *bytes);

#endif
