/*
 * core/push/feed.h - what happened that somebody's gateway must be told: from the streams into table push.
 *
 * The jobs workers follow the streams by an exact position (core/sync/token.h) that is kept in table push_feed, so it
 * does not matter who sent an event, or whether he lived to tell of it: one look takes what is new since the last,
 * finds the users with a pusher among the members of those rooms, asks their rules (core/push/counts.h), and writes rows of table
 * push together with the new position, in one transaction. Killed in the middle it was never there; two at
 * once cannot be: whoever finds the row of push_feed locked leaves it to the other. A send does nothing for all this, and an
 * event in a room without pushers costs its share of a look: one row read.
 *
 * An invitation from another server to a room that this one is not in has no event here. It is told of when its row of
 * local_member (oob_pdu) appears, whoever writes that; in table push its event is 0.
 *
 * From the same look: whose number of unread messages may have fallen (receipts, own events), so that a badge
 * can be told anew.
 *
 * An old position (nobody looked for hours), or a burst in large rooms, is caught up with in pieces, each with its own COMMIT.
 */
#ifndef HEARTH_PUSH_FEED_H
#define HEARTH_PUSH_FEED_H

#include "core/ctx.h"

#define FEED_EVENTS 200		/* of one look */
#define FEED_VERDICTS 20000	/* of one look: users asked about an event; more only for the first event */
#define FEED_BADGE_MS 1500	/* who reads, reads on: his badge is told when this much has passed */

struct feed_look {
	bool more;	/* look again at once: that was not all */
	bool queued;	/* there is something to deliver */
};
/* One look, with a transaction of its own. E_RETRY, E_UNAVAILABLE: look again later, nothing is lost. */
enum err push_feed_look(struct ctx *cx, struct feed_look *out);

#endif
