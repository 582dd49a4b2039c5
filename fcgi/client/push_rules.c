/* fcgi/client/push_rules.c - Push Rules: reading and changing them; what one was notified of. */
#include "core/push/notifications.h"
#include "core/user/push_rules.h"
#include "fcgi/client/client.h"

/* GET /_matrix/client/v3/pushrules/ */
enum err
cl_get_push_rules(struct req *r)
{
	struct json *all;
	enum err e;

	if ((e = push_rules_get(&r->cx, &all)) != M_OK)
		return e;
	json_value(&r->out, NULL, all);
	return M_OK;
}

/* GET /_matrix/client/v3/pushrules/global/ */
enum err
cl_get_push_rules_global(struct req *r)
{
	struct json *all;
	enum err e;

	if ((e = push_rules_get(&r->cx, &all)) != M_OK)
		return e;
	json_value(&r->out, NULL, json_get(all, "global"));
	return M_OK;
}

/* GET /_matrix/client/v3/pushrules/global/{kind}/ (in practice) */
enum err
cl_get_push_rules_kind(struct req *r)
{
	struct json *rules;
	enum err e;

	if ((e = push_rules_get_kind(&r->cx, req_param(r, "kind"), &rules)) != M_OK)
		return e;
	json_value(&r->out, NULL, rules);
	return M_OK;
}

static enum err
find(struct req *r, struct json **rule)
{
	return push_rule_get(&r->cx, req_param(r, "kind"), req_param(r, "ruleId"), rule);
}

/* GET /_matrix/client/v3/pushrules/global/{kind}/{ruleId} */
enum err
cl_get_push_rule(struct req *r)
{
	struct json *rule;
	enum err e;

	if ((e = find(r, &rule)) != M_OK)
		return e;
	json_value(&r->out, NULL, rule);
	return M_OK;
}

/* GET /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/enabled */
enum err
cl_is_push_rule_enabled(struct req *r)
{
	struct json *rule;
	enum err e;

	if ((e = find(r, &rule)) != M_OK)
		return e;
	json_obj(&r->out, NULL);
	json_bool(&r->out, "enabled", json_get_bool(rule, "enabled", true));
	json_end(&r->out);
	return M_OK;
}

/* GET /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/actions */
enum err
cl_get_push_rule_actions(struct req *r)
{
	struct json *rule;
	enum err e;

	if ((e = find(r, &rule)) != M_OK)
		return e;
	json_obj(&r->out, NULL);
	json_value(&r->out, "actions", json_get(rule, "actions"));
	json_end(&r->out);
	return M_OK;
}

/* PUT /_matrix/client/v3/pushrules/global/{kind}/{ruleId} */
enum err
cl_set_push_rule(struct req *r)
{
	enum err e = push_rule_put(&r->cx, req_param(r, "kind"), req_param(r, "ruleId"), r->body, req_query(r, "before"),
	    req_query(r, "after"));

	return e == M_OK ? reply_empty(r) : e;
}

/* DELETE /_matrix/client/v3/pushrules/global/{kind}/{ruleId} */
enum err
cl_delete_push_rule(struct req *r)
{
	enum err e = push_rule_delete(&r->cx, req_param(r, "kind"), req_param(r, "ruleId"));

	return e == M_OK ? reply_empty(r) : e;
}

/* PUT /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/enabled */
enum err
cl_set_push_rule_enabled(struct req *r)
{
	bool enabled;
	enum err e;

	if (json_get(r->body, "enabled") == NULL)
		return fail(&r->cx, M_MISSING_PARAM, "missing enabled");
	if ((e = body_opt_bool(r, "enabled", true, &enabled)) != M_OK ||
	    (e = push_rule_enable(&r->cx, req_param(r, "kind"), req_param(r, "ruleId"), enabled)) != M_OK)
		return e;
	return reply_empty(r);
}

/* PUT /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/actions */
enum err
cl_set_push_rule_actions(struct req *r)
{
	enum err e = push_rule_set_actions(&r->cx, req_param(r, "kind"), req_param(r, "ruleId"), json_get(r->body, "actions"));

	return e == M_OK ? reply_empty(r) : e;
}

/* GET /_matrix/client/v3/notifications */
enum err
cl_get_notifications(struct req *r)
{
	const char *from = req_query(r, "from"), *only = req_query(r, "only");
	int64_t limit;
	enum err e;

	if ((e = req_query_int(r, "limit", 1, INT64_MAX, NOTIFICATIONS_LIMIT, &limit)) != M_OK)
		return e;
	return notifications_list(&r->cx, from, limit, only != NULL && strcmp(only, "highlight") == 0, &r->out);
}
