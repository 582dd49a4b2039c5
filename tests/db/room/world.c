/* tests/db/room/world.c - see world.h. */
#include "tests/db/room/world.h"

#include "core/room/names.h"

struct ctx *
user_again(const char *name)
{
	struct ctx *cx = session();

	cx->user = arena_printf(cx->a, "@%s:localhost", name);
	cx->user_nid = sql_int("SELECT nid FROM name WHERE body = '%s'", cx->user);
	cx->device = sql_int("SELECT nid FROM device WHERE usr = %lld", (long long)cx->user_nid);
	cx->device_id = "DEV";
	return cx;
}

struct ctx *
user(const char *name)
{
	sql("INSERT INTO name (body) VALUES ('@%s:localhost') ON CONFLICT DO NOTHING", name);
	sql("INSERT INTO account (usr, localpart, created_ts) SELECT nid, '%s', 0 FROM name WHERE body = '@%s:localhost'"
	    " ON CONFLICT DO NOTHING", name, name);
	sql("INSERT INTO device (usr, device_id, created_ts) SELECT usr, 'DEV', 0 FROM account WHERE localpart = '%s'"
	    " ON CONFLICT DO NOTHING", name);
	return user_again(name);
}

enum err
tx_end(struct ctx *cx, enum err e)
{
	if (e == M_OK)
		e = db_commit(cx);
	if (db_in_tx(cx))
		db_rollback(cx);
	return e;
}

struct json *
parse(struct ctx *cx, const char *text)
{
	struct json *v;

	cr_assert_eq(json_parse(cx->a, text, strlen(text), &v), JSON_OK, "no JSON: %s", text);
	return v;
}

const char *
make_room(struct ctx *cx, const char *body)
{
	struct created c = { 0 };
	enum err e = E_RETRY;

	for (cx->attempt = 0; e == E_RETRY && cx->attempt < 5; cx->attempt++)
		e = DO(cx, TX_RW, room_create(cx, parse(cx, body), &c));
	cx->attempt = 0;
	cx->now++;	/* time goes on: the next room of the same wishes is another one */
	cr_assert_eq(e, M_OK, "createRoom: %s", cx->err_text ? cx->err_text : err_code(e));
	return c.room_id;
}

const char *
say(struct ctx *cx, const char *room, const char *text)
{
	struct json *content = json_new_obj(cx->a);
	const struct txn none = { NULL, NULL };
	const char *id = NULL;

	json_set(cx->a, content, "msgtype", json_new_str(cx->a, "m.text"));
	json_set(cx->a, content, "body", json_new_str(cx->a, text));
	OK(cx, TX_RW, room_send(cx, room, "m.room.message", content, &none, &id));
	return id;
}

enum err
join(struct ctx *cx, const char *room)
{
	return DO(cx, TX_RW, member_change(cx, MEMBER_JOIN, room, NULL, NULL));
}

enum err
leave(struct ctx *cx, const char *room)
{
	return DO(cx, TX_RW, member_change(cx, MEMBER_LEAVE, room, NULL, NULL));
}

enum err
set_state(struct ctx *cx, const char *room, const char *type, const char *content)
{
	const char *id;

	return DO(cx, TX_RW, room_put_state(cx, room, type, "", parse(cx, content), &id));
}

void
check_rooms(void)
{
	cr_expect_str_eq(sql("SELECT string_agg(room || ': ' || fault, E'\\n') FROM room_check()"), "");
}

const char *
bodies(struct ctx *cx, const struct json *events)
{
	struct buf b;

	buf_init(&b, cx->a);
	for (size_t i = 0; i < events->u.arr.n; i++) {
		const struct json *ev = events->u.arr.v[i];
		const char *body = json_get_str(json_get(ev, "content"), "body");
		if (i > 0)
			buf_putc(&b, ' ');
		buf_puts(&b, body != NULL ? body : json_get_str(ev, "type"));
	}
	return b.s;
}
