/*
 * core/jobs/mail.c - sends the mail of an email_session.
 *
 * Key: its sid. What the mail says is read when it is sent, so no token lies in a job; a session that ended meanwhile needs
 * none. No transaction is open while the mail server is talked to: the reading one is ended, and another begun for the end
 * of the job. Between the mail server's "250" and that COMMIT a crash would send the mail again; it has the same
 * Message-ID then.
 */
#include <string.h>

#include "core/base/b64.h"
#include "core/base/clock.h"
#include "core/base/conf.h"
#include "core/base/email.h"
#include "core/base/log.h"
#include "core/crypto/crypto.h"
#include "core/db/db.h"
#include "core/jobs/jobs_impl.h"
#include "core/mail/message.h"
#include "core/mail/smtp.h"

#define HOLD_MS (30 * 1000LL)

STMT(mail_select,
    "SELECT s.purpose, s.address, s.token, s.send_attempt, n.body FROM email_session s"
    " LEFT JOIN threepid t ON t.medium = 'email' AND t.address = s.address LEFT JOIN name n ON n.nid = t.usr"
    " WHERE s.sid = $1 AND s.expires_ts > $2");
/* The mail server cannot be reached: the others need not find out one by one. */
STMT(mail_hold, "UPDATE job SET run_ts = $1 WHERE kind = 'mail' AND run_ts < $1");

/* What the mails say: %s are the server's name, the link, its token (with_link) or the user's id (if known). */
static const struct {
	const char *purpose;
	bool with_link;
	const char *subject, *text;
} texts[] = {
	{ "register", true, "Confirm your e-mail address",
	    "somebody, probably you, is making an account at %s with this e-mail address.\n"
	    "If it was you, open this link to confirm the address:\n\n" },
	{ "add", true, "Confirm your e-mail address",
	    "somebody, probably you, is adding this e-mail address to an account at %s.\n"
	    "If it was you, open this link to confirm the address:\n\n" },
	{ "reset", true, "Choose a new password",
	    "somebody, probably you, has asked for a new password for your account at %s.\n"
	    "If it was you, open this link to allow it; whoever asked can then choose the new password:\n\n" },
	{ "register", false, "You have an account already",
	    "somebody, probably you, wanted to make an account at %s with this e-mail address. But there is one that has it already" },
	{ "add", false, "This e-mail address is in use",
	    "somebody, probably you, wanted to add this e-mail address to an account at %s. But there is one that has it already" },
	{ "reset", false, "No account has this e-mail address",
	    "somebody, probably you, has asked for a new password at %s. But no account there may be given a new password by this e-mail address.\n"
	    "You may have given another address, or have no account yet.\n" },
};

/* Where people confirm an address; see fcgi/client/email_page.c. */
static const char *
link_of(struct ctx *cx, const char *sid, const char *token)
{
	const char *base = cx->conf->public_baseurl;
	size_t n = strlen(base);

	while (n > 0 && base[n - 1] == '/')
		n--;
	return arena_printf(cx->a, "%.*s/_matrix/client/unstable/hearth/email/confirm?sid=%s&token=%s", (int)n, base, sid, token);
}

static const char *
text_of(struct ctx *cx, size_t which, const char *sid, const char *token, const char *user)
{
	struct buf b;

	buf_init(&b, cx->a);
	buf_puts(&b, "Hello,\n\n");
	for (const char *p = texts[which].text; *p; p++) {
		if (strncmp(p, "%s", 2) != 0) {
			buf_putc(&b, *p);
			continue;
		}
		buf_puts(&b, cx->conf->server_name);
		p++;
	}
	if (token != NULL)
		buf_addf(&b, "    %s\n\nIt is good for %lld minutes. Should your application ask for a code, it is this one:\n\n    %s\n\n"
		    "If it was not you, do nothing.\n", link_of(cx, sid, token), (long long)cx->conf->email_valid_min, token);
	else if (strcmp(texts[which].purpose, "reset") != 0)
		buf_addf(&b, "%s%s.\nIf it was you, log in to it; a forgotten password can be replaced by this address.\nIf it was not you, do nothing.\n",
		    user != NULL ? ": " : "", user != NULL ? user : "");
	else
		buf_puts(&b, "If it was not you, do nothing.\n");
	return b.s;
}

static const char *
compose(struct ctx *cx, const struct rows *r, const char *sid, const char *from_name, const char *from, size_t *n)
{
	const char *purpose = db_text(r, 0), *token = db_text(r, 2);
	struct mail m = { .from_name = from_name, .from = from, .to = db_text(r, 1), .date = cx->now };
	unsigned char sum[SHA256_LEN];
	const char *once = arena_printf(cx->a, "%s %lld", sid, (long long)db_i64(r, 3));
	size_t which = 0;

	while (which + 1 < sizeof texts / sizeof *texts &&
	    (strcmp(texts[which].purpose, purpose) != 0 || texts[which].with_link != (token != NULL)))
		which++;
	sha256(once, strlen(once), sum);
	m.id = hex_encode(cx->a, sum, 16);
	m.subject = arena_printf(cx->a, "%s (%s)", texts[which].subject, cx->conf->server_name);
	m.text = text_of(cx, which, sid, token, db_text(r, 4));
	return mail_message(cx->a, &m, n);
}

enum err
mail_run(struct ctx *cx, struct job *j)
{
	const char *from_name, *from, *message;
	struct rows r;
	size_t n;
	enum err e;

	if (!smtp_enabled(cx->conf) || !email_mailbox(cx->a, cx->conf->smtp_from, &from_name, &from)) {
		log_warn(cx, "mail_dropped", LS("why", "no smtp_url"));
		return M_OK;
	}
	if ((e = db_maybe(cx, &r, &mail_select, P_TEXT(j->key), P_I64(cx->now))) != M_OK || r.n == 0)
		return e;
	message = compose(cx, &r, j->key, from_name, from, &n);
	if ((e = db_commit(cx)) != M_OK)
		return e;
	switch (smtp_send(cx, from, db_text(&r, 1), message, n)) {
	case SMTP_SENT:
		log_info(cx, "mail_sent", LS("purpose", db_text(&r, 0)));
		break;
	case SMTP_REFUSED:
		break;
	case SMTP_UNREACHABLE:
		if ((e = db_exec(cx, NULL, &mail_hold, P_I64(clock_ms() + HOLD_MS))) != M_OK)
			return e;
		return M_UNKNOWN;
	case SMTP_FAILED:
		return M_UNKNOWN;
	}
	db_begin(cx, TX_RW);
	return M_OK;
}
