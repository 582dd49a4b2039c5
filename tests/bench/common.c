/* tests/bench/common.c - see bench.h. */
#include "tests/bench/bench.h"

#include <ctype.h>
#include <dirent.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

struct bench bench;

void
say(const char *name, double v, const char *unit)
{
	printf("%s\t%.6g\t%s\n", name, v, unit);
	fflush(stdout);
}

void
sayf(double v, const char *unit, const char *name, ...)
{
	char line[128];
	va_list ap;

	va_start(ap, name);
	vsnprintf(line, sizeof(line), name, ap);
	va_end(ap);
	say(line, v, unit);
}

static int
by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

double
quantile(double *v, long n, double q)
{
	if (n == 0)
		return 0;
	qsort(v, (size_t)n, sizeof(*v), by_size);
	return v[(long)(q * (double)(n - 1))];
}

long
arg_long(int i, long dflt)
{
	return i < bench.n_args ? strtol(bench.args[i], NULL, 10) : dflt;
}

long
sized(long n, long least)
{
	long v = (long)((double)n / bench.shrink);

	return v < least ? least : v;
}

/* ---- small JSON readers: the server's answers are ours, so plain search does ---- */

char *
member(const char *json, const char *key)
{
	char want[64];
	const char *p, *q;

	snprintf(want, sizeof(want), "\"%s\":\"", key);
	if (json == NULL || (p = strstr(json, want)) == NULL)
		return NULL;
	p += strlen(want);
	q = strchr(p, '"');
	return strndup(p, (size_t)(q - p));
}

const char *
token(long user)
{
	static char t[8][32];
	static int i;

	i = (i + 1) % 8;
	snprintf(t[i], sizeof(t[i]), "t%ld", user);
	return t[i];
}

long
count_of(const char *text, const char *part)
{
	long n = 0;

	for (const char *p = text; (p = strstr(p, part)) != NULL; p += strlen(part))
		n++;
	return n;
}

/* ---- calls one after the other */

double *
ask_times(const char *tok, const char *path, const char *body, long runs, char **answer)
{
	double *took = calloc((size_t)runs, sizeof(*took));
	char *last = NULL;

	for (long i = 0; i < runs; i++) {
		double t = now_s();

		free(last);
		last = load_ask(tok, path, body, false);
		took[i] = now_s() - t;
	}
	if (answer != NULL)
		*answer = last;
	else
		free(last);
	quantile(took, runs, 0.5);
	return took;
}

double
ask_median_ms(const char *tok, const char *path, const char *body, long runs, char **answer)
{
	double *took = ask_times(tok, path, body, runs, answer), ms = took[runs / 2] * 1e3;

	free(took);
	return ms;
}

void
drive(double seconds)
{
	long never = 0;

	load_run(&never, 1, seconds);
}

/* ---- the database */

static PGconn *
db(void)
{
	static PGconn *c;

	if (c == NULL) {
		const char *where = getenv("BENCH_DB");

		c = PQconnectdb(where ? where : "");
		if (PQstatus(c) != CONNECTION_OK) {
			fprintf(stderr, "bench: %s", PQerrorMessage(c));
			exit(1);
		}
		PQclear(PQexec(c, "SET search_path = hearth"));
	}
	return c;
}

static PGresult *
checked(PGresult *r)
{
	if (PQresultStatus(r) != PGRES_TUPLES_OK && PQresultStatus(r) != PGRES_COMMAND_OK) {
		fprintf(stderr, "bench: %s", PQresultErrorMessage(r));
		exit(1);
	}
	return r;
}

static PGresult *
query(const char *sql, va_list ap)
{
	char *text;

	if (vasprintf(&text, sql, ap) < 0)
		exit(1);
	PGresult *r = checked(PQexec(db(), text));

	free(text);
	return r;
}

char *
db_get(const char *sql, ...)
{
	va_list ap;
	PGresult *r;
	char *v;

	va_start(ap, sql);
	r = query(sql, ap);
	va_end(ap);
	v = PQntuples(r) > 0 ? strdup(PQgetvalue(r, 0, 0)) : NULL;
	PQclear(r);
	return v;
}

long
db_list(char ***out, const char *sql, ...)
{
	va_list ap;
	PGresult *r;
	long n;

	va_start(ap, sql);
	r = query(sql, ap);
	va_end(ap);
	n = PQntuples(r);
	*out = calloc((size_t)n + 1, sizeof(**out));
	for (long i = 0; i < n; i++)
		(*out)[i] = strdup(PQgetvalue(r, (int)i, 0));
	PQclear(r);
	return n;
}

double
db_time(long runs, const char *sql)
{
	double *took = calloc((size_t)runs, sizeof(*took)), m;

	PQclear(checked(PQprepare(db(), "timed", sql, 0, NULL)));
	for (long i = 0; i < runs; i++) {
		double t = now_s();

		PQclear(checked(PQexecPrepared(db(), "timed", 0, NULL, NULL, NULL, 0)));
		took[i] = now_s() - t;
	}
	PQclear(checked(PQexec(db(), "DEALLOCATE timed")));
	m = quantile(took, runs, 0.5);
	free(took);
	return m;
}

/* ---- processes: CPU and memory of the server's tree ---- */

struct proc { int pid, parent; char comm[32]; double cpu; };

static int
procs(struct proc **out)
{
	static struct proc v[8192];
	int n = 0;
	DIR *d = opendir("/proc");
	struct dirent *e;

	while ((e = readdir(d)) != NULL && n < 8192) {
		char path[300], line[1024], *p, *q;
		unsigned long ut, st;
		FILE *f;

		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/stat", e->d_name);
		if ((f = fopen(path, "r")) == NULL)
			continue;
		if (fgets(line, sizeof(line), f) != NULL && (p = strchr(line, '(')) != NULL && (q = strrchr(line, ')')) != NULL &&
		    sscanf(q + 2, "%*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &v[n].parent, &ut, &st) == 3) {
			v[n].pid = (int)strtol(line, NULL, 10);
			*q = '\0';
			snprintf(v[n].comm, sizeof(v[n].comm), "%s", p + 1);
			v[n].cpu = (double)(ut + st) / (double)sysconf(_SC_CLK_TCK);
			n++;
		}
		fclose(f);
	}
	closedir(d);
	*out = v;
	return n;
}

static int
is_below(const struct proc *v, int n, int i)
{
	for (int hops = 0; hops < 20; hops++) {
		int j, up = v[i].parent;

		if (v[i].pid == bench.server_pid)
			return 1;
		for (j = 0; j < n && v[j].pid != up; j++)
			;
		if (j == n)
			return 0;
		i = j;
	}
	return 0;
}

/* CPU seconds of the server's processes whose name begins with a or b. */
double
cpu_of(const char *a, const char *b)
{
	struct proc *v;
	int n = procs(&v);
	double sum = 0;

	for (int i = 0; i < n; i++)
		if ((strncmp(v[i].comm, a, strlen(a)) == 0 || strncmp(v[i].comm, b, strlen(b)) == 0) && is_below(v, n, i))
			sum += v[i].cpu;
	return sum;
}

int
pid_of(const char *comm)
{
	struct proc *v;
	int n = procs(&v);

	for (int i = 0; i < n; i++)
		if (strcmp(v[i].comm, comm) == 0 && is_below(v, n, i))
			return v[i].pid;
	fprintf(stderr, "bench: no process %s below %d\n", comm, bench.server_pid);
	exit(1);
}

double
private_dirty(int pid)
{
	char path[64], line[256];
	long kb = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	if ((f = fopen(path, "r")) == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "Private_Dirty:", 14) == 0)
			kb = strtol(line + 14, NULL, 10);
	fclose(f);
	return (double)kb * 1024;
}

double
own_cpu(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return (double)r.ru_utime.tv_sec + (double)r.ru_stime.tv_sec + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

/* ---- the server's own figures: its private listener, at BENCH_METRICS_PORT ---- */

static char *
metrics(char *buf, size_t max)
{
	static const char ask[] = "GET /_hearth/metrics HTTP/1.0\r\n\r\n";
	const char *port = getenv("BENCH_METRICS_PORT");
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)(port ? strtol(port, NULL, 10) : 0)) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	size_t n = 0;
	ssize_t k;

	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0 || write(fd, ask, sizeof(ask) - 1) != sizeof(ask) - 1) {
		fprintf(stderr, "bench: the server tells no figures at BENCH_METRICS_PORT\n");
		exit(1);
	}
	while (n < max - 1 && (k = read(fd, buf + n, max - 1 - n)) > 0)
		n += (size_t)k;
	buf[n] = '\0';
	close(fd);
	return buf;
}

long
waiting(void)
{
	static char buf[1 << 20];
	const char *line = strstr(metrics(buf, sizeof(buf)), "\nhearth_waiting ");

	return line ? strtol(line + sizeof("\nhearth_waiting ") - 1, NULL, 10) : 0;
}

void
until_waiting(long n)
{
	double begin = now_s();
	long have;

	while ((have = waiting()) < n) {
		if (now_s() - begin > 60) {
			fprintf(stderr, "bench: %ld requests wait instead of %ld\n", have, n);
			exit(1);
		}
		drive(0.05);
	}
}

/* ---- chains: `lanes` callers that each repeat step() until it returns 0 ---- */

static void chain_next(struct chain *ch, int lane);

static void
chain_done(struct call *c)
{
	struct chain *ch = c->arg;

	if (c->status != 200) {
		if (ch->failed++ == 0)
			fprintf(stderr, "bench: HTTP %ld: %.300s\n", c->status, c->body ? c->body : "");
	} else if (ch->answer != NULL) {
		ch->answer(ch, c);
	}
	if (ch->took != NULL)
		ch->took[ch->done] = c->end - c->start;
	ch->done++;
	chain_next(ch, c->lane);
}

static void
chain_next(struct chain *ch, int lane)
{
	char path[2048];
	const char *tok, *body = NULL;
	bool put = false;
	long i = ch->next;

	if (ch->until > 0 && now_s() > ch->until) {
		ch->want = ch->next;	/* no new ones; those under way end it */
		return;
	}
	if (i >= ch->want)
		return;
	ch->next++;
	ch->step(ch, lane, i, path, sizeof(path), &tok, &body, &put);
	load_call(LOAD_OWN_CONNECTION, lane, tok, path, body, put, chain_done, ch, i);
}

void
chain_run(struct chain *ch, int lanes, long want)
{
	ch->want = want;
	if (ch->took == NULL)
		ch->took = calloc((size_t)want + 64, sizeof(double));
	for (int l = 0; l < lanes; l++)
		chain_next(ch, l);
	while (ch->done < ch->want)
		load_run(&ch->done, ch->done + 1, 60);
	if (ch->failed)
		fprintf(stderr, "bench: %ld of %ld failed\n", ch->failed, ch->want);
}

/* ---- rooms ---- */

char **rooms;
long nrooms;

struct making { long first_user, users; const char *body; };

static int
make_step(struct chain *ch, int lane, long i, char *path, size_t max, const char **tok, const char **body, bool *put)
{
	struct making *m = ch->arg;

	(void)lane;
	(void)put;
	snprintf(path, max, "/_matrix/client/v3/createRoom");
	*tok = token(m->first_user + i % m->users);
	*body = m->body;
	return 1;
}

static void
make_answer(struct chain *ch, struct call *c)
{
	(void)ch;
	rooms[c->tag] = member(c->body, "room_id");
}

/* n rooms, room i made by user first + i % users */
void
make_rooms(long n, long first, long users)
{
	struct making m = { first, users, "{\"preset\":\"public_chat\"}" };
	struct chain ch = { .step = make_step, .answer = make_answer, .arg = &m };

	rooms = calloc((size_t)n, sizeof(*rooms));
	nrooms = n;
	chain_run(&ch, 8, n);
	free(ch.took);
}

char *
make_template(void)
{
	char *b = load_ask(token(1), "/_matrix/client/v3/createRoom", "{\"preset\":\"public_chat\",\"name\":\"A room of the bench\"}", false);
	char *room = member(b, "room_id");

	free(b);
	send_one(token(1), room, 0);
	return room;
}

const char *
path_id(const char *id)
{
	static char text[8][512];
	static int i;
	char *p = text[i = (i + 1) % 8];

	for (; *id != '\0' && p < text[i] + sizeof(text[i]) - 4; id++)
		if (strchr("!$:#@/+", *id))
			p += snprintf(p, 4, "%%%02X", (unsigned char)*id);
		else
			*p++ = *id;
	*p = '\0';
	return text[i];
}

static int
join_step(struct chain *ch, int lane, long i, char *path, size_t max, const char **tok, const char **body, bool *put)
{
	(void)lane;
	(void)put;
	snprintf(path, max, "/_matrix/client/v3/rooms/%s/join", (const char *)ch->arg);
	*tok = token(2 + i);
	*body = "{}";
	return 1;
}

/* users 2 … n join the room */
void
join_all(char *room, long n)
{
	struct chain ch = { .step = join_step, .arg = room };

	chain_run(&ch, 8, n - 1);
	free(ch.took);
}

void
send_one(const char *tok, const char *room, long i)
{
	char path[512], body[1024];

	snprintf(path, sizeof(path), "/_matrix/client/v3/rooms/%s/send/m.room.message/b%ld.%d.%ld", room, i, (int)getpid(), (long)(now_s() * 1e6));
	snprintf(body, sizeof(body), CONTENT_500, i);
	free(load_ask(tok, path, body, true));
}

char *
sync_token(const char *tok)
{
	char *b = load_ask(tok, "/_matrix/client/v3/sync?filter={%22room%22:{%22rooms%22:[],%22timeline%22:{%22limit%22:1}}}", NULL, false);
	char *t = member(b, "next_batch");

	free(b);
	return t;
}

void
count_done(struct call *c)
{
	if (c->status == 200)
		(*(long *)c->arg)++;
	else
		fprintf(stderr, "bench: a waiting sync got HTTP %ld: %.200s\n", c->status, c->body ? c->body : "");
}
