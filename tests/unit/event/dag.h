/*
 * tests/unit/event/dag.h - rooms with branches, for tests of state resolution.
 *
 * A room is told in steps: who sends what after which events. Ids are made from
 * short names, "T1" is $T1 ($T1:a in v1 and v2), without hashes; auth events are
 * chosen as the specification says, from the state before the event, which is
 * resolved as the specification says. So a case tells only what matters in it.
 *
 * Opened with: "create" by @alice:a, her join "alice", "levels" (alice 100, in v12
 * creator; @bob:b 50), "rules" (public), and the joins "bob", "carol", "dave" of
 * @bob:b, @carol:c, @dave:d, one after the other.
 */
#ifndef HEARTH_TEST_DAG_H
#define HEARTH_TEST_DAG_H

#include <search.h>

#include "core/event/state_res.h"

#define CREATE "m.room.create"
#define MEMBER "m.room.member"
#define LEVELS "m.room.power_levels"
#define RULES  "m.room.join_rules"
#define TOPIC  "m.room.topic"
#define JOIN   "{\"membership\":\"join\"}"
#define LEAVE  "{\"membership\":\"leave\"}"
#define BAN    "{\"membership\":\"ban\"}"

/* A step says only what matters in its case. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

struct step {
	const char *id, *sender, *type, *key;
	const char *content;	/* JSON; NULL: {} */
	const char *after;	/* names of the prev_events, with spaces between; NULL: the step before */
	const char *auth;	/* names of the auth_events; NULL: chosen from the state before */
	int64_t ts, depth;	/* 0: later and deeper than all before */
	bool rejected;		/* by the state before it: the state after it is the same */
	bool unknown;		/* to the source of the resolution */
};

struct dag_event {
	struct event ev;
	struct event light;	/* as the source of the resolution gives it: without content until that is asked for */
	const char *name;
	struct state_set after;
	size_t *auth;		/* indexes; below its own, but for circles */
	bool unknown;
	int asked;		/* how often this resolution has loaded it */
};

struct dag {
	struct ctx cx;
	const struct room_version *rv;
	const char *room;
	struct dag_event *v;
	size_t n, cap;
	struct hsearch_data by_id;
	bool orders;		/* does the source know them? */
	size_t loads, loaded, filled;	/* calls and events of the last resolution; events whose content it asked for */
};

void dag_open(struct dag *d, const char *version);	/* as above */
void dag_open_empty(struct dag *d, const char *version);
void dag_close(struct dag *d);
void dag_send(struct dag *d, const struct step *steps, size_t n);
#define DAG_SEND(d, ...) \
	dag_send(d, (const struct step[]){ __VA_ARGS__ }, \
	    sizeof((const struct step[]){ __VA_ARGS__ }) / sizeof(struct step))

/*
 * The content of power levels: members as JSON with ' for ". Alice has 100, or in v12
 * no level: dag_levels(d, "'ban':60,", "'@bob:b':50").
 */
const char *dag_levels(struct dag *d, const char *settings, const char *levels);

const char *dag_id(struct dag *d, const char *name);
size_t dag_find(struct dag *d, const char *id);		/* SIZE_MAX: none */
struct dag_event *dag_at(struct dag *d, const char *name);
struct state_set dag_after(struct dag *d, const char *name);
/*
 * A state as another server might tell it: that of base, with these events, and
 * without what is called "-type" or "-type,key".
 */
struct state_set dag_claim(struct dag *d, const char *base, const char *changes);
struct state_set dag_with(struct dag *d, struct state_set s, const struct event *ev);

/* What the state resolution makes of these. */
struct state_set dag_merge(struct dag *d, const struct state_set *sets, size_t n);
/*
 * The same, after it was seen that neither the order of states and items, nor a state given twice, nor
 * whether orders are known changes anything, and that plain_resolve() says the same.
 */
struct state_set dag_resolve(struct dag *d, const struct state_set *sets, size_t n);
struct state_set dag_resolve_names(struct dag *d, const char *names);	/* the states after these events */

const char *dag_value(struct state_set s, const char *type, const char *key);	/* the id; NULL: not in it */
void dag_expect(struct dag *d, struct state_set s, const char *type, const char *key, const char *name, int line);
#define EXPECT(d, s, type, key, name) dag_expect(d, s, type, key, name, __LINE__)

/* plain.c: versions 2 to 12 again, word by word as they are written, for small rooms. */
struct state_set plain_resolve(struct dag *d, const struct state_set *sets, size_t n);

#endif
