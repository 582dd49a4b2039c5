/* tests/fuzz/email.c - addresses, links and texts of mails: what is taken holds nothing special, and no text adds a header. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/email.h"
#include "core/base/utf8.h"
#include "core/mail/message.h"
#include "core/user/email_session.h"

#define MUST(x) do { if (!(x)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
address(struct arena *a, const char *text)
{
	const char *s = email_canonical(a, text), *again;

	if (s == NULL)
		return;
	MUST(strlen(s) <= EMAIL_MAX && utf8_valid(s, strlen(s)));
	MUST(strpbrk(s, " \t\r\n<>()[]\",;:\\") == NULL);
	MUST(strchr(s, '@') == strrchr(s, '@') && *email_domain(s) != '\0');
	again = email_canonical(a, s);
	MUST(again != NULL && strcmp(again, s) == 0);
}

/* Lines of the head begin with a known name or continue one. */
static void
message(struct arena *a, const char *text)
{
	static const char *const names[] = {
		"Date: ", "From: ", "To: a@b", "Subject: ", "Message-ID: <x@c>", "MIME-Version: 1.0", "Content-T", "Auto-Submitted: ", " ",
	};
	struct mail m = { .from_name = text, .from = "f@c", .to = "a@b", .subject = text, .text = text, .id = "x" };
	size_t n, i;
	const char *s = mail_message(a, &m, &n), *end = strstr(s, "\r\n\r\n");

	MUST(end != NULL && strlen(s) == n);
	for (const char *p = s; p < end; p = strstr(p, "\r\n") + 2) {
		for (i = 0; i < sizeof names / sizeof *names && strncmp(p, names[i], strlen(names[i])) != 0; i++)
			;
		MUST(i < sizeof names / sizeof *names);
		MUST(strstr(p, "\r\n") - p <= 78);
	}
	for (const char *p = s; *p; p++)
		MUST((*p >= ' ' && *p <= '~') || (p[0] == '\r' && p[1] == '\n') || (p[0] == '\n' && p[-1] == '\r'));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	const char *text = arena_strndup(a, (const char *)data, size), *name, *host;

	address(a, text);
	if (email_mailbox(a, text, &name, &host))
		MUST(strpbrk(name, "\r\n") == NULL);
	if (email_next_link_ok(a, text, &host))
		MUST(*host != '\0' && strpbrk(text, " \r\n\"<>") == NULL && strpbrk(host, "@/?#;, ") == NULL);
	if (utf8_valid(text, strlen(text)))
		message(a, text);
	arena_free(a);
	return 0;
}
