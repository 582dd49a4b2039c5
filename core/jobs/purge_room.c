/*
 * core/jobs/purge_room.c - deleting a room's history or a whole room, step by step (core/room/purge.h).
 *
 * purge_history, key "<room nid>:<last room_pos>:<keep|all>"; purge_room, key "<room nid>", args {"gone": true} once only the rows
 * that tell clients are left. What a step finds undone it does, so nothing else has to be remembered.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/log.h"
#include "core/jobs/jobs_impl.h"
#include "core/room/purge.h"

enum err
purge_history_run(struct ctx *cx, struct job *j)
{
	char *end;
	int64_t room = strtoll(j->key, &end, 10), upto;
	bool more;
	enum err e;

	if (*end != ':') {
		log_error(cx, "purge_key_unreadable", LS("key", j->key));
		return M_OK;
	}
	upto = strtoll(end + 1, &end, 10);
	if ((e = purge_history_step(cx, room, upto, strcmp(end, ":all") != 0, &more)) == M_OK && more)
		j->again_ts = cx->now;
	return e;
}

enum err
purge_room_run(struct ctx *cx, struct job *j)
{
	struct json *args = NULL;
	bool more, rest, gone;
	enum err e;

	(void)json_parse(cx->a, j->args, strlen(j->args), &args);	/* unreadable: from the start */
	gone = json_get_bool(args, "gone", false);
	if ((e = purge_room_step(cx, strtoll(j->key, NULL, 10), gone, &more, &rest)) != M_OK)
		return e;
	if (rest)
		j->args = "{\"gone\":true}";
	j->again_ts = more ? cx->now : rest ? cx->now + PURGE_KEPT_MS : 0;
	return M_OK;
}
