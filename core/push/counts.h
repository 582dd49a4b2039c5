/*
 * core/push/counts.h - how many notifications a user has not read, and what his rules say of an event (Client-Server API,
 * "Receiving notifications", "Marking notifications as read", "Threaded read receipts").
 *
 * COUNTED BY THE READER. A send writes no row per member. It writes what the event counts for (class.h), running sums
 * of the room's main timeline and of the event's thread, and a row for each local member whom it mentions (table mention).
 * A count is then a difference of sums between the room's end and where the user has read to, plus mentions, minus what was
 * redacted since: a few index look-ups, whatever the distance. That does where the user's rules come to a mode
 * (mode.h). Else (keywords, rules about senders or ignored users who are in the room, conditions of his own) the matcher
 * looks at the events after his position, the newest UNREAD_MAX of a room and as many of its threads; fewer where long
 * messages meet many rules, for nobody is to keep a worker busy.
 *
 * What is counted: the rules that are in force now, applied to each event after the reader's position with the room as it was when
 * the event came (members, power levels, his display name); not his own events, not redacted ones, not those of
 * users he ignores.
 *
 * HOW FAR HE HAS READ is table read_up_to: per (user, room, thread) the furthest of his receipts of both kinds, of what he sent
 * himself (it says that he has read the thread that he sent it to; member events say nothing, servers send
 * them for him), and of his own join. Unthreaded receipts and the join are of all threads. Whoever writes one of those calls
 * read_up_to_queue() in the same transaction. Receipts, joins and now and then a message of one's own take the mentions up to there
 * with them (mentions_read_queue()), and leaving takes them all, so table mention grows with what is unread.
 *
 * EVENTS THAT DO NOT COME AT THE ROOM'S END (backfill into a hole, below the first join) count for nothing and must not
 * disturb the sums: push_class 0, members 0, n_a .. n_e those of the next event below in the room's order (0 when there is
 * none), t_a .. t_e NULL, no row in table mention, nothing in room or thread_count. Outliers, rejected and soft-failed ones have
 * no room_pos and are never looked at: zeros. Events received live at the room's end are like those sent here:
 * push_class_of(), then sums by push_sums_add() on what room and thread_count hold. core/room/append_counts.c does it for append_write.c and
 * receive_write.c; room_check() tells who did not. Where history is deleted (core/room/purge.h), the sums begin with the oldest event left.
 */
#ifndef HEARTH_COUNTS_H
#define HEARTH_COUNTS_H

#include "core/db/db.h"
#include "core/push/mode.h"

#define UNREAD_MAX 1000

/* ---- writing */

/* n users' positions. thread: as RECEIPT_UNTHREADED, RECEIPT_MAIN (core/live/receipt.h) or the root's nid. */
struct read_up_to {
	int64_t usr, room, thread, room_pos;
};
void read_up_to_queue(struct ctx *cx, const struct read_up_to *v, size_t n);
/* The same within another statement: rows (usr, room, thread, room_pos), each user, room and thread once. */
#define READ_UP_TO_PUT(rows)									\
	"INSERT INTO read_up_to AS r (usr, room, thread, room_pos) " rows				\
	" ON CONFLICT (usr, room, thread) DO UPDATE SET room_pos = excluded.room_pos WHERE r.room_pos < excluded.room_pos"
/* Deletes mentions of the user that this position has left behind, the oldest 500 at most. */
void mentions_read_queue(struct ctx *cx, const struct read_up_to *v);
/* The same of one who has left the room, 5,000 of them: when he comes back he has read all up to there. */
void mentions_left_queue(struct ctx *cx, int64_t usr, int64_t room);

/* ---- readers: users with their rules */

struct push_reader {
	int64_t usr;
	const char *user;		/* esc; NULL: no such user */
	const char *stored;		/* how his rules differ from the predefined ones, or NULL */
	const struct json *rules;	/* those in force; push_reader_rules() */
	const char **ignored;		/* users (esc) */
	size_t nignored;
	struct push_modes modes;
};
/* One statement for n users; out[i] is users[i]. */
void push_readers_queue(struct ctx *cx, struct rows *r, const int64_t *users, size_t n);
void push_readers_take(struct ctx *cx, struct rows *r, const int64_t *users, size_t n, struct push_reader *out);
/* From what is known already: texts of account data m.push_rules as stored and of m.ignored_user_list, NULL for none. */
void push_reader_init(struct arena *a, struct push_reader *r, int64_t usr, const char *user, const char *stored, const char *ignored);
/* A copy of its own memory, without the tree of rules. */
struct push_reader *push_reader_copy(struct arena *a, const struct push_reader *r);
/* Made when first asked for, in a. */
const struct json *push_reader_rules(struct arena *a, struct push_reader *r);

/* ---- unread counts */

struct unread {
	int64_t notify, highlight;
};
struct unread_thread {
	int64_t root;
	const char *root_id;
	struct unread n;
};
struct unread_room {
	struct push_reader *reader;	/* asked; before unread_queue() NULL is allowed for one not known yet */
	int64_t usr, room;		/* asked */
	bool lacking;			/* found: needs its events, which were not asked for, the reader being unknown then */
	struct unread main, all;	/* the main timeline; with all threads */
	struct unread_thread *threads;	/* those with any, by root */
	size_t nthreads;
};
/* For n (user, room) pairs, all in the round trip of the caller's db_run(); nothing per room or user. */
struct unread_load {
	struct unread_room *v;
	size_t n;
	size_t *custom;			/* those whose events are asked for */
	size_t ncustom;
	struct rows plain, events, context, names;
};
void unread_queue(struct ctx *cx, struct unread_load *l, struct unread_room *v, size_t n);
/* All readers must be known by now. */
void unread_take(struct ctx *cx, struct unread_load *l);

/* What a badge shows, of all rooms: n users in one round trip, two if the rules of one of them are not reducible. */
struct badge {
	int64_t rooms;		/* with unread notifications, and pending invitations that notify */
	int64_t notifications;	/* in all rooms; an invitation is one */
	int64_t highlights;
};
enum err unread_badges(struct ctx *cx, const int64_t *users, size_t n, struct badge *out);
/* The counts of (user, room) pairs (v[i].usr, v[i].room); two round trips. */
enum err unread_rooms(struct ctx *cx, struct unread_room *v, size_t n);

/* ---- what rules say of one event */

struct push_verdict {
	bool notify, highlight;
	const char *sound;		/* raw, or NULL */
	const struct json *actions;	/* of the rule that matched; NULL: none did */
};
/*
 * For n users, one round trip. The room is as it was when the event came. Who was not joined then hears only of his own
 * invitation; the sender and whoever ignores him of nothing. An unknown or redacted event: all verdicts are empty.
 */
enum err push_verdicts(struct ctx *cx, int64_t event, const int64_t *users, size_t n, struct push_verdict *out);

#endif
