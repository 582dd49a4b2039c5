/* tests/unit/event/auth_keys.c - auth events selection, and the rules about the list of a received event. */
#include <criterion/criterion.h>

#include "tests/unit/event/room.h"

/* "type|key type|key …" in the order selected. */
static const char *
selected(struct ctx *cx, const struct json *c)
{
	struct state_key keys[AUTH_KEYS_MAX];
	size_t n = auth_event_keys(cx, room_version_get(json_get_str(c, "version")), json_get_str(c, "type"), "@s:a",
	    json_get_esc(cx->a, c, "state_key"), json_get(c, "content"), keys);
	struct buf b;

	buf_init(&b, cx->a);
	for (size_t i = 0; i < n; i++) {
		cr_assert_eq(strncmp(keys[i].type, "m.room.", 7), 0);
		buf_addf(&b, "%s%s|%s", i ? " " : "", keys[i].type + 7, keys[i].key);
	}
	return b.s;
}

/* The sender is @s:a. */
Test(event_auth_keys, selection)
{
	const struct json *cases, *c;
	struct ctx cx;

	ctx_open(&cx);
	cases = js_file(&cx, "tests/vectors/auth_keys.json");
	for (size_t i = 0; i < cases->u.arr.n; i++) {
		c = cases->u.arr.v[i];
		cr_expect_str_eq(selected(&cx, c), json_get_str(c, "keys"), "case %zu", i);
	}
	ctx_close(&cx);
}

/* A message by @user:b, checked against these state events of the room ("type|key"). */
static enum err
check(struct room *r, const char *const *names, size_t n)
{
	const struct event *auth[16];
	struct event ev = { .rv = r->rv,
		.json = js(&r->cx, "{}"),
		.content = js(&r->cx, "{}"),
		.id = "$e",
		.room = r->id,
		.type = "m.room.message",
		.sender = "@user:b" };

	r->cx.err_text = "";
	for (size_t i = 0; i < n; i++) {
		char *name = arena_strdup(r->cx.a, names[i]), *key = strchr(name, '|');

		*key = '\0';
		auth[i] = room_get(r, name, key + 1);
		cr_assert_not_null(auth[i]);
	}
	return auth_events_check(&r->cx, &ev, auth, n);
}
#define CHECK(r, ...) \
	check(r, (const char *const[]){ __VA_ARGS__ }, sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))
#define CREATE "m.room.create|"
#define LEVELS "m.room.power_levels|"
#define SENDER "m.room.member|@user:b"

static void
refused(struct room *r, enum err e, const char *says)
{
	cr_expect_eq(e, M_FORBIDDEN, "v%s: %s", r->rv->id, says);
	cr_expect(strstr(r->cx.err_text, says), "v%s: %s, not %s", r->rv->id, says, r->cx.err_text);
}

Test(event_auth_keys, list_of_a_received_event)
{
	size_t n;
	const struct room_version *const *all = room_versions(&n);

	for (size_t v = 0; v < n; v++) {
		bool v12 = all[v]->no_create_in_auth;
		struct room r;

		room_open(&r, all[v]->id);
		if (v12) {
			cr_expect_eq(CHECK(&r, LEVELS, SENDER), M_OK);
			cr_expect_eq(check(&r, NULL, 0), M_OK);
			refused(&r, CHECK(&r, CREATE, LEVELS, SENDER), "not to be selected");
		} else {
			cr_expect_eq(CHECK(&r, SENDER, LEVELS, CREATE), M_OK);
			cr_expect_eq(
			    CHECK(&r, CREATE), M_OK, "an event that is missing in the room may be missing here");
			refused(&r, CHECK(&r, LEVELS, SENDER), "do not name the create event");
			refused(&r, check(&r, NULL, 0), "do not name the create event");
		}
		refused(&r, CHECK(&r, LEVELS, SENDER, LEVELS), "two events");
		refused(&r, CHECK(&r, LEVELS, "m.room.member|@alice:a"), "not to be selected");
		room_close(&r);
	}
}

Test(event_auth_keys, rejected_and_foreign_events)
{
	size_t n;
	const struct room_version *const *all = room_versions(&n);

	for (size_t v = 0; v < n; v++) {
		struct room r;

		room_open(&r, all[v]->id);
		room_get(&r, "m.room.power_levels", "")->rejected = true;
		refused(&r, CHECK(&r, LEVELS, SENDER), "rejected");
		room_get(&r, "m.room.power_levels", "")->rejected = false;
		room_get(&r, "m.room.member", "@user:b")->room = "!other:a";
		refused(&r, CHECK(&r, LEVELS, SENDER), "another room");
		room_close(&r);
	}
}

Test(event_auth_keys, message_events_authorize_nothing)
{
	struct room r;
	struct event msg, ev;
	const struct event *auth[] = { &msg };

	room_open(&r, "12");
	msg = *room_get(&r, "m.room.power_levels", "");
	msg.state_key = NULL;
	ev = (struct event){ .rv = r.rv, .content = js(&r.cx, "{}"), .room = r.id, .type = "t", .sender = "@user:b" };
	refused(&r, auth_events_check(&r.cx, &ev, auth, 1), "not to be selected");
	room_close(&r);
}

Test(event_auth_keys, create_events_are_left_to_rule_1)
{
	struct room r;
	const struct event *auth[1];
	struct event ev;

	room_open(&r, "11");
	auth[0] = room_get(&r, "m.room.create", "");
	ev = *auth[0];
	cr_expect_eq(auth_events_check(&r.cx, &ev, auth, 1), M_OK);
	room_close(&r);
}
