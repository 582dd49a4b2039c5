/* fcgi/shared.c - what the processes of one container share; see shared.h. */
#include "fcgi/shared.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "fcgi/routes.h"

struct shared *
shared_map(int *fd)
{
	uint64_t layout = (uint64_t)sizeof(struct shared) << 32 | nroutes;
	struct shared *sh;
	struct stat st;

	if (*fd >= 0 && fstat(*fd, &st) == 0 && (size_t)st.st_size >= sizeof(*sh)) {
		sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
		if (sh != MAP_FAILED && sh->layout == layout)
			return sh;
	}
	if (*fd >= 0)
		close(*fd);
	*fd = memfd_create("hearth", MFD_CLOEXEC);
	if (*fd < 0 || ftruncate(*fd, sizeof(*sh)) != 0)
		abort();
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (sh == MAP_FAILED)
		abort();
	sh->layout = layout;
	return sh;
}

void
child_note(const struct env *env, int what)
{
	struct child_note note = { .pid = getpid(), .what = what };

	send(env->fd[FD_READY_W], &note, sizeof(note), MSG_NOSIGNAL);
}

bool
heavy_enter(struct shared *sh)
{
	int limit = atomic_load(&sh->heavy_limit);

	for (int i = 0; i < limit; i++) {
		pid_t none = 0;

		if (atomic_compare_exchange_strong(&sh->heavy[i], &none, getpid()))
			return true;
	}
	return false;
}

void
heavy_leave(struct shared *sh, pid_t pid)
{
	for (int i = 0; i < HEAVY_MAX; i++) {
		pid_t p = pid;

		atomic_compare_exchange_strong(&sh->heavy[i], &p, 0);
	}
}

int
heavy_free(const struct shared *sh)
{
	int limit = atomic_load(&sh->heavy_limit), n = 0;

	for (int i = 0; i < limit; i++)
		n += atomic_load(&sh->heavy[i]) == 0;
	return n;
}
