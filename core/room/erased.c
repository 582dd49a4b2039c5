/* core/room/erased.c - see erased.h. */
#include "core/room/erased.h"
#include "core/base/sorted.h"

STMT(erased_of, "SELECT usr FROM account WHERE usr = ANY($1) AND erased ORDER BY usr");

void
room_event_hide(struct arena *a, const struct room_version *rv, struct room_event *ev)
{
	const char *content = room_event_content(a, ev);
	struct json *tree = NULL;

	json_parse(a, content, strlen(content), &tree);
	ev->content = json_canonical_str(a, event_redact_content(a, rv, ev->type, tree), NULL);
	ev->flags &= ~EV_VERBATIM;
}

static bool
was_there(struct arena *a, const struct erased_ask *k)
{
	return k->vis == NULL || visibility_membership(a, k->vis, k->ev) == MEM_JOIN;
}

enum err
erased_hide(struct ctx *cx, const struct erased_ask *v, size_t n)
{
	int64_t *senders = arena_alloc(cx->a, (n + 1) * sizeof *senders);
	size_t k = 0, nerased = 0;
	struct rows r;
	enum err e;

	for (size_t i = 0; i < n; i++)
		if (!was_there(cx->a, &v[i]) && (k == 0 || senders[k - 1] != v[i].ev->sender_nid))
			senders[k++] = v[i].ev->sender_nid;
	if (k == 0)
		return M_OK;
	if ((e = db_query(cx, &r, &erased_of, P_I64S(senders, k))) != M_OK || r.n == 0)
		return e;
	while (db_next(&r))
		senders[nerased++] = db_i64(&r, 0);
	for (size_t i = 0; i < n; i++)
		if (i64_in(senders, nerased, v[i].ev->sender_nid) && !was_there(cx->a, &v[i]))
			room_event_hide(cx->a, v[i].rv, v[i].ev);
	return M_OK;
}
