/*
 * core/base/json_parse.c - text to tree, over yajl.
 *
 * yajl finds the tokens; what it lets pass and RFC 8259 or Matrix do not is
 * looked at here, before: UTF-8 (yajl takes overlong forms and surrogates),
 * lone surrogate escapes (yajl makes '?' of them), vertical tab and form feed
 * (white space to yajl), a string without end behind the value (no garbage to
 * yajl).
 *
 * Memory: all string bytes and number texts go to one piece of n + 1 bytes
 * (each needs at most what it took in the text, its NUL the place of a quote or
 * delimiter); nodes come from small arrays; members wait on a stack until their
 * container closes and are then copied to an array of the right size.
 */
#include "core/base/json.h"

#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "core/base/json_impl.h"
#include "core/base/utf8.h"

struct level {
	struct json *node;
	size_t base;		/* where its members start on the stack */
};

struct parser {
	struct arena *a;
	struct json *root;
	struct json_member *stack, *heap;	/* heap: the stack, once it has outgrown its first place */
	size_t n, cap;
	struct level level[JSON_MAX_DEPTH];
	int depth;
	enum json_fault fault;
	char *text;		/* the next free byte for strings */
	struct json *nodes;	/* the next free node */
	size_t nnodes, chunk;
};

static struct json *
new_node(struct parser *p, enum json_type type)
{
	struct json *v;

	if (!p->nnodes) {
		p->nodes = arena_alloc(p->a, p->chunk * sizeof(*p->nodes));
		p->nnodes = p->chunk;
		if (p->chunk < 256)
			p->chunk *= 2;
	}
	p->nnodes--;
	v = p->nodes++;
	v->type = type;
	return v;
}

/* Not arena memory: all but the last size would lie there unused. */
static void
stack_grow(struct parser *p)
{
	struct json_member *heap = reallocarray(p->heap, p->cap, 2 * sizeof(*heap));

	if (!heap)
		abort();
	if (!p->heap)
		memcpy(heap, p->stack, p->n * sizeof(*heap));
	p->heap = p->stack = heap;
	p->cap *= 2;
}

static void
push(struct parser *p, struct json_member m)
{
	if (p->n == p->cap)
		stack_grow(p);
	p->stack[p->n++] = m;
}

/* The node takes its place: as the root, an element, or the value of the key that came before. */
static struct json *
add(struct parser *p, enum json_type type)
{
	struct json *v = new_node(p, type);

	if (!p->depth)
		p->root = v;
	else if (p->level[p->depth - 1].node->type == JSON_ARR)
		push(p, (struct json_member){ .value = v });
	else
		p->stack[p->n - 1].value = v;
	return v;
}

static const char *
keep(struct parser *p, const void *s, size_t n)
{
	char *t = p->text;

	memcpy(t, s, n);
	t[n] = '\0';
	p->text += n + 1;
	return t;
}

static int
on_null(void *arg)
{
	add(arg, JSON_NULL);
	return 1;
}

static int
on_bool(void *arg, int b)
{
	add(arg, JSON_BOOL)->u.b = b != 0;
	return 1;
}

/* False for what is no integer literal, "-0", or too large. */
static bool
read_int(const char *s, size_t n, int64_t *out)
{
	bool minus = s[0] == '-';
	int64_t v = 0;

	for (size_t i = minus; i < n; i++)
		if (s[i] < '0' || s[i] > '9' || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_sub_overflow(v, s[i] - '0', &v))
			return false;
	if (!minus && v == INT64_MIN)
		return false;
	*out = minus ? v : -v;
	return !(minus && v == 0);
}

static int
on_number(void *arg, const char *s, size_t n)
{
	struct json *v = add(arg, JSON_INT);

	if (!read_int(s, n, &v->u.i)) {
		v->type = JSON_NUM;
		v->u.str.s = keep(arg, s, n);
		v->u.str.n = n;
	}
	return 1;
}

static int
on_string(void *arg, const unsigned char *s, size_t n)
{
	struct json *v = add(arg, JSON_STR);

	v->u.str.s = keep(arg, s, n);
	v->u.str.n = n;
	return 1;
}

static int
on_key(void *arg, const unsigned char *s, size_t n)
{
	push(arg, (struct json_member){ .key = keep(arg, s, n), .key_n = n });
	return 1;
}

static int
open_level(struct parser *p, enum json_type type)
{
	struct json *v;

	if (p->depth == JSON_MAX_DEPTH) {
		p->fault = JSON_TOO_DEEP;
		return 0;
	}
	v = add(p, type);
	p->level[p->depth++] = (struct level){ v, p->n };
	return 1;
}

static int
on_start_map(void *arg)
{
	return open_level(arg, JSON_OBJ);
}

static int
on_start_array(void *arg)
{
	return open_level(arg, JSON_ARR);
}

static int
on_end_array(void *arg)
{
	struct parser *p = arg;
	struct level *l = &p->level[--p->depth];
	size_t n = p->n - l->base;

	l->node->u.arr.n = n;
	l->node->u.arr.v = arena_alloc(p->a, json_capacity(n) * sizeof(struct json *));
	for (size_t i = 0; i < n; i++)
		l->node->u.arr.v[i] = p->stack[l->base + i].value;
	p->n = l->base;
	return 1;
}

/* Keeps of equal keys the first one's place and the last one's value. Returns how many are left. */
static size_t
drop_duplicates_few(struct json_member *m, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		size_t j = 0;

		while (j < kept && !json_same_key(&m[j], &m[i]))
			j++;
		if (j < kept)
			m[j].value = m[i].value;
		else
			m[kept++] = m[i];
	}
	return kept;
}

static int
by_key_then_place(const void *x, const void *y)
{
	const struct json_member *a = *(struct json_member *const *)x, *b = *(struct json_member *const *)y;
	int c = json_key_cmp(a, b);

	return c ? c : a < b ? -1 : a > b;
}

/* The same by sorting: a body of one object with 10,000 keys must not cost their square. */
static size_t
drop_duplicates_many(struct arena *a, struct json_member *m, size_t n)
{
	struct json_member **sorted = arena_alloc(a, n * sizeof(struct json_member *)), *first;
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		sorted[i] = &m[i];
	qsort(sorted, n, sizeof(struct json_member *), by_key_then_place);
	first = sorted[0];
	for (size_t i = 1; i < n; i++) {
		if (!json_same_key(first, sorted[i])) {
			first = sorted[i];
			continue;
		}
		first->value = sorted[i]->value;
		sorted[i]->key = NULL;
	}
	for (size_t i = 0; i < n; i++)
		if (m[i].key)
			m[kept++] = m[i];
	return kept;
}

static int
on_end_map(void *arg)
{
	struct parser *p = arg;
	struct level *l = &p->level[--p->depth];
	struct json_member *m = p->stack + l->base;
	size_t n = p->n - l->base;

	n = n <= 16 ? drop_duplicates_few(m, n) : drop_duplicates_many(p->a, m, n);
	l->node->u.obj.n = n;
	l->node->u.obj.v = arena_alloc(p->a, json_capacity(n) * sizeof(*m));
	if (n)
		memcpy(l->node->u.obj.v, m, n * sizeof(*m));
	p->n = l->base;
	return 1;
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null, .yajl_boolean = on_bool, .yajl_number = on_number,
	.yajl_string = on_string, .yajl_map_key = on_key,
	.yajl_start_map = on_start_map, .yajl_end_map = on_end_map,
	.yajl_start_array = on_start_array, .yajl_end_array = on_end_array,
};

/* yajl's own memory: from the arena, each piece behind its size, since realloc here needs that. */
#define SIZE_ROOM 16

static void *
piece_alloc(void *a, size_t n)
{
	char *p = arena_alloc(a, n + SIZE_ROOM);

	memcpy(p, &n, sizeof(n));
	return p + SIZE_ROOM;
}

static void *
piece_realloc(void *a, void *piece, size_t n)
{
	char *p = piece;
	size_t old;

	if (!p)
		return piece_alloc(a, n);
	p -= SIZE_ROOM;
	memcpy(&old, p, sizeof(old));
	p = arena_realloc(a, p, old + SIZE_ROOM, n + SIZE_ROOM);
	memcpy(p, &n, sizeof(n));
	return p + SIZE_ROOM;
}

static void
piece_free(void *a, void *piece)
{
}

static int
hex4(const unsigned char *s)
{
	int v = 0;

	for (int i = 0; i < 4; i++) {
		unsigned char c = s[i], low = c | 0x20;

		if (c >= '0' && c <= '9')
			v = v * 16 + (c - '0');
		else if (low >= 'a' && low <= 'f')
			v = v * 16 + (low - 'a' + 10);
		else
			return -1;
	}
	return v;
}

/* One escape at s (a backslash), n bytes left: its length; 0 when it is a lone surrogate or none. */
static size_t
escape(const unsigned char *s, size_t n)
{
	int v;

	if (n < 2)
		return 0;
	if (s[1] != 'u')
		return 2;
	if (n < 6 || (v = hex4(s + 2)) < 0 || (v & 0xfc00) == 0xdc00)
		return 0;
	if ((v & 0xfc00) != 0xd800)
		return 6;
	if (n < 12 || s[6] != '\\' || s[7] != 'u' || (hex4(s + 8) & 0xfc00) != 0xdc00)
		return 0;
	return 12;
}

/* What yajl would let pass. In JSON a backslash only stands in strings, so tokens need not be known. */
static enum json_fault
look_ahead(const char *text, size_t n)
{
	const unsigned char *s = (const unsigned char *)text, *end = s + n;
	bool in_string = false;

	if (!utf8_valid(text, n))
		return JSON_BAD_UTF8;
	while (s < end) {
		size_t len = 1;

		if (*s == '\\') {
			if (!(len = escape(s, (size_t)(end - s))))
				return s + 6 <= end && s[1] == 'u' && hex4(s + 2) >= 0 ? JSON_BAD_UTF8 : JSON_SYNTAX;
		} else if (*s < 0x20 && *s != '\t' && *s != '\n' && *s != '\r') {
			return JSON_SYNTAX;
		} else if (*s == '"') {
			in_string = !in_string;
		}
		s += len;
	}
	return in_string ? JSON_SYNTAX : JSON_OK;
}

enum json_fault
json_parse(struct arena *a, const char *text, size_t n, struct json **out)
{
	struct json_member first[128];
	struct parser p = { .a = a, .stack = first, .cap = sizeof(first) / sizeof(first[0]), .chunk = 8 };
	yajl_alloc_funcs memory = { piece_alloc, piece_realloc, piece_free, a };
	yajl_handle y;
	bool ok;

	*out = NULL;
	if (n > JSON_MAX_TEXT)
		return JSON_TOO_BIG;
	if ((p.fault = look_ahead(text, n)) != JSON_OK)
		return p.fault;
	p.text = arena_alloc(a, n + 1);
	y = yajl_alloc(&callbacks, &memory, &p);
	yajl_config(y, yajl_dont_validate_strings, 1);	/* looked at already */
	ok = yajl_parse(y, (const unsigned char *)text, n) == yajl_status_ok &&
	    yajl_complete_parse(y) == yajl_status_ok && p.root;
	free(p.heap);
	if (!ok)
		return p.fault != JSON_OK ? p.fault : JSON_SYNTAX;
	*out = p.root;
	return JSON_OK;
}
