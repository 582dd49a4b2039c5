/*
 * core/event/state_res_impl.h - what the files state_res*.c share; nobody else includes it.
 *
 * Inside, events and (type, state_key) pairs are small numbers, given in the order
 * in which they are met: nodes and keys. Chains and differences are marks on
 * nodes; strings are compared when something is met, and to break ties. Nothing
 * recurses: how deep a chain is, others decide.
 */
#ifndef HEARTH_STATE_RES_IMPL_H
#define HEARTH_STATE_RES_IMPL_H

#include "core/event/state_res.h"

#define NONE UINT32_MAX

/* A growing list of nodes or keys; set up by { .a = arena }. */
struct res_list {
	struct arena *a;
	uint32_t *v, n, cap;
};
void res_push(struct res_list *l, uint32_t x);

/* Pairs of strings as numbers 0, 1, 2 … The strings are not copied. */
struct res_names {
	struct arena *a;
	struct res_name {
		const char *x, *y;
		uint64_t hash;
	} *v;
	uint32_t n, cap;
	uint32_t *slots, nslots;	/* a hash table of number + 1; nslots is a power of two */
	uint64_t seed;
};
void res_names_init(struct res_names *t, struct arena *a);
uint32_t res_names_add(struct res_names *t, const char *x, const char *y);
uint32_t res_names_find(const struct res_names *t, const char *x, const char *y);	/* NONE: never met */

struct node {
	const struct event *ev;		/* NULL: not loaded, or not known */
	const struct event *as_state;	/* once it was asked for as part of a state */
	int64_t order;
	uint32_t *auth, nauth;		/* the nodes of its auth_events */
	uint32_t key;			/* NONE without ev */
	uint32_t sets, last_set;	/* how many of the auth chains it is in; the one that was counted last */
	uint32_t place;			/* in the mainline */
	int64_t power;			/* of its sender, by its auth events */
	uint32_t waits;			/* how many of its auth events the ordering still lacks */
	bool loaded, chained;		/* it was asked for; its whole chain was */
	bool filled;			/* its content was asked for */
	bool conflicted;		/* in the conflicted state set */
	bool common;			/* in the auth chain of the agreed state */
	bool above;			/* has a conflicting event in its chain */
	bool full;			/* in the full conflicted set */
	bool picked;			/* in the set X of step 1 */
	bool placed;			/* place is known */
};

struct res_pair {
	uint32_t key, node;
};

struct res {
	struct ctx *cx;			/* the caller's: for what lasts */
	struct ctx judge;		/* a copy with an arena that each rule check leaves as it was */
	const struct room_version *rv;
	const char *room;
	const struct state_source *src;
	const struct event *create;	/* no_create_in_auth; else NULL */

	struct res_names keys, ids;
	struct node *nodes;		/* beside ids; moves when ids are added */
	uint32_t cap;

	uint32_t nsets;
	struct res_pair **pairs;	/* the states */
	uint32_t *npairs;
	uint32_t *agreed;		/* per key of the states: the node in the unconflicted state map, or NONE */
	uint32_t nagreed;
	bool conflict;			/* is there any? */

	uint32_t *state, nstate;	/* per key: what the resolution has come to; see res_state_init() */
	bool cite;			/* what state lacks is taken from the event's auth_events */
};

/* state_res.c */
uint32_t res_node(struct res *r, const char *id);
void res_load(struct res *r, const uint32_t *nodes, uint32_t n);	/* those that are not loaded */
void res_fill(struct res *r, const uint32_t *nodes, uint32_t n);	/* their content, where the rules look into it */
void res_fill_judged(struct res *r, const uint32_t *nodes, uint32_t n);	/* and that of what they name in auth_events */
void res_load_chains(struct res *r, const uint32_t *nodes, uint32_t n);	/* and all that they are built on */
uint32_t res_agreed(const struct res *r, uint32_t key);
void res_load_judges(struct res *r, const uint32_t *nodes, uint32_t n);	/* the agreed state that the rules ask for */
void res_state_init(struct res *r, bool with_agreed);
bool res_allows(struct res *r, uint32_t node);	/* do the rules allow it in the state as it is? */
int res_id_cmp(const char *x, const char *y);	/* esc ids, by their raw bytes */

void resolve_v1(struct res *r);
void resolve_v2(struct res *r);

#endif
