/*
 * core/mail/smtp.h - handing a mail over to the mail server of the settings (smtp_*), through libcurl.
 *
 * It waits for the network (at most SMTP_MAX_S seconds), and calls cx->meanwhile() while it does: no transaction may be open.
 */
#ifndef HEARTH_SMTP_H
#define HEARTH_SMTP_H

#include <stdbool.h>
#include "core/ctx.h"

#define SMTP_MAX_S 40	/* less than a job's lease */

enum smtp_result {
	SMTP_SENT,		/* the server has taken it */
	SMTP_REFUSED,		/* it will never take this one (5xx to the recipient or the message) */
	SMTP_FAILED,		/* not now: try again */
	SMTP_UNREACHABLE,	/* not now, and nothing else either: no connection, no TLS, log-in refused */
};

/* Is there a mail server to send by? Without one nothing that needs e-mail is offered. */
bool smtp_enabled(const struct conf *conf);

/* message: all of it, CRLF. from, to: canonical addresses. What went wrong is logged, without addresses and content. */
enum smtp_result smtp_send(struct ctx *cx, const char *from, const char *to, const char *message, size_t n);

#endif
