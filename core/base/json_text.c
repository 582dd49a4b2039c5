/* core/base/json_text.c - writing: esc strings, canonical JSON, the writer. */
#include "core/base/json_impl.h"
#include "core/base/utf8.h"

/*
 * The escape of each byte: 0 none, 'u' \u00xx, else the letter. The shortest
 * form each (Appendices, "Canonical JSON", grammar).
 */
static const char escapes[256] = {
	'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'b', 't', 'n', 'u', 'f', 'r', 'u', 'u',
	'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u',
	['"'] = '"', ['\\'] = '\\',
};
static const char hex[] = "0123456789abcdef";

/* How many bytes from s on need no escape. */
static size_t
plain(const char *s, size_t n)
{
	size_t i = 0;

	while (i < n && !escapes[(unsigned char)s[i]])
		i++;
	return i;
}

static void
add_esc(struct buf *b, const char *s, size_t n)
{
	for (;;) {
		size_t run = plain(s, n);
		unsigned char c;

		buf_add(b, s, run);
		if (run == n)
			return;
		c = (unsigned char)s[run];
		if (escapes[c] == 'u')
			buf_add(b, (char[]){ '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] }, 6);
		else
			buf_add(b, (char[]){ '\\', escapes[c] }, 2);
		s += run + 1;
		n -= run + 1;
	}
}

static void
add_quoted(struct buf *b, const char *s, size_t n)
{
	buf_reserve(b, n + 2);
	buf_putc(b, '"');
	add_esc(b, s, n);
	buf_putc(b, '"');
}

const char *
esc_from_raw(struct arena *a, const char *s, size_t n)
{
	struct buf b;

	if (plain(s, n) == n)
		return arena_strndup(a, s, n);
	buf_init(&b, a);
	buf_reserve(&b, n + 16);
	add_esc(&b, s, n);
	return b.s;
}

const char *
json_esc_of(struct arena *a, const struct json *str)
{
	if (plain(str->u.str.s, str->u.str.n) == str->u.str.n)
		return str->u.str.s;
	return esc_from_raw(a, str->u.str.s, str->u.str.n);
}

static int
nibble(char c)
{
	const char *p = c ? strchr(hex, c) : NULL;

	return p ? (int)(p - hex) : -1;
}

size_t
esc_step(const char *s, char *raw)
{
	static const char letters[] = "btnfr\"\\", bytes[] = "\b\t\n\f\r\"\\";
	const char *p;
	int hi, lo;

	if (s[0] != '\\') {
		*raw = s[0];
		return escapes[(unsigned char)s[0]] ? 0 : 1;
	}
	if (s[1] != 'u') {
		if (!s[1] || !(p = strchr(letters, s[1])))
			return 0;
		*raw = bytes[p - letters];
		return 2;
	}
	/* Only the form that add_esc() writes: each string has one esc string. */
	if (s[2] != '0' || s[3] != '0' || (hi = nibble(s[4])) < 0 || (lo = nibble(s[5])) < 0)
		return 0;
	*raw = (char)(hi << 4 | lo);
	return escapes[(unsigned char)*raw] == 'u' ? 6 : 0;
}

const char *
esc_to_raw(struct arena *a, const char *esc, size_t *n)
{
	size_t len = strlen(esc), out = 0;
	char *raw = arena_alloc(a, len + 1);

	for (const char *s = esc; *s;) {
		size_t step = esc_step(s, &raw[out++]);

		if (!step)
			return NULL;
		s += step;
	}
	raw[out] = '\0';
	*n = out;
	return utf8_valid(raw, out) ? raw : NULL;
}

size_t
esc_raw_len(const char *esc)
{
	size_t n = 0, step;
	char c;

	for (; *esc; esc += step, n++)
		if (!(step = esc_step(esc, &c)))
			step = 1;
	return n;
}

/* Canonical JSON */

static int
by_key(const void *x, const void *y)
{
	return json_key_cmp(*(struct json_member *const *)x, *(struct json_member *const *)y);
}

static bool
is_sorted(const struct json_member *m, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (json_key_cmp(&m[i - 1], &m[i]) > 0)
			return false;
	return true;
}

static void
add_member(struct buf *b, const struct json_member *m, bool first)
{
	if (!first)
		buf_putc(b, ',');
	add_quoted(b, m->key, m->key_n);
	buf_putc(b, ':');
	json_canonical(b, m->value);
}

static void
add_object(struct buf *b, const struct json *v)
{
	const struct json_member *few[32], **sorted = few, *m = v->u.obj.v;
	size_t n = v->u.obj.n;

	buf_putc(b, '{');
	if (is_sorted(m, n)) {
		for (size_t i = 0; i < n; i++)
			add_member(b, &m[i], i == 0);
	} else {
		if (n > sizeof(few) / sizeof(few[0]))
			sorted = arena_alloc(b->a, n * sizeof(*sorted));
		for (size_t i = 0; i < n; i++)
			sorted[i] = &m[i];
		qsort(sorted, n, sizeof(*sorted), by_key);
		for (size_t i = 0; i < n; i++)
			add_member(b, sorted[i], i == 0);
	}
	buf_putc(b, '}');
}

/*
 * -0 and integers written with an exponent have a canonical form ("Canonical
 * JSON", last example). Everything else that is no integer in range has none
 * and stays as it came: room versions 1 to 5 hash what their servers wrote.
 */
static bool
integer_of_num(const char *s, int64_t *out)
{
	const char *digits = s + (*s == '-');
	size_t n = strspn(digits, "0123456789");
	const char *exp = digits + n;
	int64_t v = 0;
	int e = 0;

	if (*exp) {
		if (*exp != 'e' && *exp != 'E')
			return false;
		exp += exp[1] == '+' ? 2 : 1;
		for (; *exp; exp++)
			if (*exp < '0' || *exp > '9' || (e = e * 10 + (*exp - '0')) > 1000)
				return false;
	}
	for (size_t i = 0; i < n; i++)
		if ((v = v * 10 + (digits[i] - '0')) > JSON_INT_MAX)
			return false;
	for (; e && v; e--)
		if ((v *= 10) > JSON_INT_MAX)
			return false;
	*out = *s == '-' ? -v : v;
	return true;
}

void
json_canonical(struct buf *b, const struct json *v)
{
	int64_t i;

	switch (v->type) {
	case JSON_NULL:
		buf_add(b, "null", 4);
		break;
	case JSON_BOOL:
		buf_puts(b, v->u.b ? "true" : "false");
		break;
	case JSON_INT:
		buf_i64(b, v->u.i);
		break;
	case JSON_NUM:
		if (integer_of_num(v->u.str.s, &i))
			buf_i64(b, i);
		else
			buf_add(b, v->u.str.s, v->u.str.n);
		break;
	case JSON_STR:
		add_quoted(b, v->u.str.s, v->u.str.n);
		break;
	case JSON_ARR:
		buf_putc(b, '[');
		for (size_t k = 0; k < v->u.arr.n; k++) {
			if (k)
				buf_putc(b, ',');
			json_canonical(b, v->u.arr.v[k]);
		}
		buf_putc(b, ']');
		break;
	case JSON_OBJ:
		add_object(b, v);
		break;
	}
}

const char *
json_canonical_str(struct arena *a, const struct json *v, size_t *n)
{
	struct buf b;

	buf_init(&b, a);
	buf_reserve(&b, 256);
	json_canonical(&b, v);
	if (n)
		*n = b.n;
	return b.s;
}

bool
json_is_strict(const struct json *v)
{
	switch (v->type) {
	case JSON_INT:
		return v->u.i >= -JSON_INT_MAX && v->u.i <= JSON_INT_MAX;
	case JSON_NUM:
		return false;
	case JSON_ARR:
		for (size_t i = 0; i < v->u.arr.n; i++)
			if (!json_is_strict(v->u.arr.v[i]))
				return false;
		return true;
	case JSON_OBJ:
		for (size_t i = 0; i < v->u.obj.n; i++)
			if (!json_is_strict(v->u.obj.v[i].value))
				return false;
		return true;
	default:
		return true;
	}
}

/* The writer */

void
json_out_init(struct json_out *o, struct arena *a)
{
	buf_init(&o->b, a);
	o->arrays = 0;
	o->depth = 0;
}

/* The comma, where something stands before in the same container; then the key. */
static void
lead(struct json_out *o, const char *key)
{
	char last = o->b.n ? o->b.s[o->b.n - 1] : '{';

	if (o->depth && last != '{' && last != '[' && last != ':')
		buf_putc(&o->b, ',');
	if (!key)
		return;
	add_quoted(&o->b, key, strlen(key));
	buf_putc(&o->b, ':');
}

static void
open_container(struct json_out *o, const char *key, bool array)
{
	lead(o, key);
	if (o->depth == 64)
		abort();
	o->arrays = (o->arrays & ~(UINT64_C(1) << o->depth)) | (uint64_t)array << o->depth;
	o->depth++;
	buf_putc(&o->b, array ? '[' : '{');
}

void
json_obj(struct json_out *o, const char *key)
{
	open_container(o, key, false);
}

void
json_arr(struct json_out *o, const char *key)
{
	open_container(o, key, true);
}

void
json_end(struct json_out *o)
{
	if (!o->depth)
		abort();
	o->depth--;
	buf_putc(&o->b, o->arrays >> o->depth & 1 ? ']' : '}');
}

void
json_strn(struct json_out *o, const char *key, const char *s, size_t n)
{
	lead(o, key);
	add_quoted(&o->b, s, n);
}

void
json_str(struct json_out *o, const char *key, const char *s)
{
	if (s)
		json_strn(o, key, s, strlen(s));
	else
		json_raw(o, key, "null");
}

void
json_esc(struct json_out *o, const char *key, const char *esc)
{
	if (!esc) {
		json_raw(o, key, "null");
		return;
	}
	lead(o, key);
	buf_putc(&o->b, '"');
	buf_puts(&o->b, esc);
	buf_putc(&o->b, '"');
}

void
json_rawn(struct json_out *o, const char *key, const char *text, size_t n)
{
	lead(o, key);
	buf_add(&o->b, text, n);
}

void
json_raw(struct json_out *o, const char *key, const char *text)
{
	json_rawn(o, key, text, strlen(text));
}

void
json_int(struct json_out *o, const char *key, int64_t i)
{
	lead(o, key);
	buf_i64(&o->b, i);
}

void
json_bool(struct json_out *o, const char *key, bool v)
{
	json_raw(o, key, v ? "true" : "false");
}

void
json_key_esc(struct json_out *o, const char *esc_key)
{
	json_esc(o, NULL, esc_key);
	buf_putc(&o->b, ':');
}

void
json_value(struct json_out *o, const char *key, const struct json *v)
{
	lead(o, key);
	json_canonical(&o->b, v);
}
