/* core/user/seen.c - see seen.h. */
#include "core/user/seen.h"

#include <string.h>

#include "core/db/db.h"
#include "core/user/ratelimit.h"

#define USER_AGENT_MAX 255
#define ADDRESSES_MAX 20
#define LEVELS 4		/* of whois' answer: device, its sessions, the one session, its connections */

STMT(seen_relaxed, "SET LOCAL synchronous_commit = off");	/* lost, it is noted again */
/* The device's row first: it may be logged out at this moment. */
STMT(seen_put,
    "WITH d AS (UPDATE device SET last_seen_ts = $4, last_seen_ip = $2 WHERE nid = $1 RETURNING nid)"
    " INSERT INTO connection (device, ip, user_agent, seen_ts) SELECT nid, $2, $3, $4 FROM d"
    " ON CONFLICT (device, ip) DO UPDATE SET user_agent = excluded.user_agent, seen_ts = excluded.seen_ts");
STMT_WARM(seen_put, "web sync");
STMT(seen_trim,
    "DELETE FROM connection WHERE device = $1 AND ip IN"
    " (SELECT ip FROM connection WHERE device = $1 ORDER BY seen_ts DESC, ip OFFSET $2)");
STMT(seen_select,
    "SELECT d.device_id, c.ip, c.user_agent, c.seen_ts FROM device d LEFT JOIN connection c ON c.device = d.nid"
    " WHERE d.usr = $1 ORDER BY d.nid, c.seen_ts DESC");

/* A header may hold any bytes. */
static const char *
printable(struct ctx *cx, const char *s)
{
	char *p = arena_strndup(cx->a, s, strnlen(s, USER_AGENT_MAX));

	for (char *q = p; *q != '\0'; q++)
		if (*q < ' ' || *q > '~')
			*q = '?';
	return p;
}

void
seen_note(struct ctx *cx, const char *ip, const char *user_agent)
{
	if (cx->device == 0 || !ratelimit_once(cx, arena_printf(cx->a, "seen %lld %s", (long long)cx->device, ip), SEEN_EVERY_MS))
		return;
	db_begin(cx, TX_RW);
	db_queue(cx, NULL, DB_NONE, &seen_relaxed);
	db_queue(cx, NULL, DB_NONE, &seen_put, P_I64(cx->device), P_TEXT(printable(cx, ip)), P_TEXT(printable(cx, user_agent)),
	    P_I64(cx->now));
	db_queue(cx, NULL, DB_NONE, &seen_trim, P_I64(cx->device), P_I64(ADDRESSES_MAX));
	if (db_commit(cx) != M_OK)
		db_rollback(cx);
}

enum err
seen_write(struct ctx *cx, int64_t usr, struct json_out *o)
{
	const char *device = "";
	struct rows r;
	enum err e;

	if ((e = db_query(cx, &r, &seen_select, P_I64(usr))) != M_OK)
		return e;
	json_obj(o, "devices");
	for (bool first = true; db_next(&r); first = false) {
		if (first || strcmp(device, db_text(&r, 0)) != 0) {
			for (int i = 0; !first && i < LEVELS; i++)
				json_end(o);
			device = db_text(&r, 0);
			json_key_esc(o, device);
			json_obj(o, NULL);
			json_arr(o, "sessions");
			json_obj(o, NULL);
			json_arr(o, "connections");
		}
		if (!db_null(&r, 1)) {
			json_obj(o, NULL);
			json_str(o, "ip", db_text(&r, 1));
			json_int(o, "last_seen", db_i64(&r, 3));
			json_str(o, "user_agent", db_text(&r, 2));
			json_end(o);
		}
	}
	for (int i = 0; r.n > 0 && i < LEVELS; i++)
		json_end(o);
	json_end(o);
	return M_OK;
}
