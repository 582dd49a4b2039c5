/*
 * tests/fuzz/pdu.c - any JSON as a PDU of any room version: nothing crashes, and what must hold holds.
 *
 * The first byte chooses the version. What event_read() takes is put through all
 * else that is done with an event from another server; as the state to judge it by it gets itself.
 */
#include <assert.h>
#include <string.h>

#include "core/base/conf.h"
#include "core/event/event.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n);

static const char *
text(struct arena *a, const struct json *v)
{
	return json_canonical_str(a, v, NULL);
}

/* Redaction is idempotent, and neither id nor signature depends on what it removes. */
static void
redaction(struct ctx *cx, const struct room_version *rv, struct json *pdu)
{
	struct json *once = event_redact(cx->a, rv, pdu), *twice = event_redact(cx->a, rv, once);

	assert(strcmp(text(cx->a, once), text(cx->a, twice)) == 0);
	assert(strcmp(event_reference_b64(cx->a, rv, pdu), event_reference_b64(cx->a, rv, once)) == 0);
	event_sign(cx->a, rv, pdu, "a", cx->key);
	assert(event_verify_sig(cx->a, rv, event_redact(cx->a, rv, pdu), "a", cx->key->id, cx->key->pub));
}

static void
store(struct ctx *cx, struct event *ev)
{
	struct event back = { .rv = ev->rv,
		.id = ev->id,
		.room = ev->room,
		.type = ev->type,
		.sender = ev->sender,
		.state_key = ev->state_key,
		.ts = ev->ts };
	enum json_fault fault;
	struct json *pdu = json_copy(cx->a, ev->json);
	enum err e;

	json_del(pdu, "unsigned");
	event_texts(cx->a, ev);
	fault = json_parse(cx->a, ev->content_text, strlen(ev->content_text), &back.content);
	assert(fault == JSON_OK);
	e = event_restore(cx, &back, ev->rest_text, strlen(ev->rest_text));
	assert(e == M_OK);
	assert(strcmp(text(cx->a, back.json), text(cx->a, pdu)) == 0);
}

static const struct event *
itself(void *arg, const char *type, const char *state_key)
{
	const struct event *ev = arg;

	return strcmp(ev->type, type) == 0 || *state_key == '@' ? ev : NULL;
}

static void
judge(struct ctx *cx, const struct event *ev)
{
	struct auth_state st = { .get = itself, .arg = NULL, .create = ev };
	struct event self = *ev;

	st.arg = &self;
	event_auth(cx, ev, &st);
	self.type = "m.room.power_levels";
	event_auth(cx, &self, &st);
	self.type = "m.room.member";
	event_auth(cx, &self, &st);
	auth_events_check(cx, ev, &ev, 1);
	event_redaction_applies(&st, ev, ev);
	event_redacts(cx->a, ev);
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t n)
{
	static const struct conf conf = { .server_name = "a" };
	static struct signing_key *key;
	struct ctx cx = { .conf = &conf };
	const struct room_version *const *all;
	struct json *pdu;
	struct event ev;
	size_t versions;

	if (!n)
		return 0;
	if (!key)
		key = signing_key_new("ed25519:1", (const unsigned char *)"0123456789abcdef0123456789abcdef");
	cx.key = key;
	cx.a = arena_new();
	all = room_versions(&versions);
	if (json_parse(cx.a, (const char *)data + 1, n - 1, &pdu) == JSON_OK) {
		const struct room_version *rv = all[*data % versions];

		if (event_read(&cx, rv, pdu, &ev) == M_OK) {
			event_hash_ok(cx.a, &ev);
			judge(&cx, &ev);
			store(&cx, &ev);
		}
		if (json_is(pdu, JSON_OBJ))
			redaction(&cx, rv, pdu);
	}
	arena_free(cx.a);
	return 0;
}
