/*
 * core/sync/wake.h - telling the park process what a transaction touched.
 *
 * After COMMIT, and after the answer has left, a process sends one datagram to
 * the park process of its container. It never blocks: when the queue is full
 * the datagram is dropped, and park finds the rows by its own look at the tail of
 * the streams within a second. The rows are the truth; a wake-up only says
 * where to look.
 */
#ifndef HEARTH_WAKE_H
#define HEARTH_WAKE_H

#include "core/ctx.h"

/*
 * A key: a room or a user in one word, nid << 1 | is it a user. Membership needs no
 * kind of its own: whoever changes one touches the user too, whose
 * waiting requests are then computed again and wait with their new rooms.
 */
#define WAKE_ROOM(nid)	((int64_t)((uint64_t)(nid) << 1))
#define WAKE_USER(nid)	((int64_t)((uint64_t)(nid) << 1 | 1))
#define WAKE_JOBS WAKE_USER(0)	/* no user: there is a job to be run (core/jobs/jobs.h) */
#define WAKE_IS_USER(k)	(((k) & 1) != 0)
#define WAKE_NID(k)	((k) >> 1)

/* In a datagram, the key of a room negative: it may wait a moment (WAKE_SOON_MS), so that many such go together. */
#define WAKE_SOON_MS 75

#define WAKE_DATAGRAM_KEYS 512	/* at most in one datagram: an array of keys */

void wake_setup(int fd);		/* once per process; without it nothing is sent */
void wake_send(const struct touched *t);	/* nothing touched: nothing sent */

/*
 * Between containers (NOTIFY wake): "<container> r<nid> u<nid> ...", below 8,000
 * bytes. SQL functions that change something by hand send the same with "-"
 * as container.
 */
#define WAKE_PAYLOAD_MAX 7900
/* Writes as many keys as fit; returns how many. out has room for WAKE_PAYLOAD_MAX + 1 bytes. */
size_t wake_payload(char *out, const char *container, const int64_t *keys, size_t n);
/* Reads a payload, also of foreign make: what is not understood is left out. Returns the keys, at most max; 0 when it is our own. */
size_t wake_payload_read(const char *payload, const char *own, int64_t *keys, size_t max);
/* Does another container say this? One without keys says no more than that it is there. */
bool wake_payload_other(const char *payload, const char *own);

#endif
