/*
 * fcgi/html.h - the few pages that the server shows in a browser: fallback authentication, the link of a mail.
 *
 * No page holds a script or a style of its own: both are files below /_matrix/static/, so the Content-Security-Policy can forbid
 * everything else. What comes from outside goes through html_text(), always.
 */
#ifndef HEARTH_HTML_H
#define HEARTH_HTML_H

#include "fcgi/req.h"

/* Starts a page in r->out.b: head, <main>, <h1>. Write on with buf_puts() (own markup) and html_text(). */
void html_begin(struct req *r, const char *title);
/* Ends it; sets type and headers: CSP, no frames, no referrer, no store. next: a further origin that a form may lead to, or NULL. */
enum err html_end(struct req *r, int status, const char *next);

/* s as text or as the value of a quoted attribute. */
void html_text(struct req *r, const char *s);
/* <p>s</p>; html_alert(): as what went wrong. */
void html_p(struct req *r, const char *s);
void html_alert(struct req *r, const char *s);

/* A page with one paragraph. */
enum err html_message(struct req *r, int status, const char *title, const char *text);

#endif
