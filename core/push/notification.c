/* core/push/notification.c - what a push gateway is told, and what it answers; see notification.h. */
#include "core/push/notification.h"

#include <string.h>

static void
opt_esc(struct json_out *o, const char *key, const char *esc)
{
	if (esc != NULL)
		json_esc(o, key, esc);
}

/* "When ... the format is "event_id_only", only the event_id, room_id, counts, and devices are required to be populated." */
static void
write_event(struct json_out *o, const struct push_notification *n, bool id_only)
{
	bool urgent = n->highlight || n->sound != NULL || strcmp(n->type, "m.room.encrypted") == 0;

	json_esc(o, "event_id", n->id);
	json_esc(o, "room_id", n->room_id);
	json_str(o, "prio", urgent ? "high" : "low");
	if (id_only)
		return;
	json_esc(o, "id", n->id);	/* what event_id was called once: old gateways know nothing else */
	json_esc(o, "type", n->type);
	json_esc(o, "sender", n->sender);
	opt_esc(o, "sender_display_name", n->sender_name);
	opt_esc(o, "room_name", n->room_name != NULL ? n->room_name : n->room_alias);
	opt_esc(o, "room_alias", n->room_alias);
	if (n->member_event) {
		opt_esc(o, "membership", n->membership);	/* not in the specification; gateways tell an invitation by it */
		json_bool(o, "user_is_target", n->user_is_target);
	}
	if (n->content != NULL)
		json_raw(o, "content", n->content);
}

static void
write_device(struct json_out *o, const struct push_notification *n)
{
	json_arr(o, "devices");
	json_obj(o, NULL);
	json_esc(o, "app_id", n->app_id);
	json_esc(o, "pushkey", n->pushkey);
	json_int(o, "pushkey_ts", n->pushkey_ts / 1000);
	json_obj(o, "data");
	for (size_t i = 0; json_is(n->data, JSON_OBJ) && i < n->data->u.obj.n; i++) {
		const struct json_member *m = &n->data->u.obj.v[i];

		if (m->key_n == 3 && memcmp(m->key, "url", 3) == 0)
			continue;
		json_key_esc(o, esc_from_raw(o->b.a, m->key, m->key_n));
		json_value(o, NULL, m->value);
	}
	json_end(o);
	if (n->id != NULL) {
		json_obj(o, "tweaks");
		opt_esc(o, "sound", n->sound);
		if (n->highlight)
			json_bool(o, "highlight", true);
		json_end(o);
	}
	json_end(o);
	json_end(o);
}

const char *
push_notification_body(struct arena *a, const struct push_notification *n, size_t *len)
{
	struct json_out o;

	json_out_init(&o, a);
	json_obj(&o, NULL);
	json_obj(&o, "notification");
	if (n->id != NULL)
		write_event(&o, n, json_str_eq(json_get(n->data, "format"), "event_id_only"));
	else
		json_str(&o, "prio", "low");
	json_obj(&o, "counts");
	/* Zero is left out, but where it is all there is to tell: gateways take a number that is missing for no news. */
	if (n->unread > 0 || n->id == NULL)
		json_int(&o, "unread", n->unread);
	json_end(&o);
	write_device(&o, n);
	json_end(&o);
	json_end(&o);
	*len = o.b.n;
	return o.b.s;
}

bool
push_answer_rejects(struct arena *a, const char *answer, size_t n, const char *pushkey)
{
	const struct json *list;
	struct json *all;

	if (json_parse(a, answer, n, &all) != JSON_OK)
		return false;
	list = json_get(all, "rejected");
	for (size_t i = 0; json_is(list, JSON_ARR) && i < list->u.arr.n; i++) {
		const struct json *v = list->u.arr.v[i];

		if (json_is(v, JSON_STR) && esc_equals_raw(pushkey, v->u.str.s, v->u.str.n))
			return true;
	}
	return false;
}
