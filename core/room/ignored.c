/* core/room/ignored.c - see ignored.h. */
#include "core/room/ignored.h"
#include "core/base/id.h"
#include "core/base/json.h"

STMT(ignored_list, "SELECT content FROM account_data WHERE usr = $1 AND room = 0 AND type = 'm.ignored_user_list'");

void
ignored_list_queue(struct ctx *cx, struct rows *r)
{
	db_queue(cx, r, DB_MAYBE, &ignored_list, P_I64(cx->user != NULL ? cx->user_nid : -1));
}

void
ignored_list_take(struct ctx *cx, struct rows *r, struct ignored *out)
{
	const struct json *users;
	struct json *v = NULL;

	*out = (struct ignored){ 0 };
	if (r->n == 0)
		return;
	json_parse(cx->a, db_text(r, 0), strlen(db_text(r, 0)), &v);
	users = json_get(v, "ignored_users");
	if (!json_is(users, JSON_OBJ))
		return;
	out->users = arena_calloc(cx->a, users->u.obj.n + 1, sizeof *out->users);
	for (size_t i = 0; i < users->u.obj.n; i++)
		out->users[out->n++] = esc_from_raw(cx->a, users->u.obj.v[i].key, users->u.obj.v[i].key_n);
}

bool
ignored_has(const struct ignored *g, const char *user)
{
	return g != NULL && id_among(user, g->users, g->n);
}
