/* core/user/tag.c - labels of rooms; see tag.h. */
#include "core/user/tag.h"

#include <stdlib.h>

#include "core/user/account_data.h"

enum err
tag_list(struct ctx *cx, const char *room, const char **content)
{
	enum err e = account_data_get(cx, room, "m.tag", content);

	if (e != M_NOT_FOUND)
		return e;
	*content = "{\"tags\":{}}";
	return M_OK;
}

/* The tags as they are, held against other writers. */
static enum err
tags_hold(struct ctx *cx, const char *room, struct json **all, struct json **tags)
{
	const char *text;
	enum err e;

	if ((e = account_data_hold(cx)) != M_OK || (e = tag_list(cx, room, &text)) != M_OK)
		return e;
	json_parse(cx->a, text, strlen(text), all);
	if (!json_is(*tags = json_get(*all, "tags"), JSON_OBJ)) {	/* set by hand to something else */
		*all = json_new_obj(cx->a);
		json_set(cx->a, *all, "tags", *tags = json_new_obj(cx->a));
	}
	return M_OK;
}

/* "a number between 0 and 1" */
static bool
order_is_good(const struct json *order)
{
	double v;

	if (!order)
		return true;
	if (order->type == JSON_INT)
		return order->u.i == 0 || order->u.i == 1;
	if (order->type != JSON_NUM)
		return false;
	v = strtod(order->u.str.s, NULL);
	return v >= 0 && v <= 1;
}

enum err
tag_set(struct ctx *cx, const char *room, const char *tag, struct json *body)
{
	struct json *all, *tags;
	enum err e;

	if (esc_raw_len(tag) > TAG_MAX)
		return fail(cx, M_INVALID_PARAM, "a tag's name has at most %d bytes", TAG_MAX);
	if (!order_is_good(json_get(body, "order")))
		return fail(cx, M_INVALID_PARAM, "order must be a number from 0 to 1");
	if ((e = tags_hold(cx, room, &all, &tags)) != M_OK)
		return e;
	json_set_esc(cx->a, tags, tag, body);
	return account_data_set(cx, room, "m.tag", all);
}

enum err
tag_delete(struct ctx *cx, const char *room, const char *tag)
{
	struct json *all, *tags, *left = json_new_obj(cx->a);
	enum err e;

	if ((e = tags_hold(cx, room, &all, &tags)) != M_OK || !json_get_by_esc(tags, tag))
		return e;
	for (size_t i = 0; i < tags->u.obj.n; i++) {
		const struct json_member *m = &tags->u.obj.v[i];

		if (!esc_equals_raw(tag, m->key, m->key_n))
			json_set_esc(cx->a, left, esc_from_raw(cx->a, m->key, m->key_n), m->value);
	}
	json_set(cx->a, all, "tags", left);
	return account_data_set(cx, room, "m.tag", all);
}
