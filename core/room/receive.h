/*
 * core/room/receive.h - the way by which events that were not made here get into a room.
 *
 *	incoming_read(cx, rv, pdu, &keys, &in[i]) …	(no transaction yet)
 *	db_begin(cx, TX_RW);
 *	receive_open(&rc, cx, room_id, in, n);		(names, lock, forward extremities)
 *	receive_event(&rc, &in[0], NULL, &out);		(what it cites must be here: oldest first)
 *	receive_close(&rc);				(the room's row, wake-ups)
 *	db_commit(cx);
 *
 * Server-Server API, "Checks performed on receipt of a PDU", 4 to 6, in this order: by its auth_events (else rejected), by the
 * state before it (else rejected), by the room's present state (else soft-failed). All three are stored; a rejected or
 * soft-failed event has no room_pos, is shown to nobody and cited by no event of ours, but what cites it is processed like
 * any other: the state after a rejected event is that before it; a soft-failed one takes part in resolution once it is cited.
 *
 * Everything that an event names in auth_events must be stored (receive_outliers()), so nids ascend along auth
 * chains, which state resolution relies on. What it names in prev_events must be stored with its state; else the caller
 * fetches it first (get_missing_events), or brings the state before the event, and a hole stays below it (hole.h).
 *
 * STATE. The state before an event is that after its prev_events: of one, its point (line.h); of several, their resolution.
 * It is line 0's newest version when they are all forward extremities. After each event line 0 becomes the resolution of
 * the states after all forward extremities, as one version, in which each changed key is one row with a position
 * of its own: sync tells of it also where no event in the timeline does.
 */
#ifndef HEARTH_RECEIVE_H
#define HEARTH_RECEIVE_H

#include "core/room/incoming.h"
#include "core/room/stored.h"

struct receive {
	struct ctx *cx;
	struct append ap;		/* the room as it stands, and the writing that it shares with events made here */
	struct stored_map events;	/* what was read or made since the room was locked */
	struct stored **ext;		/* the forward extremities */
	size_t next, ext_cap;
	bool changed;			/* the room's row is to be written */
	bool replaced;			/* line 0 was replaced as a whole */
	bool merging;			/* merge_ends() is at work */
	int64_t cut_ver;		/* room.cut_ver; -1: none. See merge.h */
	struct point *stands;		/* the states that line 0 is the resolution of: see receive_stand() */
	size_t nstands;
	struct stored *create;		/* the create event; NULL: not known yet */
};

enum receipt {
	RECEIVED,	/* accepted: in the timeline */
	RECEIVED_KNOWN,	/* it was here already */
	RECEIVED_SOFT_FAILED,
	RECEIVED_REJECTED,
	RECEIVED_NOT,	/* nothing is stored: something that it cites is missing (see missing), or why says what is wrong */
};
struct received {
	enum receipt is;
	const char *why;		/* for the log of the sender: the rule; or NULL */
	struct stored *event;		/* NULL: RECEIVED_NOT */
	const char **missing_auth, **missing_prev;	/* ids that are not stored, or stored without the state before them */
	size_t nmissing_auth, nmissing_prev;
};

/*
 * The state before an event as another server told it; its events are stored, rejected ones count for nothing. What is none (line.h,
 * point_given()) is RECEIVED_NOT.
 */
struct given_state {
	const int64_t *events;
	size_t n;
};

/*
 * Locks the room. n events that will be handed in, outliers too, for their names: these are made before the lock is taken, all in one
 * statement and in one order, so that no two transactions that bring new names wait for each other.
 * M_NOT_FOUND: no such room here. M_FORBIDDEN: blocked.
 */
enum err receive_open(struct receive *rc, struct ctx *cx, const char *room_id, const struct incoming *in, size_t n);
/* For a room whose row was just made in this transaction, or is locked already: names are the caller's matter. */
enum err receive_begin(struct receive *rc, struct ctx *cx, const char *room_id);

/*
 * M_TOO_LARGE: with this event the room's branches are too far apart for resolution (resolve.h): it is to be dropped, the transaction rolled back.
 *
 * One event. given NULL: the state before it follows from its prev_events. Otherwise, if it cites something that is missing,
 * it comes in over a hole, with that state before it. An outlier that is handed in becomes real.
 */
enum err receive_event(struct receive *rc, const struct incoming *in, const struct given_state *given, struct received *out);

/*
 * Stores events that are only cited (auth chains, state at a join) as outliers, in any order: each is judged by its auth_events
 * alone. nids[i] (may be NULL) is event i's; 0 where it cannot be judged because something in its chain is missing, or is of another room.
 */
enum err receive_outliers(struct receive *rc, const struct incoming *in, size_t n, int64_t *nids);

/* Writes the room's row where something changed. Once, also when nothing was received. Far too many forward extremities are merged (merge.h). */
enum err receive_close(struct receive *rc);

/* ---- shared with import.c, hole.c and merge.c */

/* Where an event will stand. */
struct place {
	int64_t room_pos;	/* INT64_MIN: nowhere */
	int64_t pos;		/* 0: of this transaction */
	int64_t at_ver;		/* -1: none */
};
/* The first two checks. *flags: EV_REJECTED or 0. before.ver -1: only the first. auth: beside ev->auth_ids. */
enum err receive_judge(struct receive *rc, const struct incoming *in, struct stored *const *auth, struct point before, int *flags,
    const char **why, struct stored **replaces);
/* Stores an event, or makes an outlier real (known), and puts it into rc->events. Its fork is made if fork is set and it is state. */
enum err receive_store(struct receive *rc, const struct incoming *in, struct stored *known, int flags, struct place at, struct point before,
    const struct stored *replaces, bool fork, struct stored **out);
/* The state after it, making the fork of a soft-failed event that never had one. */
enum err receive_after(struct receive *rc, struct stored *s, struct point *out);
/* The state after all of these: a point that exists, or a new one. */
enum err receive_meet(struct receive *rc, struct stored *const *prev, size_t n, struct point *out);
/* Begins the next version of line 0, with counters and members. */
enum err receive_change(struct receive *rc, const struct change *v, size_t n);
/* Notes what line 0 is the resolution of, before the forward extremities change; makes it that of the new ones. */
enum err receive_stand(struct receive *rc);
enum err receive_resolve(struct receive *rc);
/* The state that another server told of, as a point: a fork of `base`. */
enum err receive_given(struct receive *rc, struct point base, const struct given_state *given, struct point *out);
/* What follows from an event that was stored: forward extremities, line 0. linear: its before is line 0 as it is, and it cites all ends. */
enum err receive_move_on(struct receive *rc, struct stored *s, struct stored *const *prev, size_t nprev, bool linear);
/* Loads what an event names, and itself, into rc->events. */
enum err receive_load_cited(struct receive *rc, const struct incoming *in, size_t n);
/* Takes events, and those that led to them if these do not count, off the forward extremities. True: there was one. */
enum err receive_cited(struct receive *rc, struct stored *const *prev, size_t n, bool *any);
void receive_add_extremity(struct receive *rc, struct stored *s);

#endif
