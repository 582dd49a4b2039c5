/* core/room/append.c - see append.h. append_write.c has the writes. */
#include "core/room/append_impl.h"
#include "core/base/log.h"
#include "core/room/known.h"
#include "core/room/merge.h"
#include "core/room/pdu.h"
#include "core/room/relation.h"
#include <assert.h>

#define PREV_MAX EVENT_PREV_MAX

/* The nids are taken behind the lock: an event's is greater than those of all that it is built on (state_res.h, `order`). */
STMT(append_lock,
    "WITH r AS MATERIALIZED (SELECT nid, version, last_room_pos, state_ver, depth, joined, invited, public, blocked OR purged AS shut,"
    "	n_a, n_b, n_c, n_d, n_e FROM room"
    "	WHERE id = $1 FOR NO KEY UPDATE)"
    " SELECT r.*, ARRAY(SELECT nextval('event_nid_seq') FROM generate_series(1, $2::bigint) WHERE r.nid > 0) FROM r");
/*
 * The same for one event. The nid is taken before the lock, but whoever had to wait for the room gets all columns anew from the row as it
 * is then: a room that an event has come to has another row.
 */
STMT(append_lock_one,
    "SELECT nid, version, last_room_pos, state_ver, depth, joined, invited, public, blocked OR purged,"
    " n_a, n_b, n_c, n_d, n_e, ARRAY[nextval('event_nid_seq')], state_edits,"
    " CASE WHEN extremities = ARRAY[end_nid] THEN end_nid END, end_id FROM room WHERE id = $1 FOR NO KEY UPDATE");
STMT_WARM(append_lock_one, "web");
/* A name is given by nid where this process knows it, else by text. */
STMT(append_state_rows,
    "SELECT k.n, s.event, s.membership, e.id, e.content, e.flags, e.ts, (SELECT body FROM name WHERE nid = e.sender)"
    " FROM unnest($2::bigint[], $3::text[], $4::bigint[], $5::text[]) WITH ORDINALITY k(t, tt, s, st, n)"
    " CROSS JOIN LATERAL (SELECT event, membership FROM current_state WHERE room = (SELECT nid FROM room WHERE id = $1)"
    "	AND type = CASE WHEN k.t >= 0 THEN k.t ELSE (SELECT nid FROM name WHERE body = k.tt) END"
    "	AND key = CASE WHEN k.s >= 0 THEN k.s ELSE (SELECT nid FROM name WHERE body = k.st) END"
    "	OFFSET 0) s"
    " CROSS JOIN LATERAL (SELECT * FROM event WHERE nid = s.event OFFSET 0) e");
STMT_WARM(append_state_rows, "web");
STMT(append_prev,
    "SELECT e.nid, e.id FROM room r CROSS JOIN LATERAL unnest(r.extremities) x(nid)"
    " CROSS JOIN LATERAL (SELECT nid, id, room_pos FROM event WHERE nid = x.nid OFFSET 0) e"
    " WHERE r.id = $1 ORDER BY e.room_pos DESC NULLS LAST, e.nid DESC");
STMT(append_txn_row,
    "SELECT coalesce((SELECT id FROM event e WHERE e.nid = t.event), t.answer) FROM txn t WHERE t.device = $1 AND t.key = $2");
STMT(append_target_row, "SELECT " ROOM_EVENT_COLS ", e.room = (SELECT nid FROM room WHERE id = $2) FROM event e WHERE e.id = $1");
/* For reference hashes (room versions 1 and 2). */
STMT(append_whole,
    "SELECT e.nid, e.id, (SELECT body FROM name WHERE nid = e.type), (SELECT body FROM name WHERE nid = e.sender),"
    " (SELECT body FROM name WHERE nid = e.state_key), e.ts, e.content, e.pdu, e.flags, e.cites FROM event e WHERE e.nid = ANY($1)");
STMT(append_fresh, "SELECT nextval('room_nid_seq'), ARRAY(SELECT nextval('event_nid_seq') FROM generate_series(1, $1::bigint))");

void
append_init(struct append *ap, struct ctx *cx)
{
	*ap = (struct append){ .cx = cx, .nids = 1 };
	names_init(&ap->names, cx);
}

static struct slot *
slot_find(const struct append *ap, const char *type, const char *key)
{
	for (size_t i = 0; i < ap->nslots; i++)
		if (strcmp(ap->slots[i].key, key) == 0 && strcmp(ap->slots[i].type, type) == 0)
			return &ap->slots[i];
	return NULL;
}

static struct slot
slot_empty(const char *type, const char *key)
{
	return (struct slot){ .type = type, .key = key, .row = -1, .type_nid = name_known(type), .key_nid = name_known(key) };
}

static struct slot *
slot_add(struct append *ap, const char *type, const char *key)
{
	struct slot *s = slot_find(ap, type, key);

	if (s != NULL)
		return s;
	s = GROW(ap->cx->a, ap->slots, ap->nslots, ap->slots_cap);
	*s = slot_empty(type, key);
	return s;
}

void
append_want(struct append *ap, const char *type, const char *key)
{
	slot_add(ap, type, key);
}

void
append_want_draft(struct append *ap, const struct draft *d)
{
	const char *sender = d->sender != NULL ? d->sender : ap->cx->user;
	struct state_key keys[AUTH_KEYS_MAX];
	/* The room's version is only known under the lock; version 11 names all that any version may want. */
	size_t n = auth_event_keys(ap->cx, room_version_get("11"), d->type, sender, d->state_key, d->content, keys);

	for (size_t i = 0; i < n; i++)
		slot_add(ap, keys[i].type, keys[i].key);
	slot_add(ap, "m.room.create", "");
	relation_want(ap, d);
	names_add(&ap->names, d->type);
	names_add(&ap->names, sender);
	if (d->state_key != NULL) {
		slot_add(ap, d->type, d->state_key);
		names_add(&ap->names, d->state_key);
	}
}

/* Client-Server API, "Stripped state": what the specification recommends. */
static const char *const stripped_types[] = {
	"m.room.create", "m.room.name", "m.room.avatar", "m.room.topic", "m.room.join_rules", "m.room.canonical_alias",
	"m.room.encryption",
};

void
append_want_stripped(struct append *ap)
{
	for (size_t i = 0; i < sizeof stripped_types / sizeof *stripped_types; i++)
		slot_add(ap, stripped_types[i], "");
}

void
append_want_target(struct append *ap, const char *event_id)
{
	ap->target_id = event_id;
}

static void
txn_key(const char *path, unsigned char key[TXN_KEY_LEN])
{
	unsigned char h[SHA256_LEN];

	sha256(path, strlen(path), h);
	memcpy(key, h, TXN_KEY_LEN);
}

void
append_txn(struct append *ap, const char *path, const char *txn_id)
{
	txn_key(path, ap->txn_key);
	ap->txn_id = txn_id;
	ap->txn_look = true;
}

enum err
append_txn_made(struct ctx *cx, const char *path, const char **event_id)
{
	unsigned char key[TXN_KEY_LEN];
	struct rows r;
	enum err e;

	txn_key(path, key);
	if ((e = db_maybe(cx, &r, &append_txn_row, P_I64(cx->device), P_BYTES(key, sizeof key))) == M_OK)
		*event_id = r.n > 0 ? db_text(&r, 0) : NULL;
	return e;
}

void
append_reserve(struct append *ap, size_t events)
{
	ap->nids = events;
}

/* ---- opening */

/* All slots from the first given. */
static void
queue_state(struct append *ap, const char *room_id, size_t first)
{
	struct arena *a = ap->cx->a;
	size_t n = ap->nslots - first;
	int64_t *types = arena_alloc(a, (n + 1) * sizeof *types), *keys = arena_alloc(a, (n + 1) * sizeof *keys);
	const char **type_texts = arena_calloc(a, n + 1, sizeof *type_texts), **key_texts = arena_calloc(a, n + 1, sizeof *key_texts);

	for (size_t i = 0; i < n; i++) {
		struct slot *s = &ap->slots[first + i];
		types[i] = s->type_nid;
		keys[i] = s->key_nid;
		type_texts[i] = s->type_nid < 0 ? s->type : NULL;
		key_texts[i] = s->key_nid < 0 ? s->key : NULL;
	}
	db_queue(ap->cx, &ap->r_state, DB_ANY, &append_state_rows, P_TEXT(room_id), P_I64S(types, n), P_TEXTS(type_texts, n),
	    P_I64S(keys, n), P_TEXTS(key_texts, n));
}

static enum err
take_state(struct append *ap, size_t first)
{
	struct ctx *cx = ap->cx;
	struct rows *r = &ap->r_state;

	while (db_next(r)) {
		struct slot *s = &ap->slots[first + (size_t)db_i64(r, 0) - 1];
		struct json *tree = NULL;
		const char *content = db_text(r, 4);
		s->nid = db_i64(r, 1);
		s->membership = (enum membership)db_i64(r, 2);
		json_parse(cx->a, content, strlen(content), &tree);
		if (db_i64(r, 5) & EV_VERBATIM)
			tree = json_get(tree, "content");
		if (!json_is(tree, JSON_OBJ)) {
			log_error(cx, "event_unreadable", LS("event", db_text(r, 3)));
			return fail(cx, M_UNKNOWN, "a stored event cannot be read");
		}
		struct event *ev = arena_zalloc(cx->a, sizeof *ev);
		*ev = (struct event){ .rv = ap->room.rv, .content = tree, .id = db_text(r, 3), .room = ap->room.id, .type = s->type,
			.state_key = s->key, .sender = db_text(r, 7), .ts = db_i64(r, 6) };
		s->ev = ev;
	}
	return M_OK;
}

/* By the room's own row. False: there are others, or it does not tell. */
static bool
take_end(struct append *ap)
{
	const struct rows *r = &ap->r_lock;

	if (db_null(r, 11 + PUSH_SUMS) || db_null(r, 12 + PUSH_SUMS))
		return false;
	ap->prev = arena_calloc(ap->cx->a, PREV_MAX + 1, sizeof *ap->prev);
	ap->prev[ap->nprev++] = (struct prev){ .nid = db_i64(r, 11 + PUSH_SUMS), .id = db_text(r, 12 + PUSH_SUMS) };
	return true;
}

static void
take_prev(struct append *ap)
{
	struct rows *r = &ap->r_prev;

	ap->prev = arena_calloc(ap->cx->a, PREV_MAX + 1, sizeof *ap->prev);
	ap->left = arena_alloc(ap->cx->a, ((size_t)r->n + 1) * sizeof *ap->left);
	while (db_next(r)) {
		if (ap->nprev < PREV_MAX)
			ap->prev[ap->nprev++] = (struct prev){ .nid = db_i64(r, 0), .id = db_text(r, 1) };
		else	/* at most 20 may be cited; the next events take the rest */
			ap->left[ap->nleft++] = db_i64(r, 0);
	}
}

static enum err
take_room(struct append *ap, const char *room_id)
{
	struct ctx *cx = ap->cx;
	struct rows *r = &ap->r_lock;
	size_t n;

	if (!db_next(r))
		return fail(cx, M_FORBIDDEN, "you are not in this room");
	ap->room = (struct room){ .nid = db_i64(r, 0), .id = room_id, .rv = room_version_get(db_text(r, 1)),
		.last_room_pos = db_i64(r, 2), .state_ver = db_i64(r, 3), .depth = db_i64(r, 4), .joined = db_i64(r, 5),
		.invited = db_i64(r, 6), .public = db_bool(r, 7), .blocked = db_bool(r, 8) };
	for (int i = 0; i < PUSH_SUMS; i++)
		ap->room.sums.n[i] = db_i64(r, 9 + i);
	ap->nid = db_i64s(r, 9 + PUSH_SUMS, &n);
	if (ap->room.blocked && !ap->leaving)
		return fail(cx, M_FORBIDDEN, "this room is blocked on this server");
	if (ap->room.rv == NULL) {
		log_error(cx, "room_version_unknown", LI("room", ap->room.nid));
		return fail(cx, M_UNKNOWN, "the room's version is unknown");
	}
	return M_OK;
}

/* Room versions 1 and 2 name events by id and reference hash, which is made from the whole PDU. */
static enum err
load_hashes(struct append *ap)
{
	struct ctx *cx = ap->cx;
	int64_t *nids = arena_alloc(cx->a, (ap->nslots + ap->nprev + 1) * sizeof *nids);
	size_t n = 0;
	struct rows r;
	enum err e;

	for (size_t i = 0; i < ap->nslots; i++)
		if (ap->slots[i].ev != NULL)
			nids[n++] = ap->slots[i].nid;
	for (size_t i = 0; i < ap->nprev; i++)
		nids[n++] = ap->prev[i].nid;
	if ((e = db_query(cx, &r, &append_whole, P_I64S(nids, n))) != M_OK)
		return e;
	ap->hashes = arena_calloc(cx->a, (size_t)r.n + 1, sizeof *ap->hashes);
	while (db_next(&r)) {
		struct pdu_columns c = { db_text(&r, 1), ap->room.id, db_text(&r, 2), db_text(&r, 3), db_text(&r, 4), db_i64(&r, 5),
			db_text(&r, 6), db_text(&r, 7), (int)db_i64(&r, 8), NULL, 0 };
		struct event ev;
		c.cites = db_bytes(&r, 9, &c.ncites);
		if ((e = event_load(cx, ap->room.rv, &c, &ev)) != M_OK)
			return e;
		event_add_hashes(cx->a, &ev);
		ap->hashes[ap->nhashes++] = (struct ref_hash){ c.id, event_reference_b64(cx->a, ap->room.rv, ev.json) };
	}
	return M_OK;
}

static void
take_target(struct append *ap)
{
	if (!db_next(&ap->r_target))
		return;
	ap->target_elsewhere = !db_bool(&ap->r_target, ROOM_EVENT_NCOLS);
	if (ap->target_elsewhere)
		return;
	ap->target = arena_alloc(ap->cx->a, sizeof *ap->target);
	room_event_read(&ap->r_target, ap->target);
}

/* Names that the caller's state keys and drafts need, now that they have nids. */
static void
take_names(struct append *ap)
{
	names_take(&ap->names);
	for (size_t i = 0; i < ap->nslots; i++) {
		struct slot *s = &ap->slots[i];
		if (s->type_nid < 0)
			s->type_nid = names_nid(&ap->names, s->type);
		if (s->key_nid < 0)
			s->key_nid = names_nid(&ap->names, s->key);
	}
}

static enum err
check_names(struct append *ap)
{
	for (size_t i = 0; i < ap->names.n; i++)
		if (!name_fits(ap->names.body[i]))
			return fail(ap->cx, M_TOO_LARGE, "event types, state keys and ids have at most 255 bytes");
	return M_OK;
}

/* What of a message's room was neither remembered nor told by the lock: a second round trip, seldom. *known: NULL when it is out of date. */
static enum err
read_rest(struct append *ap, const char *room_id, const struct known **known)
{
	ap->room.state_edits = db_i64(&ap->r_lock, 10 + PUSH_SUMS);
	if (*known != NULL && !known_recall(*known, ap->cx, &ap->room, ap->slots, ap->nslots)) {
		*known = NULL;
		queue_state(ap, room_id, 0);
	}
	if (!take_end(ap))
		db_queue(ap->cx, &ap->r_prev, DB_ANY, &append_prev, P_TEXT(room_id));
	return db_run(ap->cx);
}

enum err
append_open(struct append *ap, const char *room_id)
{
	bool message = ap->message && !ap->merged;
	const struct known *known = message ? known_find(ap->cx->known, room_id, ap->slots, ap->nslots) : NULL;
	struct ctx *cx = ap->cx;
	enum err e;

	if ((e = check_names(ap)) != M_OK)
		return e;
	names_queue(&ap->names);
	if (message)
		db_queue(cx, &ap->r_lock, DB_ANY, &append_lock_one, P_TEXT(room_id));
	else
		db_queue(cx, &ap->r_lock, DB_ANY, &append_lock, P_TEXT(room_id), P_I64((int64_t)ap->nids));
	if (known == NULL)
		queue_state(ap, room_id, 0);
	if (!message)
		db_queue(cx, &ap->r_prev, DB_ANY, &append_prev, P_TEXT(room_id));
	if (ap->txn_id != NULL && ap->txn_look)
		db_queue(cx, &ap->r_txn, DB_ANY, &append_txn_row, P_I64(cx->device), P_BYTES(ap->txn_key, sizeof ap->txn_key));
	if (ap->rel != NULL)
		relation_queue(ap, room_id);
	if (ap->target_id != NULL)
		db_queue(cx, &ap->r_target, DB_ANY, &append_target_row, P_TEXT(ap->target_id), P_TEXT(room_id));
	if ((e = db_run(cx)) != M_OK || (e = take_room(ap, room_id)) != M_OK || (message && (e = read_rest(ap, room_id, &known)) != M_OK))
		return e;
	take_names(ap);
	if (ap->r_prev.n > PREV_MAX && !ap->merged) {	/* more ends than one event may cite: what was read is of before */
		ap->merged = true;
		for (size_t i = 0; i < ap->nslots; i++)		/* so is what was remembered */
			ap->slots[i] = slot_empty(ap->slots[i].type, ap->slots[i].key);
		return (e = merge_ends(cx, room_id)) == M_OK ? append_open(ap, room_id) : e;
	}
	if (known == NULL && (e = take_state(ap, 0)) != M_OK)
		return e;
	if (message && known == NULL)
		known_learn(cx, &ap->room, ap->slots, ap->nslots);
	if (ap->prev == NULL)
		take_prev(ap);
	if (ap->rel != NULL)
		relation_take(ap);
	if (ap->txn_id != NULL && ap->txn_look && db_next(&ap->r_txn))
		ap->txn_event = db_text(&ap->r_txn, 0);
	if (ap->target_id != NULL)
		take_target(ap);
	return ap->room.rv->event_id_format == 1 ? load_hashes(ap) : M_OK;
}

enum err
append_open_fresh(struct append *ap, const struct room_version *rv, const char *room_id)
{
	struct ctx *cx = ap->cx;
	size_t n;
	enum err e;

	if ((e = check_names(ap)) != M_OK)
		return e;
	names_queue(&ap->names);
	if ((e = db_row(cx, &ap->r_lock, &append_fresh, P_I64((int64_t)ap->nids))) != M_OK)
		return e;
	ap->fresh = true;
	ap->room = (struct room){ .nid = db_i64(&ap->r_lock, 0), .id = room_id, .rv = rv };
	ap->nid = db_i64s(&ap->r_lock, 1, &n);
	take_names(ap);
	ap->prev = arena_calloc(cx->a, PREV_MAX + 1, sizeof *ap->prev);
	return M_OK;
}

/* ---- looking */

const struct slot *
append_state(const struct append *ap, const char *type, const char *key)
{
	const struct slot *s = slot_find(ap, type, key);

	return s != NULL && s->ev != NULL ? s : NULL;
}

enum err
append_fetch(struct append *ap, const char *type, const char *key)
{
	size_t first = ap->nslots;
	enum err e;

	slot_add(ap, type, key);
	if (ap->nslots == first)
		return M_OK;
	queue_state(ap, ap->room.id, first);
	if ((e = db_run(ap->cx)) != M_OK)
		return e;
	return take_state(ap, first);
}

enum membership
append_membership(const struct append *ap, const char *user)
{
	const struct slot *s = append_state(ap, "m.room.member", user);

	return s != NULL ? s->membership : MEM_NONE;
}

static const struct event *
auth_get(void *arg, const char *type, const char *key)
{
	const struct slot *s = append_state(arg, type, key);

	return s != NULL ? s->ev : NULL;
}

struct auth_state
append_auth_state(struct append *ap)
{
	const struct slot *create = append_state(ap, "m.room.create", "");

	return (struct auth_state){ .get = auth_get, .arg = ap, .create = create != NULL ? create->ev : NULL };
}

/* ---- events */

static const char *
hash_of_event(const struct append *ap, const char *id)
{
	for (size_t i = 0; i < ap->nhashes; i++)
		if (strcmp(ap->hashes[i].id, id) == 0)
			return ap->hashes[i].hash;
	return NULL;
}

static void
cite(struct append *ap, struct event_draft *d, const struct draft *from)
{
	struct arena *a = ap->cx->a;
	struct state_key keys[AUTH_KEYS_MAX];
	size_t n = auth_event_keys(ap->cx, d->rv, d->type, d->sender, d->state_key, from->content, keys);

	d->auth_ids = arena_calloc(a, AUTH_KEYS_MAX + 1, sizeof *d->auth_ids);
	d->auth_hashes = arena_calloc(a, AUTH_KEYS_MAX + 1, sizeof *d->auth_hashes);
	d->prev_ids = arena_calloc(a, PREV_MAX + 1, sizeof *d->prev_ids);
	d->prev_hashes = arena_calloc(a, PREV_MAX + 1, sizeof *d->prev_hashes);
	for (size_t i = 0; i < n; i++) {
		const struct slot *s = append_state(ap, keys[i].type, keys[i].key);
		if (s == NULL)
			continue;
		d->auth_hashes[d->nauth] = hash_of_event(ap, s->ev->id);
		d->auth_ids[d->nauth++] = s->ev->id;
	}
	for (size_t i = 0; i < ap->nprev; i++) {
		d->prev_hashes[d->nprev] = hash_of_event(ap, ap->prev[i].id);
		d->prev_ids[d->nprev++] = ap->prev[i].id;
	}
}

static int64_t
nid_of(const struct append *ap, const char *body)
{
	int64_t nid = names_nid(&ap->names, body);

	return nid >= 0 ? nid : name_known(body);
}

/* The state before the invitation or knock, and the event itself: clients find the inviter by it. */
static const char *
stripped_state(struct append *ap, const struct event *invite)
{
	struct json_out o;
	const struct slot *s = append_state(ap, "m.room.member", invite->sender);

	json_out_init(&o, ap->cx->a);
	json_arr(&o, NULL);
	for (size_t i = 0; i < sizeof stripped_types / sizeof *stripped_types; i++) {
		const struct slot *t = append_state(ap, stripped_types[i], "");
		if (t != NULL)
			room_event_stripped(&o, t->type, t->ev->sender, t->key, json_canonical_str(ap->cx->a, t->ev->content, NULL));
	}
	if (s != NULL && s->ev != invite)	/* who knocks is the sender himself */
		room_event_stripped(&o, s->type, s->ev->sender, s->key, json_canonical_str(ap->cx->a, s->ev->content, NULL));
	room_event_stripped(&o, invite->type, invite->sender, invite->state_key,
	    json_canonical_str(ap->cx->a, invite->content, NULL));
	json_end(&o);
	return o.b.s;
}

/* What a member event changes beside the state: the counters, and what a user of this server is to the room. */
static void
note_member(struct append *ap, const struct made *m, const struct slot *s, enum membership was)
{
	struct member_row *row = NULL;
	bool joins = false;

	ap->room.joined += (s->membership == MEM_JOIN) - (was == MEM_JOIN);
	ap->room.invited += (s->membership == MEM_INVITE) - (was == MEM_INVITE);
	if (!name_is_local(ap->cx, s->key))
		return;
	for (size_t i = 0; i < ap->nmembers; i++)
		if (ap->members[i].user == m->key_nid)
			row = &ap->members[i];
	if (row != NULL)
		joins = row->joins;
	else
		row = GROW(ap->cx->a, ap->members, ap->nmembers, ap->members_cap);
	*row = (struct member_row){ m->key_nid, s->membership, m->nid, m->room_pos, m->sender_nid,
		s->membership == MEM_INVITE || s->membership == MEM_KNOCK ? stripped_state(ap, &m->ev) : NULL,
		joins || (s->membership == MEM_JOIN && was != MEM_JOIN) };
}

static void
note_state(struct append *ap, struct made *m)
{
	struct slot *s = slot_find(ap, m->ev.type, m->ev.state_key);
	assert(s != NULL || ap->fresh);		/* what is not loaded cannot be replaced */
	if (s == NULL)
		s = slot_add(ap, m->ev.type, m->ev.state_key);
	enum membership was = s->ev != NULL ? s->membership : MEM_NONE;
	int64_t ver = ++ap->room.state_ver;

	if (s->row >= 0)
		ap->rows[s->row].passed = true;
	m->prev_state = s->ev != NULL ? s->nid : -1;
	s->type_nid = m->type_nid;
	s->key_nid = m->key_nid;
	s->row = (int)ap->nrows;
	s->ev = &m->ev;
	s->nid = m->nid;
	s->membership = m->type_nid == T_MEMBER ? membership_of(json_get_str(m->ev.content, "membership")) : MEM_NONE;
	*GROW(ap->cx->a, ap->rows, ap->nrows, ap->rows_cap) =
	    (struct state_row){ .type = m->type_nid, .key = m->key_nid, .since = ver, .event = m->nid, .membership = s->membership };
	if (m->type_nid == T_MEMBER)
		note_member(ap, m, s, was);
}

/* The event is the room's only forward extremity now, but for those that it could not cite. */
static void
advance(struct append *ap, const struct made *m)
{
	ap->room.depth = m->ev.depth;
	if (ap->room.rv->event_id_format == 1) {
		struct arena *a = ap->cx->a;
		ap->hashes = arena_realloc(a, ap->hashes, ap->nhashes * sizeof *ap->hashes, (ap->nhashes + 1) * sizeof *ap->hashes);
		ap->hashes[ap->nhashes++] = (struct ref_hash){ m->ev.id, event_reference_b64(a, ap->room.rv, m->ev.json) };
	}
	ap->prev[0] = (struct prev){ m->nid, m->ev.id };
	ap->nprev = 1;
}

enum err
append_event(struct append *ap, const struct draft *d, const struct event **out)
{
	struct ctx *cx = ap->cx;
	struct made *m = arena_zalloc(cx->a, sizeof *m);
	struct auth_state st = append_auth_state(ap);
	struct event_draft ed = { .rv = ap->room.rv, .room = ap->room.id, .type = d->type, .state_key = d->state_key,
		.sender = d->sender != NULL ? d->sender : cx->user, .content = d->content, .redacts = d->redacts,
		.depth = ap->room.depth < INT64_MAX ? ap->room.depth + 1 : INT64_MAX, .ts = d->ts != 0 ? d->ts : cx->now };
	enum err e;

	cite(ap, &ed, d);
	if ((e = event_build(cx, &ed, &m->ev)) != M_OK || (e = event_auth(cx, &m->ev, &st)) != M_OK)
		return e;
	if (ap->room.id == NULL)	/* v12: the create event's hash */
		ap->room.id = m->ev.room;
	assert(ap->nmade < ap->nids);
	m->nid = ap->nid[ap->nmade];
	m->type_nid = nid_of(ap, ed.type);
	m->sender_nid = nid_of(ap, ed.sender);
	m->key_nid = ed.state_key != NULL ? nid_of(ap, ed.state_key) : -1;
	m->prev_state = -1;
	m->thread = ap->nmade == 0 ? relation_thread(ap) : -1;
	m->ver = ap->room.state_ver;
	m->room_pos = ++ap->room.last_room_pos;
	const struct slot *power = append_state(ap, "m.room.power_levels", "");
	counts_note(ap, m, power_of_user(&st, ap->room.rv, m->ev.sender), power != NULL ? power->ev->content : NULL);
	if (ap->made == NULL)
		ap->made = arena_calloc(cx->a, ap->nids, sizeof *ap->made);
	ap->made[ap->nmade++] = m;
	if (ed.state_key != NULL)
		note_state(ap, m);
	advance(ap, m);
	if (out != NULL)
		*out = &m->ev;
	return M_OK;
}
