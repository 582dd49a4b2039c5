/* fcgi/listen.h - listening sockets, from unix:/path or tcp:host:port. */
#ifndef HEARTH_LISTEN_H
#define HEARTH_LISTEN_H

/* Binds and listens (not blocking, closed by exec). -1 after logging why. */
int listen_open(const char *address);

/*
 * Nobody new may come: a unix socket loses its name, a TCP socket drops SYNs (a closed
 * one would reset who is in its queue). What is in the queue stays.
 */
void listen_close_door(int fd, const char *address);

#endif
