/* tests/unit/room/visibility.c - the rules of history visibility, on spans given by hand. */
#include <criterion/criterion.h>

#include "core/room/names.h"
#include "core/room/visibility.h"

#define USER 7000

static bool
sees(struct visibility v, int line, int64_t ver)
{
	struct arena *a = arena_new();
	struct room_event ev = { .line = line, .ver = ver, .at_ver = ver, .type_nid = T_MESSAGE, .key_nid = -1, .content = "{}" };
	bool yes;

	v.user = USER;
	for (size_t i = 0; i < v.nmem; i++)
		if (v.mem[i].line == 0 && v.mem[i].value == MEM_JOIN)
			v.joined_until = v.mem[i].until;
	yes = visibility_allows(a, &v, &ev);
	arena_free(a);
	return yes;
}

/* Invited at 10, joined 20 to 30, left, joined again 40 to 50, banned. */
static struct vis_span life[] = {
	{ 0, 10, 20, MEM_INVITE }, { 0, 20, 30, MEM_JOIN }, { 0, 30, 40, MEM_LEAVE }, { 0, 40, 50, MEM_JOIN }, { 0, 50, VER_MAX, MEM_BAN },
};

/* One line per visibility: what is seen at versions 5 (before), 15 (invited), 25 (in), 35 (out), 45 (in), 55 (banned). */
Test(room_visibility_rules, every_rule)
{
	static const struct { enum history h; const char *seen; } cases[] = {
		{ HIST_WORLD_READABLE, "yyyyyy" }, { HIST_SHARED, "yyyyyn" }, { HIST_INVITED, "nyynyn" }, { HIST_JOINED, "nnynyn" },
	};

	for (size_t c = 0; c < 4; c++) {
		struct vis_span hist = { 0, 1, VER_MAX, (int)cases[c].h };
		struct visibility v = { .hist = &hist, .nhist = 1, .mem = life, .nmem = 5 };
		for (int i = 0; i < 6; i++)
			cr_expect_eq(sees(v, 0, 5 + 10 * i), cases[c].seen[i] == 'y', "visibility %d at version %d", (int)cases[c].h, 5 + 10 * i);
	}
}

/* Who never joined sees only what is world-readable, however he is invited. */
Test(room_visibility_rules, never_joined)
{
	struct vis_span invited = { 0, 3, VER_MAX, MEM_INVITE };
	struct vis_span hist[] = { { 0, 1, 5, HIST_INVITED }, { 0, 5, 9, HIST_SHARED }, { 0, 9, VER_MAX, HIST_WORLD_READABLE } };
	struct visibility v = { .hist = hist, .nhist = 3, .mem = &invited, .nmem = 1 };

	cr_expect_not(sees(v, 0, 4));
	cr_expect_not(sees(v, 0, 6));
	cr_expect(sees(v, 0, 9));
	v.nmem = 0;
	cr_expect_not(sees(v, 0, 4));
}

static bool
sees_by(struct visibility v, const int64_t *path, size_t n)
{
	struct arena *a = arena_new();
	struct room_event ev = { .line = (int)path[0], .ver = path[1], .at_ver = 99, .path = path, .npath = n, .type_nid = T_MESSAGE, .key_nid = -1,
		.content = "{}" };
	bool yes = visibility_allows(a, &v, &ev);

	arena_free(a);
	return yes;
}
#define SEES_BY(v, ...) sees_by(v, (const int64_t[]){ __VA_ARGS__ }, sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t))

/* A fork: what its own line does not say, the line says from which it came, at the version where it came. */
Test(room_visibility_rules, forks)
{
	struct vis_span mem[] = { { 0, 10, VER_MAX, MEM_JOIN }, { 2, 14, VER_MAX, MEM_LEAVE }, { 4, 14, 15, MEM_NONE } };
	struct vis_span hist = { 0, 1, VER_MAX, HIST_JOINED };
	struct visibility v = { .user = USER, .hist = &hist, .nhist = 1, .mem = mem, .nmem = 3 };

	cr_expect(SEES_BY(v, 1, 13, 0, 12), "line 1 came from version 12, where he is in");
	cr_expect(SEES_BY(v, 2, 13, 1, 13, 0, 12), "two lines up");
	cr_expect_not(SEES_BY(v, 2, 14, 1, 13, 0, 12), "left on that line");
	cr_expect_not(SEES_BY(v, 3, 10, 0, 9), "line 3 came from version 9, before he joined");
	cr_expect_not(SEES_BY(v, 4, 14, 0, 12), "absent on that line, not what the parent says");
	cr_expect(SEES_BY(v, 4, 15, 0, 12), "no longer");
}

/* History that was filled in without its state: as of what the room was when it was met. */
Test(room_visibility_rules, unknown_state)
{
	struct vis_span mem = { 0, 10, VER_MAX, MEM_JOIN }, hist = { 0, 1, VER_MAX, HIST_JOINED };
	struct visibility v = { .user = USER, .hist = &hist, .nhist = 1, .mem = &mem, .nmem = 1 };
	struct room_event ev = { .line = 0, .ver = -1, .at_ver = 9, .type_nid = T_MESSAGE, .key_nid = -1, .content = "{}" };
	struct arena *a = arena_new();

	cr_expect_not(visibility_allows(a, &v, &ev));
	ev.at_ver = 10;
	cr_expect(visibility_allows(a, &v, &ev));
	arena_free(a);
}

Test(room_visibility_rules, values)
{
	static const struct { const char *json; enum history h; } cases[] = {
		{ "{}", HIST_SHARED }, { "{\"history_visibility\":\"world_readable\"}", HIST_WORLD_READABLE },
		{ "{\"history_visibility\":\"joined\"}", HIST_JOINED }, { "{\"history_visibility\":\"invited\"}", HIST_INVITED },
		{ "{\"history_visibility\":\"nonsense\"}", HIST_SHARED }, { "{\"history_visibility\":1}", HIST_SHARED }, { "[]", HIST_SHARED },
	};
	struct arena *a = arena_new();
	struct json *v;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		cr_assert_eq(json_parse(a, cases[i].json, strlen(cases[i].json), &v), JSON_OK);
		cr_expect_eq(history_of(v), cases[i].h, "%s", cases[i].json);
	}
	arena_free(a);
}
