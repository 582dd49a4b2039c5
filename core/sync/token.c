/*
 * core/sync/token.c - see token.h.
 *
 * A token is 's' and the base64url of unsigned varints (7 bits a byte, lowest
 * first, shortest form): epoch, tag, xmax, number in progress, their distances
 * downwards from xmax, lsn, clock, to-device cursor. About 30 characters; it is in
 * every URL of every waiting client.
 */
#include "core/sync/token.h"

#include "core/base/b64.h"
#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/base/sorted.h"

#define POS(epoch, xid)	((epoch) * ((int64_t)1 << POS_XID_BITS) + (xid))
#define XID_MASK	(((int64_t)1 << POS_XID_BITS) - 1)
#define TOKEN_MAX	24000	/* characters; a full list in progress is below it */

STMT(position_select,
    "SELECT pg_current_snapshot()::text, current_setting('hearth.epoch'), current_setting('hearth.epoch_tag'),"
    " pg_current_wal_flush_lsn() - '0/0', epoch, tag, lsn - '0/0', home FROM stream_epoch"
    " WHERE epoch >= least(nullif($1::bigint, 0), current_setting('hearth.epoch')::bigint) ORDER BY epoch");
STMT_WARM(position_select, "sync");

bool
position_new(const struct position *p, int64_t pos)
{
	return pos >= p->xmax || i64_in(p->xip, p->nxip, pos);
}

/* ---- the present */

void
position_queue(struct ctx *cx, struct rows *r, int64_t oldest)
{
	db_queue(cx, r, DB_ANY, &position_select, P_I64(oldest));
}

/* "xmin:xmax:xip,xip,..." with ids of 64 bits, ascending. */
static enum err
read_snapshot(struct ctx *cx, const char *s, struct position *p)
{
	const char *c;
	char *end;
	size_t n = 1;

	if ((s = strchr(s, ':')) == NULL)
		return M_UNKNOWN;
	p->xmax = POS(p->epoch, ((int64_t)strtoull(s + 1, &end, 10) & XID_MASK));
	if (*end != ':')
		return M_UNKNOWN;
	for (c = end; (c = strchr(c, ',')) != NULL; c++)
		n++;
	if (n > POSITION_XIP_MAX) {
		log_error(cx, "too_many_transactions", LI("in_progress", (int64_t)n));
		return E_UNAVAILABLE;
	}
	p->xip = arena_calloc(cx->a, n, sizeof(*p->xip));
	for (s = end + 1; *s >= '0' && *s <= '9'; s = *end == ',' ? end + 1 : end)
		p->xip[p->nxip++] = POS(p->epoch, ((int64_t)strtoull(s, &end, 10) & XID_MASK));
	return M_OK;
}

enum err
position_read(struct ctx *cx, struct rows *r, struct position *now, struct epochs *h)
{
	struct epochs all = { .v = arena_calloc(cx->a, (size_t)r->n + 1, sizeof(*all.v)) };

	*now = (struct position){ 0 };
	while (db_next(r))
		all.v[all.n++] = (struct epoch){ .epoch = db_i64(r, 4), .tag = db_i64(r, 5), .lsn = (uint64_t)db_i64(r, 6),
			.home = db_text(r, 7) };
	if (all.n == 0)		/* the present epoch has a row, or somebody deleted it */
		return M_UNKNOWN;
	if (h != NULL)
		*h = all;
	now->epoch = db_i64(r, 1);
	now->tag = db_i64(r, 2);
	now->lsn = (uint64_t)db_i64(r, 3);
	now->clock = cx->now;
	return read_snapshot(cx, db_text(r, 0), now);
}

enum err
position_now(struct ctx *cx, struct position *now, struct epochs *h, int64_t oldest)
{
	struct rows r;
	enum err e;

	position_queue(cx, &r, oldest);
	if ((e = db_run(cx)) != M_OK)
		return e;
	return position_read(cx, &r, now, h);
}

/* ---- text */

static void
put(struct buf *b, uint64_t v)
{
	for (; v > 0x7f; v >>= 7)
		buf_putc(b, (char)(0x80 | (v & 0x7f)));
	buf_putc(b, (char)v);
}

const char *
token_encode(struct arena *a, const struct position *p)
{
	struct buf b;
	int64_t above = p->xmax;
	size_t i;

	buf_init(&b, a);
	put(&b, (uint64_t)p->epoch);
	put(&b, (uint64_t)p->tag);
	put(&b, (uint64_t)(p->xmax & XID_MASK));
	put(&b, p->nxip);
	for (i = p->nxip; i-- > 0; above = p->xip[i])
		put(&b, (uint64_t)(above - p->xip[i]));
	put(&b, p->lsn);
	put(&b, (uint64_t)p->clock);
	put(&b, (uint64_t)p->td_pos);
	put(&b, (uint64_t)p->td_id);
	return arena_printf(a, "s%s", b64url_encode(a, b.s, b.n));
}

struct reader {
	const unsigned char *p, *end;
	bool bad;
};

/* A number of at most max, in its shortest form. */
static int64_t
get(struct reader *r, int64_t max)
{
	uint64_t v = 0;
	int shift;

	for (shift = 0; shift < 63 && r->p < r->end; shift += 7) {
		unsigned char c = *r->p++;

		v |= (uint64_t)(c & 0x7f) << shift;
		if (c & 0x80)
			continue;
		if ((c == 0 && shift > 0) || v > (uint64_t)max)
			break;
		return (int64_t)v;
	}
	r->bad = true;
	return 0;
}

bool
token_decode(struct arena *a, const char *s, struct position *p)
{
	struct reader r = { 0 };
	size_t len = strlen(s), n, i;
	int64_t above;

	*p = (struct position){ 0 };
	if (*s != 's' || len > TOKEN_MAX || (r.p = b64_decode(a, s + 1, len - 1, &n)) == NULL)
		return false;
	r.end = r.p + n;
	p->epoch = get(&r, POS_EPOCH_MAX);
	p->tag = get(&r, UINT32_MAX);
	above = p->xmax = POS(p->epoch, get(&r, XID_MASK));
	p->nxip = (size_t)get(&r, POSITION_XIP_MAX);
	p->xip = arena_calloc(a, p->nxip + 1, sizeof(*p->xip));
	for (i = p->nxip; i-- > 0; above = p->xip[i]) {
		int64_t d = get(&r, XID_MASK);

		/* ids begin at 3, so what is in progress stays above 0 in its epoch */
		if (d == 0 || d >= (above & XID_MASK))
			return false;
		p->xip[i] = above - d;
	}
	p->lsn = (uint64_t)get(&r, INT64_MAX);
	p->clock = get(&r, INT64_MAX);
	p->td_pos = get(&r, INT64_MAX);
	p->td_id = get(&r, INT64_MAX);
	return !r.bad && r.p == r.end && p->epoch > 0;
}

/* ---- judging (design 3) */

enum token_state
token_judge(const struct position *t, const struct position *now, const struct epochs *h)
{
	size_t i;

	if (t->epoch == 0)
		return TOKEN_GOOD;
	for (i = 0; i < h->n && h->v[i].epoch != t->epoch; i++)
		;
	/* Never lived here, or only in a copy that went its own way. */
	if (i == h->n || h->v[i].tag != t->tag)
		return TOKEN_LOST;
	/* It had seen WAL that this server has not written: what is here is an older copy. */
	if (t->lsn > now->lsn || (t->epoch == now->epoch && t->xmax > now->xmax))
		return TOKEN_LOST;
	/* A later life began below what it had seen, or somewhere else, from a dump of unknown age. */
	for (i++; i < h->n; i++)
		if (h->v[i].lsn < t->lsn || strcmp(h->v[i].home, h->v[i - 1].home) != 0)
			return TOKEN_LOST;
	return TOKEN_GOOD;
}
