/* core/room/pdu.c - see pdu.h. */
#include "core/room/pdu.h"
#include "core/base/log.h"
#include "core/room/render.h"

/* The end of the JSON string that begins at s (its opening quote): one behind the closing quote. */
static const char *
string_end(const char *s)
{
	for (s++; *s != '"'; s++)
		if (*s == '\\')
			s++;
	return s + 1;
}

/* The end of any canonical JSON value. */
static const char *
value_end(const char *s)
{
	int depth = 0;

	for (;;) {
		if (*s == '"') {
			s = string_end(s);
		} else {
			if (*s == '{' || *s == '[')
				depth++;
			else if (*s == '}' || *s == ']')
				depth--;
			s++;
		}
		if (depth == 0 && (*s == ',' || *s == '}' || *s == ']' || *s == '\0'))
			return s;
	}
}

struct column {
	const char *key, *value;
	bool quoted;
};

/* Canonical JSON orders by code points: bytewise on the raw keys. k: an escaped key of klen bytes. */
static int
key_cmp(struct arena *a, const char *column, const char *k, size_t klen)
{
	size_t n = klen, cn = strlen(column);
	const char *raw = k;
	int d;

	if (memchr(k, '\\', klen) != NULL)
		raw = esc_to_raw(a, arena_strndup(a, k, klen), &n);
	d = memcmp(column, raw, n < cn ? n : cn);
	return d != 0 ? d : (cn > n) - (cn < n);
}

static void
put_column(struct buf *b, const struct column *c)
{
	if (b->s[b->n - 1] != '{')
		buf_putc(b, ',');
	buf_putc(b, '"');
	buf_puts(b, c->key);
	buf_puts(b, c->quoted ? "\":\"" : "\":");
	buf_puts(b, c->value);
	if (c->quoted)
		buf_putc(b, '"');
}

/* Columns and texts, put together: all of a foreign PDU. */
static void
join_columns(struct buf *b, const struct room_version *rv, const struct pdu_columns *c)
{
	struct column cols[7];
	size_t n = 0, i = 0;
	const char *p = c->pdu + 1;

	if (c->flags & EV_VERBATIM) {
		buf_puts(b, c->content);
		return;
	}
	cols[n++] = (struct column){ "content", c->content, false };
	if (rv->event_id_format == 1)
		cols[n++] = (struct column){ "event_id", c->id, true };
	cols[n++] = (struct column){ "origin_server_ts", arena_printf(b->a, "%lld", (long long)c->ts), false };
	if (!rv->room_id_is_create_hash || strcmp(c->type, "m.room.create") != 0 || c->state_key == NULL)
		cols[n++] = (struct column){ "room_id", c->room, true };
	cols[n++] = (struct column){ "sender", c->sender, true };
	if (c->state_key != NULL)
		cols[n++] = (struct column){ "state_key", c->state_key, true };
	cols[n++] = (struct column){ "type", c->type, true };

	buf_putc(b, '{');
	while (*p == '"') {
		const char *end = string_end(p), *next = value_end(end + 1);
		while (i < n && key_cmp(b->a, cols[i].key, p + 1, (size_t)(end - p) - 2) < 0)
			put_column(b, &cols[i++]);
		if (b->s[b->n - 1] != '{')
			buf_putc(b, ',');
		buf_add(b, p, (size_t)(next - p));
		p = *next == ',' ? next + 1 : next;
	}
	while (i < n)
		put_column(b, &cols[i++]);
	buf_putc(b, '}');
}

void
event_assemble(struct ctx *cx, struct buf *b, const struct room_version *rv, const struct pdu_columns *c)
{
	struct event ev;

	/*
	 * A foreign PDU has hashes. In a string the quotes would stand behind backslashes. One of this server is put together as a tree:
	 * as one text it may be deeper than what is parsed.
	 */
	if (c->flags & EV_VERBATIM || strstr(c->pdu, "\"hashes\":") != NULL || event_load(cx, rv, c, &ev) != M_OK) {
		join_columns(b, rv, c);
		return;
	}
	event_complete(cx, &ev);
	json_canonical(b, ev.json);
}

void
event_columns(struct arena *a, const struct event *ev, struct pdu_columns *c)
{
	struct event texts = *ev;
	bool built = ev->content_text != NULL;
	struct buf b;
	const char *whole;
	size_t n;

	if (!built)
		event_texts(a, &texts);
	*c = (struct pdu_columns){ ev->id, ev->room, ev->type, ev->sender, ev->state_key, ev->ts, texts.content_text,
	    texts.rest_text, 0, NULL, 0 };
	if (built) {
		c->cites = ev->cites;
		c->ncites = ev->ncites;
		return;
	}
	struct json *bare = json_copy(a, ev->json);
	json_del(bare, "unsigned");	/* belongs to no event: each server makes its own */
	whole = json_canonical_str(a, bare, &n);
	buf_init(&b, a);
	join_columns(&b, ev->rv, c);
	if (b.n == n && memcmp(b.s, whole, n) == 0)
		return;
	c->content = whole;
	c->pdu = "{}";
	c->flags = EV_VERBATIM;
}

enum err
event_load(struct ctx *cx, const struct room_version *rv, const struct pdu_columns *c, struct event *ev)
{
	struct json *whole = NULL;
	enum err e;

	*ev = (struct event){ .rv = rv, .id = c->id, .room = c->room, .type = c->type, .sender = c->sender,
		.state_key = c->state_key, .ts = c->ts, .cites = c->cites, .ncites = c->ncites };
	json_parse(cx->a, c->content, strlen(c->content), &whole);
	if (c->flags & EV_VERBATIM) {
		if ((e = event_read(cx, rv, whole, ev)) == M_OK)
			ev->id = c->id;
	} else {
		ev->content = whole;
		e = event_restore(cx, ev, c->pdu, strlen(c->pdu));
	}
	if (e != M_OK) {
		log_error(cx, "event_unreadable", LS("event", c->id));
		return fail(cx, M_UNKNOWN, "a stored event cannot be read");
	}
	return M_OK;
}
