/* core/base/id.c - see id.h. */
#include "core/base/id.h"

#include <arpa/inet.h>
#include <string.h>

#include "core/base/json.h"

#define HASH_ID 43	/* unpadded base64 of 32 bytes */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_alnum(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* dns-name, of which IPv4address is a part */
static bool
is_host(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!is_alnum(s[i]) && s[i] != '-' && s[i] != '.')
			return false;
	return n > 0;
}

static bool
is_ipv6(const char *s, size_t n)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr six;

	if (n >= sizeof(text))
		return false;
	memcpy(text, s, n);
	text[n] = '\0';
	return inet_pton(AF_INET6, text, &six) == 1;
}

static bool
is_port(const char *s)
{
	size_t n = strspn(s, "0123456789");

	return n >= 1 && n <= 5 && !s[n];
}

bool
id_is_server(const char *s)
{
	const char *end;

	if (strlen(s) > ID_MAX)
		return false;
	if (*s == '[') {
		end = strchr(s, ']');
		if (!end || !is_ipv6(s + 1, (size_t)(end - s - 1)))
			return false;
		end++;
	} else {
		end = strchrnul(s, ':');
		if (!is_host(s, (size_t)(end - s)))
			return false;
	}
	return !*end || (*end == ':' && is_port(end + 1));
}

const char *
id_server(const char *s)
{
	const char *colon = strchr(s, ':');

	return colon ? colon + 1 : NULL;
}

const char *
id_localpart(struct arena *a, const char *s)
{
	return *s ? arena_strndup(a, s + 1, strcspn(s + 1, ":")) : "";
}

/* <sigil>localpart:domain. The only escape a localpart may not hold is that of NUL. */
static bool
is_common(const char *s, char sigil, size_t local_min)
{
	const char *server;

	if (*s != sigil || !(server = id_server(s)) || (size_t)(server - s) < local_min + 2)
		return false;
	return !strstr(s, "\\u0000") && id_is_server(server) && esc_raw_len(s) <= ID_MAX;
}

/* <sigil> and a hash in base64: URL-safe from room version 4 on, standard in version 3. */
static bool
is_hash(const char *s, char sigil, bool standard)
{
	bool url = true, std = standard;

	if (*s != sigil || strlen(s) != HASH_ID + 1)
		return false;
	while (*++s) {
		url = url && (is_alnum(*s) || *s == '-' || *s == '_');
		std = std && (is_alnum(*s) || *s == '+' || *s == '/');
	}
	return url || std;
}

bool
id_is_user(const char *s)
{
	return is_common(s, '@', 0);
}

bool
id_is_room(const char *s)
{
	return is_common(s, '!', 1) || is_hash(s, '!', false);
}

bool
id_is_alias(const char *s)
{
	return is_common(s, '#', 1);
}

bool
id_is_event(const char *s)
{
	return is_common(s, '$', 1) || is_hash(s, '$', true);
}

bool
id_among(const char *s, const char *const *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(v[i], s) == 0)
			return true;
	return false;
}

bool
localpart_is_new(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789._=-/+");

	return n && !s[n];
}
