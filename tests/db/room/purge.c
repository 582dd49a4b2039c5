/* tests/db/room/purge.c - deleting history and rooms: what goes, what stays, what clients see, and who may be killed when. */
#include "core/jobs/jobs.h"
#include "core/live/receipt.h"
#include "core/room/alias.h"
#include "core/room/purge.h"
#include "core/room/relation_read.h"
#include "core/room/summary.h"
#include "core/user/account_data.h"
#include "tests/db/room/world.h"
#include "tests/db/sync/client.h"

#define PUBLIC "{\"preset\":\"public_chat\"}"

static const struct txn none = { "x", NULL };

static void
purge_before(struct ctx *cx, const char *room, const char *event, bool keep_local)
{
	OK(cx, TX_RW, purge_history(cx, room, event, 0, keep_local));
}

static void
run_jobs(void)
{
	struct ctx *jobs = session();

	while (jobs_run_due(jobs) > 0)
		;
	cr_expect_eq(sql_int("SELECT count(*) FROM job WHERE error IS NOT NULL"), 0, "%s", sql("SELECT kind || error FROM job WHERE error IS NOT NULL"));
	session_end(jobs);
}

static const char *
messages(struct ctx *cx, const char *room, const char *from, bool back)
{
	const struct messages q = { .from = from, .back = back, .limit = 500 };
	struct json *answer = READ(cx, read_messages(cx, room, &q, &o));

	cr_expect(!back || json_get(answer, "end") == NULL, "there is no end");
	return bodies(cx, json_get(answer, "chunk"));
}

static const char *
relate(struct ctx *cx, const char *room, const char *rel_type, const char *target, const char *body)
{
	struct json *content = parse(cx, arena_printf(cx->a,
	    "{\"body\":\"%s\",\"m.relates_to\":{\"rel_type\":\"%s\",\"event_id\":\"%s\"}}", body, rel_type, target));
	const char *id = NULL;

	OK(cx, TX_RW, room_send(cx, room, "m.room.message", content, &none, &id));
	return id;
}

static bool
is_stored(const char *event)
{
	return sql_int("SELECT count(*) FROM event WHERE id = '%s'", event) == 1;
}

Test(room_purge, history_ends_and_the_present_stays)
{
	struct ctx *a = user("alice"), *b = user("bob");
	const char *room = make_room(a, "{\"preset\":\"public_chat\",\"name\":\"one\"}"), *stays, *before = say(a, room, "m1");
	long long state;

	cr_assert_eq(join(b, room), M_OK);
	set_state(a, room, "m.room.name", "{\"name\":\"two\"}");
	set_state(a, room, "m.room.name", "{\"name\":\"three\"}");
	say(b, room, "m2");
	stays = say(b, room, "m3");
	say(a, room, "m4");
	state = sql_int("SELECT count(*) FROM current_state");
	purge_before(a, room, stays, false);
	run_jobs();
	cr_expect_str_eq(messages(b, room, NULL, true), "m4 m3");
	cr_expect_str_eq(messages(b, room, NULL, false), "m3 m4");
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE id = '%s'", before), 0);
	cr_expect_eq(sql_int("SELECT count(*) FROM state"), state, "only what holds now is left");
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE content IN ('{\"name\":\"one\"}', '{\"name\":\"two\"}')"), 0);
	struct json *name = READ(b, read_state_event(b, room, "m.room.name", "", true, &o));
	cr_expect_str_eq(json_get_str(json_get(name, "content"), "name"), "three");
	cr_expect_null(json_get(json_get(name, "unsigned"), "prev_content"));
	cr_expect_eq(READ(b, read_state(b, room, &o))->u.arr.n, (size_t)state);
	cr_expect_eq(json_get(READ(b, read_members(b, room, "t1", NULL, NULL, &o)), "chunk")->u.arr.n, 2, "members at a time that is gone: those of the bottom");
	cr_expect_eq(sql_int("SELECT kind FROM hole"), 3);
	cr_expect_eq(sql_int("SELECT top_pos FROM hole"), sql_int("SELECT room_pos FROM event WHERE id = '%s'", stays));
	cr_expect_eq(sql_int("SELECT cardinality(prev) FROM hole"), 1);
	cr_expect_eq(set_state(a, room, "m.room.name", "{\"name\":\"four\"}"), M_OK);
	say(b, room, "m5");
	check_rooms();
}

Test(room_purge, authorizing_events_stay_off_the_timeline)
{
	struct ctx *a = user("alice"), *b = user("bob");
	const char *room = make_room(a, PUBLIC), *stays;

	cr_assert_eq(join(b, room), M_OK);
	cr_assert_eq(leave(b, room), M_OK);
	cr_assert_eq(join(b, room), M_OK);
	stays = say(a, room, "stays");
	purge_before(a, room, stays, false);
	run_jobs();
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE type = 2"), 4, "all of them are in the auth chain of the last");
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE type = 2 AND (room_pos IS NOT NULL OR flags & 4 = 0)"), 0);
	check_rooms();
}

Test(room_purge, what_local_users_sent_is_kept_if_asked)
{
	struct ctx *a = user("alice");
	const char *room = make_room(a, PUBLIC), *mine = say(a, room, "mine"), *theirs = say(a, room, "theirs"), *stays;

	sql("INSERT INTO name (body) VALUES ('@eve:else')");
	sql("UPDATE event SET sender = (SELECT nid FROM name WHERE body = '@eve:else') WHERE id = '%s'", theirs);
	stays = say(a, room, "stays");
	purge_before(a, room, stays, true);
	run_jobs();
	cr_expect_str_eq(messages(a, room, NULL, true), "stays");
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE id = '%s'", theirs), 0);
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE id = '%s' AND room_pos IS NULL", mine), 1);
	cr_expect_eq(DO(a, TX_RO, read_event(a, room, mine, &(struct json_out){ .b = { .a = a->a } })), M_NOT_FOUND, "kept, but not shown");
	check_rooms();
}

Test(room_purge, up_to_a_time)
{
	struct ctx *a = user("alice");
	const char *room = make_room(a, PUBLIC);

	say(a, room, "old");
	a->now += 100000;
	say(a, room, "new");
	sql("UPDATE event SET ts = 1 WHERE id = '%s'", say(a, room, "says it is old"));
	OK(a, TX_RW, purge_history(a, room, NULL, a->now - 50000, false));
	run_jobs();
	cr_expect_str_eq(messages(a, room, NULL, false), "new says it is old", "a wrong clock takes nothing along");
	OK(a, TX_RW, purge_history(a, room, NULL, a->now + 50000, false));
	run_jobs();
	cr_expect_str_eq(messages(a, room, NULL, false), "says it is old", "the forward extremity stays");
	cr_expect_eq(DO(a, TX_RW, purge_history(a, "!no:localhost", NULL, 0, false)), M_NOT_FOUND);
	cr_expect_eq(DO(a, TX_RW, purge_history(a, room, "$no", 0, false)), M_NOT_FOUND);
	check_rooms();
}

Test(room_purge, relations_threads_receipts_and_transactions)
{
	struct ctx *a = user("alice"), *b = user("bob");
	const struct txn txn = { "/send/1", "1" };
	const char *room = make_room(a, PUBLIC), *gone, *root, *child, *stays, *again, *sent;

	cr_assert_eq(join(b, room), M_OK);
	OK(a, TX_RW, room_send(a, room, "m.room.message", parse(a, "{\"body\":\"sent\"}"), &txn, &sent));
	gone = say(a, room, "gone");
	again = say(a, room, "redacted");
	OK(a, TX_RW, room_redact(a, room, again, json_new_obj(a->a), &none, &again));
	root = say(a, room, "root");
	relate(a, room, "m.thread", root, "t1");
	relate(b, room, "m.reference", gone, "r1");
	stays = say(a, room, "stays");
	child = relate(b, room, "m.thread", root, "t2");
	relate(b, room, "m.reference", child, "r2");
	relate(b, room, "m.reference", gone, "r3");
	relate(a, room, "m.thread", stays, "t3");
	OK(b, TX_RW, receipt_set(b, room, &(struct receipt){ .kind = RECEIPT_READ, .event = gone }, 1));
	OK(a, TX_RW, receipt_set(a, room, &(struct receipt){ .kind = RECEIPT_READ, .event = child, .thread = root }, 1));
	OK(a, TX_RW, receipt_set(a, room, &(struct receipt){ .kind = RECEIPT_READ, .event = stays }, 1));
	purge_before(a, room, stays, false);
	run_jobs();
	cr_expect_not(is_stored(root));
	cr_expect_eq(sql_int("SELECT count(*) FROM receipt"), 1, "the one for what is there");
	cr_expect_eq(sql_int("SELECT count(*) FROM thread"), 1);
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE thread IS NOT NULL"), 1, "the other thread's root is not here");
	cr_expect_eq(sql_int("SELECT count(*) FROM event_relation WHERE target IS NULL AND target_id IN ('%s', '%s')", gone, root), 2);
	cr_expect_eq(DO(a, TX_RW, room_send(a, room, "m.room.message", parse(a, "{\"body\":\"sent\"}"), &txn, &again)), E_CONFLICT);
	a->attempt = 1;		/* the dispatcher has it looked up then */
	OK(a, TX_RW, room_send(a, room, "m.room.message", parse(a, "{\"body\":\"sent\"}"), &txn, &again));
	a->attempt = 0;
	cr_expect_str_eq(again, sent, "repeated: the same answer");
	struct json *threads = READ(a, threads_list(a, room, false, NULL, 10, &o));
	cr_expect_eq(json_get(threads, "chunk")->u.arr.n, 1);
	relate(a, room, "m.thread", root, "t4");	/* a client that still shows the thread goes on in it */
	relate(b, room, "m.reference", child, "r4");
	OK(a, TX_RW, receipt_set(a, room, &(struct receipt){ .kind = RECEIPT_READ, .event = child, .thread = root }, 1));
	check_rooms();
	/* the redaction is gone, and with it nothing may wait for it for ever */
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE redacted_original IS NOT NULL"), 0);
}

/* A thread whose root stays counts what is left of it: roots are older than their threads, but for what comes from elsewhere. */
Test(room_purge, a_thread_loses_some_of_its_events)
{
	struct ctx *a = user("alice");
	const char *room = make_room(a, PUBLIC), *root = say(a, room, "root"), *t1, *stays;

	t1 = relate(a, room, "m.thread", root, "t1");
	stays = say(a, room, "stays");
	relate(a, room, "m.thread", root, "t2");
	/* as if the root had come last */
	sql("UPDATE event SET room_pos = (SELECT last_room_pos + 1 FROM room) WHERE id = '%s'", root);
	sql("UPDATE room SET last_room_pos = last_room_pos + 1");
	purge_before(a, room, stays, false);
	run_jobs();
	cr_expect_not(is_stored(t1));
	cr_expect_eq(sql_int("SELECT n FROM thread"), 1);
	cr_expect_eq(sql_int("SELECT n FROM thread_user"), 1);
}

static void
fill(struct ctx *cx, const char *room, int n)
{
	for (int i = 0; i < n; i++) {
		if (i % 5 == 0)
			set_state(cx, room, "m.room.topic", arena_printf(cx->a, "{\"topic\":\"%d\"}", i));
		else
			say(cx, room, arena_printf(cx->a, "m%d", i));
	}
}

/* A worker is killed between steps, or in one: another goes on. Each step is as good as a purge. */
Test(room_purge, in_steps_each_of_which_may_be_the_last)
{
	struct ctx *a = user("alice"), *w = session();
	const char *room = make_room(a, PUBLIC), *stays;
	int64_t nid = sql_int("SELECT nid FROM room"), upto;
	bool more = true;
	int steps = 0;

	fill(a, room, 2 * PURGE_EVENTS + 50);
	stays = say(a, room, "stays");
	upto = sql_int("SELECT room_pos - 1 FROM event WHERE id = '%s'", stays);
	purge_before(a, room, stays, false);
	while (more) {
		db_begin(w, TX_RW);
		cr_assert_eq(purge_history_step(w, nid, upto, false, &more), M_OK);
		db_rollback(w);		/* killed before COMMIT: nothing is done */
		check_rooms();
		db_begin(w, TX_RW);
		cr_assert_eq(purge_history_step(w, nid, upto, false, &more), M_OK);
		cr_assert_eq(db_commit(w), M_OK);
		session_next(w);
		check_rooms();
		cr_assert_eq(READ(a, read_state(a, room, &o))->u.arr.n, (size_t)sql_int("SELECT count(*) FROM current_state"));
		steps++;
	}
	cr_expect_eq(steps, 3);
	run_jobs();		/* finds nothing left */
	cr_expect_str_eq(messages(a, room, NULL, true), "stays");
	cr_expect_eq(sql_int("SELECT count(*) FROM job WHERE kind = 'purge_history'"), 0);
	cr_expect_leq(sql_int("SELECT count(*) FROM state"), 9);
}

static enum err
step_of(struct ctx *cx, void *arg)
{
	const int64_t *v = arg;
	bool more;

	return DO(cx, TX_RW, purge_history_step(cx, v[0], v[1], false, &more));
}

static enum err
say_it(struct ctx *cx, void *arg)
{
	const char *id;

	return DO(cx, TX_RW, room_send(cx, arg, "m.room.message", parse(cx, "{\"body\":\"meanwhile\"}"), &none, &id));
}

static enum err
reply(struct ctx *cx, void *arg)
{
	const char **v = arg, *id;
	struct json *content = parse(cx, arena_printf(cx->a,
	    "{\"body\":\"re\",\"m.relates_to\":{\"rel_type\":\"m.thread\",\"event_id\":\"%s\"}}", v[1]));

	return DO(cx, TX_RW, room_send(cx, v[0], "m.room.message", content, &none, &id));
}

/* A send waits for a step and a step for a send; a reply to what goes meanwhile is a reply to what is not known. */
Test(room_purge, sends_and_other_purges_at_the_same_moment)
{
	struct ctx *a = user("alice"), *w = session(), *v = session(), *b = user_again("alice");
	const char *room = make_room(a, PUBLIC), *root = say(a, room, "root"), *re[2] = { room, root };
	int64_t which[2] = { sql_int("SELECT nid FROM room"), 0 };
	struct step *s, *t;
	bool more;

	fill(a, room, 20);
	which[1] = sql_int("SELECT room_pos FROM event WHERE id = '%s'", say(a, room, "last of the purge"));
	say(a, room, "stays");
	db_begin(w, TX_RW);
	cr_assert_eq(purge_history_step(w, which[0], which[1], false, &more), M_OK);
	s = step_start(b, reply, re);
	t = step_start(v, step_of, which);
	cr_assert(step_waits(s));
	cr_assert(step_waits(t));
	cr_assert_eq(db_commit(w), M_OK);
	cr_assert_eq(step_end(s), M_OK);
	cr_assert_eq(step_end(t), M_OK);
	cr_expect_str_eq(messages(a, room, NULL, false), "stays re");
	cr_expect_eq(sql_int("SELECT count(*) FROM thread"), 0);
	check_rooms();

	/* the other way round: the send is under way when the step begins, and its event is the extremity that stays */
	fill(a, room, 20);
	which[1] = INT64_MAX;
	db_begin(b, TX_RW);
	const char *id;
	cr_assert_eq(room_send(b, room, "m.room.message", parse(b, "{\"body\":\"sent\"}"), &none, &id), M_OK);
	s = step_start(w, step_of, which);
	cr_assert(step_waits(s));
	cr_assert_eq(db_commit(b), M_OK);
	cr_assert_eq(step_end(s), M_OK);
	cr_expect_str_eq(messages(a, room, NULL, false), "sent");
	cr_assert_eq(say_it(a, (void *)(uintptr_t)room), M_OK);
	check_rooms();
}

/* Forks that remaining events stand on keep their states and those of their root. */
Test(room_purge, forks_keep_what_they_stand_on)
{
	struct ctx *a = user("alice");
	const char *room = make_room(a, PUBLIC), *fork, *stays;
	int64_t nid = sql_int("SELECT nid FROM room"), ver, rows;

	fill(a, room, 10);
	ver = sql_int("SELECT state_ver FROM room");
	sql("INSERT INTO line (room, line, parent, parent_ver, depth, last_ver) VALUES (%lld, 1, 0, %lld, 1, 1), (%lld, 2, 1, 1, 2, 0)",
	    (long long)nid, (long long)ver, (long long)nid);
	sql("INSERT INTO state (room, line, type, key, since, event) SELECT room, 1, type, key, 1, event FROM state WHERE type = 8 AND"
	    " since = %lld", (long long)ver);
	fill(a, room, 10);
	fork = say(a, room, "on the fork");
	sql("UPDATE event SET line = 2, ver = 0 WHERE id = '%s'", fork);
	fill(a, room, 10);
	stays = say(a, room, "stays");
	purge_before(a, room, fork, false);
	run_jobs();
	cr_expect_eq(sql_int("SELECT count(*) FROM line"), 2);
	cr_expect_eq(sql_int("SELECT count(*) FROM state WHERE line = 0 AND since = %lld AND type = 8", (long long)ver), 1, "the root of the fork is still readable");
	rows = sql_int("SELECT count(*) FROM state");
	purge_before(a, room, stays, false);
	run_jobs();
	cr_expect_eq(sql_int("SELECT count(*) FROM line"), 0);
	cr_expect_eq(sql_int("SELECT count(*) FROM state WHERE line <> 0"), 0);
	cr_expect_lt(sql_int("SELECT count(*) FROM state"), rows);
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE type = 8"), 1);
	check_rooms();
}

/* ---- clients */

Test(room_purge, a_client_that_was_away_has_a_gap)
{
	struct client *a = client_new("alice"), *b = client_new("bob");
	const char *room = client_room(a, PUBLIC), *stays = NULL, *old;
	enum err e;

	cr_assert_eq(client_member(b, MEMBER_JOIN, room, NULL), M_OK);
	cr_assert_eq(client_sync(b), M_OK);
	old = b->since;
	client_say(a, room, "m1");
	client_state(a, room, "m.room.topic", "", "{\"topic\":\"t\"}");
	stays = client_say(a, room, "m2");
	cr_assert_eq(CALL(a, purge_history(a->cx, room, stays, 0, false)), M_OK);
	run_jobs();
	struct json *answer = client_ask(b, old, &e), *r = room_in(answer, "join", room);
	cr_assert_eq(e, M_OK);
	cr_expect(json_get_bool(at(r, "timeline"), "limited", false), "there was more than is shown");
	cr_expect_eq(at(r, "timeline/events")->u.arr.n, 1);
	cr_expect_eq(at(r, "state/events")->u.arr.n, 1, "the topic, which no event shown tells");
	cr_expect_str_eq(messages(b->cx, room, json_get_str(at(r, "timeline"), "prev_batch"), true), "");
	/* who had seen all that was deleted has none */
	cr_assert_eq(client_sync(b), M_OK);
	client_say(a, room, "m3");
	old = b->since;
	cr_assert_eq(CALL(a, purge_history(a->cx, room, NULL, INT64_MAX, false)), M_OK);
	run_jobs();
	r = room_in(client_ask(b, old, &e), "join", room);
	cr_assert_eq(e, M_OK);
	cr_expect_not(json_get_bool(at(r, "timeline"), "limited", true));
	/* a worker that knows nothing, and an initial sync */
	sync_forget();
	r = room_in(client_ask(b, NULL, &e), "join", room);
	cr_expect_eq(at(r, "timeline/events")->u.arr.n, 1);
	cr_expect_eq(at(r, "state/events")->u.arr.n, (size_t)sql_int("SELECT count(*) FROM current_state"));
	check_rooms();
}

Test(room_purge, a_room_goes_with_all_that_is_in_it)
{
	struct client *a = client_new("alice"), *b = client_new("bob"), *c = client_new("carol");
	const char *room = client_room(a, "{\"preset\":\"public_chat\",\"room_alias_name\":\"here\",\"visibility\":\"public\"}"), *id;
	const char *kept = client_room(a, "{\"preset\":\"public_chat\",\"name\":\"kept\"}"), *behind, *said;
	int64_t nid = sql_int("SELECT nid FROM room WHERE id = '%s'", room);
	bool public;
	enum err e;

	cr_assert_eq(client_member(b, MEMBER_JOIN, room, NULL), M_OK);
	cr_assert_eq(client_member(a, MEMBER_INVITE, room, c), M_OK);
	said = client_say(a, room, "said");
	relate(b->cx, room, "m.thread", said, "in a thread");
	client_say(a, kept, "elsewhere");
	client_data(b, room, "m.note", "{\"x\":1}");
	OK(b->cx, TX_RW, receipt_set(b->cx, room, &(struct receipt){ .kind = RECEIPT_READ, .event = said }, 1));
	sql("INSERT INTO typing (room, usr, until) VALUES (%lld, %lld, 1)", (long long)nid, (long long)b->nid);
	cr_assert_eq(client_sync(b), M_OK);
	cr_assert_eq(client_sync(c), M_OK);
	behind = c->since;
	cr_assert_eq(CALL(a, purge_room(a->cx, room, false)), M_OK);
	/* at once: nobody sees it or gets in */
	cr_expect_eq(client_member(c, MEMBER_JOIN, room, NULL), M_FORBIDDEN);
	cr_expect_eq(CALL(a, room_send(a->cx, room, "m.room.message", json_new_obj(a->cx->a), &none, &id)), M_FORBIDDEN);
	cr_expect_eq(CALL(a, directory_get(a->cx, room, &public)), M_NOT_FOUND);
	cr_expect_eq(CALL(a, alias_find(a->cx, "#here:localhost", &id)), M_NOT_FOUND);
	cr_expect_eq(DO(a->cx, TX_RO, read_state(a->cx, room, &(struct json_out){ .b = { .a = a->cx->a } })), M_FORBIDDEN);
	run_jobs();
	/* whatever has a column for rooms or events has nothing of it */
	cr_expect_str_eq(sql("SELECT string_agg(t, ' ') FROM (SELECT table_name AS t, (xpath('/row/n/text()', query_to_xml(format("
	    "'SELECT count(*) AS n FROM hearth.%%I WHERE room = %lld', table_name), false, true, '')))[1]::text::int AS n"
	    " FROM information_schema.columns c JOIN information_schema.tables USING (table_schema, table_name)"
	    " WHERE table_schema = 'hearth' AND column_name = 'room' AND table_type = 'BASE TABLE' AND c.data_type = 'bigint') x"
	    " WHERE n > 0", (long long)nid), "local_member");
	cr_expect_eq(sql_int("SELECT count(*) FROM event_relation") + sql_int("SELECT count(*) FROM thread"), 0);
	/* each client is told, also who was away all the time, and it stays told only once */
	cr_assert_eq(client_sync(b), M_OK);
	cr_expect_not_null(room_in(b->last, "leave", room));
	cr_expect_null(json_get(b->rooms, room));
	struct json *answer = client_ask(c, behind, &e);
	cr_assert_eq(e, M_OK);
	cr_expect_not_null(room_in(answer, "leave", room));
	cr_assert_eq(client_sync(a), M_OK);
	cr_expect_not_null(room_in(a->last, "join", kept));
	cr_expect_null(room_in(a->last, "join", room));
	cr_expect_null(room_in(a->last, "leave", room), "a new client is not told of it");
	cr_expect_eq(CALL(b, member_forget(b->cx, room)), M_OK);
	/* after a month even that is gone */
	cr_expect_eq(sql_int("SELECT count(*) FROM job WHERE kind = 'purge_room' AND run_ts > %lld", (long long)a->cx->now + PURGE_KEPT_MS / 2), 1);
	sql("UPDATE job SET run_ts = 0 WHERE kind = 'purge_room'");
	run_jobs();
	cr_expect_eq(sql_int("SELECT count(*) FROM room WHERE nid = %lld", (long long)nid), 0);
	cr_expect_eq(sql_int("SELECT count(*) FROM local_member WHERE room = %lld", (long long)nid), 0);
	cr_expect_str_eq(messages(a->cx, kept, arena_printf(a->cx->a, "t%lld",
	    sql_int("SELECT last_room_pos - 1 FROM room")), false), "elsewhere");
	check_rooms();
}

Test(room_purge, a_blocked_room_stays_blocked_and_can_be_left)
{
	struct ctx *a = user("alice"), *b = user("bob");
	const char *room = make_room(a, PUBLIC), *left = make_room(a, "{\"preset\":\"public_chat\",\"name\":\"left\"}");

	cr_assert_eq(join(b, room), M_OK);
	cr_assert_eq(join(b, left), M_OK);
	sql("UPDATE room SET blocked = true WHERE id = '%s'", left);
	cr_expect_eq(leave(b, left), M_OK);
	cr_expect_eq(join(b, left), M_FORBIDDEN);
	OK(a, TX_RW, purge_room(a, room, true));
	OK(a, TX_RW, purge_room(a, room, false));	/* asked twice */
	run_jobs();
	sql("UPDATE job SET run_ts = 0 WHERE kind = 'purge_room'");
	run_jobs();
	cr_expect_eq(sql_int("SELECT count(*) FROM room WHERE id = '%s' AND blocked AND purged", room), 1);
	cr_expect_eq(join(b, room), M_FORBIDDEN);
	check_rooms();
}

/* Killed anywhere on the way, another worker goes on; a member who leaves by himself is in nobody's way. */
Test(room_purge, a_room_goes_step_by_step)
{
	struct ctx *a = user("alice"), *b = user("bob"), *w = session();
	const char *room = make_room(a, PUBLIC);
	int64_t nid = sql_int("SELECT nid FROM room");
	bool more = true, rest = false;
	int steps = 0;

	for (int i = 0; i < 45; i++) {
		struct ctx *m = user(arena_printf(a->a, "m%d", i));
		cr_assert_eq(join(m, room), M_OK);
		session_end(m);
	}
	cr_assert_eq(join(b, room), M_OK);
	fill(a, room, 30);
	OK(a, TX_RW, purge_room(a, room, false));
	while (more) {
		bool m, r;
		db_begin(w, TX_RW);
		cr_assert_eq(purge_room_step(w, nid, false, &m, &r), M_OK);
		db_rollback(w);
		session_next(w);
		db_begin(w, TX_RW);
		cr_assert_eq(purge_room_step(w, nid, false, &more, &rest), M_OK);
		cr_assert_eq(db_commit(w), M_OK);
		session_next(w);
		if (steps++ == 1)
			(void)leave(b, room);
	}
	cr_expect(rest);
	cr_expect_eq(sql_int("SELECT count(*) FROM local_member WHERE membership <> 4"), 0);
	cr_expect_eq(sql_int("SELECT count(*) FROM event"), 0);
	check_rooms();
}

Test(room_purge, from_psql)
{
	struct ctx *a = user("alice");
	const char *room = make_room(a, PUBLIC), *stays;

	fill(a, room, 5);
	stays = say(a, room, "stays");
	cr_expect_gt(sql_int("SELECT admin.purge_history('%s', before_event => '%s')", room, stays), 5);
	run_jobs();
	cr_expect_str_eq(messages(a, room, NULL, true), "stays");
	cr_expect_eq(sql_int("SELECT admin.purge_history('%s', now() + interval '1 day')", room), 1);
	cr_expect_str_eq(sql_error("SELECT admin.purge_history('%s')", room), "22023");
	cr_expect_str_eq(sql_error("SELECT admin.purge_history('!no:localhost', now())"), "P0002");
	cr_expect_str_eq(sql_error("SELECT admin.purge_history('%s', before_event => '$no')", room), "P0002");
	sql("SELECT admin.purge_room('%s')", room);
	cr_expect_eq(sql_int("SELECT count(*) FROM admin.rooms"), 0);
	run_jobs();
	cr_expect_eq(sql_int("SELECT count(*) FROM event"), 0);
}

/* He left, and his leave is gone from the timeline before he hears of it: of the room there is its end, and a gap without events. */
Test(room_purge, who_left_before_a_purge_hears_of_the_end)
{
	struct client *a = client_new("alice"), *b = client_new("bob");
	const char *room = client_room(a, PUBLIC), *stays;

	client_member(b, MEMBER_JOIN, room, NULL);
	client_say(a, room, "1");
	cr_assert_eq(client_sync(b), M_OK);
	client_say(a, room, "2");
	client_member(b, MEMBER_LEAVE, room, NULL);
	stays = client_say(a, room, "3");
	purge_before(a->cx, room, stays, false);
	run_jobs();
	for (int i = 0; i < 2; i++) {
		struct json *answer, *left;
		enum err e;

		b->filter = i ? "{\"room\":{\"timeline\":{\"limit\":0}}}" : NULL;
		answer = client_ask(b, b->since, &e);
		cr_assert_eq(e, M_OK);
		cr_assert_not_null(left = room_in(answer, "leave", room));
		cr_expect_eq(at(left, "timeline/events")->u.arr.n, 0);
		cr_expect(json_get_bool(at(left, "timeline"), "limited", false));
	}
}
