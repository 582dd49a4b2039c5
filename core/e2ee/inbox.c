/* core/e2ee/inbox.c - see inbox.h. */
#include "core/e2ee/inbox.h"

#include <string.h>

#include "core/base/log.h"
#include "core/crypto/crypto.h"
#include "core/e2ee/one_time.h"
#include "core/room/names.h"

#define PURGE_ROWS 1000

/*
 * All or, when the transaction id was there already, nothing. FOR KEY SHARE: a device
 * that is being deleted is not written to afterwards (migration 0010). A device that is
 * named beside "*" gets the message of its own. Rows of (recipient), NULL: it was too much.
 * Contents are joined last, so that "*" of many devices is measured before it is copied. Look-ups one by one, whatever the planner
 * believes: a plan is made early, on tables that are empty yet, and kept.
 */
#define STRINGIFY(n) #n
#define LIMIT_TEXT(n) STRINGIFY(n)
STMT(to_device_insert,
    "WITH t AS (INSERT INTO txn (device, key, txn_id, answer, ts) VALUES ($1, $2, $3, '{}', $4)"
    "	ON CONFLICT (device, key) DO NOTHING RETURNING device),"
    " u AS MATERIALIZED (SELECT * FROM unnest($5::text[], $6::text[], $7::text[]) WITH ORDINALITY AS v(usr, device, content, i)),"
    " target AS MATERIALIZED (SELECT d.nid, d.usr, u.device, u.i FROM u"
    "	CROSS JOIN LATERAL (SELECT nid FROM name WHERE body = u.usr OFFSET 0) n"
    "	CROSS JOIN LATERAL (SELECT nid, usr FROM device WHERE usr = n.nid AND (u.device = '*' OR device_id = u.device) OFFSET 0 FOR KEY SHARE) d"
    "	WHERE EXISTS (SELECT FROM t) LIMIT " LIMIT_TEXT(TO_DEVICE_COPIES_MAX) " + 1),"
    " much AS MATERIALIZED (SELECT FROM target JOIN u USING (i)"
    "	HAVING count(*) > " LIMIT_TEXT(TO_DEVICE_COPIES_MAX) " OR sum(octet_length(content)) > " LIMIT_TEXT(TO_DEVICE_BYTES_MAX) "),"
    " put AS (INSERT INTO to_device (device, usr, sender, type, content)"
    "	SELECT DISTINCT ON (g.nid) g.nid, g.usr, $8::bigint, $9, u.content FROM target g JOIN u USING (i)"
    "	WHERE NOT EXISTS (SELECT FROM much) ORDER BY g.nid, g.device = '*' RETURNING usr)"
    " SELECT DISTINCT usr FROM put UNION ALL SELECT NULL FROM much");
STMT_WARM(to_device_insert, "web");

/* $4, $5: the cursors. A position in a token without cursor (0, 0) acknowledges nothing. */
#define CURSORS "unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[])"
#define ACKNOWLEDGED "(t.pos, t.id) <= (q.tpos, q.tid) AND t.pos < q.xmax AND NOT t.pos = ANY(q.xip)"
STMT(inbox_select,
    "SELECT q.i, EXISTS (SELECT FROM to_device t WHERE t.device = q.device AND " ACKNOWLEDGED "),"
    " m.pos, m.id, (SELECT body FROM name WHERE nid = m.sender), m.type, m.content"
    " FROM (SELECT device, xmax, xip::bigint[] AS xip, tpos, tid, i"
    "	FROM " CURSORS " WITH ORDINALITY AS u(device, xmax, xip, tpos, tid, i) OFFSET 0) q"
    " LEFT JOIN LATERAL (SELECT t.pos, t.id, t.sender, t.type, t.content FROM to_device t WHERE t.device = q.device"
    "	AND ((t.pos, t.id) > (q.tpos, q.tid) OR t.pos >= q.xmax OR t.pos = ANY(q.xip)) ORDER BY t.pos, t.id LIMIT 101) m ON true"
    " ORDER BY q.i, m.pos, m.id");
STMT_WARM(inbox_select, "sync");

STMT(inbox_relaxed, "SET LOCAL synchronous_commit = off");	/* lost, it is done again */
STMT(inbox_delete,
    "DELETE FROM to_device t USING (SELECT device, xmax, xip::bigint[] AS xip, tpos, tid FROM " CURSORS
    "	AS u(device, xmax, xip, tpos, tid) OFFSET 0) q WHERE t.device = q.device AND " ACKNOWLEDGED);
STMT(inbox_delete_device,
    "DELETE FROM to_device WHERE ctid = ANY(ARRAY(SELECT ctid FROM to_device WHERE device = $1 LIMIT 1000))");

/* ---- sending */

struct parcel {
	const char **usr, **device, **content;
	size_t n;
};

static enum err
read_device(struct ctx *cx, const char *usr, const struct json_member *d, struct parcel *p)
{
	size_t len;

	if (!json_is(d->value, JSON_OBJ))
		return fail(cx, M_BAD_JSON, "the content of a message is an object");
	p->usr[p->n] = usr;
	p->device[p->n] = esc_from_raw(cx->a, d->key, d->key_n);
	p->content[p->n++] = json_canonical_str(cx->a, d->value, &len);
	if (len > TO_DEVICE_CONTENT_MAX)
		return fail(cx, M_TOO_LARGE, "the content of a message has at most %d bytes", TO_DEVICE_CONTENT_MAX);
	return M_OK;
}

static enum err
read_messages(struct ctx *cx, const struct json *messages, struct parcel *p)
{
	size_t i, k, n = 0;
	enum err e;

	for (i = 0; i < messages->u.obj.n; i++) {
		if (!json_is(messages->u.obj.v[i].value, JSON_OBJ))
			return fail(cx, M_BAD_JSON, "messages holds objects of devices");
		n += messages->u.obj.v[i].value->u.obj.n;
	}
	p->usr = arena_calloc(cx->a, n + 1, sizeof *p->usr);
	p->device = arena_calloc(cx->a, n + 1, sizeof *p->device);
	p->content = arena_calloc(cx->a, n + 1, sizeof *p->content);
	for (i = 0; i < messages->u.obj.n; i++) {
		const struct json_member *m = &messages->u.obj.v[i];
		const char *usr = esc_from_raw(cx->a, m->key, m->key_n);

		for (k = 0; k < m->value->u.obj.n; k++)
			if ((e = read_device(cx, usr, &m->value->u.obj.v[k], p)) != M_OK)
				return e;
	}
	return M_OK;
}

enum err
to_device_send(struct ctx *cx, const char *type, const struct json *messages, const char *txn_path, const char *txn_id)
{
	unsigned char key[SHA256_LEN];
	struct parcel p = { 0 };
	struct rows r;
	enum err e;

	if (!name_fits(type))
		return fail(cx, M_INVALID_PARAM, "the type is longer than 255 bytes");
	if ((e = read_messages(cx, messages, &p)) != M_OK)
		return e;
	sha256(txn_path, strlen(txn_path), key);
	if ((e = db_query(cx, &r, &to_device_insert, P_I64(cx->device), P_BYTES(key, 16), P_TEXT(txn_id), P_I64(cx->now),
	    P_TEXTS(p.usr, p.n), P_TEXTS(p.device, p.n), P_TEXTS(p.content, p.n), P_I64(cx->user_nid), P_TEXT(type))) != M_OK)
		return e;
	while (db_next(&r)) {
		if (db_null(&r, 0))
			return fail(cx, M_TOO_LARGE, "these are more than %d messages, or %d bytes", TO_DEVICE_COPIES_MAX,
			    TO_DEVICE_BYTES_MAX);
		touch_user(cx, db_i64(&r, 0));
	}
	return M_OK;
}

/* ---- reading */

struct cursors {
	int64_t *device, *xmax, *tpos, *tid;
	const struct position **p;
};

static void
cursors_of(struct ctx *cx, struct cursors *c, const struct inbox *v, size_t n)
{
	size_t i;

	c->device = arena_calloc(cx->a, n + 1, sizeof *c->device);
	c->xmax = arena_calloc(cx->a, n + 1, sizeof *c->xmax);
	c->tpos = arena_calloc(cx->a, n + 1, sizeof *c->tpos);
	c->tid = arena_calloc(cx->a, n + 1, sizeof *c->tid);
	c->p = arena_calloc(cx->a, n + 1, sizeof *c->p);
	for (i = 0; i < n; i++) {
		c->device[i] = v[i].device;
		if ((c->p[i] = v[i].since) == NULL)
			continue;
		c->xmax[i] = v[i].since->xmax;
		c->tpos[i] = v[i].since->td_pos;
		c->tid[i] = v[i].since->td_id;
	}
}
#define P_CURSORS(a, c, n) P_I64S((c)->device, n), P_I64S((c)->xmax, n), position_xips(a, (c)->p, n),	\
	P_I64S((c)->tpos, n), P_I64S((c)->tid, n)

void
inbox_queue(struct ctx *cx, struct rows *r, const struct inbox *v, size_t n)
{
	struct cursors c;

	*r = (struct rows){ 0 };
	if (n == 0)
		return;
	cursors_of(cx, &c, v, n);
	db_queue(cx, r, DB_ANY, &inbox_select, P_CURSORS(cx->a, &c, n));
}

static const char *
message_text(struct arena *a, const struct rows *r)
{
	struct json_out o;

	json_out_init(&o, a);
	json_obj(&o, NULL);
	json_esc(&o, "sender", db_text(r, 4));
	json_esc(&o, "type", db_text(r, 5));
	json_raw(&o, "content", db_text(r, 6));
	json_end(&o);
	return o.b.s;
}

void
inbox_take(struct ctx *cx, struct rows *r, struct inbox *v, size_t n, const struct position *now)
{
	size_t i;

	for (i = 0; i < n; i++) {
		v[i].n = 0;
		v[i].td_pos = now->xmax;	/* all that `now` has seen is below it */
		v[i].td_id = 0;
	}
	while (r->res && db_next(r)) {
		struct inbox *b = &v[db_i64(r, 0) - 1];

		b->acknowledged = db_bool(r, 1);
		if (db_null(r, 2))
			continue;
		if (b->n == INBOX_MAX)
			continue;		/* one more than fits: the cursor stays on the last */
		if (b->n == 0)
			b->messages = arena_alloc(cx->a, INBOX_MAX * sizeof *b->messages);
		b->messages[b->n++] = message_text(cx->a, r);
		if (b->n == INBOX_MAX) {
			b->td_pos = db_i64(r, 2);
			b->td_id = db_i64(r, 3);
		}
	}
}

void
inbox_purge(struct ctx *cx, const struct inbox *v, size_t n)
{
	struct inbox *some = arena_alloc(cx->a, (n + 1) * sizeof *some);
	struct cursors c;
	size_t i, k = 0;
	enum err e;

	for (i = 0; i < n; i++)
		if (v[i].acknowledged)
			some[k++] = v[i];
	if (k == 0)
		return;
	cursors_of(cx, &c, some, k);
	db_begin(cx, TX_RW);
	db_queue(cx, NULL, DB_NONE, &inbox_relaxed);
	db_queue(cx, NULL, DB_NONE, &inbox_delete, P_CURSORS(cx->a, &c, k));
	if ((e = db_commit(cx)) != M_OK) {
		db_rollback(cx);
		log_warn(cx, "inbox_purge_failed", LS("errcode", err_code(e)));
	}
}

enum err
inbox_purge_device(struct ctx *cx, int64_t device, bool *more)
{
	int64_t n = 0;
	enum err e = db_exec(cx, &n, &inbox_delete_device, P_I64(device));

	*more = n >= PURGE_ROWS;
	return e;
}
