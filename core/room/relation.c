/* core/room/relation.c - see relation.h. */
#include "core/room/relation.h"
#include "core/room/append_impl.h"
#include "core/room/erased.h"

#define REFERENCES_MAX 1000

STMT(relation_look,
    "SELECT t.nid, t.thread, (SELECT true FROM event_relation WHERE event = t.nid),"
    " EXISTS (SELECT 1 FROM event_relation a WHERE a.target = t.nid AND a.rel_type = 25 AND a.key = $4"
    "	AND a.sender = (SELECT nid FROM name WHERE body = $3) AND a.type = (SELECT nid FROM name WHERE body = $5)),"
    " (SELECT ARRAY[n_a, n_b, n_c, n_d, n_e]::bigint[] FROM thread_count WHERE root = CASE WHEN $6 THEN t.nid ELSE t.thread END)"
    " FROM event t WHERE t.id = $1 AND t.room = (SELECT nid FROM room WHERE id = $2)");
STMT_WARM(relation_look, "web");
STMT(relation_insert,
    "INSERT INTO event_relation (event, target, rel_type, type, sender, room_pos, ts, key, target_id)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
STMT_WARM(relation_insert, "web");
STMT(relation_thread_grow,
    "INSERT INTO thread AS t (root, room, n, latest_pos) VALUES ($1, $2, 1, $3)"
    " ON CONFLICT (root) DO UPDATE SET n = t.n + 1, latest_pos = greatest(t.latest_pos, excluded.latest_pos)");
STMT(relation_thread_user,
    "INSERT INTO thread_user AS t (root, usr, n) VALUES ($1, $2, 1) ON CONFLICT (root, usr) DO UPDATE SET n = t.n + 1");
STMT(relation_delete,
    "WITH d AS (DELETE FROM event_relation WHERE event = $1 RETURNING target, rel_type, sender),"
    " u AS (UPDATE thread_user t SET n = t.n - 1 FROM d WHERE d.rel_type = 27 AND t.root = d.target AND t.usr = d.sender)"
    " UPDATE thread t SET n = t.n - 1, latest_pos = coalesce((SELECT r.room_pos FROM event_relation r WHERE r.target = d.target"
    "	AND r.rel_type = 27 AND r.event <> $1 ORDER BY r.room_pos DESC LIMIT 1), 0)"
    " FROM d WHERE d.rel_type = 27 AND t.root = d.target");

/* ---- writing */

static const char *
short_string(struct arena *a, const struct json *o, const char *key)
{
	const char *s = json_get_esc(a, o, key);

	return s != NULL && name_fits(s) ? s : NULL;
}

/* Malformed relations are none: the event is sent all the same. */
void
relation_want(struct append *ap, const struct draft *d)
{
	struct arena *a = ap->cx->a;
	const struct json *rel = json_get(d->content, "m.relates_to");
	const char *type = short_string(a, rel, "rel_type"), *target = short_string(a, rel, "event_id");

	if (d->state_key != NULL || type == NULL || target == NULL)
		return;
	ap->rel = arena_zalloc(a, sizeof *ap->rel);
	*ap->rel = (struct relation){ .rel_type = type, .target = target, .target_nid = -1, .target_thread = -1 };
	if (strcmp(type, "m.annotation") == 0)
		ap->rel->key = short_string(a, rel, "key");	/* it stands in an index; with a longer one nothing is compared */
	names_add(&ap->names, type);
	ap->rel_draft = d;
}

void
relation_queue(struct append *ap, const char *room_id)
{
	const struct draft *d = ap->rel_draft;

	db_queue(ap->cx, &ap->rel->r, DB_MAYBE, &relation_look, P_TEXT(ap->rel->target), P_TEXT(room_id),
	    P_TEXT(d->sender != NULL ? d->sender : ap->cx->user), P_TEXT(ap->rel->key), P_TEXT(d->type),
	    P_BOOL(strcmp(ap->rel->rel_type, "m.thread") == 0));
}

void
relation_take(struct append *ap)
{
	struct relation *rel = ap->rel;
	size_t n;

	if (rel->r.n == 0)
		return;
	rel->target_nid = db_i64(&rel->r, 0);
	rel->target_thread = db_null(&rel->r, 1) ? -1 : db_i64(&rel->r, 1);
	rel->target_relates = db_bool(&rel->r, 2);
	rel->duplicate = db_bool(&rel->r, 3);
	if (!db_null(&rel->r, 4)) {
		const int64_t *sums = db_i64s(&rel->r, 4, &n);
		for (size_t i = 0; i < n && i < PUSH_SUMS; i++)
			rel->thread_sums.n[i] = sums[i];
	}
}

enum err
relation_check(struct append *ap)
{
	const struct relation *rel = ap->rel;

	if (rel == NULL)
		return M_OK;
	if (rel->key != NULL && rel->duplicate)
		return fail(ap->cx, M_DUPLICATE_ANNOTATION, "you have said so already");
	if (strcmp(rel->rel_type, "m.thread") == 0 && rel->target_relates)
		return fail(ap->cx, E_BAD_REQUEST, "no thread can begin at an event that relates to another one");
	return M_OK;
}

int64_t
relation_thread(const struct append *ap)
{
	const struct relation *rel = ap->rel;

	if (rel == NULL || rel->target_nid < 0)
		return -1;
	return strcmp(rel->rel_type, "m.thread") == 0 ? rel->target_nid : rel->target_thread;
}

void
relation_write(struct append *ap)
{
	const struct relation *rel = ap->rel;
	const struct made *m = ap->made[0];
	int64_t type = names_nid(&ap->names, rel->rel_type);

	if (type < 0)
		type = name_known(rel->rel_type);
	db_queue(ap->cx, NULL, DB_NONE, &relation_insert, P_I64(m->nid), P_I64_OR_NULL(rel->target_nid, -1), P_I64(type),
	    P_I64(m->type_nid), P_I64(m->sender_nid), P_I64(m->room_pos), P_I64(m->ev.ts), P_TEXT(rel->key),
	    P_TEXT(rel->target_nid < 0 ? rel->target : NULL));
	if (type != REL_THREAD || rel->target_nid < 0)
		return;
	db_queue(ap->cx, NULL, DB_NONE, &relation_thread_grow, P_I64(rel->target_nid), P_I64(ap->room.nid), P_I64(m->room_pos));
	db_queue(ap->cx, NULL, DB_NONE, &relation_thread_user, P_I64(rel->target_nid), P_I64(m->sender_nid));
}

void
relation_forget(struct ctx *cx, int64_t event)
{
	db_queue(cx, NULL, DB_NONE, &relation_delete, P_I64(event));
}

/* ---- bundling */

/*
 * The latest edit by the event's own sender (same type, something new in it, itself no edit's edit, the original
 * not redacted; among the newest 20), and the latest event of a thread. Scalar sub-selects instead of EXISTS: the planner would hash whole tables. $1 events, $2 the last room_pos that may be seen of each one's room, $3 ignored users.
 */
STMT(relation_latest,
    "SELECT " ROOM_EVENT_COLS ", x.n, x.kind FROM ("
    " SELECT k.n, 26 AS kind, c.event FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY k(nid, top, n)"
    "	CROSS JOIN LATERAL (SELECT * FROM event WHERE nid = k.nid OFFSET 0) p"
    "	CROSS JOIN LATERAL (SELECT r.event FROM (SELECT event, type, ts FROM event_relation WHERE target = k.nid AND rel_type = 26"
    "		AND sender = p.sender AND type = p.type AND room_pos <= k.top ORDER BY ts DESC LIMIT 20) r"
    "		CROSS JOIN LATERAL (SELECT id, content FROM event WHERE nid = r.event OFFSET 0) c"
    "		WHERE r.type = 17 OR c.content LIKE '%\"m.new_content\":{%' ORDER BY r.ts DESC, c.id DESC LIMIT 1) c"
    "	WHERE p.redacted_by IS NULL AND (SELECT q.rel_type FROM event_relation q WHERE q.event = p.nid) IS DISTINCT FROM 26"
    "	AND NOT p.sender IN (SELECT nid FROM name WHERE body = ANY($3))"
    " UNION ALL"
    " SELECT k.n, 27, c.event FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY k(nid, top, n)"
    "	CROSS JOIN LATERAL (SELECT r.event FROM event_relation r WHERE r.target = k.nid AND r.rel_type = 27 AND r.room_pos <= k.top"
    "		AND NOT r.sender IN (SELECT nid FROM name WHERE body = ANY($3)) ORDER BY r.room_pos DESC LIMIT 1) c"
    ") x CROSS JOIN LATERAL (SELECT * FROM event WHERE nid = x.event OFFSET 0) e");
/* Who sees less than all of the thread has it counted for himself. */
STMT(relation_thread_counts,
    "SELECT k.n, CASE WHEN k.top = 9223372036854775807 THEN t.n - coalesce((SELECT sum(u.n) FROM thread_user u WHERE u.root = k.nid"
    "	AND u.usr = ANY(ARRAY(SELECT nid FROM name WHERE body = ANY($3)))), 0)"
    " ELSE (SELECT count(*) FROM event_relation r WHERE r.target = k.nid AND r.rel_type = 27 AND r.room_pos <= k.top"
    "	AND NOT r.sender IN (SELECT nid FROM name WHERE body = ANY($3))) END::bigint,"
    " (SELECT u.n > 0 FROM thread_user u WHERE u.root = k.nid AND u.usr = $4)"
    " FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY k(nid, top, n) JOIN thread t ON t.root = k.nid WHERE t.n > 0");
STMT(relation_references,
    "SELECT k.n, c.id FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY k(nid, top, n)"
    " CROSS JOIN LATERAL (SELECT (SELECT id FROM event WHERE nid = r.event) AS id FROM event_relation r WHERE r.target = k.nid"
    "	AND r.rel_type = 28 AND r.room_pos <= k.top AND NOT r.sender IN (SELECT nid FROM name WHERE body = ANY($3))"
    "	ORDER BY r.room_pos LIMIT $4) c ORDER BY k.n");

/* What was found for one event. */
struct bundle {
	struct room_event *replace, *latest;
	int64_t count;
	bool participated;
	const char **refs;
	size_t nrefs;
};

static void
take_latest(struct ctx *cx, struct rows *r, const struct relation_ask *v, struct bundle *b)
{
	while (db_next(r)) {
		size_t i = (size_t)db_i64(r, ROOM_EVENT_NCOLS) - 1;
		struct room_event *ev = arena_alloc(cx->a, sizeof *ev);
		room_event_read(r, ev);
		if (v[i].vis != NULL && !visibility_allows(cx->a, v[i].vis, ev))
			continue;
		erased_hide(cx->a, v[i].rv, v[i].vis, ev);
		if (db_i64(r, ROOM_EVENT_NCOLS + 1) == REL_REPLACE)
			b[i].replace = ev;
		else
			b[i].latest = ev;
	}
}

static void
take_rest(struct ctx *cx, struct rows *counts, struct rows *refs, struct bundle *b)
{
	while (db_next(counts)) {
		struct bundle *to = &b[db_i64(counts, 0) - 1];
		to->count = db_i64(counts, 1);
		to->participated = db_bool(counts, 2);
	}
	while (db_next(refs)) {
		struct bundle *to = &b[db_i64(refs, 0) - 1];
		if (to->refs == NULL)
			to->refs = arena_calloc(cx->a, REFERENCES_MAX, sizeof *to->refs);
		to->refs[to->nrefs++] = db_text(refs, 1);
	}
}

static enum err
load(struct ctx *cx, int64_t reader, const struct ignored *ignored, const struct relation_ask *v, size_t n, struct bundle *b)
{
	int64_t *nids = arena_alloc(cx->a, n * sizeof *nids), *tops = arena_alloc(cx->a, n * sizeof *tops);
	const char *const *users = ignored != NULL ? ignored->users : NULL;
	size_t nusers = ignored != NULL ? ignored->n : 0;
	struct rows latest, counts, refs;
	enum err e;

	for (size_t i = 0; i < n; i++) {
		nids[i] = v[i].ev->nid;
		tops[i] = v[i].top;
	}
	db_queue(cx, &latest, DB_ANY, &relation_latest, P_I64S(nids, n), P_I64S(tops, n), P_TEXTS(users, nusers));
	db_queue(cx, &counts, DB_ANY, &relation_thread_counts, P_I64S(nids, n), P_I64S(tops, n), P_TEXTS(users, nusers), P_I64(reader));
	db_queue(cx, &refs, DB_ANY, &relation_references, P_I64S(nids, n), P_I64S(tops, n), P_TEXTS(users, nusers), P_I64(REFERENCES_MAX));
	if ((e = db_run(cx)) != M_OK)
		return e;
	take_latest(cx, &latest, v, b);
	take_rest(cx, &counts, &refs, b);
	return M_OK;
}

static void
write_event(struct ctx *cx, const struct relation_ask *v, const char *key, const struct room_event *ev, struct json_out *o)
{
	room_event_write(o, key, ev, v->room_id, cx->now, v->vis != NULL ? visibility_membership(cx->a, v->vis, ev) : MEM_NONE, NULL);
}

static void
write_references(const struct bundle *b, struct json_out *o)
{
	json_obj(o, "m.reference");
	json_arr(o, "chunk");
	for (size_t i = 0; i < b->nrefs; i++) {
		json_obj(o, NULL);
		json_esc(o, "event_id", b->refs[i]);
		json_end(o);
	}
	json_end(o);
	json_end(o);
}

static void
write_bundle(struct ctx *cx, int64_t reader, const struct relation_ask *v, const struct bundle *b)
{
	struct json_out o;

	if (b->refs == NULL && b->replace == NULL && b->latest == NULL)
		return;
	json_out_init(&o, cx->a);
	json_obj(&o, NULL);
	if (b->refs != NULL)
		write_references(b, &o);
	if (b->replace != NULL)
		write_event(cx, v, "m.replace", b->replace, &o);
	if (b->latest != NULL) {
		json_obj(&o, "m.thread");
		json_int(&o, "count", b->count);
		json_bool(&o, "current_user_participated", b->participated || v->ev->sender_nid == reader);
		write_event(cx, v, "latest_event", b->latest, &o);
		json_end(&o);
	}
	json_end(&o);
	v->ev->relations = o.b.s;
	v->ev->thread_root = b->latest != NULL;
}

/* levels: how deep threads may hold threads. Ours do not; what comes from elsewhere could. */
static enum err
bundle(struct ctx *cx, int64_t reader, const struct ignored *ignored, const struct relation_ask *v, size_t n, int levels)
{
	struct relation_ask *some = arena_alloc(cx->a, (n + 1) * sizeof *some), *latest = arena_alloc(cx->a, (n + 1) * sizeof *latest);
	struct bundle *b;
	size_t k = 0, nlatest = 0;
	enum err e;

	for (size_t i = 0; i < n; i++)
		if (v[i].ev->related)
			some[k++] = v[i];
	if (k == 0 || levels == 0)
		return M_OK;
	b = arena_calloc(cx->a, k, sizeof *b);
	if ((e = load(cx, reader, ignored, some, k, b)) != M_OK)
		return e;
	for (size_t i = 0; i < k; i++)
		if (b[i].latest != NULL) {
			latest[nlatest] = some[i];
			latest[nlatest++].ev = b[i].latest;
		}
	if ((e = bundle(cx, reader, ignored, latest, nlatest, levels - 1)) != M_OK)
		return e;
	for (size_t i = 0; i < k; i++)
		write_bundle(cx, reader, &some[i], &b[i]);
	return M_OK;
}

enum err
relation_bundle(struct ctx *cx, int64_t reader, const struct ignored *ignored, const struct relation_ask *v, size_t n)
{
	return bundle(cx, reader, ignored, v, n, 2);
}
