/* core/base/cores.c - see cores.h. */
#include "core/base/cores.h"

#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ROOT "/sys/fs/cgroup"

/* The cgroup's quota in cores, INT_MAX when it has none: cpu.max is "<quota> <period>" or "max <period>". */
static int
quota_of(const char *cgroup)
{
	char path[PATH_MAX];
	int64_t quota, period;
	int n = INT_MAX;
	FILE *f;

	if (snprintf(path, sizeof(path), ROOT "%s/cpu.max", cgroup) >= (int)sizeof(path) || !(f = fopen(path, "re")))
		return n;
	if (fscanf(f, "%" SCNd64 " %" SCNd64, &quota, &period) == 2 && quota > 0 && period > 0 && quota / period < n)
		n = (int)((quota + period - 1) / period);
	fclose(f);
	return n;
}

/* The path of this process's cgroup, as its cgroup namespace shows it: "/" in a container. */
static void
own_cgroup(char *path, size_t size)
{
	char line[PATH_MAX];
	FILE *f = fopen("/proc/self/cgroup", "re");

	path[0] = '\0';
	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, "0::/", 4) == 0)
			snprintf(path, size, "%.*s", (int)strcspn(line + 3, "\n"), line + 3);
	if (f)
		fclose(f);
}

int
cores_allowed(void)
{
	char path[PATH_MAX], *slash;
	cpu_set_t set;
	int n, quota;

	n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : (int)sysconf(_SC_NPROCESSORS_ONLN);
	own_cgroup(path, sizeof(path));
	do {
		quota = quota_of(path);
		n = quota < n ? quota : n;
		if ((slash = strrchr(path, '/')))
			*slash = '\0';
	} while (slash);
	return n < 1 ? 1 : n;
}
