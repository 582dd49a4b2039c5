/*
 * core/room/render.h - events as clients see them, from the columns of table event.
 *
 *	STMT(x, "SELECT " ROOM_EVENT_COLS " FROM event e WHERE e.room = $1 AND …");
 *	while (db_next(&r)) {
 *		room_event_read(&r, &ev);
 *		room_event_write(&o, NULL, &ev, room_id, cx->now, membership, txn_id);
 *	}
 * A statement's own columns come after these: the first has index ROOM_EVENT_NCOLS.
 * The table event must have the name e. What belongs to other tables is read by
 * sub-selects, so one plan (index look-ups per row) is the only possible one.
 *
 * content and pdu are canonical JSON and are copied, not parsed; only
 * redactions and the odd events stored verbatim (flag 8) are looked into.
 * Client-Server API, "Room event format"; everything that differs per reader is in
 * `unsigned`, which is written last: many readers share one room_event_base().
 *
 * TIMELINE TOKENS. "t<p>" stands in a room's order right after room_pos p: going
 * backwards from it, p itself comes first; going forwards, p + 1. A prev_batch
 * before a timeline that starts at p is t<p - 1>.
 */
#ifndef HEARTH_RENDER_H
#define HEARTH_RENDER_H

#include "core/base/json.h"
#include "core/ctx.h"
#include "core/db/db.h"
#include "core/event/event.h"

/* Bits of event.flags. */
enum {
	EV_REJECTED = 1, EV_SOFT_FAILED = 2, EV_OUTLIER = 4, EV_VERBATIM = 8 /* content holds the whole PDU */, EV_REDACTED = 16,
};

/* Names that the code has, or that the row has already, are not looked up: for most events that leaves one of three. */
#define ROOM_EVENT_NCOLS 24
/* By a user who wished to be forgotten (erased.h). No EXISTS: the planner may turn it into a table of all of them. */
#define EVENT_ERASED(usr) "coalesce((SELECT true FROM account WHERE account.usr = " usr " AND erased LIMIT 1), false)"
#define ROOM_EVENT_COLS										\
	ROOM_EVENT_COLS_WITH("", "(SELECT body FROM name WHERE nid = e.sender)", "e.content", "e.pdu", "CASE WHEN e.state_key IS NULL THEN"	\
	" (SELECT true FROM event_relation x WHERE x.target = e.nid AND x.rel_type IN (26, 27, 28) LIMIT 1) END", EVENT_ERASED("e.sender"), "e.cites")
/*
 * For those who read thousands: a look-up per event is most of what such a statement costs. They find out by themselves, for all
 * at once, who the senders are (sender is NULL, and the state_key of one's own member event: room_event_name()) and what is
 * related to (related is false), and who wished to be forgotten (erased is false: erased_mark()). pdu comes only with redactions, of
 * which it is a part, or where `whole` says; cites there alone. content is NULL where the condition `has_content` does not hold.
 */
#define ROOM_EVENT_COLS_BARE(whole, has_content)								\
	ROOM_EVENT_COLS_WITH("", "NULL::text", "CASE WHEN " has_content " THEN e.content END",				\
	    "CASE WHEN e.type = 18 OR " whole " THEN e.pdu END", "NULL::boolean", "NULL::boolean", "CASE WHEN " whole " THEN e.cites END")
/* For those who only choose among events: what is long is left out, or in the case of content, given where `has_content` holds. */
#define ROOM_EVENT_COLS_THIN(has_content)									\
	ROOM_EVENT_COLS_WITH(" AND false", "NULL::text", "CASE WHEN " has_content " THEN e.content END", "NULL::text",	\
	    "NULL::boolean", "NULL::boolean", "NULL::bytea")
#define ROOM_EVENT_COLS_WITH(and, sender, content, pdu, related, erased, cites)						\
	"e.nid, e.room, e.pos, e.room_pos, e.ts, e.ver, e.at_ver, e.line, e.flags, e.type, e.sender, e.state_key, e.id, "	\
	"CASE WHEN e.type > 28 THEN (SELECT body FROM name WHERE nid = e.type) END, " sender ", "	\
	"CASE WHEN e.state_key > 28 AND e.state_key <> e.sender THEN (SELECT body FROM name WHERE nid = e.state_key) END, "	\
	content ", " pdu ", "							\
	"CASE WHEN e.prev_state IS NOT NULL" and " THEN (SELECT ARRAY[p.id, p.content, p.flags::text, " EVENT_ERASED("p.sender") "::text]"	\
	" FROM event p WHERE p.nid = e.prev_state) END, "			\
	"CASE WHEN e.redacted_by IS NOT NULL" and " THEN (SELECT ARRAY[r.id, r.content, (SELECT body FROM name WHERE nid = r.sender), r.flags::text, r.pdu,"	\
	" r.ts::text, " EVENT_ERASED("r.sender") "::text] FROM event r WHERE r.nid = e.redacted_by) END, "	\
	related ", "			\
	"CASE WHEN e.line <> 0 THEN (SELECT array_agg(u.x ORDER BY p.step, u.o) FROM state_path(e.room, e.line, e.ver) p"	\
	" CROSS JOIN LATERAL unnest(ARRAY[p.line::bigint, p.ver]) WITH ORDINALITY u(x, o)) END, "	\
	erased ", " cites

struct room_event {
	int64_t nid, room, pos, room_pos, ts;
	int64_t ver, at_ver;	/* the state just before it: (line, ver), and line 0's version then; -1: unknown */
	int line, flags;
	const int64_t *path;	/* of an event on a fork: the lines by which the state before it is looked up, as pairs of line and version */
	size_t npath;		/* numbers in it; 0: on line 0 */
	int64_t type_nid, sender_nid, key_nid;	/* key_nid -1: no state event */
	const char *id, *type, *sender, *state_key;	/* esc; state_key NULL: no state event */
	const char *content, *pdu;	/* canonical JSON; see EV_VERBATIM. NULL: left out by the statement */
	const char **prev;	/* the state event it replaced: id, content, flags, erased ("true", "false"); or NULL */
	const char **because;	/* the redaction: id, content, sender, flags, pdu, ts, erased; or NULL */
	const char *cites;	/* for db_bytes_of(): few readers want it; see core/room/pdu.h */
	bool erased;		/* its sender wished to be forgotten: erased.h */
	bool related;		/* other events relate to it in a way that is bundled with it: relation_bundle() */
	bool thread_root;	/* set by relation_bundle(): there is a thread that the reader sees */
	const char *relations;	/* unsigned["m.relations"], or NULL; set by relation_bundle() */
};
void room_event_read(const struct rows *r, struct room_event *ev);
/* Of ROOM_EVENT_COLS_BARE. The second names all whose sender is not known; one round trip at most, mostly none. In TX_RO. */
void room_event_name(struct room_event *ev, const char *sender);
enum err room_event_name_all(struct ctx *cx, struct room_event *const *ev, size_t n);

/* Everything but unsigned, up to but without the closing brace. room_id NULL: left out (as /sync does). */
void room_event_base(struct buf *b, const struct room_event *ev, const char *room_id);

/*
 * Closes what room_event_base() began: ,"unsigned":{…}}. membership: the reader's own at
 * the event (MEM_NONE: left out); txn_id (esc): only for the device that sent it, else NULL.
 */
void room_event_unsigned(struct buf *b, const struct room_event *ev, const char *room_id, int64_t now,
    enum membership membership, const char *txn_id);

/* Both, as one JSON value. */
void room_event_write(struct json_out *o, const char *key, const struct room_event *ev, const char *room_id, int64_t now,
    enum membership membership, const char *txn_id);

/* {content, sender, state_key, type}: "Stripped state". */
void room_event_stripped(struct json_out *o, const char *type, const char *sender, const char *state_key,
    const char *content);

/* The content as canonical JSON, also of events stored verbatim. */
const char *room_event_content(struct arena *a, const struct room_event *ev);

/*
 * The transaction ids under which this device sent some of these events:
 * txn_ids[i] is an esc string or NULL. Asks the database only when one of them
 * was sent by user (nid).
 */
enum err room_event_txn_ids(struct ctx *cx, int64_t user, int64_t device, const struct room_event *ev, size_t n,
    const char **txn_ids);

/* Timeline tokens. */
const char *room_token(struct arena *a, int64_t room_pos);
bool room_token_read(const char *s, int64_t *room_pos);	/* false: no such token */

#endif
