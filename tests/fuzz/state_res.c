/*
 * tests/fuzz/state_res.c - state resolution of whatever graph the bytes make: circles, events that cite
 * themselves, unknown and rejected ones, states that no server would have. It must come to its
 * end, and to the same end whatever the order of the states and of their items.
 */
#include "core/event/state_res.h"

#define EVENTS 48
#define SETS   4

struct bytes {
	const unsigned char *p;
	size_t n;
};

static unsigned
next(struct bytes *b, unsigned below)
{
	return b->n ? (b->n--, *b->p++ % below) : 0;
}

struct world {
	struct ctx cx;
	const struct room_version *rv;
	struct event ev[EVENTS];
	bool unknown[EVENTS];
	struct state_set sets[SETS + 1];
	size_t nsets;
};

static const char *const types[] = { "m.room.power_levels", "m.room.join_rules", "m.room.member", "m.room.topic",
	"m.room.create", "m.room.third_party_invite", "m.room.aliases", "m.room.redaction" };
static const char *const users[] = { "@a:a", "@b:b", "@c:c", "@a:b", "", "x\\u0000\\\"" };
static const char *const contents[] = { "{}", "{\"membership\":\"join\"}", "{\"membership\":\"leave\"}",
	"{\"membership\":\"ban\"}", "{\"membership\":\"invite\"}", "{\"membership\":7}", "{\"join_rule\":\"public\"}",
	"{\"join_rule\":\"restricted\"}", "{\"users\":{\"@a:a\":100,\"@b:b\":50}}", "{\"users\":{\"@b:b\":100}}",
	"{\"users\":7,\"users_default\":\"x\"}", "{\"users_default\":60,\"state_default\":0}", "{\"creator\":\"@a:a\"}",
	"{\"membership\":\"join\",\"join_authorised_via_users_server\":\"@b:b\"}",
	"{\"membership\":\"invite\",\"third_party_invite\":{\"signed\":{\"mxid\":\"@b:b\",\"token\":\"x\"}}}" };
#define ANY(list, b) list[next(b, sizeof(list) / sizeof(list[0]))]

static const char *
id_of(struct world *w, unsigned i)
{
	return arena_printf(w->cx.a, i ? "$%u\\\"" : "$c", i);
}

static void
make_event(struct world *w, unsigned i, struct bytes *b)
{
	struct event *ev = &w->ev[i];
	unsigned flags = next(b, 256);
	const char *text = ANY(contents, b);

	*ev = (struct event){ .rv = w->rv, .id = id_of(w, i), .room = flags & 1 && flags & 8 ? "!d" : "!c",
		.type = i ? ANY(types, b) : "m.room.create", .sender = ANY(users, b), .state_key = i ? ANY(users, b) : "",
		.ts = next(b, 8), .depth = next(b, 8), .rejected = flags & 2 && flags & 16 };
	w->unknown[i] = i && flags & 4 && flags & 32;
	if (flags & 64 && flags & 128)
		ev->state_key = NULL;
	json_parse(w->cx.a, text, strlen(text), &ev->content);
	ev->nauth = next(b, 6);
	ev->auth_ids = arena_calloc(w->cx.a, 6, sizeof(*ev->auth_ids));
	for (size_t k = 0; k < ev->nauth; k++)
		ev->auth_ids[k] = id_of(w, next(b, EVENTS + 1));
}

static void
make_set(struct world *w, struct state_set *s, struct bytes *b)
{
	struct state_item *v = arena_calloc(w->cx.a, 16, sizeof(*v));
	unsigned want = next(b, 16);

	for (s->v = v, s->n = 0; want > 0; want--) {
		const struct event *ev = &w->ev[next(b, EVENTS)];
		bool taken = !ev->state_key;

		for (size_t i = 0; !taken && i < s->n; i++)
			taken = strcmp(v[i].type, ev->type) == 0 && strcmp(v[i].key, ev->state_key) == 0;
		if (!taken)
			v[s->n++] = (struct state_item){ ev->type, ev->state_key, ev->id, 0 };
	}
}

static void
load(void *arg, const char *const *ids, size_t n, struct state_event *out)
{
	const struct world *w = arg;

	for (size_t i = 0; i < n; i++) {
		out[i] = (struct state_event){ NULL, 0 };
		for (size_t k = 0; k < EVENTS; k++)
			if (!w->unknown[k] && strcmp(w->ev[k].id, ids[i]) == 0)
				out[i].ev = &w->ev[k];
	}
}

static const char *
value(struct state_set s, const struct state_item *it)
{
	for (size_t i = 0; i < s.n; i++)
		if (strcmp(s.v[i].type, it->type) == 0 && strcmp(s.v[i].key, it->key) == 0)
			return s.v[i].id;
	return "";
}

static void
turn(struct world *w, struct state_set *sets, size_t n)
{
	for (size_t s = 0; s < n; s++) {
		struct state_item *v = arena_calloc(w->cx.a, sets[s].n, sizeof(*v));

		for (size_t i = 0; i < sets[s].n; i++)
			v[i] = sets[s].v[sets[s].n - 1 - i];
		sets[s].v = v;
	}
	sets[n] = sets[0];
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct bytes b = { data, size };
	struct world w = { .cx = { .a = arena_new() } };
	struct state_source src = { .load = load, .arg = &w };
	struct state_set x, y;
	size_t nversions;

	w.rv = room_versions(&nversions)[next(&b, (unsigned)nversions)];
	for (unsigned i = 0; i < EVENTS; i++)
		make_event(&w, i, &b);
	w.nsets = 1 + next(&b, SETS);
	for (size_t s = 0; s < w.nsets; s++)
		make_set(&w, &w.sets[s], &b);
	if (state_resolve(&w.cx, w.rv, "!c", w.sets, w.nsets, &src, &x) == M_OK) {
		turn(&w, w.sets, w.nsets);
		if (state_resolve(&w.cx, w.rv, "!c", w.sets + 1, w.nsets, &src, &y) != M_OK || x.n != y.n)
			abort();
		for (size_t i = 0; i < x.n; i++)
			if (strcmp(x.v[i].id, value(y, &x.v[i])) != 0)
				abort();
	}
	arena_free(w.cx.a);
	return 0;
}
