/* core/err.c - errors and what a transaction touched; see ctx.h. */
#include "core/ctx.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
	int status;
	const char *code;
} errs[ERR_COUNT] = {
	[M_OK] = { 200, "" },
#define X(name, status, code) [name] = { status, code },
#include "core/err.def"
#undef X
};

int
err_status(enum err e)
{
	return errs[e].status;
}

const char *
err_code(enum err e)
{
	return errs[e].code;
}

enum err
(fail)(struct ctx *cx, enum err e, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	cx->err_text = arena_strdup(cx->a, text);
	return e;
}

/* Capacity is the power of two at or above n, as doubling from 8 leaves it. */
static void
touch(struct arena *a, int64_t **v, size_t *n, int64_t id)
{
	for (size_t i = 0; i < *n; i++)
		if ((*v)[i] == id)
			return;
	if (*n == 0)
		*v = arena_alloc(a, 8 * sizeof(**v));
	else if (*n >= 8 && (*n & (*n - 1)) == 0)
		*v = arena_realloc(a, *v, *n * sizeof(**v), *n * 2 * sizeof(**v));
	(*v)[(*n)++] = id;
}

void
touch_room(struct ctx *cx, int64_t room)
{
	touch(cx->a, &cx->touched.rooms, &cx->touched.nrooms, room);
}

void
touch_room_soon(struct ctx *cx, int64_t room)
{
	touch(cx->a, &cx->touched.rooms, &cx->touched.nrooms, -room);
}

void
touch_user(struct ctx *cx, int64_t user)
{
	touch(cx->a, &cx->touched.users, &cx->touched.nusers, user);
}
