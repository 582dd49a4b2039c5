/* core/room/known.c - see known.h. */
#include "core/room/known.h"

#include <string.h>

#include "core/db/db.h"

#define BUCKETS 4096
#define BYTES_MAX ((size_t)4 << 20)	/* of a generation */
#define CONTENT_MAX 32768		/* of one event: larger ones are read each time */
#define SLOTS_MAX 64			/* of one room; then it begins anew */

struct remembered {
	struct remembered *next;
	struct slot slot;
};
struct known {
	struct known *next;
	const char *id;
	int64_t nid, ver, edits;
	int64_t connection;
	struct remembered *slots;
	size_t n;
};
struct generation {
	struct arena *a;
	struct known *bucket[BUCKETS];
};
struct known_rooms {
	struct arena *a;
	struct generation gen[2];	/* 0: the younger */
};

struct known_rooms *
known_new(void)
{
	struct arena *a = arena_new();
	struct known_rooms *m = arena_zalloc(a, sizeof *m);

	m->a = a;
	return m;
}

void
known_free(struct known_rooms *m)
{
	for (int i = 0; i < 2; i++)
		if (m->gen[i].a != NULL)
			arena_free(m->gen[i].a);
	arena_free(m->a);
}

static size_t
bucket_of(const char *id)
{
	uint32_t h = 2166136261u;

	for (; *id != '\0'; id++)
		h = (h ^ (unsigned char)*id) * 16777619u;
	return h % BUCKETS;
}

static struct known *
find(const struct generation *g, const char *id)
{
	struct known *k = g->bucket[bucket_of(id)];

	while (k != NULL && strcmp(k->id, id) != 0)
		k = k->next;
	return k;
}

static const struct slot *
find_slot(const struct known *k, const struct slot *like)
{
	for (const struct remembered *r = k->slots; r != NULL; r = r->next)
		if (strcmp(r->slot.key, like->key) == 0 && strcmp(r->slot.type, like->type) == 0)
			return &r->slot;
	return NULL;
}

static bool
has_all(const struct known *k, const struct slot *slots, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (find_slot(k, &slots[i]) == NULL)
			return false;
	return true;
}

const struct known *
known_find(const struct known_rooms *m, const char *room_id, const struct slot *slots, size_t n)
{
	for (int i = 0; m != NULL && i < 2; i++) {
		const struct known *k = find(&m->gen[i], room_id);

		if (k != NULL && has_all(k, slots, n))
			return k;
	}
	return NULL;
}

static bool
is_as_of(const struct known *k, const struct ctx *cx, const struct room *room)
{
	return k->connection == db_connection(cx->db) && k->nid == room->nid && k->ver == room->state_ver && k->edits == room->state_edits;
}

bool
known_recall(const struct known *k, const struct ctx *cx, const struct room *room, struct slot *slots, size_t n)
{
	if (!is_as_of(k, cx, room))
		return false;
	for (size_t i = 0; i < n; i++) {
		struct slot own = slots[i];

		slots[i] = *find_slot(k, &own);
		slots[i].type = own.type;
		slots[i].key = own.key;
		slots[i].type_nid = own.type_nid;
		slots[i].key_nid = own.key_nid;
	}
	return true;
}

static const char *
dup(struct arena *a, const char *s)
{
	return s != NULL ? arena_strdup(a, s) : NULL;
}

static const struct event *
copy_event(struct arena *a, const struct event *ev, const char *content, const char *room_id)
{
	struct event *copy = arena_zalloc(a, sizeof *copy);

	content = arena_strdup(a, content);
	*copy = (struct event){ .rv = ev->rv, .id = dup(a, ev->id), .room = room_id, .type = dup(a, ev->type),
		.state_key = dup(a, ev->state_key), .sender = dup(a, ev->sender), .ts = ev->ts };
	json_parse(a, content, strlen(content), &copy->content);
	return copy;
}

static void
remember(struct arena *scratch, struct arena *a, struct known *k, const struct slot *s)
{
	size_t n = 0;
	const char *content = s->ev != NULL ? json_canonical_str(scratch, s->ev->content, &n) : NULL;
	struct remembered *r;

	if (n > CONTENT_MAX)
		return;
	r = arena_zalloc(a, sizeof *r);

	r->slot = *s;
	r->slot.type = dup(a, s->type);
	r->slot.key = dup(a, s->key);
	r->slot.ev = s->ev != NULL ? copy_event(a, s->ev, content, k->id) : NULL;
	r->next = k->slots;
	k->slots = r;
	k->n++;
}

static struct known *
place(struct generation *g, const struct ctx *cx, const struct room *room)
{
	struct known *k = find(g, room->id);
	size_t b = bucket_of(room->id);

	if (k == NULL) {
		k = arena_zalloc(g->a, sizeof *k);
		k->id = arena_strdup(g->a, room->id);
		k->next = g->bucket[b];
		g->bucket[b] = k;
	} else if (is_as_of(k, cx, room) && k->n < SLOTS_MAX) {
		return k;
	}
	k->nid = room->nid;
	k->ver = room->state_ver;
	k->edits = room->state_edits;
	k->connection = db_connection(cx->db);
	k->slots = NULL;	/* their memory comes back with the generation's */
	k->n = 0;
	return k;
}

void
known_learn(struct ctx *cx, const struct room *room, const struct slot *slots, size_t n)
{
	struct generation *g = cx->known != NULL ? cx->known->gen : NULL;
	struct known *k;

	/* What is written as canonical JSON and parsed again is the same, but for the odd numbers that old versions allow. */
	if (g == NULL || !room->rv->strict_canonical)
		return;
	if (g[0].a == NULL || arena_used(g[0].a) > BYTES_MAX) {
		if (g[1].a != NULL)
			arena_free(g[1].a);
		g[1] = g[0];
		g[0] = (struct generation){ .a = arena_new() };
	}
	k = place(g, cx, room);
	for (size_t i = 0; i < n; i++)
		if (find_slot(k, &slots[i]) == NULL)
			remember(cx->a, g[0].a, k, &slots[i]);
}
