/* core/event/pdu.c - the format of PDUs (room version N, "Event format"): reading them, and what is stored of them. */
#include "core/event/impl.h"

#include "core/base/id.h"

#include <string.h>

static enum err
bad(struct ctx *cx, const char *what)
{
	return fail(cx, M_BAD_JSON, "no event of this room version: %s", what);
}

int64_t
depth_max(const struct room_version *rv)
{
	return rv->strict_canonical ? JSON_INT_MAX : INT64_MAX;
}

/* Which members a PDU has and of what type (Server-Server API, definitions/pdu_v1 to pdu_v12). */
enum need { MUST, MAY, MUST_V1, MAY_BELOW_V11 };
static const struct member_rule {
	const char *key;
	enum json_type type;
	enum need need;
	const char *fault;
} member_rules[] = {
	{ "type",		JSON_STR, MUST,		 "type is no string" },
	{ "sender",		JSON_STR, MUST,		 "sender is no string" },
	{ "content",		JSON_OBJ, MUST,		 "content is no object" },
	{ "origin_server_ts",	JSON_INT, MUST,		 "origin_server_ts is no integer" },
	{ "depth",		JSON_INT, MUST,		 "depth is no integer" },
	{ "hashes",		JSON_OBJ, MUST,		 "hashes is no object" },
	{ "signatures",		JSON_OBJ, MUST,		 "signatures is no object" },
	{ "auth_events",	JSON_ARR, MUST,		 "auth_events is no array" },
	{ "prev_events",	JSON_ARR, MUST,		 "prev_events is no array" },
	{ "event_id",		JSON_STR, MUST_V1,	 "event_id is no string" },
	{ "room_id",		JSON_STR, MAY,		 "room_id is no string" },
	{ "state_key",		JSON_STR, MAY,		 "state_key is no string" },
	{ "unsigned",		JSON_OBJ, MAY,		 "unsigned is no object" },
	{ "redacts",		JSON_STR, MAY_BELOW_V11, "redacts is no string" },
};

static const char *
member_fault(const struct room_version *rv, const struct json *pdu)
{
	for (size_t i = 0; i < sizeof(member_rules) / sizeof(member_rules[0]); i++) {
		const struct member_rule *r = &member_rules[i];
		const struct json *v = json_get(pdu, r->key);

		if ((r->need == MUST_V1 && rv->event_id_format != 1) ||
		    (r->need == MAY_BELOW_V11 && rv->redacts_in_content))
			continue;
		if (v ? !json_is(v, r->type) : r->need == MUST || r->need == MUST_V1)
			return r->fault;
	}
	return NULL;
}

/* Strings that are stored and compared; they may have 255 bytes (Client-Server API, "Size limits"). */
static const char *
size_fault(const struct json *pdu)
{
	static const char *const keys[][2] = {
		{ "type", "type is too long" },
		{ "sender", "sender is too long" },
		{ "state_key", "state_key is too long" },
		{ "room_id", "room_id is too long" },
		{ "event_id", "event_id is too long" },
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const struct json *v = json_get(pdu, keys[i][0]);

		if (json_is(v, JSON_STR) && v->u.str.n > EVENT_KEY_MAX)
			return keys[i][1];
	}
	return NULL;
}

static const char *
signatures_fault(const struct json *pdu)
{
	const struct json *sigs = json_get(pdu, "signatures");

	if (!json_is(json_get(json_get(pdu, "hashes"), "sha256"), JSON_STR))
		return "hashes has no sha256";
	for (size_t i = 0; i < sigs->u.obj.n; i++) {
		const struct json *of = sigs->u.obj.v[i].value;

		if (!json_is(of, JSON_OBJ))
			return "signatures of a server are no object";
		for (size_t k = 0; k < of->u.obj.n; k++)
			if (!json_is(of->u.obj.v[k].value, JSON_STR))
				return "a signature is no string";
	}
	return NULL;
}

/* Only the create event of a v12 room has no room_id; that it may not have one is rule 1.2. */
static const char *
room_fault(const struct event *ev, const char *room)
{
	bool domain;

	if (!room)
		return ev->rv->room_id_is_create_hash && strcmp(ev->type, "m.room.create") == 0 ? NULL
		    : "room_id is missing";
	domain = id_server(room) != NULL;
	if (!id_is_room(room))
		return "room_id is no room id";
	/* A v12 create event with a room_id is rejected, whatever the id. */
	if (domain == ev->rv->room_id_is_create_hash && strcmp(ev->type, "m.room.create") != 0)
		return domain ? "room_id has a domain" : "room_id has no domain";
	return NULL;
}

/*
 * v1, v2: [[id, {"sha256": hash}], …]; later [id, …]. What stands in the hash object was
 * never looked at by anybody; room v1 asks to be lenient, so only the shape counts.
 */
static const char *
id_of_entry(struct arena *a, const struct room_version *rv, const struct json *entry)
{
	if (rv->event_id_format == 1) {
		if (!json_is(entry, JSON_ARR) || entry->u.arr.n != 2 || !json_is(entry->u.arr.v[1], JSON_OBJ))
			return NULL;
		entry = entry->u.arr.v[0];
	}
	if (!json_is(entry, JSON_STR) || entry->u.str.n > EVENT_KEY_MAX || entry->u.str.s[0] != '$')
		return NULL;
	return json_esc_of(a, entry);
}

static bool
read_ids(struct arena *a, const struct room_version *rv, const struct json *list, size_t max,
    const char ***ids, size_t *n)
{
	if (!json_is(list, JSON_ARR) || list->u.arr.n > max)
		return false;
	*n = list->u.arr.n;
	*ids = arena_calloc(a, *n + 1, sizeof(**ids));
	for (size_t i = 0; i < *n; i++)
		if (!((*ids)[i] = id_of_entry(a, rv, list->u.arr.v[i])))
			return false;
	return true;
}

static bool
read_edges(struct arena *a, struct event *ev)
{
	return read_ids(a, ev->rv, json_get(ev->json, "auth_events"), EVENT_AUTH_MAX, &ev->auth_ids, &ev->nauth) &&
	    read_ids(a, ev->rv, json_get(ev->json, "prev_events"), EVENT_PREV_MAX, &ev->prev_ids, &ev->nprev);
}

static const char *
read_members(struct arena *a, struct event *ev)
{
	struct json *pdu = ev->json;
	const char *fault;

	ev->type = json_get_esc(a, pdu, "type");
	ev->sender = json_get_esc(a, pdu, "sender");
	ev->state_key = json_get_esc(a, pdu, "state_key");
	ev->room = json_get_esc(a, pdu, "room_id");
	ev->content = json_get(pdu, "content");
	ev->ts = json_get_int(pdu, "origin_server_ts", 0);
	ev->depth = json_get_int(pdu, "depth", 0);
	if (!id_is_user(ev->sender))
		return "sender is no user id";
	if (ev->depth < 0 || ev->depth > depth_max(ev->rv))
		return "depth is out of range";
	if ((fault = room_fault(ev, ev->room)))
		return fault;
	return read_edges(a, ev) ? NULL : "auth_events or prev_events are no lists of event ids, or too long";
}

enum err
event_read(struct ctx *cx, const struct room_version *rv, struct json *pdu, struct event *ev)
{
	const char *fault;
	size_t n;

	*ev = (struct event){ .rv = rv, .json = pdu };
	if (!json_is(pdu, JSON_OBJ))
		return bad(cx, "it is no object");
	if ((fault = member_fault(rv, pdu)) || (fault = size_fault(pdu)) || (fault = signatures_fault(pdu)) ||
	    (fault = read_members(cx->a, ev)))
		return bad(cx, fault);
	if (rv->strict_canonical && !json_is_strict(pdu))
		return bad(cx, "a number is no integer between -(2^53)+1 and 2^53-1");
	json_canonical_str(cx->a, pdu, &n);
	if (n > EVENT_MAX)
		return bad(cx, "it is larger than 65536 bytes");
	ev->id = event_id_of(cx->a, rv, pdu);
	if (rv->event_id_format == 1 && (!id_is_event(ev->id) || !id_server(ev->id)))
		return bad(cx, "event_id is no event id");
	if (!ev->room)
		ev->room = arena_printf(cx->a, "!%s", ev->id + 1);
	return M_OK;
}

/* The columns of table event: what rest_text does not repeat. A v12 create event that has a room_id keeps it there. */
static bool
is_column(const struct event *ev, const char *key)
{
	static const char *const columns[] = {
		"content", "origin_server_ts", "sender", "state_key", "type", "unsigned",
	};

	if (strcmp(key, "room_id") == 0)
		return !ev->rv->room_id_is_create_hash || strcmp(ev->type, "m.room.create") != 0;
	if (strcmp(key, "event_id") == 0)
		return ev->rv->event_id_format == 1;
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
		if (strcmp(key, columns[i]) == 0)
			return true;
	return false;
}

void
event_texts(struct arena *a, struct event *ev)
{
	struct json *rest = json_copy(a, ev->json);

	rest->u.obj.n = 0;
	for (size_t i = 0; i < ev->json->u.obj.n; i++) {
		const struct json_member *m = &ev->json->u.obj.v[i];

		/* A key with U+0000 in it must not pass for the one before it. */
		if (strlen(m->key) != m->key_n || !is_column(ev, m->key))
			rest->u.obj.v[rest->u.obj.n++] = *m;
	}
	ev->content_text = json_canonical_str(a, ev->content, NULL);
	ev->rest_text = json_canonical_str(a, rest, NULL);
}

struct json *
ids_tree(struct arena *a, const char *const *ids, size_t n)
{
	struct json *list = json_new_arr(a);

	for (size_t i = 0; i < n; i++)
		json_push(a, list, json_new_esc(a, ids[i]));
	return list;
}

enum err
event_restore(struct ctx *cx, struct event *ev, const char *rest, size_t n)
{
	struct arena *a = cx->a;
	struct json *pdu;

	if (json_parse(a, rest, n, &pdu) != JSON_OK || !json_is(pdu, JSON_OBJ) ||
	    (ev->cites != NULL && !cites_unpack(a, ev->rv, ev->cites, ev->ncites, ev)))
		return fail(cx, M_UNKNOWN, "a stored event cannot be read");
	if (ev->cites != NULL) {
		json_set(a, pdu, "auth_events", ids_tree(a, ev->auth_ids, ev->nauth));
		json_set(a, pdu, "depth", json_new_int(a, ev->depth));
		json_set(a, pdu, "prev_events", ids_tree(a, ev->prev_ids, ev->nprev));
	}
	json_set(a, pdu, "content", ev->content);
	json_set(a, pdu, "origin_server_ts", json_new_int(a, ev->ts));
	json_set(a, pdu, "sender", json_new_esc(a, ev->sender));
	json_set(a, pdu, "type", json_new_esc(a, ev->type));
	if (ev->state_key)
		json_set(a, pdu, "state_key", json_new_esc(a, ev->state_key));
	if (is_column(ev, "room_id"))
		json_set(a, pdu, "room_id", json_new_esc(a, ev->room));
	if (is_column(ev, "event_id"))
		json_set(a, pdu, "event_id", json_new_esc(a, ev->id));
	ev->json = pdu;
	ev->depth = json_get_int(pdu, "depth", 0);
	return read_edges(a, ev) ? M_OK : fail(cx, M_UNKNOWN, "a stored event cannot be read");
}
