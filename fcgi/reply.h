/*
 * fcgi/reply.h - answers, as FastCGI records of our own.
 *
 * libfcgi only parses requests: what it writes goes through blocking streams
 * that are bound to its request. Ours need only the connection and the request
 * id, so any process that holds both can answer (a worker, the park process).
 */
#ifndef HEARTH_REPLY_H
#define HEARTH_REPLY_H

#include <stdbool.h>
#include "core/base/buf.h"

struct reply_header {
	const char *name, *value;
};
struct reply {
	int status;
	const char *content_type;
	const struct reply_header *headers;
	int nheaders;
	const char *body;
	size_t body_n;
};

/* Sends the whole answer and its end; blocks as long as the peer reads. False when it has gone. Does not close fd. */
bool reply_send(struct arena *a, int fd, int fcgi_id, const struct reply *rp);

/* The same as bytes in b, which is empty, for who must not block. */
void reply_pack(struct buf *b, int fcgi_id, const struct reply *rp);

#endif
