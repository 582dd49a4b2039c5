/*
 * core/base/conf.c - THE table of settings, and its readers; see conf.h.
 *
 * A value comes from the file named by HEARTH_CONFIG, then from HEARTH_<NAME>, or for
 * what is secret from the file named by HEARTH_<NAME>_FILE (containers hand
 * secrets over so). All faults are told at once, not one per start.
 */
#include "core/base/conf.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/cores.h"
#include "core/base/email.h"
#include "core/base/id.h"
#include "core/base/ip.h"
#include "core/base/policies.h"

enum kind { STR, SECRET /* a STR, too */, INT, BOOL, REGISTRATION, COST, TLS, WANT };

static const struct setting {
	const char *name;
	enum kind kind;
	size_t at;
	const char *dflt;
	int64_t min, max;
	const char *help;
} settings[] = {
#define S(name, kind, dflt, min, max, help) { #name, kind, offsetof(struct conf, name), dflt, min, max, help }
	S(server_name, STR, "localhost", 1, 230, "What user ids end in. It cannot be changed once there are users."),
	S(public_baseurl, STR, "https://localhost:8448", 1, 1000, "Where clients reach this server."),
	S(database_url, SECRET, "dbname=hearth", 1, 4000, "How workers connect to PostgreSQL: a libpq conninfo or URL."),
	S(migrate_database_url, SECRET, "", 0, 4000, "The same for the migrations, which make tables and roles. Empty: database_url."),
	S(web_socket, STR, "unix:/run/hearth/web.sock", 5, 200, "Where nginx hands over short requests: unix:/path or tcp:host:port (a private network)."),
	S(sync_socket, STR, "unix:/run/hearth/sync.sock", 5, 200, "The same for requests that may wait."),
	S(login_socket, STR, "unix:/run/hearth/login.sock", 5, 200, "The same for requests that check passwords, which is slow on purpose."),
	S(run_dir, STR, "/run/hearth", 1, 90, "For other sockets and small files of running processes."),
	S(metrics_listen, STR, "", 0, 200, "host:port of a private listener for /_hearth/metrics. Empty: none."),
	S(sql_dir, STR, "", 0, 1000, "Where sql/ lies. Empty: beside the binary, or one directory above it."),
	S(web_workers, INT, "0", 0, 256, "Processes for short requests. 0: twice the cores, at most 16."),
	S(sync_workers, INT, "0", 0, 256, "Processes for sync. 0: as many as cores."),
	S(login_workers, INT, "0", 0, 256, "Processes for log-ins and what else checks passwords. 0: half the cores and one."),
	S(jobs_workers, INT, "1", 0, 64, "Processes for background jobs."),
	S(registration, REGISTRATION, "closed", 0, 0, "Who may register: open, token or closed."),
	S(registration_shared_secret, SECRET, "", 0, 1000, "Lets tools register users at /_synapse/admin/v1/register. Empty: nobody."),
	S(guests, BOOL, "off", 0, 0, "Whether people may look into open rooms as guests, without an account: on or off."),
	S(key_backup_max_mb, INT, "256", 1, 65536, "How much one backup of room keys may hold, in MB. A client reads it all at once: a worker needs about four times that for a moment."),
	S(guest_idle_days, INT, "30", 1, 3650, "After how many days a guest goes whom nobody has used."),
	S(default_room_version, STR, "12", 1, 2, "The version of new rooms, 1 to 12."),
	S(access_token_lifetime_s, INT, "300", 0, 31536000, "How many seconds an access token is good, where the client can renew it by a refresh token. 0: for ever."),
	S(session_lifetime_s, INT, "0", 0, 315360000, "How many seconds, where it cannot: afterwards the user logs in again. 0: for ever."),
	S(login_token_lifetime_s, INT, "120", 0, 600, "How many seconds a token is good by which a user logs in a further device. 0: there are none."),
	S(rate_limits, BOOL, "on", 0, 0, "Whether requests that come too fast are refused (429): on or off. What follows says how fast."),
	S(rate_write_per_s, INT, "10", 1, 1000, "Sends and other changes of a user per second, in the long run."),
	S(rate_write_burst, INT, "50", 1, 100000, "How many of them may come at once."),
	S(rate_read_per_s, INT, "50", 1, 1000, "The same for rate-limited reads."),
	S(rate_read_burst, INT, "200", 1, 100000, "How many of them may come at once."),
	S(rate_login_per_min, INT, "30", 1, 60000, "Log-ins from one address per minute."),
	S(rate_login_burst, INT, "60", 1, 100000, "How many of them may come at once."),
	S(rate_register_per_min, INT, "30", 1, 60000, "Registrations, and questions whether a name is free, from one address per minute."),
	S(rate_register_burst, INT, "60", 1, 100000, "How many of them may come at once."),
	S(rate_password_per_min, INT, "6", 1, 60000, "Wrong passwords for one account per minute."),
	S(rate_password_burst, INT, "10", 1, 100000, "How many of them may come at once."),
	S(turn_uris, STR, "", 0, 4000, "TURN servers for calls, as turn: or turns: URIs with commas between. Empty: none."),
	S(turn_shared_secret, SECRET, "", 0, 1000, "The secret that the TURN servers know (coturn: static-auth-secret)."),
	S(turn_lifetime_s, INT, "86400", 60, 31536000, "How many seconds the credentials are good that users get for them."),
	S(rate_mail_per_hour, INT, "20", 1, 60000, "Mails asked for from one network address per hour."),
	S(rate_mail_burst, INT, "20", 1, 100000, "How many of them may come at once."),
	S(rate_mail_to_per_hour, INT, "4", 1, 60000, "Mails to one e-mail address per hour."),
	S(rate_mail_to_burst, INT, "5", 1, 100000, "How many of them may come at once."),
	S(smtp_url, STR, "", 0, 300, "The mail server that takes outgoing mail: smtp://host:port, or smtps://host:port (TLS from the start). Empty: no e-mail; then nobody can register, log in or reset a password by it."),
	S(smtp_tls, TLS, "required", 0, 0, "STARTTLS with smtp://: required, try (when the server offers it, with any certificate) or off (a mail server on this machine)."),
	S(smtp_user, STR, "", 0, 300, "To log in to the mail server. Empty: without."),
	S(smtp_password, SECRET, "", 0, 1000, "The password for that."),
	S(smtp_from, STR, "", 0, 300, "Who mails come from: Name <address>, or an address."),
	S(registration_email, WANT, "optional", 0, 0, "Whether people who register prove an e-mail address: off, optional or required. Without smtp_url: off."),
	S(terms, STR, "", 0, 16000, "What people who register have to accept, as JSON: {\"privacy\": {\"version\": \"1.0\", \"en\": {\"name\": \"Privacy policy\", \"url\": \"https://…\"}}}. Empty: nothing."),
	S(email_domains, STR, "", 0, 4000, "The domains whose e-mail addresses are taken, comma-separated. Empty: any."),
	S(email_next_hosts, STR, "", 0, 4000, "Hosts of web clients, comma-separated: after the confirmation of an e-mail address the browser goes on there by itself, when the client asked for it. For others a link is shown."),
	S(email_valid_min, INT, "60", 5, 1440, "How long the link of a mail is good, in minutes."),
	S(email_one_click, BOOL, "off", 0, 0, "on: opening a mail's link is enough. off: its page has a button, so that programs which look into mails confirm nothing. For a new password there is always a button."),
	S(email_tell_known, BOOL, "off", 0, 0, "on: whoever asks for a mail is told whether an account has the address. off: only a mail to that address tells it."),
	S(presence, BOOL, "on", 0, 0, "Whether users see who of those they share rooms with is online: on or off."),
	S(presence_room_max, INT, "500", 0, INT32_MAX, "/sync tells who is online of those one shares a room with: in rooms of up to 20 members always, in larger ones, the smallest first, as long as they have no more members than this together; 0: in all. Of very many at once an answer tells the last 500. Asked for by GET it is told in any case."),
	S(password_cost, COST, "normal", 0, 0, "normal, or low (for tests: hashes are made cheaply)."),
	S(ca_file, STR, "", 0, 1000, "Further certificate authorities to trust in outgoing TLS (PEM)."),
	S(outgoing_allow, STR, "", 0, 4000, "Addresses and ranges beside the public internet that may be called where users or other servers name the target (push gateways): 10.1.0.0/16, ::1."),
	S(outgoing_http, BOOL, "off", 0, 0, "Whether such calls may be plain http, without TLS: on or off."),
	S(push_timeout_ms, INT, "15000", 100, 120000, "How long a push gateway may take to answer, in ms."),
	S(max_request_bytes, INT, "1048576", 65536, 104857600, "The largest JSON body, in bytes."),
	S(sync_timeout_max_ms, INT, "300000", 0, 3600000, "The longest that a sync may wait, in ms (nginx's fastcgi_read_timeout must be longer)."),
	S(wake_interval_ms, INT, "5", 0, 1000, "The least time between two wake-ups to other containers, in ms. While there are none it is 100."),
	S(failpoint, STR, "", 0, 1000, "For tests: see core/base/failpoint.h."),
	S(log_level, STR, "info", 1, 10, "debug, info, warn or error."),
#undef S
};
#define NSETTINGS (sizeof(settings) / sizeof(*settings))

static int
complain(const char *where, const char *name, const char *why)
{
	fprintf(stderr, "hearth: %s %s: %s\n", where, name, why);
	return -1;
}

/* Process lifetime, like all that is made here. */
static char *
keep(const char *s)
{
	char *p = strdup(s);

	if (p == NULL)
		abort();
	return p;
}

static int
set_int(const struct setting *s, const char *where, const char *text, int64_t *to)
{
	char *end;
	long long v;

	errno = 0;
	v = strtoll(text, &end, 10);
	if (*text == '\0' || *end != '\0' || errno != 0 || v < s->min || v > s->max) {
		fprintf(stderr, "hearth: %s %s: \"%s\" is no number from %lld to %lld\n", where, s->name, text,
		    (long long)s->min, (long long)s->max);
		return -1;
	}
	*to = v;
	return 0;
}

static int
choose(const struct setting *s, const char *where, const char *text, const char *const *words, int *to)
{
	for (int i = 0; words[i] != NULL; i++)
		if (strcasecmp(text, words[i]) == 0) {
			*to = i;
			return 0;
		}
	fprintf(stderr, "hearth: %s %s: \"%s\" is none of:", where, s->name, text);
	for (int i = 0; words[i] != NULL; i++)
		fprintf(stderr, " %s", words[i]);
	fputc('\n', stderr);
	return -1;
}

/* Stores text in the field; 0, or -1 after saying why not. */
static int
set(struct conf *c, const struct setting *s, const char *where, const char *text)
{
	static const char *const registrations[] = { "open", "token", "closed", NULL };
	static const char *const tls[] = { "required", "try", "off", NULL };
	static const char *const wants[] = { "off", "optional", "required", NULL };
	static const char *const costs[] = { "normal", "low", NULL };
	static const char *const bools[] = { "off", "on", "false", "true", "0", "1", "no", "yes", NULL };
	char *at = (char *)c + s->at;
	int v;

	switch (s->kind) {
	case STR:
	case SECRET:
		if ((int64_t)strlen(text) < s->min || (int64_t)strlen(text) > s->max)
			return complain(where, s->name, *text == '\0' ? "must not be empty" : "too short or too long");
		*(const char **)(void *)at = keep(text);
		return 0;
	case INT:
		return set_int(s, where, text, (int64_t *)(void *)at);
	case BOOL:
		if (choose(s, where, text, bools, &v) != 0)
			return -1;
		*(bool *)at = v & 1;
		return 0;
	case REGISTRATION:
		if (choose(s, where, text, registrations, &v) != 0)
			return -1;
		*(enum conf_registration *)(void *)at = (enum conf_registration)v;
		return 0;
	case COST:
		if (choose(s, where, text, costs, &v) != 0)
			return -1;
		*(enum conf_cost *)(void *)at = (enum conf_cost)v;
		return 0;
	case TLS:
		if (choose(s, where, text, tls, &v) != 0)
			return -1;
		*(enum conf_tls *)(void *)at = (enum conf_tls)v;
		return 0;
	case WANT:
		if (choose(s, where, text, wants, &v) != 0)
			return -1;
		*(enum conf_want *)(void *)at = (enum conf_want)v;
		return 0;
	}
	return -1;
}

static char *
trim(char *s)
{
	char *end;

	while (isspace((unsigned char)*s))
		s++;
	for (end = s + strlen(s); end > s && isspace((unsigned char)end[-1]);)
		*--end = '\0';
	return s;
}

static const struct setting *
find(const char *name)
{
	for (size_t i = 0; i < NSETTINGS; i++)
		if (strcmp(settings[i].name, name) == 0)
			return &settings[i];
	return NULL;
}

/* Lines of name = value; # begins a comment line. */
static int
read_file(struct conf *c, const char *path)
{
	char *line = NULL, *eq, *name, where[1100];
	size_t cap = 0;
	int bad = 0, n = 0;
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return complain("HEARTH_CONFIG", path, strerror(errno));
	while (getline(&line, &cap, f) >= 0) {
		const struct setting *s;

		snprintf(where, sizeof(where), "%s:%d:", path, ++n);
		name = trim(line);
		if (*name == '\0' || *name == '#')
			continue;
		if ((eq = strchr(name, '=')) == NULL) {
			/* The line is not shown: it may be half a password. */
			bad |= complain(where, "this line", "is no \"name = value\"");
			continue;
		}
		*eq = '\0';
		name = trim(name);
		if ((s = find(name)) == NULL)
			bad |= complain(where, name, "no such setting");
		else
			bad |= set(c, s, where, trim(eq + 1));
	}
	free(line);
	fclose(f);
	return bad;
}

/*
 * HEARTH_<NAME>, or the first line of the file that HEARTH_<NAME>_FILE names, as it stands there but for its end. An empty
 * variable counts as unset.
 */
static int
read_environment(struct conf *c, const struct setting *s)
{
	char var[64] = "HEARTH_", *line = NULL;
	const char *text;
	size_t n = strlen(var), cap = 0;
	int bad = 0;
	FILE *f;

	for (const char *p = s->name; *p != '\0' && n < sizeof(var) - 6; p++)
		var[n++] = (char)toupper((unsigned char)*p);
	if ((text = getenv(var)) != NULL && *text != '\0')
		return set(c, s, "environment", text);
	memcpy(var + n, "_FILE", 6);
	if ((text = getenv(var)) == NULL || *text == '\0')
		return 0;
	if ((f = fopen(text, "re")) == NULL)
		return complain(var, text, strerror(errno));
	if (getline(&line, &cap, f) < 0 || strcspn(line, "\r\n") == 0)
		bad = complain(var, text, "is empty");
	else {
		line[strcspn(line, "\r\n")] = '\0';
		bad = set(c, s, var, line);
	}
	free(line);
	fclose(f);
	return bad;
}

static const char *
sql_dir_default(void)
{
	static const char *const beside[] = { "/sql", "/../sql", "/../share/hearth/sql" };
	char exe[4000], path[4100], *slash;
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n > 0) {
		exe[n] = '\0';
		if ((slash = strrchr(exe, '/')) != NULL)
			*slash = '\0';
		for (size_t i = 0; i < sizeof(beside) / sizeof(*beside); i++) {
			snprintf(path, sizeof(path), "%s%s/migrations", exe, beside[i]);
			if (access(path, R_OK) == 0) {
				*strrchr(path, '/') = '\0';
				return keep(path);
			}
		}
	}
	return "sql";
}

static int
check_word(const char *name, const char *value, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcmp(value, *words) == 0)
			return 0;
	fprintf(stderr, "hearth: setting %s: \"%s\" does not exist\n", name, value);
	return -1;
}

static int
check_socket(const char *name, const char *s)
{
	if (strncmp(s, "unix:/", 6) != 0 && strncmp(s, "tcp:", 4) != 0)
		return complain("setting", name, "is neither unix:/path nor tcp:host:port");
	if (strncmp(s, "unix:", 5) == 0 && strlen(s) > 5 + 107)
		return complain("setting", name, "paths of unix sockets end at 107 bytes");
	return 0;
}

/* Both or neither: URIs without a secret would give credentials that nobody takes. */
static int
check_turn(const struct conf *c)
{
	const char *const separators = ", \t", *p = c->turn_uris;

	if ((*c->turn_uris == '\0') != (*c->turn_shared_secret == '\0'))
		return complain("setting", "turn_uris", "and turn_shared_secret go together");
	for (p += strspn(p, separators); *p != '\0'; p += strcspn(p, separators), p += strspn(p, separators))
		if (strncmp(p, "turn:", 5) != 0 && strncmp(p, "turns:", 6) != 0)
			return complain("setting", "turn_uris", "begin with turn: or turns:");
	return 0;
}

/* What belongs together for e-mail; what is asked of people who register. */
static int
check_email(struct conf *c)
{
	struct arena *a = arena_new();
	const char *name, *address, *why;
	int bad = 0;

	if (*c->smtp_url != '\0') {
		if (strncmp(c->smtp_url, "smtp://", 7) != 0 && strncmp(c->smtp_url, "smtps://", 8) != 0)
			bad |= complain("setting", "smtp_url", "begins neither with smtp:// nor with smtps://");
		else if (strstr(c->smtp_url, "://")[3 + strcspn(strstr(c->smtp_url, "://") + 3, "/@?# ")] != '\0')
			bad |= complain("setting", "smtp_url", "is more than scheme, host and port");
		if (!email_mailbox(a, c->smtp_from, &name, &address))
			bad |= complain("setting", "smtp_from", "is neither an address nor Name <address>");
	} else if (c->registration_email == WANT_REQUIRED) {
		bad |= complain("setting", "registration_email", "cannot be required without smtp_url");
	} else {
		c->registration_email = WANT_OFF;
	}
	if ((why = policies_fault(a, c->terms)) != NULL)
		bad |= complain("setting", "terms", why);
	arena_free(a);
	return bad;
}

static int
check_all(struct conf *c)
{
	static const char *const levels[] = { "debug", "info", "warn", "error", NULL };
	static const char *const versions[] = { "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", NULL };
	int bad = 0;

	bad |= check_word("default_room_version", c->default_room_version, versions);
	bad |= check_word("log_level", c->log_level, levels);
	bad |= check_turn(c);
	bad |= check_socket("web_socket", c->web_socket);
	bad |= check_socket("sync_socket", c->sync_socket);
	bad |= check_socket("login_socket", c->login_socket);
	bad |= check_email(c);
	if (!id_is_server(c->server_name))
		bad |= complain("setting", "server_name", "is no host name or address with an optional port");
	if (!ip_list_ok(c->outgoing_allow))
		bad |= complain("setting", "outgoing_allow", "is no list of addresses and ranges");
	if (strncmp(c->public_baseurl, "https://", 8) != 0 && strncmp(c->public_baseurl, "http://", 7) != 0)
		bad |= complain("setting", "public_baseurl", "begins neither with https:// nor with http://");
	return bad;
}

const struct conf *
conf_load(void)
{
	struct conf *c = calloc(1, sizeof(*c));
	const char *file = getenv("HEARTH_CONFIG");
	int bad = 0;

	if (c == NULL)
		abort();
	for (size_t i = 0; i < NSETTINGS; i++)
		if (settings[i].kind == STR || settings[i].kind == SECRET)
			*(const char **)(void *)((char *)c + settings[i].at) = settings[i].dflt;
		else
			bad |= set(c, &settings[i], "default", settings[i].dflt);
	if (file != NULL && *file != '\0')
		bad |= read_file(c, file);
	for (size_t i = 0; i < NSETTINGS; i++)
		bad |= read_environment(c, &settings[i]);
	bad |= check_all(c);
	if (bad != 0) {
		free(c);
		return NULL;
	}
	if (*c->migrate_database_url == '\0')
		c->migrate_database_url = c->database_url;
	if (*c->sql_dir == '\0')
		c->sql_dir = sql_dir_default();
	if (c->web_workers == 0)
		c->web_workers = 2 * cores_allowed() < 16 ? 2 * cores_allowed() : 16;
	if (c->sync_workers == 0)
		c->sync_workers = cores_allowed();
	if (c->login_workers == 0)	/* as many as may hash at once, and one that asks the database meanwhile */
		c->login_workers = (cores_allowed() < 2 ? 1 : cores_allowed() / 2) + 1;
	return c;
}

void
conf_print_example(void)
{
	puts("# Settings of Hearth. Each may also come from the environment, as HEARTH_<NAME>, or HEARTH_<NAME>_FILE for the\n"
	    "# file that holds it. What is commented out stands at its default.");
	for (size_t i = 0; i < NSETTINGS; i++)
		if (strcmp(settings[i].name, "failpoint") != 0)
			printf("\n# %s%s\n#%s = %s\n", settings[i].help,
			    settings[i].kind == SECRET ? " Secret: best kept in a file of its own (_FILE)." : "", settings[i].name, settings[i].dflt);
}
