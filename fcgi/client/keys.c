/* fcgi/client/keys.c - End-to-End Encryption: keys of devices and users. */
#include "core/e2ee/cross_signing.h"
#include "core/e2ee/device_keys.h"
#include "core/e2ee/device_list.h"
#include "core/e2ee/one_time.h"
#include "core/user/uia.h"
#include "fcgi/client/client.h"

/* POST /_matrix/client/v3/keys/upload */
enum err
cl_upload_keys(struct req *r)
{
	struct json *device_keys, *one_time, *fallback;
	enum err e;

	if ((e = body_opt_obj(r, "device_keys", &device_keys)) != M_OK ||
	    (e = body_opt_obj(r, "one_time_keys", &one_time)) != M_OK ||
	    (e = body_opt_obj(r, "fallback_keys", &fallback)) != M_OK)
		return e;
	json_obj(&r->out, NULL);
	if ((e = keys_upload(&r->cx, device_keys, one_time, fallback, &r->out)) != M_OK)
		return e;
	json_end(&r->out);
	return M_OK;
}

static enum err
need_obj(struct req *r, const char *key, struct json **out)
{
	enum err e = body_opt_obj(r, key, out);

	return e == M_OK && *out == NULL ? fail(&r->cx, M_MISSING_PARAM, "%s is missing", key) : e;
}

/* POST /_matrix/client/v3/keys/query */
enum err
cl_query_keys(struct req *r)
{
	struct json *wanted;
	enum err e;

	if ((e = need_obj(r, "device_keys", &wanted)) != M_OK)
		return e;
	json_obj(&r->out, NULL);
	if ((e = keys_query(&r->cx, wanted, &r->out)) != M_OK)
		return e;
	keys_failures(&r->cx, wanted, &r->out);
	json_end(&r->out);
	return M_OK;
}

/* POST /_matrix/client/v3/keys/claim */
enum err
cl_claim_keys(struct req *r)
{
	struct json *wanted;
	enum err e;

	if ((e = need_obj(r, "one_time_keys", &wanted)) != M_OK)
		return e;
	json_obj(&r->out, NULL);
	if ((e = keys_claim(&r->cx, wanted, &r->out)) != M_OK)
		return e;
	keys_failures(&r->cx, wanted, &r->out);
	json_end(&r->out);
	return M_OK;
}

static const char *
need_query(struct req *r, const char *name, enum err *e)
{
	const char *v = req_query(r, name);

	if (v == NULL)
		*e = fail(&r->cx, M_MISSING_PARAM, "%s is missing", name);
	return v;
}

/* GET /_matrix/client/v3/keys/changes */
enum err
cl_get_keys_changes(struct req *r)
{
	enum err e = M_OK;
	const char *from = need_query(r, "from", &e), *to = need_query(r, "to", &e);

	if (e != M_OK)
		return e;
	json_obj(&r->out, NULL);
	if ((e = device_lists_between(&r->cx, from, to, &r->out)) != M_OK)
		return e;
	json_end(&r->out);
	return M_OK;
}

/* In a transaction of its own, for the authentication comes between two of them. */
static enum err
put_cross_signing(struct req *r, const struct cross_upload *u, const struct uia *authorized)
{
	enum err e;

	db_begin(&r->cx, TX_RW);
	if ((e = cross_signing_put(&r->cx, u, authorized != NULL)) == M_OK &&
	    (authorized == NULL || (e = uia_finish(&r->cx, authorized, "")) == M_OK))
		e = db_commit(&r->cx);
	if (e != M_OK)
		db_rollback(&r->cx);
	return e;
}

/* POST /_matrix/client/v3/keys/device_signing/upload. Faults are told before anybody is asked for a password. */
enum err
cl_upload_cross_signing_keys(struct req *r)
{
	static const struct uia_flow flow[] = { { { "m.login.password" } } };
	struct uia u = { .endpoint = "uploadCrossSigningKeys", .flows = flow, .nflows = 1, .body = r->body,
	    .usr = r->cx.user_nid };
	struct cross_upload keys;
	enum err e;

	if ((e = cross_signing_read(&r->cx, r->body, &keys)) != M_OK)
		return e;
	if ((e = put_cross_signing(r, &keys, NULL)) == M_UNAUTHORIZED && (e = uia_check(&r->cx, &u)) == M_OK)
		e = put_cross_signing(r, &keys, &u);
	return e == M_OK ? reply_empty(r) : e;
}

/* POST /_matrix/client/v3/keys/signatures/upload */
enum err
cl_upload_cross_signing_signatures(struct req *r)
{
	enum err e;

	json_obj(&r->out, NULL);
	if ((e = signatures_upload(&r->cx, r->body, &r->out)) != M_OK)
		return e;
	json_end(&r->out);
	return M_OK;
}
