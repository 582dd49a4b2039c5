/*
 * tests/unit/event/auth_random.c - properties of the authorization rules that hold in every room: random states, random
 * events, and what no rule may ever let pass.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/event/room.h"

static uint64_t rnd_state;

static unsigned
rnd(unsigned n)
{
	rnd_state = rnd_state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(rnd_state >> 33) % n;
}

static const char *const users[] = { "@alice:a", "@admin:b", "@mod:a", "@peer:a", "@user:b", "@invited:b", "@left:b", "@banned:b", "@knocker:b" };
#define NUSERS (sizeof(users) / sizeof(users[0]))
static const char *const memberships[] = { "invite", "join", "knock", "leave", "ban" };
static const char *const join_rules[] = { "public", "invite", "knock", "restricted", "knock_restricted", "private", "nonsense" };
static const char *const settings[] = { "invite", "kick", "ban", "redact", "events_default", "state_default", "users_default" };

static struct json *
random_levels(struct room *r)
{
	struct arena *a = r->cx.a;
	struct json *levels = json_new_obj(a), *of = json_new_obj(a), *types = json_new_obj(a);

	for (size_t i = 0; i < NUSERS; i++)
		if (rnd(2) && !(r->rv->privileged_creators && i == 0))
			json_set(a, of, users[i], json_new_int(a, 25 * (int)rnd(5)));
	json_set(a, levels, "users", of);
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		if (rnd(2))
			json_set(a, levels, settings[i], json_new_int(a, 25 * (int)rnd(5)));
	if (rnd(2))
		json_set(a, types, "m.room.topic", json_new_int(a, 25 * (int)rnd(5)));
	json_set(a, levels, "events", types);
	return levels;
}

static void
random_room(struct room *r, const char *version)
{
	static const char *const signers[] = { "a", "b", NULL };

	room_open(r, version);
	r->signers = signers + rnd(3);
	for (size_t i = 1; i < NUSERS; i++)
		if (rnd(2)) {
			struct json *c = json_new_obj(r->cx.a);

			json_set(r->cx.a, c, "membership", json_new_str(r->cx.a, memberships[rnd(5)]));
			room_put(r, "m.room.member", users[i], users[i], c);
		}
	if (rnd(4))
		room_put(r, "m.room.power_levels", "", "@alice:a", random_levels(r));
	else if (rnd(2))
		room_drop(r, "m.room.power_levels", "");
	if (rnd(4)) {
		struct json *c = json_new_obj(r->cx.a);

		json_set(r->cx.a, c, "join_rule", json_new_str(r->cx.a, join_rules[rnd(7)]));
		room_put(r, "m.room.join_rules", "", "@alice:a", c);
	}
}

static struct event
random_event(struct room *r)
{
	struct arena *a = r->cx.a;
	struct event ev = { .rv = r->rv, .id = "$new", .room = r->id, .type = "m.room.message", .sender = users[rnd(NUSERS)],
		.content = json_new_obj(a), .json = json_new_obj(a) };
	static const char *prev[] = { "$prev" };

	ev.prev_ids = prev;
	ev.nprev = 1;
	switch (rnd(5)) {
	case 0:
		ev.type = "m.room.topic";
		ev.state_key = "";
		break;
	case 1: case 2:
		ev.type = "m.room.member";
		ev.state_key = users[rnd(NUSERS)];
		json_set(a, ev.content, "membership", json_new_str(a, memberships[rnd(5)]));
		if (rnd(4) == 0)
			json_set(a, ev.content, "join_authorised_via_users_server", json_new_str(a, users[rnd(NUSERS)]));
		break;
	case 3:
		ev.type = "m.room.power_levels";
		ev.state_key = "";
		ev.content = random_levels(r);
		break;
	default:
		break;
	}
	return ev;
}

static enum membership
membership_in(struct room *r, const char *user)
{
	const struct event *ev = room_get(r, "m.room.member", user);

	return ev ? membership_of(json_get_str(ev->content, "membership")) : MEM_NONE;
}

static bool
allowed(struct room *r, const struct event *ev)
{
	return event_auth(&r->cx, ev, &r->auth) == M_OK;
}

static int64_t
level_in(const struct json *levels, const char *user)
{
	return json_get_int(json_get(levels, "users"), user, json_get_int(levels, "users_default", 0));
}

/* Who is not in the room says nothing, but for his own coming and going; who is banned nothing at all. */
static void
only_members(struct room *r, const struct event *ev)
{
	enum membership m = membership_in(r, ev->sender);
	const char *to = json_get_str(ev->content, "membership");

	cr_expect_neq(m, MEM_BAN, "v%s: %s is banned and sends %s", r->rv->id, ev->sender, ev->type);
	if (m == MEM_JOIN)
		return;
	cr_expect_str_eq(ev->type, "m.room.member");
	cr_expect_str_eq(ev->state_key, ev->sender);
	cr_expect(strcmp(to, "join") == 0 || strcmp(to, "knock") == 0 || strcmp(to, "leave") == 0);
}

/* Nobody makes a ban undone by joining, inviting or knocking; nobody removes who has as much power as he, but for himself. */
static void
only_downwards(struct room *r, const struct event *ev)
{
	enum membership to = membership_of(json_get_str(ev->content, "membership")), was;

	if (strcmp(ev->type, "m.room.member") != 0)
		return;
	was = membership_in(r, ev->state_key);
	if (was == MEM_BAN)
		cr_expect(to == MEM_LEAVE || to == MEM_BAN, "v%s: out of a ban to %d", r->rv->id, to);
	if (to == MEM_JOIN || to == MEM_KNOCK)
		cr_expect_str_eq(ev->sender, ev->state_key, "nobody joins or knocks for another");
	if ((to == MEM_BAN || to == MEM_LEAVE) && strcmp(ev->sender, ev->state_key) != 0)
		cr_expect_gt(power_of_user(&r->auth, r->rv, ev->sender), power_of_user(&r->auth, r->rv, ev->state_key), "v%s", r->rv->id);
}

/* No change of levels gives anybody more than its sender has, or takes from who has as much, but for himself. */
static void
only_own_power(struct room *r, const struct event *ev)
{
	const struct event *now = room_get(r, "m.room.power_levels", "");
	int64_t power = power_of_user(&r->auth, r->rv, ev->sender);

	if (strcmp(ev->type, "m.room.power_levels") != 0 || !now)
		return;
	for (size_t i = 0; i < NUSERS; i++) {
		const struct json *x = json_get(json_get(now->content, "users"), users[i]), *y = json_get(json_get(ev->content, "users"), users[i]);

		if (!y ? !x : x && json_equal(x, y))
			continue;
		if (y)
			cr_expect_leq(level_in(ev->content, users[i]), power, "v%s: %s raises %s", r->rv->id, ev->sender, users[i]);
		if (x && strcmp(users[i], ev->sender) != 0)
			cr_expect_lt(level_in(now->content, users[i]), power, "v%s: %s takes from %s", r->rv->id, ev->sender, users[i]);
	}
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		int64_t dflt = i < 4 ? (i == 0 ? 0 : 50) : 0;
		const struct json *x = json_get(now->content, settings[i]), *y = json_get(ev->content, settings[i]);

		if ((!x && !y) || (x && y && json_equal(x, y)))
			continue;
		cr_expect(!x || json_get_int(now->content, settings[i], dflt) <= power, "v%s: %s was above", r->rv->id, settings[i]);
		cr_expect(!y || json_get_int(ev->content, settings[i], dflt) <= power, "v%s: %s is above", r->rv->id, settings[i]);
	}
}

/* With the state that speaks for it rejected, nothing more is allowed than without that state. */
static void
rejected_is_absent(struct room *r, const struct event *ev)
{
	size_t i = rnd((unsigned)r->n);
	struct event *one = r->state[i], copy = *one;
	bool with, without;

	if (strcmp(one->type, "m.room.create") == 0)
		return;
	one->rejected = true;
	with = allowed(r, ev);
	one->rejected = false;
	room_drop(r, copy.type, copy.state_key);
	without = allowed(r, ev);
	*room_put(r, copy.type, copy.state_key, copy.sender, copy.content) = copy;
	cr_expect_eq(with, without, "v%s: a rejected %s counts", r->rv->id, copy.type);
}

/* What the rules do not ask for changes nothing: only what auth_event_keys() names, and the create event. */
static void
only_selected(struct room *r, const struct event *ev, bool was)
{
	struct state_key keys[AUTH_KEYS_MAX];
	size_t n = auth_event_keys(&r->cx, r->rv, ev->type, ev->sender, ev->state_key, ev->content, keys);
	struct room few = *r;

	few.n = 0;
	few.auth.arg = &few;
	for (size_t i = 0; i < r->n; i++) {
		bool keep = strcmp(r->state[i]->type, "m.room.create") == 0;

		for (size_t k = 0; k < n; k++)
			keep = keep || (strcmp(keys[k].type, r->state[i]->type) == 0 && strcmp(keys[k].key, r->state[i]->state_key) == 0);
		if (keep)
			few.state[few.n++] = r->state[i];
	}
	cr_expect_eq(allowed(&few, ev), was, "v%s: %s is judged by more than its auth events", r->rv->id, ev->type);
}

static void
random_rooms(const char *version)
{
	size_t yes = 0, no = 0;

	rnd_state = strtoul(version, NULL, 10) * 77 + 5;
	for (int i = 0; i < 150; i++) {
		struct room r;

		random_room(&r, version);
		for (int k = 0; k < 40; k++) {
			struct event ev = random_event(&r);
			bool ok = allowed(&r, &ev);

			yes += ok;
			no += !ok;
			if (ok) {
				only_members(&r, &ev);
				only_downwards(&r, &ev);
				only_own_power(&r, &ev);
			}
			only_selected(&r, &ev, ok);
			rejected_is_absent(&r, &ev);
		}
		room_close(&r);
	}
	cr_expect(yes > 300 && no > 300, "v%s: %zu allowed, %zu refused: the events say nothing", version, yes, no);
}
Test(auth_random, version_1) { random_rooms("1"); }
Test(auth_random, version_2) { random_rooms("2"); }
Test(auth_random, version_3) { random_rooms("3"); }
Test(auth_random, version_4) { random_rooms("4"); }
Test(auth_random, version_5) { random_rooms("5"); }
Test(auth_random, version_6) { random_rooms("6"); }
Test(auth_random, version_7) { random_rooms("7"); }
Test(auth_random, version_8) { random_rooms("8"); }
Test(auth_random, version_9) { random_rooms("9"); }
Test(auth_random, version_10) { random_rooms("10"); }
Test(auth_random, version_11) { random_rooms("11"); }
Test(auth_random, version_12) { random_rooms("12"); }
