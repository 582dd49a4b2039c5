/* tests/db/sync/concurrent.c - writers that overtake each other, and many requests in one snapshot. */
#include <sys/wait.h>
#include <unistd.h>

#include "tests/db/sync/client.h"

#define ROOM "{\"preset\":\"public_chat\"}"

static const char *
timeline(struct client *c, const char *room)
{
	return events_text(c->a, at(room_in(c->last, "join", room), "timeline/events"));
}

/* Sends in a transaction that stays open. */
static enum err
say_slowly(struct client *c, const char *room, const char *text)
{
	const struct txn t = { .path = text, .id = text };
	struct json *content = json_new_obj(c->cx->a);
	const char *id;
	enum err e;

	json_set(c->cx->a, content, "body", json_new_str(c->cx->a, text));
	if ((e = room_send(c->cx, room, "m.room.message", content, &t, &id)) != M_OK)
		return e;
	return db_run(c->cx);
}

STMT(test_take_xid, "SELECT pg_current_xact_id()");

Test(sync_concurrent, a_transaction_that_commits_late_is_seen_once)
{
	struct client *a = client_new("a"), *b = client_new("b"), *r = client_new("r");
	const char *one = client_room(a, ROOM), *two = client_room(a, ROOM);

	client_member(b, MEMBER_JOIN, one, NULL);
	client_member(r, MEMBER_JOIN, one, NULL);
	client_member(r, MEMBER_JOIN, two, NULL);
	cr_assert_eq(client_sync(r), M_OK);
	session_next(b->cx);
	db_begin(b->cx, TX_RW);
	cr_assert_eq(say_slowly(b, one, "late"), M_OK);
	client_say(a, two, "early");
	cr_assert_eq(client_sync(r), M_OK);
	cr_expect_str_eq(timeline(r, two), "message:early");
	cr_expect_null(room_in(r->last, "join", one));
	cr_expect_eq(client_sync(r), E_PARK);
	cr_assert_eq(db_commit(b->cx), M_OK);
	cr_assert_eq(client_sync(r), M_OK);
	cr_expect_str_eq(timeline(r, one), "message:late");
	cr_expect_null(room_in(r->last, "join", two), "not again");
	cr_expect_eq(client_sync(r), E_PARK);
}

/* A transaction with an older id comes later in the room's order: what is new is a suffix of that, not of pos. */
Test(sync_concurrent, in_a_room_the_order_is_the_locks)
{
	struct client *a = client_new("a"), *b = client_new("b"), *r = client_new("r");
	const char *room = client_room(a, ROOM);

	client_member(b, MEMBER_JOIN, room, NULL);
	client_member(r, MEMBER_JOIN, room, NULL);
	cr_assert_eq(client_sync(r), M_OK);
	session_next(b->cx);
	db_begin(b->cx, TX_RW);
	cr_assert_eq(db_exec(b->cx, NULL, &test_take_xid), M_OK);
	client_say(a, room, "first");
	cr_assert_eq(client_sync(r), M_OK);
	cr_expect_str_eq(timeline(r, room), "message:first");
	cr_assert_eq(say_slowly(b, room, "second"), M_OK);
	cr_assert_eq(db_commit(b->cx), M_OK);
	client_say(a, room, "third");
	cr_assert_eq(client_sync(r), M_OK);
	cr_expect_str_eq(timeline(r, room), "message:second message:third");
	cr_expect_not(json_get_bool(at(room_in(r->last, "join", room), "timeline"), "limited", true));
	cr_expect_eq(client_sync(r), E_PARK);
}

/* ---- writers as processes, a reader beside them */

#define WRITERS 3
#define EACH 60

static void
writer(struct client *c, const char *const *room, int seed)
{
	const char *url = test_url("hearth_worker");
	pid_t pid = fork();
	int i;

	cr_assert(pid >= 0);
	if (pid != 0)
		return;
	/* Here nothing of Criterion may be called, and the parent's connections are the parent's. */
	c->cx->db = db_open(url);
	for (i = 0; i < EACH; i++) {
		char text[20];

		snprintf(text, sizeof text, "%s%d", c->user, i);
		session_next(c->cx);
		db_begin(c->cx, TX_RW);
		if ((i + seed) % 4 == 0)
			db_exec(c->cx, NULL, &test_take_xid);
		usleep((unsigned)((i * 7 + seed * 13) % 5) * 1000);
		if (say_slowly(c, room[(i + seed) % 2], text) != M_OK)
			_exit(1);
		if ((i + seed) % 5 == 1)
			usleep(3000);
		if ((i + seed) % 7 == 2)
			db_rollback(c->cx);
		else if (db_commit(c->cx) != M_OK)
			_exit(1);
	}
	_exit(0);
}

static void
seen_all(struct client *c, const char *room)
{
	const struct json *seen = json_get(json_get(c->rooms, room), "seen");
	struct buf b;
	size_t k;

	buf_init(&b, c->a);
	for (k = 0; k < seen->u.arr.n; k++)
		buf_addf(&b, "%s%s", k ? " " : "", seen->u.arr.v[k]->u.str.s);
	cr_expect_str_eq(sql("SELECT string_agg(e.id, ' ' ORDER BY room_pos) FROM event e JOIN room r ON r.nid = e.room WHERE r.id = '%s'",
	    room), b.s);
}

Test(sync_concurrent, no_event_is_missed_and_none_comes_twice, .timeout = 120)
{
	static const char *const names[] = { "w0", "w1", "w2" };
	struct client *w[WRITERS], *r = client_new("r"), *lazy = client_again(r);
	const char *room[2] = { client_room(r, ROOM), client_room(r, ROOM) };
	int i, left = WRITERS, status;

	r->filter = lazy->filter = "{\"room\":{\"timeline\":{\"limit\":100}}}";
	for (i = 0; i < WRITERS; i++) {
		w[i] = client_new(names[i]);
		client_member(w[i], MEMBER_JOIN, room[0], NULL);
		client_member(w[i], MEMBER_JOIN, room[1], NULL);
	}
	client_sync(r);
	client_sync(lazy);
	for (i = 0; i < WRITERS; i++)
		writer(w[i], room, i);
	while (left > 0) {
		client_sync(r);
		if (left == WRITERS)
			client_sync(lazy);
		if (waitpid(-1, &status, WNOHANG) > 0) {
			cr_expect_eq(status, 0);
			left--;
		}
	}
	client_sync(r);
	sync_forget();
	client_sync(lazy);
	for (i = 0; i < 2; i++) {
		seen_all(r, room[i]);
		seen_all(lazy, room[i]);
	}
	cr_expect_eq(client_sync(r), E_PARK);
	cr_expect_eq(client_sync(lazy), E_PARK);
}

/* ---- batches */

#define MANY 24

static const char *const filters[] = {
	NULL, "{\"room\":{\"state\":{\"lazy_load_members\":true}}}", "{\"room\":{\"timeline\":{\"limit\":1}}}",
	"{\"room\":{\"timeline\":{\"types\":[\"m.room.*\"],\"not_types\":[\"m.room.message\"]}}}", "{\"event_format\":\"federation\"}",
	"{\"event_fields\":[\"type\",\"content.body\"]}", "{\"room\":{\"not_rooms\":[\"!x:y\"],\"state\":{\"types\":[]}}}",
};

static struct sync_wait *
wait_of(struct client *c, size_t i)
{
	struct sync_wait *w = arena_zalloc(c->a, sizeof *w);

	*w = (struct sync_wait){ .user_nid = c->nid, .device = c->device, .token = client_token(c->a, c->device), .user = c->user, .device_id = "D", .since = c->since,
	    .filter = c->filter, .use_state_after = i % 3 == 1, .unstable_state_after = i % 6 == 1 };
	return w;
}

/* The whole body but the token and the ages. */
static const char *
same_part(struct client *c, const char *body, size_t n)
{
	const char *s = arena_strndup(c->a, body, n);

	s = strstr(s, ",\"");
	return s ? s : "";
}

Test(sync_concurrent, a_batch_answers_as_single_requests_do, .timeout = 120)
{
	struct client *c[MANY], *first = client_new("first"), *b = client_new("b");
	const char *room = client_room(first, ROOM), *quiet = client_room(first, "{\"preset\":\"public_chat\",\"name\":\"q\"}"), *unnamed;
	struct sync_wait *w[MANY], *single;
	const char *body[MANY], *one;
	enum err err[MANY], e;
	size_t n[MANY], i, len;
	char name[20];
	int news = 0;

	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof name, "u%zu", i);
		c[i] = client_new(name);
		c[i]->filter = filters[i % 7];
		if (i % 4 != 3)
			client_member(c[i], MEMBER_JOIN, room, NULL);
		if (i % 3 == 0)
			client_member(c[i], MEMBER_JOIN, quiet, NULL);
		c[i]->after = i % 3 == 1;
		client_sync(c[i]);
	}
	for (i = 0; i < 3; i++)
		client_say(c[i], room, arena_printf(c[i]->a, "message %zu", i));
	client_data(c[1], NULL, "m.ignored_user_list", "{\"ignored_users\":{\"@u0:localhost\":{}}}");
	client_data(c[2], room, "m.tag", "{\"tags\":{}}");
	unnamed = client_room(b, "{}");
	client_member(b, MEMBER_INVITE, unnamed, c[3]);
	client_member(c[4], MEMBER_LEAVE, room, NULL);
	client_member(c[7], MEMBER_JOIN, quiet, NULL);
	client_say(c[0], room, "last");
	c[5]->since = NULL;
	sql("DELETE FROM access_token WHERE device = %lld", (long long)c[6]->device);
	for (i = 0; i < MANY; i++)
		w[i] = wait_of(c[i], i);
	session_next(first->cx);
	cr_assert_eq(sync_compute(first->cx, w, MANY, body, n, err), M_OK);
	for (i = 0; i < MANY; i++) {
		single = wait_of(c[i], i);
		c[i]->cx->now = first->cx->now;
		cr_assert_eq(sync_compute(c[i]->cx, &single, 1, &one, &len, &e), M_OK);
		cr_assert_eq(e, err[i], "request %zu: %d, alone %d", i, err[i], e);
		if (e != M_OK)
			continue;
		news++;
		cr_expect_str_eq(same_part(c[i], body[i], n[i]), same_part(c[i], one, len), "request %zu\n%s\n%s", i, body[i], one);
	}
	cr_expect_eq(err[6], M_UNKNOWN_TOKEN);
	cr_expect_eq(err[11], E_PARK);
	cr_expect(news >= 18);
}

/* What woke up may have changed its rooms since it began to wait. */
Test(sync_concurrent, a_woken_request_knows_its_rooms_as_of_now)
{
	struct client *a = client_new("a"), *b = client_new("b");
	const char *one = client_room(a, ROOM), *two = client_room(a, ROOM), *body;
	struct sync_wait *w;
	struct arena *kept;
	enum err e;
	size_t n;

	client_member(b, MEMBER_JOIN, one, NULL);
	client_sync(b);
	client_sync(a);			/* this worker's ring reaches back before what follows */
	w = wait_of(b, 0);
	cr_assert_eq(sync_compute(b->cx, &w, 1, &body, &n, &e), M_OK);
	cr_assert_eq(e, E_PARK);
	cr_assert_eq(w->nrooms, 1);
	kept = b->cx->a;		/* w points into it, and what follows clears the session's arena */
	b->cx->a = arena_new();
	client_member(b, MEMBER_JOIN, two, NULL);
	client_say(a, two, "hello");
	cr_assert_eq(sync_compute(b->cx, &w, 1, &body, &n, &e), M_OK);
	cr_assert_eq(e, M_OK);
	cr_expect_not_null(strstr(body, "hello"));
	cr_expect_not_null(strstr(body, two));
	arena_free(kept);
}
