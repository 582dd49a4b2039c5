/*
 * core/base/conf.h - the settings: one table in conf.c, read once.
 *
 * A file (HEARTH_CONFIG=/path, lines of "name = value"), then the environment
 * (HEARTH_<NAME>, or HEARTH_<NAME>_FILE: the first line of that file without its end, for secrets;
 * empty variables count as unset). `hearth check` explains what is wrong, `hearth config`
 * prints the commented example from the same table.
 */
#ifndef HEARTH_CONF_H
#define HEARTH_CONF_H

#include <stdbool.h>
#include <stdint.h>

enum conf_registration { REG_OPEN, REG_TOKEN, REG_CLOSED };
enum conf_cost { COST_NORMAL, COST_LOW };
enum conf_tls { TLS_REQUIRED, TLS_TRY, TLS_OFF };
enum conf_want { WANT_OFF, WANT_OPTIONAL, WANT_REQUIRED };

struct conf {
	const char *server_name;		/* required; default localhost */
	const char *public_baseurl;		/* https://localhost:8448: for .well-known */
	const char *database_url;		/* libpq conninfo or URL */
	const char *migrate_database_url;	/* default: database_url */
	const char *web_socket, *sync_socket, *login_socket;	/* unix:/path or tcp:host:port */
	const char *run_dir;			/* other sockets, failpoints' files */
	const char *metrics_listen;		/* host:port or empty */
	const char *sql_dir;			/* where sql/ is; default beside the binary */
	int64_t web_workers, sync_workers, login_workers, jobs_workers;	/* 0: computed from the cores */
	enum conf_registration registration;
	const char *registration_shared_secret;	/* empty: the door is closed */
	bool guests;				/* POST /register?kind=guest */
	int64_t key_backup_max_mb;
	int64_t guest_idle_days;		/* until an unused one is deactivated */
	const char *default_room_version;	/* "12" */
	int64_t access_token_lifetime_s, session_lifetime_s;	/* for clients that can refresh, and for others; 0: for ever */
	int64_t login_token_lifetime_s;		/* 0: nobody gets one */
	bool rate_limits;
	int64_t rate_read_per_s, rate_read_burst, rate_write_per_s, rate_write_burst;
	int64_t rate_login_per_min, rate_login_burst, rate_register_per_min, rate_register_burst;
	int64_t rate_password_per_min, rate_password_burst;
	const char *turn_uris, *turn_shared_secret;	/* empty: no TURN server */
	int64_t turn_lifetime_s;
	int64_t rate_mail_per_hour, rate_mail_burst, rate_mail_to_per_hour, rate_mail_to_burst;
	const char *smtp_url;			/* empty: no e-mail, and nothing that needs it is offered */
	enum conf_tls smtp_tls;
	const char *smtp_user, *smtp_password;	/* empty: no log-in */
	const char *smtp_from;			/* "Name <address>" or an address */
	enum conf_want registration_email;
	const char *terms;			/* JSON: the `policies` of m.login.terms; empty: none. Valid */
	const char *email_domains;		/* comma-separated; empty: any */
	const char *email_next_hosts;		/* comma-separated */
	int64_t email_valid_min;		/* how long a mail's link is good */
	bool email_one_click, email_tell_known;
	bool presence;				/* who is online is told */
	int64_t presence_room_max;		/* members, together, of the larger rooms in which one is told of it; 0: of all */
	enum conf_cost password_cost;
	const char *ca_file;			/* extra trust for outgoing TLS */
	const char *outgoing_allow;		/* core/base/ip.h: a list; what is not public and may be called all the same */
	bool outgoing_http;			/* plain http too */
	int64_t push_timeout_ms;		/* for a push gateway's answer */
	int64_t max_request_bytes;		/* of a JSON body */
	int64_t sync_timeout_max_ms;
	int64_t wake_interval_ms;		/* between two NOTIFYs of a container: 5 */
	const char *failpoint;			/* tests only: see core/base/failpoint.h */
	const char *log_level;
};

/* Reads and validates; on a fault writes one line per fault to stderr and returns NULL. Process lifetime. */
const struct conf *conf_load(void);
void conf_print_example(void);		/* to stdout */

#endif
