/* core/room/append_impl.h - what append.c notes and append_write.c writes. */
#ifndef HEARTH_APPEND_IMPL_H
#define HEARTH_APPEND_IMPL_H

#include "core/room/append.h"

struct prev {
	int64_t nid;
	const char *id;
};
struct ref_hash {
	const char *id, *hash;
};
/* A new event. */
struct made {
	struct event ev;
	int64_t nid, type_nid, sender_nid, key_nid /* -1 */, prev_state /* -1 */;
	int64_t room_pos, ver;
	int64_t thread;			/* the thread's root, -1 */
};
/* A new row of table state. */
struct state_row {
	int64_t type, key, since, until, event;
	enum membership membership;
};
/* A row of table state that ends at version until. */
struct close_row {
	int64_t type, key, since, until;
};
/* A new or changed row of table local_member. */
struct member_row {
	int64_t user;
	enum membership membership;
	int64_t event, room_pos, sender;
	const char *stripped;
};

/* Queues the rows of ap->members. */
void append_write_members(struct append *ap);

/* A new last element: GROW(arena, array, count, capacity). */
#define GROW(a, v, n, cap)						\
	((v) = (n) < (cap) ? (v) : arena_realloc(a, v, (cap) * sizeof *(v), 2 * ((cap) + 4) * sizeof *(v)),	\
	    (cap) = (n) < (cap) ? (cap) : 2 * ((cap) + 4), &(v)[(n)++])

#endif
