/* core/user/uia_page.c - stages that are completed outside of any request; see uia.h. */
#include <string.h>

#include "core/db/db.h"
#include "core/user/uia_impl.h"

STMT(uia_page_select,
    "SELECT s.endpoint, s.usr, a.localpart, n.body, s.completed, s.flows, s.token, s.email_sid, s.terms"
    " FROM uia_session s LEFT JOIN account a ON a.usr = s.usr LEFT JOIN name n ON n.nid = s.usr"
    " WHERE s.id = $1 AND s.result IS NULL AND s.created_ts > $2");
STMT(uia_page_complete,
    "UPDATE uia_session SET completed = array_append(completed, $2), bound = bound OR $4, token = coalesce($5, token)"
    " WHERE id = $1 AND result IS NULL AND completed = $3::text[]");
STMT(uia_page_email_put,
    "UPDATE uia_session SET email_sid = $2 WHERE id = $1 AND result IS NULL AND NOT '" EMAIL_STAGE "' = ANY (completed)");

/* Is type what follows the completed stages in one of the flows ("a b c")? */
static bool
is_next(struct ctx *cx, const struct uia_page *pg, const char **flows, size_t n)
{
	struct buf b;

	buf_init(&b, cx->a);
	for (size_t i = 0; i < pg->nstages; i++)
		buf_addf(&b, "%s ", pg->stages[i]);
	buf_puts(&b, pg->type);
	for (size_t i = 0; i < n; i++)
		if (strncmp(flows[i], b.s, b.n) == 0 && (flows[i][b.n] == '\0' || flows[i][b.n] == ' '))
			return true;
	return false;
}

enum err
uia_page_find(struct ctx *cx, const char *id, const char *type, struct uia_page *out)
{
	const char **flows;
	struct rows r;
	size_t n;
	enum err e;

	*out = (struct uia_page){ .id = id, .type = type };
	if ((e = db_maybe(cx, &r, &uia_page_select, P_TEXT(id), P_I64(cx->now - UIA_SESSION_MS))) != M_OK)
		return e;
	if (r.n == 0)
		return fail(cx, M_NOT_FOUND, "this session is unknown or has ended");
	out->endpoint = db_text(&r, 0);
	out->usr = db_i64(&r, 1);
	out->localpart = db_text(&r, 2);
	out->user = db_text(&r, 3);
	out->stages = db_texts(&r, 4, &out->nstages);
	flows = db_texts(&r, 5, &n);
	out->proof = (struct uia_proof){ .token = db_text(&r, 6), .email_sid = db_text(&r, 7), .terms = db_text(&r, 8) };
	for (size_t i = 0; i < out->nstages; i++)
		out->completed |= strcmp(out->stages[i], type) == 0;
	out->next = !out->completed && is_next(cx, out, flows, n);
	return M_OK;
}

bool
uia_page_email_purpose(const struct uia_page *pg, enum email_purpose *purpose)
{
	if (strcmp(pg->endpoint, "register") == 0)
		*purpose = EMAIL_REGISTER;
	else if (strcmp(pg->endpoint, "changePassword") == 0 && pg->usr == 0)
		*purpose = EMAIL_RESET;
	else
		return false;
	return true;
}

enum err
uia_page_pass(struct ctx *cx, const struct uia_page *pg, const struct json *auth)
{
	struct uia u = { .endpoint = pg->endpoint, .usr = pg->usr, .proof = pg->proof, .session = pg->id };
	bool password = strcmp(pg->type, "m.login.password") == 0;
	int64_t n;
	enum err e;

	if (!pg->next)
		return fail(cx, M_FORBIDDEN, "this is not the next stage");
	(void)uia_page_email_purpose(pg, &u.email);
	if ((e = uia_stage_run(cx, &u, pg->type, auth)) != M_OK || (e = db_exec(cx, &n, &uia_page_complete, P_TEXT(pg->id), P_TEXT(pg->type),
	    P_TEXTS(pg->stages, pg->nstages), P_BOOL(password), P_TEXT(u.proof.token))) != M_OK)
		return e;
	return n > 0 ? M_OK : E_RETRY;
}

enum err
uia_page_email(struct ctx *cx, const struct uia_page *pg, const char *sid)
{
	return db_exec(cx, NULL, &uia_page_email_put, P_TEXT(pg->id), P_TEXT(sid));
}
