/*
 * fcgi/lot.h - the waiting requests of a park process, as data: who waits for what, until when.
 *
 * Pure: no sockets, no clock (times are given, CLOCK_MONOTONIC ms). A waiter is
 * known by its ticket: its place and how often the place was used, in one word, so an old ticket is
 * recognised. Waiters are in one of these states:
 *
 *	LOT_WAITING	found by its keys (rooms, its user) and by its time
 *	LOT_READY	in the queue towards the sync workers
 *	LOT_HEAVY	in the queue of those that wait for their turn
 *
 * INDEX. key -> tickets. Taking a waiter out does not look for its entries; they
 * die with its ticket. Arrays drop dead ones before they grow, and each removal
 * sweeps a few keys, so dead entries stay few. That makes waking cost what
 * is woken, and 4 bytes per waiter and room (requirement: 1 KB for 50 rooms).
 *
 * RING. The wake-ups of the last 10 s. A request reaches us some time after its
 * snapshot; was any of its keys woken since, it goes straight back.
 */
#ifndef HEARTH_LOT_H
#define HEARTH_LOT_H

#include "core/base/arena.h"
#include "fcgi/park.h"

#define LOT_MAX (1 << 20)
#define LOT_NONE UINT32_MAX
#define LOT_RING_MS 10000

enum lot_state { LOT_FREE, LOT_WAITING, LOT_READY, LOT_HEAVY };

struct parked {
	struct park_head *rec;	/* malloc: the head, then head.size bytes */
	int64_t deadline, at;	/* at: when to look at it next, at most the deadline */
	uint32_t next, prev;	/* of its bucket of times, or its queue */
	uint32_t nkeys;
	int fd;
	uint16_t gen;
	uint8_t state;
};

struct lot;

/* known: since when all wake-ups are known; a request that saw less goes straight back. */
struct lot *lot_new(int64_t known);
void lot_free(struct lot *l);
void lot_known_since(struct lot *l, int64_t at);

/*
 * Takes a waiter in: copies its record; w->wait must be there. Its state follows from
 * head.why and the ring. LOT_NONE when the lot is full.
 */
uint32_t lot_add(struct lot *l, const struct waiter *w, int64_t now);
struct parked *lot_get(struct lot *l, uint32_t ticket);	/* NULL: no longer there */
void lot_remove(struct lot *l, uint32_t ticket);	/* forgets it; does not close fd */

/* Something happened to these keys (core/sync/wake.h): who waits for one becomes ready, grouped by key. */
void lot_wake(struct lot *l, const int64_t *keys, size_t n, int64_t now);
/*
 * The same for rows at positions pos (ascending) that touch key, found in the
 * streams: but only for waiters whose token had not seen one of them.
 */
void lot_wake_new(struct lot *l, struct arena *scratch, int64_t key, const int64_t *pos, size_t n, int64_t now);
void lot_wake_all(struct lot *l, int64_t now);	/* something, but nobody knows what */

/* The next whose time has come (waiting ones only), else LOT_NONE. It stays in; the caller removes it or calls lot_ready(). */
uint32_t lot_due(struct lot *l, int64_t now);
/* ms until lot_due() may have one; -1: never. */
int lot_patience(const struct lot *l, int64_t now);

void lot_ready(struct lot *l, uint32_t ticket);		/* moves it to the end of the ready queue */
uint32_t lot_first(const struct lot *l, enum lot_state queue);	/* of LOT_READY or LOT_HEAVY; LOT_NONE: empty */
uint32_t lot_after(const struct lot *l, uint32_t ticket);	/* the one behind it in its queue */
size_t lot_count(const struct lot *l, enum lot_state state);
/* All, in no order: *pos starts at 0. */
uint32_t lot_each(const struct lot *l, uint32_t *pos);

/* Bytes held from malloc, and dead entries in the index: for tests and the bench. */
size_t lot_memory(const struct lot *l);
size_t lot_dead(const struct lot *l);

#endif
