/* core/room/stored.c - see stored.h. */
#include "core/room/stored.h"
#include "core/room/pdu.h"
#include <stdlib.h>

STMT(stored_ids,
    "SELECT " STORED_COLS " FROM unnest($2::text[]) k(id) CROSS JOIN LATERAL (SELECT * FROM event WHERE id = k.id OFFSET 0) e");
STMT(stored_nids,
    "SELECT " STORED_COLS " FROM unnest($2::bigint[]) k(nid) CROSS JOIN LATERAL (SELECT * FROM event WHERE nid = k.nid OFFSET 0) e");
/* Texts of ids, as auth_chain() reads them. */
#define BARE_COLS							\
	"e.nid, e.id, e.flags, e.room <> $1, e.type, e.sender, e.state_key, (SELECT body FROM name WHERE nid = e.type),"	\
	" (SELECT body FROM name WHERE nid = e.sender), (SELECT body FROM name WHERE nid = e.state_key), e.ts,"	\
	" ARRAY(SELECT substr(x.t, 2, length(x.t) - 2) FROM json_array_elements(p.j -> 'auth_events') a(v)"	\
	"	CROSS JOIN LATERAL (SELECT (CASE WHEN json_typeof(a.v) = 'array' THEN a.v -> 0 ELSE a.v END)::text AS t) x),"	\
	" json_array_length(p.j -> 'prev_events'), CASE WHEN json_array_length(p.j -> 'prev_events') = 1 THEN (SELECT substr(x.t, 2, length(x.t) - 2)"	\
	"	FROM (SELECT (CASE WHEN json_typeof(p.j -> 'prev_events' -> 0) = 'array' THEN p.j -> 'prev_events' -> 0 -> 0"	\
	"	ELSE p.j -> 'prev_events' -> 0 END)::text AS t) x) END, (p.j -> 'depth')::text::bigint"
#define BARE_FROM							\
	" CROSS JOIN LATERAL (SELECT event_cites(e.room, e.flags, e.content, e.pdu, e.cites) AS j OFFSET 0) p LIMIT $3"
STMT(stored_bare_by_id,
    "SELECT " BARE_COLS " FROM unnest($2::text[]) k(id) CROSS JOIN LATERAL (SELECT * FROM event WHERE id = k.id OFFSET 0) e" BARE_FROM);
STMT(stored_bare_by_nid,
    "SELECT " BARE_COLS " FROM unnest($2::bigint[]) k(nid) CROSS JOIN LATERAL (SELECT * FROM event WHERE nid = k.nid OFFSET 0) e" BARE_FROM);
STMT(stored_bare_by_chain,
    "SELECT " BARE_COLS " FROM auth_chain($2) k(nid) CROSS JOIN LATERAL (SELECT * FROM event WHERE nid = k.nid OFFSET 0) e" BARE_FROM);
/*
 * Of a member event what the rules read; where U+0000 stands in it (as_json() would make other text of it), or the PDU is
 * there verbatim, all of it. Of a redaction the PDU: before room version 11 it is there that it names its event.
 */
STMT(stored_contents,
    "SELECT nid, CASE WHEN type = 2 AND flags & 8 = 0 AND position('\\u0000' IN content) = 0 THEN coalesce((SELECT json_object_agg(key, value)::text"
    "	FROM json_each(content::json) WHERE key IN ('membership', 'join_authorised_via_users_server', 'third_party_invite')), '{}') ELSE content END,"
    " CASE WHEN type = 18 THEN pdu END FROM unnest($1::bigint[]) k(n) CROSS JOIN LATERAL (SELECT * FROM event WHERE nid = k.n OFFSET 0) e");

enum err
stored_take(struct ctx *cx, const struct room *room, const struct rows *r, struct stored **out)
{
	struct pdu_columns c = { db_text(r, 1), room->id, db_text(r, 12), db_text(r, 13), db_text(r, 14), db_i64(r, 15), db_text(r, 16),
		db_text(r, 17), (int)db_i64(r, 2), NULL, 0 };
	struct stored *s = arena_zalloc(cx->a, sizeof *s);
	enum err e = M_OK;

	c.cites = db_bytes(r, 18, &c.ncites);
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

/* Those of the ids that are not in the map yet. *k: how many. */
static const char **
unknown(struct arena *a, const struct stored_map *m, const char *const *ids, size_t n, size_t *k)
{
	const char **want = arena_alloc(a, (n + 1) * sizeof *want);

	*k = 0;
	for (size_t i = 0; i < n; i++)
		if (stored_find(m, ids[i]) == NULL)
			want[(*k)++] = ids[i];
	return want;
}

enum err
stored_load(struct ctx *cx, const struct room *room, struct stored_map *m, const char *const *ids, size_t n)
{
	size_t k;
	const char **want = unknown(cx->a, m, ids, n, &k);
	struct rows r;
	enum err e;

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

/* ---- bare */

static struct stored *
take_bare(struct ctx *cx, const struct room *room, struct rows *r)
{
	struct stored *s = arena_zalloc(cx->a, sizeof *s);
	const char *prev = db_text(r, 13);

	*s = (struct stored){ .nid = db_i64(r, 0), .flags = (int)db_i64(r, 2), .elsewhere = db_bool(r, 3), .type_nid = db_i64(r, 4),
		.sender_nid = db_i64(r, 5), .key_nid = db_null(r, 6) ? -1 : db_i64(r, 6), .room_pos = INT64_MIN, .at_ver = -1, .before = { 0, -1 },
		.fork = -1 };
	s->ev = (struct event){ .rv = room->rv, .id = db_text(r, 1), .room = s->elsewhere ? "" : room->id, .type = db_text(r, 7),
		.sender = db_text(r, 8), .state_key = db_text(r, 9), .ts = db_i64(r, 10), .depth = db_i64(r, 14),
		.rejected = (s->flags & EV_REJECTED) != 0 };
	s->ev.auth_ids = db_texts(r, 11, &s->ev.nauth);
	s->ev.nprev = (size_t)db_i64(r, 12);
	if (prev != NULL) {
		s->ev.prev_ids = arena_alloc(cx->a, sizeof *s->ev.prev_ids);
		s->ev.prev_ids[0] = prev;
	}
	return s;
}

static enum err
take_all_bare(struct ctx *cx, const struct room *room, struct stored_map *m, struct rows *r, size_t max)
{
	while (db_next(r)) {
		if (stored_find(m, db_text(r, 1)) == NULL)
			stored_put(m, take_bare(cx, room, r));
		if (m->n > max)
			return fail(cx, M_TOO_LARGE, "the branches of this room lie too far apart to be brought together here");
	}
	return M_OK;
}

enum err
stored_bare(struct ctx *cx, const struct room *room, struct stored_map *m, const char *const *ids, size_t n, size_t max)
{
	size_t k;
	const char **want = unknown(cx->a, m, ids, n, &k);
	struct rows r;
	enum err e;

	if (k == 0)
		return M_OK;
	if ((e = db_query(cx, &r, &stored_bare_by_id, P_I64(room->nid), P_TEXTS(want, k), P_I64((int64_t)max + 1))) != M_OK)
		return e;
	return take_all_bare(cx, room, m, &r, max);
}

static enum err
bare_by(struct ctx *cx, const struct stmt *st, const struct room *room, struct stored_map *m, const int64_t *nids, size_t n, size_t max)
{
	struct rows r;
	enum err e;

	if (n == 0)
		return M_OK;
	if ((e = db_query(cx, &r, st, P_I64(room->nid), P_I64S(nids, n), P_I64((int64_t)max + 1))) != M_OK)
		return e;
	return take_all_bare(cx, room, m, &r, max);
}

enum err
stored_bare_nids(struct ctx *cx, const struct room *room, struct stored_map *m, const int64_t *nids, size_t n, size_t max)
{
	return bare_by(cx, &stored_bare_by_nid, room, m, nids, n, max);
}

enum err
stored_bare_chains(struct ctx *cx, const struct room *room, struct stored_map *m, const int64_t *nids, size_t n, size_t max)
{
	return bare_by(cx, &stored_bare_by_chain, room, m, nids, n, max);
}

/* ---- what bare events say */

#define FILL_AT_ONCE 100	/* rows of up to EVENT_MAX bytes each that are here beside their trees */

static int
by_nid(const void *a, const void *b)
{
	int64_t x = (*(struct stored *const *)a)->nid, y = (*(struct stored *const *)b)->nid;

	return (x > y) - (x < y);
}

static void
fill_one(struct ctx *cx, struct stored *s, const char *content, const char *rest)
{
	struct json *tree = NULL;

	json_parse(cx->a, content, strlen(content), &tree);
	if (s->flags & EV_VERBATIM) {
		s->ev.json = tree;
		tree = json_get(tree, "content");
	} else if (rest != NULL) {
		json_parse(cx->a, rest, strlen(rest), &s->ev.json);
	}
	s->ev.content = tree;
}

/* v ascends by nid. */
static enum err
fill_some(struct ctx *cx, struct stored *const *v, size_t n, size_t *bytes)
{
	int64_t nids[FILL_AT_ONCE];
	struct rows r;
	enum err e;

	for (size_t i = 0; i < n; i++)
		nids[i] = v[i]->nid;
	if ((e = db_query(cx, &r, &stored_contents, P_I64S(nids, n))) != M_OK)
		return e;
	while (db_next(&r)) {
		const char *content = db_text(&r, 1), *rest = db_text(&r, 2);
		struct stored want = { .nid = db_i64(&r, 0) }, *p = &want;
		struct stored *const *s = bsearch(&p, v, n, sizeof(struct stored *), by_nid);
		size_t len = strlen(content) + (rest != NULL ? strlen(rest) : 0);

		if (len > *bytes)
			return fail(cx, M_TOO_LARGE, "the branches of this room hold too much to be brought together here");
		*bytes -= len;
		if (s != NULL)
			fill_one(cx, *s, content, rest);
	}
	return M_OK;
}

enum err
stored_fill(struct ctx *cx, struct stored *const *v, size_t n, size_t *bytes)
{
	struct stored **want = arena_alloc(cx->a, (n + 1) * sizeof *want);
	size_t k = 0;
	enum err e = M_OK;

	for (size_t i = 0; i < n; i++)
		if (!v[i]->filled && !v[i]->elsewhere) {
			v[i]->filled = true;
			want[k++] = v[i];
		}
	qsort(want, k, sizeof *want, by_nid);
	for (size_t i = 0; e == M_OK && i < k; i += FILL_AT_ONCE)
		e = fill_some(cx, want + i, k - i < FILL_AT_ONCE ? k - i : FILL_AT_ONCE, bytes);
	return e;
}
