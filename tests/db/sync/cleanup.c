/*
 * tests/db/sync/cleanup.c - what clean-up jobs remove is missed by no token, however old.
 *
 * So no stream needs a floor below which a client would have to start afresh. Every clean-up there
 * is takes part, new ones too.
 */
#include "core/e2ee/one_time.h"
#include "core/jobs/cleanup.h"
#include "core/jobs/jobs_impl.h"
#include "core/live/presence.h"
#include "core/live/receipt.h"
#include "core/live/typing.h"
#include "tests/db/sync/client.h"

#define DAY (24 * 3600 * 1000LL)

/* The answer to a sync from c->since at that time, without its token. */
static const char *
answer_at(struct client *c, int64_t now)
{
	struct sync_wait w = { .user_nid = c->nid, .device = c->device, .token = client_token(c->a, c->device), .user = c->user, .device_id = "D", .since = c->since };
	struct sync_wait *v = &w;
	const char *body = NULL;
	struct json *answer;
	enum err err = M_OK;
	size_t n = 0;

	session_next(c->cx);
	c->cx->now = now;
	cr_assert_eq(sync_compute(c->cx, &v, 1, &body, &n, &err), M_OK);
	cr_assert_eq(err, M_OK, "there is news");
	cr_assert_eq(json_parse(c->a, body, n, &answer), JSON_OK);
	json_del(answer, "next_batch");
	return json_canonical_str(c->a, answer, NULL);
}

static void
clean(struct ctx *cx, int64_t now)
{
	for (size_t i = 0; i < njob_kinds; i++) {
		struct job j = { .kind = job_kinds[i].name };

		if (!job_kinds[i].cleanup)
			continue;
		session_next(cx);
		cx->now = now;
		db_begin(cx, TX_RW);
		cr_assert_eq(cleanup_run(cx, job_kinds[i].cleanup, &j), M_OK, "%s", j.kind);
		cr_assert_eq(db_commit(cx), M_OK);
	}
}

static void
claim_key_of(struct client *by, const struct client *c)
{
	struct json_out o;
	struct json *wanted;
	char text[200];
	enum err e;

	snprintf(text, sizeof text, "{\"%s\":{\"%s\":\"signed_curve25519\"}}", c->user,
	    sql("SELECT device_id FROM device WHERE nid = %lld", (long long)c->device));
	json_parse(c->a, text, strlen(text), &wanted);
	json_out_init(&o, c->a);
	json_obj(&o, NULL);
	e = CALL(by, keys_claim(by->cx, wanted, &o));
	cr_assert_eq(e, M_OK);
}

Test(sync_cleanup, an_old_token_misses_nothing)
{
	struct client *a = client_new("a"), *b = client_new("b"), *c = client_new("c");
	const char *room[2] = { client_room(a, "{\"preset\":\"public_chat\"}"), client_room(a, "{\"preset\":\"public_chat\"}") };
	struct receipt read = { .kind = RECEIPT_READ };
	const char *before, *redacted;
	int64_t later;
	int i;

	for (i = 0; i < 2; i++) {
		client_member(b, MEMBER_JOIN, room[i], NULL);
		client_member(c, MEMBER_JOIN, room[i], NULL);
	}
	redacted = client_say(b, room[0], "gone");
	sql("INSERT INTO one_time_key (device, algorithm, key_id, body) VALUES (%lld, 'signed_curve25519', 'x', '{}')", (long long)c->device);
	cr_assert_eq(CALL(a, typing_set(a->cx, room[0], 100000)), M_OK);
	cr_assert_eq(CALL(b, typing_set(b->cx, room[0], 50000)), M_OK);
	cr_assert_eq(CALL(a, typing_set(a->cx, room[1], 30000)), M_OK);
	cr_assert_eq(client_sync(c), M_OK);	/* sees three typing */
	cr_assert_eq(CALL(b, typing_set(b->cx, room[0], 0)), M_OK);
	read.event = client_say(b, room[1], "news");
	cr_assert_eq(CALL(b, receipt_set(b->cx, room[1], &read, 1)), M_OK);
	cr_assert_eq(CALL(b, presence_set(b->cx, PRESENCE_ONLINE, "here")), M_OK);
	claim_key_of(a, c);
	cr_assert_eq(CALL(b, room_redact(b->cx, room[0], redacted, json_new_obj(b->cx->a), &(struct txn){ .path = "r", .id = "r" }, &before)), M_OK);
	client_data(c, room[0], "m.tag", "{\"tags\":{}}");
	later = c->cx->now + 60 * DAY;
	before = answer_at(c, later);
	cr_expect_not_null(strstr(before, "\"m.typing\""));
	cr_expect_eq(sql_int("SELECT count(*) FROM typing"), 3);
	for (i = 0; i < 2; i++)
		clean(a->cx, later);
	cr_expect_eq(sql_int("SELECT count(*) FROM typing"), 2, "one of each room stays");
	cr_expect_eq(sql_int("SELECT count(*) FROM key_used"), 0);
	cr_expect_str_eq(answer_at(c, later), before, "by the ring");
	sync_forget();
	cr_expect_str_eq(answer_at(c, later), before, "without the ring");
	cr_expect_not_null(strstr(before, "\"user_ids\":[]"));
}
