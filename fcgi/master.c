/* fcgi/master.c - the process that starts the others; see master.h. */
#include "fcgi/master.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>
#include "core/base/clock.h"
#include "core/base/cores.h"
#include "core/base/log.h"
#include "core/db/db.h"
#include "core/db/migrate.h"
#include "core/live/presence.h"
#include "core/user/hash_gate.h"
#include "core/user/ratelimit.h"
#include "fcgi/listen.h"
#include "fcgi/park.h"
#include "fcgi/roles.h"
#include "fcgi/shared.h"

#define CHILDREN_MAX 768
#define LIVED_MS 5000		/* who lived longer is started again at once */
#define BACKOFF_MS 100
#define DOOR_MS 50		/* from "no new connections" to "end": what is under way arrives */
#define STOP_MS 15000		/* then SIGKILL */
#define MIGRATE_AGAIN_MS 1000

enum phase { MIGRATING, SERVING, STAYING /* migrations failed after SIGHUP: the old workers go on */, CLOSING, STOPPING };

struct child {
	const struct role *role;
	pid_t pid;		/* 0: does not run */
	int64_t started, start_at;
	int fails;
	bool ready, old, told;
};
static struct master {
	struct env env;
	char path[PATH_MAX];	/* of the binary, as it was started */
	char **argv;
	enum phase phase;
	int64_t phase_at, kill_at;
	int signals;
	pid_t migrate, check, park_in_charge;
	int64_t migrate_at;
	struct child child[CHILDREN_MAX];
	int n;
} m;

/* ---- descriptors, and handing them on */

static const char *const fd_names[FD_COUNT] = {
#define X(index, name) [index] = name,
	SHARED_FDS(X)
#undef X
};

static struct child *
child_add(const struct role *role, bool old)
{
	struct child *c;

	if (m.n == CHILDREN_MAX)
		return NULL;
	c = &m.child[m.n++];
	*c = (struct child){ .role = role, .old = old };
	return c;
}

static void
inherit_word(char *word)
{
	char *eq = strchr(word, '=');
	const struct role *role;
	struct child *c;
	int v;

	if (!eq)
		return;
	*eq = '\0';
	v = (int)strtol(eq + 1, NULL, 10);
	for (int i = 0; i < FD_COUNT; i++)
		if (strcmp(word, fd_names[i]) == 0) {
			m.env.fd[i] = v;
			fcntl(v, F_SETFD, FD_CLOEXEC);
			return;
		}
	if (strcmp(word, "in_charge") == 0)
		m.park_in_charge = v;
	else if (strncmp(word, "child_", 6) == 0 && (role = role_find(word + 6)) != NULL &&
	    (c = child_add(role, true)) != NULL)
		c->pid = v;
}

/* Takes over what the process was before SIGHUP. */
static void
inherit(void)
{
	char *env = getenv("HEARTH_INHERIT"), *words, *save;

	for (int i = 0; i < FD_COUNT; i++)
		m.env.fd[i] = -1;
	if (!env)
		return;
	words = strdup(env);
	for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
		inherit_word(w);
	free(words);
	unsetenv("HEARTH_INHERIT");
}

static void
pair(enum shared_fd r, enum shared_fd w, int type)
{
	const struct timeval patience = { .tv_sec = 5 };
	int v[2];

	if (m.env.fd[r] >= 0)
		return;
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, v) != 0)
		abort();
	m.env.fd[r] = v[0];
	m.env.fd[w] = v[1];
	setsockopt(v[1], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

static bool
open_all(const struct conf *conf)
{
	const struct {
		enum shared_fd fd;
		const char *address;
	} listeners[] = {
		{ FD_WEB, conf->web_socket }, { FD_SYNC, conf->sync_socket }, { FD_LOGIN, conf->login_socket },
		{ FD_METRICS, conf->metrics_listen },
	};
	bool first = m.env.fd[FD_BATON_R] < 0;

	for (size_t i = 0; i < sizeof(listeners) / sizeof(*listeners); i++) {
		int *fd = &m.env.fd[listeners[i].fd];

		if (*fd < 0 && *listeners[i].address != '\0' && (*fd = listen_open(listeners[i].address)) < 0)
			return false;
	}
	pair(FD_PARK_R, FD_PARK_W, SOCK_SEQPACKET);
	pair(FD_BACK_R, FD_BACK_W, SOCK_SEQPACKET);
	pair(FD_WAKE_R, FD_WAKE_W, SOCK_DGRAM);
	pair(FD_BATON_R, FD_BATON_W, SOCK_SEQPACKET);
	pair(FD_READY_R, FD_READY_W, SOCK_SEQPACKET);
	if (first)
		park_baton_pass(&m.env, "", 0);
	m.env.sh = shared_map(&m.env.fd[FD_SHARED]);
	atomic_store(&m.env.sh->heavy_limit, conf->sync_workers / 2 < 1 ? 1 :
	    conf->sync_workers / 2 > HEAVY_MAX ? HEAVY_MAX : (int)(conf->sync_workers / 2));
	return true;
}

static void
reexec(void)
{
	static char text[32 * (CHILDREN_MAX + FD_COUNT)];
	size_t at = 0;

	for (int i = 0; i < FD_COUNT; i++)
		if (m.env.fd[i] >= 0) {
			fcntl(m.env.fd[i], F_SETFD, 0);
			at += (size_t)snprintf(text + at, sizeof(text) - at, "%s=%d ", fd_names[i], m.env.fd[i]);
		}
	for (int i = 0; i < m.n; i++)
		if (m.child[i].pid > 0)
			at += (size_t)snprintf(text + at, sizeof(text) - at, "child_%s=%d ", m.child[i].role->name, m.child[i].pid);
	snprintf(text + at, sizeof(text) - at, "in_charge=%d", m.park_in_charge);
	setenv("HEARTH_INHERIT", text, 1);
	log_info(NULL, "reload", LS("binary", m.path));
	execv(m.path, m.argv);
	log_error(NULL, "reload_failed", LS("binary", m.path), LI("errno", errno));
	unsetenv("HEARTH_INHERIT");
	for (int i = 0; i < FD_COUNT; i++)
		if (m.env.fd[i] >= 0)
			fcntl(m.env.fd[i], F_SETFD, FD_CLOEXEC);
}

/* ---- children */

static pid_t
spawn(void)
{
	pid_t master = getpid(), pid = fork();
	sigset_t none;

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != master)
		_exit(0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);	/* Ctrl-C: the master says when to stop */
	close(m.signals);
	return 0;
}

static void
child_start(struct child *c)
{
	c->started = clock_mono_ms();
	c->ready = c->told = false;
	c->pid = spawn();
	if (c->pid == 0) {
		char title[16];

		m.env.role = c->role->name;
		snprintf(title, sizeof(title), "hearth %s", c->role->name);
		prctl(PR_SET_NAME, title);	/* ps -o comm tells who is who */
		log_role_set(c->role->name);
		db_role_set(c->role->name);
		exit(c->role->main(&m.env));
	}
	if (c->pid < 0) {
		log_error(NULL, "fork", LI("errno", errno));
		c->pid = 0;
		c->start_at = c->started + BACKOFF_MS * 10;
	}
	c->ready = !c->role->tells_ready;
}

static void
children_start(void)
{
	int64_t now = clock_mono_ms();

	for (int i = 0; i < m.n; i++)
		if (m.child[i].pid == 0 && !m.child[i].old && m.child[i].start_at <= now)
			child_start(&m.child[i]);
}

static void
child_tell(struct child *c, int sig)
{
	if (c->pid > 0 && !c->told) {
		c->told = true;
		kill(c->pid, sig);
	}
}

/* The old ones of a role go when all the new ones are there. */
static void
retire_old(void)
{
	for (int i = 0; i < m.n; i++) {
		bool ready = true;

		if (!m.child[i].old)
			continue;
		for (int k = 0; k < m.n; k++)
			if (!m.child[k].old && m.child[k].role == m.child[i].role)
				ready = ready && m.child[k].ready;
		if (ready)
			child_tell(&m.child[i], SIGUSR1);
	}
}

static void
pools_make(void)
{
	m.phase = SERVING;
	for (size_t i = 0; i < nroles; i++)
		for (int64_t k = roles[i].count(m.env.conf); k > 0; k--)
			child_add(&roles[i], false);
	log_info(NULL, "serving", LI("web", m.env.conf->web_workers), LI("sync", m.env.conf->sync_workers),
	    LI("login", m.env.conf->login_workers));
}

static void
child_ended(struct child *c, int status)
{
	int64_t now = clock_mono_ms();
	bool obeyed = c->told && WIFSIGNALED(status) && (WTERMSIG(status) == SIGTERM || WTERMSIG(status) == SIGUSR1);
	bool crashed = !obeyed && (!WIFEXITED(status) || WEXITSTATUS(status) != 0);

	if (crashed || !c->told)
		log_warn(NULL, "child_ended", LS("child", c->role->name), LI("pid", c->pid),
		    LI("exit", WIFEXITED(status) ? WEXITSTATUS(status) : -1),
		    LI("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0));
	heavy_leave(m.env.sh, c->pid);
	if (c->pid == m.park_in_charge) {
		m.park_in_charge = 0;
		/* Unless it had just passed the baton on. */
		if (crashed && poll(&(struct pollfd){ .fd = m.env.fd[FD_BATON_R], .events = POLLIN }, 1, 0) == 0)
			park_baton_pass(&m.env, "", 0);
	}
	c->fails = now - c->started < LIVED_MS ? c->fails + 1 : 0;
	c->start_at = c->fails == 0 ? 0 : now + (BACKOFF_MS << (c->fails < 7 ? c->fails - 1 : 6));
	c->pid = 0;
	c->ready = c->told = false;
	if (!c->old && m.phase == SERVING)
		m.env.sh->restarts++;
}

static void
migrate_ended(int status)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE;
	bool reloading = false;

	m.migrate = 0;
	for (int i = 0; i < m.n; i++)
		reloading |= m.child[i].old && m.child[i].pid > 0;
	if (m.phase != MIGRATING)
		return;
	if (code == 0) {
		pools_make();
	} else if (reloading) {
		log_error(NULL, "migrations_failed", LS("result", "the old workers go on"));
		m.phase = STAYING;
	} else {
		log_error(NULL, "migrations_failed", LS("result", "tried again"));
		m.migrate_at = clock_mono_ms() + MIGRATE_AGAIN_MS;
	}
}

static void
reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == m.migrate)
			migrate_ended(status);
		else if (pid == m.check) {
			m.check = 0;
			if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
				reexec();
			else
				log_error(NULL, "reload_refused", LS("why", "the settings do not pass the check"));
		}
		for (int i = 0; i < m.n; i++)
			if (m.child[i].pid == pid)
				child_ended(&m.child[i], status);
	}
}

/* ---- phases */

static void
migrate_start(void)
{
	if (m.migrate != 0 || m.migrate_at > clock_mono_ms())
		return;
	m.migrate = spawn();
	if (m.migrate == 0) {
		log_role_set("migrate");
		exit(migrate_main(m.env.conf));
	}
}

/* SIGHUP: the binary that will run next must like the settings, else all stays as it is. */
static void
reload(void)
{
	if ((m.phase != SERVING && m.phase != STAYING) || m.check != 0)
		return;
	m.check = spawn();
	if (m.check == 0) {
		execl(m.path, m.argv[0], "check", (char *)NULL);
		_exit(EX_OSERR);
	}
}

static void
stop(void)
{
	if (m.phase >= CLOSING)
		return;
	log_info(NULL, "stopping");
	atomic_store(&m.env.sh->stopping, 1);
	listen_close_door(m.env.fd[FD_WEB], m.env.conf->web_socket);
	listen_close_door(m.env.fd[FD_SYNC], m.env.conf->sync_socket);
	listen_close_door(m.env.fd[FD_LOGIN], m.env.conf->login_socket);
	m.phase = CLOSING;
	m.phase_at = clock_mono_ms() + DOOR_MS;
	m.kill_at = clock_mono_ms() + STOP_MS;
}

/* The sync workers go last: until park has ended, it may hand them requests. */
static void
stop_children(void)
{
	bool park = false;

	for (int i = 0; i < m.n; i++)
		park |= m.child[i].pid > 0 && m.child[i].role->main == park_main;
	for (int i = 0; i < m.n; i++)
		if (!park || strcmp(m.child[i].role->name, "sync") != 0)
			child_tell(&m.child[i], SIGTERM);
	if (m.migrate > 0)
		kill(m.migrate, SIGTERM);
	if (m.kill_at < clock_mono_ms())
		for (int i = 0; i < m.n; i++)
			if (m.child[i].pid > 0)
				kill(m.child[i].pid, SIGKILL);
}

static bool
all_ended(void)
{
	for (int i = 0; i < m.n; i++)
		if (m.child[i].pid > 0)
			return false;
	return m.migrate == 0;
}

static void
step(void)
{
	switch (m.phase) {
	case MIGRATING:
		migrate_start();
		break;
	case SERVING:
		children_start();
		retire_old();
		break;
	case STAYING:
		break;
	case CLOSING:
		if (m.phase_at > clock_mono_ms())
			break;
		m.phase = STOPPING;
		for (int i = 0; i < m.n; i++)
			m.child[i].told = false;	/* who was told to retire is told to end */
		__attribute__((fallthrough));
	case STOPPING:
		stop_children();
	}
}

static void
take_notes(void)
{
	struct child_note note;

	while (recv(m.env.fd[FD_READY_R], &note, sizeof(note), MSG_DONTWAIT) == sizeof(note)) {
		if (note.what == NOTE_PARK_IN_CHARGE)
			m.park_in_charge = note.pid;
		for (int i = 0; i < m.n; i++)
			if (m.child[i].pid == note.pid && note.what == NOTE_READY)
				m.child[i].ready = true;
	}
}

static void
take_signals(void)
{
	struct signalfd_siginfo si;

	while (read(m.signals, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGHUP)
			reload();
		else if (si.ssi_signo == SIGTERM || si.ssi_signo == SIGINT)
			stop();
	}
	take_notes();	/* first: a successor that took charge says so before its predecessor has ended */
	reap();
}

/* ms until something is due without a signal */
static int
patience(void)
{
	int64_t now = clock_mono_ms(), at = now + 60000;

	if (m.phase == MIGRATING && m.migrate == 0)
		at = m.migrate_at;
	if (m.phase == CLOSING)
		at = m.phase_at;
	if (m.phase == STOPPING)
		at = now + 100;
	for (int i = 0; i < m.n && m.phase == SERVING; i++)
		if (m.child[i].pid == 0 && !m.child[i].old && m.child[i].start_at < at)
			at = m.child[i].start_at;
	return at <= now ? 0 : (int)(at - now);
}

/* The path it was started by: a new release may lie there by the time of a SIGHUP. */
static void
find_path(const char *argv0)
{
	ssize_t n;

	if (strchr(argv0, '/') && realpath(".", m.path)) {
		size_t at = *argv0 == '/' ? 0 : strlen(m.path);

		if (snprintf(m.path + at, sizeof(m.path) - at, at ? "/%s" : "%s", argv0) < (int)(sizeof(m.path) - at))
			return;
	}
	n = readlink("/proc/self/exe", m.path, sizeof(m.path) - 1);
	m.path[n > 0 ? n : 0] = '\0';
}

static void
setup_process(void)
{
	struct rlimit files;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	m.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {	/* park holds a descriptor per waiting request */
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

int
master_main(const struct conf *conf, char **argv)
{
	struct pollfd p[2];

	m.env.conf = conf;
	m.argv = argv;
	log_role_set("master");
	find_path(argv[0]);
	setup_process();
	inherit();
	hash_gate_init(cores_allowed() / 2);
	presence_setup();
	ratelimit_init();
	if (!open_all(conf))
		return 1;
	p[0] = (struct pollfd){ .fd = m.signals, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = m.env.fd[FD_READY_R], .events = POLLIN };
	reap();		/* what ended between the old master and this one */
	for (;;) {
		step();
		if (m.phase == STOPPING && all_ended())
			return 0;
		poll(p, 2, patience());
		take_signals();
	}
}
