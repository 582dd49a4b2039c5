/* tests/db/main.c - runs the database tests: a cluster, a migrated template, and each test's database dropped after it. */
#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/log.h"
#include "core/crypto/crypto.h"
#include "core/db/migrate.h"
#include "tests/db/main.h"

void
test_database_name(const char *suite, const char *test, char *out, size_t max)
{
	unsigned char sum[SHA256_LEN];
	char s[300];
	int n = snprintf(s, sizeof(s), "%s/%s", suite, test);

	sha256(s, (size_t)n, sum);
	snprintf(out, max, "t_%02x%02x%02x%02x%02x%02x", sum[0], sum[1], sum[2], sum[3], sum[4], sum[5]);
}

/* One statement on the database postgres. */
static bool
command(const char *text)
{
	char url[300];
	PGconn *c;
	PGresult *res;
	bool ok;

	snprintf(url, sizeof(url), "host=%s user=postgres dbname=postgres options='-c client_min_messages=error'",
	    getenv("HEARTH_TEST_PGSOCKET"));
	c = PQconnectdb(url);
	res = PQexec(c, text);
	if (!(ok = PQresultStatus(res) == PGRES_COMMAND_OK))
		fprintf(stderr, "%s: %s", text, PQerrorMessage(c));
	PQclear(res);
	PQfinish(c);
	return ok;
}

ReportHook(POST_TEST)(struct criterion_test_stats *stats)
{
	char name[40], q[100];

	test_database_name(stats->test->category, stats->test->name, name, sizeof(name));
	snprintf(q, sizeof(q), "DROP DATABASE IF EXISTS %s WITH (FORCE)", name);
	command(q);
}

static bool
make_template(void)
{
	char url[300];
	const char *dir = getenv("HEARTH_SQL_DIR");

	snprintf(url, sizeof(url), "host=%s user=postgres dbname=" TEMPLATE_DB, getenv("HEARTH_TEST_PGSOCKET"));
	log_level_set(LOG_WARN_);
	return command("DROP DATABASE IF EXISTS " TEMPLATE_DB) && command("CREATE DATABASE " TEMPLATE_DB) &&
	    migrate(url, dir != NULL ? dir : "sql", "localhost");
}

int
main(int argc, char **argv)
{
	struct criterion_test_set *tests;
	int rc = 1;

	/* Without a cluster: under the script that makes one. */
	if (getenv("HEARTH_TEST_PGSOCKET") == NULL) {
		char **v = calloc((size_t)argc + 2, sizeof(*v));
		static char script[] = "tests/pg-temp";

		if (v == NULL)
			return 1;
		v[0] = script;
		memcpy(v + 1, argv, (size_t)argc * sizeof(*v));
		execv(script, v);
		perror(script);
		free(v);
		return 1;
	}
	tests = criterion_initialize();
	if (criterion_handle_args(argc, argv, true)) {
		if (make_template())
			rc = !criterion_run_all_tests(tests);
		else
			fputs("the migrations failed\n", stderr);
	} else {
		rc = 0;
	}
	criterion_finalize(tests);
	return rc;
}
