/* core/mail/message.c - a mail as bytes; see message.h. */
#include "core/mail/message.h"

#include <string.h>
#include <time.h>

#include "core/base/email.h"

#define LINE_MAX_COLUMNS 76
#define WORD_OPEN "=?UTF-8?Q?"
#define WORD_CLOSE "?="

static const char hex[] = "0123456789ABCDEF";

static bool
is_plain(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || (unsigned char)*s > '~')
			return false;
	return true;
}

/* In encoded words these stand for themselves, also inside a phrase (RFC 2047, 5 (3)). */
static bool
is_word_safe(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c != 0 && strchr("!*+-/", c) != NULL);
}

/* One character (a whole UTF-8 sequence) encoded; returns the bytes taken of s. */
static size_t
word_char(const char *s, char out[13])
{
	size_t n = 0, o = 0;

	do {
		unsigned char c = (unsigned char)s[n++];

		if (c < ' ' || c == 127)
			c = ' ';
		if (c == ' ') {
			out[o++] = '_';
		} else if (is_word_safe(c)) {
			out[o++] = (char)c;
		} else {
			out[o++] = '=';
			out[o++] = hex[c >> 4];
			out[o++] = hex[c & 15];
		}
	} while (n < 4 && ((unsigned char)s[n] & 0xc0) == 0x80);
	out[o] = '\0';
	return n;
}

static void
encoded_words(struct buf *b, const char *text, size_t used)
{
	const size_t end = LINE_MAX_COLUMNS - 1 - strlen(WORD_CLOSE);
	size_t at = used + strlen(WORD_OPEN);
	char c[13];

	buf_puts(b, WORD_OPEN);
	while (*text) {
		text += word_char(text, c);
		if (at + strlen(c) > end) {
			buf_puts(b, WORD_CLOSE "\r\n " WORD_OPEN);
			at = 1 + strlen(WORD_OPEN);
		}
		buf_puts(b, c);
		at += strlen(c);
	}
	buf_puts(b, WORD_CLOSE);
}

void
mail_header_text(struct buf *b, const char *text, size_t used)
{
	/* What looks like an encoded word would be read as one. */
	if (is_plain(text) && strstr(text, "=?") == NULL && strlen(text) + used <= LINE_MAX_COLUMNS)
		buf_puts(b, text);
	else
		encoded_words(b, text, used);
}

void
mail_quoted_printable(struct buf *b, const char *text)
{
	size_t at = 0;

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		bool plain;

		if (c == '\n') {
			buf_puts(b, "\r\n");
			at = 0;
			continue;
		}
		/* Spaces at the end of a line get lost on the way. */
		plain = (c > ' ' && c <= '~' && c != '=') || (c == ' ' && text[1] != '\n' && text[1] != '\0');
		if (at + (plain ? 1 : 3) > LINE_MAX_COLUMNS - 1) {
			buf_puts(b, "=\r\n");
			at = 0;
		}
		if (plain)
			buf_putc(b, (char)c);
		else
			buf_addf(b, "=%c%c", hex[c >> 4], hex[c & 15]);
		at += plain ? 1 : 3;
	}
}

/* RFC 5322, 3.3. Not strftime(): its names depend on the locale. */
static void
put_date(struct buf *b, int64_t ms)
{
	static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t t = (time_t)(ms / 1000);
	struct tm tm;

	gmtime_r(&t, &tm);
	buf_addf(b, "Date: %.3s, %d %.3s %d %02d:%02d:%02d +0000\r\n", days + 3 * tm.tm_wday, tm.tm_mday, months + 3 * tm.tm_mon,
	    tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static void
put_from(struct buf *b, const struct mail *m)
{
	buf_puts(b, "From: ");
	if (*m->from_name == '\0') {
		buf_puts(b, m->from);
	} else {
		/* Always as encoded words: no quoting to be got wrong. */
		encoded_words(b, m->from_name, strlen("From: "));
		buf_addf(b, "\r\n <%s>", m->from);
	}
	buf_puts(b, "\r\n");
}

const char *
mail_message(struct arena *a, const struct mail *m, size_t *n)
{
	struct buf b;

	buf_init(&b, a);
	put_date(&b, m->date);
	put_from(&b, m);
	buf_addf(&b, "To: %s\r\nSubject: ", m->to);
	mail_header_text(&b, m->subject, strlen("Subject: "));
	buf_addf(&b, "\r\nMessage-ID: <%s@%s>\r\n", m->id, email_domain(m->from));
	buf_puts(&b, "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=UTF-8\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\nAuto-Submitted: auto-generated\r\n\r\n");
	mail_quoted_printable(&b, m->text);
	*n = b.n;
	return b.s;
}
