/*
 * fcgi/client/email_page.c - where the link of a mail leads (see core/jobs/mail.c): a page with a button, because programs
 * open links too, to look into mails, and must not confirm what only its reader can. The setting email_one_click does without.
 */
#include <string.h>

#include "core/base/conf.h"
#include "core/user/email_session.h"
#include "fcgi/client/client.h"
#include "fcgi/html.h"

#define TITLE "Your e-mail address"

/* scheme://host of the client's page, when the browser may go there by itself; else NULL. */
static const char *
next_origin(struct req *r, const struct email_validation *v)
{
	const char *host;

	if (v->next_link == NULL || !email_next_link_ok(r->cx.a, v->next_link, &host) || !email_listed(r->cx.conf->email_next_hosts, host))
		return NULL;
	return arena_strndup(r->cx.a, v->next_link, (size_t)(strstr(v->next_link, "://") + 3 - v->next_link) + strlen(host));
}

static enum err
confirmed(struct req *r, const struct email_validation *v)
{
	const char *host;

	html_begin(r, TITLE);
	html_p(r, v->purpose == EMAIL_RESET ? "Confirmed. Go back to your application to choose the new password." :
	    "The address is confirmed. You can close this page and go back to your application.");
	if (v->next_link != NULL && email_next_link_ok(r->cx.a, v->next_link, &host)) {
		buf_puts(&r->out.b, "<p><a rel=\"noopener noreferrer\" href=\"");
		html_text(r, v->next_link);
		buf_puts(&r->out.b, "\">Go on to ");
		html_text(r, host);
		buf_puts(&r->out.b, "</a></p>\n");
	}
	return html_end(r, 200, NULL);
}

static enum err
failed(struct req *r, enum err e)
{
	if (e != M_TOKEN_INCORRECT && e != M_SESSION_EXPIRED)
		return e;
	return html_message(r, 400, TITLE, e == M_SESSION_EXPIRED ? "This link is too old. Ask your application for another mail." :
	    "This link is not, or no longer, good. Was it copied whole?");
}

static enum err
form(struct req *r, const struct email_validation *v)
{
	html_begin(r, TITLE);
	buf_puts(&r->out.b, "<p><strong>");
	html_text(r, v->address);
	buf_puts(&r->out.b, "</strong></p>\n");
	if (v->purpose == EMAIL_RESET) {
		html_p(r, "Somebody has asked for a new password for your account at this server. Go on only if it was you, just now: whoever "
		    "asked can then choose the new password.");
		buf_puts(&r->out.b, "<form method=\"post\"><button>Allow a new password</button></form>\n");
	} else {
		html_p(r, v->purpose == EMAIL_ADD ? "Shall this address belong to the account it was entered for?" :
		    "Shall this address belong to the account that is being made with it?");
		buf_puts(&r->out.b, "<form method=\"post\"><button>Confirm</button></form>\n");
	}
	return html_end(r, 200, next_origin(r, v));
}

static enum err
submit(struct req *r, const char *sid, const char *token)
{
	struct email_validation v;
	enum err e;

	if ((e = email_token_submit(&r->cx, sid, NULL, token, &v)) != M_OK)
		return failed(r, e);
	e = confirmed(r, &v);
	if (next_origin(r, &v) == NULL)
		return e;
	reply_header(r, "Location", v.next_link);
	r->status = 303;
	return e;
}

static const char *
need(struct req *r, const char *name)
{
	const char *s = req_query(r, name);

	return s != NULL ? s : "";
}

/* GET …/hearth/email/confirm?sid=…&token=… */
enum err
hearth_email_page(struct req *r)
{
	const char *sid = need(r, "sid"), *token = need(r, "token");
	struct email_validation v;
	enum err e;

	if ((e = email_token_look(&r->cx, sid, token, &v)) != M_OK)
		return failed(r, e);
	if (v.validated)
		return confirmed(r, &v);
	if (r->cx.conf->email_one_click && v.purpose != EMAIL_RESET)
		return submit(r, sid, token);
	return form(r, &v);
}

/* POST …/hearth/email/confirm?sid=…&token=…: its button. Who knows the token has read the mail, so no other site can press it. */
enum err
hearth_email_confirm(struct req *r)
{
	return submit(r, need(r, "sid"), need(r, "token"));
}
