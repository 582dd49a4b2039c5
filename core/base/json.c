/* core/base/json.c - trees: reading, comparing, building. */
#include "core/base/json_impl.h"

static const struct json_member *
find(const struct json *obj, const char *key, size_t n)
{
	if (!json_is(obj, JSON_OBJ))
		return NULL;
	for (size_t i = 0; i < obj->u.obj.n; i++)
		if (obj->u.obj.v[i].key_n == n && memcmp(obj->u.obj.v[i].key, key, n) == 0)
			return &obj->u.obj.v[i];
	return NULL;
}

struct json *
json_get(const struct json *obj, const char *key)
{
	const struct json_member *m = find(obj, key, strlen(key));

	return m ? m->value : NULL;
}

struct json *
json_get_by_esc(const struct json *obj, const char *esc_key)
{
	if (!strchr(esc_key, '\\'))
		return json_get(obj, esc_key);
	if (!json_is(obj, JSON_OBJ))
		return NULL;
	for (size_t i = 0; i < obj->u.obj.n; i++)
		if (esc_equals_raw(esc_key, obj->u.obj.v[i].key, obj->u.obj.v[i].key_n))
			return obj->u.obj.v[i].value;
	return NULL;
}

bool
esc_equals_raw(const char *esc, const char *raw, size_t n)
{
	size_t step;
	char c;

	for (; n && *esc; esc += step, raw++, n--)
		if (!(step = esc_step(esc, &c)) || c != *raw)
			return false;
	return !n && !*esc;
}

const char *
json_get_str(const struct json *obj, const char *key)
{
	const struct json *v = json_get(obj, key);

	return json_is(v, JSON_STR) && strlen(v->u.str.s) == v->u.str.n ? v->u.str.s : NULL;
}

const char *
json_get_esc(struct arena *a, const struct json *obj, const char *key)
{
	const struct json *v = json_get(obj, key);

	return json_is(v, JSON_STR) ? json_esc_of(a, v) : NULL;
}

int64_t
json_get_int(const struct json *obj, const char *key, int64_t dflt)
{
	const struct json *v = json_get(obj, key);

	return json_is(v, JSON_INT) ? v->u.i : dflt;
}

bool
json_get_bool(const struct json *obj, const char *key, bool dflt)
{
	const struct json *v = json_get(obj, key);

	return json_is(v, JSON_BOOL) ? v->u.b : dflt;
}

bool
json_str_eq(const struct json *v, const char *s)
{
	return json_is(v, JSON_STR) && v->u.str.n == strlen(s) && memcmp(v->u.str.s, s, v->u.str.n) == 0;
}

static int
by_key(const void *x, const void *y)
{
	return json_key_cmp(x, y);
}

/* Sorted copies, so that two objects of 10,000 keys in different order cost no square. */
static bool
equal_in_any_order(const struct json *a, const struct json *b)
{
	size_t n = a->u.obj.n, size = n * sizeof(struct json_member);
	struct arena *tmp = arena_new();
	struct json_member *x = arena_alloc(tmp, size), *y = arena_alloc(tmp, size);
	bool equal = true;

	memcpy(x, a->u.obj.v, size);
	memcpy(y, b->u.obj.v, size);
	qsort(x, n, sizeof(*x), by_key);
	qsort(y, n, sizeof(*y), by_key);
	for (size_t i = 0; i < n && equal; i++)
		equal = json_same_key(&x[i], &y[i]) && json_equal(x[i].value, y[i].value);
	arena_free(tmp);
	return equal;
}

static bool
equal_objects(const struct json *a, const struct json *b)
{
	const struct json_member *x = a->u.obj.v, *y = b->u.obj.v;
	size_t n = a->u.obj.n;

	if (n != b->u.obj.n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!json_same_key(&x[i], &y[i]))
			return equal_in_any_order(a, b);
	for (size_t i = 0; i < n; i++)
		if (!json_equal(x[i].value, y[i].value))
			return false;
	return true;
}

bool
json_equal(const struct json *a, const struct json *b)
{
	if (!a || !b || a->type != b->type)
		return !a && !b;
	switch (a->type) {
	case JSON_NULL:
		return true;
	case JSON_BOOL:
		return a->u.b == b->u.b;
	case JSON_INT:
		return a->u.i == b->u.i;
	case JSON_NUM:
	case JSON_STR:
		return a->u.str.n == b->u.str.n && memcmp(a->u.str.s, b->u.str.s, a->u.str.n) == 0;
	case JSON_ARR:
		if (a->u.arr.n != b->u.arr.n)
			return false;
		for (size_t i = 0; i < a->u.arr.n; i++)
			if (!json_equal(a->u.arr.v[i], b->u.arr.v[i]))
				return false;
		return true;
	case JSON_OBJ:
		return equal_objects(a, b);
	}
	return false;
}

static struct json *
new_node(struct arena *a, enum json_type type)
{
	struct json *v = arena_zalloc(a, sizeof(*v));

	v->type = type;
	return v;
}

struct json *
json_new_obj(struct arena *a)
{
	return new_node(a, JSON_OBJ);
}

struct json *
json_new_arr(struct arena *a)
{
	return new_node(a, JSON_ARR);
}

struct json *
json_new_strn(struct arena *a, const char *s, size_t n)
{
	struct json *v = new_node(a, JSON_STR);

	v->u.str.s = arena_strndup(a, s, n);
	v->u.str.n = n;
	return v;
}

struct json *
json_new_str(struct arena *a, const char *s)
{
	return json_new_strn(a, s, strlen(s));
}

/* The raw form of what is known to be esc; text that is none is a fault of the caller and taken as it stands. */
static const char *
raw_of(struct arena *a, const char *esc, size_t *n)
{
	const char *raw = strchr(esc, '\\') ? esc_to_raw(a, esc, n) : NULL;

	if (raw)
		return raw;
	*n = strlen(esc);
	return arena_strndup(a, esc, *n);
}

struct json *
json_new_esc(struct arena *a, const char *esc)
{
	struct json *v = new_node(a, JSON_STR);

	v->u.str.s = raw_of(a, esc, &v->u.str.n);
	return v;
}

struct json *
json_new_int(struct arena *a, int64_t i)
{
	struct json *v = new_node(a, JSON_INT);

	v->u.i = i;
	return v;
}

struct json *
json_new_bool(struct arena *a, bool b)
{
	struct json *v = new_node(a, JSON_BOOL);

	v->u.b = b;
	return v;
}

struct json *
json_new_null(struct arena *a)
{
	return new_node(a, JSON_NULL);
}

/* v with room for one more than n elements of size bytes. */
static void *
grow(struct arena *a, void *v, size_t n, size_t size)
{
	if (n & (n - 1))
		return v;
	return n ? arena_realloc(a, v, n * size, 2 * n * size) : arena_alloc(a, size);
}

static void
set(struct arena *a, struct json *obj, const char *key, size_t n, struct json *v)
{
	struct json_member *m;
	size_t i;

	for (i = 0; i < obj->u.obj.n; i++) {
		m = &obj->u.obj.v[i];
		if (m->key_n == n && memcmp(m->key, key, n) == 0) {
			m->value = v;
			return;
		}
	}
	obj->u.obj.v = grow(a, obj->u.obj.v, i, sizeof(*m));
	obj->u.obj.v[obj->u.obj.n++] = (struct json_member){ arena_strndup(a, key, n), n, v };
}

void
json_set(struct arena *a, struct json *obj, const char *key, struct json *v)
{
	set(a, obj, key, strlen(key), v);
}

void
json_set_esc(struct arena *a, struct json *obj, const char *esc_key, struct json *v)
{
	size_t n;
	const char *key = raw_of(a, esc_key, &n);

	set(a, obj, key, n, v);
}

void
json_del(struct json *obj, const char *key)
{
	size_t n = strlen(key);

	for (size_t i = 0; i < obj->u.obj.n; i++) {
		struct json_member *m = &obj->u.obj.v[i];

		if (m->key_n != n || memcmp(m->key, key, n) != 0)
			continue;
		memmove(m, m + 1, (obj->u.obj.n - i - 1) * sizeof(*m));
		obj->u.obj.n--;
		return;
	}
}

void
json_push(struct arena *a, struct json *arr, struct json *v)
{
	arr->u.arr.v = grow(a, arr->u.arr.v, arr->u.arr.n, sizeof(v));
	arr->u.arr.v[arr->u.arr.n++] = v;
}

struct json *
json_copy(struct arena *a, const struct json *v)
{
	struct json *c = arena_alloc(a, sizeof(*c));
	size_t n;

	*c = *v;
	if (v->type == JSON_OBJ && (n = v->u.obj.n)) {
		c->u.obj.v = arena_alloc(a, json_capacity(n) * sizeof(*c->u.obj.v));
		memcpy(c->u.obj.v, v->u.obj.v, n * sizeof(*c->u.obj.v));
	} else if (v->type == JSON_ARR && (n = v->u.arr.n)) {
		c->u.arr.v = arena_alloc(a, json_capacity(n) * sizeof(*c->u.arr.v));
		memcpy(c->u.arr.v, v->u.arr.v, n * sizeof(*c->u.arr.v));
	}
	return c;
}
