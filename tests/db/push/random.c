/*
 * tests/db/push/random.c - random histories: counting by sums and by events against a slow count, which goes through all events
 * after positions worked out from receipts, events and memberships themselves, and asks the rules about each one.
 */
#include <string.h>

#include "core/live/receipt.h"
#include "core/push/counts.h"
#include "core/user/account_data.h"
#include "core/user/push_rules.h"
#include "tests/db/room/world.h"

#define USERS 3
#define ROOMS 2
#define STEPS 120

TestSuite(counts_random);

static struct ctx *who[USERS];
static const char *room[ROOMS];
static int64_t room_nid[ROOMS];
static uint64_t state;
static bool plain;		/* only rules that come to a mode: counts are all of sums */

static unsigned
pick(unsigned n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)(state >> 33) % n;
}

/* ---- doings; what is refused is none */

static void
send(struct ctx *cx, unsigned r, const char *type, const char *content)
{
	const struct txn none = { 0 };
	const char *id;

	(void)DO(cx, TX_RW, room_send(cx, room[r], type, parse(cx, content), &none, &id));
}

/* Some event of the room that is no state; "" when there is none. */
static const char *
some_event(unsigned r, const char *more)
{
	return sql("SELECT id FROM event WHERE room = %lld AND state_key IS NULL AND room_pos IS NOT NULL %s ORDER BY md5(nid::text || '%u') LIMIT 1",
	    (long long)room_nid[r], more, pick(1000));
}

static void
do_message(struct ctx *cx, unsigned r)
{
	static const char *const texts[] = {
		"{\"body\":\"hello\",\"msgtype\":\"m.text\"}",
		"{\"body\":\"some tea?\",\"msgtype\":\"m.text\"}",
		"{\"body\":\"beep\",\"msgtype\":\"m.notice\"}",
		"{\"body\":\"x\",\"m.mentions\":{\"user_ids\":[\"@b:localhost\",\"@c:localhost\",\"@b:localhost\",7]},\"msgtype\":\"m.text\"}",
		"{\"body\":\"x\",\"m.mentions\":{\"user_ids\":[\"@a:localhost\"]},\"msgtype\":\"m.notice\"}",
		"{\"body\":\"x\",\"m.mentions\":{\"room\":true,\"user_ids\":[\"@a:localhost\"]},\"msgtype\":\"m.text\"}",
		"{\"body\":\"x\",\"m.mentions\":{\"room\":true},\"msgtype\":\"m.text\"}",
	};

	send(cx, r, "m.room.message", texts[pick(sizeof texts / sizeof *texts)]);
}

static void
do_other(struct ctx *cx, unsigned r)
{
	static const char *const types[] = { "m.room.encrypted", "m.call.invite", "m.sticker", "org.example.odd" };

	send(cx, r, types[pick(4)], pick(2) ? "{}" : "{\"m.mentions\":{\"user_ids\":[\"@c:localhost\"]}}");
}

static void
do_thread(struct ctx *cx, unsigned r)
{
	const char *root = some_event(r, "AND thread IS NULL AND NOT nid IN (SELECT event FROM event_relation)");

	send(cx, r, pick(3) ? "m.room.message" : "m.room.encrypted", arena_printf(cx->a, "{\"body\":\"tea\",\"m.mentions\":{%s},"
	    "\"m.relates_to\":{\"event_id\":\"%s\",\"rel_type\":\"m.thread\"},\"msgtype\":\"m.text\"}",
	    pick(3) ? "" : "\"user_ids\":[\"@b:localhost\"]", root));
}

static void
do_relation(struct ctx *cx, unsigned r)
{
	static const char *const rel[] = { "m.annotation", "m.replace", "m.reference" };
	unsigned k = pick(3);

	send(cx, r, k == 0 ? "m.reaction" : "m.room.message", arena_printf(cx->a, "{\"body\":\"*\",\"m.mentions\":{%s},\"m.relates_to\":"
	    "{\"event_id\":\"%s\",\"key\":\"%u\",\"rel_type\":\"%s\"},\"msgtype\":\"m.text\"}", pick(2) ? "" : "\"user_ids\":[\"@a:localhost\"]",
	    some_event(r, ""), pick(100), rel[k]));
}

static void
do_state(struct ctx *cx, unsigned r)
{
	if (pick(4) == 0)
		(void)set_state(cx, room[r], "m.room.server_acl", arena_printf(cx->a, "{\"allow\":[\"*\",\"x%u.org\"]}", pick(100)));
	else if (pick(4) == 0)	/* as a changed display name comes */
		(void)DO(cx, TX_RW, member_put(cx, room[r], cx->user, parse(cx, arena_printf(cx->a, "{\"displayname\":\"n%u\",\"membership\":\"join\"}",
		    pick(100))), &(const char *){ NULL }));
	else
		(void)set_state(cx, room[r], "m.room.topic", arena_printf(cx->a, "{\"topic\":\"%u\"}", pick(100)));
}

static void
do_redact(struct ctx *cx, unsigned r)
{
	const struct txn none = { 0 };
	const char *id, *target = some_event(r, "AND redacted_by IS NULL");

	(void)DO(cx, TX_RW, room_redact(cx, room[r], target, parse(cx, "{}"), &none, &id));
}

static void
do_receipt(struct ctx *cx, unsigned r)
{
	struct receipt v = { pick(2) ? RECEIPT_READ : RECEIPT_PRIVATE, some_event(r, ""), NULL };
	unsigned k = pick(3);

	if (k == 1)
		v.thread = "main";
	else if (k == 2) {
		v.event = some_event(r, "AND thread IS NOT NULL");
		v.thread = arena_strdup(cx->a, sql("SELECT id FROM event WHERE nid = (SELECT thread FROM event WHERE id = '%s')", v.event));
	}
	(void)DO(cx, TX_RW, receipt_set(cx, room[r], &v, 1));
}

static void
do_stay(struct ctx *cx, unsigned r)
{
	if (cx == who[0])	/* he has the power to let people in */
		return;
	if (leave(cx, room[r]) != M_OK || pick(2))
		(void)join(cx, room[r]);
}

static void
rule(struct ctx *cx, const char *kind, const char *id, const char *body)
{
	if (pick(2))
		(void)DO(cx, TX_RW, push_rule_put(cx, kind, id, parse(cx, body), NULL, NULL));
	else
		(void)DO(cx, TX_RW, push_rule_delete(cx, kind, id));
}

static void
do_rule(struct ctx *cx, unsigned r)
{
	static const char *const quiet[] = { ".m.rule.message", ".m.rule.encrypted", ".m.rule.room_one_to_one",
		".m.rule.encrypted_room_one_to_one", ".m.rule.call" };
	static const char *const other[] = { ".m.rule.suppress_notices", ".m.rule.is_user_mention", ".m.rule.is_room_mention", ".m.rule.reaction" };

	static const unsigned reducible[] = { 1, 3, 5, 7, 7 };

	switch (plain ? reducible[pick(5)] : pick(9)) {
	case 0: rule(cx, "content", "tea", "{\"actions\":[\"notify\",{\"set_tweak\":\"highlight\"}],\"pattern\":\"tea\"}"); break;
	case 1: rule(cx, "room", room[r], pick(2) ? "{\"actions\":[]}" : "{\"actions\":[\"notify\"]}"); break;
	case 2: rule(cx, "sender", who[pick(USERS)]->user, pick(2) ? "{\"actions\":[]}" : "{\"actions\":[\"notify\"]}"); break;
	case 3: rule(cx, "override", "mute", arena_printf(cx->a, "{\"actions\":[],\"conditions\":[{\"kind\":\"event_match\",\"key\":\"room_id\","
	    "\"pattern\":\"%s\"}]}", room[r])); break;
	case 4: rule(cx, "underride", "few", "{\"actions\":[],\"conditions\":[{\"kind\":\"room_member_count\",\"is\":\"2\"}]}"); break;
	case 5: (void)DO(cx, TX_RW, push_rule_enable(cx, "override", ".m.rule.master", pick(4) == 0)); break;
	case 6: (void)DO(cx, TX_RW, push_rule_enable(cx, "override", other[pick(4)], pick(3) != 0)); break;
	default: {
		bool on = pick(2);
		if (plain && pick(2)) {
			(void)DO(cx, TX_RW, push_rule_enable(cx, "override", ".m.rule.is_user_mention", on));
			break;
		}
		for (unsigned i = plain ? 2 * pick(3) : pick(2), end = plain ? i + 2 : i + 1 + pick(4); i < end && i < 5; i++)
			(void)DO(cx, TX_RW, push_rule_set_actions(cx, "underride", quiet[i], parse(cx, on ? "[\"notify\"]" : "[]")));
	}
	}
}

static void
do_ignore(struct ctx *cx, unsigned r)
{
	(void)r;
	if (plain)
		return;
	(void)DO(cx, TX_RW, account_data_set(cx, NULL, "m.ignored_user_list", parse(cx, arena_printf(cx->a, "{\"ignored_users\":{%s}}",
	    pick(2) ? "" : arena_printf(cx->a, "\"%s\":{},\"@nobody:x\":{}", who[pick(USERS)]->user)))));
}

static void
step(void)
{
	static void (*const doings[])(struct ctx *, unsigned) = {
		do_message, do_message, do_message, do_message, do_message, do_other, do_other, do_thread, do_thread, do_thread, do_relation, do_relation,
		do_state, do_redact, do_redact, do_receipt, do_receipt, do_stay, do_rule, do_rule, do_ignore,
	};
	struct ctx *cx = who[pick(USERS)];

	cx->err_text = NULL;
	cx->now++;
	doings[pick(sizeof doings / sizeof *doings)](cx, pick(ROOMS));
}

/* ---- the slow count */

/* Events that the user may have to be told of: nid, then the thread's root. Positions come from what says them, not from read_up_to. */
STMT(test_slow_events,
    "WITH own AS (SELECT coalesce(thread, -1) AS thread, max(room_pos) AS pos FROM event WHERE room = $2 AND sender = $1 AND type <> 2 GROUP BY 1),"
    " rec AS (SELECT thread, max(room_pos) AS pos FROM receipt WHERE room = $2 AND usr = $1 GROUP BY 1),"
    " stay AS (SELECT max(e.room_pos) AS pos FROM (SELECT event, membership, lag(membership) OVER (ORDER BY since) AS was FROM state"
    "	WHERE room = $2 AND line = 0 AND type = 2 AND key = $1) s JOIN event e ON e.nid = s.event"
    "	WHERE s.membership = 2 AND s.was IS DISTINCT FROM 2),"
    " read AS (SELECT * FROM own UNION ALL SELECT * FROM rec)"
    " SELECT e.nid, e.thread FROM event e WHERE e.room = $2 AND e.room_pos IS NOT NULL AND e.redacted_by IS NULL"
    " AND e.room_pos > greatest((SELECT pos FROM stay), (SELECT max(pos) FROM rec WHERE thread = 0),"
    "	(SELECT max(pos) FROM read WHERE thread = coalesce(e.thread, -1))) ORDER BY e.room_pos");

static void
add(struct unread *u, const struct push_verdict *v)
{
	u->notify += v->notify;
	u->highlight += v->highlight;
}

static void
slow(struct ctx *cx, int64_t room_id, struct unread_room *out)
{
	struct rows r;

	out->threads = arena_calloc(cx->a, 500, sizeof *out->threads);
	cr_assert_eq(db_query(cx, &r, &test_slow_events, P_I64(cx->user_nid), P_I64(room_id)), M_OK);
	while (db_next(&r)) {
		struct push_verdict v;
		size_t i;

		cr_assert_eq(push_verdicts(cx, db_i64(&r, 0), &cx->user_nid, 1, &v), M_OK);
		if (!v.notify)
			continue;
		add(&out->all, &v);
		if (db_null(&r, 1)) {
			add(&out->main, &v);
			continue;
		}
		for (i = 0; i < out->nthreads && out->threads[i].root != db_i64(&r, 1);)
			i++;
		if (i == out->nthreads)
			out->threads[out->nthreads++].root = db_i64(&r, 1);
		add(&out->threads[i].n, &v);
	}
}

static bool
same(const struct unread_room *a, const struct unread_room *b)
{
	size_t found = 0;

	for (size_t i = 0; i < a->nthreads; i++)
		for (size_t k = 0; k < b->nthreads; k++)
			found += a->threads[i].root == b->threads[k].root && memcmp(&a->threads[i].n, &b->threads[k].n, sizeof a->threads[i].n) == 0;
	return found == a->nthreads && found == b->nthreads && memcmp(&a->main, &b->main, sizeof a->main) == 0 &&
	    memcmp(&a->all, &b->all, sizeof a->all) == 0;
}

static void
compare(unsigned seed, int at)
{
	struct unread_room fast[USERS * ROOMS] = { 0 };
	struct badge badge[USERS];
	struct ctx *cx = session();
	int64_t users[USERS], rooms[USERS] = { 0 }, sum[USERS] = { 0 };

	db_begin(cx, TX_RO);
	for (int i = 0; i < USERS * ROOMS; i++)
		fast[i] = (struct unread_room){ .usr = who[i / ROOMS]->user_nid, .room = room_nid[i % ROOMS] };
	for (int i = 0; i < USERS; i++)
		users[i] = who[i]->user_nid;
	cr_assert_eq(unread_rooms(cx, fast, USERS * ROOMS), M_OK);
	cr_assert_eq(unread_badges(cx, users, USERS, badge), M_OK);
	cr_assert_eq(db_commit(cx), M_OK);
	for (int i = 0; i < USERS * ROOMS; i++) {
		struct unread_room want = { 0 };

		if (sql_int("SELECT coalesce((SELECT membership FROM local_member WHERE usr = %lld AND room = %lld), 0)", (long long)fast[i].usr, (long long)fast[i].room) != 2)
			continue;
		slow(who[i / ROOMS], fast[i].room, &want);
		cr_assert(same(&fast[i], &want), "seed %u step %d %s room %d: counted %lld/%lld (main %lld/%lld, %zu threads), there are %lld/%lld"
		    " (main %lld/%lld, %zu threads); mode %x", seed, at, who[i / ROOMS]->user, i % ROOMS, (long long)fast[i].all.notify,
		    (long long)fast[i].all.highlight, (long long)fast[i].main.notify, (long long)fast[i].main.highlight, fast[i].nthreads,
		    (long long)want.all.notify, (long long)want.all.highlight, (long long)want.main.notify, (long long)want.main.highlight, want.nthreads,
		    fast[i].reader->modes.base);
		rooms[i / ROOMS] += want.all.notify > 0;
		sum[i / ROOMS] += want.all.notify;
	}
	for (int i = 0; i < USERS; i++) {
		cr_assert_eq(badge[i].rooms, rooms[i], "seed %u step %d: a badge", seed, at);
		cr_assert_eq(badge[i].notifications, sum[i], "seed %u step %d: a badge's sum", seed, at);
	}
	session_end(cx);
}

static void
run(unsigned seed)
{
	plain = seed % 2;
	state = seed * 0x9E3779B97F4A7C15U + 1;
	who[0] = user("a");
	who[1] = user("b");
	who[2] = user("c");
	for (int r = 0; r < ROOMS; r++) {
		room[r] = make_room(who[0], "{\"preset\":\"public_chat\"}");
		room_nid[r] = sql_int("SELECT nid FROM room WHERE id = '%s'", room[r]);
		cr_assert_eq(join(who[1], room[r]), M_OK);
	}
	for (int i = 1; i <= STEPS; i++) {
		step();
		if (i % 6 == 0)
			compare(seed, i);
	}
	check_rooms();
}

Test(counts_random, seed_1) { run(1); }
Test(counts_random, seed_2) { run(2); }
Test(counts_random, seed_3) { run(3); }
Test(counts_random, seed_4) { run(4); }
