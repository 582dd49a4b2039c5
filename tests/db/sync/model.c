/*
 * tests/db/sync/model.c - random doings of several users, each with several devices that sync in different ways; at the end every
 * device knows what a fresh one is told: rooms, state, timelines, account data, receipts, typing, presence, messages to it,
 * device lists; no event came twice, and none is missing.
 *
 * Transactions overtake each other (some have had their id for long when they write), syncs fall between a write and
 * its COMMIT, workers start anew (sync_forget), answers are lost, requests wait. All in one process, so
 * a seed is the same run each time: HEARTH_MODEL_SEED=n runs that one, HEARTH_MODEL_SEEDS=n that many from 1 on.
 */
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/e2ee/inbox.h"
#include "core/live/presence.h"
#include "core/live/receipt.h"
#include "core/live/typing.h"
#include "core/user/account_data.h"
#include "core/user/tag.h"
#include "tests/db/sync/model_view.h"

#define USERS 4
#define ROOMS 5
#define KEPT 40			/* events that receipts, threads and redactions choose from */
#define STEPS 150

#define LONG "\"limit\":100"
static const struct variant variants[] = {
	{ "plain", NULL, "{\"room\":{\"timeline\":{" LONG "}}}", false, false },
	{ "state_after", NULL, "{\"room\":{\"timeline\":{" LONG "}}}", true, false },
	{ "lazy, short", "{\"room\":{\"state\":{\"lazy_load_members\":true},\"timeline\":{\"limit\":2}}}",
	  "{\"room\":{\"state\":{\"lazy_load_members\":true},\"timeline\":{" LONG "}}}", false, true },
	{ "filtered", "{\"room\":{\"timeline\":{\"limit\":3,\"not_types\":[\"m.x*\",\"m.room.topic\"]}}}",
	  "{\"room\":{\"timeline\":{" LONG ",\"not_types\":[\"m.x*\",\"m.room.topic\"]}}}", false, false },
	{ "filtered, lazy, state_after",
	  "{\"room\":{\"state\":{\"lazy_load_members\":true,\"not_types\":[\"m.x\"]},\"timeline\":{\"limit\":1,\"not_senders\":[\"@none:x\"]}}}",
	  "{\"room\":{\"state\":{\"lazy_load_members\":true,\"not_types\":[\"m.x\"]},\"timeline\":{" LONG ",\"not_senders\":[\"@none:x\"]}}}",
	  true, true },
};
#define VARIANTS (sizeof variants / sizeof *variants)
#define VIEWS (USERS * VARIANTS)

struct model {
	struct client *user[USERS], *late[USERS];	/* late: one whose transaction may be open, its id taken */
	struct view *view[VIEWS];
	struct ctx *reader;
	const char *room[ROOMS], *event[KEPT], *event_room[KEPT];
	size_t nrooms, nevents;
	unsigned seed, state;
	int step;
	bool between;		/* syncs are allowed before the next COMMIT */
};

STMT(test_model_take_xid, "SELECT pg_current_xact_id()");

static unsigned
dice(void *arg, unsigned n)
{
	struct model *m = arg;

	m->state = m->state * 1103515245 + 12345;
	return (m->state >> 16) % n;
}

/* ---- syncing */

static void
sync_some(struct model *m)
{
	struct view *v[VIEWS];
	size_t n = dice(m, 4) ? 1 : 1 + dice(m, VIEWS / 2), first = dice(m, VIEWS);

	if (dice(m, 12) == 0)
		sync_forget();
	for (size_t i = 0; i < n; i++)
		v[i] = m->view[(first + i * 7) % VIEWS];	/* 7 and the number of views have no divisor in common */
	view_sync(m->reader, v, n, dice, m);
}

/* ---- doing */

/* Somebody of this user's sessions: now and then the one whose transaction began long ago. */
static struct client *
anybody(struct model *m, unsigned *who)
{
	unsigned u = dice(m, USERS);

	*who = u;
	if (!db_in_tx(m->late[u]->cx) && dice(m, 6) == 0) {
		session_next(m->late[u]->cx);
		db_begin(m->late[u]->cx, TX_RW);
		cr_assert_eq(db_exec(m->late[u]->cx, NULL, &test_model_take_xid), M_OK);
	}
	return db_in_tx(m->late[u]->cx) && dice(m, 3) == 0 ? m->late[u] : m->user[u];
}

/* What has not been committed may be read around. */
static enum err
finish(struct model *m, struct client *c)
{
	enum err e = db_run(c->cx);

	if (e == M_OK && m->between && dice(m, 4) == 0)
		sync_some(m);
	return e == M_OK ? db_commit(c->cx) : e;
}

#define DO(m, c, call)								\
	__extension__({								\
		enum err do_;							\
		do {								\
			if (!db_in_tx((c)->cx)) {				\
				session_next((c)->cx);				\
				db_begin((c)->cx, TX_RW);			\
			}							\
			if ((do_ = call) == M_OK)				\
				do_ = finish(m, c);				\
			if (do_ != M_OK)					\
				db_rollback((c)->cx);				\
		} while (do_ == E_RETRY);					\
		do_;								\
	})

#define TREE(c, ...) tree(c, arena_printf((c)->a, __VA_ARGS__))
static struct json *
tree(struct client *c, const char *text)
{
	struct json *v;

	cr_assert_eq(json_parse(c->a, text, strlen(text), &v), JSON_OK, "%s", text);
	return v;
}

static void
keep(struct model *m, const char *room, const char *event)
{
	size_t i = m->nevents < KEPT ? m->nevents++ : dice(m, KEPT);

	m->event[i] = arena_strdup(m->user[0]->a, event);
	m->event_room[i] = room;
}

static const struct txn *
txn_of(struct model *m, struct client *c)
{
	struct txn *t = arena_alloc(c->a, sizeof *t);

	t->id = arena_printf(c->a, "t%d", m->step);
	t->path = arena_printf(c->a, "PUT %s", t->id);
	return t;
}

static void
say(struct model *m, struct client *by, const char *room)
{
	const char *n = arena_printf(by->a, "%d", m->step), *id;
	struct json *content = TREE(by, "{\"body\":\"%s\"}", n);

	if (m->nevents > 0 && dice(m, 3) == 0) {
		size_t i = dice(m, (unsigned)m->nevents);

		room = m->event_room[i];
		json_set(by->a, content, "m.relates_to", TREE(by, "{\"rel_type\":\"m.thread\",\"event_id\":\"%s\"}", m->event[i]));
	}
	if (DO(m, by, room_send(by->cx, room, "m.room.message", json_copy(by->cx->a, content), txn_of(m, by), &id)) == M_OK)
		keep(m, room, id);
}

static void
redact(struct model *m, struct client *by)
{
	size_t i;
	const char *id;

	if (m->nevents == 0)
		return;
	i = dice(m, (unsigned)m->nevents);
	(void)DO(m, by, room_redact(by->cx, m->event_room[i], m->event[i], json_new_obj(by->cx->a), txn_of(m, by), &id));
}

static void
change_member(struct model *m, struct client *by, const char *room)
{
	static const enum member_action actions[] = { MEMBER_JOIN, MEMBER_JOIN, MEMBER_JOIN, MEMBER_LEAVE, MEMBER_INVITE, MEMBER_INVITE,
	    MEMBER_KICK, MEMBER_BAN, MEMBER_UNBAN, MEMBER_UNBAN, MEMBER_KNOCK };
	enum member_action action = actions[dice(m, sizeof actions / sizeof *actions)];
	const struct client *target = m->user[dice(m, USERS)];
	bool own = action == MEMBER_JOIN || action == MEMBER_LEAVE || action == MEMBER_KNOCK;

	(void)DO(m, by, member_change(by->cx, action, room, own ? NULL : target->user, NULL));
}

static void
change_state(struct model *m, struct client *by, const char *room)
{
	static const char *const types[] = { "m.room.topic", "m.room.name", "m.x", "m.x.y", "m.room.history_visibility" };
	static const char *const visibilities[] = { "shared", "joined", "invited", "world_readable" };
	unsigned t = dice(m, 5);
	struct json *content;
	const char *id;

	if (t == 4)
		content = TREE(by, "{\"history_visibility\":\"%s\"}", visibilities[dice(m, 4)]);
	else
		content = TREE(by, "{\"%s\":\"%d\"}", t == 1 ? "name" : "topic", m->step);
	(void)DO(m, by, room_put_state(by->cx, room, types[t], t == 2 && dice(m, 2) ? "k" : "", json_copy(by->cx->a, content), &id));
}

static void
set_data(struct model *m, struct client *by, const char *room)
{
	struct json *content = TREE(by, "{\"n\":\"%d\"}", m->step);

	switch (dice(m, 4)) {
	case 0:
		(void)DO(m, by, account_data_set(by->cx, NULL, "m.direct", content));
		break;
	case 1:
		(void)DO(m, by, account_data_set(by->cx, room, "m.marked_unread", content));
		break;
	case 2:
		(void)DO(m, by, tag_set(by->cx, room, dice(m, 2) ? "u.a" : "m.favourite", content));
		break;
	default:
		(void)DO(m, by, tag_delete(by->cx, room, "u.a"));
	}
}

static void
read_up_to(struct model *m, struct client *by)
{
	static const enum receipt_kind kinds[] = { RECEIPT_READ, RECEIPT_READ, RECEIPT_PRIVATE, RECEIPT_FULLY_READ };
	struct receipt v = { .kind = kinds[dice(m, 4)] };
	size_t i;

	if (m->nevents == 0)
		return;
	i = dice(m, (unsigned)m->nevents);
	v.event = m->event[i];
	if (v.kind != RECEIPT_FULLY_READ && dice(m, 3) == 0)
		v.thread = dice(m, 2) ? "main" : m->event[dice(m, (unsigned)m->nevents)];
	(void)DO(m, by, receipt_set(by->cx, m->event_room[i], &v, 1));
}

/* To one device, or to all of a user. */
static void
send_to_device(struct model *m, struct client *by)
{
	const struct client *to = m->user[dice(m, USERS)];
	struct view *one = m->view[dice(m, VIEWS)];
	bool all = dice(m, 2);
	const char *n = arena_printf(by->a, "%d", m->step), *user = all ? to->user : one->user,
	    *device = all ? "*" : sql("SELECT device_id FROM device WHERE nid = %lld", (long long)one->device);
	struct json *messages = TREE(by, "{\"%s\":{\"%s\":{\"n\":\"%s\"}}}", user, device, n);

	cr_assert_eq(DO(m, by, to_device_send(by->cx, "m.test", messages, n, n)), M_OK, "%s", view_context);
	for (size_t i = 0; i < VIEWS; i++)
		if (all ? strcmp(m->view[i]->user, user) == 0 : m->view[i] == one)
			json_set(m->view[i]->a, m->view[i]->sent, n, json_new_bool(m->view[i]->a, true));
}

static void
change_device(struct model *m, const struct client *by)
{
	sql("UPDATE device SET display_name = '%d' WHERE nid = %lld", m->step, (long long)by->device);
	for (size_t i = 0; i < VIEWS; i++)
		view_owe(m->view[i], by->user);
}

static const char *const presets[] = {
	"{\"preset\":\"public_chat\"}", "{\"preset\":\"public_chat\",\"name\":\"n\"}", "{\"preset\":\"private_chat\"}",
	("{\"preset\":\"private_chat\",\"initial_state\":[{\"type\":\"m.room.join_rules\",\"state_key\":\"\",\"content\":{\"join_rule\":\"knock\"}},"
	 "{\"type\":\"m.room.history_visibility\",\"state_key\":\"\",\"content\":{\"history_visibility\":\"joined\"}}]}"),
};

static void
do_something(struct model *m)
{
	static const enum presence_state states[] = { PRESENCE_OFFLINE, PRESENCE_UNAVAILABLE, PRESENCE_ONLINE };
	unsigned u;
	struct client *by = anybody(m, &u);
	const char *room;

	if (m->nrooms < ROOMS && (m->nrooms == 0 || dice(m, 12) == 0)) {
		m->room[m->nrooms++] = client_room(m->user[u], presets[dice(m, 4)]);
		return;
	}
	room = m->room[dice(m, (unsigned)m->nrooms)];
	switch (dice(m, 20)) {
	case 0:
	case 1:
	case 2:
	case 3:
	case 4:
		change_member(m, by, room);
		break;
	case 5:
	case 6:
	case 7:
		change_state(m, by, room);
		break;
	case 8:
		(void)DO(m, by, member_forget(by->cx, room));
		break;
	case 9:
		redact(m, by);
		break;
	case 10:
		set_data(m, by, room);
		break;
	case 11:
		read_up_to(m, by);
		break;
	case 12:
		(void)DO(m, by, typing_set(by->cx, room, dice(m, 2) ? 100000 : 0));
		break;
	case 13:
		send_to_device(m, by);
		break;
	case 14:
		change_device(m, by);
		break;
	case 15:
		(void)DO(m, by, presence_set(by->cx, states[dice(m, 3)], NULL));
		break;
	default:
		say(m, by, room);
	}
}

/* ---- the whole */

static void
compare(struct model *m)
{
	/* Their ids are taken and will come to light when they write. */
	for (size_t i = 0; i < VIEWS; i++)
		view_settle(m->reader, m->view[i]);
	for (size_t i = 0; i < VIEWS; i++) {
		view_settle(m->reader, m->view[i]);	/* of the fresh devices of the others */
		view_compare(m->reader, m->user[i / VARIANTS], m->view[i]);
	}
}

static void
model_make(struct model *m, unsigned seed)
{
	char name[100];

	*m = (struct model){ .seed = seed, .state = seed * 2654435761u, .reader = session() };
	for (unsigned u = 0; u < USERS; u++) {
		snprintf(name, sizeof name, "s%uu%u", seed, u);
		m->user[u] = client_new(name);
		m->late[u] = client_again(m->user[u]);
		for (size_t i = 0; i < VARIANTS; i++)
			m->view[u * VARIANTS + i] = view_new(m->user[u], &variants[i]);
	}
	/* The last user ignores the first one, from the beginning. */
	snprintf(name, sizeof name, "{\"ignored_users\":{\"%s\":{}}}", m->user[0]->user);
	client_data(m->user[USERS - 1], NULL, "m.ignored_user_list", name);
	for (size_t i = (USERS - 1) * VARIANTS; i < VIEWS; i++)
		m->view[i]->ignores = true;
	for (size_t i = 0; i < VIEWS; i++)
		view_settle(m->reader, m->view[i]);
	for (size_t i = 0; i < VIEWS; i++) {
		m->view[i]->owed = json_new_obj(m->view[i]->a);
		m->view[i]->mention = json_new_obj(m->view[i]->a);
	}
}

static void
run(unsigned seed)
{
	struct model *m = calloc(1, sizeof *m);

	snprintf(view_context, sizeof view_context, "seed %u, before", seed);
	sync_forget();
	model_make(m, seed);
	m->between = true;
	for (m->step = 1; m->step <= STEPS; m->step++) {
		snprintf(view_context, sizeof view_context, "seed %u, step %d", seed, m->step);
		do_something(m);
		if (dice(m, 3) == 0)
			sync_some(m);
		if (m->step % 75 == 0)
			compare(m);
	}
	for (unsigned u = 0; u < USERS; u++) {
		db_rollback(m->late[u]->cx);
		session_end(m->late[u]->cx);
		session_end(m->user[u]->cx);
	}
	session_end(m->reader);
	for (size_t i = 0; i < VIEWS; i++) {
		arena_free(m->view[i]->a);
		free(m->view[i]);
	}
	free(m);
}

static unsigned
number(const char *name, unsigned dflt)
{
	const char *s = getenv(name);

	return s && *s ? (unsigned)strtoul(s, NULL, 10) : dflt;
}

Test(sync_model, every_device_knows_what_a_fresh_one_is_told, .timeout = 600)
{
	unsigned one = number("HEARTH_MODEL_SEED", 0), n = number("HEARTH_MODEL_SEEDS", 6);

	if (one > 0)
		run(one);
	for (unsigned seed = 1; one == 0 && seed <= n; seed++)
		run(seed);
}
