/*
 * core/sync/wait.c - a waiting request as bytes; see sync.h.
 *
 * Thousands of them lie in the park process, so the form is small: a version
 * byte, then varints (7 bits a byte, low first) and strings as length + bytes;
 * rooms sorted, as differences.
 */
#include "core/sync/sync.h"

#include <stdlib.h>
#include <string.h>
#include "core/base/clock.h"
#include "core/crypto/crypto.h"
#include "core/sync/token.h"

#define WAIT_VERSION 3
#define HEAVY_AFTER_MS (5 * 60 * 1000)	/* a token older than that may mean a long catch-up */

enum { F_FULL_STATE = 1, F_STATE_AFTER = 2, F_UNSTABLE_AFTER = 4 };

static void
put_int(struct buf *b, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		buf_putc(b, (char)(v | 0x80));
	buf_putc(b, (char)v);
}

/* NULL is 0, a string its length + 1. */
static void
put_str(struct buf *b, const char *s)
{
	size_t n = s ? strlen(s) : 0;

	put_int(b, s ? n + 1 : 0);
	if (n > 0)
		buf_add(b, s, n);
}

static int
i64_cmp(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void
put_rooms(struct buf *b, const int64_t *rooms, size_t n)
{
	int64_t *v = arena_alloc(b->a, n * sizeof(*v) + 1), last = 0;

	if (n > 0)
		memcpy(v, rooms, n * sizeof(*v));
	qsort(v, n, sizeof(*v), i64_cmp);
	put_int(b, n);
	for (size_t i = 0; i < n; last = v[i++])
		put_int(b, (uint64_t)(v[i] - last));
}

size_t
sync_wait_pack(struct arena *a, const struct sync_wait *w, void **out)
{
	struct buf b;

	buf_init(&b, a);
	buf_putc(&b, WAIT_VERSION);
	put_int(&b, (uint64_t)w->kind);
	put_int(&b, (uint64_t)(w->full_state * F_FULL_STATE | w->use_state_after * F_STATE_AFTER |
	    w->unstable_state_after * F_UNSTABLE_AFTER));
	put_int(&b, (uint64_t)w->user_nid);
	put_int(&b, (uint64_t)w->device);
	buf_putc(&b, w->token != NULL);
	if (w->token != NULL)
		buf_add(&b, (const char *)w->token, SHA256_LEN);
	put_int(&b, (uint64_t)w->deadline);
	put_int(&b, (uint64_t)w->seen);
	put_str(&b, w->user);
	put_str(&b, w->device_id);
	put_str(&b, w->since);
	put_str(&b, w->filter);
	put_str(&b, w->next);
	put_str(&b, w->counts);
	put_str(&b, w->unused);
	put_rooms(&b, w->rooms, w->nrooms);
	*out = b.s;
	return b.n;
}

/* Reading: a fault empties the rest and is seen at the end. */
struct reader {
	const unsigned char *p, *end;
	bool bad;
};

static uint64_t
get_int(struct reader *r)
{
	uint64_t v = 0;

	for (int shift = 0; shift < 64 && r->p < r->end; shift += 7) {
		unsigned char c = *r->p++;

		v |= (uint64_t)(c & 0x7f) << shift;
		if (c < 0x80)
			return v;
	}
	r->bad = true;
	r->p = r->end;
	return 0;
}

static const char *
get_str(struct reader *r, struct arena *a)
{
	uint64_t n = get_int(r);
	const char *s;

	if (n == 0)
		return NULL;
	if (--n > (uint64_t)(r->end - r->p)) {
		r->bad = true;
		return NULL;
	}
	s = arena_strndup(a, (const char *)r->p, n);
	r->p += n;
	return s;
}

static const unsigned char *
get_token(struct reader *r, struct arena *a)
{
	const unsigned char *p;

	if (get_int(r) == 0)
		return NULL;
	if (r->end - r->p < SHA256_LEN) {
		r->bad = true;
		return NULL;
	}
	p = r->p;
	r->p += SHA256_LEN;
	return memcpy(arena_alloc(a, SHA256_LEN), p, SHA256_LEN);
}

static void
get_rooms(struct reader *r, struct arena *a, struct sync_wait *w)
{
	uint64_t n = get_int(r);
	int64_t *v, last = 0;

	if (n > (uint64_t)(r->end - r->p)) {	/* each takes a byte at least */
		r->bad = true;
		return;
	}
	v = arena_alloc(a, n * sizeof(*v) + 1);
	for (uint64_t i = 0; i < n; i++)
		last = v[i] = (int64_t)((uint64_t)last + get_int(r));
	w->rooms = v;
	w->nrooms = n;
}

enum err
sync_wait_unpack(struct arena *a, const void *p, size_t n, struct sync_wait *w)
{
	struct reader r = { .p = p, .end = (const unsigned char *)p + n };
	uint64_t flags;

	memset(w, 0, sizeof(*w));
	if (n == 0 || *r.p++ != WAIT_VERSION)
		return M_UNKNOWN;
	w->kind = (int)get_int(&r);
	flags = get_int(&r);
	w->full_state = (flags & F_FULL_STATE) != 0;
	w->use_state_after = (flags & F_STATE_AFTER) != 0;
	w->unstable_state_after = (flags & F_UNSTABLE_AFTER) != 0;
	w->user_nid = (int64_t)get_int(&r);
	w->device = (int64_t)get_int(&r);
	w->token = get_token(&r, a);
	w->deadline = (int64_t)get_int(&r);
	w->seen = (int64_t)get_int(&r);
	w->user = get_str(&r, a);
	w->device_id = get_str(&r, a);
	w->since = get_str(&r, a);
	w->filter = get_str(&r, a);
	w->next = get_str(&r, a);
	w->counts = get_str(&r, a);
	w->unused = get_str(&r, a);
	get_rooms(&r, a, w);
	return r.bad || r.p != r.end ? M_UNKNOWN : M_OK;
}

/* Two snapshots: one that is HEAVY_AFTER_MS old at least (and not yet twice that, in a busy process), and the one that will be it next. */
static struct noted {
	int64_t xmax, mono;
} noted[2];

void
sync_wait_note(int64_t xmax, int64_t mono)
{
	if (noted[1].xmax != 0 && mono - noted[1].mono < HEAVY_AFTER_MS)
		return;
	noted[0] = noted[1];
	noted[1] = (struct noted){ xmax, mono };
}

bool
sync_wait_heavy(struct arena *a, const struct sync_wait *w)
{
	struct position p;

	if (!w->since || w->full_state)
		return true;
	return token_decode(a, w->since, &p) && (p.clock < clock_ms() - HEAVY_AFTER_MS || p.xmax < noted[0].xmax);
}

const char *
sync_empty_body(struct arena *a, const struct sync_wait *w, size_t *n)
{
	const char *next = w->next ? w->next : w->since;
	struct json_out o;

	json_out_init(&o, a);
	json_obj(&o, NULL);
	if (w->kind == 0) {
		json_str(&o, "next_batch", next);
		if (w->counts && w->unused) {
			json_raw(&o, "device_one_time_keys_count", w->counts);
			json_raw(&o, "device_unused_fallback_key_types", w->unused);
		}
	} else {
		json_arr(&o, "chunk");
		json_end(&o);
		json_str(&o, "start", w->since ? w->since : next);
		json_str(&o, "end", next);
	}
	json_end(&o);
	*n = o.b.n;
	return o.b.s;
}
