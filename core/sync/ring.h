/*
 * core/sync/ring.h - what changed lately, kept in each sync worker's memory.
 *
 * "Which of this user's 5,000 rooms changed since the token?" costs a probe per
 * room when the database is asked, and nothing when one already knows the few
 * rooms that anything happened in. So each worker follows the streams: in every
 * snapshot that it takes it first reads their tail (the rows new since its last
 * snapshot) and keeps for ten minutes at most (position, room, user) of each.
 * The tail is exact, hence so is the ring: for a token at or after its floor
 * the rooms to look at are exactly those entries that are new for the token.
 * What falls behind (a worker idle in a storm) starts a fresh ring; older
 * tokens are answered by probing.
 *
 * From the same tail, and as exact: the joined rooms and the ignored users of
 * the users seen lately. They are what a waiting request must carry, and what
 * entries are compared with.
 *
 * Beside them how large the rooms are of which not all members hear of each other's presence
 * (setting presence_room_max): read anew every minute, for nothing depends on it to the row.
 *
 * Memory is two generations of each, in arenas: when the younger is full (or, of
 * entries, five minutes old) the elder goes. Bounds per generation: RING_MAX
 * entries; RING_USERS users, RING_USERS_BYTES of lists.
 *
 *	ring_queue(ring, cx, &r); position_queue(...); db_run(cx); position_read(...);
 *	ring_take(ring, &r, &now);
 *	if (ring_covers(ring, &since))
 *		for (ring_start(&it, ring, &since); (en = ring_next(&it));)
 */
#ifndef HEARTH_RING_H
#define HEARTH_RING_H

#include "core/base/sorted.h"
#include "core/push/counts.h"
#include "core/sync/token.h"

#define RING_MAX 65536
#define RING_TAIL 8000		/* rows of one tail; more: start afresh */
#define RING_USERS 8192
#define RING_USERS_BYTES (8 << 20)
#define RING_AGE_MS (5 * 60 * 1000)
#define RING_SMALL 20		/* members of a room that presence wakes (core/sync/news.c) */

enum ring_kind {
	RING_EVENT,	/* an event of a room */
	RING_STATE,	/* the room's resolved state */
	RING_MEMBER,	/* what a local user is to a room; value: the membership */
	RING_DATA,	/* account data; room 0: global; value: 1 for the ignored users, 2 for push rules */
	RING_RECEIPT,	/* value: 1 for a private one */
	RING_TYPING,	/* someone began or ceased to type */
	RING_TYPING_ON,	/* someone goes on typing: taken note of, but no entry */
	RING_PRESENCE,	/* room 0 */
	RING_KEYS,	/* devices or keys of usr changed: an entry for each room that he is in (0: none) */
	RING_OWN_KEYS,	/* what usr alone sees of somebody's keys changed; room: not a room but that user */
};
struct ring_entry {
	int64_t pos, room, usr;
	int64_t seen;		/* xmax of the snapshot that found it: what every older one ended below */
	int kind, value;
};
struct ring;

struct ring *ring_new(void);
void ring_free(struct ring *g);

/* The tail since the last snapshot; queues nothing when there was none. Inside the transaction that reads. */
void ring_queue(struct ring *g, struct ctx *cx, struct rows *r);
/* Takes what ring_queue() asked for and moves on to `now`. Pointers got from the ring before are dead. */
void ring_take(struct ring *g, struct rows *r, const struct position *now);

/* Does the ring hold everything that is new for since? Only after ring_take(). */
bool ring_covers(const struct ring *g, const struct position *since);
/* Is all that `older` had seen seen by `p` too? */
bool position_includes(const struct position *p, const struct position *older);

/* Entries new for since, the newest first. */
struct ring_iter {
	const struct ring *g;
	const struct position *since;
	int64_t stop;		/* entries found by snapshots that ended at or below it are not new */
	int gen;
	size_t i;
};
void ring_start(struct ring_iter *it, const struct ring *g, const struct position *since);
const struct ring_entry *ring_next(struct ring_iter *it);

/*
 * Rooms where typing ended by itself between since's clock and the ring's
 * snapshot, one after the other: *i starts at 0; 0: no more. For a token that the ring covers.
 */
int64_t ring_typing_ended(const struct ring *g, const struct position *since, size_t *i);

/*
 * In which of a user's rooms is he not told who is there? Small ones (RING_SMALL) all tell him; of the others the smallest, as long as
 * they have no more than presence_room_max members together. Ascending, in a. For small rooms it need not be asked.
 */
const int64_t *ring_quiet(const struct ring *g, struct arena *a, const int64_t *rooms, size_t n, size_t *nquiet);
bool ring_room_small(const struct ring *g, int64_t room);

/* What the ring knows of a user, as of its snapshot. */
struct ring_user {
	int64_t usr;
	int64_t *rooms;		/* joined, ascending */
	size_t nrooms, cap;
	const char **ignored;	/* users (esc), sorted; only if ignored_known */
	size_t nignored;
	bool ignored_known;
	struct push_reader *reader;	/* his push rules as counts need them; NULL: not known */
	const char *filter_id, *filter;	/* the stored filter used last; filters never change */
	struct ring_user *next;	/* of the same hash */
};
struct ring_user *ring_user(struct ring *g, int64_t usr);	/* NULL: not known */
/* rooms: as of the ring's snapshot, in any order; copied. */
struct ring_user *ring_user_put(struct ring *g, int64_t usr, const int64_t *rooms, size_t n);
/* rooms: as of since, which the ring covers. */
struct ring_user *ring_user_seed(struct ring *g, int64_t usr, const int64_t *rooms, size_t n, const struct position *since);
/* Copied, unless there is no room left until the next ring_take(). users: sorted. */
void ring_user_ignores(struct ring *g, struct ring_user *u, const char *const *users, size_t n);
void ring_user_reader(struct ring *g, struct ring_user *u, const struct push_reader *r);	/* the same */
void ring_user_filter(struct ring *g, struct ring_user *u, const char *id, const char *filter);
size_t ring_users_memory(const struct ring *g);	/* bytes; bounded by about 2 * RING_USERS_BYTES */
void nid_sort(int64_t *v, size_t n);

#endif
