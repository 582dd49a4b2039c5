/* core/base/policies.c - see policies.h. */
#include "core/base/policies.h"

#include <string.h>

/* The opaque identifier grammar (Appendices): ids and versions. */
static bool
is_opaque(const char *s, size_t n)
{
	return n > 0 && n <= 255 && strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~") == n;
}

static bool
is_language(const char *s, size_t n)
{
	return n > 1 && n <= 35 && strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == n;
}

/* Of letters that need no escape in a URL or an attribute. */
static bool
is_web_address(const char *s)
{
	size_t n = strncmp(s, "https://", 8) == 0 ? 8 : strncmp(s, "http://", 7) == 0 ? 7 : 0;

	for (const char *p = s; *p; p++)
		if ((unsigned char)*p <= ' ' || (unsigned char)*p > '~' || strchr("\"<>\\^`{|}", *p) != NULL)
			return false;
	return n > 0 && s[n] != '\0';
}

static const char *
policy_fault(const struct json *p)
{
	const char *version = json_get_str(p, "version"), *name, *url;
	size_t languages = 0;

	if (!json_is(p, JSON_OBJ) || version == NULL || !is_opaque(version, strlen(version)))
		return "a policy has no version, or one with other characters than letters, digits and - . _ ~";
	for (size_t i = 0; i < p->u.obj.n; i++) {
		const struct json_member *m = &p->u.obj.v[i];

		if (strcmp(m->key, "version") == 0)
			continue;
		name = json_get_str(m->value, "name");
		url = json_get_str(m->value, "url");
		if (!is_language(m->key, m->key_n) || name == NULL || *name == '\0' || url == NULL || !is_web_address(url))
			return "a language of a policy needs a name and an https:// or http:// url";
		languages++;
	}
	return languages > 0 ? NULL : "a policy has no language";
}

const char *
policies_fault(struct arena *a, const char *text)
{
	struct json *v;
	const char *why;

	if (*text == '\0')
		return NULL;
	if (json_parse(a, text, strlen(text), &v) != JSON_OK || !json_is(v, JSON_OBJ) || v->u.obj.n == 0)
		return "is no JSON object with a policy in it";
	for (size_t i = 0; i < v->u.obj.n; i++) {
		if (!is_opaque(v->u.obj.v[i].key, v->u.obj.v[i].key_n))
			return "a policy's id has other characters than letters, digits and - . _ ~";
		if ((why = policy_fault(v->u.obj.v[i].value)) != NULL)
			return why;
	}
	return NULL;
}
