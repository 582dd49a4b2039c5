/*
 * tests/db/sync/client.h - a user with a device who syncs and remembers, without HTTP.
 *
 * client_sync() computes one answer and applies it to what the client knows,
 * in the way that the specification tells clients to.
 */
#ifndef HEARTH_TESTS_SYNC_CLIENT_H
#define HEARTH_TESTS_SYNC_CLIENT_H

#include "core/room/create.h"
#include "core/room/member.h"
#include "core/room/send.h"
#include "core/sync/impl.h"
#include "tests/db/harness.h"

struct client {
	struct ctx *cx;
	struct arena *a;		/* what it remembers */
	const char *user, *since, *filter;
	int64_t nid, device;
	bool after;			/* use_state_after */
	struct json *rooms;		/* joined: {room id: {"state": {"type|key": event id}, "seen": [event ids]}} */
	struct json *invites, *left;	/* {room id: section} */
	struct json *data;		/* global account data: {type: content} */
	struct json *last;		/* the last answer */
};

struct client *client_new(const char *name);
/* Another device of the same user. */
struct client *client_again(const struct client *c);
/* SHA-256 of the access token of a device made here. */
const unsigned char *client_token(struct arena *a, int64_t device);
/* A sync from c->since: M_OK or E_PARK; since moves on. */
enum err client_sync(struct client *c);
enum err client_full(struct client *c, bool full_state);
/* The answer to a sync from `since`, as a tree; nothing is remembered. */
struct json *client_ask(struct client *c, const char *since, enum err *e);

/* Run as this user in a transaction of their own, as the dispatcher would. */
#define CALL(c, call)							\
	__extension__({							\
		enum err e_;						\
		do {							\
			session_next((c)->cx);				\
			db_begin((c)->cx, TX_RW);			\
			if ((e_ = call) == M_OK)			\
				e_ = db_commit((c)->cx);		\
			if (e_ != M_OK)					\
				db_rollback((c)->cx);			\
		} while (e_ == E_RETRY);				\
		e_;							\
	})
/* Lives as long as the client. */
const char *client_room(struct client *c, const char *body);
const char *client_say(struct client *c, const char *room, const char *text);
enum err client_state(struct client *c, const char *room, const char *type, const char *key, const char *content);
enum err client_member(struct client *c, enum member_action action, const char *room, const struct client *target);
void client_data(struct client *c, const char *room, const char *type, const char *content);

/* Reading answers. Paths are keys separated by '/'; room ids and the like hold none. */
struct json *at(const struct json *v, const char *path);
struct json *room_in(const struct json *answer, const char *section, const char *room);
/* "type:body-or-content type:..." of a list of events, for comparisons. */
const char *events_text(struct arena *a, const struct json *events);

#endif
