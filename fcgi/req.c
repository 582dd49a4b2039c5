/* fcgi/req.c - what handlers ask of a request; see req.h. */
#include "fcgi/req.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include "fcgi/path.h"

const char *
req_param(const struct req *r, const char *name)
{
	for (int i = 0; i < r->nparams; i++)
		if (strcmp(r->params[i].name, name) == 0)
			return r->params[i].value;
	assert(!"a name that is in the route's path");
	return NULL;
}

/* The pair's value as an esc string when its name is `name`, else NULL. Names are compared decoded. */
static const char *
query_value(struct req *r, struct slice name, struct slice value, const char *wanted)
{
	struct slice s;

	if (!url_decode(r->cx.a, name, true, &s) || strcmp(s.s, wanted) != 0 ||
	    !url_decode(r->cx.a, value, true, &s))
		return NULL;
	return esc_from_raw(r->cx.a, s.s, s.n);
}

const char *
req_query(struct req *r, const char *name)
{
	const char *found = NULL, *v, *pos = r->query;
	struct slice key, value;

	while (query_next(&pos, &key, &value))
		if ((v = query_value(r, key, value, name)) != NULL)
			found = v;
	return found;
}

size_t
req_query_all(struct req *r, const char *name, const char ***values)
{
	const char *v, *pos = r->query;
	struct slice key, value;
	size_t n = 0;

	*values = NULL;
	while (query_next(&pos, &key, &value)) {
		if ((v = query_value(r, key, value, name)) == NULL)
			continue;
		*values = arena_realloc(r->cx.a, *values, n * sizeof(**values), (n + 1) * sizeof(**values));
		(*values)[n++] = v;
	}
	return n;
}

enum err
req_query_int(struct req *r, const char *name, int64_t min, int64_t max, int64_t dflt, int64_t *out)
{
	const char *s = req_query(r, name);
	char *end;
	long long v;

	*out = dflt;
	if (!s)
		return M_OK;
	errno = 0;
	v = strtoll(s, &end, 10);
	/* strtoll() alone would take leading white space and '+' */
	if (!(*s == '-' || (*s >= '0' && *s <= '9')) || *end != '\0' || errno != 0 || v < min || v > max)
		return fail(&r->cx, M_INVALID_PARAM, "%s must be an integer from %lld to %lld", name,
		    (long long)min, (long long)max);
	*out = v;
	return M_OK;
}

enum err
req_query_bool(struct req *r, const char *name, bool dflt, bool *out)
{
	const char *s = req_query(r, name);

	*out = dflt;
	if (!s)
		return M_OK;
	*out = strcmp(s, "true") == 0;
	if (!*out && strcmp(s, "false") != 0)
		return fail(&r->cx, M_INVALID_PARAM, "%s must be true or false", name);
	return M_OK;
}

/* The member, or NULL when it is absent or null. A wrong type: *e = M_BAD_JSON. */
static struct json *
member(struct req *r, const char *key, enum json_type type, const char *what, enum err *e)
{
	struct json *v = json_get(r->body, key);

	*e = M_OK;
	if (!v || v->type == JSON_NULL)
		return NULL;
	if (v->type != type)
		*e = fail(&r->cx, M_BAD_JSON, "%s must be %s", key, what);
	return v;
}

static enum err
missing(struct req *r, const char *key)
{
	return fail(&r->cx, M_MISSING_PARAM, "%s is missing", key);
}

enum err
body_opt_str(struct req *r, const char *key, const char **out)
{
	enum err e;
	struct json *v = member(r, key, JSON_STR, "a string", &e);

	*out = NULL;
	if (!v || e != M_OK)
		return e;
	if (memchr(v->u.str.s, '\0', v->u.str.n))
		return fail(&r->cx, M_BAD_JSON, "%s must not hold U+0000", key);
	*out = v->u.str.s;
	return M_OK;
}

enum err
body_need_str(struct req *r, const char *key, const char **out)
{
	enum err e = body_opt_str(r, key, out);

	return e == M_OK && !*out ? missing(r, key) : e;
}

enum err
body_opt_esc(struct req *r, const char *key, const char **out)
{
	enum err e;
	struct json *v = member(r, key, JSON_STR, "a string", &e);

	*out = v && e == M_OK ? json_esc_of(r->cx.a, v) : NULL;
	return e;
}

enum err
body_need_esc(struct req *r, const char *key, const char **out)
{
	enum err e = body_opt_esc(r, key, out);

	return e == M_OK && !*out ? missing(r, key) : e;
}

enum err
body_opt_obj(struct req *r, const char *key, struct json **out)
{
	enum err e;
	struct json *v = member(r, key, JSON_OBJ, "an object", &e);

	*out = e == M_OK ? v : NULL;
	return e;
}

enum err
body_opt_arr(struct req *r, const char *key, struct json **out)
{
	enum err e;
	struct json *v = member(r, key, JSON_ARR, "an array", &e);

	*out = e == M_OK ? v : NULL;
	return e;
}

enum err
body_opt_bool(struct req *r, const char *key, bool dflt, bool *out)
{
	enum err e;
	struct json *v = member(r, key, JSON_BOOL, "true or false", &e);

	*out = v && e == M_OK ? v->u.b : dflt;
	return e;
}

enum err
body_opt_int(struct req *r, const char *key, int64_t dflt, int64_t *out)
{
	enum err e;
	struct json *v = member(r, key, JSON_INT, "an integer", &e);

	*out = v && e == M_OK ? v->u.i : dflt;
	return e;
}

const char *
form_value(struct req *r, const char *name)
{
	const char *pos = r->body_raw, *found = NULL;
	struct slice key, value, k, v;

	while (query_next(&pos, &key, &value))
		if (url_decode(r->cx.a, key, true, &k) && strcmp(k.s, name) == 0 && url_decode(r->cx.a, value, true, &v))
			found = v.s;
	return found;
}

enum err
reply_empty(struct req *r)
{
	json_obj(&r->out, NULL);
	json_end(&r->out);
	return M_OK;
}

void
reply_header(struct req *r, const char *name, const char *value)
{
	assert(r->nheaders < (int)(sizeof(r->headers) / sizeof(*r->headers)));
	assert(!strpbrk(value, "\r\n"));
	r->headers[r->nheaders].name = name;
	r->headers[r->nheaders++].value = value;
}

enum err
reply_redirect(struct req *r, const char *location)
{
	r->status = 302;
	reply_header(r, "Location", location);
	return reply_empty(r);
}

enum err
reply_raw(struct req *r, const char *content_type, const void *p, size_t n)
{
	r->content_type = content_type;
	buf_add(&r->out.b, p, n);
	return M_OK;
}
