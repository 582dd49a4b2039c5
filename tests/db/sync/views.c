/*
 * tests/db/sync/views.c - whatever happens, a client who follows its tokens knows what a fresh one is told.
 *
 * Random changes by several users, syncs in between; at the end everybody's
 * accumulated view is compared with an initial sync.
 */
#include "tests/db/sync/client.h"

#define USERS 4
#define ROOMS 5

struct world {
	struct client *c[2 * USERS];	/* two devices each: state, state_after */
	const char *room[ROOMS];
	unsigned seed;
	size_t nrooms;
	int step;
};

static unsigned
dice(struct world *w, unsigned n)
{
	w->seed = w->seed * 1103515245 + 12345;
	return (w->seed >> 16) % n;
}

static const char *const presets[] = {
	"{\"preset\":\"public_chat\"}", "{\"preset\":\"public_chat\",\"name\":\"n\"}",
	("{\"preset\":\"private_chat\",\"initial_state\":[{\"type\":\"m.room.history_visibility\",\"state_key\":\"\","
	 "\"content\":{\"history_visibility\":\"joined\"}}]}"),
};

/* One change by someone. Most of those that are not allowed are refused; that is fine. */
static void
change(struct world *w)
{
	struct client *by = w->c[2 * dice(w, USERS)], *target = w->c[2 * dice(w, USERS)];
	const char *room;
	char text[40];

	w->step++;
	if (w->nrooms < ROOMS && dice(w, 12) == 0) {
		w->room[w->nrooms++] = client_room(by, presets[dice(w, 3)]);
		return;
	}
	room = w->room[dice(w, (unsigned)w->nrooms)];
	snprintf(text, sizeof text, "m%d", w->step);
	switch (dice(w, 14)) {
	case 0:
	case 1:
		client_member(by, MEMBER_JOIN, room, NULL);
		break;
	case 2:
		client_member(by, MEMBER_LEAVE, room, NULL);
		break;
	case 3:
	case 4:
		client_member(by, MEMBER_INVITE, room, target);
		break;
	case 5:
		if (target != by)
			client_member(by, MEMBER_KICK, room, target);
		break;
	case 6:
		if (target != by)
			client_member(by, dice(w, 2) ? MEMBER_BAN : MEMBER_UNBAN, room, target);
		break;
	case 7:
	case 8:
		snprintf(text, sizeof text, "{\"topic\":\"%d\"}", w->step);
		client_state(by, room, dice(w, 2) ? "m.room.topic" : "m.x", dice(w, 2) ? "" : "k", text);
		break;
	case 9:
		snprintf(text, sizeof text, "{\"x\":%d}", w->step);
		client_data(by, dice(w, 2) ? room : NULL, "m.x", text);
		break;
	default:
		client_say(by, room, text);
	}
}

static void
same_joined(const struct client *c, const struct client *fresh)
{
	size_t i;

	cr_expect_eq(c->rooms->u.obj.n, fresh->rooms->u.obj.n, "%s: %zu rooms, not %zu", c->user, c->rooms->u.obj.n,
	    fresh->rooms->u.obj.n);
	for (i = 0; i < fresh->rooms->u.obj.n; i++) {
		const char *id = fresh->rooms->u.obj.v[i].key;
		struct json *mine = json_get(c->rooms, id), *its = fresh->rooms->u.obj.v[i].value;

		cr_assert_not_null(mine, "%s does not know of %s", c->user, id);
		if (!json_equal(json_get(mine, "state"), json_get(its, "state")))
			cr_expect_fail("%s %s:\n mine  %s\n fresh %s", c->user, id, json_canonical_str(c->a, json_get(mine, "state"), NULL),
			    json_canonical_str(c->a, json_get(its, "state"), NULL));
	}
}

/* The events seen are those that the room ends with, in its order, none missed and none twice. */
static void
seen_is_a_suffix(const struct client *c)
{
	size_t i, k;

	for (i = 0; i < c->rooms->u.obj.n; i++) {
		const char *id = c->rooms->u.obj.v[i].key;
		const struct json *seen = json_get(c->rooms->u.obj.v[i].value, "seen");
		struct buf b;

		buf_init(&b, c->a);
		for (k = 0; k < seen->u.arr.n; k++)
			buf_addf(&b, "%s%s", k ? " " : "", seen->u.arr.v[k]->u.str.s);
		cr_expect_str_eq(sql("SELECT string_agg(id, ' ' ORDER BY room_pos) FROM (SELECT e.id, room_pos FROM event e JOIN room r"
		    " ON r.nid = e.room WHERE r.id = '%s' AND room_pos IS NOT NULL ORDER BY room_pos DESC LIMIT %zu) x", id, seen->u.arr.n),
		    b.s, "%s %s", c->user, id);
	}
}

static void
compare(struct world *w)
{
	size_t i;

	for (i = 0; i < 2 * USERS; i++) {
		struct client *c = w->c[i], *fresh = client_again(c);

		client_sync(c);
		cr_expect_eq(client_sync(c), E_PARK, "%s is told something twice: %s", c->user,
		    c->last ? json_canonical_str(c->a, c->last, NULL) : "");
		fresh->after = c->after;
		cr_assert_eq(client_sync(fresh), M_OK);
		same_joined(c, fresh);
		seen_is_a_suffix(c);
		cr_expect_eq(c->invites->u.obj.n, fresh->invites->u.obj.n, "%s: invitations", c->user);
		cr_expect(json_equal(c->data, fresh->data), "%s: account data", c->user);
		session_end(fresh->cx);
	}
}

static void
run(unsigned seed, bool restarts, const char *filter)
{
	static const char *const names[] = { "a", "b", "c", "d" };
	struct world *w = calloc(1, sizeof *w);
	int i, k;

	w->seed = seed;
	for (i = 0; i < USERS; i++) {
		w->c[2 * i] = client_new(names[i]);
		w->c[2 * i + 1] = client_again(w->c[2 * i]);
		w->c[2 * i + 1]->after = true;
		for (k = 0; k < 2; k++) {
			w->c[2 * i + k]->filter = filter;
			client_sync(w->c[2 * i + k]);
		}
	}
	w->room[w->nrooms++] = client_room(w->c[0], presets[0]);
	for (i = 0; i < 300; i++) {
		change(w);
		if (restarts && dice(w, 20) == 0)
			sync_forget();
		if (dice(w, 3) == 0)
			client_sync(w->c[dice(w, 2 * USERS)]);
		if (i % 100 == 99)
			compare(w);
	}
}

Test(sync_views, followed_by_tokens, .timeout = 120)
{
	run(1, false, NULL);
}

Test(sync_views, workers_that_start_anew, .timeout = 120)
{
	run(2, true, NULL);
}

Test(sync_views, short_timelines, .timeout = 120)
{
	run(3, true, "{\"room\":{\"timeline\":{\"limit\":2}}}");
}
