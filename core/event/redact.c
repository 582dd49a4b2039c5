/*
 * core/event/redact.c - what is left of an event after redaction (room version N, "Redactions").
 *
 * Hashes, signatures and event ids are computed over this form, so it decides
 * whether other servers take our events: keys are kept by the two tables below and by nothing else.
 */
#include "core/event/impl.h"

#include <string.h>

static const char *const top_keys[] = {
	"auth_events", "content", "depth", "event_id", "hashes", "origin_server_ts", "prev_events", "room_id", "sender",
	"signatures", "state_key", "type", NULL,
};
static const char *const top_keys_before_v11[] = { "membership", "origin", "prev_state", NULL };

static const struct kept_content {
	const char *type, *key;		/* key NULL: the whole content */
	size_t in;
} content_keys[] = {
	{ "m.room.member", "membership", ALL_VERSIONS },
	{ "m.room.member", "join_authorised_via_users_server", HAVING(redact_keeps_authorised) },
	{ "m.room.create", NULL, HAVING(redact_v11) },
	{ "m.room.create", "creator", ALL_VERSIONS },
	{ "m.room.join_rules", "join_rule", ALL_VERSIONS },
	{ "m.room.join_rules", "allow", HAVING(restricted) },
	{ "m.room.power_levels", "ban", ALL_VERSIONS },
	{ "m.room.power_levels", "events", ALL_VERSIONS },
	{ "m.room.power_levels", "events_default", ALL_VERSIONS },
	{ "m.room.power_levels", "invite", HAVING(redact_v11) },
	{ "m.room.power_levels", "kick", ALL_VERSIONS },
	{ "m.room.power_levels", "redact", ALL_VERSIONS },
	{ "m.room.power_levels", "state_default", ALL_VERSIONS },
	{ "m.room.power_levels", "users", ALL_VERSIONS },
	{ "m.room.power_levels", "users_default", ALL_VERSIONS },
	{ "m.room.aliases", "aliases", HAVING(special_aliases_auth) },
	{ "m.room.history_visibility", "history_visibility", ALL_VERSIONS },
	{ "m.room.redaction", "redacts", HAVING(redact_v11) },
};

static void
keep(struct arena *a, struct json *out, const struct json *from, const char *key)
{
	struct json *v = json_get(from, key);

	if (v)
		json_set(a, out, key, v);
}

static void
keep_all(struct arena *a, struct json *out, const struct json *from, const char *const *keys)
{
	for (; *keys; keys++)
		keep(a, out, from, *keys);
}

/*
 * Room v11 §Redactions: of third_party_invite the key `signed` alone. Without it an empty
 * object stays: that is how the servers in use read the sentence, and the hash depends on it.
 */
static void
keep_signed(struct arena *a, struct json *out, const struct json *content)
{
	const struct json *invite = json_get(content, "third_party_invite");
	struct json *kept;

	if (!json_is(invite, JSON_OBJ))
		return;
	kept = json_new_obj(a);
	keep(a, kept, invite, "signed");
	json_set(a, out, "third_party_invite", kept);
}

struct json *
event_redact_content(struct arena *a, const struct room_version *rv, const char *type, struct json *content)
{
	struct json *out = json_new_obj(a);

	for (size_t i = 0; i < sizeof(content_keys) / sizeof(content_keys[0]); i++) {
		const struct kept_content *k = &content_keys[i];

		if (strcmp(k->type, type) != 0 || !version_has(rv, k->in))
			continue;
		if (!k->key)
			return content;
		keep(a, out, content, k->key);
	}
	if (rv->redact_v11 && strcmp(type, "m.room.member") == 0)
		keep_signed(a, out, content);
	return out;
}

struct json *
event_redact(struct arena *a, const struct room_version *rv, const struct json *pdu)
{
	const char *type = json_get_esc(a, pdu, "type");
	struct json *out = json_new_obj(a), *content = json_get(pdu, "content");

	keep_all(a, out, pdu, top_keys);
	if (!rv->redact_v11)
		keep_all(a, out, pdu, top_keys_before_v11);
	if (json_is(content, JSON_OBJ))
		json_set(a, out, "content", event_redact_content(a, rv, type ? type : "", content));
	return out;
}
