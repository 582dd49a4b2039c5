/*
 * core/room/names.c - see names.h.
 *
 * The cache is a table with open addressing in an arena of its own. When it is
 * full it is thrown away as a whole and fills again: the names in use come back
 * with the next requests, and no bookkeeping is needed.
 */
#include "core/room/names.h"
#include "core/base/conf.h"
#include "core/base/id.h"
#include "core/base/json.h"
#include "core/base/sorted.h"

#define CACHE_SLOTS 32768	/* a power of two */
#define CACHE_MAX (CACHE_SLOTS / 2)

static const char *const well_known[NAME_WELL_KNOWN] = {
	"", "m.room.create", "m.room.member", "m.room.power_levels", "m.room.join_rules",
	"m.room.history_visibility", "m.room.guest_access", "m.room.name", "m.room.topic",
	"m.room.avatar", "m.room.canonical_alias", "m.room.encryption", "m.room.tombstone",
	"m.room.third_party_invite", "m.room.server_acl", "m.room.pinned_events",
	"m.room.message", "m.room.encrypted", "m.room.redaction", "m.reaction",
	"m.space.child", "m.space.parent", "m.room.aliases", "m.sticker", "m.room.policy",
	"m.annotation", "m.replace", "m.thread", "m.reference",
};

/* ORDER BY: all transactions wait for each other's names in the same order. */
STMT(name_insert,
    "INSERT INTO name (body) SELECT DISTINCT b FROM unnest($1::text[]) b"
    " WHERE (SELECT nid FROM name WHERE body = b) IS NULL ORDER BY b"
    " ON CONFLICT (body) DO NOTHING");
/* The last column: is it committed, that is, not made by this very transaction? */
STMT(name_select,
    "SELECT nid, body, (xmin::text::bigint <> (pg_current_xact_id_if_assigned()::text::bigint & 4294967295)) IS NOT FALSE"
    " FROM name WHERE body = ANY($1)");
STMT_WARM(name_select, "web");

STMT(name_bodies, "SELECT nid, body FROM name WHERE nid = ANY($1) ORDER BY nid");

struct cached {
	const char *body;
	int64_t nid;
};
static struct arena *cache_arena;
static struct cached *cache;		/* by text */
static struct cached **cache_nid;	/* the same, by number */
static size_t ncached;
static int64_t cache_connection = 1;	/* by which it was filled; another may be to a database restored to before some were made */

static uint64_t
hash_of(const char *s)
{
	uint64_t h = 14695981039346656037u;	/* FNV-1a */

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 1099511628211u;
	return h;
}

static struct cached *
cache_slot(const char *body)
{
	size_t i = hash_of(body) & (CACHE_SLOTS - 1);

	while (cache[i].body != NULL && strcmp(cache[i].body, body) != 0)
		i = (i + 1) & (CACHE_SLOTS - 1);
	return &cache[i];
}

static struct cached **
cache_nid_slot(int64_t nid)
{
	size_t i = (uint64_t)nid * 0x9e3779b97f4a7c15u >> 32 & (CACHE_SLOTS - 1);

	while (cache_nid[i] != NULL && cache_nid[i]->nid != nid)
		i = (i + 1) & (CACHE_SLOTS - 1);
	return &cache_nid[i];
}

static void
cache_add(const char *body, int64_t nid)
{
	struct cached *c = cache_slot(body);

	*c = (struct cached){ body, nid };
	*cache_nid_slot(nid) = c;
	ncached++;
}

static void
cache_reset(void)
{
	arena_free(cache_arena);
	cache_arena = arena_new();
	cache = arena_calloc(cache_arena, CACHE_SLOTS, sizeof *cache);
	cache_nid = arena_calloc(cache_arena, CACHE_SLOTS, sizeof *cache_nid);
	ncached = 0;
	for (int64_t i = 0; i < NAME_WELL_KNOWN; i++)
		cache_add(well_known[i], i);
}

/* Before anything is looked up for a request. Connection 0, none yet, will be the first. */
static void
cache_check(const struct ctx *cx)
{
	int64_t now = cx->db != NULL ? db_connection(cx->db) : 0;

	if (now == 0 || now == cache_connection)
		return;
	if (cache != NULL)
		cache_reset();
	cache_connection = now;
}

static void
cache_put(const char *body, int64_t nid)
{
	if (cache == NULL || ncached >= CACHE_MAX)
		cache_reset();
	if (cache_slot(body)->body == NULL)
		cache_add(arena_strdup(cache_arena, body), nid);
}

const char *
name_well_known(int64_t nid)
{
	return nid >= 0 && nid < NAME_WELL_KNOWN ? well_known[nid] : NULL;
}

int64_t
name_known(const char *body)
{
	if (cache == NULL)
		cache_reset();
	const struct cached *c = cache_slot(body);
	return c->body != NULL ? c->nid : -1;
}

bool
name_fits(const char *body)
{
	size_t esc = strlen(body), n = 0;

	if (esc <= ID_MAX)
		return true;	/* escapes only make it longer */
	if (esc > 6 * ID_MAX)
		return false;
	for (const char *p = body; *p; n++) {
		if (*p != '\\')
			p++;
		else
			p += p[1] == 'u' ? 6 : 2;
	}
	return n <= ID_MAX;
}

bool
name_is_local(const struct ctx *cx, const char *id)
{
	const char *server = id_server(id);

	return server != NULL && strcmp(server, cx->conf->server_name) == 0;
}

enum err
name_nid(struct ctx *cx, const char *body, int64_t *nid)
{
	struct names ns;
	enum err e;

	if (!name_fits(body))
		return fail(cx, M_TOO_LARGE, "an identifier has at most 255 bytes");
	names_init(&ns, cx);
	names_add(&ns, body);
	names_queue(&ns);
	if (ns.asked && (e = db_run(cx)) != M_OK)
		return e;
	names_take(&ns);
	*nid = ns.nid[0];
	return M_OK;
}

/* The text of a nid that the cache has, else NULL. It goes with the cache. */
static const char *
text_known(int64_t nid)
{
	struct cached *c = cache != NULL ? *cache_nid_slot(nid) : NULL;

	return c != NULL ? c->body : NULL;
}

/* Those of texts that are NULL, out of rows that come by nid. */
static void
take_texts(struct ctx *cx, struct rows *r, const int64_t *nids, size_t n, const char **texts)
{
	int64_t *found = arena_calloc(cx->a, (size_t)r->n + 1, sizeof *found);
	const char **body = arena_calloc(cx->a, (size_t)r->n + 1, sizeof *body);
	size_t k = 0;

	while (db_next(r)) {
		found[k] = db_i64(r, 0);
		body[k++] = db_text(r, 1);
		cache_put(db_text(r, 1), db_i64(r, 0));
	}
	for (size_t i = 0; i < n; i++) {
		size_t at = texts[i] == NULL ? i64_place(found, k, nids[i]) : k;

		if (at < k && found[at] == nids[i])
			texts[i] = body[at];
	}
}

enum err
name_texts(struct ctx *cx, const int64_t *nids, size_t n, const char **texts)
{
	int64_t *unknown = arena_calloc(cx->a, n + 1, sizeof *unknown);
	size_t nunknown = 0;
	struct rows r;
	enum err e;

	cache_check(cx);
	for (size_t i = 0; i < n; i++) {
		const char *text = text_known(nids[i]);

		texts[i] = text != NULL ? arena_strdup(cx->a, text) : NULL;
		if (text == NULL)
			unknown[nunknown++] = nids[i];
	}
	if (nunknown == 0)
		return M_OK;
	if ((e = db_query(cx, &r, &name_bodies, P_I64S(unknown, nunknown))) == M_OK)
		take_texts(cx, &r, nids, n, texts);
	return e;
}

enum err
name_find(struct ctx *cx, const char *body, int64_t *nid)
{
	const char *one[] = { body };
	struct rows r;
	enum err e;

	cache_check(cx);
	if ((*nid = name_known(body)) >= 0)
		return M_OK;
	if ((e = db_maybe(cx, &r, &name_select, P_TEXTS(one, 1))) != M_OK)
		return e;
	if (r.n == 0)
		return M_NOT_FOUND;
	*nid = db_i64(&r, 0);
	if (db_bool(&r, 2))
		cache_put(body, *nid);
	return M_OK;
}

void
names_init(struct names *ns, struct ctx *cx)
{
	cache_check(cx);
	*ns = (struct names){ .cx = cx };
}

static uint32_t *
slot_of(const struct names *ns, const char *body)
{
	size_t i = hash_of(body) & (ns->nslots - 1);

	while (ns->slots[i] != 0 && strcmp(ns->body[ns->slots[i] - 1], body) != 0)
		i = (i + 1) & (ns->nslots - 1);
	return &ns->slots[i];
}

/* Its index; n when it was not added. */
static size_t
place_of(const struct names *ns, const char *body)
{
	size_t i;

	if (ns->nslots > 0) {
		i = *slot_of(ns, body);
		return i > 0 ? i - 1 : ns->n;
	}
	for (i = 0; i < ns->n && strcmp(ns->body[i], body) != 0; i++)
		;
	return i;
}

/* A message names four; the state of a large room ten thousands. */
#define NAMES_FEW 16

static void
index_names(struct names *ns)
{
	ns->nslots = 4 * ns->cap;
	ns->slots = arena_calloc(ns->cx->a, ns->nslots, sizeof *ns->slots);
	for (size_t i = 0; i < ns->n; i++)
		*slot_of(ns, ns->body[i]) = (uint32_t)i + 1;
}

size_t
names_add(struct names *ns, const char *body)
{
	size_t at = place_of(ns, body);

	if (at < ns->n)
		return at;
	if (ns->n == ns->cap) {
		size_t cap = ns->cap ? 2 * ns->cap : 8;
		ns->body = arena_realloc(ns->cx->a, ns->body, ns->cap * sizeof *ns->body, cap * sizeof *ns->body);
		ns->nid = arena_realloc(ns->cx->a, ns->nid, ns->cap * sizeof *ns->nid, cap * sizeof *ns->nid);
		ns->cap = cap;
		if (cap > NAMES_FEW)
			index_names(ns);
	}
	ns->body[ns->n] = body;
	ns->nid[ns->n] = name_known(body);
	if (ns->nslots > 0)
		*slot_of(ns, body) = (uint32_t)ns->n + 1;
	return ns->n++;
}

void
names_queue(struct names *ns)
{
	const char **unknown = arena_alloc(ns->cx->a, (ns->n + 1) * sizeof *unknown);
	size_t n = 0;

	for (size_t i = 0; i < ns->n; i++)
		if (ns->nid[i] < 0)
			unknown[n++] = ns->body[i];
	ns->asked = n > 0;
	if (!ns->asked)
		return;
	db_queue(ns->cx, NULL, DB_NONE, &name_insert, P_TEXTS(unknown, n));
	db_queue(ns->cx, &ns->found, DB_ANY, &name_select, P_TEXTS(unknown, n));
}

static void
names_set(struct names *ns, const char *body, int64_t nid)
{
	size_t i = place_of(ns, body);

	if (i < ns->n && ns->nid[i] < 0)
		ns->nid[i] = nid;
}

void
names_take(struct names *ns)
{
	if (!ns->asked)
		return;
	ns->asked = false;
	while (db_next(&ns->found)) {
		const char *body = db_text(&ns->found, 1);
		int64_t nid = db_i64(&ns->found, 0);
		names_set(ns, body, nid);
		if (db_bool(&ns->found, 2))
			cache_put(body, nid);
	}
}

int64_t
names_nid(const struct names *ns, const char *body)
{
	size_t i = place_of(ns, body);

	return i < ns->n ? ns->nid[i] : -1;
}
