/*
 * core/push/class.h - what an event counts for, whoever reads it.
 *
 * The predefined push rules say the same of an event to every member of its room, but for one: that he is mentioned. So
 * what they say is worked out once, when the event is appended, and written with it (event.push_class); how
 * many events of each class there were is kept as running sums, and a reader's count is a difference of two
 * (core/push/counts.h). The classes are the rules themselves: push_class_of() runs the matcher over the predefined set.
 */
#ifndef HEARTH_PUSH_CLASS_H
#define HEARTH_PUSH_CLASS_H

#include "core/push/match.h"

enum push_class {
	PUSH_NEVER,	/* silent even for who is mentioned: notices, member events */
	PUSH_QUIET,	/* silent, but for who is mentioned: reactions, ACLs, edits */
	PUSH_OTHER,	/* no rule says anything: a topic, a redaction; counts where a rule of one's own wants all of a room */
	PUSH_CALL,	/* .m.rule.call */
	PUSH_DIRECT,	/* a message, encrypted or not, in a room of two */
	PUSH_GROUP,	/* in a room of any other size */
	PUSH_ALL,	/* highlights everybody: @room, a tombstone */
};
#define PUSH_CLASSES 7
#define PUSH_SUMS 5	/* classes from PUSH_OTHER on are summed */

/* ev as for push_match(), with the room as it is when the event comes. */
enum push_class push_class_of(const struct push_event *ev);

/* Running sums: how many events of class PUSH_OTHER + i there were. */
struct push_sums {
	int64_t n[PUSH_SUMS];
};
static inline void
push_sums_add(struct push_sums *s, enum push_class c)
{
	if (c >= PUSH_OTHER)
		s->n[c - PUSH_OTHER]++;
}

#endif
