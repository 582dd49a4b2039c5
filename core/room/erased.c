/* core/room/erased.c - see erased.h. */
#include "core/room/erased.h"
#include "core/base/sorted.h"
#include "core/room/names.h"

STMT(erased_any_row, "SELECT usr FROM account WHERE erased LIMIT 1");
STMT(erased_of, "SELECT usr FROM account WHERE usr = ANY($1) AND erased ORDER BY usr");

static const char *
redacted_content(struct arena *a, const struct room_version *rv, const char *type, const char *content)
{
	struct json *tree = NULL;

	json_parse(a, content, strlen(content), &tree);
	return json_canonical_str(a, event_redact_content(a, rv, type, tree), NULL);
}

void
room_event_hide(struct arena *a, const struct room_version *rv, struct room_event *ev)
{
	ev->content = redacted_content(a, rv, ev->type, room_event_content(a, ev));
	ev->flags &= ~EV_VERBATIM;
}

/* State by which a room is run. */
static bool
is_setting(const struct room_event *ev)
{
	static const bool settings[NAME_WELL_KNOWN] = { [T_CREATE] = true, [T_POWER_LEVELS] = true, [T_JOIN_RULES] = true,
		[T_HISTORY_VISIBILITY] = true, [T_GUEST_ACCESS] = true, [T_NAME] = true, [T_TOPIC] = true, [T_AVATAR] = true,
		[T_CANONICAL_ALIAS] = true, [T_ENCRYPTION] = true, [T_TOMBSTONE] = true, [T_THIRD_PARTY_INVITE] = true, [T_SERVER_ACL] = true,
		[T_PINNED_EVENTS] = true, [T_SPACE_CHILD] = true, [T_SPACE_PARENT] = true, [T_ALIASES] = true, [T_POLICY] = true };

	return ev->key_nid >= 0 && ev->type_nid < NAME_WELL_KNOWN && settings[ev->type_nid];
}

static bool
prev_erased(const struct room_event *ev)
{
	return ev->prev != NULL && ev->prev[3][0] == 't' && !is_setting(ev);
}

static bool
because_erased(const struct room_event *ev)
{
	return ev->because != NULL && ev->because[6][0] == 't';
}

bool
erased_any(const struct room_event *ev)
{
	return (ev->erased && !is_setting(ev)) || prev_erased(ev) || because_erased(ev);
}

/* A redaction keeps what it redacts: that is all that is left of it. Of one that is stored verbatim the whole PDU stands in content. */
static void
hide_because(struct arena *a, const struct room_version *rv, struct room_event *ev)
{
	const char **r = ev->because;
	struct json *whole = NULL;

	if (!(strtol(r[3], NULL, 10) & EV_VERBATIM)) {
		r[1] = redacted_content(a, rv, "m.room.redaction", r[1]);
		return;
	}
	json_parse(a, r[1], strlen(r[1]), &whole);
	if (!rv->redacts_in_content)
		json_set(a, whole, "content", json_new_obj(a));
	else
		json_set(a, whole, "content", event_redact_content(a, rv, "m.room.redaction", json_get(whole, "content")));
	r[1] = json_canonical_str(a, whole, NULL);
}

void
erased_hide(struct arena *a, const struct room_version *rv, const struct visibility *vis, struct room_event *ev)
{
	if (vis == NULL || !erased_any(ev) || visibility_membership(a, vis, ev) == MEM_JOIN)
		return;
	if (prev_erased(ev)) {
		struct room_event before = { .content = ev->prev[1], .flags = (int)strtol(ev->prev[2], NULL, 10), .type = ev->type };

		room_event_hide(a, rv, &before);
		ev->prev[1] = before.content;
		ev->prev[2] = "0";
	}
	if (because_erased(ev))
		hide_because(a, rv, ev);
	if (ev->erased && !is_setting(ev))
		room_event_hide(a, rv, ev);
}

void
erased_queue(struct ctx *cx, struct rows *r)
{
	db_queue(cx, r, DB_ANY, &erased_any_row);
}

/* Most events have the sender of the one before them. */
enum err
erased_mark(struct ctx *cx, struct room_event *const *ev, size_t n)
{
	int64_t *senders = arena_alloc(cx->a, (n + 1) * sizeof *senders);
	size_t k = 0;
	struct rows r;
	enum err e;

	for (size_t i = 0; i < n; i++)
		if (k == 0 || senders[k - 1] != ev[i]->sender_nid)
			senders[k++] = ev[i]->sender_nid;
	if (k == 0)
		return M_OK;
	if ((e = db_query(cx, &r, &erased_of, P_I64S(senders, k))) != M_OK || r.n == 0)
		return e;
	for (k = 0; db_next(&r);)
		senders[k++] = db_i64(&r, 0);
	for (size_t i = 0; i < n; i++)
		ev[i]->erased = i64_in(senders, k, ev[i]->sender_nid);
	return M_OK;
}
