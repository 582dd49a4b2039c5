/* tests/unit/room/known.c - what a process remembers of rooms' states: when it is good, and that it stays small */
#include <criterion/criterion.h>
#include <string.h>

#include "core/db/db.h"
#include "core/room/known.h"

static struct ctx cx;
static struct room room;

static void
setup(void)
{
	cx = (struct ctx){ .a = arena_new(), .db = db_open(""), .known = known_new() };
	room = (struct room){ .id = "!r:x", .nid = 1, .state_ver = 5, .state_edits = 2, .rv = room_version_get("11") };
}

static void
teardown(void)
{
	db_close(cx.db);
	known_free(cx.known);
	arena_free(cx.a);
}

TestSuite(known, .init = setup, .fini = teardown);

static struct slot
slot(const char *type, const char *key, const char *content)
{
	struct slot s = { .type = type, .key = key, .type_nid = 7, .key_nid = 8, .row = -1 };
	struct event *ev;

	if (content == NULL)
		return s;
	ev = arena_zalloc(cx.a, sizeof *ev);
	*ev = (struct event){ .rv = room.rv, .id = "$e", .room = room.id, .type = type, .state_key = key, .sender = "@u:x", .ts = 3 };
	cr_assert_eq(json_parse(cx.a, content, strlen(content), (struct json **)&ev->content), JSON_OK);
	s.ev = ev;
	s.nid = 9;
	s.membership = MEM_JOIN;
	return s;
}

static bool
finds(const char *type, const char *key)
{
	const struct slot s = slot(type, key, NULL);

	return known_find(cx.known, room.id, &s, 1) != NULL;
}

static bool
recalls(void)
{
	struct slot s = slot("m.room.create", "", NULL);
	const struct known *k = known_find(cx.known, room.id, &s, 1);

	return k != NULL && known_recall(k, &cx, &room, &s, 1);
}

Test(known, what_was_learned_comes_back)
{
	struct slot v[] = { slot("m.room.create", "", "{\"b\":[1],\"a\":\"x\"}"), slot("m.room.power_levels", "", NULL) };
	const struct slot all[] = { v[0], v[1], slot("m.room.member", "@u:x", NULL) };
	const struct known *k;

	cr_assert_null(known_find(NULL, room.id, v, 2));
	cr_assert_null(known_find(cx.known, room.id, v, 2));
	known_learn(&cx, &room, v, 2);
	arena_free(cx.a);		/* it is a copy */
	cx.a = arena_new();
	v[0] = slot("m.room.create", "", NULL);
	v[0].key_nid = 11;
	cr_assert_not_null(k = known_find(cx.known, room.id, v, 2));
	cr_assert(known_recall(k, &cx, &room, v, 2));
	cr_expect_str_eq(v[0].ev->id, "$e");
	cr_expect_str_eq(v[0].ev->sender, "@u:x");
	cr_expect_str_eq(v[0].ev->room, "!r:x");
	cr_expect_str_eq(json_canonical_str(cx.a, v[0].ev->content, NULL), "{\"a\":\"x\",\"b\":[1]}");
	cr_expect(v[0].nid == 9 && v[0].membership == MEM_JOIN && v[0].ev->ts == 3);
	cr_expect_eq(v[0].key_nid, 11, "names are the caller's");
	cr_expect_null(v[1].ev, "that there is none is remembered, too");
	cr_expect_null(known_find(cx.known, room.id, all, 3));
}

Test(known, what_is_out_of_date_does_not)
{
	struct slot v = slot("m.room.create", "", "{}");

	known_learn(&cx, &room, &v, 1);
	cr_assert(recalls());
	room.state_ver++;
	cr_expect_not(recalls());
	room.state_ver--;
	room.state_edits++;
	cr_expect_not(recalls());
	room.state_edits--;
	room.nid++;			/* purged, and joined again */
	cr_expect_not(recalls());
	known_learn(&cx, &room, &v, 1);
	cr_expect(recalls());
}

Test(known, what_would_not_come_back_the_same_is_not_learned)
{
	char *big = arena_alloc(cx.a, 40000);
	struct slot v;

	memset(big, 'x', 39999);
	big[39999] = '\0';
	v = slot("m.room.create", "", arena_printf(cx.a, "{\"a\":\"%s\"}", big));
	known_learn(&cx, &room, &v, 1);
	cr_expect_not(finds("m.room.create", ""), "too large");
	room.rv = room_version_get("5");
	v = slot("m.room.create", "", "{\"a\":1.0}");
	known_learn(&cx, &room, &v, 1);
	cr_expect_not(finds("m.room.create", ""), "numbers");
}

Test(known, a_room_with_many_senders_begins_anew)
{
	for (int i = 0; i < 65; i++) {
		struct slot v = slot("m.room.member", arena_printf(cx.a, "@u%d:x", i), "{}");

		known_learn(&cx, &room, &v, 1);
	}
	cr_expect_not(finds("m.room.member", "@u0:x"));
	cr_expect(finds("m.room.member", "@u64:x"));
}

/* Whoever was learned last stays through a change of generations; the first is gone after two. */
Test(known, memory_ends)
{
	struct slot v = slot("m.room.create", "", arena_printf(cx.a, "{\"a\":\"%0*d\"}", 20000, 0));
	const char *before = NULL;
	bool gone = false;

	for (int i = 0; i < 2000; i++) {
		room.id = arena_printf(cx.a, "!%d:x", i);
		known_learn(&cx, &room, &v, 1);
		cr_assert(recalls());
		if (before != NULL) {
			room.id = before;
			cr_assert(recalls(), "%d", i);
		}
		before = arena_printf(cx.a, "!%d:x", i);
		room.id = "!0:x";
		gone |= !recalls();
	}
	cr_expect(gone, "40 MB");
}
