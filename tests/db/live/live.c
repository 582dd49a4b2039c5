/*
 * tests/db/live/live.c - receipts and typing: whoever follows his tokens, by whatever worker, knows what the tables say.
 *
 * Time is the test's own: sessions are told what the clock says.
 */
#include "core/live/receipt.h"
#include "core/live/typing.h"
#include "tests/db/sync/client.h"

#define USERS 4
#define ROOMS 3
#define EVENTS 6

struct world {
	struct client *c[USERS];
	struct json *typing[USERS], *receipts[USERS];	/* {room: [users]}, {"room|user|thread|kind": event} */
	const char *room[ROOMS], *event[ROOMS][EVENTS];
	unsigned seed;
	int64_t now;
	int told;		/* ends of typing that were told */
};

static unsigned
dice(struct world *w, unsigned n)
{
	w->seed = w->seed * 1103515245 + 12345;
	return (w->seed >> 16) % n;
}

#define AT(w, c, call)							\
	__extension__({							\
		enum err at_;						\
		session_next((c)->cx);					\
		(c)->cx->now = (w)->now;				\
		db_begin((c)->cx, TX_RW);				\
		if ((at_ = call) == M_OK)				\
			at_ = db_commit((c)->cx);			\
		else							\
			db_rollback((c)->cx);				\
		at_;							\
	})

static void
world_make(struct world *w, unsigned seed)
{
	char name[20];
	int i, k;

	*w = (struct world){ .seed = seed, .now = 1700000000000 };
	for (i = 0; i < USERS; i++) {
		snprintf(name, sizeof name, "u%d", i);
		w->c[i] = client_new(name);
		w->typing[i] = json_new_obj(w->c[i]->a);
		w->receipts[i] = json_new_obj(w->c[i]->a);
	}
	for (i = 0; i < ROOMS; i++) {
		w->room[i] = client_room(w->c[0], "{\"preset\":\"public_chat\"}");
		for (k = 1; k < USERS; k++)
			client_member(w->c[k], MEMBER_JOIN, w->room[i], NULL);
		for (k = 0; k < EVENTS; k++)
			w->event[i][k] = client_say(w->c[0], w->room[i], arena_printf(w->c[0]->a, "%d.%d", i, k));
	}
}

/* ---- what a client remembers */

static void
apply_receipts(struct world *w, int i, const char *room, const struct json *content)
{
	struct arena *a = w->c[i]->a;
	size_t e, k, u;

	for (e = 0; e < content->u.obj.n; e++) {
		const struct json *kinds = content->u.obj.v[e].value;

		for (k = 0; k < kinds->u.obj.n; k++) {
			const struct json *users = kinds->u.obj.v[k].value;

			for (u = 0; u < users->u.obj.n; u++) {
				const char *thread = json_get_str(users->u.obj.v[u].value, "thread_id");

				json_set(a, w->receipts[i], arena_printf(a, "%s|%s|%s|%s", room, users->u.obj.v[u].key,
				    thread ? thread : "-", kinds->u.obj.v[k].key), json_new_str(a, content->u.obj.v[e].key));
			}
		}
	}
}

static void
apply(struct world *w, int i, const struct json *answer)
{
	const struct json *rooms = at(answer, "rooms/join");
	size_t r, e;

	for (r = 0; rooms && r < rooms->u.obj.n; r++) {
		const struct json *events = at(rooms->u.obj.v[r].value, "ephemeral/events");

		for (e = 0; events && e < events->u.arr.n; e++) {
			const struct json *ev = events->u.arr.v[e];

			if (json_str_eq(json_get(ev, "type"), "m.receipt")) {
				apply_receipts(w, i, rooms->u.obj.v[r].key, json_get(ev, "content"));
				continue;
			}
			w->told += at(ev, "content/user_ids")->u.arr.n == 0;
			json_set(w->c[i]->a, w->typing[i], rooms->u.obj.v[r].key, at(ev, "content/user_ids"));
		}
	}
}

/* False: there was no news. */
static bool
follow(struct world *w, int i)
{
	struct client *c = w->c[i];
	struct sync_wait wait = { .user_nid = c->nid, .device = c->device, .token = client_token(c->a, c->device), .user = c->user, .device_id = "D", .since = c->since };
	struct sync_wait *v = &wait;
	const char *body = NULL;
	struct json *answer;
	enum err err = M_OK;
	size_t n;

	session_next(c->cx);
	c->cx->now = w->now;
	cr_assert_eq(sync_compute(c->cx, &v, 1, &body, &n, &err), M_OK);
	if (err == E_PARK) {
		c->since = arena_strdup(c->a, wait.next);
		return false;
	}
	cr_assert_eq(err, M_OK);
	cr_assert_eq(json_parse(c->a, body, n, &answer), JSON_OK);
	c->since = json_get_str(answer, "next_batch");
	apply(w, i, answer);
	return true;
}

/* ---- what is true */

static void
check(struct world *w, int i)
{
	const char *truth;
	struct buf b;
	size_t k;
	int r;

	for (r = 0; r < ROOMS; r++) {
		const struct json *list = json_get(w->typing[i], w->room[r]);

		buf_init(&b, w->c[i]->a);
		for (k = 0; list && k < list->u.arr.n; k++)
			buf_addf(&b, "%s ", list->u.arr.v[k]->u.str.s);
		buf_puts(&b, "");
		truth = sql("SELECT coalesce(string_agg(n.body || ' ', '' ORDER BY t.usr), '') FROM typing t JOIN name n ON n.nid = t.usr"
		    " WHERE t.until > %lld AND t.room = (SELECT nid FROM room WHERE id = '%s')", (long long)w->now, w->room[r]);
		cr_assert_str_eq(b.n ? b.s : "", truth, "user %d, room %d, at %lld: told \"%s\", true \"%s\"", i, r, (long long)w->now, b.n ? b.s : "", truth);
	}
	for (k = 0; k < w->receipts[i]->u.obj.n; k++) {
		const struct json_member *m = &w->receipts[i]->u.obj.v[k];

		cr_assert_eq(sql_int("SELECT count(*) FROM receipt c JOIN room r ON r.nid = c.room JOIN name n ON n.nid = c.usr JOIN event e ON e.nid = c.event"
		    " WHERE e.id = '%s' AND '%s' = r.id || '|' || n.body || '|' || (CASE c.thread WHEN 0 THEN '-' WHEN -1 THEN 'main' ELSE '?' END)"
		    " || '|' || (CASE c.kind WHEN 1 THEN 'm.read' ELSE 'm.read.private' END)", m->value->u.str.s, m->key), 1, "%s", m->key);
	}
	cr_assert_eq((long long)w->receipts[i]->u.obj.n,
	    sql_int("SELECT count(*) FROM receipt WHERE kind = 1 OR usr = %lld", (long long)w->c[i]->nid));
}

static void
change(struct world *w)
{
	static const char *const threads[] = { NULL, "main" };
	struct client *c = w->c[dice(w, USERS)];
	unsigned r = dice(w, ROOMS);

	w->now += dice(w, 5) ? dice(w, 3000) : dice(w, 90000);
	if (dice(w, 2)) {
		cr_assert_eq(AT(w, c, typing_set(c->cx, w->room[r], dice(w, 3) ? (int64_t)(1 + dice(w, 30000)) : 0)), M_OK);
	} else {
		struct receipt v = { .kind = dice(w, 3) ? RECEIPT_READ : RECEIPT_PRIVATE, .event = w->event[r][dice(w, EVENTS)],
		    .thread = threads[dice(w, 2)] };

		cr_assert_eq(AT(w, c, receipt_set(c->cx, w->room[r], &v, 1)), M_OK);
	}
}

Test(live, who_follows_knows_all, .timeout = 120)
{
	struct world w;
	int step, i;

	world_make(&w, 20261);
	for (i = 0; i < USERS; i++)
		follow(&w, i);
	for (step = 0; step < 600; step++) {
		change(&w);
		if (dice(&w, 25) == 0)
			sync_forget();		/* another worker, which has seen nothing of what was */
		i = (int)dice(&w, USERS);
		if (dice(&w, 2)) {
			w.now += dice(&w, 10000);
			follow(&w, i);
			check(&w, i);
			cr_assert_not(follow(&w, i), "told once");
		}
	}
	cr_expect_gt(w.told, 20);
	w.now += 1000000;
	for (i = 0; i < USERS; i++) {
		follow(&w, i);
		check(&w, i);
	}
}

Test(live, receipts_never_go_backwards_and_wake_only_when_they_move)
{
	struct world w;
	struct client *c;
	struct receipt v = { .kind = RECEIPT_READ };

	world_make(&w, 1);
	c = w.c[1];
	v.event = w.event[0][3];
	cr_assert_eq(AT(&w, c, receipt_set(c->cx, w.room[0], &v, 1)), M_OK);
	cr_expect_eq(c->cx->touched.nrooms, 1);
	cr_expect_lt(c->cx->touched.rooms[0], 0, "not urgent");
	v.event = w.event[0][2];
	cr_assert_eq(AT(&w, c, receipt_set(c->cx, w.room[0], &v, 1)), M_OK);
	cr_expect_eq(c->cx->touched.nrooms, 0);
	v = (struct receipt){ .kind = RECEIPT_PRIVATE, .event = w.event[0][4] };
	cr_assert_eq(AT(&w, c, receipt_set(c->cx, w.room[0], &v, 1)), M_OK);
	cr_expect_eq(c->cx->touched.nrooms, 0, "private: the room hears nothing");
	cr_expect_eq(c->cx->touched.nusers, 1);
	cr_expect_eq(sql_int("SELECT count(*) FROM receipt"), 2, "one row each, whatever the number of members");
	cr_expect_str_eq(sql("SELECT e.id FROM receipt r JOIN event e ON e.nid = r.event WHERE kind = 1"), w.event[0][3]);
}

static enum err
read_up_to(struct ctx *cx, void *arg)
{
	const struct receipt v = { .kind = RECEIPT_READ, .event = ((const char **)arg)[1] };

	db_begin(cx, TX_RW);
	if (receipt_set(cx, ((const char **)arg)[0], &v, 1) != M_OK)
		return M_UNKNOWN;
	return db_commit(cx);
}

/* Two devices at once, the later event first: the earlier one waits, and then changes nothing. */
Test(live, two_receipts_at_once)
{
	struct world w;
	struct client *one, *two;
	const char *arg[2];
	struct receipt v = { .kind = RECEIPT_READ };
	struct step *s;

	world_make(&w, 1);
	one = w.c[1];
	two = client_again(one);
	v.event = w.event[0][4];
	arg[0] = w.room[0];
	arg[1] = w.event[0][1];
	session_next(one->cx);
	session_next(two->cx);
	db_begin(one->cx, TX_RW);
	cr_assert_eq(receipt_set(one->cx, w.room[0], &v, 1), M_OK);
	s = step_start(two->cx, read_up_to, arg);
	cr_assert(step_waits(s));
	cr_assert_eq(db_commit(one->cx), M_OK);
	cr_assert_eq(step_end(s), M_OK);
	cr_expect_str_eq(sql("SELECT e.id FROM receipt r JOIN event e ON e.nid = r.event"), w.event[0][4]);
}
