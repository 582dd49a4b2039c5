/*
 * fcgi/routes.h - the table of all endpoints, and finding a row in it.
 *
 * To add an endpoint: a row in routes.c, a line in client/client.h, a handler.
 * Paths are written in the specification's newest form (v3, v1). The r0 form of
 * a v3 path comes by itself; other names of a path (unstable ones, a missing
 * last segment) are rows of route_aliases[].
 *
 * Matching works on segments: the raw path is split on '/' and then each
 * segment is decoded once, so ids may hold an encoded '/' (path.h).
 */
#ifndef HEARTH_ROUTES_H
#define HEARTH_ROUTES_H

#include "fcgi/req.h"

extern const struct route routes[];
extern const size_t nroutes;

/* Another name for all rows of a path. Parameters that only `path` has are "". */
struct route_alias {
	const char *also, *path;
};
extern const struct route_alias route_aliases[];
extern const size_t nroute_aliases;

/* Paths that are v3 but were not in r0, because they came with v1.1 or later. */
extern const char *const routes_not_r0[];
extern const size_t nroutes_not_r0;

/* Paths whose writing methods are open to suspended users. */
extern const char *const routes_while_suspended[];
extern const size_t nroutes_while_suspended;

/* Builds what route_find() walks; once per process. Ends the process when two rows are the same endpoint. */
void routes_init(void);

/*
 * Finds the row for a method and raw path (without query string). Fills
 * r->route, r->params. M_UNRECOGNIZED: no such path; E_BAD_METHOD: the path
 * exists with other methods (a 405); E_BAD_REQUEST: a segment cannot be decoded.
 */
enum err route_find(struct req *r, const char *raw_path, size_t n);

#endif
