/*
 * tests/db/room/world.h - users and rooms without HTTP. What a handler is to the dispatcher, a call in
 * DO() is here: a transaction, committed on M_OK, else rolled back.
 *
 *	struct ctx *a = user("alice"), *b = user("bob");
 *	const char *room = make_room(a, "{\"preset\":\"public_chat\"}");
 *	cr_assert_eq(DO(b, TX_RW, member_change(b, MEMBER_JOIN, room, NULL, NULL)), M_OK);
 *	struct json *state = READ(b, read_state(b, room, &o));
 */
#ifndef HEARTH_TESTS_DB_ROOM_WORLD_H
#define HEARTH_TESTS_DB_ROOM_WORLD_H

#include "core/base/json.h"
#include "core/room/create.h"
#include "core/room/member.h"
#include "core/room/read.h"
#include "core/room/send.h"
#include "tests/db/harness.h"

/* A session of its own that speaks for @name:localhost, who is made when he does not exist (account, one device). */
struct ctx *user(const char *name);
struct ctx *user_again(const char *name);	/* the same user and device in another worker */

/* Did this answer e? Otherwise fails with the text that the client would get. */
#define DO(cx, mode, call)						\
	__extension__({							\
		(cx)->err_text = NULL;					\
		db_begin(cx, mode);					\
		tx_end(cx, call);					\
	})
enum err tx_end(struct ctx *cx, enum err e);
#define OK(cx, mode, call)						\
	do {								\
		enum err ok_ = DO(cx, mode, call);			\
		cr_assert_eq(ok_, M_OK, "%s:%d: fault %d %s: %s", __FILE__, __LINE__, (int)ok_, err_code(ok_), (cx)->err_text ? (cx)->err_text : "");	\
	} while (0)

/* The answer of a read_ function (which writes into o) as a tree. Fails the test when there is none. */
#define READ(cx, call)							\
	__extension__({							\
		struct json_out o;					\
		json_out_init(&o, (cx)->a);				\
		OK(cx, TX_RO, call);					\
		parse(cx, o.b.s);					\
	})
struct json *parse(struct ctx *cx, const char *text);

const char *make_room(struct ctx *cx, const char *body);	/* its id */
const char *say(struct ctx *cx, const char *room, const char *text);	/* the event id */
enum err join(struct ctx *cx, const char *room);
enum err leave(struct ctx *cx, const char *room);
enum err set_state(struct ctx *cx, const char *room, const char *type, const char *content);

/* Fails when room_check() finds a fault in any room. */
void check_rooms(void);

/* The bodies of the messages in an array of events, joined by spaces; other events count as their type. */
const char *bodies(struct ctx *cx, const struct json *events);

#endif
