/* fcgi/routes.c - every endpoint, once. */
#include "fcgi/client/client.h"
#include "fcgi/metrics.h"
#include "fcgi/routes.h"

#define GET	HTTP_GET
#define PUT	HTTP_PUT
#define POST	HTTP_POST
#define DEL	HTTP_DELETE

#define C3	"/_matrix/client/v3"
#define C1	"/_matrix/client/v1"

/* body: KB that are read at most, 0: none. Keep the chapters of the specification together. */
const struct route routes[] = {
	/* method, path,		who,	rate,	tx,	body,	handler,	operationId */

	/* ---- of our own */
	{ GET, "/_hearth/health",	ANYONE, R_FREE, TX_NONE, 0, hearth_health, "" },
};
const size_t nroutes = sizeof routes / sizeof *routes;

const struct route_alias route_aliases[] = {
	{ C3 "/rooms/{roomId}/state/{eventType}", C3 "/rooms/{roomId}/state/{eventType}/{stateKey}" },
};
const size_t nroute_aliases = sizeof route_aliases / sizeof *route_aliases;

const char *const routes_not_r0[] = {
	C3 "/knock/{roomIdOrAlias}",
	C3 "/refresh",
	C3 "/login/sso/redirect/{idpId}",
};
const size_t nroutes_not_r0 = sizeof routes_not_r0 / sizeof *routes_not_r0;
