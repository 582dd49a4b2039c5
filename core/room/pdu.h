/*
 * core/room/pdu.h - a PDU as table event keeps it, and back.
 *
 * Columns (type, state_key, sender, room, origin_server_ts, in v1 and v2 the
 * event id), content, and pdu: a canonical object of all other top-level keys. Of events of this server it has neither
 * hashes nor signatures, which follow from the rest (event_complete()), and what they cite is packed into cites
 * (cites_pack()): together half of a member event's row, and no send waits for a signature.
 * Put together again they are the canonical PDU byte for byte. Where they are
 * not (odd numbers of room versions 1 to 5, wrong types in columns), content
 * holds the whole PDU verbatim, pdu is {} and flag EV_VERBATIM is set.
 */
#ifndef HEARTH_PDU_H
#define HEARTH_PDU_H

#include "core/base/buf.h"
#include "core/event/event.h"

struct pdu_columns {
	const char *id, *room, *type, *sender, *state_key;	/* esc; state_key NULL: no state event */
	int64_t ts;
	const char *content, *pdu;
	int flags;	/* only EV_VERBATIM is looked at */
	const unsigned char *cites;	/* NULL: what it cites stands in pdu */
	size_t ncites;
};

/* What to store. *c points into ev. Checks the round trip, unless the event was built here (content_text is set). */
void event_columns(struct arena *a, const struct event *ev, struct pdu_columns *c);

/* Appends the canonical PDU. Works on texts, but for events of this server, which are completed. */
void event_assemble(struct ctx *cx, struct buf *b, const struct room_version *rv, const struct pdu_columns *c);

/* A tree with its struct event, as it is stored: event_complete() makes it whole. M_UNKNOWN when what is stored is no PDU. */
enum err event_load(struct ctx *cx, const struct room_version *rv, const struct pdu_columns *c, struct event *ev);

#endif
