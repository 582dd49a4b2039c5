/* tests/unit/base/conf.c - settings from file and environment */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/base/conf.h"
#include "core/base/cores.h"

extern char **environ;
static char path[] = "/tmp/hearth-conf-XXXXXX";

/* Each test has a process of its own. Nothing of the caller's environment counts, and complaints are not shown. */
static void
alone(void)
{
	static char *none[] = { NULL };
	int fd = mkstemp(path), null = open("/dev/null", O_WRONLY);

	close(fd);
	dup2(null, STDERR_FILENO);
	environ = none;
}

static void
remove_file(void)
{
	unlink(path);
}

static void
write_file(const char *text)
{
	FILE *f = fopen(path, "w");

	fputs(text, f);
	fclose(f);
}

static const struct conf *
with(const char *name, const char *value)
{
	const struct conf *c;

	setenv(name, value, 1);
	c = conf_load();
	unsetenv(name);
	return c;
}

TestSuite(conf, .init = alone, .fini = remove_file);

Test(conf, defaults)
{
	const struct conf *c = conf_load();
	int n = cores_allowed();

	cr_assert_not_null(c);
	cr_assert_str_eq(c->server_name, "localhost");
	cr_assert_str_eq(c->default_room_version, "12");
	cr_assert(c->rate_limits);
	cr_assert_eq(c->password_cost, COST_NORMAL);
	cr_assert_eq(c->registration, REG_CLOSED);
	cr_assert_str_eq(c->registration_shared_secret, "");
	cr_assert_str_eq(c->migrate_database_url, c->database_url);
	cr_assert_eq(c->web_workers, 2 * n < 16 ? 2 * n : 16);
	cr_assert_eq(c->sync_workers, n);
	cr_assert_eq(c->login_workers, (n < 2 ? 1 : n / 2) + 1);
	cr_assert_eq(c->jobs_workers, 1);
	cr_assert_eq(c->wake_interval_ms, 5);
	cr_assert_str_neq(c->sql_dir, "");
}

Test(conf, environment)
{
	const struct conf *c;

	setenv("HEARTH_SERVER_NAME", "example.org:8448", 1);
	setenv("HEARTH_WEB_WORKERS", "3", 1);
	setenv("HEARTH_REGISTRATION", "open", 1);
	setenv("HEARTH_RATE_LIMITS", "off", 1);
	setenv("HEARTH_PASSWORD_COST", "low", 1);
	setenv("HEARTH_DATABASE_URL", "host=/x", 1);
	setenv("HEARTH_MIGRATE_DATABASE_URL", "host=/y", 1);
	setenv("HEARTH_LISTEN", "not ours", 1);
	cr_assert_not_null(c = conf_load());
	cr_assert_str_eq(c->server_name, "example.org:8448");
	cr_assert_eq(c->web_workers, 3);
	cr_assert_eq(c->registration, REG_OPEN);
	cr_assert_not(c->rate_limits);
	cr_assert_eq(c->password_cost, COST_LOW);
	cr_assert_str_eq(c->database_url, "host=/x");
	cr_assert_str_eq(c->migrate_database_url, "host=/y");
}

Test(conf, an_empty_variable_is_none)
{
	const struct conf *c = with("HEARTH_SERVER_NAME", "");

	cr_assert_not_null(c);
	cr_assert_str_eq(c->server_name, "localhost");
}

Test(conf, file_and_environment_over_it)
{
	const struct conf *c;

	write_file("# comment\n\n  server_name =  example.org \nweb_workers=4\nregistration = token\ndatabase_url = host=/x dbname=y\n");
	setenv("HEARTH_CONFIG", path, 1);
	cr_assert_not_null(c = with("HEARTH_WEB_WORKERS", "5"));
	cr_assert_str_eq(c->server_name, "example.org");
	cr_assert_eq(c->web_workers, 5);
	cr_assert_eq(c->registration, REG_TOKEN);
	cr_assert_str_eq(c->database_url, "host=/x dbname=y");
}

Test(conf, secrets_from_files)
{
	const struct conf *c;

	write_file("s3cret=\n");
	cr_assert_not_null(c = with("HEARTH_REGISTRATION_SHARED_SECRET_FILE", path));
	cr_assert_str_eq(c->registration_shared_secret, "s3cret=");
	setenv("HEARTH_REGISTRATION_SHARED_SECRET_FILE", path, 1);
	cr_assert_not_null(c = with("HEARTH_REGISTRATION_SHARED_SECRET", "direct"));
	cr_assert_str_eq(c->registration_shared_secret, "direct");
	cr_assert_null(with("HEARTH_REGISTRATION_SHARED_SECRET_FILE", "/nonexistent"));
	unsetenv("HEARTH_REGISTRATION_SHARED_SECRET_FILE");
	/* Every setting may come so; nothing but the end of the line is taken off. */
	write_file(" pass word \r\nsecond line");
	cr_assert_not_null(c = with("HEARTH_SMTP_PASSWORD_FILE", path));
	cr_assert_str_eq(c->smtp_password, " pass word ");
	write_file("\n");
	cr_assert_null(with("HEARTH_SMTP_PASSWORD_FILE", path));
}

Test(conf, faults)
{
	cr_expect_null(with("HEARTH_WEB_WORKERS", "-1"));
	cr_expect_null(with("HEARTH_WEB_WORKERS", "257"));
	cr_expect_null(with("HEARTH_WEB_WORKERS", "4x"));
	cr_expect_null(with("HEARTH_WEB_WORKERS", "99999999999999999999"));
	cr_expect_null(with("HEARTH_REGISTRATION", "perhaps"));
	cr_expect_null(with("HEARTH_RATE_LIMITS", "maybe"));
	cr_expect_null(with("HEARTH_PASSWORD_COST", "high"));
	cr_expect_null(with("HEARTH_SERVER_NAME", "exa mple"));
	cr_expect_null(with("HEARTH_SERVER_NAME", "https://example.org"));
	cr_expect_null(with("HEARTH_PUBLIC_BASEURL", "example.org"));
	cr_expect_null(with("HEARTH_DEFAULT_ROOM_VERSION", "13"));
	cr_expect_null(with("HEARTH_DEFAULT_ROOM_VERSION", "01"));
	cr_expect_null(with("HEARTH_LOG_LEVEL", "loud"));
	cr_expect_null(with("HEARTH_WEB_SOCKET", "/run/web"));
	cr_expect_null(with("HEARTH_WEB_SOCKET", "unix:relative"));
	cr_expect_null(with("HEARTH_CONFIG", "/nonexistent"));
	cr_expect_not_null(conf_load());
}

Test(conf, faults_in_a_file)
{
	static const char *const bad[] = { "nonsense\n", "no_such = 1\n", "web_workers = many\n", "server_name =\n" };

	setenv("HEARTH_CONFIG", path, 1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		write_file(bad[i]);
		cr_expect_null(conf_load(), "%s", bad[i]);
	}
}

Test(conf, all_faults_are_told_and_none_shows_a_secret)
{
	char text[4096];
	ssize_t n;
	int fd[2];

	write_file("postgres://user:hunter2@db\nweb_workers = x\n");
	setenv("HEARTH_CONFIG", path, 1);
	cr_assert_eq(pipe(fd), 0);
	dup2(fd[1], STDERR_FILENO);
	cr_assert_null(with("HEARTH_SYNC_WORKERS", "y"));
	n = read(fd[0], text, sizeof(text) - 1);
	cr_assert_gt(n, 0);
	text[n] = '\0';
	cr_assert_not_null(strstr(text, ":1:"));
	cr_assert_not_null(strstr(text, "web_workers"));
	cr_assert_not_null(strstr(text, "sync_workers"));
	cr_assert_null(strstr(text, "hunter2"));
}

/* What `hearth config` prints is a valid file, also with every setting taken out of its comment. */
Test(conf, the_example_is_valid)
{
	char line[1000];
	FILE *in, *out;
	int settings = 0;
	const struct conf *c;

	fflush(stdout);
	cr_assert_not_null(freopen(path, "w", stdout));
	conf_print_example();
	fflush(stdout);
	setenv("HEARTH_CONFIG", path, 1);
	cr_assert_not_null(conf_load());

	in = fopen(path, "r");
	out = tmpfile();
	while (fgets(line, sizeof(line), in)) {
		bool setting = line[0] == '#' && line[1] != ' ';

		settings += setting;
		fputs(line + setting, out);
	}
	fclose(in);
	rewind(out);
	in = fopen(path, "w");
	while (fgets(line, sizeof(line), out))
		fputs(line, in);
	fclose(in);
	cr_assert_gt(settings, 20);
	cr_assert_not_null(c = conf_load());
	cr_assert_str_eq(c->server_name, "localhost");
}

Test(conf, email)
{
	const struct conf *c = conf_load();

	cr_assert_eq(c->registration_email, WANT_OFF, "without a mail server");
	cr_assert_null(with("HEARTH_REGISTRATION_EMAIL", "required"));
	cr_assert_null(with("HEARTH_SMTP_URL", "smtp://mail:25"), "from whom?");
	setenv("HEARTH_SMTP_FROM", "Hearth <h@example.org>", 1);
	cr_assert_not_null(c = with("HEARTH_SMTP_URL", "smtp://mail:25"));
	cr_assert_eq(c->registration_email, WANT_OPTIONAL);
	cr_assert_eq(c->smtp_tls, TLS_REQUIRED);
	cr_assert_null(with("HEARTH_SMTP_URL", "https://mail"));
	cr_assert_null(with("HEARTH_SMTP_URL", "smtp://user:secret@mail"));
	cr_assert_null(with("HEARTH_SMTP_URL", "smtp://mail/path"));
	setenv("HEARTH_SMTP_URL", "smtps://mail", 1);
	cr_assert_not_null(c = with("HEARTH_REGISTRATION_EMAIL", "required"));
	cr_assert_eq(c->registration_email, WANT_REQUIRED);
	cr_assert_null(with("HEARTH_SMTP_FROM", "nobody"));
	setenv("HEARTH_SMTP_FROM", "h@example.org", 1);
	cr_assert_null(with("HEARTH_SMTP_TLS", "perhaps"));
	cr_assert_null(with("HEARTH_TERMS", "{}"));
	cr_assert_not_null(with("HEARTH_TERMS", "{\"p\":{\"version\":\"1\",\"en\":{\"name\":\"N\",\"url\":\"https://x/\"}}}"));
}
