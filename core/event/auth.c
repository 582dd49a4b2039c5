/*
 * core/event/auth.c - the authorization rules (room version N, "Authorisation rules"): their order, and the short ones.
 *
 * Rule numbers in comments are those of room versions 6 to 11 ("v6-v11"); v1 to v5 have
 * the aliases rule between 3 and 4, v12 has a rule between 1 and 2, so theirs are one higher.
 * Each rule may be asked more than once for an event, by different states, so nothing here remembers.
 */
#include "core/event/impl.h"

#include "core/base/conf.h"
#include "core/base/id.h"

#include <string.h>

const struct event *
auth_get(const struct auth_state *st, const char *type, const char *key)
{
	const struct event *ev = st->get(st->arg, type, key);

	return ev && !ev->rejected ? ev : NULL;
}

static const struct event *
create_of(const struct auth_state *st)
{
	if (!st->create)
		return auth_get(st, "m.room.create", "");
	return st->create->rejected ? NULL : st->create;
}

enum membership
auth_membership(const struct judge *j, const char *user)
{
	const struct event *ev = auth_get(j->st, "m.room.member", user);

	return ev ? membership_of(json_get_str(ev->content, "membership")) : MEM_NONE;
}

static bool
same_server(const char *a, const char *b)
{
	const char *x = id_server(a), *y = id_server(b);

	return x && y && strcmp(x, y) == 0;
}

/* Room v12 §Authorisation rules 1.4: each passes the validation that sender passes. */
static bool
creators_are_valid(struct arena *a, const struct json *list)
{
	if (!json_is(list, JSON_ARR))
		return false;
	for (size_t i = 0; i < list->u.arr.n; i++) {
		const struct json *user = list->u.arr.v[i];

		if (!json_is(user, JSON_STR) || !id_is_user(json_esc_of(a, user)))
			return false;
	}
	return true;
}

/* Rule 1. */
static enum err
auth_create(const struct judge *j)
{
	const struct event *ev = j->ev;
	const struct json *version = json_get(ev->content, "room_version");
	const struct json *creators = json_get(ev->content, "additional_creators");

	if (ev->nprev)								/* 1.1 */
		return fail(j->cx, M_FORBIDDEN, "a create event has no previous events");
	if (j->rv->room_id_is_create_hash) {					/* 1.2 of v12 */
		if (json_get(ev->json, "room_id"))
			return fail(j->cx, M_FORBIDDEN, "a create event of this room version has no room_id");
	} else if (!same_server(ev->room, ev->sender)) {			/* 1.2 */
		return fail(j->cx, M_FORBIDDEN, "the room id is of another server than the sender");
	}
	if (version && !room_version_get(json_get_str(ev->content, "room_version"))) /* 1.3 */
		return fail(j->cx, M_FORBIDDEN, "the room version is not known");
	if (!j->rv->implicit_creator && !json_get(ev->content, "creator"))	/* 1.4 of v1-v10 */
		return fail(j->cx, M_FORBIDDEN, "the create event names no creator");
	if (j->rv->privileged_creators && creators && !creators_are_valid(j->cx->a, creators)) /* 1.4 of v12 */
		return fail(j->cx, M_FORBIDDEN, "additional_creators is no list of user ids");
	return M_OK;
}

/* Rule 4 of v1 to v5. */
static enum err
auth_aliases(const struct judge *j)
{
	const char *server = id_server(j->ev->sender);

	if (!j->ev->state_key)
		return fail(j->cx, M_FORBIDDEN, "m.room.aliases is a state event");
	if (!server || strcmp(server, j->ev->state_key) != 0)
		return fail(j->cx, M_FORBIDDEN, "the aliases are of another server than the sender");
	return M_OK;
}

/* Rule 6. */
static enum err
auth_third_party_invite(const struct judge *j)
{
	if (j->power < level_named(j->rv, j->levels, "invite"))
		return fail(j->cx, M_FORBIDDEN, "your power level does not allow to invite");
	return M_OK;
}

/* Rule 11 of v1 and v2. */
static enum err
auth_redaction(const struct judge *j)
{
	const char *redacts = event_redacts(j->cx->a, j->ev);

	if (j->power >= level_named(j->rv, j->levels, "redact") || (redacts && same_server(redacts, j->ev->id)))
		return M_OK;
	return fail(j->cx, M_FORBIDDEN, "your power level does not allow to redact this event");
}

/*
 * The rules of single types. They are asked in three places between the general
 * rules; the first two places decide alone, the third comes when all else has allowed.
 */
enum place { BEFORE_MEMBERSHIP, BEFORE_LEVEL, LAST };
static const struct rule {
	enum place place;
	const char *type;
	size_t in;
	enum err (*check)(const struct judge *j);
} rules[] = {
	{ BEFORE_MEMBERSHIP, "m.room.aliases",            HAVING(special_aliases_auth),  auth_aliases },
	{ BEFORE_MEMBERSHIP, "m.room.member",             ALL_VERSIONS,                  auth_member },
	{ BEFORE_LEVEL,      "m.room.third_party_invite", ALL_VERSIONS,                  auth_third_party_invite },
	{ LAST,              "m.room.power_levels",       ALL_VERSIONS,                  auth_power_levels },
	{ LAST,              "m.room.redaction",          HAVING(redact_auth_by_domain), auth_redaction },
};

static const struct rule *
rule_for(const struct judge *j, enum place place)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rules[i].place == place && version_has(j->rv, rules[i].in) &&
		    strcmp(rules[i].type, j->ev->type) == 0)
			return &rules[i];
	return NULL;
}

/* What the room itself says: rules 2.4 and 3, and 2 of v12. */
static enum err
auth_room(const struct judge *j)
{
	const struct json *federate;

	if (!j->create)
		return fail(j->cx, M_FORBIDDEN, "the room has no create event");
	if (j->rv->room_id_is_create_hash && (j->ev->room[0] != '!' || strcmp(j->ev->room + 1, j->create->id + 1) != 0))
		return fail(j->cx, M_FORBIDDEN, "the room id is not that of the create event");
	federate = json_get(j->create->content, "m.federate");
	if (json_is(federate, JSON_BOOL) && !federate->u.b && !same_server(j->ev->sender, j->create->sender))
		return fail(j->cx, M_FORBIDDEN, "this room is not open to other servers");
	return M_OK;
}

/* Rules 5 to 8, and what comes between and after for some types. */
static enum err
auth_by_member(const struct judge *j)
{
	const struct event *ev = j->ev;
	const struct rule *rule;

	if (auth_membership(j, ev->sender) != MEM_JOIN)				/* 5 */
		return fail(j->cx, M_FORBIDDEN, "you are not joined to this room");
	if ((rule = rule_for(j, BEFORE_LEVEL)))					/* 6 */
		return rule->check(j);
	if (level_for_event(j->rv, j->levels, ev->type, ev->state_key != NULL) > j->power) /* 7 */
		return fail(j->cx, M_FORBIDDEN, "your power level does not allow to send this event");
	if (ev->state_key && ev->state_key[0] == '@' && strcmp(ev->state_key, ev->sender) != 0) /* 8 */
		return fail(j->cx, M_FORBIDDEN, "the state key is another user's id");
	if ((rule = rule_for(j, LAST)))						/* 9; 11 of v1, v2 */
		return rule->check(j);
	return M_OK;
}

enum err
event_auth(struct ctx *cx, const struct event *ev, const struct auth_state *st)
{
	struct judge j = { .cx = cx, .ev = ev, .rv = ev->rv, .st = st };
	const struct event *levels;
	const struct rule *rule;
	enum err e;

	if (strcmp(ev->type, "m.room.create") == 0)
		return auth_create(&j);
	j.create = create_of(st);
	if ((e = auth_room(&j)) != M_OK)
		return e;
	levels = auth_get(st, "m.room.power_levels", "");
	j.levels = levels ? levels->content : NULL;
	j.power = level_of_user(j.rv, j.levels, j.create, ev->sender);
	if ((rule = rule_for(&j, BEFORE_MEMBERSHIP)))
		return rule->check(&j);
	return auth_by_member(&j);
}

const char *
event_redacts(struct arena *a, const struct event *ev)
{
	if (strcmp(ev->type, "m.room.redaction") != 0)
		return NULL;
	return json_get_esc(a, ev->rv->redacts_in_content ? ev->content : ev->json, "redacts");
}

bool
event_redaction_applies(const struct auth_state *st, const struct event *redaction, const struct event *target)
{
	const struct room_version *rv = redaction->rv;

	return rv->redact_auth_by_domain || same_server(redaction->sender, target->sender) ||
	    power_of_user(st, rv, redaction->sender) >= power_level(st, rv, "redact");
}

int64_t
power_of_user(const struct auth_state *st, const struct room_version *rv, const char *user)
{
	const struct event *levels = auth_get(st, "m.room.power_levels", "");

	return level_of_user(rv, levels ? levels->content : NULL, create_of(st), user);
}

int64_t
power_for_event(const struct auth_state *st, const struct room_version *rv, const char *type, bool state)
{
	const struct event *levels = auth_get(st, "m.room.power_levels", "");

	return level_for_event(rv, levels ? levels->content : NULL, type, state);
}

int64_t
power_level(const struct auth_state *st, const struct room_version *rv, const char *name)
{
	const struct event *levels = auth_get(st, "m.room.power_levels", "");

	return level_named(rv, levels ? levels->content : NULL, name);
}
