/* core/base/failpoint.c - see failpoint.h. */
#include "core/base/failpoint.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define POINTS_MAX 16

enum action { CRASH, FAIL, PAUSE };

static struct {
	char name[48];
	enum action action;
} points[POINTS_MAX];
static int npoints;
static char dir[PATH_MAX];
bool failpoint_armed;

static bool
point_add(const char *s, size_t n)
{
	static const char *const actions[] = { [CRASH] = "crash", [FAIL] = "error", [PAUSE] = "pause" };
	const char *colon = memchr(s, ':', n);
	size_t len = colon ? (size_t)(colon - s) : 0;

	if (!len || len >= sizeof(points[0].name) || memchr(s, '/', n) || npoints == POINTS_MAX)
		return false;
	for (int i = 0; i < (int)(sizeof(actions) / sizeof(actions[0])); i++) {
		if (strlen(actions[i]) != n - len - 1 || memcmp(actions[i], colon + 1, n - len - 1) != 0)
			continue;
		memcpy(points[npoints].name, s, len);
		points[npoints].name[len] = '\0';
		points[npoints++].action = (enum action)i;
		return true;
	}
	return false;
}

bool
failpoint_setup(const char *spec, const char *run_dir)
{
	npoints = 0;
	failpoint_armed = false;
	if (!spec || !*spec)
		return true;
	if (snprintf(dir, sizeof(dir), "%s", run_dir ? run_dir : ".") >= (int)sizeof(dir))
		return false;
	for (const char *s = spec;; s++) {
		size_t n = strcspn(s, ",");

		if (!point_add(s, n))
			return false;
		s += n;
		if (!*s)
			break;
	}
	failpoint_armed = true;
	return true;
}

static void
pause_here(const char *name)
{
	char path[PATH_MAX + 80];
	int fd;

	snprintf(path, sizeof(path), "%s/failpoint.%s.reached", dir, name);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
	snprintf(path, sizeof(path), "%s/failpoint.%s", dir, name);
	while (access(path, F_OK) != 0)
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
}

bool
failpoint_hit(const char *name)
{
	for (int i = 0; i < npoints; i++) {
		if (strcmp(points[i].name, name) != 0)
			continue;
		switch (points[i].action) {
		case CRASH:
			raise(SIGKILL);
			break;
		case FAIL:
			return true;
		case PAUSE:
			pause_here(name);
			break;
		}
	}
	return false;
}
