/*
 * core/sync/filter.h - what a client wants to see (Client-Server API, "Filtering").
 *
 * A filter is read once per request into a struct; the tests on events are then
 * plain comparisons. Texts are esc strings (core/base/json.h), as events carry
 * them. Unknown keys are ignored; a null counts as absent.
 *
 * Rules: not_x wins over x; an empty list in x matches nothing, an absent one
 * everything; `*` in types stands for any sequence of characters; rooms and
 * not_rooms of the room filter come before those of its parts.
 */
#ifndef HEARTH_FILTER_H
#define HEARTH_FILTER_H

#include "core/base/json.h"
#include "core/ctx.h"

#define FILTER_LIMIT 10		/* events of a timeline when the filter names no limit */
#define FILTER_LIMIT_MAX 100	/* more is silently cut to this */

struct filter_list {
	const char **v;		/* sorted; of types only those without `*` */
	size_t n;
	const char **globs;	/* types with `*` */
	size_t nglobs;
	bool given;
};

struct event_filter {
	struct filter_list types, not_types, senders, not_senders, rooms, not_rooms;
	int limit;		/* 0 .. FILTER_LIMIT_MAX */
	int contains_url;	/* 1: only with, 0: only without, -1: either */
	bool lazy_members, redundant_members, thread_counts;
	bool any;		/* lets every event of every room pass */
};

struct field_path;
struct filter {
	struct event_filter presence, account_data;
	struct filter_list rooms, not_rooms;	/* of the room filter */
	bool include_leave;
	struct event_filter timeline, state, ephemeral, room_data;
	bool federation;			/* event_format */
	struct field_path *fields;		/* event_fields */
	size_t nfields;
	bool only_fields;
};

/* The filter of a request without one. Read only, process lifetime. */
const struct filter *filter_none(void);

/* text: JSON. M_NOT_JSON when it is none, else as filter_read(). *out is arena memory. */
enum err filter_parse(struct ctx *cx, const char *text, const struct filter **out);
/* M_BAD_JSON: a value of the wrong type; M_INVALID_PARAM: one that cannot be (a negative limit, no user id, ...). */
enum err filter_read(struct ctx *cx, const struct json *v, struct filter *f);
/* Would filter_read() take it? For filters that are to be stored. */
enum err filter_check(struct ctx *cx, const struct json *v);

/* Does the client want anything of this room? */
bool filter_room(const struct filter *f, const char *room);
/* room may be NULL (global data); sender NULL: not asked. content is JSON text, looked at only for contains_url
 * (NULL: there is no url in it).
 */
bool filter_event(const struct event_filter *f, const char *room, const char *type, const char *sender,
    const char *content);

/* event_fields: the event cut down to what was asked, as a new tree. */
struct json *filter_fields(struct arena *a, const struct filter *f, const struct json *event);

#endif
