/* tests/unit/base/log.c - one event, one line, whatever is in the values */
#include <criterion/criterion.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/ctx.h"

static int back;

/* Each test runs in a process of its own, so stderr may be taken. */
static void
capture(void)
{
	int fd[2];

	cr_assert_eq(pipe(fd), 0);
	dup2(fd[1], STDERR_FILENO);
	back = fd[0];
}

/* One read(2): the line left by one write(2). */
static char *
line(void)
{
	static char s[10000];
	ssize_t n = read(back, s, sizeof(s) - 1);

	cr_assert_gt(n, 0);
	s[n] = '\0';
	cr_assert_eq(s[n - 1], '\n');
	cr_assert_eq(strchr(s, '\n'), s + n - 1, "more than one line: %s", s);
	return s;
}

Test(log, fields, .init = capture)
{
	struct ctx cx = { .req_id = "r1", .user = "@a:b", .route = "cl_login" };
	char *s;

	log_role_set("web");
	log_info(&cx, "login_ok", LS("device", "D"), LI("ms", -12), LS("none", (const char *)NULL));
	s = line();
	cr_assert_eq(strncmp(s, "ts=20", 5), 0);
	cr_assert_eq(strcspn(s, " "), strlen("ts=2026-11-23T19:20:01.123Z"));
	cr_assert_str_eq(strchr(s, ' '), " level=info event=login_ok role=web req=r1 route=cl_login user=@a:b device=D ms=-12\n");
	log_error(NULL, "gone");
	cr_assert_str_eq(strchr(line(), ' '), " level=error event=gone role=web\n");
}

Test(log, a_value_cannot_forge, .init = capture)
{
	log_warn(NULL, "x", LS("a", "1 b=2"), LS("c", "\nts=0 level=error"), LS("d", "\"\\"), LS("e", "\r\x1b[0m\x7f"), LS("f", "ü"));
	cr_assert_str_eq(strchr(line(), ' '),
	    " level=warn event=x a=\"1 b=2\" c=\"\\nts=0 level=error\" d=\"\\\"\\\\\" e=\"\\x0d\\x1b[0m\\x7f\" f=ü\n");
}

Test(log, long_values_are_cut_inside_their_quotes, .init = capture)
{
	char big[9000];
	char *s;

	memset(big, '"', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	log_info(NULL, "x", LS("a", big), LS("b", "left out"), LI("c", 1));
	s = line();
	cr_assert_leq(strlen(s), 4096);
	cr_assert_str_eq(s + strlen(s) - 4, "\\\"\"\n");
	memset(big, 'x', sizeof(big) - 1);
	log_info(NULL, "x", LS("a", big), LI("c", 1));
	s = line();
	cr_assert_leq(strlen(s), 4096);
	cr_assert_str_eq(s + strlen(s) - 3, "xx\n");
}

Test(log, levels, .init = capture)
{
	log_debug(NULL, "quiet");
	log_level_set(LOG_WARN_);
	log_info(NULL, "quiet");
	log_warn(NULL, "loud");
	cr_assert_not_null(strstr(line(), "event=loud"));
}
