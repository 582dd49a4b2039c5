/*
 * tests/unit/event/auth.c - the authorization rules, by the cases in tests/vectors/auth.
 *
 * A case names the versions it holds in, the rule (by its number in v11), the answer, and
 * words of the refusal, so that an event is not refused by the wrong rule.
 * Its other members change the room of room.h: create and levels (members
 * of those contents), join_rule, set, drop, reject; signed_by: servers whose signature
 * counts; third_party: a proof signed by the test key, put into the event.
 */
#include <criterion/criterion.h>

#include "core/base/b64.h"
#include "tests/unit/event/room.h"

static const char *
str(struct room *r, const struct json *list, size_t i)
{
	return json_esc_of(r->cx.a, list->u.arr.v[i]);
}

static size_t
len(const struct json *list)
{
	return json_is(list, JSON_ARR) ? list->u.arr.n : 0;
}

static void
merge(struct arena *a, struct json *into, const struct json *from)
{
	for (size_t i = 0; json_is(from, JSON_OBJ) && i < from->u.obj.n; i++)
		json_set(a, into, from->u.obj.v[i].key, from->u.obj.v[i].value);
}

static void
change_room(struct room *r, const struct json *c)
{
	const struct json *set = json_get(c, "set"), *drop = json_get(c, "drop"), *reject = json_get(c, "reject");
	const struct json *signers = json_get(c, "signed_by");
	const char **names = arena_calloc(r->cx.a, len(signers) + 1, sizeof(*names));
	struct json *rules;

	merge(r->cx.a, room_get(r, "m.room.create", "")->content, json_get(c, "create"));
	merge(r->cx.a, room_get(r, "m.room.power_levels", "")->content, json_get(c, "levels"));
	if (json_get(c, "join_rule")) {
		rules = json_new_obj(r->cx.a);
		json_set(r->cx.a, rules, "join_rule", json_get(c, "join_rule"));
		room_put(r, "m.room.join_rules", "", "@alice:a", rules);
	}
	for (size_t i = 0; i < len(set); i++)
		room_put(r, str(r, set->u.arr.v[i], 0), str(r, set->u.arr.v[i], 1), str(r, set->u.arr.v[i], 2),
		    set->u.arr.v[i]->u.arr.v[3]);
	for (size_t i = 0; i < len(drop); i++)
		room_drop(r, str(r, drop->u.arr.v[i], 0), str(r, drop->u.arr.v[i], 1));
	for (size_t i = 0; i < len(reject); i++)
		room_get(r, str(r, reject->u.arr.v[i], 0), str(r, reject->u.arr.v[i], 1))->rejected = true;
	for (size_t i = 0; i < len(signers); i++)
		names[i] = str(r, signers, i);
	r->signers = names;
}

/* "SAME": the power levels that are, changed by with, without and (inside users) user. */
static struct json *
levels_like_now(struct room *r, const struct json *e)
{
	struct arena *a = r->cx.a;
	struct json *content = json_copy(a, room_get(r, "m.room.power_levels", "")->content), *users;
	const struct json *without = json_get(e, "without"), *user = json_get(e, "user");

	merge(a, content, json_get(e, "with"));
	for (size_t i = 0; i < len(without); i++)
		json_del(content, str(r, without, i));
	if (user) {
		users = json_copy(a, json_get(content, "users"));
		for (size_t i = 0; i < user->u.obj.n; i++)
			if (json_is(user->u.obj.v[i].value, JSON_NULL))
				json_del(users, user->u.obj.v[i].key);
			else
				json_set(a, users, user->u.obj.v[i].key, user->u.obj.v[i].value);
		json_set(a, content, "users", users);
	}
	return content;
}

static void
add_proof(struct room *r, struct json *content, const struct json *proof)
{
	struct arena *a = r->cx.a;
	struct json *invite = json_new_obj(a), *sig = json_new_obj(a);

	json_set(a, sig, "mxid", json_get(proof, "mxid"));
	json_set(a, sig, "token", json_get(proof, "token"));
	json_sign(a, sig, json_get_str(proof, "server"), r->cx.key);
	if (json_get(proof, "spoil"))
		json_set(a, sig, "spoilt", json_new_bool(a, true));
	json_set(a, invite, "signed", sig);
	json_set(a, content, "third_party_invite", invite);
}

static void
event_of(struct room *r, const struct json *c, struct event *ev)
{
	struct arena *a = r->cx.a;
	const struct json *e = json_get(c, "event"), *prev = json_get(e, "prev");
	const char *type = json_get_esc(a, e, "type");
	bool create = strcmp(type, "m.room.create") == 0, levels = strcmp(type, "m.room.power_levels") == 0;
	struct json *content = json_get(e, "content"), *pdu = json_get(e, "pdu");

	if (json_str_eq(content, "SAME"))
		content = levels_like_now(r, e);
	else
		content = content ? json_copy(a, content) : json_new_obj(a);
	if (json_get(c, "third_party"))
		add_proof(r, content, json_get(c, "third_party"));
	*ev = (struct event){
		.rv = r->rv,
		.json = pdu ? pdu : json_new_obj(a),
		.content = content,
		.type = type,
		.room = r->id,
		.id = "$event",
		.sender = "@alice:a",
		.state_key = create || levels ? "" : NULL,
	};
	if (json_get(e, "id"))
		ev->id = json_get_esc(a, e, "id");
	if (json_get(e, "room"))
		ev->room = json_get_esc(a, e, "room");
	if (json_get(e, "sender"))
		ev->sender = json_get_esc(a, e, "sender");
	if (json_get(e, "state_key"))
		ev->state_key = json_get_esc(a, e, "state_key");
	ev->nprev = prev ? len(prev) : create ? 0 : 1;
	ev->prev_ids = arena_calloc(a, ev->nprev + 1, sizeof(*ev->prev_ids));
	for (size_t i = 0; i < ev->nprev; i++)
		ev->prev_ids[i] = prev ? str(r, prev, i) : "$other";
}

static void
judge(const char *file, const char *version, const struct json *c)
{
	const char *rule = json_get_str(c, "rule"), *says = json_get_str(c, "says");
	bool ok = json_get_bool(c, "ok", false);
	struct room r;
	struct event ev;

	room_open(&r, version);
	change_room(&r, c);
	event_of(&r, c, &ev);
	if (event_auth(&r.cx, &ev, &r.auth) == M_OK)
		cr_expect(ok, "%s, v%s, %s: allowed", file, version, rule);
	else
		cr_expect(!ok && says && strstr(r.cx.err_text, says), "%s, v%s, %s: refused, %s", file, version, rule,
		    r.cx.err_text);
	room_close(&r);
}

/* "6", "1-11" */
static bool
covers(const char *range, int v)
{
	char *end;
	long first = strtol(range, &end, 10), last = *end == '-' ? strtol(end + 1, NULL, 10) : first;

	return first <= v && v <= last;
}

static void
judge_all(const char *file)
{
	const struct room_version *const *versions;
	size_t nversions, judged = 0;
	struct json *cases;
	struct ctx cx;

	ctx_open(&cx);
	cases = js_file(&cx, file);
	versions = room_versions(&nversions);
	for (size_t i = 0; i < cases->u.arr.n; i++)
		for (size_t v = 0; v < nversions; v++)
			if (covers(json_get_str(cases->u.arr.v[i], "v"), (int)v + 1)) {
				judge(file, versions[v]->id, cases->u.arr.v[i]);
				judged++;
			}
	cr_expect_gt(judged, cases->u.arr.n);
	ctx_close(&cx);
}

Test(event_auth, create_and_room)
{
	judge_all("tests/vectors/auth/create.json");
}

Test(event_auth, general)
{
	judge_all("tests/vectors/auth/general.json");
}

Test(event_auth, member)
{
	judge_all("tests/vectors/auth/member.json");
}

Test(event_auth, power_levels)
{
	judge_all("tests/vectors/auth/power_levels.json");
}

/* A restricted join by @new:b, let in by @mod:a, as our own server makes it. */
static struct event
restricted_join(struct room *r)
{
	static const char *prev[] = { "$x" };
	struct event_draft d = { .rv = r->rv,
		.room = r->id,
		.type = "m.room.member",
		.sender = "@new:b",
		.state_key = "@new:b",
		.prev_ids = prev,
		.nprev = 1,
		.depth = 1 };
	struct event ev;

	d.content = js(&r->cx, "{\"membership\":\"join\",\"join_authorised_via_users_server\":\"@mod:a\"}");
	cr_assert_eq(event_build(&r->cx, &d, &ev), M_OK);
	return ev;
}

/* 4.2 without a caller that knows signatures: our own counts if it is valid, any other does not. */
Test(event_auth, own_signature)
{
	struct event ev;
	struct room r;

	room_open(&r, "10");
	r.auth.signed_by = NULL;
	room_put(&r, "m.room.join_rules", "", "@alice:a", js(&r.cx, "{\"join_rule\":\"restricted\"}"));
	ev = restricted_join(&r);
	cr_expect_eq(event_auth(&r.cx, &ev, &r.auth), M_OK, "not signed yet: %s", r.cx.err_text);
	event_complete(&r.cx, &ev);
	cr_expect_eq(event_auth(&r.cx, &ev, &r.auth), M_OK, "%s", r.cx.err_text);
	json_set(r.cx.a, ev.json, "depth", json_new_int(r.cx.a, 2));
	cr_expect_eq(event_auth(&r.cx, &ev, &r.auth), M_FORBIDDEN, "the signature is not valid");
	ev = restricted_join(&r);
	json_set(r.cx.a, ev.content, "join_authorised_via_users_server", json_new_str(r.cx.a, "@admin:b"));
	cr_expect_eq(event_auth(&r.cx, &ev, &r.auth), M_FORBIDDEN, "the signature of another server cannot be known");
	room_close(&r);
}

/* The create event may be given apart; what get() has is then not asked for. */
Test(event_auth, create_event_given)
{
	struct event create, ev;
	struct room r;

	room_open(&r, "12");
	create = *room_get(&r, "m.room.create", "");
	room_drop(&r, "m.room.create", "");
	ev = (struct event){ .rv = r.rv,
		.json = js(&r.cx, "{}"),
		.content = js(&r.cx, "{}"),
		.id = "$e",
		.room = r.id,
		.type = "t",
		.sender = "@alice:a" };
	cr_expect_eq(event_auth(&r.cx, &ev, &r.auth), M_FORBIDDEN);
	r.auth.create = &create;
	cr_expect_eq(event_auth(&r.cx, &ev, &r.auth), M_OK);
	cr_expect_eq(power_of_user(&r.auth, r.rv, "@alice:a"), INT64_MAX);
	create.rejected = true;
	cr_expect_eq(event_auth(&r.cx, &ev, &r.auth), M_FORBIDDEN);
	room_close(&r);
}

Test(event_auth, powers)
{
	struct room r;

	room_open(&r, "11");
	cr_expect_eq(power_of_user(&r.auth, r.rv, "@mod:a"), 50);
	cr_expect_eq(power_of_user(&r.auth, r.rv, "@nobody:c"), 0);
	cr_expect_eq(power_level(&r.auth, r.rv, "invite"), 0);
	cr_expect_eq(power_level(&r.auth, r.rv, "kick"), 50);
	cr_expect_eq(power_level(&r.auth, r.rv, "ban"), 50);
	cr_expect_eq(power_level(&r.auth, r.rv, "redact"), 50);
	cr_expect_eq(power_level(&r.auth, r.rv, "users_default"), 0);
	cr_expect_eq(power_level(&r.auth, r.rv, "events_default"), 0);
	cr_expect_eq(power_level(&r.auth, r.rv, "state_default"), 50);
	cr_expect_eq(power_level(&r.auth, r.rv, "no such"), 0);
	cr_expect_eq(power_for_event(&r.auth, r.rv, "m.room.message", false), 0);
	cr_expect_eq(power_for_event(&r.auth, r.rv, "m.room.message", true), 50);
	room_put(&r, "m.room.power_levels", "", "@alice:a",
	    js(&r.cx, "{\"users_default\":7,\"invite\":8,\"events\":{\"t\":9}}"));
	cr_expect_eq(power_of_user(&r.auth, r.rv, "@mod:a"), 7);
	cr_expect_eq(power_level(&r.auth, r.rv, "invite"), 8);
	cr_expect_eq(power_for_event(&r.auth, r.rv, "t", true), 9);
	room_drop(&r, "m.room.power_levels", "");
	cr_expect_eq(power_of_user(&r.auth, r.rv, "@alice:a"), 100);
	room_drop(&r, "m.room.create", "");
	cr_expect_eq(power_of_user(&r.auth, r.rv, "@alice:a"), 0);
	room_close(&r);
}

Test(event_auth, creators)
{
	static const char content[] = "{\"creator\":\"@c:c\",\"additional_creators\":[1,\"@d:d\"]}";
	struct event create = { .sender = "@s:s" };
	struct ctx cx;

	ctx_open(&cx);
	create.content = js(&cx, content);
	create.rv = room_version_get("10");
	cr_expect(event_is_creator(&create, "@c:c"));
	cr_expect_not(event_is_creator(&create, "@s:s"));
	cr_expect_not(event_is_creator(&create, "@d:d"));
	create.rv = room_version_get("11");
	cr_expect_not(event_is_creator(&create, "@c:c"));
	cr_expect(event_is_creator(&create, "@s:s"));
	cr_expect_not(event_is_creator(&create, "@d:d"));
	create.rv = room_version_get("12");
	cr_expect_not(event_is_creator(&create, "@c:c"));
	cr_expect(event_is_creator(&create, "@s:s"));
	cr_expect(event_is_creator(&create, "@d:d"));
	ctx_close(&cx);
}

Test(event_auth, what_a_redaction_names)
{
	struct event ev = { .rv = room_version_get("10"), .type = "m.room.redaction" };
	struct ctx cx;

	ctx_open(&cx);
	ev.json = js(&cx, "{\"redacts\":\"$top\"}");
	ev.content = js(&cx, "{\"redacts\":\"$in\"}");
	cr_expect_str_eq(event_redacts(cx.a, &ev), "$top");
	ev.rv = room_version_get("11");
	cr_expect_str_eq(event_redacts(cx.a, &ev), "$in");
	ev.content = js(&cx, "{\"redacts\":1}");
	cr_expect_null(event_redacts(cx.a, &ev));
	ev.content = js(&cx, "{\"redacts\":\"$in\"}");
	ev.type = "m.room.message";
	cr_expect_null(event_redacts(cx.a, &ev));
	ctx_close(&cx);
}

/* Room v3 and later, "Handling redactions". */
Test(event_auth, redaction_applies)
{
	struct event redaction = { .type = "m.room.redaction" }, target = { .type = "t", .sender = "@user:b" };
	struct room r;

	room_open(&r, "3");
	redaction.rv = target.rv = r.rv;
	redaction.sender = "@mod:a";
	cr_expect(event_redaction_applies(&r.auth, &redaction, &target), "the redact level is reached");
	redaction.sender = "@admin:b";
	target.sender = "@alice:a";
	cr_expect(event_redaction_applies(&r.auth, &redaction, &target), "the redact level is reached");
	redaction.sender = "@user:b";
	cr_expect_not(event_redaction_applies(&r.auth, &redaction, &target), "neither level nor server");
	target.sender = "@left:b";
	cr_expect(event_redaction_applies(&r.auth, &redaction, &target), "of the same server");
	redaction.rv = room_version_get("2");
	target.sender = "@alice:a";
	cr_expect(event_redaction_applies(&r.auth, &redaction, &target), "the rules have decided");
	room_close(&r);
}

/* An offer with so many keys and a proof with so many signatures, of which the one at right is the test key's. */
static enum err
third_party(size_t nkeys, size_t nsigs, size_t right)
{
	static const unsigned char junk[ED25519_SIG] = { 1 };
	struct json *proof, *offer, *keys, *key, *invite, *sigs;
	const char *valid, *pub;
	struct event ev;
	struct room r;
	enum err e;

	room_open(&r, "11");
	keys = json_new_arr(r.cx.a);
	pub = b64_encode(r.cx.a, r.cx.key->pub, ED25519_PUB);
	for (size_t i = 0; i < nkeys; i++) {
		key = json_new_obj(r.cx.a);
		json_set(r.cx.a, key, "public_key",
		    json_new_str(r.cx.a, i == nkeys - 1 ? pub : b64_encode(r.cx.a, junk, ED25519_PUB)));
		json_push(r.cx.a, keys, key);
	}
	offer = json_new_obj(r.cx.a);
	json_set(r.cx.a, offer, "public_keys", keys);
	room_put(&r, "m.room.third_party_invite", "t", "@alice:a", offer);
	proof = js(&r.cx, "{\"mxid\":\"@new:b\",\"token\":\"t\"}");
	json_sign(r.cx.a, proof, "s", r.cx.key);
	valid = json_get_str(json_get(json_get(proof, "signatures"), "s"), "ed25519:1");
	sigs =
	    js(&r.cx, "{\"x\":1,\"s\":{\"curve:1\":\"x\",\"ed25519:a\":1,\"ed25519:b\":\"!\",\"ed25519:c\":\"Zm9v\"}}");
	for (size_t i = 0; i < nsigs; i++)
		json_set(r.cx.a, json_get(sigs, "s"), arena_printf(r.cx.a, "ed25519:%zu", i),
		    json_new_str(r.cx.a, i == right ? valid : b64_encode(r.cx.a, junk, ED25519_SIG)));
	json_set(r.cx.a, proof, "signatures", sigs);
	invite = json_new_obj(r.cx.a);
	json_set(r.cx.a, invite, "signed", proof);
	ev = (struct event){ .rv = r.rv,
		.id = "$e",
		.room = r.id,
		.type = "m.room.member",
		.sender = "@alice:a",
		.state_key = "@new:b",
		.content = js(&r.cx, "{\"membership\":\"invite\"}") };
	json_set(r.cx.a, ev.content, "third_party_invite", invite);
	e = event_auth(&r.cx, &ev, &r.auth);
	room_close(&r);
	return e;
}

Test(event_auth, third_party_signatures)
{
	cr_expect_eq(third_party(1, 1, 0), M_OK, "what is no signature is passed over");
	cr_expect_eq(third_party(3, 3, 2), M_OK, "any signature, any key");
	cr_expect_eq(third_party(1, 3, 3), M_FORBIDDEN, "none");
	cr_expect_eq(third_party(32, 32, 31), M_OK);
	/* More would let one event cost seconds. */
	cr_expect_eq(third_party(33, 1, 0), M_FORBIDDEN);
	cr_expect_eq(third_party(1, 33, 32), M_FORBIDDEN);
}
