/*
 * tests/db/room/forks_random.c - random histories with branches, told in several orders, against the slow way; and by two at once.
 */
#include "tests/db/room/remote.h"
#include "tests/db/sync/client.h"

#include <stdlib.h>

static unsigned rnd_state;

static unsigned
rnd(unsigned n)
{
	rnd_state = rnd_state * 1103515245u + 12345u;
	return (rnd_state >> 16) % n;
}

static const char *const people[] = { "@alice:remote", "@bob:remote", "@carol:third", "@eve:third", DAN };

static const char *
level_of(struct remote *rm, const char *more)
{
	return arena_printf(rm->d.cx.a, "{\"users\":{%s\"@bob:remote\":%u,\"@carol:third\":%u}%s}",
	    rm->d.rv->privileged_creators ? "" : "\"@alice:remote\":100,", 25 * rnd(5), 25 * rnd(4), more);
}

/* Somebody does something, with right or without. */
static void
random_event(struct remote *rm, const char *name, const char *after)
{
	const char *who = people[rnd(4)], *whom = people[rnd(5)];
	static const char *const rules[] = { "{\"join_rule\":\"public\"}", "{\"join_rule\":\"invite\"}", "{\"join_rule\":\"knock\"}" };
	struct arena *a = rm->d.cx.a;

	switch (rnd(12)) {
	case 0: case 1:
		remote_send(rm, name, who, "m.room.topic", "", arena_printf(a, "{\"topic\":\"%s\"}", name), after);
		break;
	case 2: case 3:
		remote_send(rm, name, who, MSG, NULL, arena_printf(a, "{\"body\":\"%s\"}", name), after);
		break;
	case 4:
		remote_send(rm, name, who, LEVELS, "", level_of(rm, rnd(2) ? ",\"kick\":25" : ""), after);
		break;
	case 5:
		remote_send(rm, name, who, RULES, "", rules[rnd(rm->d.rv->knock ? 3 : 2)], after);
		break;
	case 6: case 7:	/* kicked, banned, or let in again: but never alice, who brings all together at the end */
		remote_send(rm, name, who, MEMBER, whom == people[0] ? people[1] : whom, rnd(2) ? BAN : LEAVE, after);
		break;
	case 8:
		remote_send(rm, name, who, MEMBER, whom, "{\"membership\":\"invite\"}", after);
		break;
	case 9: case 10:
		remote_send(rm, name, who, MEMBER, who, arena_printf(a, "{\"membership\":\"join\",\"displayname\":\"%s\"}", name), after);
		break;
	default:
		remote_send(rm, name, who, "m.room.name", "", arena_printf(a, "{\"name\":\"%s\"}", name), after);
	}
}

/*
 * What chance hardly makes: both states have the ban of bob (A), one has what he did before (X1), the other what alice did in its stead (F), and
 * the auth chains of the two are the same. Then it is the agreed state alone that tells that X1 is by somebody banned.
 */
static void
banned_sender(struct remote *rm)
{
	remote_send(rm, "m0", "@bob:remote", MEMBER, "@eve:third", LEAVE, "dan");
	remote_send(rm, "F", "@alice:remote", MEMBER, "@eve:third", "{\"membership\":\"invite\",\"by\":\"alice\"}", "m0");
	remote_send(rm, "X1", "@bob:remote", MEMBER, "@eve:third", "{\"membership\":\"invite\",\"by\":\"bob\"}", "m0");
	remote_send(rm, "A", "@alice:remote", MEMBER, "@bob:remote", BAN, "X1");
	remote_send(rm, "M", "@alice:remote", MSG, NULL, "{}", "A");
	remote_send(rm, "J1", "@alice:remote", MSG, NULL, "{}", "F A");
	remote_send(rm, "J2", "@alice:remote", MSG, NULL, "{}", "J1 M");
	remote_send(rm, "unban", "@alice:remote", MEMBER, "@bob:remote", LEAVE, "J2");
	remote_send(rm, "again", "@bob:remote", MEMBER, "@bob:remote", JOIN, "unban");
}

/* A history behind dan's join, of n events, which "end" brings together. */
static void
random_history(struct remote *rm, size_t n, bool ban)
{
	size_t first = rm->d.n, ntips;
	struct buf b;

	remote_send(rm, "dan", DAN, MEMBER, DAN, JOIN, NULL);
	if (ban)
		banned_sender(rm);
	for (size_t i = 0; i < n; i++) {
		const char *one = rm->d.v[first + rnd((unsigned)(rm->d.n - first))].name, *two = rm->d.v[first + rnd((unsigned)(rm->d.n - first))].name;

		if (rnd(3))
			one = rm->d.v[rm->d.n - 1 - rnd(rm->d.n - first < 4 ? 1 : 4)].name;
		random_event(rm, arena_printf(rm->d.cx.a, "E%zu", i), rnd(3) && strcmp(one, two) != 0 ? arena_printf(rm->d.cx.a, "%s %s", one, two) : one);
	}
	buf_init(&b, rm->d.cx.a);
	ntips = 0;
	for (size_t i = first; i < rm->d.n; i++) {
		bool cited = false;
		for (size_t k = i + 1; k < rm->d.n; k++)
			for (size_t p = 0; p < rm->d.v[k].ev.nprev; p++)
				cited = cited || strcmp(rm->d.v[k].ev.prev_ids[p], rm->d.v[i].ev.id) == 0;
		if (!cited && ntips++ < EVENT_PREV_MAX)
			buf_addf(&b, "%s ", rm->d.v[i].name);
	}
	cr_assert_leq(ntips, EVENT_PREV_MAX);
	remote_send(rm, "end", "@alice:remote", MSG, NULL, "{\"body\":\"end\"}", b.s);
}

/* The events behind dan's join, each after what it cites, otherwise in any order. */
static size_t
random_order(struct remote *rm, size_t *out)
{
	size_t first = remote_at(rm, "dan") + 1, n = 0;
	bool *done = calloc(rm->d.n, sizeof *done);

	while (n < rm->d.n - first) {
		size_t i = first + rnd((unsigned)(rm->d.n - first));
		bool ready = !done[i];
		for (size_t p = 0; ready && p < rm->d.v[i].ev.nprev; p++) {
			size_t at = dag_find(&rm->d, rm->d.v[i].ev.prev_ids[p]);
			ready = at < first || done[at];
		}
		if (!ready)
			continue;
		done[i] = true;
		out[n++] = i;
	}
	free(done);
	return n;
}

static void
tell(struct ctx *cx, struct remote *rm, const size_t *order, size_t n)
{
	struct received r;

	cr_assert_eq(import_at(cx, rm, "dan", &r), M_OK, "%s", cx->err_text);
	for (size_t i = 0; i < n; i++) {
		r = deliver(cx, rm, rm->d.v[order[i]].name);
		cr_assert(r.is != RECEIVED_NOT && r.is != RECEIVED_KNOWN, "%s: %d %s", rm->d.v[order[i]].name, r.is, r.why);
		session_next(cx);
		cx->user = DAN;
	}
}

static void
check(struct remote *rm)
{
	cr_assert_eq(expect_all(rm), rm->d.n - remote_at(rm, "dan"), "each event behind the join is here with its state");
	expect_now(rm, "end");
	cr_expect_eq(sql_int("SELECT cardinality(extremities) FROM room"), 1);
	check_rooms();
}

static void
random_rooms(const char *version, unsigned seeds)
{
	struct ctx *cx = user("dan");
	size_t order[100];

	for (unsigned seed = 1; seed <= seeds; seed++) {
		struct remote *rm = remote_new(version);

		rnd_state = seed * 7919 + (unsigned)strtoul(version, NULL, 10);
		random_history(rm, 40, seed == 1);
		for (int again = 0; again < 2; again++) {
			size_t n = random_order(rm, order);

			empty_tables();
			tell(cx, rm, order, n);
			check(rm);
		}
		dag_close(&rm->d);
	}
}
Test(room_forks_random, version_1) { random_rooms("1", 2); }
Test(room_forks_random, version_2) { random_rooms("2", 2); }
Test(room_forks_random, version_6) { random_rooms("6", 2); }
Test(room_forks_random, version_9) { random_rooms("9", 2); }
Test(room_forks_random, version_11) { random_rooms("11", 2); }
Test(room_forks_random, version_12) { random_rooms("12", 3); }

/* ---- two at once */

struct half {
	struct remote *rm;
	const size_t *order;
	size_t n;
	unsigned part;
};

/* Hands in its half, again and again, until all of it is here: what cites an event of the other half has to wait for it. */
static enum err
tell_half(struct ctx *cx, void *arg)
{
	struct half *h = arg;
	size_t left = 1;

	for (int round = 0; left > 0 && round < 10000; round++) {
		left = 0;
		for (size_t i = 0; i < h->n; i++) {
			if (h->order[i] % 2 != h->part)
				continue;
			if (deliver(cx, h->rm, h->rm->d.v[h->order[i]].name).is == RECEIVED_NOT)
				left++;
			session_next(cx);
		}
		if (left > 0)
			test_pause();
	}
	return left == 0 ? M_OK : M_NOT_FOUND;
}

Test(room_forks_random, two_connections_import_into_one_room)
{
	struct ctx *dan = user("dan"), *a = session(), *b = session();
	struct remote *rm = remote_new("10");
	struct received r;
	size_t order[100];
	struct step *s;

	rnd_state = 42;
	random_history(rm, 40, false);
	size_t n = random_order(rm, order);
	cr_assert_eq(import_at(dan, rm, "dan", &r), M_OK);
	struct half one = { rm, order, n, 0 }, two = { rm, order, n, 1 };
	s = step_start(b, tell_half, &two);
	cr_expect_eq(tell_half(a, &one), M_OK);
	cr_expect_eq(step_end(s), M_OK);
	check(rm);
}

struct bring {
	struct remote *rm;
	struct received r;
};

static enum err
bring(struct ctx *cx, void *arg)
{
	struct bring *b = arg;

	return import_at(cx, b->rm, "dan", &b->r);
}

/* Two rooms with the same new names, told in opposite orders, while a third has made the one in the middle: nobody waits in a circle. */
Test(room_forks_random, two_imports_that_bring_the_same_names)
{
	static const char *const keys[] = { "key a", "key m", "key z" };
	struct ctx *a = user("dan"), *b = user_again("dan"), *c = session();
	struct bring one = { .rm = remote_new("10") }, two = { .rm = remote_new("12") };
	struct step *s, *t;
	int64_t nid;

	for (int i = 0; i < 3; i++) {
		remote_send(one.rm, arena_printf(a->a, "S%d", i), "@alice:remote", "x", keys[i], "{}", NULL);
		remote_send(two.rm, arena_printf(a->a, "S%d", i), "@alice:remote", "x", keys[2 - i], "{}", NULL);
	}
	remote_send(one.rm, "dan", DAN, MEMBER, DAN, JOIN, NULL);
	remote_send(two.rm, "dan", DAN, MEMBER, DAN, JOIN, NULL);
	db_begin(c, TX_RW);
	cr_assert_eq(name_nid(c, keys[1], &nid), M_OK);
	s = step_start(a, bring, &one);
	cr_assert(step_waits(s));
	t = step_start(b, bring, &two);
	cr_assert(step_waits(t));
	cr_assert_eq(tx_end(c, M_FORBIDDEN), M_FORBIDDEN);
	cr_expect_eq(step_end(s), M_OK);
	cr_expect_eq(step_end(t), M_OK);
	check_rooms();
}

static enum err
talk(struct ctx *cx, void *room)
{
	for (int i = 0; i < 20; i++) {
		say(cx, room, arena_printf(cx->a, "local %d", i));
		cr_assert_eq(set_state(cx, room, "m.room.name", arena_printf(cx->a, "{\"name\":\"n%d\"}", i)) == M_OK, false, "no right to");
	}
	return M_OK;
}

Test(room_forks_random, local_sends_race_an_import)
{
	struct ctx *dan = user("dan"), *a = session(), *here = user_again("dan");
	struct remote *rm = remote_empty("10");
	struct received r;
	struct step *s;

	remote_open(rm);
	remote_send(rm, "dan", DAN, MEMBER, DAN, JOIN, NULL);
	for (int i = 0; i < 20; i++)
		remote_send(rm, arena_printf(rm->d.cx.a, "T%d", i), i % 2 ? "@alice:remote" : "@bob:remote", TOPIC, "",
		    arena_printf(rm->d.cx.a, "{\"topic\":\"%d\"}", i), i > 1 ? arena_printf(rm->d.cx.a, "T%d", i - 2) : "dan");
	cr_assert_eq(import_at(dan, rm, "dan", &r), M_OK);
	s = step_start(here, talk, (void *)(uintptr_t)rm->d.room);
	for (int i = 0; i < 20; i++) {
		enum receipt is = deliver(a, rm, arena_printf(a->a, "T%d", i)).is;
		cr_expect_eq(is, RECEIVED, "T%d: %d", i, is);
		session_next(a);
	}
	cr_expect_eq(step_end(s), M_OK);
	say(dan, rm->d.room, "all together");
	cr_expect_eq(sql_int("SELECT cardinality(extremities) FROM room"), 1);
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE room_pos IS NOT NULL"), 1 + 20 + 21);
	expect_all(rm);
	expect_now(rm, "T18 T19");
	check_rooms();
}

/* ---- who syncs meanwhile */

/* What the client has for each key that the room has now is what the room has. Keys that are no more, nobody can be told of. */
static void
knows_state(const struct client *c, const char *room, const char *what)
{
	const struct json *mine = json_get(json_get(c->rooms, room), "state");
	char *rows = strdup(sql("SELECT string_agg(t.body || '|' || k.body || '=' || e.id, E'\n') FROM current_state s JOIN room r ON r.nid = s.room"
	    " JOIN name t ON t.nid = s.type JOIN name k ON k.nid = s.key JOIN event e ON e.nid = s.event"
	    " WHERE r.id = '%s'", room)), *rest = rows, *row;

	cr_assert_not_null(mine, "%s: the room is not known", what);
	while ((row = strsep(&rest, "\n")) != NULL) {
		char *id = strchr(row, '=');

		*id++ = '\0';
		cr_expect(json_get_str(mine, row) != NULL && strcmp(json_get_str(mine, row), id) == 0, "%s: %s is %s, not %s", what, row,
		    json_get_str(mine, row) ? json_get_str(mine, row) : "absent", id);
	}
	free(rows);
}

static void
compare(struct client *c, const char *room, bool after, const char *what)
{
	struct client *fresh = client_again(c);

	fresh->after = after;
	cr_assert_eq(client_sync(fresh), M_OK);
	knows_state(c, room, what);
	knows_state(fresh, room, "who has just come");
	session_end(fresh->cx);
}

static void
sync_over_forks(const char *version, unsigned seeds)
{
	struct client *dan = client_new("dan");
	size_t order[100];

	for (unsigned seed = 1; seed <= seeds; seed++) {
		struct remote *rm = remote_new(version);
		struct client *c, *d;
		struct received r;

		rnd_state = 1000 + seed;
		empty_tables();
		sync_forget();
		c = client_again(dan);
		d = client_again(dan);
		d->after = true;
		random_history(rm, 40, false);
		size_t n = random_order(rm, order);
		cr_assert_eq(import_at(c->cx, rm, "dan", &r), M_OK);
		for (size_t i = 0; i < n; i++) {
			deliver(c->cx, rm, rm->d.v[order[i]].name);
			if (rnd(4) == 0)
				client_sync(c);
			if (rnd(4) == 0)
				client_sync(d);
		}
		client_sync(c);
		client_sync(d);
		if (sql_int("SELECT membership FROM local_member") == MEM_JOIN) {
			compare(c, rm->d.room, false, arena_printf(c->a, "v%s, seed %u", version, seed));
			compare(d, rm->d.room, true, arena_printf(c->a, "v%s, seed %u, state_after", version, seed));
		} else {
			cr_expect_null(json_get(c->rooms, rm->d.room), "he is out");
			cr_expect_not_null(json_get(c->left, rm->d.room));
		}
		check_rooms();
		session_end(c->cx);
		session_end(d->cx);
		dag_close(&rm->d);
	}
}
Test(room_forks_random, sync_version_2) { sync_over_forks("2", 3); }
Test(room_forks_random, sync_version_10) { sync_over_forks("10", 3); }
Test(room_forks_random, sync_version_12) { sync_over_forks("12", 3); }
