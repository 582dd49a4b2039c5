/* core/jobs/kinds.c - every kind of job, once. */
#include "core/jobs/cleanup.h"
#include "core/jobs/jobs_impl.h"
#include "core/live/presence.h"

#define HOUR (3600 * 1000LL)

const struct job_kind job_kinds[] = {
	/* kind			run			every		cleanup */
	{ "profile_refresh",	profile_refresh_run,	0,		NULL },
	{ "to_device_purge",	to_device_purge_run,	0,		NULL },
	{ "backup_purge",	backup_purge_run,	0,		NULL },
	{ "purge_history",	purge_history_run,	0,		NULL },
	{ "purge_room",		purge_room_run,		0,		NULL },
	{ "hole_learn",		hole_learn_run,		0,		NULL },
	{ "deactivate",		deactivate_run,		0,		NULL },
	{ "mail",		mail_run,		0,		NULL },
	{ "guests_leave",	guests_leave_run,	0,		NULL },
	{ "guests_cleanup",	guests_cleanup_run,	6 * HOUR,	NULL },
	{ "txn_cleanup",	NULL,			HOUR,		&cleanup_of_txn },
	{ "uia_cleanup",	NULL,			HOUR,		&cleanup_of_uia },
	{ "email_cleanup",	NULL,			HOUR,		&cleanup_of_email },
	{ "nonce_cleanup",	NULL,			HOUR,		&cleanup_of_nonce },
	{ "login_token_cleanup", NULL,			HOUR,		&cleanup_of_login_token },
	{ "openid_token_cleanup", NULL,			HOUR,		&cleanup_of_openid_token },
	{ "connection_cleanup",	NULL,			6 * HOUR,	&cleanup_of_connection },
	{ "presence_sweep",	presence_sweep_run,	15 * 1000,	NULL },
	{ "presence_cleanup",	NULL,			6 * HOUR,	&cleanup_of_presence },
	{ "typing_cleanup",	NULL,			6 * HOUR,	&cleanup_of_typing },
	{ "ratelimit_cleanup",	NULL,			6 * HOUR,	&cleanup_of_ratelimit },
	{ "key_used_cleanup",	NULL,			HOUR,		&cleanup_of_key_used },
	{ "gateway_cleanup",	NULL,			6 * HOUR,	&cleanup_of_gateway },
	{ "redacted_erase",	NULL,			6 * HOUR,	&cleanup_of_redacted },
};
const size_t njob_kinds = sizeof job_kinds / sizeof *job_kinds;
