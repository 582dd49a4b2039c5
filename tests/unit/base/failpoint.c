/* tests/unit/base/failpoint.c */
#include <criterion/criterion.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/failpoint.h"

Test(failpoint, unset_nothing_happens)
{
	cr_assert(failpoint_setup(NULL, NULL));
	cr_assert_not(failpoint_armed);
	cr_assert(failpoint_setup("", "/tmp"));
	cr_assert_not(failpoint("x"));
}

Test(failpoint, error)
{
	cr_assert(failpoint_setup("a:error,b.c:error", "/tmp"));
	cr_assert(failpoint("a"));
	cr_assert(failpoint("b.c"));
	cr_assert_not(failpoint("b"));
}

Test(failpoint, crash, .signal = SIGKILL)
{
	cr_assert(failpoint_setup("a:crash", "/tmp"));
	failpoint("a");
}

Test(failpoint, pause_until_the_file_is_there)
{
	char dir[] = "/tmp/hearth-fp-XXXXXX", reached[64], go[64];
	int status;
	pid_t pid;

	cr_assert_not_null(mkdtemp(dir));
	snprintf(reached, sizeof(reached), "%s/failpoint.a.reached", dir);
	snprintf(go, sizeof(go), "%s/failpoint.a", dir);
	cr_assert(failpoint_setup("a:pause", dir));
	if ((pid = fork()) == 0)
		_exit(failpoint("a") ? 1 : 7);
	while (access(reached, F_OK) != 0)
		usleep(1000);
	cr_assert_eq(waitpid(pid, &status, WNOHANG), 0);
	fclose(fopen(go, "w"));
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	unlink(go);
	unlink(reached);
	rmdir(dir);
}

Test(failpoint, what_is_not_understood)
{
	static const char *const bad[] = { "a", "a:", ":error", "a:err", "a:error,", ",", "a/b:pause", "a:errorx" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		cr_expect_not(failpoint_setup(bad[i], "/tmp"), "%s", bad[i]);
		cr_expect_not(failpoint_armed);
	}
}
