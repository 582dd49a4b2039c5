/* fcgi/roles.h - what the master's children are: a table. */
#ifndef HEARTH_ROLES_H
#define HEARTH_ROLES_H

#include <stdbool.h>
#include <stddef.h>
#include "core/base/conf.h"
#include "fcgi/shared.h"

struct role {
	const char *name;
	int (*main)(const struct env *env);
	int64_t (*count)(const struct conf *conf);
	bool tells_ready;	/* sends NOTE_READY; else it counts as ready when it was started */
};
extern const struct role roles[];
extern const size_t nroles;
const struct role *role_find(const char *name);

#endif
