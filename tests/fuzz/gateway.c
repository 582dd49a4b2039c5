/*
 * tests/fuzz/gateway.c - push gateways: their URLs, their answers, and what they are told of an event. The input is a URL, a newline,
 * and JSON. No URL that is taken names an address of this network; what is sent is one JSON object, whatever the event holds.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/ip.h"
#include "core/base/utf8.h"
#include "core/net/http.h"
#include "core/push/notification.h"

#define MUST(x) do { if (!(x)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
url(struct arena *a, const char *text)
{
	static const struct conf conf = { .outgoing_allow = "" };
	const char *origin, *path, *host, *end;
	struct ip ip;

	if (!http_url_split(a, text, &origin, &path)) {
		MUST(!http_url_ok(&conf, text));
		return;
	}
	MUST(strstr(origin, "://") != NULL && *path == '/' && utf8_valid(origin, strlen(origin)));
	if (!http_url_ok(&conf, text))
		return;
	MUST(strncmp(origin, "https://", 8) == 0);
	host = origin + 8;
	end = strrchr(host, ':');
	if (*host == '[')
		host++, end--;
	MUST(end > host);
	if (ip_parse(arena_strndup(a, host, (size_t)(end - host)), &ip))
		MUST(ip_is_public(&ip));
}

static void
address(const char *text)
{
	struct ip ip;

	if (ip_parse(text, &ip))
		MUST(ip_list_ok(text) && ip_list_has(text, &ip));
	if (ip_list_ok(text) && ip_parse("192.0.2.1", &ip))
		ip_list_has(text, &ip);
}

static void
tell(struct arena *a, const char *content, const struct json *v)
{
	static const char *const id[] = { "$e", NULL };
	struct json *again;
	size_t n;

	for (size_t i = 0; i < sizeof id / sizeof *id; i++) {
		struct push_notification p = { .id = id[i], .room_id = "!r:x", .type = "m.room.message", .sender = "@a:x",
			.sender_name = json_get_esc(a, v, "name"), .room_name = json_get_esc(a, v, "name"), .content = content,
			.unread = 3, .app_id = "a", .pushkey = "k", .pushkey_ts = 1, .data = json_get(v, "data") };
		const char *body;

		if (p.data == NULL || !json_is(p.data, JSON_OBJ))
			p.data = json_new_obj(a);
		body = push_notification_body(a, &p, &n);
		MUST(strlen(body) == n && json_parse(a, body, n, &again) == JSON_OK);
		MUST(json_is(json_get(json_get(again, "notification"), "devices"), JSON_ARR));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	const char *text = arena_strndup(a, (const char *)data, size);
	size_t n = strcspn(text, "\n");
	struct json *v;

	url(a, arena_strndup(a, text, n));
	address(arena_strndup(a, text, n));
	if (text[n] == '\n') {
		text += n + 1;
		push_answer_rejects(a, text, strlen(text), "k");
		if (json_parse(a, text, strlen(text), &v) == JSON_OK && json_is(v, JSON_OBJ))
			tell(a, json_canonical_str(a, v, NULL), v);
	}
	arena_free(a);
	return 0;
}
