/*
 * core/user/push_rules.h - push rules (Client-Server API, "Push Rules", v1.19 "Predefined Rules").
 *
 * Stored, in a user's account data row m.push_rules, is only how his rules differ from the predefined ones, in the shape
 * of the answer: {"global":{"override":[...],...}} with his own rules in their order, and of a predefined rule (its id
 * starts with a dot) what he changed: {"rule_id":".m.rule.master","enabled":true}. So predefined rules that a later
 * specification adds or alters reach everyone. Whoever shows the row to somebody merges it first. Without
 * a row the predefined rules are in force; they name the user (m.mentions, invites), so they are text with gaps.
 */
#ifndef HEARTH_PUSH_RULES_H
#define HEARTH_PUSH_RULES_H

#include "core/base/json.h"
#include "core/ctx.h"

#define PUSH_RULES_MAX ((size_t)128 << 10)	/* bytes of one user's differences: more is M_TOO_LARGE */
#define PUSH_LOOKS_MAX 200	/* patterns and conditions of one's own that look into messages; more is M_TOO_LARGE. Each costs every push and count */

/* The content of m.push_rules, {"global":{...}}, canonical JSON: the predefined rules of a user (esc id). */
const char *push_rules_of(struct arena *a, const char *user);
/* The same with the stored differences (NULL: none) laid over: in each kind his own rules first, but .m.rule.master before all. */
const char *push_rules_merge(struct arena *a, const char *user, const char *stored);

/* "override", "content", "room", "sender" or "underride"? */
bool push_rules_kind(const char *kind);

/* The rules in force of cx->user: *out is the tree {"global":{...}}. One round trip. */
enum err push_rules_get(struct ctx *cx, struct json **out);
/* Those of one kind, an array. M_INVALID_PARAM for another kind. */
enum err push_rules_get_kind(struct ctx *cx, const char *kind, struct json **out);
/* One rule of them. Unknown rule: M_NOT_FOUND. */
enum err push_rule_get(struct ctx *cx, const char *kind, const char *rule_id, struct json **out);

/*
 * Changes to the rules of cx->user (push_rules_change.c). TX_RW. Each wakes his syncs, unless nothing is different after it.
 * Writers one after the other. A rule that does not exist: M_NOT_FOUND. Ids are esc strings.
 *
 * put makes a rule of the user's own from {actions, conditions, pattern}, or alters it in its place; before and after
 * (NULL: not given; before is the stronger) name a rule of his own beside which it goes; a new one otherwise goes to the top.
 */
enum err push_rule_put(struct ctx *cx, const char *kind, const char *rule_id, const struct json *body,
    const char *before, const char *after);
enum err push_rule_delete(struct ctx *cx, const char *kind, const char *rule_id);	/* a predefined one: M_INVALID_PARAM */
enum err push_rule_enable(struct ctx *cx, const char *kind, const char *rule_id, bool enabled);
enum err push_rule_set_actions(struct ctx *cx, const char *kind, const char *rule_id, const struct json *actions);

#endif
