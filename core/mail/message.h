/*
 * core/mail/message.h - a mail as bytes (RFC 5322, MIME). Pure.
 *
 * Whatever the texts hold, they can add no header and no recipient: in headers control characters become spaces, what is
 * not plain ASCII becomes encoded words (RFC 2047), and the addresses are those of core/base/email.h, which hold nothing special.
 */
#ifndef HEARTH_MESSAGE_H
#define HEARTH_MESSAGE_H

#include <stdint.h>
#include "core/base/buf.h"

struct mail {
	const char *from_name;		/* UTF-8; "": none */
	const char *from, *to;		/* canonical addresses */
	const char *subject;		/* UTF-8 */
	const char *text;		/* UTF-8, lines end with \n */
	const char *id;			/* unique; letters and digits: the same mail sent again has the same */
	int64_t date;			/* ms since 1970 */
};

/* The whole message, lines ended by CRLF. */
const char *mail_message(struct arena *a, const struct mail *m, size_t *n);

/* As a header's value: unstructured text. Continuation lines begin with a space. used: columns taken by the header's name. */
void mail_header_text(struct buf *b, const char *text, size_t used);
/* Quoted-printable (RFC 2045, 6.7). */
void mail_quoted_printable(struct buf *b, const char *text);

#endif
