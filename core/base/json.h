/*
 * core/base/json.h - JSON in (a tree over yajl) and JSON out (a writer).
 *
 * IDENTIFIERS AND "ESC" STRINGS. A JSON string may hold U+0000, a C string and
 * PostgreSQL's text may not. So identifiers, event types and state keys travel
 * through core and the database as "esc" strings: the body of their canonical
 * JSON string (without the quotes): NUL-free C strings, equal exactly when the
 * strings are equal, and for ordinary ids the same bytes as the id. Write them
 * back with json_esc(); read them with json_esc_of() or json_get_esc(). Lengths
 * in the specification's limits are those of the raw string (json_str.n).
 *
 * Numbers: an integer literal that fits int64 is JSON_INT; everything else
 * (fractions, exponents, -0, too large) is JSON_NUM and keeps its text.
 * Duplicate keys: the last one wins, at its first place. Strings are valid
 * UTF-8 without lone surrogates, or the parse fails.
 */
#ifndef HEARTH_JSON_H
#define HEARTH_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include "core/base/buf.h"

enum json_type { JSON_NULL, JSON_BOOL, JSON_INT, JSON_NUM, JSON_STR, JSON_ARR, JSON_OBJ };

struct json {
	enum json_type type;
	union {
		bool b;
		int64_t i;
		struct { const char *s; size_t n; } str;	/* raw bytes, NUL after them; JSON_NUM: its text */
		struct { struct json **v; size_t n; } arr;
		struct { struct json_member *v; size_t n; } obj; /* in the order they came */
	} u;
};
struct json_member {
	const char *key;	/* raw bytes, NUL after them */
	size_t key_n;
	struct json *value;
};

#define JSON_MAX_DEPTH 100
#define JSON_MAX_TEXT ((size_t)64 << 20)	/* longer: JSON_TOO_BIG. A tree takes up to 25 times its text */
#define JSON_INT_MAX INT64_C(9007199254740991)	/* 2^53-1 */

enum json_fault { JSON_OK, JSON_SYNTAX, JSON_TOO_DEEP, JSON_BAD_UTF8, JSON_TOO_BIG };

/*
 * Parses exactly one value (white space around it allowed). The tree is arena
 * memory and keeps no pointer into text. On a fault *out is NULL.
 */
enum json_fault json_parse(struct arena *a, const char *text, size_t n, struct json **out);

/* Reading. A NULL or non-object argument gives NULL/false/the default: chains need no checks. */
struct json *json_get(const struct json *obj, const char *key);
const char *json_get_str(const struct json *obj, const char *key);	/* raw; NULL if no string or it holds U+0000 */
const char *json_get_esc(struct arena *a, const struct json *obj, const char *key); /* NULL if no string */
int64_t json_get_int(const struct json *obj, const char *key, int64_t dflt);	/* dflt if no JSON_INT */
bool json_get_bool(const struct json *obj, const char *key, bool dflt);
struct json *json_get_by_esc(const struct json *obj, const char *esc_key);
static inline bool
json_is(const struct json *v, enum json_type t)		/* false for NULL; here for the analyzers to see */
{
	return v && v->type == t;
}
bool json_str_eq(const struct json *v, const char *s);	/* v is a string equal to the C string s */
bool json_equal(const struct json *a, const struct json *b); /* objects regardless of order */

/*
 * Building and changing trees (for events made here). Values are shared, not
 * copied; keys and strings are copied. Containers keep room behind their last
 * element: never copy a struct json by assignment, use json_copy().
 */
struct json *json_new_obj(struct arena *a);
struct json *json_new_arr(struct arena *a);
struct json *json_new_str(struct arena *a, const char *s);	/* from a raw C string */
struct json *json_new_strn(struct arena *a, const char *s, size_t n);
struct json *json_new_esc(struct arena *a, const char *esc);	/* from an esc string */
struct json *json_new_int(struct arena *a, int64_t i);
struct json *json_new_bool(struct arena *a, bool b);
struct json *json_new_null(struct arena *a);
void json_set(struct arena *a, struct json *obj, const char *key, struct json *v); /* adds or replaces */
void json_set_esc(struct arena *a, struct json *obj, const char *esc_key, struct json *v);
void json_del(struct json *obj, const char *key);
void json_push(struct arena *a, struct json *arr, struct json *v);
struct json *json_copy(struct arena *a, const struct json *v);	/* shallow: new top, shared children */

/* esc strings */
const char *json_esc_of(struct arena *a, const struct json *str);
const char *esc_from_raw(struct arena *a, const char *s, size_t n);	/* s: valid UTF-8 */
/* The raw bytes of an esc string, *n their number; NULL if esc is not well formed. */
const char *esc_to_raw(struct arena *a, const char *esc, size_t *n);
size_t esc_raw_len(const char *esc);	/* bytes of the raw string: what the size limits count */
bool esc_equals_raw(const char *esc, const char *raw, size_t n);
/* The raw byte at the start of s into *raw; returns the bytes it takes in s, 0 when that is not esc. s is not at its end. */
size_t esc_step(const char *s, char *raw);

/*
 * Canonical JSON (Appendices, "Canonical JSON"): keys sorted, shortest form. A
 * JSON_NUM that is an integer (-0, 1e10) is written as one, any other as it came.
 */
void json_canonical(struct buf *b, const struct json *v);
const char *json_canonical_str(struct arena *a, const struct json *v, size_t *n /* may be NULL */);
/* Are all numbers integers in [-(2^53)+1, 2^53-1]? (room version 6 and later demand it) */
bool json_is_strict(const struct json *v);

/*
 * Writing: compact text into a buffer; commas come by themselves. Inside an
 * object give the key (raw ASCII/UTF-8 C string), inside an array or at the top NULL.
 */
struct json_out {
	struct buf b;
	uint64_t arrays;	/* a bit per open level: is it an array? */
	int depth;
};
void json_out_init(struct json_out *o, struct arena *a);
void json_obj(struct json_out *o, const char *key);
void json_arr(struct json_out *o, const char *key);
void json_end(struct json_out *o);	/* closes the innermost */
void json_str(struct json_out *o, const char *key, const char *s);	/* raw C string; NULL: null */
void json_strn(struct json_out *o, const char *key, const char *s, size_t n);
void json_esc(struct json_out *o, const char *key, const char *esc);	/* NULL: null */
void json_raw(struct json_out *o, const char *key, const char *text);	/* text is JSON already */
void json_rawn(struct json_out *o, const char *key, const char *text, size_t n);
void json_int(struct json_out *o, const char *key, int64_t i);
void json_bool(struct json_out *o, const char *key, bool v);
/* For keys that are esc strings (room ids, user ids, types as keys): writes the key; the value comes next with key NULL. */
void json_key_esc(struct json_out *o, const char *esc_key);
void json_value(struct json_out *o, const char *key, const struct json *v);	/* writes a tree (canonical) */

#endif
