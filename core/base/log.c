/*
 * core/base/log.c - one line is built on the stack and leaves by one write(2):
 * lines of several processes on one pipe do not mix (PIPE_BUF). What does not
 * fit is cut; a value can neither end its line nor invent a field.
 */
#include "core/base/log.h"

#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/ctx.h"

struct line {
	char s[PIPE_BUF];
	size_t n;
};

static enum log_level least = LOG_INFO_;
static const char *role;

void
log_level_set(enum log_level lv)
{
	least = lv;
}

void
log_role_set(const char *name)
{
	role = name;
}

/* The place of the newline stays free. */
static void
add(struct line *l, const char *s, size_t n)
{
	size_t room = sizeof(l->s) - 1 - l->n;

	if (n > room)
		n = room;
	memcpy(l->s + l->n, s, n);
	l->n += n;
}

static void
add_quoted(struct line *l, const char *s)
{
	static const char hex[] = "0123456789abcdef";

	add(l, "\"", 1);
	/* Room for the longest escape and the closing quote. */
	for (; *s && l->n < sizeof(l->s) - 8; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			add(l, (char[]){ '\\', *s }, 2);
		else if (c == '\n')
			add(l, "\\n", 2);
		else if (c < 0x20 || c == 0x7f)
			add(l, (char[]){ '\\', 'x', hex[c >> 4], hex[c & 15] }, 4);
		else
			add(l, s, 1);
	}
	add(l, "\"", 1);
}

static bool
needs_quotes(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || *s == 0x7f || *s == '"' || *s == '=' || *s == '\\')
			return true;
	return false;
}

static void
add_field(struct line *l, const char *key, const char *s)
{
	/* Left out as a whole: a field without a value, and one that has no room for its key. */
	if (!s || !*s || l->n + strlen(key) + 16 > sizeof(l->s))
		return;
	add(l, " ", 1);
	add(l, key, strlen(key));
	add(l, "=", 1);
	if (needs_quotes(s))
		add_quoted(l, s);
	else
		add(l, s, strlen(s));
}

static void
add_number(struct line *l, const char *key, int64_t i)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, i);
	add_field(l, key, text);
}

static void
add_time(struct line *l)
{
	char text[40];
	struct timespec t;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &t);
	gmtime_r(&t.tv_sec, &tm);
	n = strftime(text, sizeof(text), "ts=%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(text + n, sizeof(text) - n, ".%03dZ", (int)(t.tv_nsec / 1000000));
	add(l, text, n);
}

void
log_(enum log_level lv, const struct ctx *cx, const char *event, const struct log_field *f)
{
	static const char *const levels[] = { "debug", "info", "warn", "error" };
	struct line l = { .n = 0 };

	if (lv < least)
		return;
	add_time(&l);
	add_field(&l, "level", levels[lv]);
	add_field(&l, "event", event);
	add_field(&l, "role", role);
	if (cx) {
		add_field(&l, "req", cx->req_id);
		add_field(&l, "route", cx->route);
		add_field(&l, "user", cx->user);
	}
	for (; f->key; f++) {
		if (f->s)
			add_field(&l, f->key, f->s);
		else
			add_number(&l, f->key, f->i);
	}
	l.s[l.n++] = '\n';
	/* Nobody is left to tell when this fails. */
	if (write(STDERR_FILENO, l.s, l.n) < 0)
		return;
}
