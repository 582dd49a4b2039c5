/*
 * core/push/mode.h - what a user's push rules come to in a room, as far as counting goes. Pure.
 *
 * Most rule sets say no more than: which classes of events (class.h) count, and does a mention. That is a mode, a few
 * bits, and a count by sums will do. Where they say more (a keyword, a condition of one's own) the mode is
 * MODE_CUSTOM: events are then looked at one by one. Rules differ by room, so a user has one mode for all rooms and
 * others for those that his rules name.
 */
#ifndef HEARTH_PUSH_MODE_H
#define HEARTH_PUSH_MODE_H

#include "core/push/class.h"

#define MODE_CLASS(c)	(1U << (c))	/* events of this class notify, PUSH_OTHER to PUSH_ALL */
enum {
	MODE_LOUD_ALL = 1 << 8,		/* those of PUSH_ALL highlight */
	MODE_MENTION = 1 << 9,		/* a mention of the user notifies, whatever the class */
	MODE_LOUD_MENTION = 1 << 10,	/* and highlights */
	MODE_SENDERS = 1 << 11,		/* custom where one of modes.senders is a member */
	MODE_CUSTOM = 1 << 12,
};

struct push_modes {
	unsigned base;			/* in all other rooms */
	struct push_room_mode {
		const char *room;	/* esc */
		unsigned mode;
	} *rooms;			/* by name */
	size_t n;
	const char **senders;		/* users (esc) of sender rules */
	size_t nsenders;
	bool asks_display_name;		/* some rule does (contains_display_name) */
};

/* rules: {"global":{...}} in force, or NULL for the predefined ones. What is found is arena memory. */
void push_modes_read(struct arena *a, const struct json *rules, struct push_modes *out);
unsigned push_mode_in(const struct push_modes *m, const char *room);
/* Is any room's mode custom, or may be? */
bool push_modes_custom(const struct push_modes *m);

#endif
