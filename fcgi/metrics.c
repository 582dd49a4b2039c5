/* fcgi/metrics.c - is it alive, and how busy is it; see metrics.h. */
#include "fcgi/metrics.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "core/base/clock.h"
#include "core/base/conf.h"
#include "fcgi/routes.h"

static const char *const method_names[] = { "GET", "PUT", "POST", "DELETE" };

/* Longer than a turn of these loops may take: the one does nothing slow, the other waits for statements, one after the other. */
#define PARK_SILENT_MS 30000
#define JOBS_SILENT_MS 120000

static const struct env *here;

void
health_setup(const struct env *env)
{
	here = env;
}

static bool
turns(int64_t last, int64_t now, int64_t patience)
{
	return last != 0 && now - last < patience;
}

void
health_write(struct json_out *o, const struct env *env, int64_t now)
{
	bool jobs_here = env->conf->jobs_workers > 0, park = turns(env->sh->park_turn, now, PARK_SILENT_MS);
	bool jobs = !jobs_here || turns(env->sh->jobs_turn, now, JOBS_SILENT_MS);

	json_obj(o, NULL);
	json_str(o, "status", park && jobs ? "ok" : "degraded");
	json_str(o, "park", park ? "ok" : "silent");
	json_str(o, "jobs", !jobs_here ? "none" : jobs ? "ok" : "silent");
	json_end(o);
}

enum err
hearth_health(struct req *r)
{
	if (db_alive(&r->cx) != M_OK)
		return fail(&r->cx, E_UNAVAILABLE, "the database does not answer");
	health_write(&r->out, here, clock_mono_ms());
	return M_OK;
}

static void
family(struct buf *b, const char *name, const char *type, const char *help)
{
	buf_addf(b, "# HELP hearth_%s %s\n# TYPE hearth_%s %s\n", name, help, name, type);
}

static void
labels(struct buf *b, size_t i)
{
	if (i < nroutes)
		buf_addf(b, "{route=\"%s\",method=\"%s\"", routes[i].path, method_names[routes[i].method]);
	else
		buf_puts(b, "{route=\"none\",method=\"\"");
}

static uint64_t
route_total(const struct route_metrics *m)
{
	uint64_t sum = 0;

	for (int k = 0; k < 6; k++)
		sum += m->count[k];
	return sum;
}

static void
route_counters(struct buf *b, const struct shared *sh)
{
	family(b, "requests_total", "counter", "Requests answered, by route and class of status.");
	for (size_t i = 0; i < METRIC_ROUTES; i++)
		for (int k = 0; k < 6; k++)
			if (sh->routes[i].count[k] > 0) {
				buf_puts(b, "hearth_requests_total");
				labels(b, i);
				buf_addf(b, ",status=\"%dxx\"} %llu\n", k, (unsigned long long)sh->routes[i].count[k]);
			}
	family(b, "request_seconds_total", "counter", "Time from a request's arrival to its answer, waiting included.");
	for (size_t i = 0; i < METRIC_ROUTES; i++)
		if (route_total(&sh->routes[i]) > 0) {
			buf_puts(b, "hearth_request_seconds_total");
			labels(b, i);
			buf_addf(b, "} %.6f\n", (double)sh->routes[i].us / 1e6);
		}
	family(b, "request_db_seconds_total", "counter", "Time spent waiting for the database.");
	for (size_t i = 0; i < METRIC_ROUTES; i++)
		if (route_total(&sh->routes[i]) > 0) {
			buf_puts(b, "hearth_request_db_seconds_total");
			labels(b, i);
			buf_addf(b, "} %.6f\n", (double)sh->routes[i].db_us / 1e6);
		}
}

void
metrics_text(struct buf *b, const struct shared *sh)
{
	const struct {
		const char *name, *type, *help;
		double value;
	} single[] = {
		{ "waiting", "gauge", "Requests that wait for news.", (double)sh->waiting },
		{ "waiting_heavy", "gauge", "Initial and long syncs that wait for their turn.", (double)sh->waiting_heavy },
		{ "parked_total", "counter", "Requests that began to wait.", (double)sh->parked },
		{ "woken_total", "counter", "Waiting requests handed to a worker because of news.", (double)sh->woken },
		{ "batches_total", "counter", "Batches they were handed over in.", (double)sh->batches },
		{ "timed_out_total", "counter", "Waiting requests answered because their time was over.", (double)sh->timed_out },
		{ "gone_total", "counter", "Waiting requests whose client went away.", (double)sh->gone },
		{ "tail_found_total", "counter", "Rooms and users found by the look at the streams' tail.", (double)sh->tail_found },
		{ "tail_seconds", "gauge", "How long the last look at the tail took.", (double)sh->tail_us / 1e6 },
		{ "listen_up", "gauge", "1 while the connection that listens for other containers stands.", (double)sh->listen_up },
		{ "pushes_total", "counter", "Notifications of events that push gateways took.", (double)sh->push.delivered },
		{ "push_badges_total", "counter", "Numbers of unread messages that push gateways took by themselves.", (double)sh->push.badges },
		{ "push_failures_total", "counter", "Calls of push gateways that failed and are tried again.", (double)sh->push.failed },
		{ "push_rejected_total", "counter", "Pushers removed because their gateway does not know the device.", (double)sh->push.rejected },
		{ "push_passed_over_total", "counter", "Notifications that nobody needed any more when it was their turn.",
		  (double)sh->push.passed_over },
		{ "child_restarts_total", "counter", "Processes that ended unasked.", (double)sh->restarts },
	};

	route_counters(b, sh);
	for (size_t i = 0; i < sizeof(single) / sizeof(*single); i++) {
		family(b, single[i].name, single[i].type, single[i].help);
		buf_addf(b, "hearth_%s %.15g\n", single[i].name, single[i].value);
	}
}

/* Enough HTTP for a scraper: one GET, one answer, the connection ends. */
static void
scrape(const struct env *env, int fd)
{
	const struct timeval patience = { .tv_sec = 2 };
	const char *status = "404 Not Found";
	struct arena *a = arena_new();
	struct buf body, b;
	char line[1024];
	ssize_t n;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	buf_init(&body, a);
	buf_init(&b, a);
	n = recv(fd, line, sizeof(line) - 1, 0);
	line[n > 0 ? n : 0] = '\0';
	if (strncmp(line, "GET /_hearth/metrics ", 21) == 0) {
		status = "200 OK";
		metrics_text(&body, env->sh);
	}
	buf_addf(&b, "HTTP/1.0 %s\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: %zu\r\n\r\n%s", status, body.n, body.s);
	send(fd, b.s, b.n, MSG_NOSIGNAL);
	arena_free(a);
}

int
metrics_main(const struct env *env)
{
	struct pollfd p = { .fd = env->fd[FD_METRICS], .events = POLLIN };

	for (;;) {	/* ended by SIGTERM or SIGUSR1: nothing here would be lost */
		int fd;

		poll(&p, 1, -1);
		if ((fd = accept4(p.fd, NULL, NULL, SOCK_CLOEXEC)) < 0)
			continue;
		scrape(env, fd);
		close(fd);
	}
}
