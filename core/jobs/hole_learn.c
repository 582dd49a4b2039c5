/*
 * core/jobs/hole_learn.c - states in a filled hole, step by step (core/room/hole.h). Key "<room nid>:<above>:<below>" (room_pos); args
 * {"above": …} once it has gone on.
 */
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/jobs/jobs_impl.h"
#include "core/room/hole.h"

#include <stdlib.h>
#include <string.h>

enum err
hole_learn_run(struct ctx *cx, struct job *j)
{
	struct json *args = NULL;
	char *end;
	int64_t room = strtoll(j->key, &end, 10), above, below, next;
	enum err e;

	if (*end != ':') {
		log_error(cx, "hole_key_unreadable", LS("key", j->key));
		return M_OK;
	}
	above = strtoll(end + 1, &end, 10);
	below = *end == ':' ? strtoll(end + 1, NULL, 10) : above;
	(void)json_parse(cx->a, j->args, strlen(j->args), &args);
	if ((e = hole_learn_step(cx, room, json_get_int(args, "above", above), below, &next)) != M_OK || next == INT64_MAX)
		return e;
	j->args = arena_printf(cx->a, "{\"above\":%lld}", (long long)next);
	j->again_ts = cx->now;
	return M_OK;
}
