/* core/room/send.c - see send.h. */
#include "core/room/send.h"
#include "core/base/id.h"
#include "core/room/append.h"
#include "core/room/member.h"
#include "core/room/relation.h"

STMT(send_aliases_here, "SELECT a.alias FROM alias a JOIN room r ON r.nid = a.room WHERE a.alias = ANY($1) AND r.id = $2");

/* A room cannot replace itself. */
static enum err
check_tombstone(struct ctx *cx, const char *room, const char *type, const struct json *content)
{
	const char *replacement = strcmp(type, "m.room.tombstone") == 0 ? json_get_esc(cx->a, content, "replacement_room") : NULL;

	if (replacement != NULL && strcmp(replacement, room) == 0)
		return fail(cx, M_INVALID_PARAM, "a room cannot replace itself");
	return M_OK;
}

/* *event_id: what this transaction id has made already, or NULL. */
static enum err
open_room(struct append *ap, const char *room, const struct txn *txn, const char **event_id)
{
	enum err e;

	if (txn->id != NULL)
		append_txn(ap, txn->path, txn->id);
	if ((e = append_open(ap, room)) == M_OK)
		*event_id = ap->txn_event;
	return e;
}

/* What is refused now may have been sent before, when it was not. */
static enum err
refused(struct ctx *cx, const struct txn *txn, enum err why, const char **event_id)
{
	enum err e;

	if (txn->id == NULL)
		return why;
	if ((e = append_txn_made(cx, txn->path, event_id)) != M_OK)
		return e;
	return *event_id != NULL ? M_OK : why;
}

enum err
room_send(struct ctx *cx, const char *room, const char *type, struct json *content, const struct txn *txn, const char **event_id)
{
	struct draft d = { .type = type, .content = content };
	const struct event *ev;
	struct append ap;
	enum err e;

	if (cx->suspended && strcmp(type, "m.room.redaction") != 0)
		return fail(cx, M_USER_SUSPENDED, "this account is suspended: it cannot send messages");
	if (strcmp(type, "m.room.redaction") == 0) {
		const char *redacts = json_get_esc(cx->a, content, "redacts");
		if (redacts == NULL)
			return fail(cx, M_MISSING_PARAM, "redacts is missing");
		return room_redact(cx, room, redacts, content, txn, event_id);
	}
	if ((e = check_tombstone(cx, room, type, content)) != M_OK)
		return e;
	append_init(&ap, cx);
	append_want_draft(&ap, &d);
	ap.message = true;
	if (txn->id != NULL) {
		append_txn(&ap, txn->path, txn->id);
		ap.txn_look = cx->attempt > 0;
	}
	if ((e = append_open(&ap, room)) != M_OK || (*event_id = ap.txn_event) != NULL)
		return e;
	if ((e = append_event(&ap, &d, &ev)) != M_OK || (e = relation_check(&ap)) != M_OK)
		return refused(cx, txn, e, event_id);
	append_close(&ap);
	*event_id = ev->id;
	return M_OK;
}

/*
 * The specification lets a redaction by anyone of the same server through (it is for
 * servers to judge their users): here only the sender himself, or the power to redact.
 */
static enum err
may_redact(struct append *ap)
{
	struct ctx *cx = ap->cx;
	struct auth_state st = append_auth_state(ap);
	const struct room_event *t = ap->target;

	if (ap->target_elsewhere)
		return fail(cx, E_BAD_REQUEST, "that event is in another room");
	if (t == NULL)
		return fail(cx, M_NOT_FOUND, "no such event in this room");
	if (t->type_nid == T_CREATE || t->type_nid == T_SERVER_ACL)
		return fail(cx, M_FORBIDDEN, "the room would break without that event");
	if (cx->suspended && strcmp(t->sender, cx->user) != 0)
		return fail(cx, M_USER_SUSPENDED, "this account is suspended: it can redact its own events alone");
	if (strcmp(t->sender, cx->user) == 0 || power_of_user(&st, ap->room.rv, cx->user) >= power_level(&st, ap->room.rv, "redact"))
		return M_OK;
	return fail(cx, M_FORBIDDEN, "you may not redact events of others");
}

enum err
room_redact(struct ctx *cx, const char *room, const char *event, struct json *content, const struct txn *txn, const char **event_id)
{
	struct draft d = { .type = "m.room.redaction", .content = json_copy(cx->a, content), .redacts = event };
	const struct event *ev;
	struct append ap;
	enum err e;

	append_init(&ap, cx);
	append_want_draft(&ap, &d);
	append_want_target(&ap, event);
	if ((e = open_room(&ap, room, txn, event_id)) != M_OK || *event_id != NULL)
		return e;
	if (append_membership(&ap, cx->user) != MEM_JOIN)	/* before anything is said about the event */
		return fail(cx, M_FORBIDDEN, "you are not in this room");
	if ((e = may_redact(&ap)) != M_OK)
		return e;
	json_del(d.content, "redacts");		/* event_build() puts it where the room's version has it */
	if ((e = append_event(&ap, &d, &ev)) != M_OK || (e = append_redact_target(&ap)) != M_OK)
		return e;
	append_close(&ap);
	*event_id = ev->id;
	return M_OK;
}

/* ---- state */

/* The aliases that an m.room.canonical_alias names. M_INVALID_PARAM when one is none. */
static enum err
aliases_of(struct ctx *cx, const struct json *content, const char ***out, size_t *n)
{
	const struct json *one = json_get(content, "alias"), *alt = json_get(content, "alt_aliases");
	size_t nalt;

	*n = 0;
	if (json_is(alt, JSON_NULL))
		alt = NULL;
	if (alt != NULL && !json_is(alt, JSON_ARR))
		return fail(cx, M_BAD_JSON, "alt_aliases is no array");
	nalt = alt != NULL ? alt->u.arr.n : 0;
	*out = arena_calloc(cx->a, nalt + 1, sizeof **out);
	for (size_t i = 0; i <= nalt; i++) {
		const struct json *v = i < nalt ? alt->u.arr.v[i] : one;
		if (i == nalt && (v == NULL || json_is(v, JSON_NULL) || json_str_eq(v, "")))
			continue;	/* "if missing, null or empty there is no alias" */
		if (!json_is(v, JSON_STR))
			return fail(cx, M_BAD_JSON, "an alias is no string");
		const char *alias = json_esc_of(cx->a, v);
		if (!id_is_alias(alias))
			return fail(cx, M_INVALID_PARAM, "that is no room alias");
		(*out)[(*n)++] = alias;
	}
	return M_OK;
}

/* Aliases that were not in the event before must point to this room. */
static enum err
check_new_aliases(struct append *ap, const char **names, size_t n, struct rows *here)
{
	const struct slot *old = append_state(ap, "m.room.canonical_alias", "");
	const char **good = arena_calloc(ap->cx->a, (size_t)here->n + 1, sizeof *good), **were = NULL;
	size_t ngood = 0, nwere = 0;

	while (db_next(here))
		good[ngood++] = db_text(here, 0);
	if (old != NULL && aliases_of(ap->cx, old->ev->content, &were, &nwere) != M_OK)
		nwere = 0;
	for (size_t i = 0; i < n; i++)
		if (!id_among(names[i], good, ngood) && !id_among(names[i], were, nwere))
			return fail(ap->cx, M_BAD_ALIAS, "that alias does not point to this room");
	return M_OK;
}

enum err
room_put_state(struct ctx *cx, const char *room, const char *type, const char *state_key, struct json *content,
    const char **event_id)
{
	struct draft d = { .type = type, .state_key = state_key, .content = content };
	bool canonical_alias = strcmp(type, "m.room.canonical_alias") == 0;
	const char **names = NULL;
	size_t n = 0;
	struct rows here;
	const struct event *ev;
	struct append ap;
	enum err e;

	if (strcmp(type, "m.room.member") == 0)
		return member_put(cx, room, state_key, content, event_id);
	if ((e = check_tombstone(cx, room, type, content)) != M_OK)
		return e;
	if (canonical_alias && (e = aliases_of(cx, content, &names, &n)) != M_OK)
		return e;
	append_init(&ap, cx);
	append_want_draft(&ap, &d);
	if (n > 0)
		db_queue(cx, &here, DB_ANY, &send_aliases_here, P_TEXTS(names, n), P_TEXT(room));
	if ((e = append_open(&ap, room)) != M_OK)
		return e;
	const struct slot *now = append_state(&ap, type, state_key);
	if (append_membership(&ap, cx->user) == MEM_JOIN && now != NULL && strcmp(now->ev->sender, cx->user) == 0 &&
	    json_equal(now->ev->content, content)) {
		*event_id = now->ev->id;
		return M_OK;
	}
	if (n > 0 && (e = check_new_aliases(&ap, names, n, &here)) != M_OK)
		return e;
	if ((e = append_event(&ap, &d, &ev)) != M_OK)
		return e;
	append_close(&ap);
	*event_id = ev->id;
	return M_OK;
}
