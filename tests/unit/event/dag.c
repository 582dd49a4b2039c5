/* tests/unit/event/dag.c - see dag.h. */
#include "tests/unit/event/dag.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/event/room.h"

#define EVENTS_MAX 50000
#define PLAIN_MAX  400	/* events in a room that plain.c is asked about */

const char *
dag_id(struct dag *d, const char *name)
{
	return arena_printf(d->cx.a, d->rv->event_id_format == 1 ? "$%s:a" : "$%s", name);
}

size_t
dag_find(struct dag *d, const char *id)
{
	ENTRY want = { .key = arena_strdup(d->cx.a, id) }, *found;

	return hsearch_r(want, FIND, &found, &d->by_id) ? (size_t)(uintptr_t)found->data : SIZE_MAX;
}

struct dag_event *
dag_at(struct dag *d, const char *name)
{
	size_t i = dag_find(d, dag_id(d, name));

	cr_assert_neq(i, SIZE_MAX, "no event %s", name);
	return &d->v[i];
}

/* States */

const char *
dag_value(struct state_set s, const char *type, const char *key)
{
	for (size_t i = 0; i < s.n; i++)
		if (strcmp(s.v[i].type, type) == 0 && strcmp(s.v[i].key, key) == 0)
			return s.v[i].id;
	return NULL;
}

static struct state_set
without(struct dag *d, struct state_set s, const char *type, const char *key)
{
	struct state_item *v = arena_calloc(d->cx.a, s.n + 1, sizeof(*v));
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		if (strcmp(s.v[i].type, type) != 0 || strcmp(s.v[i].key, key) != 0)
			v[n++] = s.v[i];
	return (struct state_set){ v, n };
}

struct state_set
dag_with(struct dag *d, struct state_set s, const struct event *ev)
{
	struct state_set out = without(d, s, ev->type, ev->state_key);
	struct state_item *last = (struct state_item *)(uintptr_t)&out.v[out.n++];

	*last = (struct state_item){ ev->type, ev->state_key, ev->id, (int64_t)dag_find(d, ev->id) + 1 };
	return out;
}

struct state_set
dag_after(struct dag *d, const char *name)
{
	return dag_at(d, name)->after;
}

static char *
next_word(char **rest)
{
	char *word;

	while ((word = strsep(rest, " ")) && !*word)
		;
	return word;
}

struct state_set
dag_claim(struct dag *d, const char *base, const char *changes)
{
	struct state_set s = base ? dag_after(d, base) : (struct state_set){ NULL, 0 };
	char *rest = arena_strdup(d->cx.a, changes), *word, *key;

	while ((word = next_word(&rest)))
		if (*word == '-') {
			key = strchrnul(word, ',');
			if (*key)
				*key++ = '\0';
			s = without(d, s, word + 1, key);
		} else {
			s = dag_with(d, s, &dag_at(d, word)->ev);
		}
	return s;
}

/* Resolution */

static void
load(void *arg, const char *const *ids, size_t n, struct state_event *out)
{
	struct dag *d = arg;

	d->loads++;
	d->loaded += n;
	for (size_t i = 0; i < n; i++) {
		size_t at = dag_find(d, ids[i]);

		out[i] = (struct state_event){ NULL, 0 };
		if (at == SIZE_MAX)
			continue;
		cr_assert_eq(d->v[at].asked++, 0, "%s was asked for twice", ids[i]);
		if (d->v[at].unknown)
			continue;
		d->v[at].light = d->v[at].ev;
		d->v[at].light.content = d->v[at].light.json = NULL;
		out[i] = (struct state_event){ &d->v[at].light, d->orders ? (int64_t)at + 1 : 0 };
	}
}

static void
fill(void *arg, const char *const *ids, size_t n)
{
	struct dag *d = arg;

	for (size_t i = 0; i < n; i++) {
		struct dag_event *e = &d->v[dag_find(d, ids[i])];

		cr_assert(e->asked && !e->light.content, "%s is filled twice, or was not asked for", ids[i]);
		e->light = e->ev;
		d->filled++;
	}
}

struct state_set
dag_merge(struct dag *d, const struct state_set *sets, size_t n)
{
	struct state_source src = { load, fill, d };
	struct state_set out;

	d->loads = d->loaded = d->filled = 0;
	for (size_t i = 0; i < d->n; i++)
		d->v[i].asked = 0;
	cr_assert_eq(state_resolve(&d->cx, d->rv, d->room, sets, n, &src, &out), M_OK);
	return out;
}

/* With the state at the end that stood at first: reversed and turned by one; items reversed, orders left out. */
static struct state_set
merge_otherwise(struct dag *d, const struct state_set *sets, size_t n)
{
	struct state_set *mixed = arena_calloc(d->cx.a, n + 1, sizeof(*mixed)), out;

	for (size_t i = 0; i < n; i++) {
		const struct state_set *s = &sets[(2 * n - i) % n];
		struct state_item *v = arena_calloc(d->cx.a, s->n, sizeof(*v));

		for (size_t k = 0; k < s->n; k++) {
			v[k] = s->v[s->n - 1 - k];
			v[k].order = 0;
		}
		mixed[i] = (struct state_set){ v, s->n };
	}
	mixed[n] = mixed[0];
	d->orders = false;
	out = dag_merge(d, mixed, n + 1);
	d->orders = true;
	return out;
}

static void
expect_same(struct state_set x, struct state_set y, const char *what)
{
	for (size_t i = 0; i < x.n; i++) {
		const char *other = dag_value(y, x.v[i].type, x.v[i].key);

		cr_assert(other && strcmp(other, x.v[i].id) == 0, "%s: (%s, %s) is %s, not %s", what, x.v[i].type,
		    x.v[i].key, other ? other : "absent", x.v[i].id);
	}
	cr_assert_eq(x.n, y.n, "%s: %zu items, not %zu", what, y.n, x.n);
}

struct state_set
dag_resolve(struct dag *d, const struct state_set *sets, size_t n)
{
	struct state_set out = dag_merge(d, sets, n);

	expect_same(out, merge_otherwise(d, sets, n), "in another order");
	if (d->rv->state_res != RES_V1 && d->n <= PLAIN_MAX)
		expect_same(plain_resolve(d, sets, n), out, "by the words of the specification");
	return out;
}

struct state_set
dag_resolve_names(struct dag *d, const char *names)
{
	struct state_set sets[16];
	char *rest = arena_strdup(d->cx.a, names), *word;
	size_t n = 0;

	while ((word = next_word(&rest)))
		sets[n++] = dag_after(d, word);
	return dag_resolve(d, sets, n);
}

void
dag_expect(struct dag *d, struct state_set s, const char *type, const char *key, const char *name, int line)
{
	const char *id = dag_value(s, type, key);

	if (!name)
		cr_assert_null(id, "line %d, v%s: (%s, %s) is %s", line, d->rv->id, type, key, id);
	else
		cr_assert(id && strcmp(id, dag_id(d, name)) == 0, "line %d, v%s: (%s, %s) is %s, not %s", line,
		    d->rv->id, type, key, id ? id : "absent", name);
}

/* Sending */

static const char **
ids_of(struct dag *d, const char *names, size_t *n)
{
	const char **ids = arena_calloc(d->cx.a, strlen(names) + 1, sizeof(*ids));
	char *rest = arena_strdup(d->cx.a, names), *word;

	for (*n = 0; (word = next_word(&rest));)
		ids[(*n)++] = dag_id(d, word);
	return ids;
}

static struct state_set
state_before(struct dag *d, const struct event *ev)
{
	struct state_set *sets = arena_calloc(d->cx.a, ev->nprev, sizeof(*sets));
	size_t at;

	for (size_t i = 0; i < ev->nprev; i++) {
		at = dag_find(d, ev->prev_ids[i]);
		cr_assert_neq(at, SIZE_MAX, "no event %s", ev->prev_ids[i]);
		sets[i] = d->v[at].after;
	}
	return dag_merge(d, sets, ev->nprev);
}

static void
choose_auth(struct dag *d, struct event *ev, struct state_set before)
{
	struct state_key keys[AUTH_KEYS_MAX];
	size_t n = auth_event_keys(&d->cx, ev->rv, ev->type, ev->sender, ev->state_key, ev->content, keys);

	ev->auth_ids = arena_calloc(d->cx.a, AUTH_KEYS_MAX, sizeof(*ev->auth_ids));
	ev->nauth = 0;
	for (size_t i = 0; i < n; i++) {
		const char *id = dag_value(before, keys[i].type, keys[i].key);

		if (id)
			ev->auth_ids[ev->nauth++] = id;
	}
}

static void
send_one(struct dag *d, const struct step *s)
{
	struct dag_event *e = &d->v[d->n];
	struct event *ev = &e->ev;
	struct state_set before;
	ENTRY entry, *found;

	cr_assert_lt(d->n, EVENTS_MAX);
	*e = (struct dag_event){ .name = s->id, .unknown = s->unknown };
	*ev = (struct event){ .rv = d->rv, .id = dag_id(d, s->id), .room = d->room, .type = s->type,
		.sender = s->sender, .state_key = s->key, .content = js(&d->cx, s->content ? s->content : "{}"),
		.ts = s->ts ? s->ts : (int64_t)(d->n + 1) * 1000, .depth = s->depth ? s->depth : (int64_t)d->n + 1,
		.rejected = s->rejected };
	ev->prev_ids = ids_of(d, s->after ? s->after : d->n ? d->v[d->n - 1].name : "", &ev->nprev);
	before = state_before(d, ev);
	if (s->auth)
		ev->auth_ids = ids_of(d, s->auth, &ev->nauth);
	else
		choose_auth(d, ev, before);
	e->auth = arena_calloc(d->cx.a, ev->nauth, sizeof(*e->auth));
	for (size_t i = 0; i < ev->nauth; i++)
		e->auth[i] = dag_find(d, ev->auth_ids[i]);
	entry = (ENTRY){ .key = arena_strdup(d->cx.a, ev->id), .data = (void *)(uintptr_t)d->n };
	cr_assert(hsearch_r(entry, ENTER, &found, &d->by_id));
	d->n++;
	e->after = s->rejected ? before : dag_with(d, before, ev);
}

void
dag_send(struct dag *d, const struct step *steps, size_t n)
{
	for (size_t i = 0; i < n; i++)
		send_one(d, &steps[i]);
}

const char *
dag_levels(struct dag *d, const char *settings, const char *levels)
{
	const char *alice = d->rv->privileged_creators ? "" : *levels ? "'@alice:a':100," : "'@alice:a':100";
	char *text = arena_printf(d->cx.a, "{%s'users':{%s%s}}", settings, alice, levels);

	for (char *s = text; (s = strchr(s, '\''));)
		*s = '"';
	return text;
}

void
dag_open_empty(struct dag *d, const char *version)
{
	*d = (struct dag){ .rv = room_version_get(version), .orders = true };
	cr_assert(d->rv);
	ctx_open(&d->cx);
	d->room = d->rv->room_id_is_create_hash ? "!create" : "!room:a";
	d->v = arena_calloc(d->cx.a, EVENTS_MAX, sizeof(*d->v));
	cr_assert(hcreate_r(2 * EVENTS_MAX, &d->by_id));
}

void
dag_open(struct dag *d, const char *version)
{
	dag_open_empty(d, version);
	DAG_SEND(d, { "create", "@alice:a", CREATE, "", d->rv->implicit_creator ? "{}" : "{\"creator\":\"@alice:a\"}" },
	    { "alice", "@alice:a", MEMBER, "@alice:a", JOIN },
	    { "levels", "@alice:a", LEVELS, "", dag_levels(d, "", "'@bob:b':50") },
	    { "rules", "@alice:a", RULES, "", "{\"join_rule\":\"public\"}" },
	    { "bob", "@bob:b", MEMBER, "@bob:b", JOIN },
	    { "carol", "@carol:c", MEMBER, "@carol:c", JOIN },
	    { "dave", "@dave:d", MEMBER, "@dave:d", JOIN });
}

void
dag_close(struct dag *d)
{
	hdestroy_r(&d->by_id);
	ctx_close(&d->cx);
}
