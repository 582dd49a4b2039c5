/* tests/db/room/remote.c - see remote.h. */
#include "tests/db/room/remote.h"

#include "core/base/id.h"
#include <stdlib.h>
#include <string.h>

#define REMOTE_MAX 5000

static bool
key_of(void *arg, const char *server, const char *key_id, int64_t ts, bool strict, unsigned char pub[ED25519_PUB])
{
	(void)server, (void)ts, (void)strict;
	if (strcmp(key_id, "ed25519:1") != 0)
		return false;
	memcpy(pub, ((const struct signing_key *)arg)->pub, ED25519_PUB);
	return true;
}

static struct server_keys keys_of(struct remote *rm) { return (struct server_keys){ key_of, (void *)(uintptr_t)rm->d.cx.key }; }

static const struct conf *
conf_of(struct remote *rm, const char *user)
{
	struct conf *c = arena_zalloc(rm->d.cx.a, sizeof *c);

	*c = *test_conf();
	c->server_name = id_server(user);
	return c;
}

static bool
always(void *arg, const struct event *ev, const char *server)
{
	(void)arg, (void)ev, (void)server;
	return true;
}

struct ask {
	struct remote *rm;
	struct state_set s;
};

static const struct event *
ask_get(void *arg, const char *type, const char *key)
{
	const struct ask *q = arg;
	const char *id = dag_value(q->s, type, key);

	return id ? &q->rm->d.v[dag_find(&q->rm->d, id)].ev : NULL;
}

static bool
allows(struct remote *rm, const struct event *ev, struct state_set s)
{
	struct ask q = { rm, s };
	struct auth_state st = { .get = ask_get, .arg = &q, .signed_by = always };

	if (rm->d.rv->no_create_in_auth)
		st.create = &rm->d.v[0].ev;
	return event_auth(&rm->d.cx, ev, &st) == M_OK;
}

static struct state_set
resolved(struct remote *rm, const struct state_set *sets, size_t n)
{
	if (n == 1)
		return sets[0];
	if (rm->d.rv->state_res == RES_V1 || rm->d.n > 400)
		return dag_merge(&rm->d, sets, n);
	return plain_resolve(&rm->d, sets, n);
}

size_t
remote_at(struct remote *rm, const char *name)
{
	for (size_t i = 0; i < rm->d.n; i++)
		if (strcmp(rm->d.v[i].name, name) == 0)
			return i;
	cr_assert_fail("no event %s", name);
	return 0;
}

const char *
remote_id(struct remote *rm, const char *name)
{
	return rm->d.v[remote_at(rm, name)].ev.id;
}

static size_t
words(struct remote *rm, const char *names, size_t *out)
{
	char *rest = arena_strdup(rm->d.cx.a, names), *word;
	size_t n = 0;

	while ((word = strsep(&rest, " ")))
		if (*word)
			out[n++] = remote_at(rm, word);
	return n;
}

static void
cite_auth(struct remote *rm, struct event_draft *ed, struct state_set before, const char *auth)
{
	struct ctx *cx = &rm->d.cx;
	struct state_key keys[AUTH_KEYS_MAX];
	size_t at[EVENT_PREV_MAX], n = 0;

	if (auth)
		n = words(rm, auth, at);
	else
		for (size_t i = 0, k = auth_event_keys(cx, ed->rv, ed->type, ed->sender, ed->state_key, ed->content, keys); i < k; i++) {
			const char *id = dag_value(before, keys[i].type, keys[i].key);
			if (id)
				at[n++] = dag_find(&rm->d, id);
		}
	ed->auth_ids = arena_calloc(cx->a, n + 1, sizeof(char *));
	ed->auth_hashes = arena_calloc(cx->a, n + 1, sizeof(char *));
	for (size_t i = 0; i < n; i++) {
		ed->auth_ids[i] = rm->d.v[at[i]].ev.id;
		ed->auth_hashes[i] = event_reference_b64(cx->a, ed->rv, rm->d.v[at[i]].ev.json);
	}
	ed->nauth = n;
}

static struct state_set
cite_prev(struct remote *rm, struct event_draft *ed, const char *after)
{
	struct ctx *cx = &rm->d.cx;
	size_t at[EVENT_PREV_MAX], n = rm->d.n == 0 ? 0 : after ? words(rm, after, at) : (at[0] = rm->d.n - 1, 1);
	struct state_set *sets = arena_calloc(cx->a, n + 1, sizeof *sets);

	ed->prev_ids = arena_calloc(cx->a, n + 1, sizeof(char *));
	ed->prev_hashes = arena_calloc(cx->a, n + 1, sizeof(char *));
	for (size_t i = 0; i < n; i++) {
		const struct event *ev = &rm->d.v[at[i]].ev;
		sets[i] = rm->d.v[at[i]].after;
		ed->prev_ids[i] = ev->id;
		ed->prev_hashes[i] = event_reference_b64(cx->a, ed->rv, ev->json);
		if (ev->depth >= ed->depth)
			ed->depth = ev->depth + 1;
	}
	ed->nprev = n;
	return n ? resolved(rm, sets, n) : (struct state_set){ NULL, 0 };
}

static bool
is_rejected(struct remote *rm, const struct event *ev, struct state_set before)
{
	const struct event *list[EVENT_AUTH_MAX];
	struct state_set own = { NULL, 0 };

	for (size_t i = 0; i < ev->nauth; i++) {
		list[i] = &rm->d.v[dag_find(&rm->d, ev->auth_ids[i])].ev;
		own = dag_with(&rm->d, own, list[i]);
	}
	return auth_events_check(&rm->d.cx, ev, list, ev->nauth) != M_OK || !allows(rm, ev, own) ||
	    (rm->d.n > 0 && !allows(rm, ev, before));
}

const char *
remote_send_as(struct remote *rm, const char *name, const char *sender, const char *type, const char *key, const char *content, const char *after,
    const char *auth, int64_t ts)
{
	struct dag *d = &rm->d;
	struct dag_event *e = &d->v[d->n];
	struct event_draft ed = { .rv = d->rv, .room = d->room, .type = type, .state_key = key, .sender = arena_strdup(d->cx.a, sender), .depth = 1,
		.ts = ts ? ts : (int64_t)(d->n + 1) * 1000 };
	struct state_set before;
	ENTRY entry, *found;

	cr_assert_lt(d->n, REMOTE_MAX);
	ed.content = parse(&d->cx, content ? content : "{}");
	before = cite_prev(rm, &ed, after);
	cite_auth(rm, &ed, before, auth);
	d->cx.conf = conf_of(rm, sender);
	*e = (struct dag_event){ .name = arena_strdup(d->cx.a, name) };
	cr_assert_eq(event_build(&d->cx, &ed, &e->ev), M_OK, "%s: %s", name, d->cx.err_text);
	event_complete(&d->cx, &e->ev);
	e->ev.content_text = e->ev.rest_text = NULL;	/* as one that was read */
	e->ev.cites = NULL;
	if (d->n == 0)
		d->room = e->ev.room;
	e->ev.rejected = is_rejected(rm, &e->ev, before);
	e->auth = arena_calloc(d->cx.a, e->ev.nauth + 1, sizeof *e->auth);
	for (size_t i = 0; i < e->ev.nauth; i++)
		e->auth[i] = dag_find(d, e->ev.auth_ids[i]);
	entry = (ENTRY){ .key = arena_strdup(d->cx.a, e->ev.id), .data = (void *)(uintptr_t)d->n };
	cr_assert(hsearch_r(entry, ENTER, &found, &d->by_id));
	if (d->n == 0) {	/* what plain.c calls it */
		entry.key = arena_strdup(d->cx.a, dag_id(d, "create"));
		cr_assert(hsearch_r(entry, ENTER, &found, &d->by_id));
	}
	rm->before[d->n] = before;
	d->n++;
	e->after = e->ev.rejected || !key ? before : dag_with(d, before, &e->ev);
	return e->ev.id;
}

const char *
remote_send(struct remote *rm, const char *name, const char *sender, const char *type, const char *key, const char *content, const char *after)
{
	return remote_send_as(rm, name, sender, type, key, content, after, NULL, 0);
}

struct remote *
remote_empty(const char *version)
{
	struct remote *rm = calloc(1, sizeof *rm);

	dag_open_empty(&rm->d, version);
	if (!rm->d.rv->room_id_is_create_hash)
		rm->d.room = "!room:remote";
	else
		rm->d.room = NULL;
	rm->before = calloc(REMOTE_MAX, sizeof *rm->before);
	rm->soft = calloc(REMOTE_MAX, sizeof *rm->soft);
	return rm;
}

void
remote_open(struct remote *rm)
{
	const char *alice = "@alice:remote";
	bool v12 = rm->d.rv->privileged_creators;
	const char *version = rm->d.rv->id;

	remote_send(rm, "create", alice, CREATE, "", arena_printf(rm->d.cx.a, "{\"creator\":\"@alice:remote\",\"room_version\":\"%s\"}", version), NULL);
	remote_send(rm, "alice", alice, MEMBER, alice, JOIN, NULL);
	remote_send(rm, "levels", alice, LEVELS, "", v12 ? "{\"users\":{\"@bob:remote\":50}}"
	    : "{\"users\":{\"@alice:remote\":100,\"@bob:remote\":50}}", NULL);
	remote_send(rm, "rules", alice, RULES, "", "{\"join_rule\":\"public\"}", NULL);
	remote_send(rm, "bob", "@bob:remote", MEMBER, "@bob:remote", JOIN, NULL);
	remote_send(rm, "carol", "@carol:third", MEMBER, "@carol:third", JOIN, NULL);
	for (size_t i = 0; i < rm->d.n; i++)
		cr_assert(!rm->d.v[i].ev.rejected, "%s is rejected", rm->d.v[i].name);
}

struct remote *
remote_new(const char *version)
{
	struct remote *rm = remote_empty(version);

	remote_open(rm);
	return rm;
}

/* ---- telling */

struct incoming
wire(struct ctx *cx, struct remote *rm, size_t at)
{
	const struct server_keys keys = keys_of(rm);
	struct incoming in;
	enum err e = incoming_read(cx, rm->d.rv, parse(cx, json_canonical_str(cx->a, rm->d.v[at].ev.json, NULL)), &keys, &in);

	cr_assert_eq(e, M_OK, "%s: %s", rm->d.v[at].name, cx->err_text);
	cr_assert_not(in.pruned);
	cr_assert_str_eq(in.ev.id, rm->d.v[at].ev.id);
	return in;
}

/* All that some events are built on, themselves not; those of seen are not taken again. */
static size_t
add_chain(struct ctx *cx, struct remote *rm, size_t at, bool *seen, struct incoming *out)
{
	const struct dag_event *e = &rm->d.v[at];
	size_t n = 0;

	for (size_t i = 0; i < e->ev.nauth; i++) {
		if (seen[e->auth[i]])
			continue;
		seen[e->auth[i]] = true;
		out[n++] = wire(cx, rm, e->auth[i]);
		n += add_chain(cx, rm, e->auth[i], seen, out + n);
	}
	return n;
}

/* The state before an event, and the auth chains of it and of the event. */
static void
tell_state(struct ctx *cx, struct remote *rm, size_t at, struct import *im)
{
	struct state_set s = rm->before[at];
	bool *seen = arena_calloc(cx->a, rm->d.n, sizeof *seen);
	struct incoming *state = arena_alloc(cx->a, (s.n + 1) * sizeof *state), *chain = arena_alloc(cx->a, (rm->d.n + 1) * sizeof *chain);

	for (size_t i = 0; i < s.n; i++) {
		size_t x = dag_find(&rm->d, s.v[i].id);
		state[i] = wire(cx, rm, x);
		seen[x] = true;
	}
	im->state = state;
	im->nstate = s.n;
	im->nchain = add_chain(cx, rm, at, seen, chain);
	for (size_t i = 0; i < s.n; i++)
		im->nchain += add_chain(cx, rm, dag_find(&rm->d, s.v[i].id), seen, chain + im->nchain);
	im->chain = chain;
}

enum err
import_at(struct ctx *cx, struct remote *rm, const char *join, struct received *out)
{
	struct import im = { .rv = rm->d.rv, .room = rm->d.room };
	struct incoming in = wire(cx, rm, remote_at(rm, join));

	tell_state(cx, rm, remote_at(rm, join), &im);
	im.join = &in;
	return DO(cx, TX_RW, import_join(cx, &im, out));
}

static enum err
receive_one(struct ctx *cx, struct remote *rm, const struct incoming *in, const struct import *told, struct received *out)
{
	struct incoming *all = arena_alloc(cx->a, (1 + (told ? told->nchain + told->nstate : 0)) * sizeof *all);
	struct given_state given;
	struct receive rc;
	int64_t *nids;
	size_t n = 0;
	enum err e;

	all[n++] = *in;
	for (size_t i = 0; told && i < told->nstate; i++)
		all[n++] = told->state[i];
	for (size_t i = 0; told && i < told->nchain; i++)
		all[n++] = told->chain[i];
	nids = arena_calloc(cx->a, n + 1, sizeof *nids);
	if ((e = receive_open(&rc, cx, rm->d.room, all, n)) != M_OK || (e = receive_outliers(&rc, all + 1, n - 1, nids)) != M_OK)
		return e;
	given = (struct given_state){ nids, told ? told->nstate : 0 };
	if ((e = receive_event(&rc, in, told ? &given : NULL, out)) != M_OK)
		return e;
	return receive_close(&rc);
}

struct received
deliver(struct ctx *cx, struct remote *rm, const char *name)
{
	struct incoming in = wire(cx, rm, remote_at(rm, name));
	struct received out = { 0 };

	OK(cx, TX_RW, receive_one(cx, rm, &in, NULL, &out));
	return out;
}

void
deliver_all(struct ctx *cx, struct remote *rm, const char *names)
{
	char *copy = strdup(names), *rest = copy, *word;

	while ((word = strsep(&rest, " "))) {
		struct received r = deliver(cx, rm, word);
		cr_assert_eq(r.is, RECEIVED, "%s: %d %s", word, r.is, r.why);
	}
	free(copy);
}

struct received
deliver_over_hole(struct ctx *cx, struct remote *rm, const char *name)
{
	struct incoming in = wire(cx, rm, remote_at(rm, name));
	struct import im = { 0 };
	struct received out = { 0 };

	tell_state(cx, rm, remote_at(rm, name), &im);
	OK(cx, TX_RW, receive_one(cx, rm, &in, &im, &out));
	return out;
}

static enum err
fill_one(struct ctx *cx, struct remote *rm, int64_t top_pos, const struct incoming *in, size_t n, size_t *placed)
{
	struct receive rc;
	enum err e;

	if ((e = receive_open(&rc, cx, rm->d.room, in, n)) != M_OK || (e = receive_outliers(&rc, in, 0, NULL)) != M_OK ||
	    (e = hole_fill(&rc, top_pos, in, n, NULL, placed)) != M_OK)
		return e;
	return receive_close(&rc);
}

size_t
fill_hole(struct ctx *cx, struct remote *rm, const char *top, const char *names)
{
	int64_t top_pos = sql_int("SELECT room_pos FROM event WHERE id = '%s'", remote_id(rm, top));
	size_t at[REMOTE_MAX], n = words(rm, names, at), placed = 0;
	struct incoming *in = arena_alloc(cx->a, (n + 1) * sizeof *in);

	for (size_t i = 0; i < n; i++)
		in[i] = wire(cx, rm, at[i]);
	OK(cx, TX_RW, fill_one(cx, rm, top_pos, in, n, &placed));
	return placed;
}

/* ---- comparing */

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char *
state_text(struct remote *rm, struct state_set s)
{
	const char **v = arena_calloc(rm->d.cx.a, s.n + 1, sizeof *v);
	struct buf b;

	for (size_t i = 0; i < s.n; i++)
		v[i] = arena_printf(rm->d.cx.a, "%s|%s|%s", s.v[i].type, s.v[i].key, rm->d.v[dag_find(&rm->d, s.v[i].id)].ev.id);
	qsort(v, s.n, sizeof *v, by_text);
	buf_init(&b, rm->d.cx.a);
	for (size_t i = 0; i < s.n; i++)
		buf_addf(&b, "%s\n", v[i]);
	return b.s;
}

#define STATE_TEXT								\
	"SELECT string_agg(t, '' ORDER BY t COLLATE \"C\") FROM (SELECT tn.body || '|' || kn.body || '|' || e.id || E'\\n' AS t"	\
	" FROM %s s JOIN name tn ON tn.nid = s.type JOIN name kn ON kn.nid = s.key JOIN event e ON e.nid = s.event) x"

static const char *
name_of(struct remote *rm, const char *text)
{
	struct buf b;

	buf_init(&b, rm->d.cx.a);	/* ids become names, for the reader of a failure */
	for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
		const char *id = line, *end = strchr(line, '\n');
		while (id < end && *id != '$')
			id++;
		size_t at = dag_find(&rm->d, arena_strndup(rm->d.cx.a, id, (size_t)(end - id)));
		buf_add(&b, line, (size_t)(id - line));
		buf_addf(&b, "%s\n", at != SIZE_MAX ? rm->d.v[at].name : "?");
	}
	return b.s;
}

void
expect_before_(struct remote *rm, size_t at, const char *file, int line)
{
	char from[200];
	const char *want = state_text(rm, rm->before[at]), *is;

	snprintf(from, sizeof from, "(SELECT a.* FROM event v CROSS JOIN LATERAL state_at(v.room, v.line, v.ver) a WHERE v.id = '%s')",
	    rm->d.v[at].ev.id);
	is = sql(STATE_TEXT, from);
	cr_assert(strcmp(is, want) == 0, "%s:%d: v%s, the state before %s is\n%snot\n%s", file, line, rm->d.rv->id, rm->d.v[at].name,
	    name_of(rm, is), name_of(rm, want));
}

size_t
expect_all_(struct remote *rm, const char *file, int line)
{
	size_t n = 0;

	for (size_t i = 0; i < rm->d.n; i++) {
		const struct dag_event *e = &rm->d.v[i];
		const char *got = sql("SELECT CASE WHEN ver IS NULL THEN 'unknown' ELSE (flags & 1)::text END FROM event WHERE id = '%s'", e->ev.id);
		if (strcmp(got, "") == 0 || strcmp(got, "unknown") == 0)
			continue;
		cr_assert_eq(got[0] == '1', e->ev.rejected, "%s:%d: v%s, %s is %srejected", file, line, rm->d.rv->id, e->name, got[0] == '1' ? "" : "not ");
		expect_before_(rm, i, file, line);
		n++;
	}
	return n;
}

void
expect_now_(struct remote *rm, const char *names, const char *file, int line)
{
	size_t at[100], n = words(rm, names, at);
	struct state_set sets[100];
	char from[300];

	for (size_t i = 0; i < n; i++)
		sets[i] = rm->d.v[at[i]].after;
	const char *want = state_text(rm, resolved(rm, sets, n)), *is;
	snprintf(from, sizeof from, "(SELECT a.* FROM room r CROSS JOIN LATERAL state_at(r.nid, 0, r.state_ver) a WHERE r.id = '%s')", rm->d.room);
	is = sql(STATE_TEXT, from);
	cr_assert(strcmp(is, want) == 0, "%s:%d: v%s, the present state is\n%snot\n%s", file, line, rm->d.rv->id, name_of(rm, is), name_of(rm, want));
}

/* ---- what all tests begin with */

const char *const all_versions[] = { "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", NULL };

void
empty_tables(void)
{
	sql("TRUNCATE room, event, state, line, hole, local_member, event_relation, thread, thread_user CASCADE");
}

void
in_versions(const char *const *v, void (*run)(struct ctx *cx, struct remote *rm))
{
	struct ctx *cx = user("dan");

	for (; *v; v++) {
		struct remote *rm = remote_new(*v);

		run(cx, rm);
		check_rooms();
		empty_tables();
		dag_close(&rm->d);
		session_next(cx);
		cx->user = DAN;
	}
}

void
enter_after(struct ctx *cx, struct remote *rm, const char *after)
{
	struct received r;
	enum err e;

	remote_send(rm, "dan", DAN, MEMBER, DAN, JOIN, after);
	e = import_at(cx, rm, "dan", &r);
	cr_assert_eq(e, M_OK, "v%s: %d %s", rm->d.rv->id, e, cx->err_text);
	cr_assert_eq(r.is, RECEIVED);
}

void
send_messages(struct remote *rm, const char *prefix, int n, const char *after)
{
	for (int i = 1; i <= n; i++) {
		const char *name = arena_printf(rm->d.cx.a, "%s%d", prefix, i);

		remote_send(rm, name, "@alice:remote", MSG, NULL, arena_printf(rm->d.cx.a, "{\"body\":\"%s\"}", name), i == 1 ? after : NULL);
	}
}
