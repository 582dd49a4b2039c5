/*
 * core/event/auth_keys.c - which state events an event names in auth_events (Server-Server
 * API, "Auth events selection"), and the rules about that list.
 */
#include "core/event/impl.h"

#include <string.h>

struct keys {
	struct state_key *out;
	size_t n;
};

static void
add(struct keys *k, const char *type, const char *key)
{
	for (size_t i = 0; i < k->n; i++)
		if (strcmp(k->out[i].type, type) == 0 && strcmp(k->out[i].key, key) == 0)
			return;
	k->out[k->n++] = (struct state_key){ type, key };
}

static void
add_member_keys(struct arena *a, struct keys *k, const struct room_version *rv, const char *target,
    const struct json *content)
{
	enum membership m = membership_of(json_get_str(content, "membership"));
	const struct json *invite = json_get(content, "third_party_invite");
	const char *key;

	if (target)
		add(k, "m.room.member", target);
	if (m == MEM_JOIN || m == MEM_INVITE || m == MEM_KNOCK)
		add(k, "m.room.join_rules", "");
	if (m == MEM_INVITE && (key = json_get_esc(a, json_get(invite, "signed"), "token")))
		add(k, "m.room.third_party_invite", key);
	if (m == MEM_JOIN && rv->restricted && (key = json_get_esc(a, content, "join_authorised_via_users_server")))
		add(k, "m.room.member", key);
}

size_t
auth_event_keys(struct ctx *cx, const struct room_version *rv, const char *type, const char *sender,
    const char *state_key, const struct json *content, struct state_key out[AUTH_KEYS_MAX])
{
	struct keys k = { out, 0 };

	if (strcmp(type, "m.room.create") == 0)
		return 0;
	if (!rv->no_create_in_auth)
		add(&k, "m.room.create", "");
	add(&k, "m.room.power_levels", "");
	add(&k, "m.room.member", sender);
	if (strcmp(type, "m.room.member") == 0)
		add_member_keys(cx->a, &k, rv, state_key, content);
	return k.n;
}

/* The place of ev's (type, state_key) among keys, n when it has none. */
static size_t
place(const struct state_key *keys, size_t n, const struct event *ev)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (ev->state_key && strcmp(keys[i].type, ev->type) == 0 && strcmp(keys[i].key, ev->state_key) == 0)
			break;
	return i;
}

/* Room v1 to v11 §Authorisation rules 2, v12 3; the numbers below are those of v1 to v11. */
enum err
auth_events_check(struct ctx *cx, const struct event *ev, const struct event *const *auth, size_t n)
{
	struct state_key keys[AUTH_KEYS_MAX];
	bool seen[AUTH_KEYS_MAX] = { false };
	size_t nkeys, at;

	/* Rule 1 has the last word on create events. */
	if (strcmp(ev->type, "m.room.create") == 0)
		return M_OK;
	nkeys = auth_event_keys(cx, ev->rv, ev->type, ev->sender, ev->state_key, ev->content, keys);
	for (size_t i = 0; i < n; i++) {
		if ((at = place(keys, nkeys, auth[i])) == nkeys)				/* 2.2 */
			return fail(cx, M_FORBIDDEN, "auth_events name an event that is not to be selected");
		if (seen[at])									/* 2.1 */
			return fail(cx, M_FORBIDDEN, "auth_events name two events for one type and state key");
		seen[at] = true;
		if (auth[i]->rejected)								/* 2.3 */
			return fail(cx, M_FORBIDDEN, "auth_events name a rejected event");
		if (strcmp(auth[i]->room, ev->room) != 0)					/* 2.5 */
			return fail(cx, M_FORBIDDEN, "auth_events name an event of another room");
	}
	/* 2.4; the create event is the first that the selection names. */
	if (!ev->rv->no_create_in_auth && !seen[0])
		return fail(cx, M_FORBIDDEN, "auth_events do not name the create event");
	return M_OK;
}
