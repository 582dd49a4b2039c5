/* tests/db/harness.c - see harness.h. Runs in the process of one test. */
#include "tests/db/harness.h"

#include <libpq-fe.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/crypto/crypto.h"
#include "core/room/known.h"
#include "tests/db/main.h"

static struct arena *forever;	/* of this test */
static PGconn *admin;

static const char *
keep(const char *s)
{
	if (forever == NULL)
		forever = arena_new();
	return arena_strdup(forever, s);
}

void
test_pause(void)
{
	usleep(10 * 1000);
}

/* ---- the test's database */

const char *
test_url_of(const char *user, const char *dbname)
{
	char s[400];

	snprintf(s, sizeof(s), "host=%s user=%s dbname=%s", getenv("HEARTH_TEST_PGSOCKET"), user, dbname);
	return keep(s);
}

static PGconn *
connect_to(const char *url)
{
	PGconn *c = PQconnectdb(url);

	if (PQstatus(c) != CONNECTION_OK)
		cr_assert_fail("%s", PQerrorMessage(c));
	return c;
}

static void
quiet(void *arg, const PGresult *res)
{
}

const char *
test_dbname(void)
{
	static const char *name;
	PGconn *c;
	PGresult *res;
	char q[300];

	if (name != NULL)
		return name;
	test_database_name(criterion_current_suite->name, criterion_current_test->name, q, sizeof(q));
	name = keep(q);
	c = connect_to(test_url_of("postgres", "postgres"));
	snprintf(q, sizeof(q), "CREATE DATABASE %s TEMPLATE %s", name, TEMPLATE_DB);
	res = PQexec(c, q);
	if (PQresultStatus(res) != PGRES_COMMAND_OK)
		cr_assert_fail("%s", PQerrorMessage(c));
	PQclear(res);
	PQfinish(c);
	return name;
}

const char *
test_url(const char *user)
{
	return test_url_of(user, test_dbname());
}

/* ---- sessions */

const struct conf *
test_conf(void)
{
	static const struct conf *conf;

	if (conf != NULL)
		return conf;
	setenv("HEARTH_DATABASE_URL", test_url("hearth_worker"), 1);
	setenv("HEARTH_SERVER_NAME", "localhost", 1);
	setenv("HEARTH_REGISTRATION", "open", 1);
	setenv("HEARTH_PASSWORD_COST", "low", 1);
	if ((conf = conf_load()) == NULL)
		cr_assert_fail("settings");
	return conf;
}

struct ctx *
session_on(const char *conninfo)
{
	static struct signing_key *key;
	struct ctx *cx = calloc(1, sizeof(*cx));

	if (cx == NULL)
		abort();
	if (key == NULL)
		key = signing_key_new("ed25519:test", (const unsigned char *)"a seed that only tests know, yes!");
	*cx = (struct ctx){ .a = arena_new(), .db = db_open(conninfo), .conf = test_conf(), .key = key, .known = known_new(), .now = clock_ms(),
		.req_id = "test", .route = "test" };
	return cx;
}

struct ctx *
session(void)
{
	return session_on(test_url("hearth_worker"));
}

void
session_next(struct ctx *cx)
{
	arena_free(cx->a);
	cx->a = arena_new();
	cx->touched = (struct touched){ 0 };
	cx->now = clock_ms();
}

void
session_end(struct ctx *cx)
{
	db_close(cx->db);
	known_free(cx->known);
	arena_free(cx->a);
	free(cx);
}

/* ---- psql */

__attribute__((format(printf, 1, 0)))
static PGresult *
ask(const char *fmt, va_list ap)
{
	char *q;
	PGresult *res;

	if (vasprintf(&q, fmt, ap) < 0)
		abort();
	if (admin == NULL || PQstatus(admin) != CONNECTION_OK) {
		PQfinish(admin);
		admin = connect_to(test_url("postgres"));
		PQsetNoticeReceiver(admin, quiet, NULL);
		PQclear(PQexec(admin, "SET search_path = hearth"));
	}
	res = PQexec(admin, q);
	free(q);
	return res;
}

const char *
sql(const char *fmt, ...)
{
	const char *out = "";
	va_list ap;
	PGresult *res;

	va_start(ap, fmt);
	res = ask(fmt, ap);
	va_end(ap);
	if (PQresultStatus(res) != PGRES_TUPLES_OK && PQresultStatus(res) != PGRES_COMMAND_OK)
		cr_assert_fail("%s: %s", fmt, PQresultErrorMessage(res));
	if (PQntuples(res) > 0)
		out = keep(PQgetvalue(res, 0, 0));
	PQclear(res);
	return out;
}

const char *
sql_error(const char *fmt, ...)
{
	const char *state;
	va_list ap;
	PGresult *res;

	va_start(ap, fmt);
	res = ask(fmt, ap);
	va_end(ap);
	state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	state = keep(state != NULL ? state : "");
	PQclear(res);
	return state;
}

long long
sql_int(const char *fmt, ...)
{
	long long v = 0;
	va_list ap;
	PGresult *res;

	va_start(ap, fmt);
	res = ask(fmt, ap);
	va_end(ap);
	if (PQresultStatus(res) != PGRES_TUPLES_OK || PQntuples(res) != 1)
		cr_assert_fail("%s: %s", fmt, PQresultErrorMessage(res));
	v = strtoll(PQgetvalue(res, 0, 0), NULL, 10);
	PQclear(res);
	return v;
}

/* ---- races */

struct step {
	pthread_t thread;
	struct ctx *cx;
	enum err (*fn)(struct ctx *, void *);
	void *arg;
	enum err result;
	atomic_bool ended;
	int pid;
};

STMT(test_nothing, "SELECT 1");

static void *
step_main(void *p)
{
	struct step *s = p;

	s->result = s->fn(s->cx, s->arg);
	s->ended = true;
	return NULL;
}

struct step *
step_start(struct ctx *cx, enum err (*fn)(struct ctx *cx, void *arg), void *arg)
{
	struct step *s = calloc(1, sizeof(*s));
	struct rows r;

	if (s == NULL)
		abort();
	*s = (struct step){ .cx = cx, .fn = fn, .arg = arg };
	/* So that its process can be looked at from here. */
	if (!db_in_tx(cx) && db_row(cx, &r, &test_nothing) != M_OK)
		cr_assert_fail("no connection");
	s->pid = db_backend_pid(cx->db);
	if (pthread_create(&s->thread, NULL, step_main, s) != 0)
		abort();
	return s;
}

bool
step_ended(struct step *s)
{
	return s->ended;
}

bool
step_waits(struct step *s)
{
	bool waits = false;

	if (!EVENTUALLY(s->ended || (waits = sql_int("SELECT cardinality(pg_blocking_pids(%d))", s->pid) > 0)))
		cr_assert_fail("it neither waits nor ends");
	return waits;
}

enum err
step_end(struct step *s)
{
	enum err e;

	pthread_join(s->thread, NULL);
	e = s->result;
	free(s);
	return e;
}
