/* tests/unit/event/room.c - see room.h. */
#include "tests/unit/event/room.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "core/base/b64.h"
#include "core/base/conf.h"

static const struct conf conf = { .server_name = "a" };

void
ctx_open(struct ctx *cx)
{
	size_t n;

	*cx = (struct ctx){ .a = arena_new(), .conf = &conf, .now = 1000000 };
	/* Appendices, "Cryptographic Test Vectors" */
	cx->key =
	    signing_key_new("ed25519:1", b64_decode(cx->a, "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1", 43, &n));
}

void
ctx_close(struct ctx *cx)
{
	arena_free(cx->a);
}

struct json *
js(struct ctx *cx, const char *text)
{
	struct json *v;

	cr_assert_eq(json_parse(cx->a, text, strlen(text), &v), JSON_OK, "no JSON: %s", text);
	return v;
}

struct json *
js_file(struct ctx *cx, const char *path)
{
	FILE *f = fopen(path, "re");
	struct buf b;
	char part[4096];
	size_t n;

	cr_assert(f, "cannot read %s", path);
	buf_init(&b, cx->a);
	while ((n = fread(part, 1, sizeof(part), f)))
		buf_add(&b, part, n);
	fclose(f);
	return js(cx, b.s);
}

const char *
canonical(struct ctx *cx, const struct json *v)
{
	return json_canonical_str(cx->a, v, NULL);
}

struct event *
room_get(struct room *r, const char *type, const char *key)
{
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->state[i]->type, type) == 0 && strcmp(r->state[i]->state_key, key) == 0)
			return r->state[i];
	return NULL;
}

void
room_drop(struct room *r, const char *type, const char *key)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->state[i] == room_get(r, type, key)) {
			r->state[i] = r->state[--r->n];
			return;
		}
}

struct event *
room_put(struct room *r, const char *type, const char *key, const char *sender, struct json *content)
{
	struct event *ev = arena_zalloc(r->cx.a, sizeof(*ev));

	*ev = (struct event){
		.rv = r->rv,
		.content = content,
		.room = r->id,
		.type = type,
		.sender = sender,
		.state_key = key,
		.id = arena_printf(r->cx.a, "$%s", strcmp(type, "m.room.create") == 0 ? "create" : "state"),
	};
	room_drop(r, type, key);
	cr_assert_lt(r->n, ROOM_STATE_MAX);
	r->state[r->n++] = ev;
	return ev;
}

static const struct event *
get(void *arg, const char *type, const char *key)
{
	return room_get(arg, type, key);
}

static bool
signed_by(void *arg, const struct event *ev, const char *server)
{
	const struct room *r = arg;

	cr_assert_not_null(ev);
	for (const char *const *s = r->signers; *s; s++)
		if (strcmp(*s, server) == 0)
			return true;
	return false;
}

/* The rules ask the second where they are told to; the tests for the question itself are in auth.c. */
static void
member(struct room *r, const char *user, const char *membership)
{
	struct json *content = json_new_obj(r->cx.a);

	json_set(r->cx.a, content, "membership", json_new_str(r->cx.a, membership));
	room_put(r, "m.room.member", user, user, content);
}

void
room_open(struct room *r, const char *version)
{
	bool v12 = strcmp(version, "12") == 0;
	struct json *create;

	*r = (struct room){ .rv = room_version_get(version), .id = v12 ? "!create" : "!room:a" };
	ctx_open(&r->cx);
	r->auth = (struct auth_state){ .get = get, .arg = r, .signed_by = signed_by };
	r->signers = (const char *const[]){ NULL };
	create = js(&r->cx, "{\"creator\":\"@alice:a\"}");
	json_set(r->cx.a, create, "room_version", json_new_str(r->cx.a, version));
	room_put(r, "m.room.create", "", "@alice:a", create);
	member(r, "@alice:a", "join");
	member(r, "@admin:b", "join");
	member(r, "@mod:a", "join");
	member(r, "@peer:a", "join");
	member(r, "@user:b", "join");
	member(r, "@invited:b", "invite");
	member(r, "@left:b", "leave");
	member(r, "@banned:b", "ban");
	member(r, "@knocker:b", "knock");
	room_put(r, "m.room.power_levels", "", "@alice:a",
	    js(&r->cx, v12 ? "{\"users\":{\"@admin:b\":100,\"@mod:a\":50,\"@peer:a\":50}}"
			   : "{\"users\":{\"@alice:a\":100,\"@admin:b\":100,\"@mod:a\":50,\"@peer:a\":50}}"));
}

void
room_close(struct room *r)
{
	ctx_close(&r->cx);
}
