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
	enum push_class class;		/* what it counts for, and the running sums with it: core/push/counts.h */
	int64_t members;
	struct push_sums sums, thread_sums;
};
/* A new row of table state. */
struct state_row {
	int64_t type, key, since, event;
	enum membership membership;
	bool passed;			/* another event among ap->made replaces it */
};
/* A new or changed row of table local_member. */
struct member_row {
	int64_t user;
	enum membership membership;
	int64_t event, room_pos, sender;
	const char *stripped;
	bool joins;			/* he was not in the room before */
};

/* Queues the rows of ap->members. */
void append_write_members(struct append *ap);
/*
 * What is written for unread counts (core/push/counts.h): append_counts.c. An event that comes at the room's end is noted before
 * it is written, with the room as it is before it; then its rows are queued.
 */
void counts_note(struct append *ap, struct made *m, int64_t sender_power, const struct json *power_levels);
void counts_write_event(struct append *ap, const struct made *m);
void counts_write_positions(struct append *ap);		/* of the senders among ap->made, and of those in ap->members who join */
void counts_positions_written(struct append *ap);	/* what else belongs to them, where the sender's went with his event */
void counts_forget(struct ctx *cx, int64_t event);	/* it was redacted */

#define SUMS(s)	P_I64((s).n[0]), P_I64((s).n[1]), P_I64((s).n[2]), P_I64((s).n[3]), P_I64((s).n[4])	/* five parameters */

/* One bigint[] parameter out of n structs. */
#define COLUMN(ap, n, expr)						\
	__extension__({							\
		int64_t *v_ = arena_alloc((ap)->cx->a, ((n) + 1) * sizeof *v_);	\
		for (size_t i = 0; i < (n); i++)			\
			v_[i] = (expr);					\
		P_I64S(v_, n);						\
	})

/* A new last element: GROW(arena, array, count, capacity). */
#define GROW(a, v, n, cap)						\
	((v) = (n) < (cap) ? (v) : arena_realloc(a, v, (cap) * sizeof *(v), 2 * ((cap) + 4) * sizeof *(v)),	\
	    (cap) = (n) < (cap) ? (cap) : 2 * ((cap) + 4), &(v)[(n)++])

#endif
