/* fcgi/roles.c - what the master's children are; see roles.h. */
#include "fcgi/roles.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "core/base/log.h"
#include "core/jobs/jobs.h"
#include "core/sync/wake.h"
#include "fcgi/metrics.h"
#include "fcgi/park.h"
#include "fcgi/worker.h"

static volatile sig_atomic_t jobs_stop;

static void
on_stop(int sig)
{
	jobs_stop = 1;
}

static int
jobs_role(const struct env *env)
{
	const struct sigaction act = { .sa_handler = on_stop };	/* no SA_RESTART: a wait ends */

	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGUSR1, &act, NULL);
	wake_setup(env->fd[FD_WAKE_W]);
	return jobs_main(env->conf, &jobs_stop, &env->sh->push, &env->sh->jobs_turn);
}

static int64_t
one(const struct conf *conf)
{
	return 1;
}

static int64_t
web_count(const struct conf *conf)
{
	return conf->web_workers;
}

static int64_t
sync_count(const struct conf *conf)
{
	return conf->sync_workers;
}

static int64_t
login_count(const struct conf *conf)
{
	return conf->login_workers;
}

/* Who logs in waits for his password's hash in any case: the processor is for the others first. */
static int
login_role(const struct env *env)
{
	if (nice(10) == -1)
		log_warn(NULL, "login_not_nice", LI("errno", errno));
	return worker_main(env);
}

static int64_t
jobs_count(const struct conf *conf)
{
	return conf->jobs_workers;
}

static int64_t
metrics_count(const struct conf *conf)
{
	return *conf->metrics_listen != '\0';
}

const struct role roles[] = {
	{ "park", park_main, one, true },
	{ "sync", worker_main, sync_count, true },
	{ "web", worker_main, web_count, true },
	{ "login", login_role, login_count, true },
	{ "jobs", jobs_role, jobs_count, false },
	{ "metrics", metrics_main, metrics_count, false },
};
const size_t nroles = sizeof(roles) / sizeof(*roles);

const struct role *
role_find(const char *name)
{
	for (size_t i = 0; i < nroles; i++)
		if (strcmp(roles[i].name, name) == 0)
			return &roles[i];
	return NULL;
}
