/* core/db/params.c - parameters into the queue. All travel as text but for bytes, which travel as they are. */
#include <limits.h>
#include <stdarg.h>

#include "core/base/buf.h"
#include "core/db/impl.h"

static void
put(struct db *db, const void *p, size_t n)
{
	db->queue.bytes = db_grow(db->queue.bytes, &db->queue.bytes_cap, db->queue.nbytes + n, 1);
	if (n > 0)
		memcpy(db->queue.bytes + db->queue.nbytes, p, n);
	db->queue.nbytes += n;
}

static void
put_i64(struct db *db, int64_t v)
{
	char s[I64_DIGITS];

	put(db, s, i64_digits(s, v));
}

/* {1,2,3} */
static void
put_i64s(struct db *db, const int64_t *v, size_t n)
{
	size_t i;

	put(db, "{", 1);
	for (i = 0; i < n; i++) {
		if (i > 0)
			put(db, ",", 1);
		put_i64(db, v[i]);
	}
	put(db, "}", 1);
}

/* {"a","with \" and \\",NULL} */
static void
put_texts(struct db *db, const char *const *v, size_t n)
{
	size_t i, run;
	const char *s;

	put(db, "{", 1);
	for (i = 0; i < n; i++) {
		if (i > 0)
			put(db, ",", 1);
		if (v[i] == NULL) {
			put(db, "NULL", 4);
			continue;
		}
		put(db, "\"", 1);
		for (s = v[i]; *s != '\0'; s += run) {
			if (*s == '"' || *s == '\\') {
				put(db, (char[]){ '\\', *s }, 2);
				run = 1;
			} else {
				run = strcspn(s, "\"\\");
				put(db, s, run);
			}
		}
		put(db, "\"", 1);
	}
	put(db, "}", 1);
}

static void
put_param(struct db *db, struct value *v, const struct param *p)
{
	char s[32];

	v->off = db->queue.nbytes;
	v->format = 0;
	v->null = false;
	switch (p->type) {
	case PT_TEXT:
		if (p->p == NULL)
			v->null = true;
		else
			put(db, p->p, strlen(p->p));
		break;
	case PT_I64:
		put_i64(db, p->i);
		break;
	case PT_BOOL:
		put(db, p->i ? "t" : "f", 1);
		break;
	case PT_DOUBLE:
		put(db, s, (size_t)snprintf(s, sizeof(s), "%.17g", p->d));
		break;
	case PT_BYTES:
		v->format = 1;
		v->null = p->p == NULL;
		put(db, p->p, p->n);
		break;
	case PT_I64S:
		put_i64s(db, p->p, p->n);
		break;
	case PT_TEXTS:
		put_texts(db, p->p, p->n);
		break;
	case PT_NULL:
	case PT_END:
		v->null = true;
		break;
	}
	if (db->queue.nbytes - v->off > INT_MAX) {
		fputs("level=error event=parameter_too_long\n", stderr);
		abort();
	}
	v->len = (int)(db->queue.nbytes - v->off);
	put(db, "", 1);	/* libpq wants text NUL-terminated */
}

void
queue_params(struct db *db, struct queued *q, va_list ap)
{
	struct param p;

	q->value = db->queue.nvalues;
	for (q->nvalues = 0; (p = va_arg(ap, struct param)).type != PT_END; q->nvalues++) {
		if (q->nvalues == DB_PARAMS_MAX) {
			fprintf(stderr, "level=error event=too_many_parameters stmt=%s\n", q->st->name);
			abort();
		}
		db->queue.values = db_grow(db->queue.values, &db->queue.values_cap, db->queue.nvalues + 1,
		    sizeof(*db->queue.values));
		put_param(db, &db->queue.values[db->queue.nvalues], &p);
		db->queue.nvalues++;
	}
}

size_t
queue_text(struct db *db, const char *s)
{
	db->queue.values = db_grow(db->queue.values, &db->queue.values_cap, db->queue.nvalues + 1, sizeof(*db->queue.values));
	put_param(db, &db->queue.values[db->queue.nvalues], &P_TEXT(s));
	return db->queue.nvalues++;
}
