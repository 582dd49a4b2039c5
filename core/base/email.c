/* core/base/email.c - e-mail addresses; see email.h. */
#include "core/base/email.h"

#include <stdlib.h>
#include <string.h>
#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

#include "core/base/utf8.h"

#define LOCAL_MAX 64
#define LABEL_MAX 63

/* Letters, marks, digits and symbols of any script; no punctuation (there is another '@') and nothing that parts words. */
static bool
is_visible(ucs4_t c)
{
	return uc_is_general_category_withtable(c, UC_CATEGORY_MASK_L | UC_CATEGORY_MASK_M | UC_CATEGORY_MASK_N | UC_CATEGORY_MASK_S);
}

static bool
is_atext(ucs4_t c)
{
	if (c >= 128)
		return is_visible(c);
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c != 0 && strchr("!#$%&'*+-/=?^_`{|}~", (int)c) != NULL);
}

static bool
is_label_char(ucs4_t c)
{
	if (c >= 128)
		return uc_is_general_category_withtable(c, UC_CATEGORY_MASK_L | UC_CATEGORY_MASK_M | UC_CATEGORY_MASK_N);
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

/* Non-empty parts between dots, each of characters that fit and of at most max bytes. */
static bool
dotted(const char *s, size_t n, size_t max, bool (*fits)(ucs4_t))
{
	const char *end = s + n, *part = s;
	ucs4_t c;

	for (int len; s < end; s += len) {
		if ((len = u8_mbtouc(&c, (const uint8_t *)s, (size_t)(end - s))) <= 0)
			return false;
		if (c == '.') {
			if (s == part)
				return false;
			part = s + 1;
		} else if (!fits(c) || (size_t)(s + len - part) > max) {
			return false;
		}
	}
	return end > part;
}

static bool
is_domain(const char *s)
{
	size_t n = strlen(s);

	return dotted(s, n, LABEL_MAX, is_label_char) && *s != '-' && s[n - 1] != '-' && strstr(s, ".-") == NULL &&
	    strstr(s, "-.") == NULL;
}

static bool
is_address(const char *s)
{
	const char *at = strchr(s, '@');

	return at != NULL && strlen(s) <= EMAIL_MAX && at - s <= LOCAL_MAX &&
	    dotted(s, (size_t)(at - s), LOCAL_MAX, is_atext) && is_domain(at + 1);
}

const char *
email_canonical(struct arena *a, const char *text)
{
	size_t len = strlen(text), n = 0;
	const char *canonical;
	uint8_t *folded;

	if (len > EMAIL_MAX || !utf8_valid(text, len))
		return NULL;
	if ((folded = u8_casefold((const uint8_t *)text, len, NULL, UNINORM_NFC, NULL, &n)) == NULL)
		return NULL;
	canonical = arena_strndup(a, (const char *)folded, n);
	free(folded);
	/* After the folding, for that is what is used. */
	return is_address(canonical) ? canonical : NULL;
}

bool
email_mailbox(struct arena *a, const char *text, const char **name, const char **address)
{
	const char *open = strrchr(text, '<'), *end = text + strlen(text);

	*name = "";
	if (open == NULL) {
		*address = email_canonical(a, text);
		return *address != NULL;
	}
	if (end[-1] != '>')
		return false;
	*address = email_canonical(a, arena_strndup(a, open + 1, (size_t)(end - open) - 2));
	while (open > text && open[-1] == ' ')
		open--;
	*name = arena_strndup(a, text, (size_t)(open - text));
	for (const char *p = *name; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 127)
			return false;
	return *address != NULL && utf8_valid(*name, strlen(*name));
}

const char *
email_domain(const char *address)
{
	return strchr(address, '@') + 1;
}
