/* fcgi/html.c - pages in a browser; see html.h. */
#include "fcgi/html.h"

#include <string.h>

#define STYLE "/_matrix/static/client/login/login.css"

void
html_text(struct req *r, const char *s)
{
	struct buf *b = &r->out.b;

	for (; *s; s++)
		switch (*s) {
		case '&':
			buf_puts(b, "&amp;");
			break;
		case '<':
			buf_puts(b, "&lt;");
			break;
		case '>':
			buf_puts(b, "&gt;");
			break;
		case '"':
			buf_puts(b, "&quot;");
			break;
		case '\'':
			buf_puts(b, "&#39;");
			break;
		default:
			buf_putc(b, *s);
		}
}

void
html_begin(struct req *r, const char *title)
{
	json_out_init(&r->out, r->cx.a);
	buf_puts(&r->out.b, "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
	    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>");
	html_text(r, title);
	buf_puts(&r->out.b, "</title>\n<link rel=\"stylesheet\" href=\"" STYLE "\">\n<main>\n<h1>");
	html_text(r, title);
	buf_puts(&r->out.b, "</h1>\n");
}

static void
paragraph(struct req *r, const char *attributes, const char *s)
{
	buf_addf(&r->out.b, "<p%s>", attributes);
	html_text(r, s);
	buf_puts(&r->out.b, "</p>\n");
}

void
html_p(struct req *r, const char *s)
{
	paragraph(r, "", s);
}

void
html_alert(struct req *r, const char *s)
{
	paragraph(r, " role=\"alert\" class=\"alert\"", s);
}

enum err
html_end(struct req *r, int status, const char *next)
{
	buf_puts(&r->out.b, "</main>\n</html>\n");
	r->status = status;
	r->content_type = "text/html; charset=utf-8";
	reply_header(r, "Content-Security-Policy", arena_printf(r->cx.a,
	    "default-src 'none'; script-src 'self'; style-src 'self'; form-action 'self'%s%s; base-uri 'none'; frame-ancestors 'none'",
	    next != NULL ? " " : "", next != NULL ? next : ""));
	reply_header(r, "X-Frame-Options", "DENY");
	reply_header(r, "Referrer-Policy", "no-referrer");
	reply_header(r, "Cache-Control", "no-store");
	return M_OK;
}

enum err
html_message(struct req *r, int status, const char *title, const char *text)
{
	html_begin(r, title);
	html_p(r, text);
	return html_end(r, status, NULL);
}
