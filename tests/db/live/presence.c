/* tests/db/live/presence.c - what is written for presence, and what is not. */
#include "core/jobs/jobs_impl.h"
#include "core/live/presence.h"
#include "tests/db/sync/client.h"

static int64_t
state_of(const struct client *c)
{
	return sql_int("SELECT coalesce((SELECT state FROM presence WHERE usr = %lld), -1)", (long long)c->nid);
}

static long long
pos_of(const struct client *c)
{
	return sql_int("SELECT pos FROM presence WHERE usr = %lld", (long long)c->nid);
}

static void
synced(struct client *c, enum presence_state s, bool said)
{
	session_next(c->cx);
	presence_synced(c->cx, s, said, 30000);
	cr_assert_not(db_in_tx(c->cx));
}

static enum err
sweep(struct ctx *cx)
{
	struct job j = { .kind = "presence_sweep" };

	return presence_sweep_run(cx, &j);
}

Test(presence, the_best_device_counts_and_a_sign_of_life_is_no_news)
{
	struct client *pc = client_new("a"), *phone = client_again(pc);
	long long pos;

	synced(pc, PRESENCE_OFFLINE, true);
	cr_expect_eq(state_of(pc), -1, "who says so leaves no trace");
	synced(pc, PRESENCE_UNAVAILABLE, true);
	cr_expect_eq(state_of(pc), PRESENCE_UNAVAILABLE);
	synced(phone, PRESENCE_ONLINE, false);
	cr_expect_eq(state_of(pc), PRESENCE_ONLINE);
	pos = pos_of(pc);
	synced(pc, PRESENCE_UNAVAILABLE, true);
	synced(phone, PRESENCE_ONLINE, false);
	cr_assert_eq(CALL(pc, (presence_active(pc->cx), M_OK)), M_OK);
	cr_assert_eq(CALL(pc, sweep(pc->cx)), M_OK);
	cr_expect_eq(pos_of(pc), pos);
	cr_assert_eq(CALL(phone, presence_set(phone->cx, PRESENCE_OFFLINE, NULL)), M_OK);
	cr_expect_eq(state_of(pc), PRESENCE_UNAVAILABLE);
	cr_expect_neq(pos_of(pc), pos);
}

Test(presence, by_time_idle_then_gone)
{
	struct client *c = client_new("a");

	synced(c, PRESENCE_ONLINE, false);
	sql("UPDATE presence_device SET active_ts = active_ts - %d", PRESENCE_IDLE_MS + 1000);
	cr_assert_eq(CALL(c, sweep(c->cx)), M_OK);
	cr_expect_eq(state_of(c), PRESENCE_UNAVAILABLE);
	sql("UPDATE presence_device SET until = 1");
	cr_assert_eq(CALL(c, sweep(c->cx)), M_OK);
	cr_expect_eq(state_of(c), PRESENCE_OFFLINE);
	/* As after a crash, for the table is unlogged. Devices are given the time to come again. */
	sql("DELETE FROM presence_device; UPDATE presence SET state = 2");
	cr_assert_eq(CALL(c, sweep(c->cx)), M_OK);
	cr_expect_eq(state_of(c), PRESENCE_ONLINE);
	sql("UPDATE stream_epoch SET started = started - interval '3 minutes'");
	cr_assert_eq(CALL(c, sweep(c->cx)), M_OK);
	cr_expect_eq(state_of(c), PRESENCE_OFFLINE);
}

static bool
shows(struct client *c, const char *user)
{
	const struct json *v = at(c->last, "presence/events");
	size_t i;

	for (i = 0; v && i < v->u.arr.n; i++)
		if (json_str_eq(json_get(v->u.arr.v[i], "sender"), user))
			return true;
	return false;
}

/* Large is here: more than two. */
Test(presence, a_large_room_does_not_tell_it_but_who_asks_is_told)
{
	struct client *a = client_new("a"), *b = client_new("b"), *c = client_new("c"), *d = client_new("d");
	const char *large = client_room(a, "{\"preset\":\"public_chat\"}"), *small = client_room(a, "{\"preset\":\"public_chat\"}");
	struct conf few = *a->cx->conf;
	struct presence p;

	few.presence_room_max = 2;
	for (int i = 0; i < 4; i++)
		((struct client *[]){ a, b, c, d })[i]->cx->conf = &few;
	client_member(b, MEMBER_JOIN, large, NULL);
	client_member(c, MEMBER_JOIN, large, NULL);
	client_member(b, MEMBER_JOIN, small, NULL);
	synced(b, PRESENCE_ONLINE, true);
	synced(c, PRESENCE_ONLINE, true);
	client_sync(a);
	cr_expect(shows(a, b->user));
	cr_expect_not(shows(a, c->user), "at first");
	client_sync(a);
	cr_assert_eq(CALL(c, presence_set(c->cx, PRESENCE_UNAVAILABLE, NULL)), M_OK);
	cr_expect_eq(client_sync(a), E_PARK, "by the ring");
	cr_assert_eq(CALL(c, presence_set(c->cx, PRESENCE_ONLINE, NULL)), M_OK);
	sync_forget();
	cr_expect_eq(client_sync(a), E_PARK, "without");
	synced(d, PRESENCE_ONLINE, true);
	client_member(d, MEMBER_JOIN, large, NULL);
	cr_assert_eq(client_sync(a), M_OK);
	cr_expect_not(shows(a, d->user), "who comes into it");
	cr_assert_eq(CALL(b, presence_set(b->cx, PRESENCE_UNAVAILABLE, NULL)), M_OK);
	cr_assert_eq(client_sync(a), M_OK);
	cr_expect(shows(a, b->user));
	cr_assert_eq(CALL(a, presence_get(a->cx, c->user, &p)), M_OK);
	cr_expect_eq(p.state, PRESENCE_ONLINE);
}

/* The users @many1 ... (10000 + g) are online and in this room, from one number to another. */
static void
crowd(const char *room, int from, int to)
{
	sql("INSERT INTO name (nid, body) SELECT 10000 + g, '@many' || g || ':localhost' FROM generate_series(%d, %d) g", from, to);
	sql("INSERT INTO local_member (usr, room, membership) SELECT 10000 + g, nid, 2 FROM room, generate_series(%d, %d) g WHERE id = '%s'",
	    from, to, room);
	sql("UPDATE room SET joined = joined + %d WHERE id = '%s'", to - from + 1, room);
	sql("INSERT INTO presence (usr, state, active_ts) SELECT 10000 + g, %d, 0 FROM generate_series(%d, %d) g", PRESENCE_ONLINE, from, to);
}

static size_t
told(const struct client *c)
{
	const struct json *v = at(c->last, "presence/events");

	return v ? v->u.arr.n : 0;
}

/* Rooms of middle size tell it up to so many members together, the smallest first; small ones always. */
Test(presence, of_many_rooms_the_smallest_tell_it)
{
	struct client *a = client_new("a");
	struct conf some = *a->cx->conf;
	const char *room[5];

	some.presence_room_max = 200;
	a->cx->conf = &some;
	for (int i = 0; i < 5; i++)
		room[i] = client_room(a, "{\"preset\":\"public_chat\"}");
	synced(a, PRESENCE_ONLINE, true);
	crowd(room[0], 1, 150);
	crowd(room[1], 201, 299);	/* a hundred with a */
	crowd(room[2], 301, 389);	/* ninety */
	crowd(room[3], 401, 410);
	crowd(room[4], 501, 519);	/* twenty */
	cr_assert_eq(client_sync(a), M_OK);
	for (int k = 0; k < 3; k++) {	/* at first; by the ring; without */
		cr_expect_eq(told(a), 1 + 99 + 89 + 10 + 19, "%d: %zu", k, told(a));
		cr_expect_not(shows(a, "@many1:localhost"));
		sql("UPDATE presence SET state = %d", k == 0 ? PRESENCE_UNAVAILABLE : PRESENCE_ONLINE);
		if (k == 1)
			sync_forget();
		cr_assert_eq(client_sync(a), M_OK);
	}
}

/* Of very many at once the last who changed, at first and afterwards; one's own always. */
Test(presence, an_answer_tells_no_more_than_the_last_who_changed)
{
	struct client *a = client_new("a"), *b = client_new("b");
	const char *room = client_room(a, "{\"preset\":\"public_chat\"}");
	struct conf all = *a->cx->conf;

	all.presence_room_max = 0;
	a->cx->conf = b->cx->conf = &all;
	client_member(b, MEMBER_JOIN, room, NULL);
	sql("INSERT INTO name (nid, body) SELECT 10000 + g, '@many' || g || ':localhost' FROM generate_series(1, 600) g");
	sql("INSERT INTO local_member (usr, room, membership) SELECT 10000 + g, nid, 2 FROM room, generate_series(1, 600) g");
	synced(a, PRESENCE_ONLINE, true);
	synced(b, PRESENCE_ONLINE, true);
	sql("INSERT INTO presence (usr, state, active_ts) SELECT 10000 + g, %d, 0 FROM generate_series(1, 600) g", PRESENCE_ONLINE);
	cr_assert_eq(client_sync(a), M_OK);
	cr_expect_eq(at(a->last, "presence/events")->u.arr.n, 500);
	cr_expect(shows(a, a->user));
	cr_expect_not(shows(a, b->user), "he changed before all others");
	cr_expect_eq(client_sync(a), E_PARK);
	sql("UPDATE presence SET state = %d", PRESENCE_UNAVAILABLE);
	cr_assert_eq(client_sync(a), M_OK);
	cr_expect_eq(at(a->last, "presence/events")->u.arr.n, 500, "by the ring");
	cr_expect(shows(a, a->user));
}

Test(presence, switched_off)
{
	struct client *c = client_new("a");
	struct conf off = *c->cx->conf;
	struct presence p;
	enum err e;

	off.presence = false;
	c->cx->conf = &off;
	synced(c, PRESENCE_ONLINE, true);
	cr_assert_eq(CALL(c, presence_set(c->cx, PRESENCE_ONLINE, "x")), M_OK);
	cr_expect_eq(sql_int("SELECT (SELECT count(*) FROM presence) + (SELECT count(*) FROM presence_device)"), 0);
	cr_assert_eq(CALL(c, presence_get(c->cx, c->user, &p)), M_OK);
	cr_expect_eq(p.state, PRESENCE_OFFLINE);
	client_sync(c);
	cr_expect_null(json_get(c->last, "presence"));
	c->cx->conf = test_conf();
	e = CALL(c, presence_get(c->cx, "@nobody:localhost", &p));
	cr_expect_eq(e, M_FORBIDDEN);
}
