/* tests/db/room/send.c - messages, transaction ids, redactions, state; the races between them. */
#include "core/push/class.h"
#include "core/room/pdu.h"
#include "core/room/render.h"
#include "tests/db/room/world.h"

static const struct txn none = { NULL, NULL };
#define PUBLIC "{\"preset\":\"public_chat\"}"

struct sending {
	const char *room, *txn;
	const char *id;
};

/* As the dispatcher does it: the second of two with one transaction id is told at COMMIT, and looks again. */
static enum err
send_it(struct ctx *cx, void *arg)
{
	struct sending *s = arg;
	struct txn txn = { s->txn, s->txn };
	struct json *content = json_new_obj(cx->a);
	enum err e = DO(cx, TX_RW, room_send(cx, s->room, "m.room.message", content, &txn, &s->id));

	if (e != E_CONFLICT || strcmp(db_constraint(cx), "txn_pkey") != 0)
		return e;
	cx->attempt = 1;
	e = DO(cx, TX_RW, room_send(cx, s->room, "m.room.message", content, &txn, &s->id));
	cx->attempt = 0;
	return e;
}

static enum err
redact(struct ctx *cx, const char *room, const char *event)
{
	const char *id;

	return DO(cx, TX_RW, room_redact(cx, room, event, parse(cx, "{\"reason\":\"r\"}"), &none, &id));
}

static const char *
pdu(struct ctx *cx, const char *id)
{
	struct pdu_columns c = { .id = id };
	struct buf b;
	size_t n;
	struct rows r;
	static const struct stmt st = { "test_pdu",
		"SELECT (SELECT id FROM room WHERE nid = e.room), (SELECT body FROM name WHERE nid = e.type),"
		" (SELECT body FROM name WHERE nid = e.sender), (SELECT body FROM name WHERE nid = e.state_key), ts, content, pdu, flags,"
		" (SELECT version FROM room WHERE nid = e.room), cites FROM event e WHERE id = $1" };

	db_begin(cx, TX_RO);
	cr_assert_eq(db_row(cx, &r, &st, P_TEXT(id)), M_OK);
	c = (struct pdu_columns){ id, db_text(&r, 0), db_text(&r, 1), db_text(&r, 2), db_text(&r, 3), db_i64(&r, 4), db_text(&r, 5),
		db_text(&r, 6), (int)db_i64(&r, 7), NULL, 0 };
	c.cites = db_bytes(&r, 9, &c.ncites);
	buf_init(&b, cx->a);
	const struct room_version *rv = room_version_get(db_text(&r, 8));
	event_assemble(cx, &b, rv, &c);
	struct json *tree = parse(cx, b.s);
	cr_expect_str_eq(b.s, json_canonical_str(cx->a, tree, &n), "not canonical");
	if (rv->event_id_format != 1)
		cr_expect_str_eq(event_id_of(cx->a, rv, tree), id, "another event: %s", b.s);
	cr_expect(event_verify_sig(cx->a, rv, tree, "localhost", cx->key->id, cx->key->pub));
	tx_end(cx, M_OK);
	return b.s;
}

/* What is stored is the PDU, byte for byte: its reference hash is its id, its signature holds; also after a redaction. */
Test(room_send, stored_events_are_whole_pdus)
{
	static const char *const versions[] = { "1", "3", "6", "10", "11", "12" };
	struct ctx *a = user("alice");

	for (size_t v = 0; v < 6; v++) {
		const char *room = make_room(a, arena_printf(a->a, "{\"room_version\":\"%s\",\"name\":\"a \\\" \\u0000 \\u00e9\"}", versions[v]));
		const char *id = say(a, room, "x"), *ids;
		cr_assert_eq(redact(a, room, id), M_OK);
		ids = sql("SELECT string_agg(e.id, ',') FROM event e JOIN room r ON r.nid = e.room WHERE r.id = '%s'", room);
		for (char *save = NULL, *one = strtok_r(arena_strdup(a->a, ids), ",", &save); one != NULL; one = strtok_r(NULL, ",", &save))
			pdu(a, one);
	}
	check_rooms();
}

Test(room_send, two_round_trips_and_commit)
{
	struct ctx *a = user("alice");
	const char *room = make_room(a, PUBLIC);

	say(a, room, "warm");
	db_stats_reset(a->db);
	say(a, room, "counted");
	cr_expect_eq(db_stats(a->db).trips, 2);
	cr_expect_eq(a->touched.nrooms, 1);
}

static int
trips_of(struct ctx *cx, const char *room)
{
	db_stats_reset(cx->db);
	say(cx, room, "counted");
	return db_stats(cx->db).trips;
}

/* What a message is judged by is remembered, but never used when it is out of date. */
Test(room_send, the_state_remembered_is_the_present_one)
{
	struct ctx *a = user("alice"), *b = user("bob");
	const char *room = make_room(a, "{\"preset\":\"public_chat\",\"room_version\":\"11\"}"), *levels, *id = NULL;

	cr_assert_eq(join(b, room), M_OK);
	say(a, room, "reads");
	say(b, room, "reads");
	cr_expect_eq(trips_of(b, room), 2);
	cr_assert_eq(set_state(a, room, "m.room.power_levels", "{\"users\":{\"@alice:localhost\":100},\"notifications\":{\"room\":0}}"), M_OK);
	cr_expect_eq(trips_of(b, room), 3);
	cr_expect_eq(trips_of(b, room), 2);
	/* A redaction makes no new version of the state. It takes "notifications" out, so nobody but alice may notify the room. */
	levels = sql("SELECT id FROM event WHERE type = 3 ORDER BY nid DESC LIMIT 1");
	OK(b, TX_RW, room_send(b, room, "m.room.message", parse(b, "{\"body\":\"x\",\"msgtype\":\"m.text\",\"m.mentions\":{\"room\":true}}"), &none, &id));
	cr_expect_eq(sql_int("SELECT push_class FROM event WHERE id = '%s'", id), PUSH_ALL);
	cr_assert_eq(redact(a, room, levels), M_OK);
	cr_expect_eq(sql_int("SELECT state_edits FROM room"), 1);
	OK(b, TX_RW, room_send(b, room, "m.room.message", parse(b, "{\"body\":\"x\",\"msgtype\":\"m.text\",\"m.mentions\":{\"room\":true}}"), &none, &id));
	cr_expect_neq(sql_int("SELECT push_class FROM event WHERE id = '%s'", id), PUSH_ALL);
	cr_assert_eq(set_state(a, room, "m.room.power_levels", "{\"users\":{\"@alice:localhost\":100},\"events_default\":1}"), M_OK);
	cr_expect_eq(DO(b, TX_RW, room_send(b, room, "m.room.message", parse(b, "{}"), &none, &id)), M_FORBIDDEN);
	cr_assert_eq(set_state(a, room, "m.room.power_levels", "{\"users\":{\"@alice:localhost\":100}}"), M_OK);
	say(b, room, "again");
	OK(a, TX_RW, room_put_state(a, room, "m.room.member", "@bob:localhost", parse(a, "{\"membership\":\"ban\"}"), &id));
	cr_expect_eq(DO(b, TX_RW, room_send(b, room, "m.room.message", parse(b, "{}"), &none, &id)), M_FORBIDDEN);
	check_rooms();
}

STMT(t_send_end, "SELECT pg_terminate_backend(pg_backend_pid())");

/* After a restore the room may come to the same version by another way. */
Test(room_send, nothing_is_remembered_beyond_a_connection)
{
	struct ctx *a = user("alice");
	const char *room = make_room(a, PUBLIC);
	struct rows r;

	say(a, room, "reads");
	cr_expect_eq(trips_of(a, room), 2);
	cr_assert_neq(db_query(a, &r, &t_send_end), M_OK);
	cr_assert(EVENTUALLY(db_alive(a) == M_OK));
	cr_expect_eq(trips_of(a, room), 3);
	cr_expect_eq(trips_of(a, room), 2);
}

static enum err
say_one(struct ctx *cx, void *arg)
{
	struct sending s = { arg, NULL, NULL };

	return send_it(cx, &s);
}

/* Whoever waited for the room cites the event that came meanwhile, and has a greater nid; also of a room whose row does not tell its end. */
Test(room_send, after_waiting)
{
	struct ctx *a = user("alice"), *a2 = user_again("alice");
	char *room = arena_strdup(a->a, make_room(a, PUBLIC));
	struct step *s;
	const char *id;

	for (int i = 0; i < 2; i++) {
		say(a, room, "x");
		say(a2, room, "x");
		if (i == 1)
			sql("UPDATE room SET end_nid = 1");
		db_begin(a, TX_RW);
		cr_assert_eq(room_send(a, room, "m.room.message", json_new_obj(a->a), &none, &id), M_OK);
		s = step_start(a2, say_one, room);
		cr_assert(step_waits(s));
		cr_assert_eq(db_commit(a), M_OK);
		cr_assert_eq(step_end(s), M_OK);
		cr_expect_str_eq(sql("SELECT event_cites(e) ->> 'prev_events' FROM event e ORDER BY nid DESC LIMIT 1"), arena_printf(a->a, "[\"%s\"]", id));
		cr_expect_eq(sql_int("SELECT count(*) FROM event e JOIN event p USING (room) WHERE p.room_pos < e.room_pos AND p.nid > e.nid"), 0);
		check_rooms();
	}
}

Test(room_send, transaction_id_of_one_who_has_left)
{
	struct ctx *a = user("alice"), *b = user("bob");
	struct sending one = { make_room(a, PUBLIC), "PUT /x/1", NULL }, two = one, new = { one.room, "PUT /x/2", NULL };

	cr_assert_eq(join(b, one.room), M_OK);
	cr_assert_eq(send_it(b, &one), M_OK);
	cr_assert_eq(leave(b, one.room), M_OK);
	cr_assert_eq(send_it(b, &two), M_OK);
	cr_expect_str_eq(one.id, two.id);
	cr_expect_eq(send_it(b, &new), M_FORBIDDEN);
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE type = 16"), 1);
}

Test(room_send, transaction_id)
{
	struct ctx *a = user("alice"), *b = user("bob");
	struct sending one = { make_room(a, PUBLIC), "PUT /x/1", NULL }, two = one, other = one;

	cr_assert_eq(join(b, one.room), M_OK);
	cr_assert_eq(send_it(a, &one), M_OK);
	cr_assert_eq(send_it(a, &two), M_OK);
	cr_expect_str_eq(one.id, two.id);
	cr_assert_eq(send_it(b, &other), M_OK);
	cr_expect_str_neq(one.id, other.id, "transaction ids belong to a device");
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE type = 16"), 2);
	check_rooms();
}

/* Two workers, the same transaction id at the same moment: one event. */
Test(room_send, transaction_id_of_two_workers)
{
	struct ctx *a = user("alice"), *a2 = user_again("alice");
	struct sending one = { make_room(a, PUBLIC), "PUT /x/1", NULL }, two = one;
	struct txn txn = { one.txn, one.txn };
	struct step *s;

	db_begin(a, TX_RW);
	cr_assert_eq(room_send(a, one.room, "m.room.message", json_new_obj(a->a), &txn, &one.id), M_OK);
	s = step_start(a2, send_it, &two);
	cr_assert(step_waits(s), "the second must wait for the room");
	cr_assert_eq(db_commit(a), M_OK);
	cr_assert_eq(step_end(s), M_OK);
	cr_expect_str_eq(one.id, two.id);
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE type = 16"), 1);
	check_rooms();
}

static enum err
send_fifty(struct ctx *cx, void *arg)
{
	enum err e = M_OK;

	for (int i = 0; i < 50 && e == M_OK; i++) {
		struct sending s = { arg, NULL, NULL };
		e = send_it(cx, &s);
	}
	return e;
}

/* Two workers send at the same time: one chain, dense, linear. */
Test(room_send, a_hundred_from_two_workers)
{
	struct ctx *a = user("alice"), *b = user("bob");
	const char *room = make_room(a, PUBLIC);
	char *arg = arena_strdup(a->a, room);
	struct step *s, *t;

	cr_assert_eq(join(b, room), M_OK);
	s = step_start(a, send_fifty, arg);
	t = step_start(b, send_fifty, arg);
	cr_assert_eq(step_end(s), M_OK);
	cr_assert_eq(step_end(t), M_OK);
	check_rooms();
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE type = 16"), 100);
	cr_expect_eq(sql_int("SELECT last_room_pos FROM room"), 107);
	/* Each names exactly the one before it, and is one deeper. */
	cr_expect_eq(sql_int("SELECT count(*) FROM event e JOIN event p ON p.room_pos = e.room_pos - 1"
	    " AND event_cites(e) ->> 'prev_events' = '[\"' || p.id || '\"]'"
	    " AND (event_cites(e) ->> 'depth')::int = (event_cites(p) ->> 'depth')::int + 1"), 106);
}

Test(room_send, refused)
{
	struct ctx *a = user("alice"), *b = user("bob");
	const char *room = make_room(a, PUBLIC), *id;
	struct json *big = json_new_obj(a->a);
	char *text = arena_zalloc(a->a, 70001);

	memset(text, 'x', 70000);
	json_set(a->a, big, "body", json_new_str(a->a, text));
	cr_expect_eq(DO(b, TX_RW, room_send(b, room, "x", parse(b, "{}"), &none, &id)), M_FORBIDDEN);
	cr_expect_eq(DO(b, TX_RW, room_send(b, "!none:localhost", "x", parse(b, "{}"), &none, &id)), M_FORBIDDEN);
	cr_expect_eq(DO(a, TX_RW, room_send(a, room, "x", parse(a, "{\"n\":0.5}"), &none, &id)), M_BAD_JSON);
	cr_expect_eq(DO(a, TX_RW, room_send(a, room, "x", big, &none, &id)), M_TOO_LARGE);
	text[300] = '\0';
	cr_expect_eq(DO(a, TX_RW, room_send(a, room, text, parse(a, "{}"), &none, &id)), M_TOO_LARGE);
	cr_expect_eq(set_state(b, room, "m.room.name", "{}"), M_FORBIDDEN);
	cr_expect_eq(sql_int("SELECT last_room_pos FROM room"), 6);
	cr_expect_eq(sql_int("SELECT count(*) FROM name WHERE body LIKE 'xxx%%' OR body = 'x'"), 0, "names of what was refused");
	check_rooms();
}

/* ---- redaction */

Test(room_redact, own_and_others)
{
	struct ctx *a = user("alice"), *b = user("bob"), *c = user("carol");
	const char *room = make_room(a, PUBLIC), *other = make_room(a, "{\"preset\":\"public_chat\",\"name\":\"o\"}");
	const char *of_a = say(a, room, "a"), *of_b, *elsewhere = say(a, other, "e");

	cr_assert_eq(join(b, room), M_OK);
	of_b = say(b, room, "b");
	cr_expect_eq(redact(c, room, of_b), M_FORBIDDEN, "no member");
	cr_expect_eq(redact(b, room, of_a), M_FORBIDDEN, "not his, no power");
	cr_expect_eq(redact(b, room, elsewhere), E_BAD_REQUEST);
	cr_expect_eq(redact(b, room, "$nothing"), M_NOT_FOUND);
	cr_expect_eq(redact(a, room, sql("SELECT id FROM event WHERE type = 1 AND room = (SELECT nid FROM room WHERE id = '%s')", room)), M_FORBIDDEN);
	cr_expect_eq(redact(b, room, of_b), M_OK, "his own");
	cr_expect_eq(redact(a, room, of_a), M_OK);
	struct json *ev = READ(a, read_event(a, room, of_b, &o));
	cr_expect_eq(json_get(ev, "content")->u.obj.n, 0);
	const struct json *because = json_get(json_get(ev, "unsigned"), "redacted_because");
	cr_expect_str_eq(json_get_str(because, "sender"), "@bob:localhost");
	cr_expect_str_eq(json_get_str(because, "redacts"), of_b);
	cr_expect_str_eq(json_get_str(json_get(because, "content"), "redacts"), of_b);
	cr_expect_str_eq(json_get_str(json_get(because, "content"), "reason"), "r");
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE redacted_original LIKE '%%m.text%%' AND flags = 16"), 2);
	check_rooms();
}

/* Below version 11 the event that is redacted is named at the top level; clients see it in both places. */
Test(room_redact, below_version_11)
{
	struct ctx *a = user("alice");
	const char *room = make_room(a, "{\"room_version\":\"10\"}"), *id = say(a, room, "a"), *by = NULL;
	struct json *content = parse(a, arena_printf(a->a, "{\"redacts\":\"%s\"}", id));

	OK(a, TX_RW, room_send(a, room, "m.room.redaction", content, &none, &by));
	cr_expect_str_eq(sql("SELECT content FROM event WHERE id = '%s'", by), "{}");
	struct json *ev = READ(a, read_event(a, room, by, &o));
	cr_expect_str_eq(json_get_str(ev, "redacts"), id);
	cr_expect_str_eq(json_get_str(json_get(ev, "content"), "redacts"), id);
	cr_expect_str_eq(sql("SELECT content FROM event WHERE id = '%s'", id), "{}");
	check_rooms();
}

/* A second redaction is an event, but changes neither the event nor who is named. */
Test(room_redact, twice)
{
	struct ctx *a = user("alice");
	const char *room = make_room(a, PUBLIC), *id = say(a, room, "a");

	cr_assert_eq(redact(a, room, id), M_OK);
	cr_assert_eq(redact(a, room, id), M_OK);
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE redacted_by = (SELECT min(nid) FROM event WHERE type = 18)"), 1);
	cr_expect_eq(sql_int("SELECT count(*) FROM event WHERE type = 18"), 2);
}

/* ---- state */

Test(room_state, same_content_same_event)
{
	struct ctx *a = user("alice"), *b = user("bob");
	const char *room = make_room(a, "{\"preset\":\"trusted_private_chat\",\"invite\":[\"@bob:localhost\"]}"), *one, *two, *three;

	cr_assert_eq(join(b, room), M_OK);
	OK(a, TX_RW, room_put_state(a, room, "m.room.name", "", parse(a, "{\"name\":\"n\",\"x\":1}"), &one));
	OK(a, TX_RW, room_put_state(a, room, "m.room.name", "", parse(a, "{\"x\":1,\"name\":\"n\"}"), &two));
	OK(b, TX_RW, room_put_state(b, room, "m.room.name", "", parse(b, "{\"x\":1,\"name\":\"n\"}"), &three));
	cr_expect_str_eq(one, two);
	cr_expect_str_neq(one, three, "another sender's is another event");
	struct json *ev = READ(a, read_event(a, room, three, &o));
	cr_expect_str_eq(json_get_str(json_get(ev, "unsigned"), "replaces_state"), one);
	cr_expect_str_eq(json_get_str(json_get(json_get(ev, "unsigned"), "prev_content"), "name"), "n");
	check_rooms();
}

Test(room_state, canonical_alias)
{
	struct ctx *a = user("alice");
	const char *room = make_room(a, "{\"room_alias_name\":\"here\"}");

	make_room(a, "{\"room_alias_name\":\"there\"}");
	cr_expect_eq(set_state(a, room, "m.room.canonical_alias", "{\"alias\":\"#there:localhost\"}"), M_BAD_ALIAS);
	cr_expect_eq(set_state(a, room, "m.room.canonical_alias", "{\"alias\":\"nonsense\"}"), M_INVALID_PARAM);
	cr_expect_eq(set_state(a, room, "m.room.canonical_alias", "{\"alt_aliases\":[\"#here:localhost\",\"#no:localhost\"]}"), M_BAD_ALIAS);
	cr_expect_eq(set_state(a, room, "m.room.canonical_alias", "{\"alt_aliases\":[\"#here:localhost\"]}"), M_OK);
	sql("DELETE FROM alias WHERE alias = '#here:localhost'");
	cr_expect_eq(set_state(a, room, "m.room.canonical_alias", "{\"alias\":\"\",\"alt_aliases\":[\"#here:localhost\"]}"), M_OK, "not new");
	check_rooms();
}

/* Only servers may say these. */
Test(room_state, server_keys_of_member_events_are_dropped)
{
	struct ctx *a = user("alice");
	const char *room = make_room(a, PUBLIC), *id = NULL;

	OK(a, TX_RW, room_put_state(a, room, "m.room.member", "@alice:localhost",
	    parse(a, "{\"membership\":\"join\",\"displayname\":\"A\",\"join_authorised_via_users_server\":\"@alice:localhost\",\"third_party_invite\":{}}"), &id));
	cr_expect_str_eq(sql("SELECT content FROM event WHERE id = '%s'", id), "{\"displayname\":\"A\",\"membership\":\"join\"}");
	check_rooms();
}

/* A reaction may say anything; only what fits an index is compared with what the sender said before. */
Test(room_send, a_reaction_with_a_long_key)
{
	struct ctx *a = user("alice");
	const char *room = make_room(a, PUBLIC), *target = say(a, room, "x"), *id;
	char key[9001];
	uint64_t x = 88172645463325252u;

	for (size_t i = 0; i < sizeof key - 1; i++) {	/* nothing that compresses */
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		key[i] = (char)('0' + x % 75);
		if (key[i] == '\\')
			key[i] = '_';
	}
	key[sizeof key - 1] = '\0';
	for (int i = 0; i < 2; i++)
		OK(a, TX_RW, room_send(a, room, "m.reaction", parse(a, arena_printf(a->a,
		    "{\"m.relates_to\":{\"rel_type\":\"m.annotation\",\"event_id\":\"%s\",\"key\":\"%s\"}}", target, key)), &none, &id));
	cr_expect_eq(sql_int("SELECT count(*) FROM event_relation"), 2);
}
