/* fcgi/client/wellknown.c - Server Discovery: where this server is, for clients and for servers. */
#include <string.h>

#include "core/base/conf.h"
#include "fcgi/client/client.h"
#include "fcgi/federation/federation.h"

/* GET /.well-known/matrix/client */
enum err
cl_get_wellknown(struct req *r)
{
	json_obj(&r->out, NULL);
	json_obj(&r->out, "m.homeserver");
	json_str(&r->out, "base_url", r->cx.conf->public_baseurl);
	json_end(&r->out);
	json_end(&r->out);
	return M_OK;
}

/*
 * GET /.well-known/matrix/server: host and port of public_baseurl. The port is always named: without one,
 * servers would take 8448 (Server-Server API, "Resolving server names").
 */
enum err
fed_get_well_known(struct req *r)
{
	const char *host = r->cx.conf->public_baseurl;
	const char *port = ":443";
	size_t n;

	if (strncmp(host, "https://", 8) == 0) {
		host += 8;
	} else if (strncmp(host, "http://", 7) == 0) {
		host += 7;
		port = ":80";
	}
	n = strcspn(host, "/");
	host = arena_strndup(r->cx.a, host, n);
	/* "[::1]:8448", "example.org:8448": a colon behind the last bracket is a port's */
	if (strchr(strrchr(host, ']') ? strrchr(host, ']') : host, ':') == NULL)
		host = arena_printf(r->cx.a, "%s%s", host, port);
	json_obj(&r->out, NULL);
	json_str(&r->out, "m.server", host);
	json_end(&r->out);
	return M_OK;
}
