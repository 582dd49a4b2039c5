/* core/sync/filter.c - see filter.h. Client-Server API, "Filtering"; data: filter.yaml, event_filter.yaml, room_event_filter.yaml. */
#include "core/base/id.h"
#include "core/sync/filter.h"

struct field_path {
	const char **key;	/* raw, without NULs: a path through a key with U+0000 finds nothing */
	size_t n;
};

static const struct event_filter match_all = { .limit = FILTER_LIMIT, .contains_url = -1, .any = true };

const struct filter *
filter_none(void)
{
	static struct filter f;

	if (!f.timeline.any)
		f.presence = f.account_data = f.timeline = f.state = f.ephemeral = f.room_data = match_all;
	return &f;
}

/* ---- matching */

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Shell-like matching where only `*` is special; goes back at most to the last star, so it is quadratic at worst. */
static bool
glob(const char *p, const char *s)
{
	const char *star = NULL, *back = NULL;

	for (;;) {
		if (*p == '*') {
			star = ++p;
			back = s;
		} else if (*s && *p == *s) {
			p++;
			s++;
		} else if (!*s && !*p) {
			return true;
		} else if (star && *back) {
			p = star;
			s = ++back;
		} else {
			return false;
		}
	}
}

static bool
list_has(const struct filter_list *l, const char *s)
{
	size_t i;

	if (l->n && bsearch(&s, l->v, l->n, sizeof *l->v, by_text))
		return true;
	for (i = 0; i < l->nglobs; i++)
		if (glob(l->globs[i], s))
			return true;
	return false;
}

static bool
passes(const struct filter_list *yes, const struct filter_list *no, const char *s)
{
	return !(no->given && list_has(no, s)) && (!yes->given || list_has(yes, s));
}

bool
filter_room(const struct filter *f, const char *room)
{
	return passes(&f->rooms, &f->not_rooms, room);
}

static bool
has_url(const char *content)
{
	struct arena *a;
	struct json *v;
	bool has;

	if (!content || !strstr(content, "\"url\":"))	/* canonical JSON: no key can hide */
		return false;
	a = arena_new();
	has = json_parse(a, content, strlen(content), &v) == JSON_OK && json_is(json_get(v, "url"), JSON_STR);
	arena_free(a);
	return has;
}

bool
filter_event(const struct event_filter *f, const char *room, const char *type, const char *sender, const char *content)
{
	if (f->any)
		return true;
	return passes(&f->types, &f->not_types, type) &&
	    (!room || passes(&f->rooms, &f->not_rooms, room)) &&
	    (!sender || passes(&f->senders, &f->not_senders, sender)) &&
	    (f->contains_url < 0 || has_url(content) == f->contains_url);
}

/* ---- reading */

enum list_kind { TYPES, USERS, ROOMS };

static enum err
read_list(struct ctx *cx, const struct json *obj, const char *key, enum list_kind kind, struct filter_list *l)
{
	const struct json *v = json_get(obj, key);
	size_t i;

	*l = (struct filter_list){ 0 };
	if (!v || v->type == JSON_NULL)
		return M_OK;
	if (v->type != JSON_ARR)
		return fail(cx, M_BAD_JSON, "filter: %s must be a list", key);
	l->given = true;
	l->v = arena_calloc(cx->a, v->u.arr.n, sizeof *l->v);
	l->globs = arena_calloc(cx->a, v->u.arr.n, sizeof *l->globs);
	for (i = 0; i < v->u.arr.n; i++) {
		const char *s;

		if (!json_is(v->u.arr.v[i], JSON_STR))
			return fail(cx, M_BAD_JSON, "filter: %s must be a list of strings", key);
		s = json_esc_of(cx->a, v->u.arr.v[i]);
		if (kind == USERS && !id_is_user(s))
			return fail(cx, M_INVALID_PARAM, "filter: %s must be user ids", key);
		if (kind == ROOMS && !id_is_room(s))
			return fail(cx, M_INVALID_PARAM, "filter: %s must be room ids", key);
		if (kind == TYPES && strchr(s, '*'))
			l->globs[l->nglobs++] = s;
		else
			l->v[l->n++] = s;
	}
	if (l->n)
		qsort(l->v, l->n, sizeof *l->v, by_text);
	return M_OK;
}

/* *out keeps its value when the key is absent. */
static enum err
read_bool(struct ctx *cx, const struct json *obj, const char *key, bool *out)
{
	const struct json *v = json_get(obj, key);

	if (!v || v->type == JSON_NULL)
		return M_OK;
	if (v->type != JSON_BOOL)
		return fail(cx, M_BAD_JSON, "filter: %s must be true or false", key);
	*out = v->u.b;
	return M_OK;
}

static enum err
read_limit(struct ctx *cx, const struct json *obj, int *out)
{
	const struct json *v = json_get(obj, "limit");

	if (!v || v->type == JSON_NULL)
		return M_OK;
	if (v->type != JSON_INT)
		return fail(cx, M_BAD_JSON, "filter: limit must be an integer");
	if (v->u.i < 0)
		return fail(cx, M_INVALID_PARAM, "filter: limit must not be negative");
	*out = v->u.i < FILTER_LIMIT_MAX ? (int)v->u.i : FILTER_LIMIT_MAX;
	return M_OK;
}

static enum err
read_object(struct ctx *cx, const struct json *obj, const char *key, const struct json **out)
{
	*out = json_get(obj, key);
	if (json_is(*out, JSON_NULL))
		*out = NULL;
	if (*out && (*out)->type != JSON_OBJ)
		return fail(cx, M_BAD_JSON, "filter: %s must be an object", key);
	return M_OK;
}

static enum err
read_event_filter(struct ctx *cx, const struct json *parent, const char *key, struct event_filter *f)
{
	const struct json *v;
	bool url = false, url_given;
	enum err e;

	*f = match_all;
	if ((e = read_object(cx, parent, key, &v)) != M_OK || !v)
		return e;
	url_given = json_get(v, "contains_url") && !json_is(json_get(v, "contains_url"), JSON_NULL);
	if ((e = read_limit(cx, v, &f->limit)) != M_OK ||
	    (e = read_list(cx, v, "types", TYPES, &f->types)) != M_OK ||
	    (e = read_list(cx, v, "not_types", TYPES, &f->not_types)) != M_OK ||
	    (e = read_list(cx, v, "senders", USERS, &f->senders)) != M_OK ||
	    (e = read_list(cx, v, "not_senders", USERS, &f->not_senders)) != M_OK ||
	    (e = read_list(cx, v, "rooms", ROOMS, &f->rooms)) != M_OK ||
	    (e = read_list(cx, v, "not_rooms", ROOMS, &f->not_rooms)) != M_OK ||
	    (e = read_bool(cx, v, "contains_url", &url)) != M_OK ||
	    (e = read_bool(cx, v, "lazy_load_members", &f->lazy_members)) != M_OK ||
	    (e = read_bool(cx, v, "include_redundant_members", &f->redundant_members)) != M_OK ||
	    (e = read_bool(cx, v, "unread_thread_notifications", &f->thread_counts)) != M_OK)
		return e;
	f->contains_url = url_given ? url : -1;
	f->any = !f->types.given && !f->not_types.n && !f->not_types.nglobs && !f->senders.given && !f->not_senders.n &&
	    !f->rooms.given && !f->not_rooms.n && f->contains_url < 0;
	return M_OK;
}

/* Appendices, "Dot-separated property paths": `\.` and `\\` are a literal dot and backslash, other backslashes stay. */
static void
read_path(struct arena *a, const char *s, struct field_path *p)
{
	struct buf b;
	size_t max = 1;
	const char *c;

	for (c = s; *c; c++)
		max += *c == '.';
	p->key = arena_calloc(a, max, sizeof *p->key);
	p->n = 0;
	buf_init(&b, a);
	for (c = s;; c++) {
		if (*c == '\\' && (c[1] == '.' || c[1] == '\\')) {
			buf_putc(&b, *++c);
		} else if (*c == '.' || !*c) {
			p->key[p->n++] = b.s;
			if (!*c)
				return;
			buf_init(&b, a);
		} else {
			buf_putc(&b, *c);
		}
	}
}

static enum err
read_fields(struct ctx *cx, const struct json *obj, struct filter *f)
{
	const struct json *v = json_get(obj, "event_fields");
	size_t i;

	if (!v || v->type == JSON_NULL)
		return M_OK;
	if (v->type != JSON_ARR)
		return fail(cx, M_BAD_JSON, "filter: event_fields must be a list");
	f->fields = arena_calloc(cx->a, v->u.arr.n, sizeof *f->fields);
	f->only_fields = true;
	for (i = 0; i < v->u.arr.n; i++) {
		const struct json *s = v->u.arr.v[i];

		if (!json_is(s, JSON_STR))
			return fail(cx, M_BAD_JSON, "filter: event_fields must be a list of strings");
		if (memchr(s->u.str.s, 0, s->u.str.n))
			continue;
		read_path(cx->a, s->u.str.s, &f->fields[f->nfields++]);
	}
	return M_OK;
}

static enum err
read_format(struct ctx *cx, const struct json *obj, struct filter *f)
{
	const struct json *v = json_get(obj, "event_format");

	if (!v || v->type == JSON_NULL)
		return M_OK;
	if (v->type != JSON_STR)
		return fail(cx, M_BAD_JSON, "filter: event_format must be a string");
	f->federation = json_str_eq(v, "federation");
	if (!f->federation && !json_str_eq(v, "client"))
		return fail(cx, M_INVALID_PARAM, "filter: event_format must be client or federation");
	return M_OK;
}

enum err
filter_read(struct ctx *cx, const struct json *v, struct filter *f)
{
	const struct json *room;
	enum err e;

	*f = (struct filter){ 0 };
	if (!json_is(v, JSON_OBJ))
		return fail(cx, M_BAD_JSON, "a filter must be an object");
	if ((e = read_fields(cx, v, f)) != M_OK ||
	    (e = read_format(cx, v, f)) != M_OK ||
	    (e = read_event_filter(cx, v, "presence", &f->presence)) != M_OK ||
	    (e = read_event_filter(cx, v, "account_data", &f->account_data)) != M_OK ||
	    (e = read_object(cx, v, "room", &room)) != M_OK ||
	    (e = read_list(cx, room, "rooms", ROOMS, &f->rooms)) != M_OK ||
	    (e = read_list(cx, room, "not_rooms", ROOMS, &f->not_rooms)) != M_OK ||
	    (e = read_bool(cx, room, "include_leave", &f->include_leave)) != M_OK ||
	    (e = read_event_filter(cx, room, "timeline", &f->timeline)) != M_OK ||
	    (e = read_event_filter(cx, room, "state", &f->state)) != M_OK ||
	    (e = read_event_filter(cx, room, "ephemeral", &f->ephemeral)) != M_OK)
		return e;
	return read_event_filter(cx, room, "account_data", &f->room_data);
}

enum err
filter_check(struct ctx *cx, const struct json *v)
{
	struct filter f;

	return filter_read(cx, v, &f);
}

enum err
filter_parse(struct ctx *cx, const char *text, const struct filter **out)
{
	struct filter *f = arena_alloc(cx->a, sizeof *f);
	struct json *v;
	enum err e;

	if (json_parse(cx->a, text, strlen(text), &v) != JSON_OK)
		return fail(cx, M_NOT_JSON, "the filter is not JSON");
	if ((e = filter_read(cx, v, f)) == M_OK)
		*out = f;
	return e;
}

/* ---- event_fields */

/* Copies what the path names from src into dst, making the objects on the way. */
static void
copy_path(struct arena *a, struct json *dst, const struct json *src, const struct field_path *p)
{
	size_t i;

	for (i = 0; i < p->n; i++) {
		struct json *v = json_get(src, p->key[i]), *d;

		if (!v)
			return;
		if (i + 1 == p->n) {
			json_set(a, dst, p->key[i], v);
			return;
		}
		if (v->type != JSON_OBJ)
			return;
		d = json_get(dst, p->key[i]);
		if (d == v)		/* a shorter path has taken the whole */
			return;
		if (!d)
			json_set(a, dst, p->key[i], d = json_new_obj(a));
		dst = d;
		src = v;
	}
}

struct json *
filter_fields(struct arena *a, const struct filter *f, const struct json *event)
{
	struct json *out = json_new_obj(a);
	size_t i;

	for (i = 0; i < f->nfields; i++)
		copy_path(a, out, event, &f->fields[i]);
	return out;
}
