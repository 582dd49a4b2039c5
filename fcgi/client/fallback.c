/*
 * fcgi/client/fallback.c - the pages by which people complete a stage of authentication in a browser ("Fallback").
 *
 * The session's id is the secret: no other site can know it, so none can press a button here. It stands in the URL, as the
 * specification has it; hence no referrer leaves the page, and no log holds the query.
 */
#include <string.h>

#include "core/base/conf.h"
#include "core/crypto/crypto.h"
#include "core/mail/smtp.h"
#include "core/user/email_session.h"
#include "core/user/registration_token.h"
#include "core/user/terms.h"
#include "core/user/uia.h"
#include "fcgi/client/client.h"
#include "fcgi/html.h"

/* What one's password would authorize: nobody shall give it without knowing for what. */
static const struct {
	const char *endpoint, *what;
} deeds[] = {
	{ "changePassword", "change the password" },
	{ "deactivateAccount", "end the account for ever" },
	{ "deleteDevice", "log devices out" },
	{ "deleteDevices", "log devices out" },
	{ "uploadCrossSigningKeys", "replace the keys that vouch for your devices" },
	{ "add3PID", "add an e-mail address" },
	{ "generateLoginToken", "log another device in" },
};

static const char *
deed_of(const char *endpoint)
{
	size_t n = strcspn(endpoint, " ");

	for (size_t i = 0; i < sizeof deeds / sizeof *deeds; i++)
		if (strlen(deeds[i].endpoint) == n && strncmp(deeds[i].endpoint, endpoint, n) == 0)
			return deeds[i].what;
	return "do what your application asked for";
}

/* ---- the forms; each is shown again with what was wrong */

static void
form_dummy(struct req *r, const struct uia_page *pg)
{
	buf_puts(&r->out.b, "<form method=\"post\"><button>Continue</button></form>\n");
}

static void
form_password(struct req *r, const struct uia_page *pg)
{
	html_p(r, arena_printf(r->cx.a, "An application wants to %s (%s). Is it you?", deed_of(pg->endpoint), pg->user ? pg->user : ""));
	buf_puts(&r->out.b, "<form method=\"post\"><input type=\"text\" autocomplete=\"username\" hidden value=\"");
	html_text(r, pg->localpart ? pg->localpart : "");	/* for the browser's store of passwords */
	buf_puts(&r->out.b, "\"><label>Password <input name=\"password\" type=\"password\" "
	    "autocomplete=\"current-password\" required autofocus></label><button>Confirm</button></form>\n");
}

static void
form_token(struct req *r, const struct uia_page *pg)
{
	html_p(r, "Accounts are made here with a registration token. Enter the one that you were given.");
	buf_puts(&r->out.b, "<form method=\"post\"><label>Registration token <input name=\"token\" autocomplete=\"off\" autocapitalize=\"none\" "
	    "spellcheck=\"false\" maxlength=\"64\" required autofocus></label><button>Continue</button></form>\n");
}

/* English if there is, else the first language. */
static const struct json *
policy_text(const struct json *policy)
{
	const struct json *en = json_get(policy, "en");

	for (size_t i = 0; en == NULL && i < policy->u.obj.n; i++)
		if (json_is(policy->u.obj.v[i].value, JSON_OBJ))
			en = policy->u.obj.v[i].value;
	return en;
}

static void
form_terms(struct req *r, const struct uia_page *pg)
{
	struct json *policies = NULL;

	if (pg->proof.terms != NULL)
		(void)json_parse(r->cx.a, pg->proof.terms, strlen(pg->proof.terms), &policies);
	html_p(r, "To make an account here, please read and accept:");
	buf_puts(&r->out.b, "<form method=\"post\">\n");
	for (size_t i = 0; policies != NULL && i < policies->u.obj.n; i++) {
		const struct json *text = policy_text(policies->u.obj.v[i].value);

		buf_puts(&r->out.b, "<label class=\"check\"><input type=\"checkbox\" required> "
		    "<a target=\"_blank\" rel=\"noopener noreferrer\" href=\"");
		html_text(r, json_get_str(text, "url"));
		buf_puts(&r->out.b, "\">");
		html_text(r, json_get_str(text, "name"));
		buf_puts(&r->out.b, "</a></label>\n");
	}
	buf_puts(&r->out.b, "<button name=\"accept\" value=\"yes\">Accept</button></form>\n");
}

static void
form_email(struct req *r, const struct uia_page *pg)
{
	if (pg->proof.email_sid != NULL) {
		html_p(r, "A mail is on its way. Open the link in it, then continue here.");
		buf_puts(&r->out.b, "<form method=\"post\"><button>Continue</button></form>\n<hr>\n");
	}
	buf_addf(&r->out.b, "<form method=\"post\"><label>%s <input name=\"email\" type=\"email\" autocomplete=\"email\" maxlength=\"254\" "
	    "required%s></label><button>Send a mail</button></form>\n", pg->proof.email_sid != NULL ? "Another e-mail address, or the same again" :
	    "Your e-mail address", pg->proof.email_sid != NULL ? "" : " autofocus");
}

/* ---- what a form sends, as the stage's `auth` */

static void
auth_field(struct req *r, struct json *auth, const char *name)
{
	const char *value = form_value(r, name);

	if (value != NULL)
		json_set(r->cx.a, auth, name, json_new_str(r->cx.a, value));
}

static enum err
send_none(struct req *r, struct uia_page *pg, struct json *auth)
{
	return M_OK;
}

static enum err
send_password(struct req *r, struct uia_page *pg, struct json *auth)
{
	if (pg->localpart == NULL)
		return fail(&r->cx, M_FORBIDDEN, "there is no account yet");
	json_set(r->cx.a, auth, "user", json_new_esc(r->cx.a, pg->localpart));
	auth_field(r, auth, "password");
	return M_OK;
}

static enum err
send_token(struct req *r, struct uia_page *pg, struct json *auth)
{
	auth_field(r, auth, "token");
	return M_OK;
}

static enum err
send_terms(struct req *r, struct uia_page *pg, struct json *auth)
{
	const char *accept = form_value(r, "accept");

	return accept != NULL && strcmp(accept, "yes") == 0 ? M_OK : fail(&r->cx, M_FORBIDDEN, "nothing was accepted");
}

/* With an address: a mail to it, and the same page again. Without: was the link opened? */
static enum err
send_email(struct req *r, struct uia_page *pg, struct json *auth)
{
	struct email_request rq = { .address = form_value(r, "email"), .remote_addr = r->remote_addr };
	const char *sid;
	enum err e;

	if (rq.address == NULL)
		return pg->proof.email_sid != NULL ? M_OK : fail(&r->cx, M_FORBIDDEN, "enter your e-mail address");
	if (!smtp_enabled(r->cx.conf) || !uia_page_email_purpose(pg, &rq.purpose))
		return fail(&r->cx, M_FORBIDDEN, "no mail can be sent for this");
	rq.client_secret = random_token(r->cx.a, 24);
	if ((e = email_request(&r->cx, &rq, &sid)) != M_OK || (e = uia_page_email(&r->cx, pg, sid)) != M_OK)
		return e;
	pg->proof.email_sid = sid;
	return fail(&r->cx, M_THREEPID_AUTH_FAILED, "%s", "");
}

static const struct {
	const char *type, *title;
	void (*form)(struct req *, const struct uia_page *);
	enum err (*send)(struct req *, struct uia_page *, struct json *auth);
} pages[] = {
	{ "m.login.dummy", "Continue", form_dummy, send_none },
	{ "m.login.password", "Confirm it is you", form_password, send_password },
	{ REGISTRATION_TOKEN_STAGE, "Registration token", form_token, send_token },
	{ TERMS_STAGE, "Terms", form_terms, send_terms },
	{ EMAIL_STAGE, "Your e-mail address", form_email, send_email },
};
#define NPAGES (sizeof pages / sizeof *pages)

/* ---- the two requests */

static enum err
page_done(struct req *r)
{
	html_begin(r, "Done");
	html_p(r, "You can close this page and go back to your application.");
	buf_puts(&r->out.b, "<script src=\"/_matrix/static/client/auth/done.js\" defer></script>\n");
	return html_end(r, 200, NULL);
}

static enum err
page_form(struct req *r, size_t which, const struct uia_page *pg, int status, const char *wrong)
{
	html_begin(r, pages[which].title);
	if (wrong != NULL && *wrong != '\0')
		html_alert(r, wrong);
	pages[which].form(r, pg);
	return html_end(r, status, NULL);
}

/* M_OK: *which and *pg can go on. E_REPLY_READY: the page that is shown instead is ready. */
static enum err
page_find(struct req *r, size_t *which, struct uia_page *pg)
{
	const char *type = req_param(r, "authType"), *session = req_query(r, "session");
	enum err e;

	for (*which = 0; *which < NPAGES && strcmp(pages[*which].type, type) != 0; ++*which)
		;
	if (*which == NPAGES)
		return fail(&r->cx, M_UNRECOGNIZED, "there is no page for this type of authentication");
	if (session == NULL)
		return fail(&r->cx, M_MISSING_PARAM, "session is missing");
	if ((e = uia_page_find(&r->cx, session, type, pg)) == M_NOT_FOUND) {
		(void)html_message(r, 404, "Too late", "This session is unknown or has ended. Start again in your application.");
		return E_REPLY_READY;
	}
	if (e != M_OK)
		return e;
	if (pg->completed) {
		(void)page_done(r);
		return E_REPLY_READY;
	}
	if (!pg->next) {
		(void)html_message(r, 400, "Not yet", "Something else comes before this. Go back to your application.");
		return E_REPLY_READY;
	}
	return M_OK;
}

/* GET /_matrix/client/v3/auth/{authType}/fallback/web?session=… */
enum err
cl_auth_fallback(struct req *r)
{
	struct uia_page pg;
	size_t which;
	enum err e = page_find(r, &which, &pg);

	if (e != M_OK)
		return e == E_REPLY_READY ? M_OK : e;
	return page_form(r, which, &pg, 200, NULL);
}

/* POST /_matrix/client/v3/auth/{authType}/fallback/web?session=… */
enum err
cl_auth_fallback_submit(struct req *r)
{
	struct json *auth = json_new_obj(r->cx.a);
	struct uia_page pg;
	size_t which;
	enum err e = page_find(r, &which, &pg);

	if (e != M_OK)
		return e == E_REPLY_READY ? M_OK : e;
	if ((e = pages[which].send(r, &pg, auth)) == M_OK)
		e = uia_page_pass(&r->cx, &pg, auth);
	if (e == M_OK)
		return page_done(r);
	if (e == E_RETRY || e == E_UNAVAILABLE || e == M_UNKNOWN)
		return e;
	return page_form(r, which, &pg, e == M_LIMIT_EXCEEDED ? 429 : *r->cx.err_text ? 400 : 200, r->cx.err_text);
}
