/*
 * core/user/push_rules.h - push rules (Client-Server API, "Push Rules", v1.19 "Predefined Rules").
 *
 * A user without an account data row m.push_rules has the default rules, made
 * here; they name the user (m.mentions, invites, the localpart), so they are text with gaps.
 */
#ifndef HEARTH_PUSH_RULES_H
#define HEARTH_PUSH_RULES_H

#include "core/base/json.h"
#include "core/ctx.h"

/* The content of m.push_rules, {"global":{...}}, canonical JSON: for any user (esc id), or for cx->user. */
const char *push_rules_of(struct arena *a, const char *user);
const char *push_rules_default(struct ctx *cx);

/* The rules in force of cx->user: *out is the tree {"global":{...}}. One round trip. */
enum err push_rules_get(struct ctx *cx, struct json **out);
/* One rule of them. kind: "override" ..., M_INVALID_PARAM for others; unknown rule: M_NOT_FOUND. */
enum err push_rule_get(struct ctx *cx, const char *kind, const char *rule_id, struct json **out);

#endif
