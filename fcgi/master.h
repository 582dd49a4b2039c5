/*
 * fcgi/master.h - the process that starts the others and starts them again.
 *
 * It binds the sockets, lets a child run the migrations, forks the pools, restarts
 * what dies. It parses nothing from outside and opens no database connection, so
 * there is little in it that could fall.
 *
 *	SIGHUP		executes itself anew (perhaps a new binary at the same path, new
 *			settings) with the sockets; starts new workers, then lets the old ones drain
 *	SIGTERM		takes nothing new, finishes what nginx was told is connected, ends
 *
 * Children die with it.
 */
#ifndef HEARTH_MASTER_H
#define HEARTH_MASTER_H

#include "core/base/conf.h"

int master_main(const struct conf *conf, char **argv);

#endif
