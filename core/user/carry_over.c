/* core/user/carry_over.c - see carry_over.h. */
#include "core/user/carry_over.h"

#include "core/base/json.h"
#include "core/db/db.h"

STMT(carry_tags,
    "INSERT INTO account_data (usr, room, type, content) SELECT d.usr, $3, d.type, d.content FROM account_data d"
    " WHERE d.usr = $1 AND d.room = (SELECT nid FROM room WHERE id = $2) AND d.type = 'm.tag' ON CONFLICT (usr, room, type) DO NOTHING");
STMT(carry_global,
    "SELECT type, content FROM account_data WHERE usr = $1 AND room = 0 AND type IN ('m.direct', 'm.push_rules') ORDER BY type FOR UPDATE");
STMT(carry_update, "UPDATE account_data SET content = $3 WHERE usr = $1 AND room = 0 AND type = $2");

/* Is s among the strings of the list? */
static bool
holds(const struct json *list, const struct json *s)
{
	for (size_t i = 0; i < list->u.arr.n; i++)
		if (json_equal(list->u.arr.v[i], s))
			return true;
	return false;
}

/* {"@bob:x": ["!room:x"]} */
static bool
carry_direct(struct arena *a, struct json *direct, const struct json *old, struct json *new)
{
	bool changed = false;

	for (size_t i = 0; json_is(direct, JSON_OBJ) && i < direct->u.obj.n; i++) {
		struct json *rooms = direct->u.obj.v[i].value;
		if (json_is(rooms, JSON_ARR) && holds(rooms, old) && !holds(rooms, new)) {
			json_push(a, rooms, new);
			changed = true;
		}
	}
	return changed;
}

/* {"global": {"room": [{"rule_id": "!room:x", ...}]}} */
static bool
carry_rule(struct arena *a, struct json *content, const struct json *old, struct json *new)
{
	struct json *rules = json_get(json_get(content, "global"), "room"), *copy = NULL;

	for (size_t i = 0; json_is(rules, JSON_ARR) && i < rules->u.arr.n; i++) {
		const struct json *rule = rules->u.arr.v[i], *id = json_get(rule, "rule_id");
		if (id != NULL && json_equal(id, new))
			return false;
		if (id != NULL && json_equal(id, old))
			copy = json_copy(a, rule);
	}
	if (copy == NULL)
		return false;
	json_set(a, copy, "rule_id", new);
	json_push(a, rules, copy);
	return true;
}

enum err
user_carry_over(struct ctx *cx, const char *old, int64_t room, const char *id)
{
	struct json *from = json_new_esc(cx->a, old), *to = json_new_esc(cx->a, id), *content;
	struct rows r;
	enum err e;

	db_queue(cx, NULL, DB_NONE, &carry_tags, P_I64(cx->user_nid), P_TEXT(old), P_I64(room));
	if ((e = db_query(cx, &r, &carry_global, P_I64(cx->user_nid))) != M_OK)
		return e;
	touch_user(cx, cx->user_nid);
	while (db_next(&r)) {
		const char *type = db_text(&r, 0), *text = db_text(&r, 1);
		if (json_parse(cx->a, text, strlen(text), &content) != JSON_OK)
			continue;
		if (strcmp(type, "m.direct") == 0 ? carry_direct(cx->a, content, from, to) : carry_rule(cx->a, content, from, to))
			db_queue(cx, NULL, DB_NONE, &carry_update, P_I64(cx->user_nid), P_TEXT(type),
			    P_TEXT(json_canonical_str(cx->a, content, NULL)));
	}
	return M_OK;
}
