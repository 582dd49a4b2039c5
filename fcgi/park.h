/*
 * fcgi/park.h - the process that holds waiting requests, and how they travel to and from it.
 *
 * A request that waits is an open connection to nginx, a FastCGI request id,
 * and what is needed to compute it again (struct sync_wait). Workers send
 * all that to park; park sends it back to the sync workers when something it waits
 * for was touched, in batches; and answers itself when the time is over.
 *
 * On the wire (SOCK_SEQPACKET): one message is up to PARK_BATCH times a struct
 * park_head and its packed sync_wait, one after the other, and as many
 * descriptors in the same order.
 */
#ifndef HEARTH_PARK_H
#define HEARTH_PARK_H

#include "core/sync/sync.h"
#include "fcgi/shared.h"

#define PARK_BATCH 64
#define PARK_RECORD_MAX 65536		/* of one packed record with its head */
#define PARK_MESSAGE_MAX (2 * PARK_RECORD_MAX)	/* below the socket's buffer (208 KB by default) */
#define PARK_HEAD_VERSION 1

enum park_why {
	PARK_WAIT,	/* nothing new: wake it when something it waits for is touched */
	PARK_RETRY,	/* could not be computed (database away): again in a second */
	PARK_HEAVY,	/* waits for its turn among the heavy ones */
};
struct park_head {
	uint8_t version, why;
	uint16_t fcgi_id;
	uint32_t size;			/* of the packed sync_wait that follows */
	int64_t started;		/* CLOCK_MONOTONIC us: when the request came */
	int64_t seen;			/* replaces sync_wait.seen when not 0 */
	unsigned char req_id[16];	/* nginx's, for the log */
};

/* A waiting request in the hands of a process. */
struct waiter {
	int fd;
	struct park_head head;
	const void *packed;		/* head.size bytes */
	struct sync_wait *wait;
};

/* Sends up to PARK_BATCH waiters as one message. The descriptors stay open here. 0, or errno. */
int park_message_send(int sock, const struct waiter *v, size_t n, int flags);
/*
 * Takes one message: fills v (wait in the arena, NULL when this binary cannot
 * read it; packed until the next call), gives their number; 0: none there, or a broken one.
 */
size_t park_message_recv(struct arena *a, int sock, struct waiter v[PARK_BATCH]);
/*
 * Takes what has gathered: messages, until there are PARK_BATCH waiters or one who waits for a heavy turn. He is the last: the next
 * heavy one, and whoever came behind him, are for workers that are not kept so long. packed is of nobody's use.
 */
#define WAITERS_MAX (2 * PARK_BATCH)
size_t park_gathered_recv(struct arena *a, int sock, struct waiter v[WAITERS_MAX]);
/* Packs v->wait anew into v->packed, v->head.size. False when it is too large to wait. */
bool park_pack(struct arena *a, struct waiter *v);

/*
 * The baton: one message in a socket of its own; the park process that took it out is
 * in charge and reads the other sockets. It carries the position (token) up to
 * which its predecessor knew the streams, and when it let go (CLOCK_MONOTONIC ms); "", 0: nobody was in charge.
 */
#define PARK_BATON_MAX 65536
void park_baton_pass(const struct env *env, const char *position, int64_t at);

int park_main(const struct env *env);

#endif
