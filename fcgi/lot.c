/* fcgi/lot.c - the waiting requests of a park process, as data; see lot.h. */
#include "fcgi/lot.h"
#include "core/base/sorted.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include "core/sync/token.h"
#include "core/sync/wake.h"

#define PLACE_BITS 20		/* of a ticket; the rest is the generation */
#define CHUNK 1024		/* places come in chunks: growing moves nothing */
#define WHEEL 1024		/* buckets of time */
#define TICK_MS 64
#define RING (1 << 17)
#define INLINE 2		/* entries of a key without an array: most rooms are small */

/* v[0] is the array's capacity when n > INLINE. */
struct key {
	int64_t key;		/* 0: free */
	union {
		uint32_t in[INLINE];
		uint32_t *v;
	} u;
	uint32_t n;
	bool array;
};
struct event {
	int64_t key, at;
};
struct queue {
	uint32_t first, last;
};
struct lot {
	struct parked *chunk[LOT_MAX / CHUNK];
	uint32_t nplaces, free;	/* free: list through next */
	size_t count[4];

	struct key *keys;
	size_t nkeys, cap;	/* cap: a power of two */
	size_t sweep;

	uint32_t wheel[WHEEL];
	int64_t tick;		/* buckets up to here were looked at */

	struct queue queue[4];	/* of states READY and HEAVY */

	struct event *ring;
	uint64_t ring_head;	/* events ever; the last RING of them are there */
	int64_t known;
};

static void *
need(void *p)
{
	if (!p)
		abort();	/* the master starts another */
	return p;
}

/* ---- places and tickets */

static struct parked *
place(const struct lot *l, uint32_t i)
{
	return &l->chunk[i / CHUNK][i % CHUNK];
}

static uint32_t
place_of(uint32_t ticket)
{
	return ticket & (LOT_MAX - 1);
}

static uint32_t
ticket_at(const struct lot *l, uint32_t i)
{
	return (uint32_t)place(l, i)->gen << PLACE_BITS | i;
}

static bool
alive(const struct lot *l, uint32_t ticket)
{
	uint32_t i = place_of(ticket);

	return i < l->nplaces && (place(l, i)->gen & 0xfff) == ticket >> PLACE_BITS && place(l, i)->state == LOT_WAITING;
}

static uint32_t
place_take(struct lot *l)
{
	uint32_t i = l->free;

	if (i != LOT_NONE) {
		l->free = place(l, i)->next;
		return i;
	}
	if (l->nplaces == LOT_MAX - 1)		/* LOT_NONE is no ticket */
		return LOT_NONE;
	i = l->nplaces;
	if (i % CHUNK == 0)
		l->chunk[i / CHUNK] = need(calloc(CHUNK, sizeof(struct parked)));
	l->nplaces++;
	return i;
}

/* ---- the index */

static size_t
hash(const struct lot *l, int64_t key)
{
	return (size_t)((uint64_t)key * 0x9e3779b97f4a7c15u >> 32) & (l->cap - 1);
}

static struct key *
key_find(const struct lot *l, int64_t key)
{
	for (size_t i = hash(l, key);; i = (i + 1) & (l->cap - 1))
		if (l->keys[i].key == key || l->keys[i].key == 0)
			return &l->keys[i];
}

static void
keys_grow(struct lot *l)
{
	struct key *old = l->keys;
	size_t n = l->cap;

	l->cap = n ? n * 2 : 1024;
	l->keys = need(calloc(l->cap, sizeof(*l->keys)));
	for (size_t i = 0; i < n; i++)
		if (old[i].key != 0)
			*key_find(l, old[i].key) = old[i];
	free(old);
}

static uint32_t *
entries(struct key *k)
{
	return k->array ? k->u.v + 1 : k->u.in;
}

/* Drops entries of waiters that are gone. */
static void
key_compact(struct lot *l, struct key *k)
{
	uint32_t *v = entries(k), n = 0;

	for (uint32_t i = 0; i < k->n; i++)
		if (alive(l, v[i]))
			v[n++] = v[i];
	k->n = n;
}

static void
key_resize(struct key *k, uint32_t cap)
{
	uint32_t *v = need(malloc((cap + 1) * sizeof(*v)));

	memcpy(v + 1, entries(k), k->n * sizeof(*v));
	v[0] = cap;
	if (k->array)
		free(k->u.v);
	k->u.v = v;
	k->array = true;
}

static void
key_put(struct lot *l, int64_t key, uint32_t ticket)
{
	struct key *k;

	if (4 * (l->nkeys + 1) > 3 * l->cap)
		keys_grow(l);
	k = key_find(l, key);
	if (k->key == 0) {
		*k = (struct key){ .key = key };
		l->nkeys++;
	}
	if (k->n == (k->array ? k->u.v[0] : INLINE)) {
		key_compact(l, k);
		/* Half dead arrays stay, others grow by half. */
		if (k->n > (k->array ? k->u.v[0] : INLINE) / 2)
			key_resize(k, k->n + k->n / 2 + 3);
	}
	entries(k)[k->n++] = ticket;
}

/* Open addressing without tombstones: what follows moves up where it may. */
static void
key_delete(struct lot *l, struct key *k)
{
	size_t mask = l->cap - 1, hole = (size_t)(k - l->keys), i = hole;

	if (k->array)
		free(k->u.v);
	for (;;) {
		i = (i + 1) & mask;
		if (l->keys[i].key == 0)
			break;
		/* It may fill the hole unless its home lies behind the hole. */
		if (((i - hash(l, l->keys[i].key)) & mask) >= ((i - hole) & mask)) {
			l->keys[hole] = l->keys[i];
			hole = i;
		}
	}
	memset(&l->keys[hole], 0, sizeof(*k));
	l->nkeys--;
}

static void
keys_sweep(struct lot *l, size_t n)
{
	if (l->cap == 0)
		return;
	for (; n > 0; n--) {
		struct key *k = &l->keys[l->sweep & (l->cap - 1)];

		l->sweep++;
		if (k->key == 0)
			continue;
		key_compact(l, k);
		if (k->n == 0) {
			key_delete(l, k);
			l->sweep--;	/* another may have moved here */
		} else if (k->array && k->u.v[0] > 16 && k->n < k->u.v[0] / 4) {
			key_resize(k, k->n + k->n / 2 + 3);
		}
	}
}

/* ---- times, queues */

static uint32_t *
bucket(struct lot *l, int64_t at)
{
	return &l->wheel[(uint64_t)(at / TICK_MS) % WHEEL];
}

static void
timer_set(struct lot *l, uint32_t i)
{
	struct parked *p = place(l, i);
	uint32_t *b = bucket(l, p->at);

	p->prev = LOT_NONE;
	p->next = *b;
	if (*b != LOT_NONE)
		place(l, *b)->prev = i;
	*b = i;
}

static void
timer_clear(struct lot *l, uint32_t i)
{
	struct parked *p = place(l, i);

	if (p->next != LOT_NONE)
		place(l, p->next)->prev = p->prev;
	if (p->prev != LOT_NONE)
		place(l, p->prev)->next = p->next;
	else
		*bucket(l, p->at) = p->next;
}

static void
queue_add(struct lot *l, uint32_t i, enum lot_state state)
{
	struct queue *q = &l->queue[state];
	struct parked *p = place(l, i);

	p->next = LOT_NONE;
	p->prev = q->last;
	if (q->last != LOT_NONE)
		place(l, q->last)->next = i;
	else
		q->first = i;
	q->last = i;
}

static void
queue_drop(struct lot *l, uint32_t i)
{
	struct parked *p = place(l, i);
	struct queue *q = &l->queue[p->state];

	if (p->next != LOT_NONE)
		place(l, p->next)->prev = p->prev;
	else
		q->last = p->prev;
	if (p->prev != LOT_NONE)
		place(l, p->prev)->next = p->next;
	else
		q->first = p->next;
}

/* Out of whatever it is in. Its index entries die with its generation. */
static void
detach(struct lot *l, uint32_t i)
{
	struct parked *p = place(l, i);

	if (p->state == LOT_WAITING)
		timer_clear(l, i);
	else
		queue_drop(l, i);
	l->count[p->state]--;
}

static void
attach(struct lot *l, uint32_t i, enum lot_state state)
{
	place(l, i)->state = (uint8_t)state;
	l->count[state]++;
	if (state == LOT_WAITING)
		timer_set(l, i);
	else
		queue_add(l, i, state);
}

static void
make_ready(struct lot *l, uint32_t i)
{
	detach(l, i);
	attach(l, i, LOT_READY);
}

/* ---- the ring */

static void
ring_put(struct lot *l, int64_t key, int64_t now)
{
	struct event *e = &l->ring[l->ring_head++ & (RING - 1)];

	if (l->ring_head > RING && e->at >= l->known)
		l->known = e->at + 1;	/* what is overwritten is no longer known */
	*e = (struct event){ key, now };
}

/* Was anything that it waits for touched at or after `seen`, as far as anybody knows? */
static bool
woken_since(const struct lot *l, const struct sync_wait *w, int64_t seen)
{
	uint64_t last = l->ring_head > RING ? l->ring_head - RING : 0;

	if (seen < l->known)
		return true;
	for (uint64_t i = l->ring_head; i > last; i--) {
		const struct event *e = &l->ring[(i - 1) & (RING - 1)];

		if (e->at < seen)
			return false;
		if (WAKE_IS_USER(e->key) ? WAKE_NID(e->key) == w->user_nid : i64_in(w->rooms, w->nrooms, WAKE_NID(e->key)))
			return true;
	}
	return false;
}

/* ---- the interface */

struct lot *
lot_new(int64_t known)
{
	struct lot *l = need(calloc(1, sizeof(*l)));

	l->free = LOT_NONE;
	l->known = known;
	l->ring = need(malloc(RING * sizeof(*l->ring)));
	for (int i = 0; i < WHEEL; i++)
		l->wheel[i] = LOT_NONE;
	for (int i = 0; i < 4; i++)
		l->queue[i] = (struct queue){ LOT_NONE, LOT_NONE };
	keys_grow(l);
	return l;
}

void
lot_free(struct lot *l)
{
	for (uint32_t i = 0; i < l->nplaces; i++)
		free(place(l, i)->rec);
	for (uint32_t i = 0; i < l->nplaces; i += CHUNK)
		free(l->chunk[i / CHUNK]);
	for (size_t i = 0; i < l->cap; i++)
		if (l->keys[i].array)
			free(l->keys[i].u.v);
	free(l->keys);
	free(l->ring);
	free(l);
}

void
lot_known_since(struct lot *l, int64_t at)
{
	l->known = at;
}

static void
index_add(struct lot *l, uint32_t i, const struct sync_wait *w)
{
	uint32_t ticket = ticket_at(l, i);

	key_put(l, WAKE_USER(w->user_nid), ticket);
	for (size_t k = 0; k < w->nrooms; k++)
		key_put(l, WAKE_ROOM(w->rooms[k]), ticket);
	place(l, i)->nkeys = (uint32_t)w->nrooms + 1;
}

uint32_t
lot_add(struct lot *l, const struct waiter *w, int64_t now)
{
	int64_t seen = w->head.seen ? w->head.seen : w->wait->seen;
	uint32_t i = place_take(l);
	struct parked *p;

	if (i == LOT_NONE)
		return LOT_NONE;
	p = place(l, i);
	p->rec = need(malloc(sizeof(w->head) + w->head.size));
	*p->rec = w->head;
	memcpy(p->rec + 1, w->packed, w->head.size);
	p->fd = w->fd;
	p->gen = (p->gen + 1) & 0xfff;
	p->nkeys = 0;
	p->deadline = p->at = w->wait->deadline;
	if (l->tick == 0)
		l->tick = now / TICK_MS;
	if (w->head.why == PARK_HEAVY) {
		attach(l, i, LOT_HEAVY);
	} else if (w->head.why == PARK_WAIT && (seen < now - LOT_RING_MS || woken_since(l, w->wait, seen))) {
		attach(l, i, LOT_READY);
	} else {
		if (w->head.why == PARK_RETRY && p->at > now + 1000)
			p->at = now + 1000;
		if (p->at < now)
			p->at = now;
		attach(l, i, LOT_WAITING);
		index_add(l, i, w->wait);
	}
	return ticket_at(l, i);
}

struct parked *
lot_get(struct lot *l, uint32_t ticket)
{
	uint32_t i = place_of(ticket);

	if (ticket == LOT_NONE || i >= l->nplaces || (place(l, i)->gen & 0xfff) != ticket >> PLACE_BITS ||
	    place(l, i)->state == LOT_FREE)
		return NULL;
	return place(l, i);
}

void
lot_remove(struct lot *l, uint32_t ticket)
{
	uint32_t i = place_of(ticket);
	struct parked *p = lot_get(l, ticket);

	if (!p)
		return;
	detach(l, i);
	free(p->rec);
	p->rec = NULL;
	p->state = LOT_FREE;
	p->gen = (p->gen + 1) & 0xfff;
	p->next = l->free;
	l->free = i;
	keys_sweep(l, 2 * p->nkeys + 8);
}

static void
wake_key(struct lot *l, int64_t key)
{
	struct key *k = key_find(l, key);

	if (k->key == 0)
		return;
	for (uint32_t i = 0; i < k->n; i++)
		if (alive(l, entries(k)[i]))
			make_ready(l, place_of(entries(k)[i]));
	key_delete(l, k);
}

void
lot_wake(struct lot *l, const int64_t *keys, size_t n, int64_t now)
{
	for (size_t i = 0; i < n; i++) {
		if (keys[i] <= 0)
			continue;
		ring_put(l, keys[i], now);
		wake_key(l, keys[i]);
	}
}

/* Had the waiter's last answer not seen one of these rows? Where its token cannot be read: who knows. */
static bool
is_news(struct arena *a, const struct parked *p, const int64_t *pos, size_t n)
{
	struct sync_wait w;
	struct position seen;

	if (sync_wait_unpack(a, p->rec + 1, p->rec->size, &w) != M_OK || !w.next || !token_decode(a, w.next, &seen))
		return true;
	if (pos[n - 1] >= seen.xmax)
		return true;
	for (size_t i = 0; i < seen.nxip; i++)
		if (i64_in(pos, n, seen.xip[i]))
			return true;
	return false;
}

void
lot_wake_new(struct lot *l, struct arena *scratch, int64_t key, const int64_t *pos, size_t n, int64_t now)
{
	struct key *k = key_find(l, key);

	ring_put(l, key, now);
	if (k->key == 0 || n == 0)
		return;
	for (uint32_t i = 0; i < k->n; i++) {
		uint32_t t = entries(k)[i];
		struct arena_mark mark = arena_mark(scratch);

		if (alive(l, t) && is_news(scratch, place(l, place_of(t)), pos, n))
			make_ready(l, place_of(t));
		arena_rewind(scratch, mark);
	}
	key_compact(l, k);
	if (k->n == 0)
		key_delete(l, k);
}

void
lot_wake_all(struct lot *l, int64_t now)
{
	l->known = now + 1;
	for (uint32_t i = 0; i < l->nplaces; i++)
		if (place(l, i)->state == LOT_WAITING)
			make_ready(l, i);
}

uint32_t
lot_due(struct lot *l, int64_t now)
{
	if (l->count[LOT_WAITING] == 0) {
		l->tick = now / TICK_MS;
		return LOT_NONE;
	}
	if (now / TICK_MS - l->tick > WHEEL)
		l->tick = now / TICK_MS - WHEEL;	/* once around is everybody */
	/* A bucket is looked at when its tick is over. */
	for (; l->tick < now / TICK_MS; l->tick++)
		for (uint32_t i = l->wheel[(uint64_t)l->tick % WHEEL]; i != LOT_NONE; i = place(l, i)->next)
			if (place(l, i)->at <= now)
				return ticket_at(l, i);
	return LOT_NONE;
}

int
lot_patience(const struct lot *l, int64_t now)
{
	if (l->count[LOT_WAITING] == 0)
		return -1;
	for (int64_t t = l->tick; t < l->tick + WHEEL; t++)
		if (l->wheel[(uint64_t)t % WHEEL] != LOT_NONE) {
			int64_t ms = (t + 1) * TICK_MS - now;

			return ms < 0 ? 0 : (int)ms;
		}
	return -1;
}

void
lot_ready(struct lot *l, uint32_t ticket)
{
	if (lot_get(l, ticket))
		make_ready(l, place_of(ticket));
}

uint32_t
lot_first(const struct lot *l, enum lot_state queue)
{
	uint32_t i = l->queue[queue].first;

	return i == LOT_NONE ? LOT_NONE : ticket_at(l, i);
}

uint32_t
lot_after(const struct lot *l, uint32_t ticket)
{
	uint32_t i = place(l, place_of(ticket))->next;

	return i == LOT_NONE ? LOT_NONE : ticket_at(l, i);
}

size_t
lot_count(const struct lot *l, enum lot_state state)
{
	return l->count[state];
}

uint32_t
lot_each(const struct lot *l, uint32_t *pos)
{
	while (*pos < l->nplaces) {
		uint32_t i = (*pos)++;

		if (place(l, i)->state != LOT_FREE)
			return ticket_at(l, i);
	}
	return LOT_NONE;
}

size_t
lot_memory(const struct lot *l)
{
	size_t n = sizeof(*l) + RING * sizeof(*l->ring) + l->cap * sizeof(*l->keys);

	for (uint32_t i = 0; i < l->nplaces; i++)
		n += sizeof(struct parked) + (place(l, i)->rec ? malloc_usable_size(place(l, i)->rec) + 8 : 0);
	for (size_t i = 0; i < l->cap; i++)
		if (l->keys[i].array)
			n += malloc_usable_size(l->keys[i].u.v) + 8;
	return n;
}

size_t
lot_dead(const struct lot *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->cap; i++)
		for (uint32_t k = 0; k < l->keys[i].n; k++)
			n += !alive(l, entries(&l->keys[i])[k]);
	return n;
}
