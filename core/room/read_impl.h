/* core/room/read_impl.h - what read.c and read_state.c share. */
#ifndef HEARTH_READ_IMPL_H
#define HEARTH_READ_IMPL_H

#include "core/room/access.h"
#include "core/room/ignored.h"
#include "core/sync/filter.h"
#include "core/sync/token.h"

/* A stretch of a room's timeline for one reader. */
struct page {
	const struct room_access *acc;
	struct visibility *vis;		/* NULL: read along */
	struct ignored *ignored;	/* whose events are left out; NULL: read along */
	bool back;
	int64_t at, stop;	/* back: at >= room_pos > stop; else at < room_pos <= stop. at moves on */
	size_t limit;
	const struct event_filter *filter;
	struct room_event *ev;		/* found; there is space for one more */
	size_t n, looked;
	bool ended;			/* nothing behind at */
	bool hole;			/* but a hole (hole.h) */
};
enum err page_read(struct ctx *cx, struct page *pg);
/* Into ev[].relations: what is bundled with each. May ask once or twice; not when nothing relates to any of them. */
enum err read_bundle(struct ctx *cx, const struct room_access *acc, const struct visibility *vis, const struct ignored *ignored,
    struct room_event *ev, size_t n);
/* What users who wished to be forgotten said is redacted for who was not there (erased.h). */
void read_erased(struct ctx *cx, const struct room_access *acc, const struct visibility *vis, struct room_event *ev, size_t n);
enum err page_write(struct ctx *cx, const struct page *pg, struct json_out *o, const char *key);

/* An event for the reader; M_NOT_FOUND when there is none, or not for him; M_FORBIDDEN: the whole room is not. */
enum err read_find(struct ctx *cx, const char *room, const char *event_id, struct room_access *acc, struct visibility *vis,
    struct room_event *ev);

/* A token of either kind, as the room_pos after which it stands. */
enum err read_token(struct ctx *cx, const struct room_access *acc, const char *token, int64_t *at);

/* Into an open array: the state at a version; the member events of some users. */
enum err read_state_at(struct ctx *cx, const struct room_access *acc, int64_t ver, bool but_members, struct json_out *o);
enum err read_members_of(struct ctx *cx, const struct room_access *acc, const int64_t *users, size_t n, int64_t ver,
    struct json_out *o);

#endif
