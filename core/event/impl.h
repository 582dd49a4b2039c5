/* core/event/impl.h - what the files of core/event share; nobody else includes it. */
#ifndef HEARTH_EVENT_IMPL_H
#define HEARTH_EVENT_IMPL_H

#include <stddef.h>

#include "core/event/event.h"

/* Rows of tables that hold in some versions: those that have this field of struct room_version, or all. */
#define ALL_VERSIONS	SIZE_MAX
#define HAVING(field)	offsetof(struct room_version, field)

static inline bool
version_has(const struct room_version *rv, size_t field)
{
	return field == ALL_VERSIONS || *(const bool *)((const char *)rv + field);
}

/* hash.c: the event id of room versions 3 and later. */
const char *event_id_from_hash(struct arena *a, const struct room_version *rv, const unsigned char hash[SHA256_LEN]);

/* sign.c: the bytes that a signature of obj covers. */
const char *signed_text(struct arena *a, const struct json *obj, size_t *n);

/* pdu.c: auth_events or prev_events of room versions 3 and later. */
struct json *ids_tree(struct arena *a, const char *const *ids, size_t n);

/* pdu.c: the greatest depth that the version allows. */
int64_t depth_max(const struct room_version *rv);

/* One judgement of one event: what many rules ask for, looked up once (auth.c). */
struct judge {
	struct ctx *cx;
	const struct event *ev;
	const struct room_version *rv;
	const struct auth_state *st;
	const struct event *create;
	const struct json *levels;	/* content of m.room.power_levels; NULL: there is none */
	int64_t power;			/* of the sender */
};

/* auth.c: the state, without what is rejected. */
const struct event *auth_get(const struct auth_state *st, const char *type, const char *key);
enum membership auth_membership(const struct judge *j, const char *user);

/* auth_member.c, auth_power.c: the rules of these types. */
enum err auth_member(const struct judge *j);
enum err auth_power_levels(const struct judge *j);

/* auth_power.c: levels, given the content of m.room.power_levels (or NULL) and the create event (or NULL). */
int64_t level_of_user(const struct room_version *rv, const struct json *levels, const struct event *create,
    const char *user);
int64_t level_for_event(const struct room_version *rv, const struct json *levels, const char *type, bool state);
int64_t level_named(const struct room_version *rv, const struct json *levels, const char *name);

#endif
