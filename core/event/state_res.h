/*
 * core/event/state_res.h - state resolution: the one state of a room whose history has branches. Pure: no database.
 *
 * Where two branches meet, each brings its state, a map (type, state_key) ->
 * event. What they agree on stays; about the rest the algorithm of the room's
 * version decides (struct room_version, state_res): Room v1 §State resolution;
 * Room v2 §State resolution, for v2 to v11; Room v12 §State resolution (MSC4297).
 * All servers must come to the same result, so it depends on nothing but the
 * events: not on the order of the states, nor of the items in one.
 *
 * The states name events by id; the events themselves are asked for when the
 * algorithm needs them: those in conflict with their auth chains, and of the
 * agreed state what the rules look at. An unknown event takes no part: it
 * cannot become state where there is a conflict, and auth chains end at it.
 *
 * Rejected events. The caller must keep out of the states what was rejected
 * because of its auth_events (Server-Server API, "Checks performed on receipt of a
 * PDU", 4). What was refused by the state before it alone (5) takes part like any
 * other, may become state and then authorizes others (Room v2 §Rejected events).
 * Signatures were checked when an event came in; they are not looked at again.
 */
#ifndef HEARTH_STATE_RES_H
#define HEARTH_STATE_RES_H

#include "core/event/event.h"

/*
 * order: a number greater than those of all events in the event's auth chain,
 * such as the one under which it was stored (auth events are stored first);
 * 0: not known. It has no influence on the result. It spares the walk through
 * the auth chains of the agreed state: of a member list of 100,000 only what
 * came after the fork has to be loaded.
 */
struct state_item {
	const char *type, *key;	/* esc */
	const char *id;		/* the event's */
	int64_t order;
};

/* A state: no (type, key) twice, in any order. */
struct state_set {
	const struct state_item *v;
	size_t n;
};

/*
 * What is asked of an event: rv, id, room, type, sender, state_key, ts,
 * auth_ids, prev_ids, depth (v1) and rejected; and, of those that are filled, content (and json of an m.room.redaction).
 */
struct state_event {
	const struct event *ev;	/* NULL: not known */
	int64_t order;
};

/*
 * load() fills out[i] with the event of ids[i]. What it gives must stay as it is
 * until state_resolve() returns. It is called once for each generation of an auth chain,
 * and never twice for one id: with a database behind it, it had better fetch more than it is asked.
 *
 * Auth chains can be as long as the room, and others decide how much each event says: of most of them only who names whom
 * matters. So what load() gives may lack its content. fill() adds it, in place, for those that will be judged or judged by: of
 * types that the authorization rules look into, each once. NULL: load() gives all.
 */
struct state_source {
	void (*load)(void *arg, const char *const *ids, size_t n, struct state_event *out);
	void (*fill)(void *arg, const char *const *ids, size_t n);
	void *arg;
};

/*
 * The resolution of the states sets[0 … nsets - 1] into *out (arena memory;
 * strings are shared with the input and the events). M_NOT_FOUND: the create
 * event of a v12 room, which its id names, is not known; else M_OK.
 */
enum err state_resolve(struct ctx *cx, const struct room_version *rv, const char *room, const struct state_set *sets,
    size_t nsets, const struct state_source *src, struct state_set *out);

#endif
