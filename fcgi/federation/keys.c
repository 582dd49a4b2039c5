/* fcgi/federation/keys.c - Server discovery: who this server is and which key it signs with. */
#include "core/base/b64.h"
#include "core/base/conf.h"
#include "core/base/version.h"
#include "core/event/event.h"
#include "fcgi/federation/federation.h"

/* Others may trust a copy for this long (Server-Server API, "Retrieving server keys": at most 7 days count). */
#define KEY_VALID_MS (24LL * 3600 * 1000)

/* GET /_matrix/federation/v1/version */
enum err
fed_get_version(struct req *r)
{
	json_obj(&r->out, NULL);
	json_obj(&r->out, "server");
	json_str(&r->out, "name", "Hearth");
	json_str(&r->out, "version", HEARTH_VERSION);
	json_end(&r->out);
	json_end(&r->out);
	return M_OK;
}

/* GET /_matrix/key/v2/server */
enum err
fed_get_server_key(struct req *r)
{
	struct arena *a = r->cx.a;
	struct json *o = json_new_obj(a), *keys = json_new_obj(a), *key = json_new_obj(a);

	json_set(a, key, "key", json_new_str(a, b64_encode(a, r->cx.key->pub, sizeof r->cx.key->pub)));
	json_set(a, keys, r->cx.key->id, key);
	json_set(a, o, "server_name", json_new_str(a, r->cx.conf->server_name));
	json_set(a, o, "valid_until_ts", json_new_int(a, r->cx.now + KEY_VALID_MS));
	json_set(a, o, "verify_keys", keys);
	json_set(a, o, "old_verify_keys", json_new_obj(a));
	json_sign(a, o, r->cx.conf->server_name, r->cx.key);
	json_value(&r->out, NULL, o);
	return M_OK;
}
