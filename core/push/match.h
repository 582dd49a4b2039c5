/*
 * core/push/match.h - what a user's push rules say of an event (Client-Server API, "Push Rules"). Pure: no database, no memory.
 *
 * The first enabled rule that matches decides, in the order override, content, room, sender, underride. One's own events
 * never notify. Whether the sender is ignored is for the caller to know.
 */
#ifndef HEARTH_PUSH_MATCH_H
#define HEARTH_PUSH_MATCH_H

#include "core/base/json.h"

/* An event and its room, as far as rules ask. */
struct push_event {
	const struct json *event;		/* as clients see it: type, sender, room_id, state_key, content */
	int64_t members;			/* of the room, joined */
	int64_t sender_power;			/* of the sender, see power_of_user() */
	const struct json *power_levels;	/* content of m.room.power_levels, or NULL */
	const struct json *display_name;	/* the owner of the rules in this room (a string), or NULL */
};

struct push_result {
	bool notify, highlight;		/* highlight: only with notify */
	const char *sound;		/* raw, of the tree of rules; NULL: none */
	const struct json *rule;	/* the one that matched, or NULL */
};

/* rules: {"global":{...}} in force (push_rules_merge()); user: their owner, an esc id. */
struct push_result push_match(const struct json *rules, const char *user, const struct push_event *ev);

/* What a rule does when it matches. */
struct push_result push_actions(const struct json *rule);

/* Does one condition hold? */
bool push_condition(const struct json *condition, const struct push_event *ev);

#endif
