/* tests/db/push/deliver.c - who tells a gateway what: leases, what is worth telling, what comes of a call */
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/live/receipt.h"
#include "core/push/again.h"
#include "core/push/deliver_impl.h"
#include "core/user/account_data.h"
#include "tests/db/push/world.h"

/* A gateway that takes calls and never answers. */
static const char *
silent_gateway(struct arena *a)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	cr_assert_eq(bind(fd, (struct sockaddr *)&at, n), 0);
	cr_assert_eq(listen(fd, 20), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&at, &n), 0);
	return arena_printf(a, "http://127.0.0.1:%d/_matrix/push/v1/notify", ntohs(at.sin_port));
}

static size_t
step(struct worker *w)
{
	delivery_step(w->d);
	return delivery_running(w->d);
}

/* Anna and bob in a room; bob has said something, and it waits for anna's pusher. */
struct world {
	struct ctx *a, *b, *job;
	const char *room, *event;
	long long pusher;
};

static struct world
world(const char *url)
{
	struct world w = { user("anna"), user("bob"), session(), NULL, NULL, 0 };

	w.room = make_room(w.b, "{\"preset\":\"public_chat\"}");
	cr_assert_eq(join(w.a, w.room), M_OK);
	look_all(w.job);
	w.pusher = url ? pusher_at(w.a, "a", url) : pusher_of(w.a, "a");
	w.event = say(w.b, w.room, "1");
	look_all(w.job);
	return w;
}

Test(push_deliver, one_of_two_workers_has_it_and_gives_it_back)
{
	struct world w = world(silent_gateway(session()->a));
	struct worker *x = worker(), *y = worker();

	cr_assert_eq(step(x), 1);
	cr_assert_eq(step(y), 0);
	cr_assert_eq(step(x), 1, "not twice by the same");
	delivery_free(x->d);
	cr_assert_eq(sql_int("SELECT count(*) FROM pusher WHERE lease_ts IS NULL AND due_ts IS NOT NULL AND failures = 0"), 1);
	cr_assert_eq(step(y), 1);
	cr_assert_str_eq(waiting(w.pusher), "1");
}

Test(push_deliver, a_gateway_that_is_still_full_leaves_no_place)
{
	const char *url = silent_gateway(session()->a);
	struct world w = world(NULL);
	struct worker *x = worker();
	struct conf slow = *push_conf();

	for (int i = 0; i < PUSH_PER_GATEWAY + 4; i++)
		pusher_at(w.a, arena_printf(w.a->a, "k%d", i), url);
	say(w.b, w.room, "2");
	look_all(w.job);
	sql("UPDATE pusher SET due_ts = CASE WHEN pushkey IN ('k0', 'k1', 'k2', 'k3') THEN 1 END");
	cr_assert_eq(step(x), 4);
	slow.push_timeout_ms = 60000;
	x->cx->conf = &slow;
	sql("UPDATE pusher SET due_ts = 1 WHERE lease_ts IS NULL AND pushkey LIKE 'k%%'");
	cr_assert_eq(step(x), PUSH_PER_GATEWAY + 4);
	while (delivery_running(x->d) > PUSH_PER_GATEWAY)
		http_wait(x->http, NULL, 0, 100);
	cr_assert_not(delivery_ended(x->d), "four are gone, but there is still no place");
	delivery_free(x->d);
}

/* Pushers with something due since `due`, at gateways named by prefix and number, or all at one. */
static void
backlog(long long like, const char *gateway, bool each, int n)
{
	sql("INSERT INTO pusher (usr, device, key, app_id, pushkey, app_display_name, device_display_name, lang, data, gateway, created_ts, updated_ts,"
	    " due_ts) SELECT usr, device, convert_to('%s' || g, 'UTF8'), 'x', 'k', '', '', 'en', '{}', '%s' || %s, 0, 0, g FROM pusher,"
	    " generate_series(1, %d) g WHERE nid = %lld", gateway, gateway, each ? "g" : "''", n, like);
}

/* Whatever is due at one gateway, and since when: another's has its turn at once, and once. */
Test(push_deliver, a_backlog_at_one_gateway_keeps_no_other_waiting)
{
	const char *silent = silent_gateway(session()->a);
	struct world w = world(silent_gateway(session()->a));
	struct worker *x = worker();

	for (int i = 0; i < 2 * PUSH_PER_GATEWAY; i++)
		pusher_at(w.a, arena_printf(w.a->a, "k%d", i), silent);
	say(w.b, w.room, "2");
	look_all(w.job);
	backlog(w.pusher, sql("SELECT gateway FROM pusher WHERE pushkey = 'k0'"), false, 3000);
	sql("UPDATE pusher SET due_ts = 1 WHERE pushkey <> 'a'");
	cr_expect_gt(step(x), 1);
	cr_expect_eq(sql_int("SELECT count(*) FROM pusher WHERE pushkey = 'a' AND lease_ts IS NOT NULL"), 1);
	delivery_free(x->d);
}

/* More gateways than one walk goes by, and than one batch takes. */
Test(push_deliver, every_gateway_has_its_turn)
{
	struct world w = world(NULL);
	struct worker *x = worker();

	backlog(w.pusher, "g", true, 350);
	sql("UPDATE pusher SET due_ts = 999999999999999 WHERE gateway LIKE 'g1%%'");
	for (int i = 0; i < 4; i++)
		step(x);
	cr_expect_eq(sql_int("SELECT count(*) FROM pusher WHERE gateway LIKE 'g%%' AND gateway NOT LIKE 'g1%%' AND due_ts IS NOT NULL"), 0);
	cr_expect_eq(sql_int("SELECT count(*) FROM pusher WHERE gateway LIKE 'g1%%' AND due_ts IS NOT NULL"), 111);
	delivery_free(x->d);
}

Test(push_deliver, a_gateway_with_places_leaves_one)
{
	struct worker *x = worker();

	world(silent_gateway(session()->a));
	cr_assert_eq(step(x), 1);
	until_ended(x);
	cr_assert(delivery_ended(x->d));
}

Test(push_deliver, a_lease_ends_and_who_comes_late_changes_nothing)
{
	struct world w = world(silent_gateway(session()->a));
	struct worker *x = worker(), *y = worker();
	long long lease;

	cr_assert_eq(step(x), 1);
	sql("UPDATE pusher SET lease_ts = 1");	/* x is taken for dead */
	cr_assert_eq(step(y), 1);
	lease = sql_int("SELECT lease_ts FROM pusher");
	until_ended(x);				/* its call times out */
	cr_assert_eq(sql_int("SELECT lease_ts FROM pusher WHERE failures = 0"), lease);
	until_ended(y);
	cr_assert_str_eq(sql("SELECT error FROM pusher WHERE failures = 1 AND lease_ts IS NULL"), "timeout");
	cr_assert_str_eq(waiting(w.pusher), "1");
}

Test(push_deliver, failures_push_the_next_try_back)
{
	struct world w = world(NULL);
	struct worker *x = worker();
	long long last = 0;

	for (int i = 1; i <= 14; i++) {
		long long pause;

		cr_assert_eq(step(x), 1);
		until_ended(x);
		cr_assert_eq(sql_int("SELECT failures FROM pusher"), i);
		cr_assert_eq(step(x), 0, "not before its time");
		pause = sql_int("SELECT due_ts - %lld FROM pusher", (long long)clock_ms());
		cr_assert(pause > last || pause > 3500 * 1000LL, "%lld after %lld", pause, last);
		cr_assert_leq(pause, 4600 * 1000LL);
		last = pause;
		sql("UPDATE pusher SET due_ts = 1");
		sql("UPDATE push_gateway SET due_ts = 1");
	}
	cr_assert_eq(x->n.failed, 14);
	cr_assert_str_eq(sql("SELECT error FROM pusher"), "no_connection");
	cr_assert_str_eq(waiting(w.pusher), "1");
}

/* What tell_load() finds worth telling of anna's pusher, and how many were dropped. */
static struct tell
tell(struct world *w, int64_t *dropped)
{
	int64_t p = w->pusher;
	struct tell *v;
	size_t n;

	session_next(w->job);
	cr_assert_eq(tell_load(w->job, &p, 1, &v, &n, dropped), M_OK);
	cr_assert_eq(n, 1);
	return *v;
}

static void
not_worth(struct world *w)
{
	int64_t dropped;

	cr_assert_not(tell(w, &dropped).worth);
	cr_assert_eq(dropped, 1);
	cr_assert_str_eq(waiting(w->pusher), "");
}

Test(push_deliver, as_it_is_worth_telling)
{
	struct world w = world(NULL);
	int64_t dropped;
	struct tell t = tell(&w, &dropped);

	cr_assert(t.worth);
	cr_assert_eq(dropped, 0);
	cr_assert_str_eq(t.what.id, w.event);
	cr_assert_str_eq(t.what.room_id, w.room);
	cr_assert_str_eq(t.what.sender, "@bob:localhost");
	cr_assert_eq(t.what.unread, 1);
	cr_assert_str_eq(t.user, "@anna:localhost");
	cr_assert_str_eq(t.url, "http://127.0.0.1:1/_matrix/push/v1/notify");
}

Test(push_deliver, not_what_was_read)
{
	struct world w = world(NULL);
	struct receipt read = { .kind = RECEIPT_READ, .event = w.event };

	OK(w.a, TX_RW, receipt_set(w.a, w.room, &read, 1));
	not_worth(&w);
}

Test(push_deliver, not_what_was_redacted)
{
	struct world w = world(NULL);
	const struct txn none = { NULL, NULL };
	const char *id;

	OK(w.b, TX_RW, room_redact(w.b, w.room, w.event, json_new_obj(w.b->a), &none, &id));
	not_worth(&w);
}

static void
ignore(struct ctx *cx, const char *users)
{
	OK(cx, TX_RW, account_data_set(cx, NULL, "m.ignored_user_list", parse(cx, arena_printf(cx->a, "{\"ignored_users\":{%s}}", users))));
}

Test(push_deliver, not_of_whom_the_user_ignores_by_now)
{
	struct world w = world(NULL);
	struct ctx *carol = user("carol");
	int64_t dropped;

	cr_assert_eq(join(carol, w.room), M_OK);
	say(carol, w.room, "2");
	say(w.b, w.room, "3");
	look_all(w.job);
	/* Where only the newest is to be told, it is the newest of those that are. */
	sql("UPDATE pusher SET failures = 1, failing_ts = %lld", (long long)clock_ms());
	ignore(w.a, "\"@bob:localhost\":{},\"@nobody:localhost\":{}");
	cr_assert(tell(&w, &dropped).worth);
	cr_assert_eq(dropped, 2);
	cr_assert_str_eq(waiting(w.pusher), "2");
	ignore(w.a, "\"@carol:localhost\":{}");
	not_worth(&w);
}

static void
rules(struct ctx *cx, const char *text)
{
	sql("INSERT INTO account_data (usr, room, type, content) VALUES (%lld, 0, 'm.push_rules', '%s')"
	    " ON CONFLICT (usr, room, type) DO UPDATE SET content = excluded.content", (long long)cx->user_nid, text);
}

/* Muted after it was queued. What the rules make of the rest is what is told. */
Test(push_deliver, not_what_rules_silence_by_now)
{
	struct world w = world(NULL);
	const char *other = make_room(w.b, "{\"preset\":\"public_chat\"}");
	int64_t dropped;
	struct tell t;

	cr_assert_eq(join(w.a, other), M_OK);
	say(w.b, other, "2");
	look_all(w.job);
	cr_assert_not_null(tell(&w, &dropped).what.sound);
	rules(w.a, arena_printf(w.a->a, "{\"global\":{\"room\":[{\"actions\":[],\"enabled\":true,\"rule_id\":\"%s\"},"
	    "{\"actions\":[\"notify\",{\"set_tweak\":\"highlight\"}],\"enabled\":true,\"rule_id\":\"%s\"}]}}", w.room, other));
	t = tell(&w, &dropped);
	cr_assert(t.worth);
	cr_expect_eq(dropped, 1);
	cr_expect_str_eq(waiting(w.pusher), "2");
	cr_expect(t.what.highlight);
	cr_expect_null(t.what.sound);
	rules(w.a, arena_printf(w.a->a, "{\"global\":{\"room\":[{\"actions\":[],\"enabled\":true,\"rule_id\":\"%s\"}]}}", other));
	tell(&w, &dropped);
	cr_expect_eq(dropped, 1);
	cr_expect_str_eq(waiting(w.pusher), "");
}

static int
trips_of_tell(struct world *w)
{
	int64_t dropped;
	int before = db_stats(w->job->db).trips;

	cr_assert(tell(w, &dropped).worth);
	return db_stats(w->job->db).trips - before;
}

/* A transaction of another test that is under way may make it so once more: the rules' may be among those. */
Test(push_deliver, rules_that_stood_still_are_not_asked)
{
	struct world w = world(NULL);
	int still = trips_of_tell(&w);

	rules(w.a, "{}");
	cr_expect_eq(trips_of_tell(&w), still + 2);
	cr_expect(EVENTUALLY(trips_of_tell(&w) == still));
}

/* Of very many, those that are asked about are the newest; what lies below them is given up with the rules that it was judged by. */
Test(push_deliver, rules_are_asked_about_the_newest)
{
	struct world w = world(NULL);
	int64_t dropped;

	for (int i = 0; i < PUSH_AGAIN_MAX; i++)
		say(w.b, w.room, "x");
	look_all(w.job);
	cr_assert_eq(sql_int("SELECT count(*) FROM push"), PUSH_AGAIN_MAX + 1);
	rules(w.a, "{}");
	tell(&w, &dropped);
	cr_expect_eq(sql_int("SELECT count(*) FROM push"), 1, "the newest of the room");
	cr_expect_eq(dropped, PUSH_AGAIN_MAX);
}

Test(push_deliver, not_of_a_room_that_was_left)
{
	struct world w = world(NULL);

	cr_assert_eq(leave(w.a, w.room), M_OK);
	not_worth(&w);
}

Test(push_deliver, not_to_a_locked_account)
{
	struct world w = world(NULL);

	sql("UPDATE account SET locked = true WHERE localpart = 'anna'");
	not_worth(&w);
}

Test(push_deliver, not_after_a_day)
{
	struct world w = world(NULL);

	sql("UPDATE push SET ts = ts - 86400001");
	not_worth(&w);
}

Test(push_deliver, of_very_many_the_newest_of_each_room_and_kind)
{
	struct world w = world(NULL);
	const char *other = make_room(w.b, "{\"preset\":\"public_chat\"}");
	struct ctx *c = user("carl");
	int64_t dropped;

	cr_assert_eq(join(w.a, other), M_OK);
	cr_assert_eq(join(c, other), M_OK);	/* a group: quiet */
	for (int i = 0; i < PUSH_WAITING_MAX - 3; i++)
		say(w.b, w.room, "x");
	say(w.b, other, "o1");
	say(w.b, w.room, "last");
	look_all(w.job);
	cr_assert(tell(&w, &dropped).worth);
	cr_assert_eq(dropped, 0, "as many as may wait");
	say(w.b, other, "o2");
	sql("UPDATE push SET sound = NULL, highlight = event = (SELECT min(event) FROM push) WHERE room = (SELECT nid FROM room WHERE id = '%s')", w.room);
	look_all(w.job);
	cr_assert(tell(&w, &dropped).worth);
	cr_assert_str_eq(waiting(w.pusher), "1 last o2");
}

Test(push_deliver, the_newest_that_is_still_worth_telling)
{
	struct world w = world(NULL);
	const struct txn none = { NULL, NULL };
	const char *last = say(w.b, w.room, "2"), *id;
	int64_t dropped;

	look_all(w.job);
	sql("UPDATE pusher SET failures = 1, failing_ts = 1");
	OK(w.b, TX_RW, room_redact(w.b, w.room, last, json_new_obj(w.b->a), &none, &id));
	cr_assert(tell(&w, &dropped).worth);
	cr_assert_str_eq(waiting(w.pusher), "1");
}

Test(push_deliver, what_cannot_be_told_now_is_looked_at_again)
{
	struct world w = world(NULL);
	struct worker *x = worker();

	sql("UPDATE pusher SET data = '{}'");
	cr_assert_eq(step(x), 0);
	cr_assert_eq(sql_int("SELECT count(*) FROM pusher WHERE lease_ts IS NULL AND due_ts > %lld", (long long)clock_ms()), 1);
	cr_assert_str_eq(waiting(w.pusher), "1");
}

Test(push_deliver, what_came_while_it_was_told_is_told_next)
{
	struct world w = world(NULL);
	struct worker *x = worker();

	/* as if it was told: the push goes, and what came meanwhile stays due */
	cr_assert_eq(step(x), 1);
	say(w.b, w.room, "2");
	look_all(w.job);
	until_ended(x);
	cr_assert_eq(sql_int("SELECT count(*) FROM pusher WHERE due_ts IS NOT NULL AND failures = 1"), 1);
	cr_assert_str_eq(waiting(w.pusher), "1 2");
}

Test(push_deliver, a_badge_that_did_not_fall_is_not_told)
{
	struct world w = world(NULL);
	struct worker *x = worker();

	sql("DELETE FROM push; UPDATE pusher SET badge = true, unread = 1");	/* anna has one unread, and was told so */
	cr_assert_eq(step(x), 0);
	cr_assert_eq(sql_int("SELECT count(*) FROM pusher WHERE NOT badge AND due_ts IS NULL AND lease_ts IS NULL"), 1);
	sql("UPDATE pusher SET badge = true, due_ts = 1, unread = 2");
	cr_assert_eq(step(x), 1);
	until_ended(x);
	cr_assert_eq(sql_int("SELECT count(*) FROM pusher WHERE badge AND unread = 2"), 1, "it failed");
	(void)w;
}

Test(push_deliver, the_administrator_sees_it)
{
	struct world w = world(NULL);
	struct worker *x = worker();

	step(x);
	until_ended(x);
	cr_assert_str_eq(sql("SELECT concat_ws(' ', user_id, device_id, app_id, gateway, waiting, failures, error, failing_since IS NOT NULL,"
	    " next_try > now()) FROM admin.pushers"), "@anna:localhost DEV app http://127.0.0.1:1 1 1 no_connection t t");
	cr_assert_eq(sql_int("SELECT count(*) FROM information_schema.columns WHERE table_schema = 'admin' AND table_name = 'pushers'"
	    " AND column_name IN ('pushkey', 'data')"), 0);
	sql("SELECT admin.logout('@anna:localhost')");
	cr_assert_eq(sql_int("SELECT count(*) FROM push"), 0);
	(void)w;
}

/* ---- invitations from elsewhere: no event of ours, but a row that says so */

static void
invited_from_elsewhere(struct ctx *who)
{
	sql("INSERT INTO name (body) VALUES ('@eve:elsewhere.example') ON CONFLICT DO NOTHING");
	sql("INSERT INTO room (id, version, created_ts) VALUES ('!far:elsewhere.example', '10', 0)");
	sql("INSERT INTO local_member (usr, room, membership, sender, oob_pdu, stripped) SELECT %lld, r.nid, 1, n.nid, '%s', '%s'"
	    " FROM room r, name n WHERE r.id = '!far:elsewhere.example' AND n.body = '@eve:elsewhere.example'", (long long)who->user_nid,
	    "{\"auth_events\":[],\"content\":{\"membership\":\"invite\",\"reason\":\"come\"},\"depth\":7,\"hashes\":{\"sha256\":\"x\"},"
	    "\"origin_server_ts\":5,\"prev_events\":[],\"room_id\":\"!far:elsewhere.example\",\"sender\":\"@eve:elsewhere.example\","
	    "\"state_key\":\"@dora:localhost\",\"type\":\"m.room.member\"}",
	    "[{\"type\":\"m.room.name\",\"state_key\":\"\",\"sender\":\"@eve:elsewhere.example\",\"content\":{\"name\":\"Far away\"}},"
	    "{\"type\":\"m.room.member\",\"state_key\":\"@eve:elsewhere.example\",\"sender\":\"@eve:elsewhere.example\",\"content\":{\"displayname\":\"Eve\"}}]");
}

Test(push_deliver, an_invitation_from_elsewhere)
{
	struct world w = { .a = user("dora"), .job = session() };
	int64_t dropped;
	struct tell t;

	look_all(w.job);
	w.pusher = pusher_of(w.a, "d");
	invited_from_elsewhere(w.a);
	cr_assert(look(w.job).queued);
	look_all(w.job);
	cr_assert_eq(sql_int("SELECT count(*) FROM push WHERE event = 0 AND pusher = %lld", w.pusher), 1, "once");
	t = tell(&w, &dropped);
	cr_assert(t.worth);
	cr_expect_eq(t.what.id[0], '$');
	cr_expect_str_eq(t.what.type, "m.room.member");
	cr_expect_str_eq(t.what.sender, "@eve:elsewhere.example");
	cr_expect_str_eq(t.what.room_id, "!far:elsewhere.example");
	cr_expect_str_eq(t.what.room_name, "Far away");
	cr_expect_str_eq(t.what.sender_name, "Eve");
	cr_expect_null(t.what.room_alias);
	cr_expect(t.what.user_is_target);
	cr_expect_str_eq(t.what.content, "{\"membership\":\"invite\",\"reason\":\"come\"}");
	cr_expect_eq(t.what.unread, 1);
	sql("UPDATE local_member SET membership = 4");
	not_worth(&w);
}

Test(push_deliver, an_invitation_from_elsewhere_of_whom_nobody_wants)
{
	struct world w = { .a = user("dora"), .job = session() };
	int64_t dropped;

	look_all(w.job);
	w.pusher = pusher_of(w.a, "d");
	invited_from_elsewhere(w.a);
	look_all(w.job);
	cr_assert(tell(&w, &dropped).worth);
	ignore(w.a, "\"@eve:elsewhere.example\":{}");
	not_worth(&w);
	sql("UPDATE local_member SET stripped = NULL");		/* it comes again */
	look_all(w.job);
	cr_expect_eq(sql_int("SELECT count(*) FROM push"), 0, "ignored by now");
	ignore(w.a, "");
	OK(w.a, TX_RW, account_data_set(w.a, NULL, "m.invite_permission_config", parse(w.a, "{\"default_action\":\"block\"}")));
	sql("UPDATE local_member SET stripped = '[]'");
	look_all(w.job);
	cr_expect_eq(sql_int("SELECT count(*) FROM push"), 0, "no invitations are wanted");
}
