/* tests/unit/room/render.c - events as clients see them. */
#include <criterion/criterion.h>

#include "core/room/names.h"
#include "core/room/render.h"

static struct arena *a;

static void
setup(void)
{
	a = arena_new();
}

static void
teardown(void)
{
	arena_free(a);
}

TestSuite(room_render, .init = setup, .fini = teardown);

static const struct room_event message = { .ts = 1000, .type_nid = T_MESSAGE, .key_nid = -1, .id = "$e", .type = "m.room.message",
	.sender = "@a:x", .content = "{\"body\":\"\\u0000\"}", .pdu = "{}" };

static const char *
written(const struct room_event *ev, const char *room, enum membership m, const char *txn)
{
	struct json_out o;

	json_out_init(&o, a);
	room_event_write(&o, NULL, ev, room, 1500, m, txn);
	return o.b.s;
}

Test(room_render, message)
{
	cr_expect_str_eq(written(&message, "!r:x", MEM_JOIN, "t\\\"1"),
	    "{\"content\":{\"body\":\"\\u0000\"},\"event_id\":\"$e\",\"origin_server_ts\":1000,\"room_id\":\"!r:x\",\"sender\":\"@a:x\","
	    "\"type\":\"m.room.message\",\"unsigned\":{\"age\":500,\"membership\":\"join\",\"transaction_id\":\"t\\\"1\"}}");
	cr_expect_str_eq(written(&message, NULL, MEM_NONE, NULL),
	    "{\"content\":{\"body\":\"\\u0000\"},\"event_id\":\"$e\",\"origin_server_ts\":1000,\"sender\":\"@a:x\","
	    "\"type\":\"m.room.message\",\"unsigned\":{\"age\":500}}");
}

Test(room_render, state_with_what_it_replaced)
{
	const char *prev[] = { "$p", "{\"name\":\"old\"}", "0" };
	struct room_event ev = message;

	ev.type_nid = T_NAME;
	ev.type = "m.room.name";
	ev.state_key = "";
	ev.content = "{}";
	ev.prev = prev;
	cr_expect_str_eq(written(&ev, NULL, MEM_NONE, NULL),
	    "{\"content\":{},\"event_id\":\"$e\",\"origin_server_ts\":1000,\"sender\":\"@a:x\",\"state_key\":\"\",\"type\":\"m.room.name\","
	    "\"unsigned\":{\"age\":500,\"prev_content\":{\"name\":\"old\"},\"replaces_state\":\"$p\"}}");
	prev[1] = "{\"content\":{\"name\":\"whole\"},\"type\":\"m.room.name\"}";
	prev[2] = "8";
	cr_expect_not_null(strstr(written(&ev, NULL, MEM_NONE, NULL), "\"prev_content\":{\"name\":\"whole\"}"));
}

/* `redacts` is served in both places, whatever the room's version. */
Test(room_render, redactions)
{
	struct room_event ev = message;
	const char *because[] = { "$r", "{\"redacts\":\"$e\"}", "@m:x", "0", "{}", "1400" };

	ev.type_nid = T_REDACTION;
	ev.type = "m.room.redaction";
	ev.content = "{\"reason\":\"r\",\"redacts\":\"$x\"}";
	cr_expect_not_null(strstr(written(&ev, NULL, MEM_NONE, NULL),
	    "{\"content\":{\"reason\":\"r\",\"redacts\":\"$x\"},\"redacts\":\"$x\",\"event_id\""));
	ev.content = "{\"reason\":\"r\"}";
	ev.pdu = "{\"redacts\":\"$x\"}";
	cr_expect_not_null(strstr(written(&ev, NULL, MEM_NONE, NULL),
	    "{\"content\":{\"redacts\":\"$x\",\"reason\":\"r\"},\"redacts\":\"$x\",\"event_id\""));
	ev.content = "{}";
	cr_expect_not_null(strstr(written(&ev, NULL, MEM_NONE, NULL), "{\"content\":{\"redacts\":\"$x\"},\"redacts\":\"$x\",\"event_id\""));
	ev.pdu = "{}";
	cr_expect_not_null(strstr(written(&ev, NULL, MEM_NONE, NULL), "{\"content\":{},\"event_id\""), "a redacted redaction");

	ev = message;
	ev.content = "{}";
	ev.because = because;
	cr_expect_str_eq(written(&ev, "!r", MEM_NONE, NULL),
	    "{\"content\":{},\"event_id\":\"$e\",\"origin_server_ts\":1000,\"room_id\":\"!r\",\"sender\":\"@a:x\",\"type\":\"m.room.message\","
	    "\"unsigned\":{\"age\":500,\"redacted_because\":{\"content\":{\"redacts\":\"$e\"},\"redacts\":\"$e\",\"event_id\":\"$r\","
	    "\"origin_server_ts\":1400,\"room_id\":\"!r\",\"sender\":\"@m:x\",\"type\":\"m.room.redaction\",\"unsigned\":{\"age\":100}}}}");
}

Test(room_render, verbatim)
{
	struct room_event ev = message;

	ev.flags = EV_VERBATIM;
	ev.content = "{\"content\":{\"n\":1.0},\"origin_server_ts\":1000.0}";
	cr_expect_str_eq(room_event_content(a, &ev), "{\"n\":1.0}");
	ev.content = "{}";
	cr_expect_str_eq(room_event_content(a, &ev), "{}");
}

Test(room_render, tokens)
{
	static const int64_t good[] = { 0, 1, -1, INT64_MAX, INT64_MIN, 1099511627776 };
	static const char *const bad[] = { "", "t", "t-", "t+1", "t 1", "1", "t1 ", "t1.0", "T1", "t0x1", "t9223372036854775808", "s1" };
	int64_t v;

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		cr_assert(room_token_read(room_token(a, good[i]), &v));
		cr_expect_eq(v, good[i]);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_expect_not(room_token_read(bad[i], &v), "%s", bad[i]);
}
