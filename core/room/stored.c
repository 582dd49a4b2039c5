/* core/room/stored.c - see stored.h. */
#include "core/room/stored.h"
#include "core/room/pdu.h"

STMT(stored_ids,
    "SELECT " STORED_COLS " FROM unnest($2::text[]) k(id) CROSS JOIN LATERAL (SELECT * FROM event WHERE id = k.id OFFSET 0) e");
STMT(stored_nids,
    "SELECT " STORED_COLS " FROM unnest($2::bigint[]) k(nid) CROSS JOIN LATERAL (SELECT * FROM event WHERE nid = k.nid OFFSET 0) e");
STMT(stored_chains,
    "SELECT " STORED_COLS " FROM auth_chain($2) k(nid) CROSS JOIN LATERAL (SELECT * FROM event WHERE nid = k.nid OFFSET 0) e");

enum err
stored_take(struct ctx *cx, const struct room *room, const struct rows *r, struct stored **out)
{
	struct pdu_columns c = { db_text(r, 1), room->id, db_text(r, 12), db_text(r, 13), db_text(r, 14), db_i64(r, 15), db_text(r, 16),
		db_text(r, 17), (int)db_i64(r, 2) };
	struct stored *s = arena_zalloc(cx->a, sizeof *s);
	enum err e = M_OK;

	*s = (struct stored){ .nid = db_i64(r, 0), .flags = c.flags, .elsewhere = c.pdu == NULL, .type_nid = db_i64(r, 9),
		.sender_nid = db_i64(r, 10), .key_nid = db_null(r, 11) ? -1 : db_i64(r, 11), .fork = db_null(r, 5) ? -1 : (int)db_i64(r, 5),
		.room_pos = db_null(r, 6) ? INT64_MIN : db_i64(r, 6), .pos = db_i64(r, 7), .at_ver = db_null(r, 8) ? -1 : db_i64(r, 8),
		.before = { (int)db_i64(r, 3), db_null(r, 4) ? -1 : db_i64(r, 4) } };
	if (s->elsewhere)
		s->ev = (struct event){ .rv = room->rv, .id = c.id, .room = "", .type = c.type, .sender = c.sender, .state_key = c.state_key };
	else
		e = event_load(cx, room->rv, &c, &s->ev);
	s->ev.rejected = (s->flags & EV_REJECTED) != 0;
	*out = s;
	return e;
}

struct point
stored_after(const struct stored *s)
{
	struct point p = s->before;

	if (p.ver < 0 || s->ev.state_key == NULL || (s->flags & EV_REJECTED))
		return p;
	if ((s->flags & EV_SOFT_FAILED) && s->fork < 0)
		return (struct point){ 0, -1 };
	return (struct point){ s->fork >= 0 ? s->fork : p.line, p.ver + 1 };
}

/* ---- the map */

/* FNV-1a from a start that others cannot know: in room versions 1 and 2 they choose the ids. */
static uint64_t
hash_of(const char *s)
{
	static uint64_t start;
	uint64_t h;

	if (start == 0)
		random_bytes(&start, sizeof start);
	h = start;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 1099511628211u;
	return h ^ h >> 32;
}

static struct stored **
slot_of(const struct stored_map *m, const char *id)
{
	size_t i = hash_of(id) & (m->nslots - 1);

	while (m->slots[i] != NULL && strcmp(m->slots[i]->ev.id, id) != 0)
		i = (i + 1) & (m->nslots - 1);
	return &m->slots[i];
}

void
stored_map_init(struct stored_map *m, struct arena *a)
{
	*m = (struct stored_map){ .a = a, .nslots = 64, .cap = 32 };
	m->slots = arena_calloc(a, m->nslots, sizeof(struct stored *));
	m->v = arena_calloc(a, m->cap, sizeof(struct stored *));
}

struct stored *
stored_find(const struct stored_map *m, const char *id)
{
	return *slot_of(m, id);
}

void
stored_put(struct stored_map *m, struct stored *s)
{
	struct stored **slot = slot_of(m, s->ev.id);

	if (*slot != NULL)
		return;
	if (m->n == m->cap) {
		m->v = arena_realloc(m->a, m->v, m->cap * sizeof(struct stored *), 2 * m->cap * sizeof(struct stored *));
		m->cap *= 2;
		m->nslots *= 2;
		m->slots = arena_calloc(m->a, m->nslots, sizeof(struct stored *));
		for (size_t i = 0; i < m->n; i++)
			*slot_of(m, m->v[i]->ev.id) = m->v[i];
		slot = slot_of(m, s->ev.id);
	}
	*slot = m->v[m->n++] = s;
}

struct stored *
stored_of_nid(const struct stored_map *m, int64_t nid)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->v[i]->nid == nid)
			return m->v[i];
	return NULL;
}

static enum err
take_all(struct ctx *cx, const struct room *room, struct stored_map *m, struct rows *r)
{
	struct stored *s;
	enum err e;

	while (db_next(r)) {
		if (stored_find(m, db_text(r, 1)) != NULL)
			continue;
		if ((e = stored_take(cx, room, r, &s)) != M_OK)
			return e;
		stored_put(m, s);
	}
	return M_OK;
}

enum err
stored_load(struct ctx *cx, const struct room *room, struct stored_map *m, const char *const *ids, size_t n)
{
	const char **want = arena_alloc(cx->a, (n + 1) * sizeof *want);
	size_t k = 0;
	struct rows r;
	enum err e;

	for (size_t i = 0; i < n; i++)
		if (stored_find(m, ids[i]) == NULL)
			want[k++] = ids[i];
	if (k == 0)
		return M_OK;
	if ((e = db_query(cx, &r, &stored_ids, P_I64(room->nid), P_TEXTS(want, k))) != M_OK)
		return e;
	return take_all(cx, room, m, &r);
}

enum err
stored_load_nids(struct ctx *cx, const struct room *room, struct stored_map *m, const int64_t *nids, size_t n)
{
	struct rows r;
	enum err e;

	if (n == 0)
		return M_OK;
	if ((e = db_query(cx, &r, &stored_nids, P_I64(room->nid), P_I64S(nids, n))) != M_OK)
		return e;
	return take_all(cx, room, m, &r);
}

enum err
stored_load_chains(struct ctx *cx, const struct room *room, struct stored_map *m, const int64_t *nids, size_t n)
{
	struct rows r;
	enum err e;

	if (n == 0)
		return M_OK;
	if ((e = db_query(cx, &r, &stored_chains, P_I64(room->nid), P_I64S(nids, n))) != M_OK)
		return e;
	return take_all(cx, room, m, &r);
}
