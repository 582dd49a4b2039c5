/* tests/unit/user/hash_gate.c - the gate keeps other processes out, and a killed one holds nothing. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/user/hash_gate.h"

static atomic_int *shared;

static char
state_of(pid_t pid)
{
	char path[40], line[300] = "", *p;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if ((f = fopen(path, "r")) != NULL) {
		if (fgets(line, sizeof line, f) == NULL)
			*line = '\0';
		fclose(f);
	}
	p = strrchr(line, ')');
	return p ? p[2] : '?';
}

static void
setup(void)
{
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(shared, MAP_FAILED);
}

TestSuite(hash_gate, .init = setup, .timeout = 20);

Test(hash_gate, without_a_gate_all_pass)
{
	cr_assert_eq(hash_gate_enter(), -1);
	hash_gate_leave(-1);
}

Test(hash_gate, one_slot_one_process)
{
	int slot, status;
	pid_t pid;

	hash_gate_init(0);	/* counts as 1 */
	slot = hash_gate_enter();
	cr_assert_eq(slot, 0);
	if ((pid = fork()) == 0) {
		atomic_store(shared, 1);
		hash_gate_enter();
		_exit(atomic_load(shared) == 2 ? 0 : 1);
	}
	while (atomic_load(shared) != 1 || state_of(pid) != 'S')
		usleep(1000);
	cr_assert_eq(waitpid(pid, &status, WNOHANG), 0);
	atomic_store(shared, 2);
	hash_gate_leave(slot);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

Test(hash_gate, a_killed_process_gives_its_slot_back)
{
	int status;
	pid_t pid;

	hash_gate_init(1);
	if ((pid = fork()) == 0) {
		hash_gate_enter();
		atomic_store(shared, 1);
		for (;;)
			pause();
	}
	while (atomic_load(shared) != 1)
		usleep(1000);
	kill(pid, SIGKILL);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(hash_gate_enter(), 0);
}

Test(hash_gate, as_many_as_there_are_slots)
{
	int status;
	pid_t pid;

	hash_gate_init(2);
	cr_assert_eq(hash_gate_enter(), 0);
	if ((pid = fork()) == 0)
		_exit(hash_gate_enter());
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(WEXITSTATUS(status), 1);
}
