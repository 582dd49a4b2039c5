/*
 * core/base/email.h - e-mail addresses (RFC 5321, RFC 6531), in the one form in which they are third-party identifiers.
 *
 * Two spellings that differ in case are one address (Appendices, "3PID Types"): the whole is case-folded as Unicode has it,
 * so "Strauß@Example.com" is "strauss@example.com". Mail must be sent to this form alone, never to what somebody typed:
 * else a look-alike that folds to another's address would get that other's mail.
 */
#ifndef HEARTH_EMAIL_H
#define HEARTH_EMAIL_H

#include <stdbool.h>
#include "core/base/arena.h"

#define EMAIL_MAX 254	/* bytes */

/*
 * The canonical form of text (UTF-8), in the arena; NULL when it is no user@domain: quoted local parts and address literals,
 * which nobody has, included. What it returns holds no space, control character, bracket, quote or comma.
 */
const char *email_canonical(struct arena *a, const char *text);

/* Reads "address" or "Name <address>", as settings give a sender. *name is "" when there is none. False: it is neither. */
bool email_mailbox(struct arena *a, const char *text, const char **name, const char **address);

/* What follows the '@'. Points into the address. */
const char *email_domain(const char *address);

#endif
