/*
 * tests/unit/event/room.h - a room to judge events in, without a database.
 *
 * Server "a" with the signing key of the specification's test vectors. Opened with:
 * @alice:a, who created it, and the members @admin:b (100), @mod:a and @peer:a (50), @user:b (0);
 * @invited:b, @left:b, @banned:b, @knocker:b are what they are called. No join rules.
 */
#ifndef HEARTH_TEST_ROOM_H
#define HEARTH_TEST_ROOM_H

#include "core/event/event.h"

#define ROOM_STATE_MAX 64

/* A loop over all room versions. */
#define EACH_VERSION(rv)                           \
	for (size_t v_ = 0, n_ = 1; v_ < n_; v_++) \
		for (const struct room_version *rv = room_versions(&n_)[v_], *once_ = rv; once_; once_ = NULL)

struct room {
	struct ctx cx;
	const struct room_version *rv;
	const char *id;
	struct event *state[ROOM_STATE_MAX];
	size_t n;
	const char *const *signers; /* servers that have signed, NULL-terminated; NULL: nothing is answered */
	struct auth_state auth;
};

void ctx_open(struct ctx *cx); /* arena, server name, key */
void ctx_close(struct ctx *cx);
void room_open(struct room *r, const char *version);
void room_close(struct room *r);
struct event *room_put(struct room *r, const char *type, const char *key, const char *sender, struct json *content);
struct event *room_get(struct room *r, const char *type, const char *key);
void room_drop(struct room *r, const char *type, const char *key);

struct json *js(struct ctx *cx, const char *text); /* fails the test when it is no JSON */
struct json *js_file(struct ctx *cx, const char *path);
const char *canonical(struct ctx *cx, const struct json *v);

#endif
