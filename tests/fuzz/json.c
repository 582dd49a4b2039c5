/*
 * tests/fuzz/json.c - the JSON reader against a second reader written straight
 * from RFC 8259's grammar; canonical form and esc strings there and back.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/utf8.h"

#define MUST(x) do { if (!(x)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Text that moves forward as it is recognised; every function returns false where the grammar ends. */
struct text {
	const char *s, *end;
};

static bool
take(struct text *t, char c)
{
	if (t->s == t->end || *t->s != c)
		return false;
	t->s++;
	return true;
}

static void
skip(struct text *t, const char *set)
{
	while (t->s < t->end && *t->s && strchr(set, *t->s))
		t->s++;
}

#define WS " \t\n\r"
#define DIGITS "0123456789"

static bool
digits(struct text *t)
{
	const char *from = t->s;

	skip(t, DIGITS);
	return t->s > from;
}

static bool
number(struct text *t)
{
	take(t, '-');
	if (!take(t, '0') && !digits(t))
		return false;
	if (take(t, '.') && !digits(t))
		return false;
	if (take(t, 'e') || take(t, 'E')) {
		if (!take(t, '-'))
			take(t, '+');
		return digits(t);
	}
	return true;
}

/* The four digits after \u, -1 when they are none. */
static long
hex4(struct text *t)
{
	char four[5] = "";

	if (t->end - t->s < 4)
		return -1;
	memcpy(four, t->s, 4);
	if (strspn(four, DIGITS "abcdefABCDEF") != 4)
		return -1;
	t->s += 4;
	return strtol(four, NULL, 16);
}

static bool
string(struct text *t)
{
	if (!take(t, '"'))
		return false;
	while (t->s < t->end) {
		unsigned char c = (unsigned char)*t->s++;
		long u;

		if (c == '"')
			return true;
		if (c < 0x20)
			return false;
		if (c != '\\')
			continue;
		if (t->s == t->end)
			return false;
		c = (unsigned char)*t->s++;
		if (c != 'u') {
			if (!c || !strchr("\"\\/bfnrt", c))
				return false;
			continue;
		}
		if ((u = hex4(t)) < 0 || (u >= 0xdc00 && u <= 0xdfff))
			return false;
		if (u >= 0xd800 && u <= 0xdbff && (!take(t, '\\') || !take(t, 'u') || (u = hex4(t)) < 0xdc00 || u > 0xdfff))
			return false;
	}
	return false;
}

static bool
word(struct text *t, const char *w)
{
	while (*w)
		if (!take(t, *w++))
			return false;
	return true;
}

static bool value(struct text *t, int depth);

static bool
container(struct text *t, bool object, int depth)
{
	char close = object ? '}' : ']';

	t->s++;
	skip(t, WS);
	if (depth == JSON_MAX_DEPTH)
		return false;
	if (take(t, close))
		return true;
	for (;;) {
		skip(t, WS);
		if (object) {
			if (!string(t))
				return false;
			skip(t, WS);
			if (!take(t, ':'))
				return false;
		}
		if (!value(t, depth + 1))
			return false;
		if (take(t, close))
			return true;
		if (!take(t, ','))
			return false;
	}
}

/* A value and the white space around it. */
static bool
value(struct text *t, int depth)
{
	bool ok;

	skip(t, WS);
	if (t->s == t->end)
		return false;
	switch (*t->s) {
	case '{':
	case '[':
		ok = container(t, *t->s == '{', depth);
		break;
	case '"':
		ok = string(t);
		break;
	case 't':
		ok = word(t, "true");
		break;
	case 'f':
		ok = word(t, "false");
		break;
	case 'n':
		ok = word(t, "null");
		break;
	default:
		ok = number(t);
	}
	skip(t, WS);
	return ok;
}

static bool
is_json(const char *s, size_t n)
{
	struct text t = { s, s + n };

	return utf8_valid(s, n) && value(&t, 0) && t.s == t.end;
}

static void
there_and_back(struct arena *a, const struct json *v)
{
	size_t n, n2;
	const char *text = json_canonical_str(a, v, &n), *text2;
	struct json *v2;

	MUST(json_parse(a, text, n, &v2) == JSON_OK);
	text2 = json_canonical_str(a, v2, &n2);
	MUST(n == n2 && memcmp(text, text2, n) == 0);
	/* Numbers such as 1e2 are other nodes in their canonical form. */
	if (json_is_strict(v))
		MUST(json_equal(v, v2));
	MUST(json_equal(v, json_copy(a, v)));
}

static void
esc(struct arena *a, const char *s, size_t n)
{
	const char *e, *raw;
	struct json *v;
	size_t len;

	if (utf8_valid(s, n)) {
		e = esc_from_raw(a, s, n);
		MUST((raw = esc_to_raw(a, e, &len)) && len == n && memcmp(raw, s, n) == 0);
		MUST(esc_raw_len(e) == n && esc_equals_raw(e, s, n));
		e = arena_printf(a, "\"%s\"", e);
		MUST(json_parse(a, e, strlen(e), &v) == JSON_OK && v->u.str.n == n && memcmp(v->u.str.s, s, n) == 0);
		MUST(strcmp(json_canonical_str(a, v, NULL), e) == 0);
	}
	e = arena_strndup(a, s, n);
	if ((raw = esc_to_raw(a, e, &len)))
		MUST(strcmp(esc_from_raw(a, raw, len), e) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	const char *s = (const char *)data;
	struct json *v;
	bool ok = json_parse(a, s, size, &v) == JSON_OK;

	MUST(ok == is_json(s, size));
	if (ok)
		there_and_back(a, v);
	esc(a, s, size);
	arena_free(a);
	return 0;
}
