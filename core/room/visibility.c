/* core/room/visibility.c - see visibility.h. */
#include "core/room/visibility.h"
#include "core/room/names.h"

/*
 * Kinds: 0 the member key, 1 the history visibility; of line 0, and what forks say of them. In the order of versions: a row holds until
 * the next of its line. A row without an event says: absent. LATERAL with ORDER BY keeps the planner from joining whole tables while they have no statistics.
 */
#define SPANS(kind, type_, key_)									\
	"SELECT k.n, " kind ", s.line, s.since, s.membership, e.content, e.flags"			\
	" FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY k(usr, room, n)"			\
	" CROSS JOIN LATERAL ((SELECT line, since, membership, event FROM state WHERE room = k.room AND line = 0 AND type = " type_	\
	"	AND key = " key_ " ORDER BY since) UNION ALL (SELECT line, since, membership, event FROM state WHERE room = k.room"	\
	"	AND line <> 0 AND type = " type_ " AND key = " key_ " ORDER BY line, since)) s"		\
	" LEFT JOIN LATERAL (SELECT content, flags FROM event WHERE nid = s.event AND " kind " = 1 OFFSET 0) e ON true"
STMT(visibility_spans, SPANS("0", "2", "k.usr") " UNION ALL " SPANS("1", "5", "0") " ORDER BY 1, 2, 3, 4");

enum history
history_of(const struct json *content)
{
	const char *s = json_get_str(content, "history_visibility");

	if (s == NULL)
		return HIST_SHARED;
	if (strcmp(s, "world_readable") == 0)
		return HIST_WORLD_READABLE;
	if (strcmp(s, "invited") == 0)
		return HIST_INVITED;
	return strcmp(s, "joined") == 0 ? HIST_JOINED : HIST_SHARED;
}

static const struct json *
content_tree(struct arena *a, const char *content, int flags)
{
	struct json *v = NULL;

	json_parse(a, content, strlen(content), &v);
	return flags & EV_VERBATIM ? json_get(v, "content") : v;
}

void
visibility_queue(struct ctx *cx, struct rows *r, const int64_t *users, const int64_t *rooms, size_t n)
{
	db_queue(cx, r, DB_ANY, &visibility_spans, P_I64S(users, n), P_I64S(rooms, n));
}

static void
take_row(struct ctx *cx, struct rows *r, struct visibility *v)
{
	struct vis_span s = { (int)db_i64(r, 2), db_i64(r, 3), VER_MAX, (int)db_i64(r, 4) };
	bool history = db_i64(r, 1) == 1;
	struct vis_span **list = history ? &v->hist : &v->mem;
	size_t *n = history ? &v->nhist : &v->nmem;
	struct vis_span *last = *n > 0 && (*list)[*n - 1].line == s.line ? &(*list)[*n - 1] : NULL;

	if (history)
		s.value = (int)(db_null(r, 5) ? HIST_SHARED : history_of(content_tree(cx->a, db_text(r, 5), (int)db_i64(r, 6))));
	if (last != NULL)
		last->until = s.since;
	if (!history && s.line == 0 && last != NULL && last->value == MEM_JOIN)
		v->joined_until = s.since;
	if (!history && s.line == 0 && s.value == MEM_JOIN)
		v->joined_until = VER_MAX;
	*list = arena_realloc(cx->a, *list, *n * sizeof **list, (*n + 1) * sizeof **list);
	(*list)[(*n)++] = s;
}

void
visibility_take(struct ctx *cx, struct rows *r, const int64_t *users, size_t n, struct visibility *out)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (struct visibility){ .user = users[i] };
	while (db_next(r))
		take_row(cx, r, &out[db_i64(r, 0) - 1]);
}

/*
 * The value before an event: what its line does not say, the next on its path says (copy-on-write). Where the state before
 * it is not known (history that was filled in), that of the room when it was met counts: the server that told of it has judged before.
 */
static int
value_at(const struct vis_span *s, size_t n, const struct room_event *ev, int dflt)
{
	const int64_t own[] = { ev->ver >= 0 ? ev->line : 0, ev->ver >= 0 ? ev->ver : ev->at_ver };
	const int64_t *path = ev->npath > 0 ? ev->path : own;

	for (size_t step = 0; step < (ev->npath > 0 ? ev->npath : 2); step += 2)
		for (size_t i = 0; i < n; i++)
			if (s[i].line == path[step] && s[i].since <= path[step + 1] && path[step + 1] < s[i].until)
				return s[i].value;
	return dflt;
}

/* Rules 1 to 5 for one pair of values. */
static bool
allowed(const struct visibility *v, const struct room_event *ev, enum history h, enum membership m)
{
	bool joined_later = v->joined_until > ev->at_ver;

	if (h == HIST_WORLD_READABLE || m == MEM_JOIN)
		return true;
	if (h == HIST_SHARED)
		return joined_later;
	/* Someone invited sees nothing before joining: "a user needs to join a room to view events". */
	return h == HIST_INVITED && m == MEM_INVITE && joined_later;
}

bool
visibility_allows(struct arena *a, const struct visibility *v, const struct room_event *ev)
{
	enum history h = (enum history)value_at(v->hist, v->nhist, ev, HIST_SHARED);
	enum membership m = (enum membership)value_at(v->mem, v->nmem, ev, MEM_NONE);

	if (allowed(v, ev, h, m))
		return true;
	if (ev->type_nid == T_MEMBER && ev->key_nid == v->user)
		return allowed(v, ev, h, visibility_membership(a, v, ev));
	if (ev->type_nid == T_HISTORY_VISIBILITY && ev->key_nid == NAME_EMPTY)
		return allowed(v, ev, history_of(content_tree(a, ev->content, ev->flags)), m);
	return false;
}

enum membership
visibility_membership(struct arena *a, const struct visibility *v, const struct room_event *ev)
{
	enum membership m;

	if (ev->type_nid == T_MEMBER && ev->key_nid == v->user)
		m = membership_of(json_get_str(content_tree(a, ev->content, ev->flags), "membership"));
	else
		m = (enum membership)value_at(v->mem, v->nmem, ev, MEM_NONE);
	return m == MEM_NONE ? MEM_LEAVE : m;
}

bool
visibility_member_before(int64_t since, const struct room_event *ev)
{
	if (ev->npath > 0 || (ev->ver >= 0 && ev->line != 0))
		return false;
	return (ev->ver >= 0 ? ev->ver : ev->at_ver) >= since;
}

bool
visibility_was_in(struct arena *a, const struct visibility *v, const struct room_event *ev)
{
	return value_at(v->mem, v->nmem, ev, MEM_NONE) == MEM_JOIN || visibility_membership(a, v, ev) == MEM_JOIN;
}

static const struct vis_span *
now(const struct vis_span *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i].line == 0 && s[i].until == VER_MAX)
			return &s[i];
	return NULL;
}

enum membership
visibility_membership_now(const struct visibility *v)
{
	const struct vis_span *s = now(v->mem, v->nmem);

	return s != NULL ? (enum membership)s->value : MEM_NONE;
}

enum history
visibility_history_now(const struct visibility *v)
{
	const struct vis_span *s = now(v->hist, v->nhist);

	return s != NULL ? (enum history)s->value : HIST_SHARED;
}

int64_t
visibility_member_since(const struct visibility *v)
{
	const struct vis_span *s = now(v->mem, v->nmem);

	return s != NULL ? s->since : 0;
}
