/*
 * core/event/auth_member.c - who may change whose membership (room version N, "Authorisation rules", m.room.member).
 *
 * Numbers are those of room v11: 4.1 … 4.8. In v1 to v5 and v12 the rule is 5;
 * v1 to v7 have no 4.2, so what is 4.3 here is 4.2 (5.2) there.
 */
#include "core/event/impl.h"

#include "core/base/b64.h"
#include "core/base/conf.h"
#include "core/base/id.h"

#include <string.h>

/* The create event names this user as the one who may join first. v12: the sender alone, no additional creator. */
static bool
is_founder(const struct judge *j, const char *user)
{
	const struct json *creator = json_get(j->create->content, "creator");

	if (j->rv->implicit_creator)
		return strcmp(j->create->sender, user) == 0;
	return json_is(creator, JSON_STR) && esc_equals_raw(user, creator->u.str.s, creator->u.str.n);
}

enum join_rule { RULE_UNKNOWN, RULE_PUBLIC, RULE_INVITE, RULE_KNOCK, RULE_RESTRICTED, RULE_KNOCK_RESTRICTED };

/* A join rule that the room's version does not know lets nobody in. */
static enum join_rule
join_rule(const struct judge *j)
{
	const struct event *ev = auth_get(j->st, "m.room.join_rules", "");
	const struct json *rule = ev ? json_get(ev->content, "join_rule") : NULL;

	if (!rule || json_str_eq(rule, "invite"))
		return RULE_INVITE;	/* Client-Server API, m.room.join_rules: the default */
	if (json_str_eq(rule, "public"))
		return RULE_PUBLIC;
	if (json_str_eq(rule, "knock") && j->rv->knock)
		return RULE_KNOCK;
	if (json_str_eq(rule, "restricted") && j->rv->restricted)
		return RULE_RESTRICTED;
	if (json_str_eq(rule, "knock_restricted") && j->rv->knock_restricted)
		return RULE_KNOCK_RESTRICTED;
	return RULE_UNKNOWN;
}

/* Without an answer from the caller only our own signature can be known. What is built here gets it when it goes out (event_complete()). */
static bool
signed_by_server(const struct judge *j, const char *server)
{
	const struct ctx *cx = j->cx;

	if (j->st->signed_by)
		return j->st->signed_by(j->st->arg, j->ev, server);
	return strcmp(server, cx->conf->server_name) == 0 && (json_get(j->ev->json, "signatures") == NULL ||
	    event_verify_sig(cx->a, j->rv, j->ev->json, server, cx->key->id, cx->key->pub));
}

/* 4.2: whatever the membership is. */
static bool
authoriser_has_signed(const struct judge *j)
{
	const char *user = json_get_esc(j->cx->a, j->ev->content, "join_authorised_via_users_server");

	return user && id_is_user(user) && signed_by_server(j, id_server(user));
}

/* 4.3.5.2: joined, and may invite. */
static bool
authoriser_may_invite(const struct judge *j)
{
	const char *user = json_get_esc(j->cx->a, j->ev->content, "join_authorised_via_users_server");

	return user && auth_membership(j, user) == MEM_JOIN &&
	    level_of_user(j->rv, j->levels, j->create, user) >= level_named(j->rv, j->levels, "invite");
}

/* 4.3 */
static enum err
auth_join(const struct judge *j)
{
	const struct event *ev = j->ev;
	enum membership before;

	if (ev->nprev == 1 && strcmp(ev->prev_ids[0], j->create->id) == 0 && is_founder(j, ev->state_key)) /* 4.3.1 */
		return M_OK;
	if (strcmp(ev->sender, ev->state_key) != 0)				/* 4.3.2 */
		return fail(j->cx, M_FORBIDDEN, "nobody can join for another user");
	if ((before = auth_membership(j, ev->sender)) == MEM_BAN)		/* 4.3.3 */
		return fail(j->cx, M_FORBIDDEN, "you are banned from this room");
	switch (join_rule(j)) {
	case RULE_INVITE:
	case RULE_KNOCK:							/* 4.3.4 */
		if (before == MEM_INVITE || before == MEM_JOIN)
			return M_OK;
		return fail(j->cx, M_FORBIDDEN, "you are not invited to this room");
	case RULE_RESTRICTED:
	case RULE_KNOCK_RESTRICTED:						/* 4.3.5 */
		if (before == MEM_INVITE || before == MEM_JOIN || authoriser_may_invite(j))
			return M_OK;
		return fail(j->cx, M_FORBIDDEN, "nobody who may invite has let you into this room");
	case RULE_PUBLIC:							/* 4.3.6 */
		return M_OK;
	case RULE_UNKNOWN:							/* 4.3.7 */
		break;
	}
	return fail(j->cx, M_FORBIDDEN, "the join rule of this room lets nobody in");
}

/* A hostile pair of events could ask for a million verifications: more than these are not looked at. */
#define KEYS_MAX 32
#define SIGS_MAX 32

/* The keys of an m.room.third_party_invite: public_key, and each of public_keys. */
static size_t
invite_keys(struct arena *a, const struct json *content, const unsigned char *keys[KEYS_MAX])
{
	const struct json *list = json_get(content, "public_keys"), *key = json_get(content, "public_key");
	size_t len, n = 0, more = json_is(list, JSON_ARR) ? list->u.arr.n : 0;

	for (size_t i = 0; i <= more && n < KEYS_MAX; i++) {
		if (json_is(key, JSON_STR) && (keys[n] = b64_decode(a, key->u.str.s, key->u.str.n, &len)) &&
		    len == ED25519_PUB)
			n++;
		key = i < more ? json_get(list->u.arr.v[i], "public_key") : NULL;
	}
	return n;
}

/* The ed25519 signatures in obj, of whatever server and key id. */
static size_t
all_signatures(struct arena *a, const struct json *obj, const unsigned char *sigs[SIGS_MAX])
{
	const struct json *servers = json_get(obj, "signatures");
	size_t len, n = 0;

	for (size_t i = 0; json_is(servers, JSON_OBJ) && i < servers->u.obj.n; i++) {
		const struct json *of = servers->u.obj.v[i].value;

		for (size_t k = 0; json_is(of, JSON_OBJ) && k < of->u.obj.n && n < SIGS_MAX; k++) {
			const struct json *sig = of->u.obj.v[k].value;

			if (strncmp(of->u.obj.v[k].key, "ed25519:", 8) == 0 && json_is(sig, JSON_STR) &&
			    (sigs[n] = b64_decode(a, sig->u.str.s, sig->u.str.n, &len)) && len == ED25519_SIG)
				n++;
		}
	}
	return n;
}

/* 4.4.1.7: any signature, by any of the keys. */
static bool
signed_by_any(struct arena *a, const struct json *obj, const struct json *offer)
{
	const unsigned char *keys[KEYS_MAX], *sigs[SIGS_MAX];
	size_t n, nkeys = invite_keys(a, offer, keys), nsigs = all_signatures(a, obj, sigs);
	const char *text = signed_text(a, obj, &n);

	for (size_t s = 0; s < nsigs; s++)
		for (size_t k = 0; k < nkeys; k++)
			if (ed25519_verify(keys[k], text, n, sigs[s]))
				return true;
	return false;
}

/* 4.4.1 */
static enum err
auth_third_party(const struct judge *j, const struct json *invite)
{
	const struct json *proof = json_get(invite, "signed"), *mxid = json_get(proof, "mxid");
	const char *token = json_get_esc(j->cx->a, proof, "token");
	const struct event *offer;

	if (auth_membership(j, j->ev->state_key) == MEM_BAN)				/* 1 */
		return fail(j->cx, M_FORBIDDEN, "the user is banned from this room");
	if (!json_is(mxid, JSON_STR) || !token)						/* 2, 3 */
		return fail(j->cx, M_FORBIDDEN, "the third-party invite is not signed for a user and a token");
	if (!esc_equals_raw(j->ev->state_key, mxid->u.str.s, mxid->u.str.n))		/* 4 */
		return fail(j->cx, M_FORBIDDEN, "the third-party invite is for another user");
	if (!(offer = auth_get(j->st, "m.room.third_party_invite", token)))		/* 5 */
		return fail(j->cx, M_FORBIDDEN, "the room has no such third-party invite");
	if (strcmp(offer->sender, j->ev->sender) != 0)					/* 6 */
		return fail(j->cx, M_FORBIDDEN, "the third-party invite is by another user");
	if (!signed_by_any(j->cx->a, proof, offer->content)) /* 7, 8 */
		return fail(j->cx, M_FORBIDDEN, "no key of the third-party invite has signed it");
	return M_OK;
}

/* 4.4 */
static enum err
auth_invite(const struct judge *j)
{
	const struct json *invite = json_get(j->ev->content, "third_party_invite");
	enum membership target;

	if (invite)								/* 4.4.1 */
		return auth_third_party(j, invite);
	if (auth_membership(j, j->ev->sender) != MEM_JOIN)			/* 4.4.2 */
		return fail(j->cx, M_FORBIDDEN, "you are not joined to this room");
	target = auth_membership(j, j->ev->state_key);
	if (target == MEM_JOIN || target == MEM_BAN)				/* 4.4.3 */
		return fail(j->cx, M_FORBIDDEN, target == MEM_JOIN ? "the user is in this room already"
		    : "the user is banned from this room");
	if (j->power < level_named(j->rv, j->levels, "invite"))			/* 4.4.4 */
		return fail(j->cx, M_FORBIDDEN, "your power level does not allow to invite");
	return M_OK;
}

/* Kick, ban and unban are for those who have more power than the target. */
static bool
outranks_target(const struct judge *j)
{
	return level_of_user(j->rv, j->levels, j->create, j->ev->state_key) < j->power;
}

/* 4.5 */
static enum err
auth_leave(const struct judge *j)
{
	enum membership sender = auth_membership(j, j->ev->sender);

	if (strcmp(j->ev->sender, j->ev->state_key) == 0) {			/* 4.5.1 */
		if (sender == MEM_INVITE || sender == MEM_JOIN || (sender == MEM_KNOCK && j->rv->knock))
			return M_OK;
		return fail(j->cx, M_FORBIDDEN, "you are not in this room, nor invited");
	}
	if (sender != MEM_JOIN)							/* 4.5.2 */
		return fail(j->cx, M_FORBIDDEN, "you are not joined to this room");
	if (auth_membership(j, j->ev->state_key) == MEM_BAN &&
	    j->power < level_named(j->rv, j->levels, "ban"))			/* 4.5.3 */
		return fail(j->cx, M_FORBIDDEN, "your power level does not allow to unban");
	if (j->power < level_named(j->rv, j->levels, "kick") || !outranks_target(j)) /* 4.5.4 */
		return fail(j->cx, M_FORBIDDEN, "your power level does not allow to kick this user");
	return M_OK;
}

/* 4.6 */
static enum err
auth_ban(const struct judge *j)
{
	if (auth_membership(j, j->ev->sender) != MEM_JOIN)			/* 4.6.1 */
		return fail(j->cx, M_FORBIDDEN, "you are not joined to this room");
	if (j->power < level_named(j->rv, j->levels, "ban") || !outranks_target(j)) /* 4.6.2 */
		return fail(j->cx, M_FORBIDDEN, "your power level does not allow to ban this user");
	return M_OK;
}

/* 4.7, v7 and later */
static enum err
auth_knock(const struct judge *j)
{
	enum join_rule rule = join_rule(j);
	enum membership before;

	if (rule != RULE_KNOCK && rule != RULE_KNOCK_RESTRICTED)		/* 4.7.1 */
		return fail(j->cx, M_FORBIDDEN, "the join rule of this room does not let you knock");
	if (strcmp(j->ev->sender, j->ev->state_key) != 0)			/* 4.7.2 */
		return fail(j->cx, M_FORBIDDEN, "nobody can knock for another user");
	before = auth_membership(j, j->ev->sender);
	if (before == MEM_BAN || before == MEM_INVITE || before == MEM_JOIN)	/* 4.7.3 */
		return fail(j->cx, M_FORBIDDEN, "you are in this room, invited or banned");
	return M_OK;
}

enum err
auth_member(const struct judge *j)
{
	const struct json *content = j->ev->content;

	if (!j->ev->state_key || !json_get(content, "membership"))		/* 4.1 */
		return fail(j->cx, M_FORBIDDEN, "a member event has a state key and a membership");
	if (j->rv->restricted && json_get(content, "join_authorised_via_users_server") &&
	    !authoriser_has_signed(j))						/* 4.2 */
		return fail(j->cx, M_FORBIDDEN, "the server of the user who let you in has not signed");
	switch (membership_of(json_get_str(content, "membership"))) {
	case MEM_JOIN: return auth_join(j);
	case MEM_INVITE: return auth_invite(j);
	case MEM_LEAVE: return auth_leave(j);
	case MEM_BAN: return auth_ban(j);
	case MEM_KNOCK:
		if (j->rv->knock)
			return auth_knock(j);
		break;
	case MEM_NONE:
		break;
	}
	return fail(j->cx, M_FORBIDDEN, "the membership is unknown");		/* 4.8 */
}
