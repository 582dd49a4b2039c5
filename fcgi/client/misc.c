/* fcgi/client/misc.c - what has a short answer: versions, VoIP, third-party networks. */
#include "core/user/turn.h"
#include "fcgi/client/client.h"

/*
 * Only what is met: clients switch features on by these. r0.0.1 to r0.6.1 and v1.1 to v1.4 are what
 * the endpoints of today add up to; each further version is announced when all of it is there.
 */
static const char *const versions[] = {
	"r0.0.1", "r0.1.0", "r0.2.0", "r0.3.0", "r0.4.0", "r0.5.0", "r0.6.0", "r0.6.1", "v1.1", "v1.2", "v1.3", "v1.4",
};

/* GET /_matrix/client/versions. The token is not looked at: the answer is the same for all, also for an ended session. */
enum err
cl_get_versions(struct req *r)
{
	json_obj(&r->out, NULL);
	json_arr(&r->out, "versions");
	for (size_t i = 0; i < sizeof versions / sizeof *versions; i++)
		json_str(&r->out, NULL, versions[i]);
	json_end(&r->out);
	json_obj(&r->out, "unstable_features");
	json_bool(&r->out, "org.matrix.msc4222", true);		/* state_after in /sync */
	json_end(&r->out);
	json_end(&r->out);
	return M_OK;
}

/* GET /_matrix/client/v3/voip/turnServer: {} says that there is none. */
enum err
cl_get_turn_server(struct req *r)
{
	struct turn t;

	turn_credentials(&r->cx, &t);
	if (t.nuris == 0)
		return reply_empty(r);
	json_obj(&r->out, NULL);
	json_str(&r->out, "password", t.password);
	json_int(&r->out, "ttl", t.ttl);
	json_arr(&r->out, "uris");
	for (size_t i = 0; i < t.nuris; i++)
		json_str(&r->out, NULL, t.uris[i]);
	json_end(&r->out);
	json_esc(&r->out, "username", t.username);
	json_end(&r->out);
	return M_OK;
}

/* GET /_matrix/client/v3/thirdparty/protocols: no application service offers one. */
enum err
cl_get_protocols(struct req *r)
{
	return reply_empty(r);
}
