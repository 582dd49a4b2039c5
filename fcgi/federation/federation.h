/*
 * fcgi/federation/federation.h - the handlers of the server-server API.
 *
 * Named fed_ + the specification's operationId in snake case; listed in fcgi/routes.c.
 */
#ifndef HEARTH_FEDERATION_H
#define HEARTH_FEDERATION_H

#include "fcgi/req.h"

/* ---- discovery and keys */
handler_fn fed_get_well_known, fed_get_version, fed_get_server_key;

/* ---- OpenID: client/openid.c */
handler_fn fed_exchange_open_id_token;

#endif
