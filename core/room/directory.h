/*
 * core/room/directory.h - the published room directory (Client-Server API, "Published room directory").
 *
 * Rooms that somebody is in, ordered by the number of joined members, then newest first. A token names the
 * place in that order at which the next page begins, so a page costs what it shows,
 * wherever it is.
 */
#ifndef HEARTH_DIRECTORY_H
#define HEARTH_DIRECTORY_H

#include "core/base/json.h"
#include "core/ctx.h"

#define DIRECTORY_LIMIT_MAX 500
#define DIRECTORY_SCAN_MAX 5000	/* rooms that one request searches through; the answer's token goes on behind them */

struct directory_query {
	int64_t limit;			/* 0: as many as the server gives at once */
	const char *since;		/* a token, or NULL */
	const char *term;		/* esc; in name, topic or alias, letters of either case; NULL: all */
	const struct json *room_types;	/* an array of strings and nulls, or NULL */
};
/* Writes the whole answer. M_INVALID_PARAM: a token that is none. */
enum err directory_list(struct ctx *cx, const struct directory_query *q, struct json_out *o);

/* One room: {…, "membership"}. M_NOT_FOUND: unknown, or not for cx->user (who may be NULL). */
enum err directory_summary(struct ctx *cx, const char *room, struct json_out *o);

#endif
