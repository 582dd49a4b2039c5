/* core/mail/smtp.c - libcurl's SMTP behind one verb; see smtp.h. */
#include "core/mail/smtp.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/conf.h"
#include "core/base/log.h"
#include "core/net/easy.h"

#define CONNECT_MAX_S 10L
#define MEANWHILE_MS 20

bool
smtp_enabled(const struct conf *conf)
{
	return conf->smtp_url != NULL && *conf->smtp_url != '\0';
}

struct source {
	const char *s;
	size_t n;
};

static size_t
source_read(char *p, size_t size, size_t count, void *arg)
{
	struct source *src = arg;
	size_t n = size * count < src->n ? size * count : src->n;

	memcpy(p, src->s, n);
	src->s += n;
	src->n -= n;
	return n;
}

/* The name that a mail server hears in EHLO is the path of the URL. */
static void
set_server(CURL *c, struct ctx *cx)
{
	static const long tls[] = {
		[TLS_REQUIRED] = CURLUSESSL_ALL, [TLS_TRY] = CURLUSESSL_TRY, [TLS_OFF] = CURLUSESSL_NONE,
	};
	const struct conf *conf = cx->conf;
	size_t host = strcspn(conf->server_name, ":[");

	curl_easy_setopt(c, CURLOPT_URL, arena_printf(cx->a, "%s/%.*s", conf->smtp_url, (int)host, conf->server_name));
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_MAX_S);
	curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)SMTP_MAX_S);
	curl_easy_setopt(c, CURLOPT_USE_SSL, tls[conf->smtp_tls]);
	if (conf->smtp_tls == TLS_TRY) {
		/* Whoever could show a false certificate could as well hide that there is TLS. */
		curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (*conf->smtp_user != '\0') {
		curl_easy_setopt(c, CURLOPT_USERNAME, conf->smtp_user);
		curl_easy_setopt(c, CURLOPT_PASSWORD, conf->smtp_password);
	}
}

/* What the mail server says of one mail (5xx is for ever), or what stands in the way of all of them. */
static enum smtp_result
judge(CURLcode rc, long response)
{
	switch (rc) {
	case CURLE_OK:
		return SMTP_SENT;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_USE_SSL_FAILED:
	case CURLE_LOGIN_DENIED:
		return SMTP_UNREACHABLE;
	default:
		return response >= 550 && response <= 554 ? SMTP_REFUSED : SMTP_FAILED;
	}
}

static CURLcode
perform(struct ctx *cx, CURL *c)
{
	CURLM *multi = curl_multi_init();
	CURLcode rc = CURLE_FAILED_INIT;
	CURLMsg *m;
	int running, left;

	if (multi == NULL || curl_multi_add_handle(multi, c) != CURLM_OK)
		abort();
	while (curl_multi_perform(multi, &running) == CURLM_OK && running > 0) {
		if (cx->meanwhile != NULL)
			cx->meanwhile(cx->meanwhile_arg);
		curl_multi_poll(multi, NULL, 0, cx->meanwhile != NULL ? MEANWHILE_MS : 1000, NULL);
	}
	while ((m = curl_multi_info_read(multi, &left)) != NULL)
		if (m->msg == CURLMSG_DONE)
			rc = m->data.result;
	curl_multi_remove_handle(multi, c);
	curl_multi_cleanup(multi);
	return rc;
}

enum smtp_result
smtp_send(struct ctx *cx, const char *from, const char *to, const char *message, size_t n)
{
	struct source src = { message, n };
	struct curl_slist *rcpt = curl_slist_append(NULL, to);
	CURL *c = net_easy_new(cx->conf);
	enum smtp_result result;
	long response = 0;
	CURLcode rc;

	if (rcpt == NULL)
		abort();
	set_server(c, cx);
	curl_easy_setopt(c, CURLOPT_MAIL_FROM, from);
	curl_easy_setopt(c, CURLOPT_MAIL_RCPT, rcpt);
	curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(c, CURLOPT_READFUNCTION, source_read);
	curl_easy_setopt(c, CURLOPT_READDATA, &src);
	rc = perform(cx, c);
	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &response);
	result = judge(rc, response);
	if (result != SMTP_SENT)
		log_warn(cx, result == SMTP_REFUSED ? "mail_refused" : "mail_not_sent", LS("why", curl_easy_strerror(rc)), LI("response", response));
	curl_slist_free_all(rcpt);
	curl_easy_cleanup(c);
	return result;
}
