/*
 * fcgi/client/client.h - the handlers of the client-server API.
 *
 * Named cl_ + the specification's operationId in snake case, so that the
 * specification greps to the code and back. Declared here, listed in
 * fcgi/routes.c, each chapter in its own file of this folder.
 */
#ifndef HEARTH_CLIENT_H
#define HEARTH_CLIENT_H

#include "fcgi/req.h"

#endif
