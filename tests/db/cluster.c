/* tests/db/cluster.c - see cluster.h. */
#include "tests/db/cluster.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <grp.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/db/migrate.h"

/* In a child: PostgreSQL refuses to be root. */
static void
be_postgres(void)
{
	struct passwd *pw = getpwnam("postgres");

	if (geteuid() != 0)
		return;
	if (pw == NULL || setgroups(0, NULL) != 0 || setgid(pw->pw_gid) != 0 || setuid(pw->pw_uid) != 0)
		_exit(126);
}

void
cluster_shell(struct cluster *c, const char *fmt, ...)
{
	char q[1000];
	va_list ap;
	pid_t pid;
	int status = 0;

	va_start(ap, fmt);
	vsnprintf(q, sizeof(q), fmt, ap);
	va_end(ap);
	if ((pid = fork()) == 0) {
		char path[1000];

		snprintf(path, sizeof(path), "%s:%s", getenv("HEARTH_TEST_PGBIN"), getenv("PATH"));
		setenv("PATH", path, 1);
		setenv("PGHOST", c->dir, 1);
		setenv("PGUSER", "postgres", 1);
		be_postgres();
		if (chdir(c->dir) == 0)
			execl("/bin/sh", "sh", "-ec", q, (char *)NULL);
		_exit(127);
	}
	cr_assert(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0, "%s: status %x", q, status);
}

/* Beside the cluster that all tests share, so that whoever made that one clears up after a test that failed. */
static void
make_dir(struct cluster *c, const char *name)
{
	struct passwd *pw = getpwnam("postgres");

	*c = (struct cluster){ 0 };
	snprintf(c->dir, sizeof(c->dir), "%s/../%s", getenv("HEARTH_TEST_PGSOCKET"), name);
	if (strchr(name, 'X') != NULL)
		cr_assert_not_null(mkdtemp(c->dir));
	else
		cr_assert_eq(mkdir(c->dir, 0755), 0);
	if (geteuid() == 0)
		cr_assert(pw != NULL && chown(c->dir, pw->pw_uid, pw->pw_gid) == 0);
	cr_assert_eq(chmod(c->dir, 0755), 0);
	snprintf(c->url, sizeof(c->url), "host=%s user=postgres dbname=hearth", c->dir);
}

void
cluster_start(struct cluster *c)
{
	char program[300], data[100], sock[120];
	int n;

	snprintf(program, sizeof(program), "%s/postgres", getenv("HEARTH_TEST_PGBIN"));
	snprintf(data, sizeof(data), "%s/data", c->dir);
	snprintf(sock, sizeof(sock), "unix_socket_directories=%s", c->dir);
	if ((c->pid = fork()) == 0) {
		char log[100];

		snprintf(log, sizeof(log), "%s/log", c->dir);
		be_postgres();
		prctl(PR_SET_PDEATHSIG, SIGINT);
		setsid();
		if (freopen(log, "a", stderr) != NULL && freopen("/dev/null", "r", stdin) != NULL)
			execl(program, "postgres", "-D", data, "-c", sock, "-c", "listen_addresses=", "-c", "fsync=off", "-c",
			    "shared_buffers=16MB", "-c", "unix_socket_permissions=0777", "-c", "max_connections=60", "-c",
			    "restart_after_crash=on", (char *)NULL);
		_exit(127);
	}
	for (n = 0; n < 6000; n++) {
		char url[160];

		snprintf(url, sizeof(url), "host=%s user=postgres dbname=postgres", c->dir);
		if (PQping(url) == PQPING_OK)
			return;
		cr_assert_eq(waitpid(c->pid, NULL, WNOHANG), 0, "PostgreSQL ended; see %s/log", c->dir);
		usleep(5 * 1000);
	}
	cr_assert_fail("PostgreSQL does not start; see %s/log", c->dir);
}

void
cluster_stop(struct cluster *c, enum stop how)
{
	int status;

	kill(c->pid, how == STOP_CRASH ? SIGQUIT : SIGINT);
	cr_assert_eq(waitpid(c->pid, &status, 0), c->pid);
	c->pid = 0;
}

static void
make_new(struct cluster *c, const char *name)
{
	make_dir(c, name);
	cluster_shell(c, "initdb -D data -U postgres --auth=trust -E UTF8 --locale=C --wal-segsize=1 --no-sync --no-instructions >/dev/null");
	cluster_start(c);
	cluster_shell(c, "createdb hearth");
	cr_assert(migrate(c->url, getenv("HEARTH_SQL_DIR"), "localhost"));
}

void
cluster_init_new(struct cluster *c)
{
	make_new(c, "cl-XXXXXX");
}

/* initdb and the migrations take their time: done once, copied by the tests, of which several run at once. */
void
cluster_init(struct cluster *c)
{
	char lock[100];
	struct cluster base;
	int fd;

	snprintf(lock, sizeof(lock), "%s/../base.lock", getenv("HEARTH_TEST_PGSOCKET"));
	fd = open(lock, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	cr_assert(fd >= 0 && flock(fd, LOCK_EX) == 0);
	if (read(fd, lock, 1) == 0) {
		make_new(&base, "base");
		cluster_stop(&base, STOP_CLEAN);
		cr_assert_eq(write(fd, "x", 1), 1);
	}
	close(fd);
	make_dir(c, "cl-XXXXXX");
	cluster_shell(c, "cp -a ../base/data .");
	cluster_start(c);
}

void
cluster_init_backup(struct cluster *c, const struct cluster *of, bool standby)
{
	make_dir(c, "cl-XXXXXX");
	cluster_shell(c, "pg_basebackup -h %s -D data --checkpoint=fast --no-sync %s", of->dir, standby ? "-R" : "");
}

void
cluster_keep_copy(struct cluster *c)
{
	cluster_shell(c, "cp -a data copy");
}

void
cluster_put_back(struct cluster *c)
{
	cluster_shell(c, "rm -rf data; mv copy data");
}

void
cluster_free(struct cluster *c)
{
	char q[100];

	if (c->pid != 0)
		cluster_stop(c, STOP_CRASH);
	snprintf(q, sizeof(q), "rm -rf '%s'", c->dir);
	cr_assert_eq(system(q), 0);
}
