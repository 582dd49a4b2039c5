/* core/room/render.c - see render.h. */
#include "core/room/render.h"

#include "core/base/numbers.h"
#include "core/room/names.h"

STMT(render_txn_ids, "SELECT event, txn_id FROM txn WHERE device = $1 AND event = ANY($2)");

_Static_assert(NAME_WELL_KNOWN > 28, "ROOM_EVENT_COLS leaves out the names 0 to 28");
_Static_assert(T_REDACTION == 18, "ROOM_EVENT_COLS_BARE leaves out other PDUs");

/* A name that ROOM_EVENT_COLS may have left out. */
static const char *
name_of(const struct rows *r, int col, int64_t nid, int64_t sender)
{
	if (!db_null(r, col) || nid < 0)
		return db_text(r, col);
	return nid == sender ? db_text(r, 14) : name_well_known(nid);
}

void
room_event_read(const struct rows *r, struct room_event *ev)
{
	size_t n;

	*ev = (struct room_event){
		.nid = db_i64(r, 0), .room = db_i64(r, 1), .pos = db_i64(r, 2), .room_pos = db_i64(r, 3), .ts = db_i64(r, 4),
		.ver = db_null(r, 5) ? -1 : db_i64(r, 5), .at_ver = db_null(r, 6) ? -1 : db_i64(r, 6),
		.line = (int)db_i64(r, 7), .flags = (int)db_i64(r, 8), .type_nid = db_i64(r, 9), .sender_nid = db_i64(r, 10),
		.key_nid = db_null(r, 11) ? -1 : db_i64(r, 11), .id = db_text(r, 12), .sender = db_text(r, 14),
		.content = db_text(r, 16), .pdu = db_text(r, 17),
		.prev = db_null(r, 18) ? NULL : db_texts(r, 18, &n), .because = db_null(r, 19) ? NULL : db_texts(r, 19, &n),
		.related = db_bool(r, 20), .erased = db_bool(r, 22), .cites = db_text(r, 23),
	};
	if (!db_null(r, 21))
		ev->path = db_i64s(r, 21, &ev->npath);
	ev->type = name_of(r, 13, ev->type_nid, -1);
	ev->state_key = name_of(r, 15, ev->key_nid, ev->sender_nid);
}

void
room_event_name(struct room_event *ev, const char *sender)
{
	ev->sender = sender;
	if (ev->key_nid >= 0 && ev->state_key == NULL)
		ev->state_key = sender;
}

/* Most events have the sender of the one before them. */
enum err
room_event_name_all(struct ctx *cx, struct room_event *const *ev, size_t n)
{
	int64_t *nids = arena_alloc(cx->a, (n + 1) * sizeof *nids);
	const char **texts;
	size_t m = 0, at = 0;
	enum err e;

	for (size_t i = 0; i < n; i++)
		if (!ev[i]->sender && (m == 0 || nids[m - 1] != ev[i]->sender_nid))
			nids[m++] = ev[i]->sender_nid;
	if (m == 0)
		return M_OK;
	texts = arena_calloc(cx->a, m, sizeof *texts);
	if ((e = name_texts(cx, nids, m, texts)) != M_OK)
		return e;
	for (size_t i = 0; i < n; i++) {
		if (ev[i]->sender)
			continue;
		at += nids[at] != ev[i]->sender_nid;
		room_event_name(ev[i], texts[at]);
	}
	return M_OK;
}

static struct json *
parsed(struct arena *a, const char *text)
{
	struct json *v = NULL;

	json_parse(a, text, strlen(text), &v);
	return v;
}

static const char *
content_of(struct arena *a, const char *content, int flags)
{
	const struct json *c;

	if (!(flags & EV_VERBATIM))
		return content;
	c = json_get(parsed(a, content), "content");
	return c != NULL ? json_canonical_str(a, c, NULL) : "{}";
}

const char *
room_event_content(struct arena *a, const struct room_event *ev)
{
	return content_of(a, ev->content, ev->flags);
}

/* An event has a dozen of these, so keys are literals and go in as one piece. */
static void
put_member(struct buf *b, const char *lead, size_t n)
{
	size_t skip = b->s[b->n - 1] == '{';	/* no comma before the first */

	buf_add(b, lead + skip, n - skip);
}
#define put_key(b, key)		put_member(b, ",\"" key "\":", sizeof(",\"" key "\":") - 1)
#define put_int(b, key, v)	(put_key(b, key), buf_i64(b, v))
#define put_text(b, key, json)	(put_key(b, key), buf_puts(b, json))
#define put_esc(b, key, esc)										\
	(put_member(b, ",\"" key "\":\"", sizeof(",\"" key "\":\"") - 1), buf_puts(b, esc), buf_putc(b, '"'))

/*
 * A redaction names its event at the top level below room version 11 and in
 * content from there on; clients are served both in all versions (Room version
 * 11, "Moving the redacts property").
 */
static void
put_redaction(struct buf *b, const char *content, int flags, const char *pdu)
{
	const struct json *whole = parsed(b->a, flags & EV_VERBATIM ? content : pdu);
	const char *text = content_of(b->a, content, flags);
	const char *top = json_get_esc(b->a, whole, "redacts");
	const char *in = json_get_esc(b->a, parsed(b->a, text), "redacts");

	put_key(b, "content");
	if (in == NULL && top != NULL) {
		buf_putc(b, '{');
		put_esc(b, "redacts", top);
		if (text[1] != '}')
			buf_putc(b, ',');
		buf_puts(b, text + 1);
	} else {
		buf_puts(b, text);
	}
	if (top != NULL || in != NULL)
		put_esc(b, "redacts", top != NULL ? top : in);
}

void
room_event_base(struct buf *b, const struct room_event *ev, const char *room_id)
{
	buf_putc(b, '{');
	if (ev->type_nid == T_REDACTION)
		put_redaction(b, ev->content, ev->flags, ev->pdu);
	else
		put_text(b, "content", room_event_content(b->a, ev));
	put_esc(b, "event_id", ev->id);
	put_int(b, "origin_server_ts", ev->ts);
	if (room_id != NULL)
		put_esc(b, "room_id", room_id);
	put_esc(b, "sender", ev->sender);
	if (ev->state_key != NULL)
		put_esc(b, "state_key", ev->state_key);
	put_esc(b, "type", ev->type);
}

/* Clocks of other servers may say anything, room versions 1 to 5 any 64 bits: what clients are told stays a number of canonical JSON. */
#define AGE_MAX (((int64_t)1 << 53) - 1)

static void
put_age(struct buf *b, int64_t now, int64_t ts)
{
	int64_t age;

	if (__builtin_sub_overflow(now, ts, &age))
		age = ts < 0 ? AGE_MAX : -AGE_MAX;
	put_int(b, "age", age > AGE_MAX ? AGE_MAX : age < -AGE_MAX ? -AGE_MAX : age);
}

static void
put_because(struct buf *b, const struct room_event *ev, const char *room_id, int64_t now)
{
	const char *const *r = ev->because;
	int64_t ts = strtoll(r[5], NULL, 10);

	put_key(b, "redacted_because");
	buf_putc(b, '{');
	put_redaction(b, r[1], (int)strtol(r[3], NULL, 10), r[4]);
	put_esc(b, "event_id", r[0]);
	put_int(b, "origin_server_ts", ts);
	if (room_id != NULL)
		put_esc(b, "room_id", room_id);
	put_esc(b, "sender", r[2]);
	put_esc(b, "type", "m.room.redaction");
	put_key(b, "unsigned");
	buf_putc(b, '{');
	put_age(b, now, ts);
	buf_puts(b, "}}");
}

void
room_event_unsigned(struct buf *b, const struct room_event *ev, const char *room_id, int64_t now,
    enum membership membership, const char *txn_id)
{
	buf_puts(b, ",\"unsigned\":{");
	put_age(b, now, ev->ts);
	if (ev->relations != NULL)
		put_text(b, "m.relations", ev->relations);
	if (membership != MEM_NONE)
		put_esc(b, "membership", membership_name(membership));
	if (ev->prev != NULL)
		put_text(b, "prev_content", content_of(b->a, ev->prev[1], (int)strtol(ev->prev[2], NULL, 10)));
	if (ev->because != NULL)
		put_because(b, ev, room_id, now);
	if (ev->prev != NULL)
		put_esc(b, "replaces_state", ev->prev[0]);
	if (txn_id != NULL)
		put_esc(b, "transaction_id", txn_id);
	buf_puts(b, "}}");
}

void
room_event_write(struct json_out *o, const char *key, const struct room_event *ev, const char *room_id, int64_t now,
    enum membership membership, const char *txn_id)
{
	struct buf b;

	buf_init(&b, o->b.a);
	buf_reserve(&b, strlen(ev->content) + 512);
	room_event_base(&b, ev, room_id);
	room_event_unsigned(&b, ev, room_id, now, membership, txn_id);
	json_rawn(o, key, b.s, b.n);
}

void
room_event_stripped(struct json_out *o, const char *type, const char *sender, const char *state_key,
    const char *content)
{
	json_obj(o, NULL);
	json_raw(o, "content", content);
	json_esc(o, "sender", sender);
	json_esc(o, "state_key", state_key);
	json_esc(o, "type", type);
	json_end(o);
}

enum err
room_event_txn_ids(struct ctx *cx, int64_t user, int64_t device, const struct room_event *ev, size_t n,
    const char **txn_ids)
{
	int64_t *own = arena_alloc(cx->a, (n + 1) * sizeof *own);
	size_t nown = 0;
	struct rows r;
	enum err e;

	for (size_t i = 0; i < n; i++) {
		txn_ids[i] = NULL;
		if (ev[i].sender_nid == user)
			own[nown++] = ev[i].nid;
	}
	if (nown == 0)
		return M_OK;
	if ((e = db_query(cx, &r, &render_txn_ids, P_I64(device), P_I64S(own, nown))) != M_OK)
		return e;
	while (db_next(&r))
		for (size_t i = 0; i < n; i++)
			if (ev[i].nid == db_i64(&r, 0))
				txn_ids[i] = db_text(&r, 1);
	return M_OK;
}

const char *
room_token(struct arena *a, int64_t room_pos)
{
	return arena_printf(a, "t%lld", (long long)room_pos);
}

bool
room_token_read(const char *s, int64_t *room_pos)
{
	return s[0] == 't' && numbers_read(s + 1, '_', room_pos, 1) == 1;
}
