/*
 * core/room/relation.h - how events relate to each other (Client-Server API, "Forming
 * relationships between events").
 *
 * An event that is no state and whose content holds a well-formed m.relates_to has a row in table
 * event_relation, written with the event and gone with its redaction. So all that is told of an
 * event's relations is counted there, never by looking for events.
 */
#ifndef HEARTH_RELATION_H
#define HEARTH_RELATION_H

#include "core/room/append.h"
#include "core/room/ignored.h"
#include "core/room/visibility.h"

struct relation {
	const char *rel_type, *target;	/* esc */
	const char *key;		/* of an annotation; else NULL */
	int64_t target_nid;		/* -1: no such event in this room */
	int64_t target_thread;		/* the thread that the target is in; -1 */
	struct push_sums thread_sums;	/* of the thread that an event with this relation is in */
	bool target_relates, duplicate;	/* the target relates to something itself; the sender has annotated it so already */
	struct rows r;
};

/* ---- for append.c: what a draft says is looked up with the room's state, and written with the event */
void relation_want(struct append *ap, const struct draft *d);	/* sets ap->rel, or leaves it NULL */
void relation_queue(struct append *ap, const char *room_id);
void relation_take(struct append *ap);
/* The root of the thread that an event with this relation is in; -1. Threads: "Receipts" and "Threading" say the same. */
int64_t relation_thread(const struct append *ap);
void relation_write(struct append *ap);
/* An event was redacted: what it said about others is no more. */
void relation_forget(struct ctx *cx, int64_t event);

/* After append_open(): M_DUPLICATE_ANNOTATION; E_BAD_REQUEST for a thread on an event that relates to another one. */
enum err relation_check(struct append *ap);

/*
 * Bundled aggregations: sets ev->relations, the JSON of unsigned["m.relations"], of those events that have
 * any (ev->related). Nothing is asked when none has, else one round trip for all, and a second one when
 * a thread's latest event has relations in its turn. What is bundled is for the reader as if it stood alone (visibility.h, erased.h: another
 * one where something was said before he came).
 */
struct relation_ask {
	struct room_event *ev;
	int64_t top;			/* the last room_pos of its room that the reader may see; INT64_MAX: all */
	const struct visibility *vis;	/* NULL: he sees all */
	const char *room_id;		/* written into the bundled events; NULL: left out, as in /sync */
	const struct room_version *rv;	/* NULL with vis only */
};
enum err relation_bundle(struct ctx *cx, int64_t reader, const struct ignored *ignored, const struct relation_ask *v, size_t n);

#endif
