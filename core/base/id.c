/* core/base/id.c - see id.h. Ids are esc strings: a raw quote, backslash or control character stands there as an escape. */
#include "core/base/id.h"

#include <ctype.h>
#include "core/base/json.h"

/* Raw bytes of an esc string: each escape counts as what it stands for (all of them are one byte of ASCII). */
static size_t
raw_len(const char *s)
{
	size_t n = 0;

	for (; *s != '\0'; n++) {
		if (*s != '\\')
			s++;
		else if (s[1] == 'u')
			s += strnlen(s, 6);
		else
			s += s[1] != '\0' ? 2 : 1;
	}
	return n;
}

static bool
all_of(const char *s, size_t n, const char *more)
{
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && (s[i] == '\0' || strchr(more, s[i]) == NULL))
			return false;
	return true;
}

/* host [":" port], the host a name, an IPv4 or an IPv6 address in brackets. Spec: Appendices, "Server Name". */
bool
id_is_server(const char *s)
{
	size_t host, port;
	const char *p;

	if (*s == '[') {
		if ((p = strchr(s, ']')) == NULL)
			return false;
		host = (size_t)(p - s) + 1;
		if (host < 4 || host > 47)
			return false;
		for (size_t i = 1; i < host - 1; i++)
			if (!isxdigit((unsigned char)s[i]) && s[i] != ':' && s[i] != '.')
				return false;
	} else {
		host = strcspn(s, ":");
		if (host == 0 || host > ID_MAX || !all_of(s, host, "-."))
			return false;
	}
	if (s[host] == '\0')
		return true;
	if (s[host] != ':')
		return false;
	port = strlen(s + host + 1);
	return port >= 1 && port <= 5 && strspn(s + host + 1, "0123456789") == port;
}

const char *
id_server(const char *s)
{
	const char *colon = strchr(s, ':');

	return colon == NULL ? NULL : colon + 1;
}

const char *
id_localpart(struct arena *a, const char *s)
{
	return *s == '\0' ? "" : arena_strndup(a, s + 1, strcspn(s + 1, ":"));
}

static bool
has_nul(const char *s)
{
	return strstr(s, "\\u0000") != NULL;
}

/* sigil localpart ":" server, at most 255 raw bytes */
static bool
is_named(const char *s, char sigil)
{
	const char *server = id_server(s);

	return *s == sigil && server != NULL && id_is_server(server) && raw_len(s) <= ID_MAX && !has_nul(s);
}

/* The form without a server name: sigil and a SHA-256 in base64. */
static bool
is_hash(const char *s, char sigil, const char *more)
{
	return *s == sigil && strlen(s) == 44 && all_of(s + 1, 43, more);
}

bool
id_is_user(const char *s)
{
	return is_named(s, '@');
}

bool
id_is_room(const char *s)
{
	return is_named(s, '!') || is_hash(s, '!', "-_");
}

bool
id_is_alias(const char *s)
{
	return is_named(s, '#') && s[1] != ':';
}

bool
id_is_event(const char *s)
{
	return is_named(s, '$') || is_hash(s, '$', "-_") || is_hash(s, '$', "+/");
}

bool
localpart_is_new(const char *s)
{
	return *s != '\0' && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789._=-/+") == strlen(s);
}
