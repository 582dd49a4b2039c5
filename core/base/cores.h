/* core/base/cores.h - how many processors this process may use. */
#ifndef HEARTH_CORES_H
#define HEARTH_CORES_H

/* By affinity and by the CPU quota of its cgroup (version 2) and those above, rounded up; at least 1. */
int cores_allowed(void);

#endif
