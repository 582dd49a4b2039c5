/*
 * core/base/failpoint.h - places where a test can make the server stumble. Tests only.
 *
 *	if (failpoint("send.after_commit"))
 *		return E_UNAVAILABLE;
 * HEARTH_FAILPOINT="name:action[,name:action…]" arms them:
 *	crash	the process kills itself (SIGKILL): as if the power went there
 *	error	failpoint() returns true: the caller behaves as if the step had failed
 *	pause	waits until the file <run_dir>/failpoint.<name> exists, then false.
 *		Before, it makes <run_dir>/failpoint.<name>.reached, so a test
 *		knows when the process stands there
 * Unset (always, in service) it costs one comparison.
 */
#ifndef HEARTH_FAILPOINT_H
#define HEARTH_FAILPOINT_H

#include <stdbool.h>

/* Called once at start with conf->failpoint and conf->run_dir; false when spec is not understood. Empty or NULL: nothing is armed. */
bool failpoint_setup(const char *spec, const char *run_dir);

extern bool failpoint_armed;
bool failpoint_hit(const char *name);

static inline bool
failpoint(const char *name)
{
	return __builtin_expect(failpoint_armed, 0) && failpoint_hit(name);
}

#endif
