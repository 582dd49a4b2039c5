/* fcgi/main.c - one binary, hearth; what it does is its first argument. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include "core/base/conf.h"
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/db/migrate.h"
#include "fcgi/master.h"

static int
cmd_serve(const struct conf *conf, char **argv)
{
	return master_main(conf, argv);
}

static int
cmd_migrate(const struct conf *conf, char **argv)
{
	log_role_set("migrate");
	return migrate_main(conf);
}

static int
cmd_check(const struct conf *conf, char **argv)
{
	return 0;	/* the settings were read: that is the check */
}

static int
cmd_config(const struct conf *conf, char **argv)
{
	conf_print_example();
	return 0;
}

static const struct command {
	const char *name;
	int (*run)(const struct conf *conf, char **argv);
	bool settings;		/* they must be right before it runs */
	const char *help;
} commands[] = {
	{ "serve", cmd_serve, true, "run the server: bind the sockets, migrate the database, start the pools" },
	{ "migrate", cmd_migrate, true, "bring the database to this release's schema" },
	{ "check", cmd_check, true, "say what is wrong with the settings" },
	{ "config", cmd_config, false, "print all settings with their defaults and meaning" },
};
#define NCOMMANDS (sizeof(commands) / sizeof(*commands))

static int
usage(void)
{
	fprintf(stderr, "usage: hearth COMMAND\n");
	for (size_t i = 0; i < NCOMMANDS; i++)
		fprintf(stderr, "  %-8s %s\n", commands[i].name, commands[i].help);
	return EX_USAGE;
}

static bool
settings_apply(const struct conf *conf)
{
	static const char *const levels[] = { "debug", "info", "warn", "error" };

	for (int i = 0; i < 4; i++)
		if (strcmp(conf->log_level, levels[i]) == 0)
			log_level_set((enum log_level)i);
	if (failpoint_setup(conf->failpoint, conf->run_dir))
		return true;
	fprintf(stderr, "hearth: setting failpoint: not understood\n");
	return false;
}

int
main(int argc, char **argv)
{
	const struct conf *conf = NULL;

	if (argc != 2)
		return usage();
	for (size_t i = 0; i < NCOMMANDS; i++) {
		if (strcmp(commands[i].name, argv[1]) != 0)
			continue;
		if (commands[i].settings && ((conf = conf_load()) == NULL || !settings_apply(conf)))
			return EX_CONFIG;
		return commands[i].run(conf, argv);
	}
	return usage();
}
