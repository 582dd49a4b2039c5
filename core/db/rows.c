/* core/db/rows.c - reading results. Text is the PGresult's own memory, which the arena clears. */
#include <assert.h>

#include "core/db/impl.h"

bool
db_next(struct rows *r)
{
	if (r->i + 1 >= r->n)
		return false;
	r->i++;
	return true;
}

/* "" where it is NULL. */
static const char *
cell(const struct rows *r, int col)
{
	const char *s;

	assert(r->res != NULL && r->i >= 0 && r->i < r->n && col >= 0);
	s = PQgetvalue(r->res, r->i, col);
	assert(s != NULL);	/* it is NULL where there is no such column */
	return s;
}

bool
db_null(const struct rows *r, int col)
{
	return *cell(r, col) == '\0' && PQgetisnull(r->res, r->i, col);
}

const char *
db_text(const struct rows *r, int col)
{
	const char *s = cell(r, col);

	return *s == '\0' && PQgetisnull(r->res, r->i, col) ? NULL : s;
}

/* What PostgreSQL writes: an optional sign, digits that fit. A sync reads a dozen of these per event. */
int64_t
db_i64(const struct rows *r, int col)
{
	const char *s = cell(r, col);
	bool negative = *s == '-';
	uint64_t u = 0;

	for (s += negative; *s >= '0' && *s <= '9'; s++)
		u = 10 * u + (uint64_t)(*s - '0');
	return negative ? (int64_t)-u : (int64_t)u;
}

bool
db_bool(const struct rows *r, int col)
{
	return *cell(r, col) == 't';
}

static int
nibble(char c)
{
	return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* bytea comes as \x and hex digits (bytea_output is set at connect). */
const void *
db_bytes_of(struct arena *a, const char *s, size_t *n)
{
	unsigned char *out;
	size_t i;

	*n = 0;
	if (s == NULL)
		return NULL;
	assert(s[0] == '\\' && s[1] == 'x');
	s += 2;
	*n = strlen(s) / 2;
	out = arena_alloc(a, *n + 1);
	for (i = 0; i < *n; i++)
		out[i] = (unsigned char)(nibble(s[2 * i]) << 4 | nibble(s[2 * i + 1]));
	out[*n] = 0;
	return out;
}

const void *
db_bytes(const struct rows *r, int col, size_t *n)
{
	return db_bytes_of(r->a, db_text(r, col), n);
}

static size_t
commas(const char *s)
{
	size_t n = 0;

	for (; (s = strchr(s, ',')) != NULL; s++)
		n++;
	return n;
}

int64_t *
db_i64s(const struct rows *r, int col, size_t *n)
{
	const char *s = db_text(r, col);
	char *end;
	int64_t *v;

	*n = 0;
	if (s == NULL)
		return NULL;
	assert(*s == '{');
	v = arena_calloc(r->a, commas(s) + 1, sizeof(*v));
	for (s++; *s != '}' && *s != '\0'; s = *end == ',' ? end + 1 : end) {
		if (*s == 'N') {	/* NULL: 0 */
			end = (char *)(uintptr_t)s + 4;
			(*n)++;
			continue;
		}
		v[(*n)++] = strtoll(s, &end, 10);
		assert(end != s);
	}
	return v;
}

/* One element of a text[]; *s moves behind it. Writes at out, which has room for all of it. */
static char *
element(const char **s, char *out)
{
	const char *p = *s;

	if (*p == '"') {
		for (p++; *p != '"' && *p != '\0'; p++) {
			if (*p == '\\')
				p++;
			*out++ = *p;
		}
		if (*p == '"')
			p++;
	} else {
		while (*p != ',' && *p != '}' && *p != '\0')
			*out++ = *p++;
	}
	*out++ = '\0';
	*s = p;
	return out;
}

const char **
db_texts(const struct rows *r, int col, size_t *n)
{
	const char *s = db_text(r, col), **v;
	char *out;

	*n = 0;
	if (s == NULL)
		return NULL;
	assert(*s == '{');
	v = arena_calloc(r->a, commas(s) + 1, sizeof(*v));
	out = arena_alloc(r->a, strlen(s) + 1);
	for (s++; *s != '}' && *s != '\0'; s += *s == ',') {
		bool quoted = *s == '"';

		v[*n] = out;
		out = element(&s, out);
		if (!quoted && strcmp(v[*n], "NULL") == 0)
			v[*n] = NULL;
		(*n)++;
	}
	return v;
}
