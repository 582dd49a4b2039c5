/* core/base/log.c - see log.h. A line is built in one buffer and leaves in one write(2), so lines of many processes do not mix. */
#include "core/base/log.h"

#include <time.h>
#include <unistd.h>
#include "core/base/clock.h"
#include "core/ctx.h"

#define LINE_MAX_ 4000

static enum log_level lowest = LOG_INFO_;
static const char *role = "";

void
log_level_set(enum log_level lv)
{
	lowest = lv;
}

void
log_role_set(const char *r)
{
	role = r;
}

struct line {
	char s[LINE_MAX_ + 8];
	size_t n;
};

static void
add(struct line *l, const char *s, size_t n)
{
	if (n > LINE_MAX_ - l->n)
		n = LINE_MAX_ - l->n;
	memcpy(l->s + l->n, s, n);
	l->n += n;
}

/* A value as it is when it is plain, else in quotes: nothing in it can begin another field or line. */
static void
value(struct line *l, const char *s)
{
	static const char hex[] = "0123456789abcdef";
	bool plain = *s != '\0';

	for (const unsigned char *p = (const unsigned char *)s; *p != '\0' && plain; p++)
		plain = *p > ' ' && *p != '"' && *p != '=' && *p != '\\' && *p < 127;
	if (plain) {
		add(l, s, strlen(s));
		return;
	}
	add(l, "\"", 1);
	for (const unsigned char *p = (const unsigned char *)s; *p != '\0'; p++) {
		char esc[4] = { '\\', 'x', hex[*p >> 4], hex[*p & 15] };

		if (*p == '"' || *p == '\\')
			add(l, (char[]){ '\\', (char)*p }, 2);
		else if (*p < ' ' || *p == 127)
			add(l, esc, 4);
		else
			add(l, (const char *)p, 1);
	}
	add(l, "\"", 1);
}

static void
field(struct line *l, const char *key, const char *s)
{
	if (s == NULL || *s == '\0')
		return;
	add(l, " ", 1);
	add(l, key, strlen(key));
	add(l, "=", 1);
	value(l, s);
}

void
log_(enum log_level lv, const struct ctx *cx, const char *event, const struct log_field *f)
{
	static const char *const names[] = { "debug", "info", "warn", "error" };
	struct line l = { .n = 0 };
	int64_t now = clock_ms();
	time_t t = (time_t)(now / 1000);
	struct tm tm;
	char head[64];

	if (lv < lowest)
		return;
	gmtime_r(&t, &tm);
	l.n = strftime(head, sizeof(head), "ts=%Y-%m-%dT%H:%M:%S", &tm);
	memcpy(l.s, head, l.n);
	l.n += (size_t)snprintf(l.s + l.n, 16, ".%03dZ", (int)(now % 1000));
	field(&l, "level", names[lv]);
	field(&l, "role", role);
	field(&l, "event", event);
	if (cx != NULL) {
		field(&l, "req", cx->req_id);
		field(&l, "user", cx->user);
		field(&l, "route", cx->route);
	}
	for (; f->key != NULL; f++) {
		if (f->s != NULL) {
			field(&l, f->key, f->s);
			continue;
		}
		snprintf(head, sizeof(head), "%lld", (long long)f->i);
		field(&l, f->key, head);
	}
	l.s[l.n++] = '\n';
	if (write(STDERR_FILENO, l.s, l.n) < 0)
		return;		/* nobody to tell */
}
