/*
 * core/event/build.c - a new event of this server.
 *
 * Sends wait for this, so nothing is serialized twice: content is written once,
 * and the texts that are hashed and stored are put together around it. A unit test holds them against
 * json_canonical(). It is not signed here: see event_complete().
 */
#include "core/event/impl.h"

#include "core/base/b64.h"
#include "core/base/conf.h"

#include <string.h>

/* A draft on its way to a PDU. */
struct work {
	struct ctx *cx;
	const struct event_draft *d;
	const struct room_version *rv;
	struct json *content;
	int64_t depth;
	const char *id;			/* v1, v2: from the start */
	const char *auth, *prev;	/* JSON texts */
	const char *text;		/* of content */
	const char *hash;		/* b64 */
};

/* {"key": or ,"key": */
static void
put_key(struct buf *b, const char *key)
{
	buf_putc(b, b->n ? ',' : '{');
	buf_putc(b, '"');
	buf_puts(b, key);
	buf_add(b, "\":", 2);
}

static void
put_raw(struct buf *b, const char *key, const char *json)
{
	put_key(b, key);
	buf_puts(b, json);
}

static void
put_esc(struct buf *b, const char *key, const char *esc)
{
	if (!esc)
		return;
	put_key(b, key);
	buf_putc(b, '"');
	buf_puts(b, esc);
	buf_putc(b, '"');
}

static void
put_int(struct buf *b, const char *key, int64_t i)
{
	put_key(b, key);
	buf_i64(b, i);
}

static void
put_hashes(struct buf *b, const char *hash)
{
	put_key(b, "hashes");
	buf_puts(b, "{\"sha256\":\"");
	buf_puts(b, hash);
	buf_puts(b, "\"}");
}

/* Below v11 it is a top-level member, which redaction drops; from v11 on it is in content. */
static const char *
top_redacts(const struct work *w)
{
	return w->rv->redacts_in_content ? NULL : w->d->redacts;
}

static const char *
v1_id(const struct work *w)
{
	return w->rv->event_id_format == 1 ? w->id : NULL;
}

/* All but signatures, keys in canonical order. hash NULL: without hashes, as the content hash wants it. */
static const char *
pdu_text(const struct work *w, const char *content, const char *hash, const char *redacts, size_t *n)
{
	const struct event_draft *d = w->d;
	struct buf b;

	buf_init(&b, w->cx->a);
	buf_reserve(&b, strlen(content) + strlen(w->auth) + strlen(w->prev) + 512);
	put_raw(&b, "auth_events", w->auth);
	put_raw(&b, "content", content);
	put_int(&b, "depth", w->depth);
	put_esc(&b, "event_id", v1_id(w));
	if (hash)
		put_hashes(&b, hash);
	put_int(&b, "origin_server_ts", d->ts);
	put_raw(&b, "prev_events", w->prev);
	put_esc(&b, "redacts", redacts);
	put_esc(&b, "room_id", d->room);
	put_esc(&b, "sender", d->sender);
	put_esc(&b, "state_key", d->state_key);
	put_esc(&b, "type", d->type);
	buf_putc(&b, '}');
	*n = b.n;
	return b.s;
}

/* ["$a","$b"], or in v1 and v2 [["$a",{"sha256":"…"}],…]. */
static const char *
edges_text(const struct work *w, const char *const *ids, const char *const *hashes, size_t n)
{
	struct buf b;

	buf_init(&b, w->cx->a);
	buf_putc(&b, '[');
	for (size_t i = 0; i < n; i++) {
		if (w->rv->event_id_format == 1)
			buf_addf(&b, "%s[\"%s\",{\"sha256\":\"%s\"}]", i ? "," : "", ids[i], hashes[i]);
		else
			buf_addf(&b, "%s\"%s\"", i ? "," : "", ids[i]);
	}
	buf_putc(&b, ']');
	return b.s;
}

static struct json *
edges_tree(const struct work *w, const char *const *ids, const char *const *hashes, size_t n)
{
	struct arena *a = w->cx->a;
	struct json *list, *pair, *hash;

	if (w->rv->event_id_format != 1)
		return ids_tree(a, ids, n);
	list = json_new_arr(a);
	for (size_t i = 0; i < n; i++) {
		hash = json_new_obj(a);
		json_set(a, hash, "sha256", json_new_str(a, hashes[i]));
		pair = json_new_arr(a);
		json_push(a, pair, json_new_esc(a, ids[i]));
		json_push(a, pair, hash);
		json_push(a, list, pair);
	}
	return list;
}

static enum err
check_draft(struct ctx *cx, const struct event_draft *d)
{
	if (esc_raw_len(d->type) > EVENT_KEY_MAX)
		return fail(cx, M_TOO_LARGE, "the event type is longer than 255 bytes");
	if (d->state_key && esc_raw_len(d->state_key) > EVENT_KEY_MAX)
		return fail(cx, M_TOO_LARGE, "the state key is longer than 255 bytes");
	if (d->nauth > EVENT_AUTH_MAX || d->nprev > EVENT_PREV_MAX ||
	    (d->rv->event_id_format == 1 && ((d->nauth && !d->auth_hashes) || (d->nprev && !d->prev_hashes))))
		return fail(cx, M_UNKNOWN, "the event cannot be placed in its room");
	if (d->rv->strict_canonical && !json_is_strict(d->content))
		return fail(cx, M_BAD_JSON, "a number is no integer between -(2^53)+1 and 2^53-1");
	return M_OK;
}

static void
begin(struct work *w)
{
	struct arena *a = w->cx->a;
	const struct event_draft *d = w->d;

	w->content = d->content;
	if (d->redacts && w->rv->redacts_in_content) {
		w->content = json_copy(a, d->content);
		json_set(a, w->content, "redacts", json_new_esc(a, d->redacts));
	}
	w->depth = d->depth > depth_max(w->rv) ? depth_max(w->rv) : d->depth;
	w->auth = edges_text(w, d->auth_ids, d->auth_hashes, d->nauth);
	w->prev = edges_text(w, d->prev_ids, d->prev_hashes, d->nprev);
	w->text = json_canonical_str(a, w->content, NULL);
	/* Room v1 §Event IDs: the opaque part only has to be unique on this server. */
	if (w->rv->event_id_format == 1)
		w->id = arena_printf(a, "$%s:%s", random_letters(a, 24), w->cx->conf->server_name);
}

static const char *
redacted_text(const struct work *w, size_t *n)
{
	struct json *kept = event_redact_content(w->cx->a, w->rv, w->d->type, w->content);

	return pdu_text(w, kept == w->content ? w->text : json_canonical_str(w->cx->a, kept, NULL), w->hash, NULL, n);
}

static enum err
hash(struct work *w)
{
	unsigned char hash[SHA256_LEN];
	struct arena *a = w->cx->a;
	const char *text;
	size_t n, whole;

	text = pdu_text(w, w->text, NULL, top_redacts(w), &n);
	sha256(text, n, hash);
	w->hash = b64_encode(a, hash, sizeof(hash));
	/* What hashes and signatures will add: both encodings have a fixed length. */
	whole = n + strlen("\"hashes\":{\"sha256\":\"\"},") + 43 + strlen("\"signatures\":{\"\":{\"\":\"\"}},") + 86 +
	    strlen(w->cx->conf->server_name) + strlen(w->cx->key->id);
	if (whole > EVENT_MAX)
		return fail(w->cx, M_TOO_LARGE, "the event is larger than 65536 bytes");
	if (w->rv->event_id_format != 1) {
		text = redacted_text(w, &n);
		sha256(text, n, hash);
		w->id = event_id_from_hash(a, w->rv, hash);
	}
	return M_OK;
}

static const char *
rest_text(const struct work *w, bool packed)
{
	struct buf b;

	buf_init(&b, w->cx->a);
	if (!packed) {
		put_raw(&b, "auth_events", w->auth);
		put_int(&b, "depth", w->depth);
		put_raw(&b, "prev_events", w->prev);
	}
	put_esc(&b, "redacts", top_redacts(w));
	if (b.n == 0)
		buf_putc(&b, '{');
	buf_putc(&b, '}');
	return b.s;
}

static void
set_esc(struct arena *a, struct json *obj, const char *key, const char *esc)
{
	if (esc)
		json_set(a, obj, key, json_new_esc(a, esc));
}

static struct json *
tree(const struct work *w)
{
	struct arena *a = w->cx->a;
	const struct event_draft *d = w->d;
	struct json *pdu = json_new_obj(a), *hashes = json_new_obj(a);

	json_set(a, hashes, "sha256", json_new_str(a, w->hash));
	json_set(a, pdu, "auth_events", edges_tree(w, d->auth_ids, d->auth_hashes, d->nauth));
	json_set(a, pdu, "content", w->content);
	json_set(a, pdu, "depth", json_new_int(a, w->depth));
	set_esc(a, pdu, "event_id", v1_id(w));
	json_set(a, pdu, "hashes", hashes);
	json_set(a, pdu, "origin_server_ts", json_new_int(a, d->ts));
	json_set(a, pdu, "prev_events", edges_tree(w, d->prev_ids, d->prev_hashes, d->nprev));
	set_esc(a, pdu, "redacts", top_redacts(w));
	set_esc(a, pdu, "room_id", d->room);
	set_esc(a, pdu, "sender", d->sender);
	set_esc(a, pdu, "state_key", d->state_key);
	set_esc(a, pdu, "type", d->type);
	return pdu;
}

enum err
event_build(struct ctx *cx, const struct event_draft *d, struct event *ev)
{
	struct work w = { .cx = cx, .d = d, .rv = d->rv };
	enum err e;

	if ((e = check_draft(cx, d)) != M_OK)
		return e;
	begin(&w);
	if ((e = hash(&w)) != M_OK)
		return e;
	*ev = (struct event){
		.rv = d->rv, .json = tree(&w), .content = w.content, .id = w.id,
		.room = d->room ? d->room : arena_printf(cx->a, "!%s", w.id + 1),
		.type = d->type, .sender = d->sender, .state_key = d->state_key, .ts = d->ts, .depth = w.depth,
		.auth_ids = d->auth_ids, .prev_ids = d->prev_ids, .nauth = d->nauth, .nprev = d->nprev,
		.content_text = w.text,
	};
	ev->cites = cites_pack(cx->a, d->rv, ev, &ev->ncites);
	ev->rest_text = rest_text(&w, ev->cites != NULL);
	return M_OK;
}
